"""What the services count of themselves, for Prometheus: requests, bytes, queries, rows.

Each process writes its figures to files of one folder, and whoever shows them sums them up; without a folder they stay
in the process. What the database knows better (jobs, the mirror's age) is asked there when it is shown.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client knows the folder."""


class Meters:
    """The figures of one process.

    Parameters
    ----------
    folder
        That the processes share. It is the same for all meters of a process, for prometheus_client knows only one.
    are_shown
        Whether anybody looks at them; otherwise requests are not counted, which would cost each some 40 µs.
    """

    def __init__(self, folder: Path | None = None, *, are_shown: bool = True) -> None:
        self.are_shown = are_shown
        if folder is not None:
            os.environ[FOLDER] = str(folder)
            values.ValueClass = values.MultiProcessValue()
        registry = CollectorRegistry()
        self.requests = Counter(
            "stac_rucio_sync_requests", "Requests that were answered", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "stac_rucio_sync_request_seconds",
            "Time of requests, until the last byte was taken",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.bytes = Counter("stac_rucio_sync_response_bytes", "Bytes of answers", ["route"], registry=registry)
        self.under_way = Gauge(
            "stac_rucio_sync_requests_under_way",
            "Requests that are being answered",
            ["route"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.running = Gauge(
            "stac_rucio_sync_queries_running",
            "Queries that the database is answering, those of jobs included",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.query_seconds = Histogram(
            "stac_rucio_sync_query_seconds",
            "Time of queries, until their last row was read",
            buckets=_SECONDS,
            registry=registry,
        )
        self.rows = Counter("stac_rucio_sync_rows", "Rows that the database gave to queries", registry=registry)
        self.registry = registry

    def query(self) -> QueryMeter:
        """Count a query that begins now."""
        return QueryMeter(self)


class QueryMeter:
    """The figures of one query."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._begun = monotonic()
        self._open = True
        meters.running.inc()

    def read(self, rows: int) -> None:
        """Count rows that came."""
        self._meters.rows.inc(rows)

    def end(self) -> None:
        """Count its end, once."""
        if self._open:
            self._open = False
            self._meters.running.dec()
            self._meters.query_seconds.observe(monotonic() - self._begun)
