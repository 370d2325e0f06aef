"""Jobs of a service: what the blueprint calls, over the table, the files and the threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from obscore_tap.refusals import NotFound, Refusal, TooLarge, Unavailable
from obscore_tap.uws.execution import NO_SPACE
from obscore_tap.uws.files import JobFiles
from obscore_tap.uws.kinds import JobKind
from obscore_tap.uws.model import ACTIVE, InlineFile, Job, JobLimits, Phase, Result
from obscore_tap.uws.runner import Runner
from obscore_tap.uws.store import JobStore

_CHUNK: Final = 2**18


@dataclass(frozen=True, slots=True)
class Part:
    """An inline parameter as a request brings it."""

    label: str
    mime: str
    stream: IO[bytes]


class Jobs:
    """All job lists of a service.

    Nothing is opened before `start`. A process that was forked from one that had started makes connections and threads
    of its own.

    Parameters
    ----------
    url
        libpq URL of a member of ``lake_jobs``.
    folder
        Of the files of jobs. Every process that uses the same database has the same folder.
    kinds
        What the job lists run.
    limits
        See `JobLimits`.
    workers
        Jobs that one process runs at a time; where there are several, one client's are not all of them.
    """

    def __init__(
        self, url: str, folder: Path, kinds: Sequence[JobKind], limits: JobLimits | None = None, workers: int = 2
    ) -> None:
        self.limits = limits or JobLimits()
        self.kinds: Mapping[str, JobKind] = {kind.name: kind for kind in kinds}
        self._url = url
        self._files = JobFiles(folder)
        self._workers = workers
        self._lock = threading.Lock()
        self._process = 0
        self._waiting: dict[str, list[threading.Event]] = {}
        self._store: JobStore
        self._runner: Runner

    def start(self) -> None:
        """Start running jobs in this process; nothing happens if it does already."""
        if self._process == os.getpid():
            return
        with self._lock:
            if self._process == os.getpid():
                return
            self._store = JobStore(self._url, self.limits)
            self._waiting = {}
            self._runner = Runner(self._store, self.kinds, self._files, self._workers, self._tell)
            self._runner.start()
            self._process = os.getpid()

    def close(self) -> None:
        """Stop running jobs; what runs becomes an error."""
        if self._process == os.getpid():
            self._process = 0
            self._runner.close()
            self._store.close()

    # ------------------------------------------------------------------------------------------------------ reading

    def get(self, kind: str, job_id: str) -> Job:
        """Return a job.

        Raises
        ------
        NotFound
            There is none of that id.
        """
        job = self._store.get(kind, job_id)
        if job is None:
            raise NotFound("there is no job of this id, or not any more")
        return job

    def listed(self, kind: str, phases: Sequence[str], after: datetime | None, last: int | None) -> list[Job]:
        """Return jobs, the newest first (UWS 1.1 section 2.2.2.1)."""
        return self._store.jobs(kind, phases, after, last)

    def changed(self, kind: str, job_id: str, seconds: float, phase: str | None) -> Job:
        """Return a job when its phase changes, or when the time is over (UWS 1.1 section 2.2.1.2).

        Parameters
        ----------
        kind, job_id
            Which.
        seconds
            How long to wait; negative: as long as may be.
        phase
            The phase that the client knows; where the job is in another one, it is returned at once.
        """
        most = self.limits.wait
        until = time.monotonic() + (most if seconds < 0 else min(seconds, most))
        with self._listening(job_id) as event:
            job = self.get(kind, job_id)
            known = phase or job.phase
            while event is not None and job.phase == known and job.phase in ACTIVE:
                left = until - time.monotonic()
                if left <= 0:
                    break
                event.wait(left)
                event.clear()
                job = self.get(kind, job_id)
        return job

    @contextmanager
    def _listening(self, job_id: str) -> Iterator[threading.Event | None]:
        event = threading.Event()
        with self._lock:
            if sum(map(len, self._waiting.values())) >= self.limits.waiting:
                event = None  # type: ignore[assignment]  # the caller is answered at once
            else:
                self._waiting.setdefault(job_id, []).append(event)
        try:
            yield event
        finally:
            if event is not None:
                with self._lock:
                    self._waiting[job_id].remove(event)
                    if not self._waiting[job_id]:
                        del self._waiting[job_id]

    def _tell(self, job_id: str) -> None:
        with self._lock:
            for event in self._waiting.get(job_id, ()):
                event.set()

    def file(self, job: Job, entry: Result | InlineFile) -> Path:
        """Return where a result or an inline parameter lies."""
        return self._files.path(job.id, entry.name)

    # ----------------------------------------------------------------------------------------------------- changing

    def create(
        self,
        kind: str,
        pairs: Sequence[tuple[str, str]],
        parts: Iterable[Part],
        *,
        client: str = "",
        execution_duration: int | None = None,
        destruction: datetime | None = None,
    ) -> Job:
        """Make a job that is PENDING; it is of the share of the client that is named.

        Raises
        ------
        Refusal
            Its parameters cannot be kept, or there is no room for it; nothing is left of it then.
        """
        duration = self.allowed_duration(execution_duration)
        job = self._store.create(kind, duration, destruction, client)
        try:
            self.add_parameters(job, pairs, parts)
        except BaseException:
            self.destroy(job)
            raise
        return job

    def add_parameters(self, job: Job, pairs: Sequence[tuple[str, str]], parts: Iterable[Part]) -> None:
        """Give parameters to a job that is PENDING.

        Raises
        ------
        Forbidden
            It is in another phase.
        TooLarge
            They are more than a job may have.
        """
        given = job.values()
        for name, value in pairs:
            given.setdefault(name, []).append(value)
        if sum(len(name) + len(value.encode()) for name, values in given.items() for value in values) > (
            self.limits.parameter_bytes
        ):
            raise TooLarge(
                f"the parameters of a job may have {self.limits.parameter_bytes} bytes; a part with a file name may "
                f"have {self.limits.upload_bytes}"
            )
        kind = self.kinds[job.kind]
        kind.check(given)
        files = self._keep(job, parts) if job.phase is Phase.PENDING else []
        self._store.add_parameters(job, pairs, files, kind.repeatable)

    def _keep(self, job: Job, parts: Iterable[Part]) -> list[InlineFile]:
        files: list[InlineFile] = []
        labels = {file.label for file in job.files}
        taken = sum(file.bytes for file in job.files)
        for part in parts:
            if part.label in labels:
                raise Refusal(f"the job has an inline parameter {part.label!r} already")
            labels.add(part.label)
            path = self._files.fresh(job.id)
            size = self._files.write(path, self._limited(part.stream, self.limits.upload_bytes - taken))
            taken += size
            files.append(InlineFile(part.label, part.mime, size, path.name))
        if files and not self._store.reserve(job.id, taken, taken):
            raise Unavailable(NO_SPACE)
        return files

    def _limited(self, stream: IO[bytes], most: int) -> Iterator[bytes]:
        while chunk := stream.read(_CHUNK):
            most -= len(chunk)
            if most < 0:
                raise TooLarge(f"the inline parameters of a job may have {self.limits.upload_bytes} bytes together")
            yield chunk

    def allowed_duration(self, wish: int | None) -> int:
        """Return the execution duration for a wish; 0 and what is above the maximum get the maximum."""
        limits = self.limits
        if wish is None:
            return limits.execution
        return min(wish, limits.max_execution) or limits.max_execution

    def set_execution_duration(self, job: Job, wish: int) -> None:
        """Set how many seconds a job may run, before it does."""
        self._store.set_execution_duration(job, self.allowed_duration(wish))

    def set_destruction(self, job: Job, wish: datetime) -> None:
        """Set when a job is destroyed."""
        self._store.set_destruction(job, wish)

    def run(self, job: Job) -> None:
        """Queue a job that is PENDING."""
        self._store.queue(job)
        self._runner.wake()

    def abort(self, job: Job) -> None:
        """Abort a job that has not ended; the process that runs it hears of it."""
        self._store.abort(job)

    def destroy(self, job: Job) -> None:
        """Forget a job and remove its files, aborting it first if it runs."""
        self._store.destroy(job.id)
        self._files.remove(job.id)
