"""What end-to-end tests share: the services over an archive, and a lake on the trigger route."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from stac_rucio_sync.lake import Lake
from tests.conftest import RunningLake, running
from tests.e2e.annotated import stac_api
from tests.e2e.archive import Archive, running_archive
from tests.e2e.copies import Copies, copied_item
from tests.homes import session_home
from tests.ports import lake_ports


@contextmanager
def _another_lake(name: str, **options: Any) -> Iterator[RunningLake]:
    """Run a lake beside the session's."""
    usual = session_home()
    lake = Lake(usual.with_name(f"{usual.name}-{name}"))
    lake.reset()
    lake.up(ports=lake_ports(), **options)
    try:
        yield running(lake)
    finally:
        lake.reset()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """200 synced items, in tables that no other test writes to, and the server process that answers for them."""
    with _another_lake("archive") as lake, running_archive(lake, tmp_path_factory.mktemp("archive")) as running:
        yield running


@pytest.fixture(scope="session")
def archive_api(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A STAC API with the items of the archive."""
    folder = tmp_path_factory.mktemp("archive-api")
    lines = folder / "items.ndjson"
    lines.write_bytes(b"\n".join(orjson.dumps(item) for item in archive.items))
    with stac_api(lines, folder) as url:
        yield url


@pytest.fixture(scope="session")
def copies(archive: Archive) -> Copies:
    """An item of the archive with copies on three continents, of which the mirror knows."""
    return copied_item(archive)


@pytest.fixture(scope="module")
def trigger_lake() -> Iterator[RunningLake]:
    """A lake whose Rucio keeps metadata in PostgreSQL: another one than the session's, which keeps them as JSON."""
    with _another_lake("trigger", metadata="postgres") as lake:
        yield lake
