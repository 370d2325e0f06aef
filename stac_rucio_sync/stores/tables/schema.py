"""The DDL: numbered files of idempotent SQL, applied in order in one transaction."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.stores.tables.hosts import parsed
from stac_rucio_sync.stores.tables.session import fatal_connection_error

APPLY_LOCK = 0x57AC0001
"""Advisory lock under which one session at a time applies the DDL."""
_REMARK = "LK001"
"""SQLSTATE of the notices that the files mean for the operator."""
_FILE_NAME = re.compile(r"\d{3}_[a-z0-9_]+\.sql")


def schema_files() -> dict[str, str]:
    """Return the DDL, file name to text, in the order in which it is applied.

    Raises
    ------
    FatalError
        The installation lacks its SQL files.
    """
    places: list[Traversable] = [
        resources.files("stac_rucio_sync") / "sql",  # in an installed wheel
        Path(__file__).parents[3] / "sql",  # in a checkout
    ]
    for place in places:
        if place.is_dir():
            files = sorted((file for file in place.iterdir() if _FILE_NAME.fullmatch(file.name)), key=lambda f: f.name)
            if files:
                return {file.name: file.read_text(encoding="utf-8") for file in files}
    raise FatalError("the SQL files of stac-rucio-sync are not where they were installed: install the package again")


def apply_schema(
    admin_url: str, *, views: bool = True, epn_schema: str = "epn", base_url: str | None = None
) -> list[str]:
    """Apply the DDL; what is there already stays, rows included.

    Parameters
    ----------
    admin_url
        ``postgresql://`` URL of a role that may create schemas and roles (and, where pgSphere is not in the database
        yet, extensions).
    views
        Make ``ivoa.obscore`` and ``epn_core``.
    epn_schema
        Schema of ``epn_core``.
    base_url
        Address of the services, for rows of metadata that name no ``access_url``. None: as it was.

    Returns
    -------
    list of str
        One sentence for each file, and one for each view that was left out because another server owns its place.

    Raises
    ------
    FatalError
        The server cannot be reached, or the role may not do this; nothing was changed.
    """
    done: list[str] = []
    remarks: list[str] = []

    def listen(notice: Diagnostic) -> None:
        if notice.sqlstate == _REMARK and notice.message_primary:
            remarks.append(notice.message_primary)

    files = schema_files()
    parsed(admin_url)
    try:
        connection = psycopg.connect(admin_url, client_encoding="utf-8", application_name="stac-rucio-sync db apply")
    except psycopg.Error as error:
        raise fatal_connection_error(error) from error
    with connection:
        connection.add_notice_handler(listen)
        at = "the lock"
        try:
            connection.execute("SET LOCAL lock_timeout = '30s'")
            connection.execute("SET LOCAL search_path = public")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPLY_LOCK])
            wishes = {
                "lake.views": "on" if views else "off",
                "lake.epn_schema": epn_schema,
                "lake.base_url": base_url or "",
            }
            for name, value in wishes.items():
                connection.execute("SELECT set_config(%s, %s, true)", [name, value])
            before = _applied(connection)
            for at, text in files.items():
                connection.execute(sql.SQL(text))
                done.append(f"{at}: {_record(connection, at, text, before)}")
        except psycopg.Error as error:
            raise _refused(at, connection.info.user, error) from error
    return done + remarks


def _refused(at: str, user: str, error: psycopg.Error) -> FatalError:
    """Return our error for what the server says of a file."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return UsageError(
            f"{at}: the role {user} may not do this ({error.diag.message_primary}): use the URL of "
            "a role that may create schemas, roles and the extension pg_sphere"
        )
    if isinstance(error, psycopg.errors.UndefinedFile):
        return FatalError(f"{at}: the server lacks pgSphere (Debian: postgresql-15-pgsphere): {error}")
    hint = ""
    if isinstance(error, psycopg.errors.InvalidFunctionDefinition) and re.search("commutator|negator", str(error)):
        hint = ": Debian 12's pgSphere wants a mend on the database's machine, see docs/database.md"
    return FatalError(f"{at} could not be applied, nothing was changed: {error}{hint}")


def schema_is_current(url: str) -> bool:
    """Say whether the database has had exactly these files applied.

    Parameters
    ----------
    url
        URL of any role that may read ``lake.schema_version``.

    Raises
    ------
    FatalError
        The server cannot be reached.
    """
    parsed(url)
    try:
        with psycopg.connect(url) as connection:
            applied = _applied(connection)
    except psycopg.OperationalError as error:
        raise fatal_connection_error(error) from error
    except psycopg.errors.InsufficientPrivilege:
        return False  # a schema of that name is there, and not for this role
    return applied == checksums()


def checksums() -> dict[str, str]:
    """Return what ``lake.schema_version`` holds where exactly these files were applied: file name to checksum."""
    return {name: _checksum(text) for name, text in schema_files().items()}


def _applied(connection: psycopg.Connection) -> dict[str, str]:
    there = connection.execute("SELECT to_regclass('lake.schema_version') IS NOT NULL").fetchone()
    if there is None or not there[0]:
        return {}
    return dict(connection.execute("SELECT file, checksum FROM lake.schema_version").fetchall())


def _record(connection: psycopg.Connection, name: str, text: str, before: dict[str, str]) -> str:
    checksum = _checksum(text)
    if before.get(name) == checksum:
        return "as it was"
    connection.execute(
        "INSERT INTO lake.schema_version (file, checksum) VALUES (%s, %s) "
        "ON CONFLICT (file) DO UPDATE SET checksum = EXCLUDED.checksum, applied_at = now()",
        [name, checksum],
    )
    return "changed" if name in before else "applied"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
