"""Connections that only read, kept between questions, each with its statements planned once.

A statement is one call of libpq: it takes the interpreter's lock once and waits without it, where a cursor takes it for
every step. That is a quarter of the time of a request for links.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Final, cast

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from stac_rucio_sync.stores.tables.hosts import SEVERAL_SECONDS, conninfo, is_loss, is_routed
from stac_rucio_sync.stores.tables.session import translated

Row = tuple[Any, ...]

# All statements look keys up that come once, and planning one takes longer than running it: each is planned once a
# connection.
_SESSION: Final = """
    SET default_transaction_read_only = on; SET jit = off; SET enable_seqscan = off;
    SET plan_cache_mode = force_generic_plan; SET enable_memoize = off; SET statement_timeout = '30s'
"""


class _Reader:
    """A connection."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True)
        try:
            self._connection.execute(_SESSION)
        except BaseException:
            self._connection.close()
            raise
        self._pgconn = self._connection.pgconn
        self._transformer = Transformer.from_context(self._connection)
        self._names: dict[bytes, bytes] = {}
        self.made = monotonic()

    def ask(self, statement: bytes, parameters: Sequence[str | Sequence[str]]) -> list[Row]:
        name = self._names.get(statement)
        if name is None:
            name = b"asked_%d" % len(self._names)
            _see(self._pgconn.prepare(name, statement), ExecStatus.COMMAND_OK)
            self._names[statement] = name
        transformer = self._transformer
        values = transformer.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters))  # none of them is a null
        result = self._pgconn.exec_prepared(name, cast(Sequence[Buffer], values))
        _see(result, ExecStatus.TUPLES_OK)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def is_idle(self) -> bool:
        return self._pgconn.transaction_status == TransactionStatus.IDLE

    def close(self) -> None:
        self._connection.close()


def _see(result: PGresult, wanted: ExecStatus) -> None:
    """Raise what the server said instead of answering; a result without its words tells that it is gone."""
    if result.status != wanted:
        error = error_from_result(result)
        raise error if error.sqlstate else psycopg.OperationalError(str(error))


class Readers:
    """Connections to one database, shared by the threads of a process.

    Parameters
    ----------
    url
        libpq URL of a role that reads; with several hosts, a standby is preferred.
    connections
        Connections that are kept. There are as many as threads ask at a time.
    application
        What they are called in the server's views.
    """

    def __init__(self, url: str, connections: int, application: str) -> None:
        self._conninfo = conninfo(url, "read", application_name=application, client_encoding="utf-8")
        self._longest = SEVERAL_SECONDS if is_routed(url) else inf
        self._connections = connections
        self._idle: list[_Reader] = []

    def close(self) -> None:
        """Close all idle connections."""
        with suppress(IndexError):  # threads may take the last one
            while True:
                self._idle.pop().close()

    def ask(self, statement: bytes, parameters: Sequence[str | Sequence[str]] = ()) -> list[Row]:
        """Return the rows of a statement; asked once more, on a new connection, where one is lost.

        Nobody has seen anything of the first answer then.

        Parameters
        ----------
        statement
            With ``$1``, ``$2`` … for parameters, which it casts to their types.
        parameters
            Texts, or lists of them.

        Raises
        ------
        TransientError
            The database does not answer.
        FatalError
            It refuses.
        """
        try:
            reader = self._kept() or _Reader(self._conninfo)
            try:
                return self._ask(reader, statement, parameters)
            except psycopg.OperationalError as error:
                if not is_loss(error):
                    raise
            self.close()  # the others lead to the same server
            return self._ask(_Reader(self._conninfo), statement, parameters)
        except psycopg.Error as error:
            raise translated(error) from error

    def _ask(self, reader: _Reader, statement: bytes, parameters: Sequence[str | Sequence[str]]) -> list[Row]:
        try:
            return reader.ask(statement, parameters)
        finally:
            if reader.is_idle() and len(self._idle) < self._connections:
                self._idle.append(reader)
            else:
                reader.close()

    def _kept(self) -> _Reader | None:
        while self._idle:
            with suppress(IndexError):  # another thread took it
                reader = self._idle.pop()
                if monotonic() - reader.made < self._longest:
                    return reader
                reader.close()
        return None
