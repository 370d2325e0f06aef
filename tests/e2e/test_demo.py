"""The demo on the session's lake: the whole road, run as a person runs it, and what it says of itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg
import pytest

from tests.conftest import RunningLake
from tests.e2e.annotated import serving
from tests.ports import free_port

ITEMS = 40
TIME_LIMIT = 400
README = Path(__file__).parents[2] / "README.md"


def run_demo(lake: RunningLake) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "stac_rucio_sync.demo", "--home", str(lake.home), "--items", str(ITEMS), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT,
        # Servers of somebody else in the environment: the demo must not talk to them.
        env=os.environ | {"RUCIO_ACCOUNT": "nobody", "STAC_RUCIO_SYNC_DATABASE__URL": "postgresql://127.0.0.1:1/none"},
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    facts["talk"] = done.stderr
    return facts


@pytest.fixture(scope="module")
def twice(lake: RunningLake) -> tuple[dict[str, Any], dict[str, Any]]:
    return run_demo(lake), run_demo(lake)


@pytest.fixture(scope="module")
def first(twice: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return twice[0]


pytestmark = pytest.mark.timeout(2 * TIME_LIMIT + 60)


def test_every_item_is_accounted_for_and_the_second_sync_does_nothing(first: dict[str, Any]) -> None:
    assert first["first"]["read"] == first["first"]["added"] == ITEMS
    assert first["first"]["rows"] > 0
    assert first["second"]["read"] == first["second"]["unchanged"] == ITEMS
    assert first["second"]["files"] == first["second"]["rows"] == 0


def test_a_second_run_finds_all_as_it_was(twice: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = twice
    assert second["first"]["unchanged"] == ITEMS
    assert second["found"] == first["found"]
    assert second["rule"]["did"] == first["rule"]["did"]
    assert "rule add" not in second["talk"]


def test_copies_show_in_the_tables_while_a_watcher_runs(first: dict[str, Any], lake: RunningLake) -> None:
    assert first["mirror"]["files"] == first["rule"]["files"] > 0
    assert first["mirror"]["seconds"] < 100
    assert lake.settings.database.reader_url is not None
    with psycopg.connect(lake.settings.database.reader_url.get_secret_value()) as connection:
        query = "SELECT count(*) FROM lake.replica WHERE rse = 'VIENNA-DISK' AND name LIKE 'demo-cubes%%'"
        assert connection.execute(query).fetchone() == (first["rule"]["files"],)


def test_the_tables_answer_by_position_time_and_band(first: dict[str, Any], lake: RunningLake) -> None:
    # The mosaic grows outwards from RA 0, Dec 0 in steps of 0.18 degrees, so images on both sides of RA 0 are within
    # a quarter of a degree of it.
    assert {"position", "footprint", "time", "band", "earth"} == first["found"].keys()
    assert all(first["found"].values())
    assert lake.settings.database.reader_url is not None
    with psycopg.connect(lake.settings.database.reader_url.get_secret_value()) as connection:
        rows = connection.execute(
            "SELECT s_ra, s_dec FROM ivoa.obscore WHERE obs_collection LIKE 'demo-%%' AND obs_id = ANY(%s)",
            [first["found"]["position"]],
        ).fetchall()
    assert len(rows) == len(first["found"]["position"])
    assert min(ra for ra, _ in rows) < 1.0
    assert max(ra for ra, _ in rows) > 359.0


def test_an_earth_scene_has_no_place_on_the_sky(first: dict[str, Any], lake: RunningLake) -> None:
    with psycopg.connect(lake.settings.database_url()) as connection:
        sky = connection.execute(
            "SELECT count(*) FROM ivoa.obscore WHERE obs_collection = 'demo-scenes' AND s_ra IS NOT NULL"
        ).fetchone()
        scenes = connection.execute(
            "SELECT count(*) FROM lake.epn WHERE granule_gid = 'demo-scenes' AND obs_id = ANY(%s)",
            [first["found"]["earth"]],
        )
        assert sky == (0,)
        assert scenes.fetchone() == (len(first["found"]["earth"]),)


def test_a_user_of_rucio_finds_datasets_by_their_metadata(first: dict[str, Any]) -> None:
    # The first image is made near the pole.
    assert "stac:demo-images..field-0000-g" in first["metadata"]
    assert not any("scenes" in did for did in first["metadata"])


def test_the_rule_brought_the_bytes_to_its_site(first: dict[str, Any], lake: RunningLake) -> None:
    site = lake.facts["rses"][first["rule"]["rse"]]
    assert first["rule"]["state"].startswith("OK[")
    assert first["rule"]["rse"] in first["replicas"]["pfns"]
    assert len(first["replicas"]["pfns"]) == 2
    name = first["download"]["did"].partition(":")[2]
    copies = [path for path in Path(site["folder"]).rglob(name) if path.is_file()]
    assert len(copies) == 1
    assert hashlib.md5(copies[0].read_bytes()).hexdigest() == first["download"]["md5"]  # noqa: S324


def test_the_api_server_of_the_demo_is_gone(first: dict[str, Any]) -> None:
    started = next(line for line in first["talk"].splitlines() if "rustac serve" in line)
    file = next(word for word in started.split() if word.endswith(".ndjson"))
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if file.encode() in _read_or_nothing(path)]
    assert not running


def test_who_follows_the_readme_gets_a_tap_answer_the_nearest_replica_and_an_annotated_search(
    first: dict[str, Any], lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the README says to type after the demo, as it stands there, but for the ports."""
    port, api_port = free_port(), free_port()
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STAC_RUCIO_SYNC_LAKE_HOME": str(lake.home),
        "STAC_RUCIO_SYNC_SERVICES__PORT": str(port),
        "STAC_RUCIO_SYNC_SERVICES__BASE_URL": f"http://127.0.0.1:{port}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with serving(typed("stac-rucio-sync serve", lake), port, tmp_path / "serve.log"):
        assert first["rule"]["rse"] in said(typed("stac-rucio-sync query", lake))
    nearest = said(typed("stac-rucio-sync explain", lake)).partition("1. ")[2]
    assert nearest.startswith(" VIENNA-DISK: at the client's site")
    api = [*typed(r"rustac serve \$demo", lake), "--addr", f"127.0.0.1:{api_port}"]
    with serving(api, api_port, tmp_path / "rustac.log") as url:
        program = dedent(README.read_text().split("```python\n")[1].split("```")[0])
        search = said([sys.executable, "-c", program.replace("http://127.0.0.1:7822", url)])
    copies = [line.split()[:2] for line in search.splitlines()]
    assert len(copies) == 4  # two cubes, each at its origin and at the rule's site
    assert [rse for _, rse in copies[::2]] == [first["rule"]["rse"]] * 2


def typed(beginning: str, lake: RunningLake) -> list[str]:
    (line,) = re.findall(rf"^ *\$ ({beginning}.*?)(?: &)?$", README.read_text(), re.MULTILINE)
    return shlex.split(line.replace("$demo", f"{lake.facts['origin_dir']}/demo"))


def said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout


def _read_or_nothing(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
