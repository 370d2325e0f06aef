"""What becomes of what is taken into a catalogue, or out of it: one fate each, and the count of them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

NAMED = 1000
"""Failures that a report names; all are counted."""
BAD = ("failed", "withdrawn")
"""Fates of what is not where it was to be."""


@dataclass(frozen=True, slots=True)
class ProductFate:
    """What became of one product."""

    source: str
    id: str | None
    """None: it could not even be told what it is."""
    fate: str
    """``added``, ``modified``, ``unchanged``, ``removed``, ``failed``; ``withdrawn``: it was in one commit with
    another that failed."""
    path: str | None = None
    """Of its object in the catalogue."""
    commit: int | None = None
    """The number of the commit that it came with."""
    reason: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class IngestReport:
    """What became of all."""

    counts: Counter[str] = field(default_factory=Counter)
    """Products by fate."""
    failures: list[ProductFate] = field(default_factory=list)
    """The first that failed."""
    commits: int = 0
    warnings: list[str] = field(default_factory=list)
    """What went wrong although the commits stand (see `Repository.warnings`)."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed."""
        return not any(self.counts[fate] for fate in BAD)

    def take(self, fate: ProductFate) -> None:
        """Count a product."""
        self.counts[fate.fate] += 1
        if fate.fate in BAD and len(self.failures) < NAMED:
            self.failures.append(fate)
