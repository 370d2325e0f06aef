"""The queue from the side of those that run jobs: taking one, ending it, and finding what others left behind.

A process holds a session-level advisory lock of each job that it runs. The lock goes with the process or its
connection, so whoever gets the lock of a job that is EXECUTING knows that nobody runs it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson
import psycopg
from psycopg import sql

from obscore_tap.uws.model import Job, JobError, Phase, Result
from obscore_tap.uws.store import CHANNEL, JOB_COLUMNS, JOB_LOCKS, job_of

_FILES_BYTES = "(SELECT coalesce(sum((file ->> 'bytes')::bigint), 0) FROM jsonb_array_elements(files) AS file)"


def claim(
    connection: psycopg.Connection[Any], kinds: Collection[str], but_of: Collection[str], taken: Callable[[Job], None]
) -> tuple[Job, int] | None:
    """Take the job whose turn it is, make it EXECUTING and hold its lock.

    Parameters
    ----------
    connection
        In autocommit mode; it keeps the lock until `release`.
    kinds
        What this process can run.
    but_of
        Clients whose jobs are left alone now.
    taken
        Called before anybody else can see that the job runs, so that no order to abort it is missed.

    Returns
    -------
    tuple or None
        The job and the number of its lock; None where no job waits.
    """
    waiting = (
        "SELECT id, slot FROM uws.job WHERE phase = 'QUEUED' AND kind = ANY (%s) AND client <> ALL (%s) "
        "AND destruction > clock_timestamp() ORDER BY turn, queued LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    begin = sql.SQL(
        "UPDATE uws.job SET phase = 'EXECUTING', started = clock_timestamp() WHERE id = %s "
        "RETURNING {}, pg_notify(%s, 'EXECUTING ' || id)"
    )
    with connection.transaction():
        found = connection.execute(waiting, [list(kinds), list(but_of)]).fetchone()
        if found is None:
            return None
        job_id, slot = found
        connection.execute("SELECT pg_advisory_lock(%s, %s)", [JOB_LOCKS, slot])
        row = connection.execute(begin.format(JOB_COLUMNS), [job_id, CHANNEL]).fetchone()
        assert row is not None  # noqa: S101 - the row is locked
        job = job_of(row)
        taken(job)
    return job, slot


def release(connection: psycopg.Connection[Any], slot: int) -> None:
    """Give the lock of a job back."""
    connection.execute("SELECT pg_advisory_unlock(%s, %s)", [JOB_LOCKS, slot])


def finish(
    connection: psycopg.Connection[Any],
    job_id: str,
    phase: Phase,
    results: Sequence[Result] = (),
    error: JobError | None = None,
) -> bool:
    """End a job that is EXECUTING; False where it was aborted or destroyed meanwhile."""
    query = (
        f"WITH done AS (UPDATE uws.job SET phase = %(phase)s, ended = clock_timestamp(), results = %(results)s::jsonb, "  # noqa: S608 - a constant
        f"bytes = {_FILES_BYTES} + %(bytes)s, error_message = %(message)s, error_transient = %(transient)s "
        "WHERE id = %(id)s AND phase = 'EXECUTING' RETURNING id, phase) "
        "SELECT pg_notify(%(channel)s, phase || ' ' || id) FROM done"
    )
    values = {
        "id": job_id,
        "phase": phase.value,
        "results": orjson.dumps(results).decode(),
        "bytes": sum(result.bytes for result in results),
        "message": error.message if error else None,
        "transient": error.transient if error else None,
        "channel": CHANNEL,
    }
    return connection.execute(query, values).rowcount == 1


def end_abandoned(connection: psycopg.Connection[Any], message: str) -> dict[str, list[str]]:
    """Turn jobs that are EXECUTING and that nobody runs into errors.

    Returns
    -------
    dict
        Their ids, each with the names of the files of its inline parameters, which stay.
    """
    query = (
        "WITH running AS MATERIALIZED (SELECT id, slot FROM uws.job WHERE phase = 'EXECUTING'), "  # noqa: S608 - a constant
        "abandoned AS MATERIALIZED (SELECT id FROM running WHERE pg_try_advisory_xact_lock(%s, slot)), "
        "ended AS (UPDATE uws.job SET phase = 'ERROR', ended = clock_timestamp(), error_message = %s, "
        f"error_transient = true, bytes = {_FILES_BYTES} "
        "WHERE phase = 'EXECUTING' AND id IN (SELECT id FROM abandoned) RETURNING id, files) "
        "SELECT id, files::text, pg_notify(%s, 'ERROR ' || id) FROM ended"
    )
    rows = connection.execute(query, [JOB_LOCKS, message, CHANNEL])
    return {row[0]: [file["name"] for file in orjson.loads(row[1])] for row in rows}


def forget_expired(connection: psycopg.Connection[Any]) -> list[str]:
    """Delete the jobs whose destruction time has come; return their ids."""
    query = (
        "WITH gone AS (DELETE FROM uws.job WHERE destruction <= clock_timestamp() RETURNING id) "
        "SELECT id, pg_notify(%s, 'GONE ' || id) FROM gone"
    )
    return [row[0] for row in connection.execute(query, [CHANNEL])]


def known(connection: psycopg.Connection[Any], ids: Sequence[str]) -> set[str]:
    """Return those of some ids that are of jobs."""
    query = "SELECT id FROM uws.job WHERE id = ANY (%s)"
    return {row[0] for row in connection.execute(query, [list(ids)])}
