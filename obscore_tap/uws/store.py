"""Jobs in PostgreSQL: the only SQL of table ``uws.job``."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import psycopg
import sqlalchemy
from psycopg import sql

from obscore_tap.refusals import Forbidden, TooMany, Unavailable
from obscore_tap.uws.model import InlineFile, Job, JobError, JobLimits, Phase, Result
from stac_rucio_sync.stores.tables.hosts import conninfo

CHANNEL: Final = "stac_rucio_sync_uws"
"""Notifications: the new phase of a job, or ``GONE``, and its id."""
JOB_LOCKS: Final = 0x0DB10B5
"""First number of the advisory locks of jobs that are running; the second is the job's slot."""

JOB_COLUMNS: Final = sql.SQL(
    "id, kind, phase, run_id, created, started, ended, execution_duration, destruction, parameters::text, files::text, "
    "results::text, error_message, error_transient, client"
)


class JobStore:
    """The table of jobs. Safe to share between threads; a connection is opened when it is first needed.

    Parameters
    ----------
    url
        libpq URL of a member of ``lake_jobs``; with several hosts, the primary is meant.
    limits
        See `JobLimits`.
    """

    def __init__(self, url: str, limits: JobLimits) -> None:
        self._conninfo = conninfo(url, "write", application_name="stac-rucio-sync jobs")
        self._limits = limits
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=self.connect,
            pool_size=4,
            max_overflow=12,
            pool_timeout=10,
            pool_pre_ping=True,
            use_native_hstore=False,
        )

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection outside the pool, in autocommit mode and in UTC."""
        return psycopg.connect(self._conninfo, autocommit=True, options="-c timezone=UTC -c jit=off")

    def close(self) -> None:
        """Close idle connections."""
        self._engine.dispose()

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            pooled = self._engine.raw_connection()
        except (psycopg.OperationalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise Unavailable("the database of jobs does not answer; try again later") from error
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)  # noqa: S101 - tells the type checker which driver it is
        try:
            yield connection
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise Unavailable("the database of jobs does not answer; try again later") from error
        finally:
            if connection.closed:
                pooled.invalidate()
            pooled.close()

    # ------------------------------------------------------------------------------------------------------ reading

    def get(self, kind: str, job_id: str) -> Job | None:
        """Return a job, unless there is none or its destruction time has come."""
        query = sql.SQL("SELECT {} FROM uws.job WHERE id = %s AND kind = %s AND destruction > clock_timestamp()")
        if "\0" in job_id:
            return None
        with self._session() as connection:
            row = connection.execute(query.format(JOB_COLUMNS), [job_id, kind]).fetchone()
        return None if row is None else job_of(row)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs are kept, by kind and phase.

        Raises
        ------
        Unavailable
            The database does not answer, or has no such table.
        """
        with self._session() as connection:
            try:
                found = connection.execute("SELECT kind, phase, count(*) FROM uws.job GROUP BY kind, phase").fetchall()
            except psycopg.errors.UndefinedTable as error:
                raise Unavailable("the database has no table of jobs") from error
        return {(kind, phase): count for kind, phase, count in found}

    def jobs(self, kind: str, phases: Sequence[str], after: datetime | None, last: int | None) -> list[Job]:
        """Return jobs of a list, the newest first, without their parameters (UWS 1.1 section 2.2.2.1).

        Parameters
        ----------
        kind
            Whose list.
        phases
            Of these phases; none named: of all.
        after
            Created after this time.
        last
            So many of the most recent.
        """
        query = """
            SELECT id, kind, phase, run_id, created, started, ended, execution_duration, destruction,
                '[]', '[]', '[]', NULL, NULL, client
            FROM uws.job
            WHERE kind = %(kind)s AND destruction > clock_timestamp()
                AND (%(phases)s::text[] IS NULL OR phase = ANY (%(phases)s))
                AND (%(after)s::timestamptz IS NULL OR created > %(after)s)
            ORDER BY created DESC LIMIT %(last)s
        """
        wishes = {"kind": kind, "phases": list(phases) or None, "after": after, "last": last}
        with self._session() as connection:
            return [job_of(row) for row in connection.execute(query, wishes)]

    # ----------------------------------------------------------------------------------------------------- changing

    def create(self, kind: str, execution_duration: int, destruction: datetime | None, client: str = "") -> Job:
        """Make a job without parameters.

        A client gets one as long as it has fewer than there are places left: alone it has half of them, and however
        many fill theirs, there is one for whoever comes.

        Raises
        ------
        TooMany
            The client has its share.
        Unavailable
            As many jobs are kept as the limits allow.
        """
        counted = "SELECT count(*) AS kept, count(*) FILTER (WHERE client = %(client)s) AS mine FROM uws.job"
        query = sql.SQL(
            "INSERT INTO uws.job (id, kind, execution_duration, destruction, client) "
            "SELECT %(id)s, %(kind)s, %(duration)s, "
            "least(coalesce(%(wish)s, clock_timestamp() + %(usual)s * interval '1 s'), "
            "clock_timestamp() + %(most)s * interval '1 s'), %(client)s "
            "FROM ({}) AS counted WHERE mine < %(jobs)s - kept RETURNING {}"
        )
        values = {
            "id": secrets.token_urlsafe(18),
            "kind": kind,
            "duration": execution_duration,
            "wish": destruction,
            "usual": self._limits.retention,
            "most": self._limits.max_retention,
            "jobs": self._limits.max_jobs,
            "client": client,
        }
        with self._session() as connection:
            row = connection.execute(query.format(sql.SQL(counted), JOB_COLUMNS), values).fetchone()
            if row is not None:
                return job_of(row)
            kept, mine = connection.execute(counted, values).fetchone() or (0, 0)
        if kept >= self._limits.max_jobs:
            raise Unavailable("the service keeps as many jobs as it may: delete some, or try again later")
        raise TooMany(
            f"{mine} jobs of this client are kept, and no more of them may be than places are left for others: delete "
            "some that are not needed any more, or try again later"
        )

    def add_parameters(
        self, job: Job, pairs: Sequence[tuple[str, str]], files: Sequence[InlineFile], repeatable: Collection[str]
    ) -> None:
        """Give parameters to a job that is pending.

        Names in ``repeatable`` are added to those that it has; others take the place of an earlier value.

        Raises
        ------
        Forbidden
            It is not pending any more.
        """
        query = """
            UPDATE uws.job SET
                files = files || %(files)s::jsonb,
                run_id = coalesce(%(run_id)s, run_id),
                parameters = coalesce((
                SELECT jsonb_agg(pair ORDER BY place)
                FROM jsonb_array_elements(parameters) WITH ORDINALITY AS listed (pair, place)
                WHERE pair ->> 0 <> ALL (%(replaced)s::text[])
            ), '[]') || %(pairs)s::jsonb
            WHERE id = %(id)s AND phase = 'PENDING'
        """
        values = {
            "id": job.id,
            "pairs": orjson.dumps(pairs).decode(),
            "files": orjson.dumps(files).decode(),
            "run_id": dict(pairs).get("RUNID"),
            "replaced": sorted({name for name, _ in pairs} - set(repeatable)),
        }
        self._change(query, values, "parameters can be given only while a job is PENDING")

    def queue(self, job: Job) -> None:
        """Put a pending job into the queue.

        Clients take turns, however many jobs each has there: a job's turn is the one that is running now, or the one
        after the client's last.
        """
        query = """
            WITH now AS (
                SELECT greatest(
                    coalesce(max(turn) FILTER (WHERE phase = 'EXECUTING'), min(turn), 0),
                    max(turn) FILTER (WHERE client = %(client)s) + 1
                ) AS turn
                FROM uws.job WHERE phase IN ('QUEUED', 'EXECUTING')
            ), queued AS (
                UPDATE uws.job SET phase = 'QUEUED', queued = clock_timestamp(), turn = now.turn FROM now
                WHERE id = %(id)s AND phase = 'PENDING' RETURNING id
            )
            SELECT pg_notify(%(channel)s, 'QUEUED ' || id) FROM queued
        """
        values = {"id": job.id, "client": job.client, "channel": CHANNEL}
        self._change(query, values, "only a job that is PENDING can be run")

    def abort(self, job: Job) -> None:
        """Abort a job that has not ended."""
        query = (
            "WITH aborted AS (UPDATE uws.job SET phase = 'ABORTED', ended = clock_timestamp() "
            "WHERE id = %s AND phase IN ('PENDING', 'QUEUED', 'EXECUTING') RETURNING id) "
            "SELECT pg_notify(%s, 'ABORTED ' || id) FROM aborted"
        )
        self._change(query, [job.id, CHANNEL], "only a job that is PENDING, QUEUED or EXECUTING can be aborted")

    def set_execution_duration(self, job: Job, seconds: int) -> None:
        """Set how long a job may run, before it does."""
        query = "UPDATE uws.job SET execution_duration = %s WHERE id = %s AND phase IN ('PENDING', 'QUEUED')"
        self._change(query, [seconds, job.id], "the execution duration can be changed only before a job runs")

    def set_destruction(self, job: Job, wish: datetime) -> None:
        """Set when a job is destroyed, within the longest time from now."""
        query = (
            "UPDATE uws.job SET destruction = least(%s, clock_timestamp() + %s * interval '1 s') "
            "WHERE id = %s RETURNING id"
        )
        self._change(query, [wish, self._limits.max_retention, job.id], "the job is gone")

    def _change(self, query: str, values: Sequence[Any] | Mapping[str, Any], otherwise: str) -> None:
        with self._session() as connection:
            if connection.execute(query, values).rowcount == 0:
                raise Forbidden(otherwise)

    def destroy(self, job_id: str) -> None:
        """Forget a job."""
        query = (
            "WITH gone AS (DELETE FROM uws.job WHERE id = %s RETURNING id) "
            "SELECT pg_notify(%s, 'GONE ' || id) FROM gone"
        )
        with self._session() as connection:
            connection.execute(query, [job_id, CHANNEL])

    # -------------------------------------------------------------------------------------------------------- space

    def reserve(self, job_id: str, least: int, wish: int) -> int:
        """Set aside space for a job: ``wish`` bytes, or less where others could not begin any more.

        What a client has is never more than what is left, as with jobs. Reservations are made one at a time, so that
        the limits hold however many jobs write at once.

        Returns
        -------
        int
            Bytes that the job has now; 0 where there is no room for ``least``, and nothing was changed then.
        """
        query = """
            UPDATE uws.job SET bytes = least(%(wish)s, %(least)s + (room - %(least)s) / 8) FROM (
                SELECT (%(most)s - coalesce(sum(bytes), 0) - coalesce(sum(bytes) FILTER (
                    WHERE client = (SELECT client FROM uws.job WHERE id = %(id)s)
                ), 0)) / 2 AS room
                FROM uws.job WHERE id <> %(id)s
            ) AS others
            WHERE id = %(id)s AND room >= %(least)s RETURNING bytes
        """
        values = {"id": job_id, "least": least, "wish": wish, "most": self._limits.results_bytes}
        with self._session() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", [JOB_LOCKS])
            row = connection.execute(query, values).fetchone()
        return 0 if row is None else int(row[0])


def job_of(row: Sequence[Any]) -> Job:
    """Return the job in a row of `JOB_COLUMNS`."""
    message, transient, client = row[12:15]
    return Job(
        id=row[0],
        kind=row[1],
        phase=Phase(row[2]),
        run_id=row[3],
        created=row[4].astimezone(UTC),
        started=row[5],
        ended=row[6],
        execution_duration=row[7],
        destruction=row[8],
        parameters=tuple((name, value) for name, value in orjson.loads(row[9])),
        files=tuple(InlineFile(**file) for file in orjson.loads(row[10])),
        results=tuple(Result(**result) for result in orjson.loads(row[11])),
        error=None if message is None else JobError(message, bool(transient)),
        client=client,
    )
