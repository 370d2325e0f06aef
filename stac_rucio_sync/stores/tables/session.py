"""The edge to PostgreSQL: the pool, what its errors mean, and the one place where a failed call is tried again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
import sqlalchemy
from psycopg import errors
from sqlalchemy.pool import PoolProxiedConnection
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from stac_rucio_sync.errors import FatalError, RefusedError, SyncError, TransientError
from stac_rucio_sync.stores.tables.hosts import conninfo

LOG = logging.getLogger(__name__)
T = TypeVar("T")
Values = Sequence[Any] | Mapping[str, Any]
"""What the places of a statement stand for."""

RETRY_SECONDS = 60.0
"""How long a call is tried again: a server that restarts and recovers needs less."""
_STREAM_ROWS = 2000
_WHOLE_TABLES = "SET LOCAL enable_seqscan = on"
_BY_KEY = "SET enable_seqscan = off; SET jit = off"
"""Every statement of the store looks a batch of keys up. The planner knows nothing of temporary tables and of tables
that were empty a minute ago: left to itself it keeps plans that read whole tables for each batch."""

_FATAL = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
    errors.InsufficientPrivilege,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidPassword,
    errors.InvalidCatalogName,
)
_TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError)
_REFUSED = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.InternalError,  # pgSphere's own errors
    errors.CardinalityViolation,  # one key twice in a batch
)


def translated(error: psycopg.Error) -> SyncError:
    """Return our error for one of the driver."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, _FATAL):
        return FatalError(f"the database refuses: {text} (is its schema current? stac-rucio-sync db status)")
    if isinstance(error, errors.ReadOnlySqlTransaction):  # by one that answers until the new primary is found
        return TransientError(f"the database takes no writes now (is it a standby?): {text}")
    if isinstance(error, _TRANSIENT) or _is_of_libpq(error):
        return TransientError(f"the database does not answer: {text}")
    if isinstance(error, errors.UniqueViolation):
        return RefusedError(f"{error.diag.message_primary}: {error.diag.message_detail}")
    if isinstance(error, _REFUSED):
        return RefusedError(error.diag.message_primary or text)
    return FatalError(f"the database refuses: {text}")


def _is_of_libpq(error: psycopg.Error) -> bool:
    """Tell whether it was not the server that said so: libpq lost the connection, or the thread, in an answer."""
    return type(error) is psycopg.DatabaseError and error.sqlstate is None


def fatal_connection_error(error: psycopg.Error) -> FatalError:
    """Return the error for a database that cannot be connected to at all."""
    return FatalError(f"cannot connect to the database: {str(error).strip()}")


_DENIED = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|(?:role|database|file) .+ does not exist"
    r"|not permitted to log in|permission denied for database|invalid port number|invalid \S+ value"
)
"""What is said to whom it will not be said otherwise later: libpq hands down the server's words and no SQLSTATE."""


def _unconnected(error: psycopg.Error) -> SyncError:
    """Return the error for a first connection: transient, unless it is the log-in or the URL that is wrong."""
    fatal = fatal_connection_error(error)
    return fatal if _DENIED.search(str(error)) else TransientError(str(fatal))


class Sessions:
    """A pool of connections to one database.

    Parameters
    ----------
    url
        libpq URL; of several hosts, the primary is meant.
    size
        Connections that are kept.
    """

    def __init__(self, url: str, size: int = 4) -> None:
        self._conninfo = conninfo(url, "write", application_name="stac-rucio-sync", client_encoding="utf-8")
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=self._connect_pooled,
            pool_size=size,
            max_overflow=size,
            pool_pre_ping=True,
            use_native_hstore=False,
        )

    @classmethod
    def open(cls, url: str, *, table: str, lacking: str) -> Sessions:
        """Make the pool of a store, and see that its tables are there.

        Parameters
        ----------
        url
            ``postgresql://`` URL of a role that has ``lake_ingest``.
        table
            One that the store cannot do without.
        lacking
            What to say where it is not there.

        Raises
        ------
        TransientError
            The database does not answer.
        FatalError
            It refuses the log-in, or lacks the table.
        """
        sessions = cls(url)
        try:
            with sessions.connect() as connection:
                there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchall()[0][0]
        except psycopg.Error as error:
            raise _unconnected(error) from error
        if not there:
            raise FatalError(lacking)
        return sessions

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection outside the pool."""
        return psycopg.connect(self._conninfo)

    def _connect_pooled(self) -> psycopg.Connection[Any]:
        connection = self.connect()
        try:
            connection.execute(_BY_KEY)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close all idle connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[tuple[psycopg.Connection[Any], PoolProxiedConnection]]:
        """Lend a raw connection for one transaction: committed at the end, rolled back on any exception.

        Yields
        ------
        tuple
            The driver's connection, and the pool's, whose ``info`` lives as long as the connection.
        """
        pooled = self._engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)  # noqa: S101 - tells the type checker which driver it is
        try:
            yield connection, pooled
            connection.commit()
        except BaseException:
            if connection.closed:
                pooled.invalidate()
            else:
                with suppress(psycopg.Error):  # the first error is the one to tell
                    connection.rollback()
            raise
        finally:
            pooled.close()

    def rows(self, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, which is a transaction and a `call` of its own."""

        def read() -> list[tuple[Any, ...]]:
            with self.transaction() as (connection, _):
                return connection.execute(statement.encode(), values).fetchall()

        return self.call(read)

    def execute(self, statement: str, values: Values = (), *, patience: float | None = None) -> None:
        """Do one statement, which is a transaction and a `call` of its own."""

        def do() -> None:
            with self.transaction() as (connection, _):
                connection.execute(statement.encode(), values)

        self.call(do, patience=patience)

    def stream(self, statement: str, values: Values = (), *, whole_tables: bool = False) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one statement through a cursor in the server: memory does not grow with their number.

        What was yielded cannot be taken back, so there is no second try. ``whole_tables``: the statement reads them.
        """
        try:
            with self.transaction() as (connection, _):
                if whole_tables:
                    connection.execute(_WHOLE_TABLES)
                with connection.cursor(name="stream") as cursor:
                    cursor.itersize = _STREAM_ROWS
                    yield from cursor.execute(statement.encode(), values)
        except psycopg.Error as error:
            raise translated(error) from error

    def call(self, work: Callable[[], T], *, patience: float | None = None) -> T:
        """Do something that may be done twice, and try again while the database does not answer.

        Parameters
        ----------
        patience
            Seconds of trying; None: a minute.

        Raises
        ------
        TransientError
            It did not answer for so long.
        RefusedError, FatalError
            See `translated`; these are not tried again.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_delay(RETRY_SECONDS if patience is None else patience),
            wait=wait_exponential(multiplier=0.2, max=5.0),
            before_sleep=_tell,
            reraise=True,
        )
        for attempt in retrying:
            with attempt:
                return self._once(work)
        raise AssertionError("unreachable: the last attempt raises")

    def _once(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except psycopg.Error as error:
            raise translated(error) from error
        except sqlalchemy.exc.TimeoutError as error:
            raise TransientError(f"the database is busy: no connection of the pool came free ({error})") from error
        except UnicodeEncodeError as error:
            raise RefusedError(f"text that is no Unicode: {error}") from error
        except sqlalchemy.exc.DBAPIError as error:
            if isinstance(error.orig, psycopg.Error):
                raise translated(error.orig) from error
            raise


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    LOG.warning("%s; trying again in %.1f s", error, pause)
