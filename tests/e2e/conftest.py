"""What end-to-end tests share: the services over an archive, and a lake on the trigger route."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stac_rucio_sync.lake import Lake, running_settings
from stac_rucio_sync.lake.home import default_home
from stac_rucio_sync.settings import load_settings
from tests.conftest import RunningLake
from tests.e2e.archive import Archive, running_archive


@pytest.fixture(scope="session")
def archive(lake: RunningLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """200 synced items and the server process that answers for them."""
    with running_archive(lake, tmp_path_factory.mktemp("archive")) as running:
        yield running


@pytest.fixture(scope="module")
def trigger_lake() -> Iterator[RunningLake]:
    """A lake whose Rucio keeps metadata in PostgreSQL: another one than the session's, which keeps them as JSON."""
    usual = Path(os.environ.get("STAC_RUCIO_SYNC_TEST_HOME", default_home().with_name("test-lake")))
    lake = Lake(usual.with_name(usual.name + "-trigger"))
    lake.reset()
    lake.up(metadata="postgres")
    home = lake.home.path
    try:
        yield RunningLake(lake, home, load_settings(lake_settings=running_settings(home)), lake.status())
    finally:
        lake.reset()
