"""How figures are taken and shown: in turns, by medians, as ratios."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    wanted: float
    unit: str
    detail: str
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of what is wanted."""
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "MISSED"
        return f"{self.name:44} {self.value:12,.3g} {self.unit:22} ({sign} {self.wanted:,g}: {verdict})  {self.detail}"


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


Way = Callable[[int], float]
"""One way of a work: takes the number of the round and returns seconds."""


def in_turns(rounds: int, ours: Way, bare: Way) -> tuple[list[float], list[float]]:
    """Time two ways of one work in turns, so that both meet the same machine; the first round warms up.

    Parameters
    ----------
    rounds
        Counted rounds.
    ours, bare
        The two ways.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        # Whoever comes second finds warmer caches: take turns in that, too.
        order = ((0, ours), (1, bare)) if number % 2 else ((1, bare), (0, ours))
        for index, way in order:
            taken = way(number)
            if number:
                times[index].append(taken)
    return times


def ratio_of(ours: list[float], bare: list[float]) -> float:
    """Return the median over the rounds of how fast ours is against the bare way (1: as fast)."""
    return median(other / one for one, other in zip(ours, bare, strict=True))
