"""What an audit has read so far, in a private file of SQLite's: memory stays small however much lies at an RSE."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from stac_rucio_sync.consistency.findings import Fate, Finding
from stac_rucio_sync.model import Did
from stac_rucio_sync.model.storage import StoredFile
from stac_rucio_sync.seen import on_disk, private_table

_CHUNK = 500
"""Paths a statement; SQLite's oldest limit on parameters is 999."""


class Shelf:
    """The files of storages, the names of files in Rucio, and the findings. Not for use by several threads.

    Every method raises `FatalError` where the disk takes no more.
    """

    def __init__(self) -> None:
        self._table = private_table(
            "CREATE TABLE stored (rse TEXT, path BLOB, bytes INTEGER, changed REAL, met INTEGER NOT NULL DEFAULT 0, "
            "PRIMARY KEY (rse, path)) WITHOUT ROWID"
        )
        self._table.execute("CREATE TABLE names (scope TEXT, name TEXT, PRIMARY KEY (scope, name)) WITHOUT ROWID")
        self._table.execute("CREATE TABLE findings (number INTEGER PRIMARY KEY, rse TEXT, fate TEXT, finding BLOB)")

    def close(self) -> None:
        """Drop the tables and their file."""
        self._table.close()

    # --------------------------------------------------------------------------------------------- files of storages

    def put_files(self, rse: str, files: Iterable[StoredFile]) -> None:
        """Take files in; the same path again is one file."""
        with on_disk():
            self._table.executemany(
                "INSERT OR REPLACE INTO stored (rse, path, bytes, changed) VALUES (?, ?, ?, ?)",
                ((rse, _packed(file.path), file.bytes, file.changed) for file in files),
            )

    def meet(self, rse: str, paths: Iterable[str]) -> dict[str, StoredFile]:
        """Return those of some paths that are stored, and note that a replica accounts for them."""
        met: dict[str, StoredFile] = {}
        rest = iter(dict.fromkeys(paths))
        while chunk := [_packed(path) for path in islice(rest, _CHUNK)]:
            places = ",".join("?" * len(chunk))
            with on_disk():
                # The text holds only column names from this module and question marks.
                rows = self._table.execute(
                    f"UPDATE stored SET met = 1 WHERE rse = ? AND path IN ({places}) "  # noqa: S608
                    "RETURNING path, bytes, changed",
                    (rse, *chunk),
                ).fetchall()
            for packed, size, changed in rows:
                path = _unpacked(packed)
                met[path] = StoredFile(path, size, changed)
        return met

    def count_files(self, rse: str) -> tuple[int, int]:
        """Return how many files an RSE has, and how many of them a replica accounts for."""
        row = self._table.execute("SELECT count(*), sum(met) FROM stored WHERE rse = ?", (rse,)).fetchone()
        return row[0], row[1] or 0

    def unmet(self, rse: str) -> Iterator[StoredFile]:
        """Yield the files of an RSE that no replica accounts for, by path; nothing may be taken in meanwhile."""
        for path, size, changed in self._table.execute(
            "SELECT path, bytes, changed FROM stored WHERE rse = ? AND met = 0 ORDER BY path", (rse,)
        ):
            yield StoredFile(_unpacked(path), size, changed)

    # -------------------------------------------------------------------------------------------------- names in Rucio

    def put_names(self, dids: Iterable[Did]) -> None:
        """Take names of files in; again is the same."""
        with on_disk():
            self._table.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", dids)

    def names(self, size: int) -> Iterator[list[Did]]:
        """Yield the names, sorted, at most ``size`` at a time; the set must not change meanwhile."""
        rows = self._table.execute("SELECT scope, name FROM names ORDER BY scope, name")
        while batch := [Did(*row) for row in rows.fetchmany(size)]:
            yield batch

    def count_names(self) -> int:
        """Return how many names there are."""
        return int(self._table.execute("SELECT count(*) FROM names").fetchone()[0])

    # ------------------------------------------------------------------------------------------------------- findings

    def put_findings(self, findings: Sequence[Finding]) -> None:
        """Keep findings in their order."""
        with on_disk():
            self._table.executemany(
                "INSERT INTO findings (rse, fate, finding) VALUES (?, ?, ?)",
                ((one.rse, one.fate.value, pickle.dumps(one)) for one in findings),
            )

    def findings(self, rse: str, fate: Fate, size: int) -> Iterator[list[Finding]]:
        """Yield the findings of an RSE with one fate, at most ``size`` at a time."""
        last = -1
        while rows := self._table.execute(
            "SELECT number, finding FROM findings WHERE rse = ? AND fate = ? AND number > ? ORDER BY number LIMIT ?",
            (rse, fate.value, last, size),
        ).fetchall():
            last = rows[-1][0]
            yield [pickle.loads(finding) for _, finding in rows]  # noqa: S301 - pickled above, in a private file


def _packed(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _unpacked(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
