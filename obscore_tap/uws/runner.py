"""Threads of one process that take jobs from the queue, run them, and clear away what is over."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg

from obscore_tap.refusals import Refusal, Unavailable
from obscore_tap.uws import claims
from obscore_tap.uws.execution import JobRun
from obscore_tap.uws.files import JobFiles
from obscore_tap.uws.kinds import JobKind
from obscore_tap.uws.model import Job, JobError, Phase
from obscore_tap.uws.store import CHANNEL, JobStore
from stac_rucio_sync.logs import about

LOG = logging.getLogger(__name__)

TICK: Final = 0.25
"""Seconds between two looks at the time that running jobs have left."""
SWEEP: Final = 15.0
"""Seconds between two looks for jobs that nobody runs any more, and for those whose destruction time has come."""
_POLL: Final = 5.0
"""A queue is looked at so often even if no notification came."""
_PAUSE: Final = 1.0
"""Before the database is asked again when it did not answer."""
_GRACE: Final = 10.0
"""Seconds after which a job that does not heed its cancellation is given up: its phase changes without it."""
ABANDONED: Final = "the process that ran the job has ended; run the query again"
FAILED: Final = "the service failed to run the job; its log says why"


class Runner:
    """Runs jobs of some kinds.

    Parameters
    ----------
    store
        The table of jobs.
    kinds
        By name.
    files
        The results folder.
    workers
        Jobs that this process runs at a time; those of one client are at most one less.
    changed
        Called with the id of each job whose phase changed, in any process.
    """

    def __init__(
        self,
        store: JobStore,
        kinds: Mapping[str, JobKind],
        files: JobFiles,
        workers: int,
        changed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._files = files
        self._changed = changed
        self._running: dict[str, JobRun] = {}
        self._each = max(1, workers - 1)
        """Jobs of one client that run at a time: a long one leaves a thread to whoever comes."""
        self._claiming = threading.Lock()
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._calls = 0
        targets = [self._listen, *[self._serve_queue] * workers]
        self._threads = [threading.Thread(target=target, daemon=True, name="uws") for target in targets]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self, seconds: float = 10.0) -> None:
        """Cancel what runs, which makes it an error, and wait for the threads to end."""
        self._stopping.set()
        for run in list(self._running.values()):
            run.cancel()
        self.wake()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def wake(self) -> None:
        """Have the queue looked at."""
        with self._work:
            self._calls += 1
            self._work.notify_all()

    # ------------------------------------------------------------------------------------------------------ workers

    def _serve_queue(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._store.connect() as connection:
                    self._take_jobs(connection)
            except psycopg.Error as error:
                LOG.warning("jobs: the database does not answer: %s", error)
                self._stopping.wait(_PAUSE)

    def _take_jobs(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stopping.is_set():
            calls = self._calls
            with self._claiming:  # or two threads would each take the last one that a client may have
                claimed = claims.claim(connection, self._kinds.keys(), self._busy_clients(), self._register)
            if claimed is None:
                with self._work:
                    self._work.wait_for(lambda: self._calls != calls or self._stopping.is_set(), _POLL)  # noqa: B023 - called here
                continue
            job, slot = claimed
            try:
                with about(f"job-{job.id[:6]}"):  # all of its id is a secret
                    self._run(connection, job)
            finally:
                self._running.pop(job.id, None)
            claims.release(connection, slot)

    def _busy_clients(self) -> list[str]:
        running = Counter(run.job.client for run in list(self._running.values()))
        return [client for client, number in running.items() if number >= self._each]

    def _register(self, job: Job) -> None:
        self._running[job.id] = JobRun(job, self._files, lambda *sizes: self._store.reserve(job.id, *sizes))

    def _run(self, connection: psycopg.Connection[Any], job: Job) -> None:
        run = self._running[job.id]
        phase, error = self._outcome(run)
        results = run.results if phase is Phase.COMPLETED else []
        try:
            counted = claims.finish(connection, job.id, phase, results, error)
        except psycopg.OperationalError:
            # The lock went with the connection. Unless another process has ended the job already, this one still can.
            with self._store.connect() as another:
                counted = claims.finish(another, job.id, phase, results, error)
        if not counted or phase is not Phase.COMPLETED:
            self._files.keep_only(job.id, [file.name for file in job.files])

    def _outcome(self, run: JobRun) -> tuple[Phase, JobError | None]:
        try:
            self._kinds[run.job.kind].run(run)
        except Exception as error:  # whatever goes wrong in a job is its error, never the worker's end
            if run.time_over:
                return Phase.ABORTED, JobError(_time_over(run.job), transient=False)
            if self._stopping.is_set():
                return Phase.ERROR, JobError(ABANDONED, transient=True)
            if isinstance(error, Refusal):
                return Phase.ERROR, JobError(str(error), transient=isinstance(error, Unavailable))
            if not run.cancelled:
                LOG.exception("job %s… failed", run.job.id[:6])
            return Phase.ERROR, JobError(FAILED, transient=True)
        return Phase.COMPLETED, None

    # ------------------------------------------------------------------------------------------------ notifications

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._store.connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.wake()
                    self._heed(connection)
            except psycopg.Error as error:
                LOG.warning("jobs: the database does not answer: %s", error)
                self._stopping.wait(_PAUSE)

    def _heed(self, connection: psycopg.Connection[Any]) -> None:
        swept = -SWEEP
        while not self._stopping.is_set():
            if time.monotonic() - swept >= SWEEP:
                self._sweep(connection)
                swept = time.monotonic()
            self._watch_time(connection)
            for notice in connection.notifies(timeout=TICK, stop_after=1):
                phase, _, job_id = notice.payload.partition(" ")
                self._note(phase, job_id)

    def _note(self, phase: str, job_id: str) -> None:
        if phase == "QUEUED":
            self.wake()
        run = self._running.get(job_id)
        if run is not None and phase in ("ABORTED", "GONE", "ERROR"):
            self._end(run)
        self._changed(job_id)

    def _end(self, run: JobRun, *, time_over: bool = False) -> None:
        try:
            run.cancel(time_over=time_over)
        except Exception:  # a callback of a job's own must not end this thread
            LOG.exception("job %s… could not be cancelled", run.job.id[:6])

    def _watch_time(self, connection: psycopg.Connection[Any]) -> None:
        for run in list(self._running.values()):
            if run.overdue >= 0:
                self._end(run, time_over=True)
            if run.overdue >= _GRACE:
                claims.finish(connection, run.job.id, Phase.ABORTED, (), JobError(_time_over(run.job), transient=False))

    def _sweep(self, connection: psycopg.Connection[Any]) -> None:
        for job_id, kept in claims.end_abandoned(connection, ABANDONED).items():
            LOG.warning("job %s… was abandoned by its process", job_id[:6])
            self._files.keep_only(job_id, kept)
        for job_id in claims.forget_expired(connection):
            self._files.remove(job_id)
        with suppress(OSError):  # another process clears the same folder
            old = list(self._files.old_folders())
            for job_id in set(old) - claims.known(connection, old):
                self._files.remove(job_id)
        for kind in self._kinds.values():
            try:
                kind.sweep()
            except Exception:  # what a kind clears away must not end this thread
                LOG.exception("what dead processes left of jobs of kind %s could not be cleared away", kind.name)


def _time_over(job: Job) -> str:
    return f"the job ran longer than its execution duration of {job.execution_duration} s"
