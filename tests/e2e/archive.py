"""A running archive for the tests of the services: synced rows of sky and Earth, and the real server process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
import requests

from stac_rucio_sync.demo.catalogue import ensure_catalogue
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX, Settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from tests.conftest import RunningLake
from tests.ports import free_port

ITEMS = 200
SCOPE = "vo"
SOURCE = "vo-services"
_START_SECONDS = 100.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Archive:
    """The services of a lake."""

    lake: RunningLake
    url: str
    """Base URL of the services, without a slash at its end."""
    settings: Settings
    items: tuple[dict[str, Any], ...]
    """The items that were synced: collections vo-images, vo-spectra, vo-cubes and vo-scenes."""
    log: Path
    """What the server said."""

    def get(self, path: str, **parameters: Any) -> requests.Response:
        """Ask for a resource; a parameter's value may be a list."""
        return requests.get(f"{self.url}{path}", params=parameters, timeout=60)

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Ask the database itself, past the services."""
        with psycopg.connect(self.settings.database_url()) as connection:
            return connection.execute(sql, arguments).fetchall()


@contextmanager
def running_archive(lake: RunningLake, folder: Path) -> Iterator[Archive]:
    """Sync a catalogue into the lake and serve it."""
    settings = lake.settings_with(identity={"scope": SCOPE})
    items = _synced_items(lake, settings, folder)
    log = folder / "serve.log"
    with served(lake, log) as url:
        yield Archive(lake, url, settings, items, log)


@contextmanager
def served(lake: RunningLake, log: Path, **variables: str) -> Iterator[str]:
    """Serve a lake by a process of its own, and yield its base URL.

    Parameters
    ----------
    lake
        The lake.
    log
        Where the server writes what it says.
    variables
        Settings, by the names of their variables without the prefix.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    with log.open("wb") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(lake.home), "serve", "--port", str(port)],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment | {ENVIRONMENT_PREFIX + name: value for name, value in variables.items()},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(server, url, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise


def _synced_items(lake: RunningLake, settings: Settings, folder: Path) -> tuple[dict[str, Any], ...]:
    """Sync the demo's catalogue under names of its own: the tests of the demo count what they find."""
    catalogue = ensure_catalogue(Path(lake.facts["origin_dir"]) / SCOPE, f"{lake.facts['origin_url']}/{SCOPE}", ITEMS)
    items = tuple(item | {"collection": item["collection"].replace("demo-", "vo-")} for item in catalogue.items)
    lines = folder / "items.ndjson"
    lines.write_bytes(b"\n".join(orjson.dumps(item) for item in items))
    tables = PostgresStore.open(settings.database_url())
    try:
        source = open_source(str(lines), name=SOURCE, options=ReadOptions())
        report = SyncJob(source, settings, tables, RucioStore(settings), SyncOptions()).run()
    finally:
        tables.close()
    assert report.added + report.unchanged == ITEMS, report
    return items


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        said = log.read_text(errors="replace")
        assert server.poll() is None, f"the server ended at once:\n{said}"
        assert time.monotonic() < deadline, f"the server does not answer after {_START_SECONDS:.0f} s:\n{said}"
        try:
            if requests.get(f"{url}/tap/availability", timeout=60).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
