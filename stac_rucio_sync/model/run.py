"""How a run over a source ended, for whoever asks the next morning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.model.identity import JsonObject
from stac_rucio_sync.model.report import Report


class Outcome(StrEnum):
    """How the last run of a source ended, or that it has not."""

    NOT_RECORDED = "not recorded"
    """It ran by a version that kept no outcomes, or not at all."""
    RUNNING = "running"
    UNFINISHED = "unfinished"
    """It has begun, and nobody runs it any more: it was killed."""
    CLEAN = "clean"
    SOME_FAILED = "some failed"
    """It went to the end; items failed or are in quarantine."""
    STOPPED = "stopped"
    """By Ctrl-C or SIGTERM."""
    FAILED = "failed"
    """An error ended it."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run."""

    outcome: Outcome
    report: JsonObject
    error: str | None = None


def run_end(report: Report, error: BaseException | None) -> RunEnd:
    """Return how a run ended.

    Parameters
    ----------
    report
        What it did.
    error
        What it ended by before its time.
    """
    if error is None:
        outcome = Outcome.SOME_FAILED if report.failed or report.quarantined else Outcome.CLEAN
        return RunEnd(outcome, report.as_json())
    if isinstance(error, KeyboardInterrupt):
        return RunEnd(Outcome.STOPPED, report.as_json(), "stopped")
    said = str(error) if isinstance(error, SyncError) else f"{type(error).__name__}: {error}"
    return RunEnd(Outcome.FAILED, report.as_json(), said)
