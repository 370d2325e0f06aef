"""What a job is (UWS 1.1 section 2.1), and what jobs may use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """The phases that a job of this service can be in; of the standard's others (HELD …) it makes no use."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"


ACTIVE: Final = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
"""Phases that a job can leave: only in these does a request with WAIT block (UWS 1.1 section 2.2.1.2)."""
PHASE_NAMES: Final = frozenset(
    {*(phase.value for phase in Phase), "HELD", "SUSPENDED", "UNKNOWN", "ARCHIVED"},
)
"""All words of the standard: a filter by one that does not occur here matches nothing, and is no error."""


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A parameter that came as a part of a multipart request (UWS 1.1 section 2.2.3.1.1)."""

    label: str
    mime: str
    bytes: int
    name: str
    """Of the file in the job's folder."""


@dataclass(frozen=True, slots=True)
class Result:
    """A result of a job that is completed."""

    id: str
    mime: str
    bytes: int
    name: str
    """Of the file in the job's folder."""
    file_name: str
    """What a browser shall save it as."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed."""

    message: str
    transient: bool
    """Whether the same job may succeed another time."""


@dataclass(frozen=True, slots=True)
class Job:
    """The state of one job. Times are in UTC."""

    id: str
    kind: str
    phase: Phase
    run_id: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    execution_duration: int
    """Seconds that it may run."""
    destruction: datetime
    parameters: tuple[tuple[str, str], ...] = ()
    files: tuple[InlineFile, ...] = ()
    results: tuple[Result, ...] = ()
    error: JobError | None = None
    client: str = ""
    """Of whose share it is (`client_network`)."""

    def values(self) -> dict[str, list[str]]:
        """Return the parameters by their names in capitals (DALI 1.1 section 3.1: names have no case)."""
        found: dict[str, list[str]] = {}
        for name, value in self.parameters:
            found.setdefault(name.upper(), []).append(value)
        return found


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What jobs may use. Seconds and bytes; a wish above a maximum gets the maximum."""

    execution: int = 3600
    """Execution duration of a job that wishes nothing."""
    max_execution: int = 14_400
    retention: int = 604_800
    """From a job's creation to its destruction, where nothing is wished."""
    max_retention: int = 2_592_000
    results_bytes: int = 10_000_000_000
    """All files of all jobs together; those of one client are never more than what is left."""
    max_jobs: int = 10_000
    """Jobs that are kept at a time; those of one client are never more than there are places left."""
    upload_bytes: int = 100_000_000
    """Inline files of one job."""
    parameter_bytes: int = 2_000_000
    """All parameters of one job, as text."""
    wait: float = 60.0
    """The longest that a request with WAIT blocks."""
    waiting: int = 8
    """Requests of one process that may block at a time; further ones are answered at once."""
