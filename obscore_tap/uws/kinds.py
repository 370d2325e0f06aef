"""What the jobs of a list do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from obscore_tap.uws.execution import JobRun


def _accept_all(_parameters: Mapping[str, list[str]]) -> None:
    """Refuse nothing."""


def _nothing() -> None:
    """Have nothing to clear away."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """What a job list runs."""

    name: str
    run: Callable[[JobRun], None]
    """Does the work and writes the results; any exception makes the phase ERROR, and one that this service raises on
    purpose is shown to the job's owner."""
    error_document: Callable[[str], tuple[str, bytes]] = field(
        default=lambda message: ("text/plain; charset=utf-8", message.encode())
    )
    """MIME type and text of the error resource for a message."""
    check: Callable[[Mapping[str, list[str]]], None] = field(default=_accept_all)
    """Refuses parameters that no job may have, before they are kept. Names are in capitals."""
    repeatable: frozenset[str] = frozenset()
    """Names, in capitals, of parameters that a later request adds to; of any other the last value holds."""
    sweep: Callable[[], None] = field(default=_nothing)
    """Clears away what processes that died left of their work; called at the start and now and then."""
