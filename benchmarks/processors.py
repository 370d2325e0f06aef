"""What processes take of the processors: a figure that other work on the machine spoils less than any time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Places in proc(5)'s stat, behind the name of the program."""


def with_children(pid: int) -> Iterator[int]:
    """Yield a process and all that it started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from with_children(int(child))


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the seconds that processes have taken so far, of users and of the system."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[_USER]) + int(fields[_SYSTEM])
    return ticks / _TICKS


def precise_processor_seconds(pid: int) -> float:
    """Return the seconds that a process of one thread has taken so far, by the nanoseconds of ``schedstat``."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
