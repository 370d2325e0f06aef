"""``/metrics``: the figures of all processes of the services, and what the database says of jobs and of the mirror.

It is a server of its own, in a process of its own: what is public and what is not stays apart, and a scrape waits for
no request of a user.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from obscore_tap.availability import our_checksums
from obscore_tap.refusals import Unavailable
from obscore_tap.uws import JobLimits
from obscore_tap.uws.store import JobStore
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.model import MirrorState
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.mirror import Mirror

LOG = logging.getLogger(__name__)
_PREFIX: Final = "stac_rucio_sync_"


def serve_figures(settings: Settings, folder: Path) -> None:
    """Show the figures until the process is ended.

    Parameters
    ----------
    settings
        With the host and port of the figures.
    folder
        That the processes of the services keep theirs in.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the server's main process ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with figures_server(settings, folder) as server:
        server.serve_forever()


def figures_server(settings: Settings, folder: Path) -> WSGIServer:
    """Return the server; it listens already.

    Raises
    ------
    OSError
        The port is taken.
    """
    registry = CollectorRegistry()
    registry.register(_Processes(folder))
    registry.register(Kept(settings))
    application = make_wsgi_app(registry)
    host, port = settings.metrics.host, settings.metrics.port or 0

    def only_figures(environ: dict[str, object], start_response: Callable[..., object]) -> object:
        if environ.get("PATH_INFO") == "/metrics":
            return application(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"the figures are at /metrics\n"]

    return make_server(host, port, only_figures, handler_class=_Quiet)  # type: ignore[arg-type] # the same


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of each scrape."""


class _Processes(Collector):
    """The sum over the processes; what is a state of a process that has died is left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._summed = MultiProcessCollector(CollectorRegistry(), str(folder))
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Give the figures."""
        with self._lock:
            pids = {int(path.stem.rpartition("_")[2]) for path in self._folder.glob("gauge_live*.db")}
            for pid in pids:
                if not _is_alive(pid):
                    mark_process_dead(pid, str(self._folder))
            yield from self._summed.collect()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Kept(Collector):
    """What the database keeps: whether it answers, whether its tables are ours, jobs, how old the mirror is."""

    def __init__(self, settings: Settings) -> None:
        reader, jobs = settings.database.reader_url, settings.database.jobs_url
        self._mirror = Mirror.open(reader.get_secret_value(), connections=1) if reader else None
        self._jobs = JobStore(jobs.get_secret_value(), JobLimits()) if jobs else None

    def collect(self) -> Iterator[Metric]:
        """Give the figures; those of what does not answer are missing, and ``database_up`` says so."""
        state, is_current, jobs, runs = None, None, None, None
        if self._mirror is not None:
            with suppress(SyncError):
                state = self._mirror.freshness()
                is_current = dict(self._mirror.applied()) == our_checksums()
                runs = self._mirror.runs()
        if self._jobs is not None:
            with suppress(Unavailable):
                jobs = self._jobs.counts()
        yield _gauge("database_up", "Whether the mirror's tables answer", float(state is not None))
        if is_current is not None:
            yield _gauge("schema_current", "Whether the tables are of this version", float(is_current))
        if jobs is not None:
            family = GaugeMetricFamily(f"{_PREFIX}jobs", "Jobs that are kept", labels=["kind", "phase"])
            for (kind, phase), count in jobs.items():
                family.add_metric([kind, phase], count)
            yield family
        if state is not None:
            yield from _ages(state, datetime.now(UTC))
        if runs is not None:
            yield from _of_runs(runs, datetime.now(UTC))


def _ages(state: MirrorState, now: datetime) -> Iterator[Metric]:
    if state.rucio_ok is not None:
        yield _gauge("rucio_up", "Whether Rucio answered the watcher when it was asked last", float(state.rucio_ok))
    if state.last_poll is not None:
        age = (now - state.last_poll).total_seconds()
        yield _gauge("watch_age_seconds", "Time since Rucio answered the watcher last", age)
    if state.last_full is not None:
        age = (now - state.last_full).total_seconds()
        yield _gauge("mirror_pass_age_seconds", "Time since a pass over all files of the mirror ended", age)
    if state.polled_to is not None:
        lag = (now - state.polled_to).total_seconds()
        yield _gauge("mirror_lag_seconds", "What changed in Rucio longer ago than this is in the mirror", lag)


def _of_runs(runs: Sequence[tuple[str, str, datetime | None]], now: datetime) -> Iterator[Metric]:
    says = "How the last run over a source ended; begun: it goes on, or was killed"
    outcomes = GaugeMetricFamily(f"{_PREFIX}sync_outcome", says, labels=["source", "outcome"])
    says = "Time since a run over a source came to its end"
    ages = GaugeMetricFamily(f"{_PREFIX}sync_age_seconds", says, labels=["source"])
    for source, outcome, ended in runs:
        outcomes.add_metric([source, outcome], 1.0)
        if ended is not None:
            ages.add_metric([source], (now - ended).total_seconds())
    yield from (outcomes, ages)


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, says, value=value)
