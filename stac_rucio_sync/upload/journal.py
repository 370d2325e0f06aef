"""The journal of an upload: what is known of each file, on disk before the next step builds on it.

One SQLite file for one upload: the same folders to the same RSE and scope find it again. Losing it loses no file:
everything in it is learned again from the disk and from Rucio, at the price of reading the files once more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import Hashed, UploadFate

_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    adler32 TEXT,
    md5 TEXT,
    -- The place in the storage, from the moment that something may lie there or be registered.
    target TEXT,
    run INTEGER NOT NULL,
    fate TEXT,
    -- 1: a run came to its end with it, so it is in the lake and held there.
    kept INTEGER NOT NULL DEFAULT 0
);
"""
_COLUMNS: Final = "id, path, name, bytes, mtime_ns, adler32, md5, target, kept"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the journal knows it."""

    number: int
    path: Path
    name: str
    bytes: int
    mtime_ns: int
    hashed: Hashed | None
    target: str | None
    """Where something of it may lie, or be registered."""
    kept: bool
    """Whether an earlier run brought it into the lake, as it is now."""


class Journal:
    """The journal of one upload; one process at a time has it open.

    Parameters
    ----------
    file
        Where it lies; None: nowhere, it is gone with the process (for dry runs).
    upload
        What tells this upload from others.

    Raises
    ------
    UsageError
        Another process works with it, or it is another upload's.
    FatalError
        It cannot be written, or is no journal.
    """

    def __init__(self, file: Path | None, upload: str = "") -> None:
        self._file = file
        self._lock = None if file is None else _locked(file)
        try:
            self._open(upload)
        except BaseException:
            self.close()
            raise

    def _open(self, upload: str) -> None:
        with _on_disk(self._file):
            # "" is a private file of SQLite's, which spills to disk when it grows.
            self._table = sqlite3.connect("" if self._file is None else self._file, isolation_level=None)
            self._table.execute("PRAGMA journal_mode = WAL")
            self._table.execute("PRAGMA synchronous = FULL")
            self._table.execute("PRAGMA cache_size = -2048")  # names come in order: more of it is never used again
            self._table.executescript(_TABLES)
        other = self.fact("upload")
        if other not in (None, upload):
            raise UsageError(f"{self._file} is the journal of another upload: {other}")
        self.run = int(self.fact("run") or 0) + 1
        self.note(run=str(self.run), version=str(_VERSION), upload=upload)

    def close(self) -> None:
        """Close it; it stays on disk."""
        if hasattr(self, "_table"):
            self._table.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -------------------------------------------------------------------------------------------------------- facts

    def fact(self, key: str) -> str | None:
        """Return what was noted of the upload as a whole."""
        found = self._rows("SELECT value FROM fact WHERE key = ?", (key,))
        return found[0][0] if found else None

    def note(self, **facts: str) -> None:
        """Note something of the upload as a whole."""
        upsert = "INSERT INTO fact VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        self._write(upsert, facts.items())

    # -------------------------------------------------------------------------------------------------------- files

    def take(self, found: Iterable[tuple[bytes, str, int, int]]) -> list[bytes]:
        """Note files that were found by this run: path, name, bytes, time of change in ns.

        What is known of a file that has not changed is kept; a changed one is read again.

        Returns
        -------
        list of bytes
            Paths whose name another file of the upload has.
        """
        twins = []
        with self.together():
            for path, name, size, mtime_ns in found:
                self._execute(
                    "INSERT INTO file (path, name, bytes, mtime_ns, run) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (path, name, size, mtime_ns, self.run),
                )
                changed = self._execute(
                    """
                    UPDATE file SET run = ?1, fate = NULL, bytes = ?2, mtime_ns = ?3,
                        adler32 = CASE WHEN bytes = ?2 AND mtime_ns = ?3 THEN adler32 END,
                        md5 = CASE WHEN bytes = ?2 AND mtime_ns = ?3 THEN md5 END,
                        kept = kept AND bytes = ?2 AND mtime_ns = ?3
                    WHERE path = ?4 AND name = ?5
                    """,
                    (self.run, size, mtime_ns, path, name),
                )
                if not changed:
                    twins.append(path)
        return twins

    def batches(self, files: int, octets: int) -> Iterator[list[Entry]]:
        """Yield the files that were found, in order, so many or so many bytes at a time."""
        after = 0
        while True:
            rows = self._rows(
                f"SELECT {_COLUMNS} FROM file "  # noqa: S608 - columns of this module
                "WHERE run = ? AND fate IS NULL AND id > ? ORDER BY id LIMIT ?",
                (self.run, after, files),
            )
            batch: list[Entry] = []
            weight = 0
            for row in rows:
                weight += row[3]
                if batch and weight > octets:
                    break
                batch.append(_entry(row))
            if not batch:
                return
            after = batch[-1].number
            yield batch

    def abandoned(self) -> Iterator[Entry]:
        """Yield files of earlier runs that are not there any more, and of which something may lie in the lake."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM file "  # noqa: S608 - columns of this module
            "WHERE run < ? AND target IS NOT NULL AND NOT kept ORDER BY id",
            (self.run,),
        )
        yield from map(_entry, rows)

    def totals(self) -> tuple[int, int]:
        """Return how many files this run found, and their bytes."""
        ((files, octets),) = self._rows("SELECT count(*), coalesce(sum(bytes), 0) FROM file WHERE run = ?", (self.run,))
        return files, octets

    def known(self, path: bytes) -> Entry | None:
        """Return what is known of a file that is in the lake, by this run or an earlier one."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM file WHERE path = ? AND kept",  # noqa: S608 - columns of this module
            (path,),
        )
        return _entry(rows[0]) if rows else None

    def hashed(self, sums: Mapping[int, Hashed]) -> None:
        """Note what reading files told."""
        with self.together():
            self._write(
                "UPDATE file SET adler32 = ?, md5 = ? WHERE id = ?",
                ((one.adler32, one.md5, number) for number, one in sums.items()),
            )

    def placed(self, targets: Mapping[int, str]) -> None:
        """Note where files will lie, before anything of them is registered or sent."""
        with self.together():
            self._write("UPDATE file SET target = ? WHERE id = ?", ((at, number) for number, at in targets.items()))

    def withdrawn(self, numbers: Iterable[int]) -> None:
        """Note that nothing of files lies in the lake or is registered."""
        with self.together():
            self._write("UPDATE file SET target = NULL WHERE id = ?", ((number,) for number in numbers))

    def done(self, fates: Mapping[int, UploadFate]) -> None:
        """Note fates."""
        with self.together():
            self._write(
                "UPDATE file SET fate = ?, kept = kept OR ? WHERE id = ?",
                ((fate.value, fate.in_lake, one) for one, fate in fates.items()),
            )

    # ---------------------------------------------------------------------------------------------------------- SQL

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all changes of a block durable at once."""
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._table.rollback()
            raise
        self._execute("COMMIT")

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with _on_disk(self._file):
            return self._table.execute(statement, values).fetchall()

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        with _on_disk(self._file):
            return self._table.execute(statement, values).rowcount

    def _write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with _on_disk(self._file):
            self._table.executemany(statement, rows)


def journal_file(upload: str) -> Path:
    """Return the usual place of the journal of an upload, which this text tells from others."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    digest = hashlib.blake2b(upload.encode(), digest_size=16).hexdigest()
    return Path(base) / "stac-rucio-sync" / "uploads" / f"{digest}.sqlite"


def _entry(row: Sequence[Any]) -> Entry:
    number, path, name, size, mtime_ns, adler32, md5, target, kept = row
    hashed = None if adler32 is None or md5 is None else Hashed(size, adler32, md5)
    return Entry(number, Path(os.fsdecode(path)), name, size, mtime_ns, hashed, target, bool(kept))


def _locked(file: Path) -> int:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FatalError(f"the journal {file} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise UsageError(f"the same upload is under way in another process (its journal is {file})") from error
    return lock


@contextmanager
def _on_disk(file: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise FatalError(f"the journal {file or 'of this run'} cannot be used: {error}") from error
