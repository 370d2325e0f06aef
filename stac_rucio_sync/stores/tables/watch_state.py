"""What the watcher of Rucio knows of itself, in the one row of ``lake.mirror``, and the lock that keeps it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.tables.session import Sessions, translated

WATCH_LOCK = 0x57AC0003
"""Advisory lock of the one watcher of a database."""

_STANDING = "SELECT polled_to, last_full, turn_scope, turn_name FROM lake.mirror"
_WELL = """
    UPDATE lake.mirror SET last_poll = clock_timestamp(), rucio_said = NULL, rucio_ok = true,
        since = CASE WHEN rucio_ok THEN since ELSE clock_timestamp() END,
        polled_to = coalesce(%(polled_to)s, polled_to)
"""
_UNWELL = """
    UPDATE lake.mirror SET rucio_said = %s, rucio_ok = false,
        since = CASE WHEN NOT rucio_ok THEN since ELSE clock_timestamp() END
"""
_TURN = """
    UPDATE lake.mirror SET turn_scope = %(scope)s, turn_name = %(name)s
"""
_TURN_ENDED = """
    UPDATE lake.mirror SET last_full = clock_timestamp(), turn_scope = NULL, turn_name = NULL
"""

_TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"
_OWN_SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END_SESSION = """
    WITH own AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE (pid, backend_start) = (%s, %s))
    SELECT FROM own WHERE pg_terminate_backend(pid, 5000)
"""
"""Ended by the same role; returns a row when it is gone, after at most 5 seconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the watcher stands. Times are UTC; None: never, or not begun."""

    polled_to: datetime | None = None
    """By Rucio's clock: what changed before is in the mirror."""
    last_full: datetime | None = None
    """End of the last pass over all files."""
    turn: Did | None = None
    """The last file that the present pass has compared."""


class WatchState:
    """Reads and writes where the watcher stands; every call may be done twice.

    Parameters
    ----------
    sessions
        The pool.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def standing(self) -> Standing:
        """Return where the watcher stands."""
        for polled_to, last_full, scope, name in self._sessions.rows(_STANDING):
            return Standing(polled_to, last_full, None if name is None else Did(scope, name))
        return Standing()

    def well(self, polled_to: datetime | None = None) -> None:
        """Note that Rucio answered, and up to when, by its own clock, its changes are in the mirror."""
        self._note(_WELL, {"polled_to": polled_to})

    def unwell(self, said: str) -> None:
        """Note that Rucio does not answer, and what it says."""
        self._note(_UNWELL, [said.replace("\x00", " ")])  # which PostgreSQL holds in no text

    def event(self) -> None:
        """Note that events came."""
        self._note("UPDATE lake.mirror SET last_event = clock_timestamp()", [])

    def turn(self, last: Did) -> None:
        """Note up to which file the present pass has come."""
        self._note(_TURN, last._asdict())

    def turn_ended(self) -> None:
        """Note that a pass over all files has ended; the next one begins with the first."""
        self._note(_TURN_ENDED, [])

    @contextmanager
    def alone(self) -> Iterator[WatchLock]:
        """Be the one watcher.

        Raises
        ------
        UsageError
            There is another one.
        """
        lock = WatchLock(self._sessions)
        try:
            lock.hold()
            yield lock
        finally:
            lock.release()

    def _note(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> None:
        def note() -> None:
            with self._sessions.transaction() as (connection, _):
                connection.execute("INSERT INTO lake.mirror DEFAULT VALUES ON CONFLICT DO NOTHING")
                connection.execute(statement.encode(), values)

        self._sessions.call(note)


class WatchLock:
    """The lock of the one watcher, held by a connection of its own; a server that restarts drops it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._connection: psycopg.Connection[Any] | None = None
        self._session: Sequence[Any] = (None, None)
        """The server's process behind the connection, and when it began."""

    def hold(self) -> None:
        """Take the lock, or see that it is still held, and take it again where the server has dropped it.

        Raises
        ------
        UsageError
            Another watcher has it.
        TransientError
            The database does not answer.
        """
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self.release()
            else:
                return
        connection = self._sessions.call(self._sessions.connect)
        try:
            connection.autocommit = True
            taken = self._take(connection)
        except psycopg.Error as error:
            connection.close()
            raise translated(error) from error
        if not taken:
            connection.close()
            raise UsageError("another watcher of this database is running: one is enough")
        self._connection = connection

    def _take(self, connection: psycopg.Connection[Any]) -> bool:
        """Take the lock; from our own former session, too, if the server has not noticed that it lost us."""
        taken: bool = connection.execute(_TRY_LOCK, [WATCH_LOCK]).fetchall()[0][0]
        if not taken and connection.execute(_END_SESSION, self._session).fetchall():
            taken = connection.execute(_TRY_LOCK, [WATCH_LOCK]).fetchall()[0][0]
        if taken:
            (self._session,) = connection.execute(_OWN_SESSION).fetchall()
        return taken

    def release(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
