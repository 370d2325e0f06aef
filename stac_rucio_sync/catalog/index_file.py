"""The file of a history's index: its tables, and what is done where it is damaged or may not be written."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

INDEX = "history.sqlite"
MEMORY = ":memory:"
_FORMAT = 3
_TABLES = f"""
CREATE TABLE IF NOT EXISTS "commit" (
    number INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE, seconds INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS change (
    id TEXT NOT NULL, collection TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL,
    fate TEXT NOT NULL,
    PRIMARY KEY (id, collection, kind, path, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS change_number ON change (number);
CREATE INDEX IF NOT EXISTS change_path ON change (path, number);
CREATE TABLE IF NOT EXISTS present (
    id TEXT NOT NULL, collection TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
    PRIMARY KEY (id, collection, kind, path)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS present_collection ON present (collection, path);
PRAGMA user_version = {_FORMAT};
"""
"""``present`` holds what the latest commit holds: writers ask for nothing else, and may have long histories behind."""


def opened(file: Path) -> sqlite3.Connection:
    """Open the file of an index; one that is none is made again, and who may not write it has one in memory."""
    try:
        return with_tables(str(file))
    except sqlite3.OperationalError:
        return with_tables(MEMORY)
    except sqlite3.DatabaseError:
        _remove(file)
        return with_tables(str(file))


def instead(connection: sqlite3.Connection, file: Path, error: sqlite3.DatabaseError) -> sqlite3.Connection:
    """Return an index in memory for one whose file failed in a change; a file that is damaged is removed."""
    is_whole = isinstance(error, sqlite3.OperationalError)
    memory = sqlite3.connect(MEMORY, isolation_level=None)
    try:
        if is_whole:
            connection.backup(memory)  # to read what it holds is quicker than to read the commits
    except sqlite3.Error:
        memory.close()
        memory = sqlite3.connect(MEMORY, isolation_level=None)
    with suppress(sqlite3.Error):
        connection.close()
    if not is_whole:
        with suppress(OSError):
            _remove(file)
    _make_tables(memory)
    return memory


def is_denied(error: sqlite3.Error) -> bool:
    """Tell whether a file may not be written by us: readers need no right to."""
    return error.sqlite_errorname.startswith("SQLITE_READONLY")


def _remove(file: Path) -> None:
    for end in ("", "-wal", "-shm"):
        file.with_name(f"{file.name}{end}").unlink(missing_ok=True)


def with_tables(file: str) -> sqlite3.Connection:
    """Connect to a file, and make the tables where it has none, or those of another version of this program."""
    connection = sqlite3.connect(file, timeout=60.0, isolation_level=None)
    try:
        _make_tables(connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # a crash may cost the latest commits here, never the file
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    (made,) = connection.execute("PRAGMA user_version").fetchone()
    if made != _FORMAT:
        connection.execute("PRAGMA journal_mode = WAL")
        if made:
            for table in ('"commit"', "change", "present"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.executescript(_TABLES)
