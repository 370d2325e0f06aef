"""After a repair, Rucio's own recovery: what was lost at one place is copied again from another."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import pytest

from stac_rucio_sync.lake.environment import ensure_environment
from stac_rucio_sync.lake.home import server_user
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json
from tests.conftest import RunningLake
from tests.consistency.planted import NOW, Planted

NECROMANCER = """
from functools import partial
from threading import Event
from rucio.daemons.badreplicas.necromancer import run_once
from rucio.daemons.common import run_daemon
run_daemon(once=True, graceful_stop=Event(), executable="necromancer", partition_wait_time=0, sleep_time=1,
           run_once_fnc=partial(run_once, bulk=1000))
"""
SECONDS = 100.0


def run_necromancer(lake: RunningLake) -> None:
    python = ensure_environment(server_user(), print) / "bin" / "python"
    environment = os.environ | {"RUCIO_CONFIG": str(lake.home / "server" / "rucio.cfg")}
    subprocess.run([python, "-c", NECROMANCER], env=environment, check=True, timeout=SECONDS)


def wait_for(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_what_was_lost_at_one_place_comes_back_from_another(lake: RunningLake, root: RucioCalls, scope: str) -> None:
    root.send("add_scope", "root", scope)
    sydney, vienna = Planted(lake, root, "SYDNEY-DISK", scope), Planted(lake, root, "VIENNA-DISK", scope)
    for name in ("gone", "garbled"):
        sydney.plant(name, name.encode() * 1000)
    root.send("add_replication_rule", [did_json(sydney.did(name)) for name in ("gone", "garbled")], 1, vienna.rse)
    wait_for(lambda: vienna.state("gone") == vienna.state("garbled") == "AVAILABLE")
    look = (*NOW, "--checksums", "all")
    assert vienna.found(*look)[0] == {}

    vienna.path("gone").unlink()
    vienna.path("garbled").write_bytes(b"garbled".swapcase() * 1000)
    told, report = vienna.found(*look, "--repair", "--threshold", "100%")
    assert told == {"gone": ("+", "missing"), "garbled": ("*", "wrong checksum")}
    assert report["remaining"] == 0

    run_necromancer(lake)
    wait_for(lambda: vienna.state("gone") == vienna.state("garbled") == "AVAILABLE")
    told, report = vienna.found(*look)
    assert told == {}
    assert report["counts"]["same"] == 2
    assert vienna.path("garbled").read_bytes() == b"garbled" * 1000


@pytest.mark.slow
def test_a_file_that_is_declared_lost_leaves_its_datasets(lake: RunningLake, root: RucioCalls, scope: str) -> None:
    root.send("add_scope", "root", scope)
    vienna = Planted(lake, root, "VIENNA-DISK", scope)
    vienna.plant("alone").unlink()
    root.send("add_dataset", scope, "dataset")
    root.send("attach_dids", scope, "dataset", [did_json(vienna.did("alone"))])
    repair = (*NOW, "--repair", "--threshold", "100%")
    told, report = vienna.found(*repair)
    assert (told, report["remaining"]) == ({"alone": ("!", "last copy")}, 1)
    run_necromancer(lake)
    assert [row["name"] for row in root.send("list_content", scope, "dataset")] == ["alone"]

    told, report = vienna.found(*repair, "--declare-lost")
    assert (told, report["remaining"]) == ({"alone": ("*", "last copy")}, 0)
    run_necromancer(lake)
    assert root.send("list_content", scope, "dataset") == []
