"""The values that are in the table, for the lists of options in SIA2's description of itself."""

from __future__ import annotations

import csv
import io
import logging
import threading
import time
from collections.abc import Mapping

from obscore_tap.adql.errors import AdqlError
from obscore_tap.query import Asked, Queries
from obscore_tap.refusals import Refusal
from obscore_tap.sia2.constraints import KINDS

_LOG = logging.getLogger(__name__)

COLUMNS = {
    "COLLECTION": "obs_collection",
    "FACILITY": "facility_name",
    "INSTRUMENT": "instrument_name",
    "FORMAT": "access_format",
}
KEPT_FOR = 600.0
"""Seconds: a collection that comes or goes is in the lists after this time."""
MOST_COMBINATIONS = 1000
MOST_OPTIONS = 100
"""A longer list is left out: half of one would say that the other half does not exist."""
PATIENCE = 5.0
"""Seconds that the database may take; responses without the lists are right as well."""


class KnownValues:
    """Remembers which values some columns hold.

    Parameters
    ----------
    queries
        Where the table is asked.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._known: Mapping[str, tuple[str, ...]] = {}
        self._until = float("-inf")
        self._lock = threading.Lock()

    def get(self) -> Mapping[str, tuple[str, ...]]:
        """Return the values by the name of the parameter that is compared with them.

        One request in ten minutes waits for the database; the others take what is known meanwhile.
        """
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._known = self._ask()
            except (Refusal, AdqlError) as error:
                _LOG.warning("the description of SIA2 goes without the lists of values: %s", error)
            finally:
                self._until = time.monotonic() + KEPT_FOR
                self._lock.release()
        return self._known

    def _ask(self) -> Mapping[str, tuple[str, ...]]:
        kinds = ", ".join(f"'{kind}'" for kind in KINDS)
        columns = ", ".join(COLUMNS.values())
        adql = f"SELECT DISTINCT {columns} FROM ivoa.obscore WHERE dataproduct_type IN ({kinds})"  # noqa: S608 - constants
        answer = self._queries.answer(adql, Asked(max_rows=MOST_COMBINATIONS, form="csv", timeout=PATIENCE))
        rows = list(csv.reader(io.StringIO(b"".join(answer.chunks).decode(), newline="")))[1:]
        if answer.ending.overflow:
            return {}
        found = {name: sorted({row[place] for row in rows} - {""}) for place, name in enumerate(COLUMNS)}
        return {name: tuple(values) for name, values in found.items() if 0 < len(values) <= MOST_OPTIONS}
