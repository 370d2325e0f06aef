"""The real servers that tests share: one embedded lake for the whole session, made afresh and taken down at its end."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from stac_rucio_sync.lake import Lake, running_settings
from stac_rucio_sync.settings import Settings, load_settings
from tests.disk import spare_the_disk
from tests.homes import session_home
from tests.ports import lake_ports

SHARED = Path(__file__).parents[2] / "shared" / "data"

# The same examples in every run, however busy the machine is; `make test-examples` looks for others.
hypothesis_settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("steady", hypothesis_settings.get_profile("exploring"), derandomize=True)
hypothesis_settings.load_profile("steady")

LONGEST_FIRST = ("e2e", "rucio", "lake", "postgres", "consistency", "cluster", "catalog")


def pytest_configure() -> None:
    """Let the servers, which root starts as another user, read what tests write, whatever the caller's umask."""
    os.umask(0o022)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share the files, begin with those that take long: the last ones are done side by side."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@dataclass(frozen=True)
class RunningLake:
    """The session's lake and how to reach it."""

    lake: Lake
    home: Path
    settings: Settings
    facts: dict[str, Any]
    """What `Lake.status` says: ports, URLs, folders."""

    def settings_with(self, **flags: Any) -> Settings:
        """Return the lake's settings with some sections changed."""
        return load_settings(lake_settings=running_settings(self.home), flags=flags)


def running(lake: Lake) -> RunningLake:
    """Return a lake that has come up."""
    home = lake.home.path
    settings = load_settings(lake_settings=running_settings(home))
    assert settings.database.admin_url is not None
    spare_the_disk(settings.database.admin_url.get_secret_value())
    return RunningLake(lake, home, settings, lake.status())


@pytest.fixture(scope="session")
def lake() -> Iterator[RunningLake]:
    """The embedded lake: PostgreSQL, Rucio, file servers, daemons."""
    embedded = Lake(session_home())
    embedded.reset()
    embedded.up(ports=lake_ports())
    try:
        yield running(embedded)
    finally:
        embedded.down()


@pytest.fixture
def scope() -> str:
    """A Rucio scope that no other test uses."""
    return "t" + uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def real_items() -> Path:
    """The folder of real STAC items; tests that read them are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real STAC items is not beside this checkout")
    return SHARED
