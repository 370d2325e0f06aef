"""What a run knows of the servers that it asks: which are given up, and which are worth waiting for."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass

STRIKES = 5
"""After so many requests in a row that failed with all their tries, an origin is asked no more in this run."""


@dataclass(slots=True)
class _Standing:
    """Of one origin; moments are of the monotonic clock, None: never, or not now."""

    strikes: int = 0
    answered: float | None = None
    """The last answer, whatever it said."""
    away_since: float | None = None
    """The first try after it that met no server."""


class Servers:
    """Servers by origin; safe to share between threads."""

    def __init__(self) -> None:
        self._standing: defaultdict[str, _Standing] = defaultdict(_Standing)
        self._lock = threading.Lock()

    def gave_up(self, origin: str) -> bool:
        """Tell whether an origin is asked no more, having failed too often in a row."""
        with self._lock:
            return self._standing[origin].strikes >= STRIKES

    def answered(self, origin: str) -> None:
        """Note that an origin is there."""
        with self._lock:
            self._standing[origin] = _Standing(answered=time.monotonic())

    def away(self, origin: str) -> None:
        """Note that a try met no server."""
        with self._lock:
            standing = self._standing[origin]
            standing.away_since = standing.away_since or time.monotonic()

    def failed(self, origin: str) -> None:
        """Note that a request failed with all its tries."""
        with self._lock:
            self._standing[origin].strikes += 1

    def worth_waiting(self, origin: str, since: float, seconds: float) -> bool:
        """Tell whether an origin that answered before is away, and has been for less than some seconds.

        Where it answered others ``since`` a request began to fail, that failure is the request's own.
        """
        with self._lock:
            standing = self._standing[origin]
            if standing.answered is None or standing.away_since is None:
                return False
            return standing.answered < since and time.monotonic() - standing.away_since < seconds
