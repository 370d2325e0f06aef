"""The database as the services see it: pooled read-only connections, and queries whose rows come in batches.

A query is one message of the extended protocol, which takes one statement only, and its rows come by libpq's chunked
rows: no transaction block, no cursor and no other round trip, and nothing of Python runs for a single row.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from obscore_tap.meters import Meters
from obscore_tap.refusals import Failed, Refusal, Unavailable
from obscore_tap.results.writer import ROW_BYTES, Batch
from stac_rucio_sync.stores.tables.hosts import SEVERAL_SECONDS, conninfo, is_loss, is_routed

LOG = logging.getLogger(__name__)

CHUNK_ROWS = 32
"""Rows that libpq gathers before it gives them out: larger ones are no faster, and come later."""
BATCH_ROWS = 512
BATCH_BYTES = 4_000_000
BATCH_SECONDS = 0.01
"""Rows are given on when so many have come, or so long after the first of them: what a batch costs on its way out is
shared by its rows."""
_TOO_LONG: Any = (None,)
"""What stands for a row that is longer than it may be."""
_GRACE_SECONDS = 10.0
"""A server that is still silent so long after its own time-out is gone."""
_CANCEL_SECONDS = 5.0
_SESSION = """
    SET default_transaction_read_only = on; SET client_encoding = 'UTF8'; SET jit = off;
    SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET client_connection_check_interval = '2s'
"""
"""Set once a connection. Compiling the wide rows of results would cost more than it saves; and a query ends soon
after the process that asked it died."""

_Cancel = Callable[[], None]


class QueryTimeout(Refusal):
    """The query took longer than it may."""


class ConnectionLost(Unavailable):
    """The server went away with the query: on another connection it may be answered."""


class Database:
    """A database as one role.

    Parameters
    ----------
    url
        libpq URL; with several hosts, a standby is preferred.
    connections
        How many queries run at a time.
    wait
        Seconds that a query waits for one of them.
    application
        How the server's own views name the connections.
    meters
        Where queries and their rows are counted.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 8,
        wait: float = 10.0,
        application: str = "stac-rucio-sync services",
        meters: Meters | None = None,
    ) -> None:
        self._conninfo = conninfo(url, "read", application_name=application)
        self._lost = 0.0
        """When a connection was lost: those that are older may be so, too, and nobody has noticed."""
        self._meters = meters or Meters(are_shown=False)
        self._pool = QueuePool(
            self._connect,  # type: ignore[arg-type] # SQLAlchemy's protocol of the DBAPI is stricter than what it needs
            pool_size=connections,
            max_overflow=0,
            timeout=wait,
            reset_on_return=None,  # there is no transaction to end
            use_lifo=True,
            recycle=SEVERAL_SECONDS if is_routed(url) else -1,
        )

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        connection.execute(_SESSION)
        connection.adapters.register_loader("text", ByteaBinaryLoader)  # a row's bytes need no decoding
        return connection

    def query(self, statement: str, timeout: float, started: Callable[[_Cancel], None] | None = None) -> Rows:
        """Start a query, and return when the database has answered with its first rows.

        Where the connection is lost before that, the query is asked once more on a new one, which leads to another
        server where the URL names several: nobody has seen anything of the first answer, and a SELECT changes nothing.

        Parameters
        ----------
        statement
            One SELECT of our own making, whose columns are texts or bytes: they come as bytes, and are counted.
        timeout
            Seconds that it may take, its reader's time included.
        started
            Is given, before the statement is sent, a function that cancels it from any thread; once more, another
            one, where the query is asked again.

        Raises
        ------
        Refusal
            The query is at fault (400), or the database cannot answer now (`Unavailable`), or we are at fault
            (`Failed`).
        """
        began = monotonic()
        try:
            return self._asked(statement, timeout, started)
        except ConnectionLost:
            self._lost = monotonic()
            if self._lost - began >= timeout:
                raise
        return self._asked(statement, timeout, started)

    def _asked(self, statement: str, timeout: float, started: Callable[[_Cancel], None] | None) -> Rows:
        pooled = self._live_connection()
        rows = Rows(pooled, timeout, self._meters)
        try:
            if started is not None:
                started(rows.cancel)
            rows.send(statement)
        except BaseException:
            rows.close()
            raise
        return rows

    def _live_connection(self) -> PoolProxiedConnection:
        """Return a connection that the server has not closed; whether it has shows on the socket, without asking."""
        while True:
            try:
                pooled = self._pool.connect()
            except PoolTimeoutError as error:
                raise Unavailable("too many queries are running; try again in a moment") from error
            except psycopg.Error as error:
                LOG.warning("cannot connect to the database: %s", error)
                raise Unavailable("the database does not answer; try again in a moment") from error
            is_newer = pooled.info.setdefault("made", monotonic()) > self._lost
            if is_newer and not _has_news(_driver(pooled).pgconn.socket):
                return pooled
            pooled.invalidate()

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.dispose()


class Rows:
    """A running query. Iterating gives its rows in batches; they must be read to their end or closed."""

    def __init__(self, pooled: PoolProxiedConnection, timeout: float, meters: Meters) -> None:
        self._pooled = pooled
        self._meter = meters.query()
        self._timeout = timeout
        self._connection = _driver(pooled)
        self._pgconn = self._connection.pgconn
        self._loaders = Transformer(self._connection)
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._lock = threading.Lock()
        self._open = True
        self._first: list[tuple[bytes, ...]] = []
        self.finished = False
        """Whether there are no more rows than those that were given."""

    def send(self, statement: str) -> None:
        """Send the query and wait for its first rows."""
        milliseconds = max(1, round(self._timeout * 1000))
        if self._pooled.info.get("statement_timeout") != milliseconds:
            with _translated(self._timeout):
                self._connection.execute(f"SET statement_timeout = {milliseconds}".encode())
            self._pooled.info["statement_timeout"] = milliseconds
        with _translated(self._timeout):
            self._pgconn.send_query_params(statement.encode(), None, result_format=pq.Format.BINARY)
            self._pgconn.set_chunked_rows_mode(CHUNK_ROWS)
            while self._pgconn.flush():
                self._wait(select.POLLIN | select.POLLOUT)
        self._first = self._next_rows()

    def __iter__(self) -> Iterator[Batch]:
        """Give batches of what has arrived; `finished` is set as soon as it is known that a batch is the last.

        Raises
        ------
        Refusal
            As `Database.query` does; the query is over then.
        """
        batch, self._first = self._first, []
        while True:
            if batch:
                self._meter.read(len(batch))
                yield batch
            if self.finished:
                return
            batch = self._next_rows()

    def _next_rows(self) -> list[tuple[bytes, ...]]:
        """Wait for rows, and return those and all that come soon after them."""
        found: list[tuple[bytes, ...]] = []
        size, until = 0, 0.0
        with _translated(self._timeout):
            while len(found) < BATCH_ROWS and size < BATCH_BYTES:
                if not found:
                    while self._pgconn.is_busy():
                        self._wait(select.POLLIN)
                    until = monotonic() + BATCH_SECONDS
                elif not self._arrives(until):
                    break
                result = self._pgconn.get_result()
                if result is None:
                    self._finish()
                    break
                rows = self._loaded(result)
                size += sum(map(len, chain.from_iterable(rows)))
                found += rows
        return found

    def _loaded(self, result: pq.abc.PGresult) -> list[tuple[bytes, ...]]:
        if result.status not in {pq.ExecStatus.TUPLES_CHUNK, pq.ExecStatus.TUPLES_OK}:
            raise errors.error_from_result(result)
        self._loaders.set_pgresult(result)
        rows: list[tuple[bytes, ...]] = self._loaders.load_rows(0, result.ntuples, tuple)
        if _TOO_LONG in rows:
            raise Refusal(f"a row of the result has more than {ROW_BYTES} bytes: gather less into one value")
        return rows

    def _wait(self, events: int) -> None:
        self._poll.modify(self._pgconn.socket, events)
        if not self._poll.poll((self._timeout + _GRACE_SECONDS) * 1000):
            raise psycopg.OperationalError("the server is silent")
        self._pgconn.consume_input()

    def _arrives(self, until: float) -> bool:
        """Return whether there is a result before that time."""
        while self._pgconn.is_busy():
            if not self._poll.poll(max(0.0, until - monotonic()) * 1000):
                return False
            self._pgconn.consume_input()
        return True

    def cancel(self) -> None:
        """End the query, from any thread; once it is over this does nothing."""
        with self._lock:
            if self._open and not self.finished:
                with suppress(psycopg.Error):  # a server that is gone runs nothing
                    self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def _finish(self) -> None:
        """Give the connection back: it has nothing more to say of this query."""
        with self._lock:
            self.finished = True
            if self._open:
                self._open = False
                self._meter.end()
                self._pooled.close()

    def close(self) -> None:
        """End the query where it is not over yet; its connection is not used again."""
        self.cancel()
        with self._lock:
            if self._open:
                self._open = False
                self._meter.end()
                self._pooled.invalidate()


class _translated:  # noqa: N801 - reads as a word of the language
    """Turns the driver's errors into answers."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, psycopg.Error):
            raise refusal_of(error, self._timeout) from error


def refusal_of(error: psycopg.Error, timeout: float) -> Refusal:
    """Return what a request gets to hear of an error of the database.

    Parameters
    ----------
    error
        The driver's.
    timeout
        Seconds that the query was allowed.
    """
    state = error.sqlstate or ""
    text = error.diag.message_primary or str(error).strip()
    if isinstance(error, errors.QueryCanceled):
        if "statement timeout" in text:
            return QueryTimeout(
                f"the query took longer than {timeout:g} s; ask for less, or run it asynchronously with a longer "
                "EXECUTIONDURATION"
            )
        return Refusal("the query was cancelled")
    if state == "53400":  # configuration_limit_exceeded
        return Refusal(f"the query needs more space than it may have: {text}")
    if state[:2] in {"0A", "21", "22", "54"} or state == "XX000":
        # What PostgreSQL has no way to compute, values, complexity; pgSphere's own errors.
        told = "a value in it is longer than 1 GB" if text.startswith("invalid memory alloc") else text
        return Refusal(f"the query cannot be evaluated: {told}")
    if not state or state[:2] in {"08", "40", "53", "57"}:
        lost = is_loss(error)
        LOG.log(logging.WARNING if lost else logging.ERROR, "the database does not answer: %s", error)
        told = "the database cannot answer now; try again in a moment"
        if isinstance(error, errors.OutOfMemory):
            told = "the database lacks the memory that the query needs: gather less into one value, or try again later"
        return ConnectionLost(told) if lost else Unavailable(told)
    LOG.error("the database refuses a query that was translated: %s %s", state, error)
    return Failed("the service could not run the query: the database refused what it was translated to")


def _driver(pooled: PoolProxiedConnection) -> psycopg.Connection[Any]:
    connection = pooled.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 - tells the type checker which driver it is
    return connection


def _has_news(socket: int) -> bool:
    """Return whether an idle connection has something to read: the server has closed it, or is about to."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
