"""Files that are to be asked for once more, because Rucio tells of things a moment before they are so.

The poller says ``transfer-done`` before the finisher makes the replica AVAILABLE, and the reaper ``deletion-done``
before it takes the replica out of the catalogue. Who asks at once is told how it was.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection

from stac_rucio_sync.model import Did

DELAYS = (1.0, 5.0, 20.0)
"""Seconds after an event at which its files are asked for again."""


class Repeats:
    """A timetable, shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = tuple(deque[tuple[float, frozenset[Did]]]() for _ in DELAYS)

    def add(self, files: Collection[Did]) -> None:
        """Note files that an event named now."""
        now = time.monotonic()
        with self._lock:
            for delay, waiting in zip(DELAYS, self._waiting, strict=True):
                waiting.append((now + delay, frozenset(files)))

    def due(self) -> set[Did]:
        """Take the files whose time has come."""
        now = time.monotonic()
        files: set[Did] = set()
        with self._lock:
            for waiting in self._waiting:
                while waiting and waiting[0][0] <= now:
                    files |= waiting.popleft()[1]
        return files

    def seconds_left(self) -> float | None:
        """Return how long it is until the next are due; None: there are none."""
        with self._lock:
            times = [waiting[0][0] for waiting in self._waiting if waiting]
        return max(0.0, min(times) - time.monotonic()) if times else None
