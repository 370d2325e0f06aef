"""Uploaded tables in the database, for as long as their query runs.

Each request that brings tables has a number; it stands in the tables' names, and the connection that loaded them holds
the advisory lock of that number until they are dropped. Tables whose lock can be had are of a process that died.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Final

import psycopg
import sqlalchemy
from psycopg import sql

from obscore_tap.refusals import Refusal, TooLarge, Unavailable
from obscore_tap.schema import Column, Table
from obscore_tap.uploads.cells import Value, copy_writer
from obscore_tap.uploads.fields import Field, with_unicode
from obscore_tap.uploads.requests import Upload, UploadLimits, requested
from obscore_tap.uploads.source import Budget, opened
from obscore_tap.uploads.votable import VOTableReader, cell_refusal
from stac_rucio_sync.stores.tables.hosts import conninfo

LOG = logging.getLogger(__name__)

SCHEMA: Final = "tap_upload"
"""In the database; queries call it TAP_UPLOAD."""
UPLOAD_LOCKS: Final = 0x0DB10B6
"""First number of the advisory locks of requests whose tables are loaded."""
_PATIENCE: Final = "3s"
"""A table of a dead process may still be read: the server sees within two seconds that nobody waits for the query."""
_BATCH: Final = 2**17
_READY: Final = """
    SELECT NOT pg_is_in_recovery() AND (SELECT count(*) FROM uws.job WHERE false) = 0
        AND has_sequence_privilege('tap_upload.request', 'USAGE')"""
_TABLE: Final = re.compile(r"u(\d+)_\d+")
_AT_CELL: Final = re.compile(r"line (\d+)(?:, column c(\d+))?")


class Uploads:
    """Loads tables of requests.

    Parameters
    ----------
    url
        libpq URL of a member of ``lake_jobs``; with several hosts, the primary is meant.
    limits
        See `UploadLimits`.
    reader
        The role that queries run as.
    """

    def __init__(self, url: str, limits: UploadLimits, reader: str = "lake_query") -> None:
        self._conninfo = conninfo(url, "write", application_name="stac-rucio-sync uploads")
        self._limits = limits
        self._reader = reader
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=4,
            max_overflow=28,
            pool_timeout=10,
            pool_pre_ping=True,
            use_native_hstore=False,
        )

    def _connect(self) -> psycopg.Connection[Any]:
        # A table that is still being read is not waited for: whoever sweeps next drops it.
        options = "-c timezone=UTC -c datestyle=ISO,YMD -c lock_timeout=10s"
        return psycopg.connect(self._conninfo, autocommit=True, options=options)

    def close(self) -> None:
        """Close idle connections."""
        self._engine.dispose()

    def check(self) -> None:
        """See that the database of uploads and jobs takes new ones.

        Raises
        ------
        Unavailable
            It does not.
        """
        with self._session() as connection:
            try:
                row = connection.execute(_READY).fetchone()
            except psycopg.Error as error:
                raise Unavailable("their tables do not answer") from error
            if row is None or not row[0]:
                raise Unavailable("the database that answers takes no writes")

    def requested(self, values: Sequence[str], parts: Mapping[str, IO[bytes]]) -> tuple[Upload, ...]:
        """Return what the values of UPLOAD mean (see `requests.requested`)."""
        return requested(values, parts, self._limits)

    @contextmanager
    def loaded(self, uploads: Sequence[Upload]) -> Iterator[tuple[Table, ...]]:
        """Load tables, and drop them at the end of the context.

        Yields
        ------
        tuple of Table
            What the query of the request may name beside the published tables.

        Raises
        ------
        Refusal
            A table cannot be had or read; the text names it, the row and the column.
        TooLarge
            There is more than the limits allow.
        Unavailable
            The database does not answer.
        """
        with self._session() as connection:
            row = connection.execute(
                "SELECT number, pg_advisory_lock(%s, number) "
                "FROM (SELECT nextval('tap_upload.request')::integer AS number OFFSET 0) AS taken",
                [UPLOAD_LOCKS],
            ).fetchone()
            assert row is not None  # noqa: S101 - a SELECT without FROM a table has one row
            number = int(row[0])
            names = [f"u{number}_{place}" for place in range(len(uploads))]
            try:
                budget = Budget(self._limits)
                with _told(), connection.transaction():
                    tables = tuple(
                        self._load(connection, name, upload, budget)
                        for name, upload in zip(names, uploads, strict=True)
                    )
                yield tables
            finally:
                _drop(connection, names, number)

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            pooled = self._engine.raw_connection()
        except (psycopg.OperationalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise Unavailable("the database of uploads does not answer; try again later") from error
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)  # noqa: S101 - tells the type checker which driver it is
        try:
            yield connection
        finally:
            if connection.closed:
                pooled.invalidate()
            pooled.close()

    # ------------------------------------------------------------------------------------------------------- loading

    def _load(self, connection: psycopg.Connection[Any], name: str, upload: Upload, budget: Budget) -> Table:
        try:
            with opened(upload, self._limits, budget) as pieces:
                columns = self._copy(connection, name, pieces)
        except (Refusal, psycopg.DataError, psycopg.InternalError) as error:
            raise _about(upload, error) from error
        place = sql.Identifier(SCHEMA, name)
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(place, sql.Identifier(self._reader)))
        connection.execute(sql.SQL("ANALYZE {}").format(place))  # else a join is planned without knowing its size
        return Table("TAP_UPLOAD", upload.name, (SCHEMA, name), columns)

    def _copy(self, connection: psycopg.Connection[Any], name: str, pieces: Iterator[bytes]) -> tuple[Column, ...]:
        reader = VOTableReader(self._limits.columns)
        until = time.monotonic() + self._limits.seconds
        waiting: list[list[Value]] = []
        for piece in pieces:
            waiting.extend(reader.feed(piece))
            if reader.begun:
                break
        else:
            reader.end()
        place = sql.Identifier(SCHEMA, name)
        shape = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(field.column.sql), sql.SQL(field.column.datatype.value))
            for field in reader.fields
        )
        connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} ({})").format(place, shape))
        lines = _Lines(reader.fields, self._limits.rows)
        with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(place)) as copy:
            copy.write(lines.of(waiting))
            for piece in pieces:
                copy.write(lines.of(reader.feed(piece)))
                if time.monotonic() > until:
                    raise Refusal(f"reading it takes longer than {self._limits.seconds:g} s")
            reader.end()
        return lines.columns()

    # ------------------------------------------------------------------------------------------------------ sweeping

    def sweep(self) -> None:
        """Drop the tables of processes that died.

        Raises
        ------
        Unavailable
            The database does not answer.
        """
        with self._session() as connection, _told():
            _sweep(connection)


class _Lines:
    """Rows as lines of COPY."""

    def __init__(self, fields: Sequence[Field], most: int) -> None:
        self._fields = fields
        self._writers: list[Callable[[Value], str]] = [copy_writer(field) for field in fields]
        self._most = most
        self._count = 0
        self._wide = [False] * len(fields)
        self._narrow = [place for place, field in enumerate(fields) if field.is_text and not field.column.unicode]

    def of(self, rows: Iterator[list[Value]] | Sequence[list[Value]]) -> str:
        """Return the lines of some rows."""
        lines: list[str] = []
        for row in rows:
            self._count += 1
            if self._count > self._most:
                raise TooLarge(f"it has more than {self._most} rows")
            for place in self._narrow:
                value = row[place]
                if isinstance(value, str) and not value.isascii():
                    self._wide[place] = True
            try:
                cells = [write(value) for write, value in zip(self._writers, row, strict=True)]
            except ValueError:
                raise self._refusal(row) from None
            lines.append("\t".join(cells))
        return "\n".join(lines) + "\n" if lines else ""

    def _refusal(self, row: Sequence[Value]) -> Refusal:
        for field, write, value in zip(self._fields, self._writers, row, strict=True):
            try:
                write(value)
            except ValueError as error:
                return cell_refusal(self._count, field, value, error)
        raise AssertionError("a row that could not be written can be written")

    def columns(self) -> tuple[Column, ...]:
        """Return the columns, with what the rows told of them."""
        return tuple(
            with_unicode(field.column) if wide else field.column
            for field, wide in zip(self._fields, self._wide, strict=True)
        )


def _about(upload: Upload, error: Exception) -> Refusal:
    """Return a refusal that names the table."""
    if isinstance(error, Refusal):
        told = type(error)(f"uploaded table {upload.name}: {error}")
        told.status = error.status
        return told
    assert isinstance(error, psycopg.Error)  # noqa: S101 - the only other kind that is caught
    where = _AT_CELL.search(error.diag.context or "")
    at = f"row {where[1]}{f', column {where[2]}' if where[2] else ''}: " if where else ""
    return Refusal(f"uploaded table {upload.name}: {at}{error.diag.message_primary or 'it cannot be loaded'}")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise Unavailable("the database of uploads does not answer; try again later") from error


def _drop(connection: psycopg.Connection[Any], names: Sequence[str], number: int) -> None:
    try:
        for name in names:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, name)))
        connection.execute("SELECT pg_advisory_unlock(%s, %s)", [UPLOAD_LOCKS, number])
    except psycopg.Error as error:
        LOG.warning("uploaded tables of request %s are left to the next sweep: %s", number, error)
        connection.close()  # and with it goes the lock


def _sweep(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'tap_upload'::regnamespace AND relkind = 'r'"
    ).fetchall()
    tables: dict[int, list[str]] = {}
    for (name,) in found:
        if matched := _TABLE.fullmatch(name):
            tables.setdefault(int(matched[1]), []).append(name)
    for number, names in tables.items():
        with suppress(psycopg.errors.LockNotAvailable), connection.transaction():  # else the next sweep has them
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [_PATIENCE])
            free = connection.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [UPLOAD_LOCKS, number]).fetchone()
            for name in names if free == (True,) else ():
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, name)))
