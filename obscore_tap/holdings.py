"""What the archive holds, counted beside the requests: on a large table that takes a while."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from obscore_tap.query import Asked, Queries
from obscore_tap.refusals import Refusal
from stac_rucio_sync.errors import SyncError

_FRESH_SECONDS: Final = 60.0
"""How long counts are shown before they are counted again."""
_RESTS: Final = 20.0
"""Times as long as it took, nothing is counted again: a page may take a twentieth of the database's time."""
_AGAIN_SECONDS: Final = 5.0
"""After a count that failed."""
_COUNT_SECONDS: Final = 600.0
"""What one query of a count may take."""
_FIRST_PATIENCE, _PATIENCE = 2.0, 0.2
"""Seconds that a page waits for a count: the first one, and one that has older figures to show."""
_ROWS: Final = 200

_COLLECTIONS = """\
SELECT obs_collection, COUNT(*) AS products, MIN(t_min) AS first_mjd, MAX(t_max) AS last_mjd
FROM ivoa.obscore GROUP BY obs_collection ORDER BY products DESC, obs_collection"""
_SITES = """\
SELECT e.rse, e.site, e.rse_type, COUNT(r.name) AS replicas
FROM lake.rse AS e LEFT JOIN lake.replica AS r ON r.rse = e.rse AND r.state = 'AVAILABLE'
GROUP BY e.rse, e.site, e.rse_type ORDER BY replicas DESC, e.rse"""
_PRODUCTS = "SELECT COUNT(*) AS products FROM ivoa.obscore"
_FILES = "SELECT COUNT(*) AS files, SUM(bytes) AS bytes FROM lake.file"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the archive holds, counted now and then."""

    collections: list[dict[str, str]] = field(default_factory=list)
    sites: list[dict[str, str]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    products: int = 0
    is_counted: bool = True
    """False: the first count is not over yet."""

    @property
    def unlisted(self) -> int:
        """Return the number of data products in collections that the page has no room for."""
        return self.products - sum(int(row["products"]) for row in self.collections)


class Counter:
    """Has the archive counted, one count at a time, while requests go on with what was counted last.

    Parameters
    ----------
    count
        Counts; None where the database does not answer.
    """

    def __init__(self, count: Callable[[], Holdings | None]) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._last: Holdings | None = Holdings(is_counted=False)
        self._due = float("-inf")
        self._counting: threading.Event | None = None

    def holdings(self) -> Holdings | None:
        """Return what was counted last; None where the database did not answer."""
        with self._lock:
            if self._counting is None and time.monotonic() >= self._due:
                self._counting = threading.Event()
                threading.Thread(target=self._have_counted, args=(self._counting,), daemon=True).start()
            counting, last = self._counting, self._last
        if counting is None:
            return last
        counting.wait(_FIRST_PATIENCE if last is None or not last.is_counted else _PATIENCE)
        return self._last

    def _have_counted(self, over: threading.Event) -> None:
        began = time.monotonic()
        found: Holdings | None = None
        try:
            found = self._count()
        finally:
            now = time.monotonic()
            with self._lock:
                self._last, self._counting = found, None
                rest = _AGAIN_SECONDS if found is None else max(_FRESH_SECONDS, _RESTS * (now - began))
                self._due = now + rest
            over.set()


def count(queries: Queries) -> Holdings | None:
    """Count what the archive holds by its own query path; None where the database does not answer."""
    try:
        collections, sites = _rows(queries, _COLLECTIONS), _rows(queries, _SITES)
        (files,), (counted,) = _rows(queries, _FILES), _rows(queries, _PRODUCTS)
    except (Refusal, SyncError):
        return None
    size = int(files["bytes"] or 0)
    return Holdings(collections, sites, int(files["files"]), size, int(counted["products"]))


def _rows(queries: Queries, query: str) -> list[dict[str, str]]:
    answer = queries.answer(query, Asked(max_rows=_ROWS, form="csv", timeout=_COUNT_SECONDS))
    return list(csv.DictReader(b"".join(answer.chunks).decode().splitlines()))
