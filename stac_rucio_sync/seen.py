"""What one run has met already, kept in a private file of SQLite's: memory stays small however long the source is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice

from stac_rucio_sync.model import Fate, ItemKey

_FATES = tuple(Fate)
_NUMBER = {fate: number for number, fate in enumerate(_FATES)}
_CHUNK = 500
"""Keys a statement; SQLite's oldest limit on parameters is 999."""
_CACHE_KIB = 16 * 1024


class Seen:
    """The items of one run: the fate of each so far and the fingerprint that stood before the run.

    Not for use by several threads. Keys are held as 128-bit digests.
    """

    def __init__(self) -> None:
        self._table = _private_table(
            "CREATE TABLE seen (key BLOB PRIMARY KEY, fate INTEGER NOT NULL, before TEXT) WITHOUT ROWID"
        )

    def get(self, keys: Iterable[ItemKey]) -> dict[ItemKey, tuple[Fate, str | None]]:
        """Return, for those of the keys that were met, the fate so far and the fingerprint before the run."""
        met: dict[ItemKey, tuple[Fate, str | None]] = {}
        for by_digest in _digested(keys):
            for digest, fate, before in self._select("key, fate, before", by_digest):
                met[by_digest[digest]] = (_FATES[fate], before)
        return met

    def put(self, fates: Mapping[ItemKey, tuple[Fate, str | None]]) -> None:
        """Record the latest fate of each key; the fingerprint from before the run stays the one put first."""
        self._table.executemany(
            "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET fate = excluded.fate",
            ((_digest(key), _NUMBER[fate], before) for key, (fate, before) in fates.items()),
        )

    def missing(self, keys: Iterable[ItemKey]) -> list[ItemKey]:
        """Return those of the keys that were never met, in their order."""
        gone: list[ItemKey] = []
        for by_digest in _digested(keys):
            met = {row[0] for row in self._select("key", by_digest)}
            gone.extend(key for digest, key in by_digest.items() if digest not in met)
        return gone

    def __len__(self) -> int:
        return int(self._table.execute("SELECT count(*) FROM seen").fetchone()[0])

    def close(self) -> None:
        """Drop the table and its file."""
        self._table.close()

    def _select(self, columns: str, by_digest: Mapping[bytes, ItemKey]) -> sqlite3.Cursor:
        places = ",".join("?" * len(by_digest))
        # The text holds only column names from this module and question marks.
        return self._table.execute(f"SELECT {columns} FROM seen WHERE key IN ({places})", tuple(by_digest))  # noqa: S608


class Once:
    """A set of texts that only grows: the addresses that a crawl has visited."""

    def __init__(self) -> None:
        self._table = _private_table("CREATE TABLE once (text BLOB PRIMARY KEY) WITHOUT ROWID")

    def first(self, text: str) -> bool:
        """Add a text; tell whether it was new."""
        return self._table.execute("INSERT OR IGNORE INTO once VALUES (?)", (_short(text),)).rowcount == 1

    def close(self) -> None:
        """Drop the set and its file."""
        self._table.close()


def _private_table(definition: str) -> sqlite3.Connection:
    """Open a database that only this connection sees, which SQLite keeps in memory and spills to a temporary file."""
    # Its own thread is not demanded: a generator that reads a source may be closed by another one.
    table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    table.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    table.execute("PRAGMA journal_mode = OFF")
    table.execute("PRAGMA synchronous = OFF")
    table.execute(definition)
    table.execute("BEGIN")
    return table


def _short(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _digest(key: ItemKey) -> bytes:
    return _short(f"{len(key.collection)}:{key.collection}{key.id}")


def _digested(keys: Iterable[ItemKey]) -> Iterator[dict[bytes, ItemKey]]:
    """Yield chunks of keys by their digests."""
    if not isinstance(keys, Sequence):
        keys = list(keys)
    rest = iter(keys)
    while chunk := {_digest(key): key for key in islice(rest, _CHUNK)}:
        yield chunk
