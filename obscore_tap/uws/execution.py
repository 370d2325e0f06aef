"""One run of a job: what the function that does the work is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from obscore_tap.refusals import Refusal, Unavailable
from obscore_tap.uws.files import JobFiles
from obscore_tap.uws.model import Job, Result

_STEP: Final = 64 * 2**20
"""Space is reserved in steps of so many bytes: one statement each, and so much is set aside too much at most."""

NO_SPACE: Final = (
    "the service has no space left for files of this job, which clients share, so that none has more than is left for "
    "others: delete jobs that are not needed any more, ask for less, or try again later"
)


class Cancelled(Refusal):
    """The job was aborted or destroyed, or its time is over."""


class JobRun:
    """A job that is being run.

    Parameters
    ----------
    job
        As it was when it was taken.
    files
        Where its files lie.
    reserve
        Sets aside space for all files of the job: the bytes that it needs at least, and those that it would like;
        returns those that it has then, 0 where there is no room.
    """

    def __init__(self, job: Job, files: JobFiles, reserve: Callable[[int, int], int]) -> None:
        self.job = job
        self.parameters = job.values()
        self.files = {file.label: files.path(job.id, file.name) for file in job.files}
        self.results: list[Result] = []
        self._files = files
        self._reserve = reserve
        self._taken = sum(file.bytes for file in job.files)
        self._reserved = self._taken
        self._deadline = time.monotonic() + job.execution_duration
        self._lock = threading.Lock()
        self._cancelled = False
        self._time_over = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def seconds(self) -> float:
        """Return what is left of the execution duration."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def overdue(self) -> float:
        """Return by how many seconds the execution duration is exceeded; negative before that."""
        return time.monotonic() - self._deadline

    @property
    def cancelled(self) -> bool:
        """Tell whether the run shall end: nobody waits for its results."""
        return self._cancelled

    @property
    def time_over(self) -> bool:
        """Tell whether the run was cancelled because its time was over."""
        return self._time_over

    def cancel(self, *, time_over: bool = False) -> None:
        """End the run from another thread, as soon as may be. Calls after the first do nothing."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            self._time_over = time_over
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    @contextmanager
    def cancelling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Have a function called, from another thread, when the run is cancelled inside the context.

        Raises
        ------
        Cancelled
            It is cancelled already.
        """
        with self._lock:
            if self._cancelled:
                raise Cancelled("the job was cancelled")
            self._callbacks.append(callback)
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def write(self, chunks: Iterable[bytes], *, mime: str, file_name: str, result_id: str = "result") -> None:
        """Write one result. It is seen when the job is COMPLETED.

        Parameters
        ----------
        chunks
            The bytes; memory holds one chunk at a time.
        mime
            Its media type.
        file_name
            What a browser shall save it as.
        result_id
            Its name in the list of results; TAP's only result is ``result`` (TAP 1.1 section 2.2).

        Raises
        ------
        Cancelled
            The run shall end.
        Unavailable
            The results of all jobs together would take more space than they may.
        """
        path = self._files.fresh(self.job.id)
        size = self._files.write(path, self._counted(chunks))
        self.results.append(Result(result_id, mime, size, path.name, file_name))

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._cancelled:
                raise Cancelled("the job was cancelled")
            self._taken += len(chunk)
            if self._taken > self._reserved:
                self._make_room()
            yield chunk

    def _make_room(self) -> None:
        granted = self._reserve(self._taken, self._taken + _STEP)
        if not granted:
            raise Unavailable(NO_SPACE)
        self._reserved = granted
