"""Parts of the lake that need no server."""

from __future__ import annotations

import itertools
import json
import math
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.lake.cluster import find_installation, mend_pgsphere
from stac_rucio_sync.lake.home import PORT_NAMES, LakeHome, server_user, write_private
from stac_rucio_sync.lake.ports import choose_ports
from stac_rucio_sync.lake.processes import Processes
from stac_rucio_sync.lake.sites import SITES, distance_km

OPERATOR = """CREATE OPERATOR {name} (
   LEFTARG    = {left},
   RIGHTARG   = {right},
   PROCEDURE  = f,
   COMMUTATOR = '{commutator}',
   NEGATOR    = '!@'
);
"""


@pytest.mark.parametrize("left", ["bigint", "spoint"])
def test_the_mend_drops_the_two_clauses_of_the_two_operators(left: str) -> None:
    bad = OPERATOR.format(name="@", left=left, right="smoc", commutator="@>")
    good = OPERATOR.format(name="@", left="spoint", right="scircle", commutator="~")
    mended = mend_pgsphere(good + bad + good)
    assert mended.startswith(good)
    assert mended.endswith(good)
    middle = mended.removeprefix(good).removesuffix(good)
    assert "PROCEDURE  = f" in middle
    assert "COMMUTATOR" not in middle
    assert "NEGATOR" not in middle
    assert mend_pgsphere(mended) == mended


def test_the_mend_touches_nothing_else_in_the_packaged_script() -> None:
    try:
        share = find_installation().share
    except FatalError as error:
        pytest.skip(str(error))
    for file in (share / "extension").glob("pg_sphere--1.2.0.sql"):
        before = file.read_text(encoding="utf-8")
        after = mend_pgsphere(before)
        lost = [line for line in before.splitlines() if "COMMUTATOR" in line or "NEGATOR" in line]
        kept = [line for line in after.splitlines() if "COMMUTATOR" in line or "NEGATOR" in line]
        assert len(lost) - len(kept) in (0, 4)
        assert before.count("CREATE OPERATOR") == after.count("CREATE OPERATOR")


def test_ports_are_kept_while_they_are_free() -> None:
    with ExitStack() as held:
        first = choose_ports({}, {}, held)
        assert sorted(first) == sorted(PORT_NAMES)
        assert len(set(first.values())) == len(first)
        assert choose_ports(first, {}, held) == first
        with socket.create_server(("127.0.0.1", first["rucio"])):
            second = choose_ports(first, {}, held)
    assert second["rucio"] != first["rucio"]
    assert {name: port for name, port in second.items() if name != "rucio"} == {
        name: port for name, port in first.items() if name != "rucio"
    }


def test_fixed_ports_are_known_and_different() -> None:
    with ExitStack() as held:
        with pytest.raises(UsageError, match="nonsense"):
            choose_ports({}, {"nonsense": 1}, held)
        with pytest.raises(UsageError, match="one port"):
            choose_ports({}, {"rucio": 7000, "postgres": 7000}, held)


def test_ports_are_kept_from_others_until_the_servers_listen() -> None:
    with ExitStack() as held:
        port = choose_ports({}, {}, held)["rucio"]
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port)):
            socket.create_connection(("127.0.0.1", port)).close()


def test_distances_are_great_circles() -> None:
    def unit(latitude: float, longitude: float) -> tuple[float, float, float]:
        phi, lam = math.radians(latitude), math.radians(longitude)
        return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)

    assert {site.country for site in SITES} == {"AT", "AU", "US"}
    for site, other in itertools.combinations(SITES, 2):
        here, there = (unit(one.latitude, one.longitude) for one in (site, other))
        angle = math.acos(sum(a * b for a, b in zip(here, there, strict=True)))
        assert distance_km(site, other) == distance_km(other, site) == round(6371 * angle)


def test_private_files_are_private_from_the_first_moment(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "secret", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_passwords_are_generated_once(tmp_path: Path) -> None:
    home = LakeHome(tmp_path)
    state = home.load_state()
    home.save_state(state)
    assert home.load_state() == state
    assert LakeHome(tmp_path / "other").load_state().passwords != state.passwords


def test_what_a_dead_leader_left_in_its_session_is_stopped_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    processes = Processes(tmp_path, tmp_path, server_user())
    script = "trap '' TERM; sleep 60 & echo $! ; exec sleep 0.2"
    processes.start("leader", ["/bin/sh", "-c", script], {"PATH": "/usr/bin:/bin"}, Path("/"))
    processes.wait_until("leader", lambda: (tmp_path / "leader.log").stat().st_size > 0, 10)
    child = int((tmp_path / "leader.log").read_text(encoding="ascii"))
    record = json.loads((tmp_path / "leader.pid").read_text(encoding="utf-8"))
    os.waitpid(record["pid"], 0)
    assert not processes.alive("leader")
    assert Path(f"/proc/{child}").exists()
    assert processes.stop(["leader"], patience=0.5) == ["leader"]
    # Killed, and perhaps not yet collected by the process that took it over.
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
