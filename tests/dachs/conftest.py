"""Opt-in: these tests need DaCHS, which `make test-dachs` brings; they set up one of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pyvo
import requests
from psycopg.conninfo import make_conninfo

from stac_rucio_sync.lake import Lake, running_settings
from stac_rucio_sync.settings import load_settings
from tests.conftest import RunningLake
from tests.dachs.comparing import TABLES
from tests.dachs.server import Dachs
from tests.e2e.archive import Archive, running_archive
from tests.homes import session_home
from tests.ports import free_port

OPT_IN = "STAC_RUCIO_SYNC_DACHS"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies in this folder, with the reason, unless it is asked for."""
    if os.environ.get(OPT_IN) == "1":
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="opt-in: make test-dachs"))


@dataclass(frozen=True)
class FrontEnds:
    """The same rows behind two servers."""

    archive: Archive
    dachs: Dachs

    @property
    def ours(self) -> Any:
        return pyvo.dal.TAPService(f"{self.archive.url}/tap")

    @property
    def theirs(self) -> Any:
        return pyvo.dal.TAPService(f"{self.dachs.url}/tap")

    def descriptor(self, *options: str) -> bytes:
        """Run our command as an operator does."""
        command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(self.archive.lake.home), "dachs-rd"]
        environment = os.environ | {"STAC_RUCIO_SYNC_SERVICES__BASE_URL": self.archive.url}
        return subprocess.run([*command, *options], env=environment, capture_output=True, check=True, timeout=60).stdout

    def admin(self) -> psycopg.Connection:
        url = self.archive.settings.database.admin_url
        assert url is not None
        return psycopg.connect(url.get_secret_value(), autocommit=True)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """200 synced items, one of them with a circle for its region, and our services."""
    usual = session_home()
    lake = Lake(usual.with_name(f"{usual.name}-dachs"))
    lake.reset()
    lake.up()
    home = lake.home.path
    try:
        settings = load_settings(lake_settings=running_settings(home))
        running = RunningLake(lake, home, settings, lake.status())
        with running_archive(running, tmp_path_factory.mktemp("archive")) as served:
            yield served
    finally:
        lake.reset()


@pytest.fixture(scope="session")
def front_ends(archive: Archive) -> Iterator[FrontEnds]:
    """A DaCHS in the database of the archive, set up as docs/dachs.md says: views, and a copy beside them."""
    found = FrontEnds(archive, Dachs(archive.lake.home.with_name(f"{archive.lake.home.name}-server"), free_port()))
    with found.admin() as connection:
        connection.execute(
            "UPDATE lake.obscore SET s_polygon = NULL, s_bound = '{10, 10, 1}', s_region = 'CIRCLE ICRS 10 10 1' "
            "WHERE obs_publisher_did = (SELECT max(obs_publisher_did) FROM lake.obscore WHERE s_polygon IS NOT NULL)"
        )
        connection.execute("DROP SCHEMA ivoa CASCADE")
        info = connection.info
        who = {"user": info.user, "password": info.password}
        found.dachs.make(make_conninfo(host=info.host, port=info.port, dbname=info.dbname, **who))
        found.dachs("imp", "//obscore")
        for _ in range(2):
            connection.execute(found.descriptor("--owner-sql"))
    found.dachs.descriptor(found.descriptor(), "stac_lake")
    found.dachs("imp", "stac_lake/q")
    _copy(found)
    with found.dachs.serving():
        yield found
    shutil.rmtree(found.dachs.folder)


def _copy(front_ends: FrontEnds) -> None:
    """Have DaCHS import what our TAP gives."""
    folder = front_ends.dachs.descriptor(front_ends.descriptor("--copy", "--schema", "copied"), "copied") / "data"
    folder.mkdir()
    for name, table in TABLES.items():
        asked = {"LANG": "ADQL", "QUERY": f"SELECT * FROM {table}", "MAXREC": 100_000}  # noqa: S608 - ADQL
        answer = requests.post(f"{front_ends.archive.url}/tap/sync", data=asked, timeout=60)
        answer.raise_for_status()
        (folder / f"{name}.vot").write_bytes(answer.content)
    front_ends.dachs("imp", "copied/q")
