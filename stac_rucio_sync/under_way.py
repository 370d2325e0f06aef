"""Batches that workers do while the next ones are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field

from stac_rucio_sync.batch import BatchOutcome, BatchWork, Effects, PlanOnly
from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import Fate, ItemKey, ItemRead, Quarantined, Report

STOP_SECONDS = 5.0
"""How long batches that are under way may take to end after Ctrl-C. What is cut off then is done again, as after a
crash."""
_CUT_OFF = "under way when the run was stopped, and not counted: the next run does it"


@dataclass(slots=True)
class Taken:
    """A batch as it was read: what is decided already and what is left to do."""

    work: dict[ItemKey, tuple[ItemRead, str]] = field(default_factory=dict)
    """Items to be mapped, with their fingerprints."""
    before: dict[ItemKey, str | None] = field(default_factory=dict)
    """Fingerprints that stood before the run."""
    quarantined: list[Quarantined] = field(default_factory=list)
    fates: dict[ItemKey, Fate] = field(default_factory=dict)
    nameless: int = 0
    """Items that could not be named and are in quarantine by their position."""
    again: set[ItemKey] = field(default_factory=set)
    """Of the work: items that are as they were, and of which an origin did not tell a size before."""
    untold: int = 0
    """Items like these for which it is not time to ask again."""
    superseded: int = 0
    taken_back: list[Fate] = field(default_factory=list)
    """Fates of earlier batches that a later line of this read supersedes."""


class UnderWay:
    """The batches that are being done; no more are held than there are workers.

    Parameters
    ----------
    workers
        Their number.
    effects
        What is done to a batch.
    account
        Is told what became of each, in the thread of whoever waits for it.
    report
        Tells what a run that ends early leaves undone.
    """

    def __init__(
        self,
        workers: int,
        effects: Effects | PlanOnly,
        account: Callable[[Taken, BatchOutcome], None],
        report: Report,
    ) -> None:
        self._workers = workers
        self._effects = effects
        self._account = account
        self._report = report
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
        self._running: dict[Future[BatchOutcome], Taken] = {}

    def begin(self, taken: Taken, work: BatchWork) -> None:
        """Give a batch to a worker."""
        self._running[self._pool.submit(self._effects.apply, work, None)] = taken

    def has_any(self, keys: Iterable[ItemKey]) -> bool:
        """Tell whether one of some items is in a batch that is being done."""
        return any(key in taken.before for key in keys for taken in self._running.values())

    def make_room(self) -> None:
        """Wait until a worker is free."""
        while len(self._running) >= self._workers:
            self._collect()

    def drain(self) -> None:
        """Wait until all are done."""
        while self._running:
            self._collect()

    def wind_up(self, seconds: float | None = None) -> None:
        """Count what is under way when a run ends early; nothing new is begun, and the first error is the one told."""
        wait(self._running, timeout=seconds)
        for future, taken in self._running.items():
            if not future.done():
                self._report.remark(_CUT_OFF, len(taken.work))
            elif future.exception() is None:
                with suppress(FatalError):  # a full disk, after the batch is counted
                    self._account(taken, future.result())
        self._running.clear()

    def close(self) -> None:
        """Take no more batches; one that still waits for a server after Ctrl-C is not waited for."""
        self._pool.shutdown(wait=False)

    def _collect(self) -> None:
        done, _ = wait(self._running, return_when="FIRST_COMPLETED")
        for future in done:
            taken = self._running.pop(future)
            self._account(taken, future.result())
