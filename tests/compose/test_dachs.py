"""DaCHS in a container of the node: what pyvo is told there, beside what our own services say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import pyvo
import requests

from tests.compose.conftest import Node
from tests.dachs.comparing import TABLES, assert_same_rows, rows

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore"),  # pyvo's sessions, and astropy on what DaCHS writes
]
OURS = "http://127.0.0.1:8080"
DACHS = "http://127.0.0.1:8082"


@pytest.fixture(scope="module")
def with_dachs(node: Node) -> Iterator[Node]:
    """The node, into which DaCHS came later; it goes again, so that the others find what they know."""
    both = replace(node, profiles=("dachs",))
    node.wait_for_end("demo-sync")
    both.compose("up", "--detach", "--no-build")
    both.wait_for_health("dachs")
    yield both
    both.compose("stop", "dachs")


def taps(node: Node) -> tuple[Any, Any]:
    del node  # it is up
    return pyvo.dal.TAPService(f"{DACHS}/tap"), pyvo.dal.TAPService(f"{OURS}/tap")


@pytest.mark.parametrize("table", TABLES)
def test_dachs_and_we_give_the_same_rows(with_dachs: Node, table: str) -> None:
    theirs, ours = taps(with_dachs)
    assert_same_rows(rows(theirs, f"SELECT * FROM stac_lake.{table}"), rows(ours, f"SELECT * FROM {TABLES[table]}"))  # noqa: S608 - ADQL


def test_positions_and_cones_find_the_same(with_dachs: Node) -> None:
    theirs, ours = taps(with_dachs)
    condition = "WHERE 1 = CONTAINS(POINT('', s_ra, s_dec), CIRCLE('', 0, 0, 30))"
    found = [
        rows(service, f"SELECT obs_publisher_did, s_ra, s_dec FROM {table} {condition}")  # noqa: S608 - ADQL
        for service, table in ((theirs, "stac_lake.obscore"), (theirs, "ivoa.obscore"), (ours, "ivoa.obscore"))
    ]
    assert_same_rows(found[0], found[2])
    assert_same_rows(found[1], found[2])
    cones = [
        sorted(pyvo.dal.SCSService(url).search((0.0, 0.0), 30.0)["obs_publisher_did"])
        for url in (f"{DACHS}/stac_lake/q/cone_search/scs.xml", f"{OURS}/scs")
    ]
    assert cones[0] == cones[1] == sorted(found[2]["obs_publisher_did"])


def test_its_links_are_ours(with_dachs: Node) -> None:
    _theirs, ours = taps(with_dachs)
    did = rows(ours, "SELECT TOP 1 obs_publisher_did FROM ivoa.obscore")["obs_publisher_did"][0]
    answer = requests.get(f"{DACHS}/stac_lake/q/dl/dlmeta", params={"ID": did}, timeout=60)
    assert [step.status_code for step in (*answer.history, answer)] == [303, 200]
    assert answer.url.startswith(f"{OURS}/datalink/links?ID=ivo")


def test_it_is_contained_and_reads_what_is_published(with_dachs: Node) -> None:
    assert with_dachs.inspect("dachs")["HostConfig"]["ReadonlyRootfs"]
    assert with_dachs.inside("dachs", "id", "-u").strip() == "10001"
    assert (
        with_dachs.inside("dachs", "sh", "-c", "touch /var/gavo/inputs/mine 2>/dev/null && echo written || true") == ""
    )
    superuser = with_dachs.passwords["POSTGRES_PASSWORD"]
    assert superuser not in with_dachs.inside("dachs", "sh", "-c", "env; cat /run/dachs/* /var/gavo/etc/*")
    for role, name in (("gavoadmin", "FEED"), ("gavo", "TRUSTED"), ("untrusted", "UNTRUSTED")):
        password = with_dachs.passwords[f"DACHS_{name}_PASSWORD"]
        for table, readable in (("stac_lake.obscore", True), ("lake.item", False), ("lake.quarantine", False)):
            command = (
                "env",
                f"PGPASSWORD={password}",
                "psql",
                "--username",
                role,
                "--command",
                f"TABLE {table} LIMIT 0",
            )
            assert ("0 rows" in with_dachs.inside("dachs", *command, check=False)) == readable, (role, table)


def test_a_second_up_leaves_it_as_it_was(with_dachs: Node) -> None:
    """The tables are applied again below it, and its schema ivoa stays its own."""
    imported = "/var/gavo/state/stac_lake.rd"
    before = with_dachs.inside("dachs", "stat", "--format", "%y", imported)
    with_dachs.compose("up", "--detach", "--no-build")
    with_dachs.wait_for_end("setup")
    assert "ivoa.obscore is left out" in with_dachs.compose("logs", "setup")
    with_dachs.wait_for_end("dachs-setup")
    assert with_dachs.inside("dachs", "stat", "--format", "%y", imported) == before
    test_dachs_and_we_give_the_same_rows(with_dachs, "obscore")
