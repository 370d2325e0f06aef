"""What one run has met already, kept in a private file of SQLite's: memory stays small however long the source is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import Any

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import Did, Fate, ItemKey

_FATES = tuple(Fate)
_NUMBER = {fate: number for number, fate in enumerate(_FATES)}
_CHUNK = 500
"""Keys a statement; SQLite's oldest limit on parameters is 999."""
_CACHE_KIB = 16 * 1024


class Seen:
    """The items of one run: the fate of each so far and the fingerprint that stood before the run.

    Not for use by several threads. Keys are held as 128-bit digests. Every method raises `FatalError` where the disk
    takes no more.
    """

    def __init__(self) -> None:
        self._table = private_table(
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
        with on_disk():
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

    def _select(self, columns: str, by_digest: Mapping[bytes, ItemKey]) -> list[tuple[Any, ...]]:
        places = ",".join("?" * len(by_digest))
        # The text holds only column names from this module and question marks.
        statement = f"SELECT {columns} FROM seen WHERE key IN ({places})"  # noqa: S608
        with on_disk():
            return self._table.execute(statement, tuple(by_digest)).fetchall()


class Once:
    """A set of texts that only grows: the addresses that a crawl has visited."""

    def __init__(self) -> None:
        self._table = private_table("CREATE TABLE once (text BLOB PRIMARY KEY) WITHOUT ROWID")

    def first(self, text: str) -> bool:
        """Add a text; tell whether it was new."""
        with on_disk():
            return self._table.execute("INSERT OR IGNORE INTO once VALUES (?)", (_short(text),)).rowcount == 1

    def close(self) -> None:
        """Drop the set and its file."""
        self._table.close()


class ItemKeys:
    """A set of item keys of any size, read back in batches; not for use by several threads."""

    def __init__(self) -> None:
        self._table = private_table(
            "CREATE TABLE keys (collection BLOB, id BLOB, PRIMARY KEY (collection, id)) WITHOUT ROWID"
        )

    def put(self, keys: Iterable[ItemKey]) -> None:
        """Add keys."""
        with on_disk():
            self._table.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", map(_packed, keys))

    def discard(self, keys: Iterable[ItemKey]) -> None:
        """Take keys out, whether they are there or not."""
        with on_disk():
            self._table.executemany("DELETE FROM keys WHERE (collection, id) = (?, ?)", map(_packed, keys))

    def batches(self, size: int) -> Iterator[list[ItemKey]]:
        """Yield the keys, sorted, at most ``size`` at a time; the set must not change meanwhile."""
        rows = self._table.execute("SELECT collection, id FROM keys ORDER BY collection, id")
        while batch := [ItemKey(*(_unpacked(part) for part in row)) for row in rows.fetchmany(size)]:
            yield batch

    def __len__(self) -> int:
        return int(self._table.execute("SELECT count(*) FROM keys").fetchone()[0])

    def close(self) -> None:
        """Drop the set and its file."""
        self._table.close()


def _packed(key: ItemKey) -> tuple[bytes, bytes]:
    return key.collection.encode("utf-8", "surrogatepass"), key.id.encode("utf-8", "surrogatepass")


def _unpacked(part: bytes) -> str:
    return part.decode("utf-8", "surrogatepass")


class Contents:
    """What containers hold, and which of it a run has met."""

    def __init__(self) -> None:
        self._table = private_table(
            "CREATE TABLE contents (container TEXT, scope TEXT, name TEXT, met INTEGER NOT NULL, "
            "PRIMARY KEY (container, scope, name)) WITHOUT ROWID"
        )

    def add(self, container: Did, child: Did) -> None:
        """Note that a container holds a child; again is the same."""
        self._table.execute("INSERT OR IGNORE INTO contents VALUES (?, ?, ?, 0)", (str(container), *child))

    def meet(self, container: Did, child: Did) -> bool:
        """Note that a child is wanted in a container; tell whether it is there."""
        met = self._table.execute(
            "UPDATE contents SET met = 1 WHERE (container, scope, name) = (?, ?, ?)", (str(container), *child)
        )
        return met.rowcount == 1

    def unmet(self) -> Iterator[tuple[Did, Did]]:
        """Yield containers with the children that were never met, by container."""
        for container, scope, name in self._table.execute(
            "SELECT container, scope, name FROM contents WHERE met = 0 ORDER BY container, scope, name"
        ):
            yield Did(*container.split(":", 1)), Did(scope, name)

    def close(self) -> None:
        """Drop the table and its file."""
        self._table.close()


def private_table(definition: str) -> sqlite3.Connection:
    """Open a database that only this connection sees, which SQLite keeps in memory and spills to a temporary file."""
    # Its own thread is not demanded: a generator that reads a source may be closed by another one.
    table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    table.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    table.execute("PRAGMA journal_mode = OFF")
    table.execute("PRAGMA synchronous = OFF")
    table.execute(definition)
    table.execute("BEGIN")
    return table


@contextmanager
def on_disk() -> Iterator[None]:
    """Say what to do where the disk takes no more."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise FatalError(
            f"the list of what this run has met cannot be kept on disk: {error} (free some space in the folder for "
            "temporary files, or name another one by SQLITE_TMPDIR; the next run goes on from what was committed)"
        ) from error


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
