"""The tables as a file of ``pg_dump``, with what its snapshot says of every source; and out of such a file again."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import Cursor
from stac_rucio_sync.stores.tables.hosts import parsed
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.session import fatal_connection_error

SCHEMA: Final = "lake"
"""All that the DDL does not make anew. Jobs and uploads of users, which are in other schemas, are not kept."""
_PROGRAMS: Final = Path("/usr/lib/postgresql")
_VARIABLES: Final = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY", "passfile": "PGPASSFILE", "service": "PGSERVICE", "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}  # fmt: skip
"""What of a connection's words libpq takes from the environment, where nobody else reads a password."""


@dataclass(frozen=True, slots=True)
class SourceAt:
    """A source, and where its rows in the tables stand."""

    name: str
    kind: str | None
    location: str | None
    cursor: Cursor | None

    @property
    def commits(self) -> tuple[str, ...]:
        """Of a versioned catalogue: the commit that the tables stand at, and those that a run went for since."""
        cursor = self.cursor or {}
        return tuple(dict.fromkeys(one for one in (cursor.get("commit"), *cursor.get("toward", ())) if one))


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a dump holds."""

    server: str
    """Version of the server."""
    rows: dict[str, int]
    """By table."""
    sources: tuple[SourceAt, ...]
    files: dict[str, str]
    """The DDL that the tables were made by: file to checksum."""


def dump_tables(admin_url: str, target: Path) -> Dumped:
    """Write the tables to a file, as they are at one instant, while others read and write.

    Parameters
    ----------
    admin_url
        ``postgresql://`` URL of the owner of the tables.
    target
        The file; it appears when it is whole.

    Raises
    ------
    UsageError
        There are no tables of ours, or pg_dump is missing.
    FatalError
        The server cannot be reached, or pg_dump failed.
    """
    parsed(admin_url)
    making = target.with_name(f".{target.name}.making")
    try:
        with psycopg.connect(admin_url, application_name="stac-rucio-sync db backup") as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            _need_ours(connection)
            (snapshot,) = _one(connection, "SELECT pg_export_snapshot()")
            told = _described(connection)
            major = connection.info.server_version // 10000
            command = [str(_program("pg_dump", major)), "--format=custom", f"--schema={SCHEMA}"]
            _run([*command, f"--snapshot={snapshot}", f"--file={making}"], admin_url)
        with making.open("rb") as file:
            os.fsync(file.fileno())
        making.replace(target)
    except psycopg.OperationalError as error:
        raise fatal_connection_error(error) from error
    finally:
        making.unlink(missing_ok=True)
    return told


def load_tables(admin_url: str, source: Path, *, epn_schema: str, base_url: str | None) -> Dumped:
    """Make the tables of a dump in a database that has none, and bring them up to this version's DDL.

    Parameters
    ----------
    admin_url
        URL of a role that may create schemas and roles (and, where pgSphere is not in the database yet, extensions).
    source
        The file.
    epn_schema, base_url
        See `apply_schema`.

    Raises
    ------
    UsageError
        The database has tables of ours already, or pg_restore is missing.
    FatalError
        The server cannot be reached, or pg_restore failed: the database is as it was.
    """
    database = str(parsed(admin_url).get("dbname") or "")
    try:
        with psycopg.connect(admin_url, autocommit=True) as connection:
            (there,) = _one(connection, "SELECT to_regnamespace('lake') IS NOT NULL")
            if there:
                raise UsageError(
                    "the database has a schema lake already: a backup is restored to a database that has none "
                    "(CREATE DATABASE … and set [database] admin_url to it)"
                )
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_sphere WITH SCHEMA public")
            major = connection.info.server_version // 10000
        command = [str(_program("pg_restore", major)), "--single-transaction", "--exit-on-error", "--no-owner"]
        _run([*command, "--no-privileges", f"--dbname={database}", str(source)], admin_url)
        apply_schema(admin_url, epn_schema=epn_schema, base_url=base_url)
        with psycopg.connect(admin_url) as connection:
            return _described(connection)
    except psycopg.OperationalError as error:
        raise fatal_connection_error(error) from error
    except psycopg.Error as error:
        raise FatalError(f"the database refuses: {error}") from error


def _need_ours(connection: psycopg.Connection[Any]) -> None:
    (there,) = _one(connection, "SELECT to_regclass('lake.schema_version') IS NOT NULL")
    if not there:
        raise UsageError("the database has no tables of stac-rucio-sync (stac-rucio-sync db apply makes them)")


def _described(connection: psycopg.Connection[Any]) -> Dumped:
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'lake' ORDER BY 1").fetchall()
    rows: dict[str, int] = {}
    for (name,) in names:
        counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(SCHEMA, name))).fetchone()
        rows[name] = counted[0] if counted else 0
    found = connection.execute("SELECT name, kind, location, cursor FROM lake.source ORDER BY name").fetchall()
    files = dict(connection.execute("SELECT file, checksum FROM lake.schema_version").fetchall())
    return Dumped(str(connection.info.server_version), rows, tuple(SourceAt(*row) for row in found), files)


def _one(connection: psycopg.Connection[Any], statement: sql.SQL | str) -> tuple[Any, ...]:
    row = connection.execute(sql.SQL(statement) if isinstance(statement, str) else statement).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return tuple(row)


def _program(name: str, major: int) -> Path:
    """Return a program of PostgreSQL that is not older than the server."""
    installed = sorted((int(path.parts[-3]), path) for path in _PROGRAMS.glob(f"[0-9]*/bin/{name}"))
    for version, path in installed:
        if version >= major:
            return path
    found = shutil.which(name)
    if found is not None and not installed:
        return Path(found)
    raise UsageError(f"{name} of PostgreSQL {major} or later is needed (Debian: postgresql-client-{major})")


def _run(command: list[str], url: str) -> None:
    words = parsed(url)
    environment = os.environ | {_VARIABLES[name]: str(word) for name, word in words.items() if name in _VARIABLES}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FatalError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
