"""The same rows from DaCHS and from our services, asked by pyvo and plain HTTP."""
# ruff: noqa: S608 - ADQL and SQL of these tests

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import pyvo
import requests
from astropy.table import Table
from pyvo.dal.adhoc import DatalinkResults

from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.dachs.comparing import TABLES, assert_same_rows, rows
from tests.dachs.conftest import FrontEnds

pytestmark = [
    pytest.mark.timeout(600),  # a lake, a DaCHS and two imports are made before the first test
    pytest.mark.filterwarnings("ignore"),  # pyvo's sessions, and astropy on what DaCHS writes
]
OF_BOTH_OBSCORES = "obs_publisher_did, obs_collection, obs_id, access_url, access_format, access_estsize, s_ra, s_dec, "
OF_BOTH_OBSCORES += "s_region, s_fov, t_min, t_max, em_min, em_max, facility_name, instrument_name, pol_states, s_xel1"
SPATIAL = (
    "1 = CONTAINS(POINT('', s_ra, s_dec), CIRCLE('', 0, 0, 30))",
    "1 = INTERSECTS(s_region, CIRCLE('', 40, 0, 20))",
    "1 = INTERSECTS(s_region, POLYGON('', 340, -40, 20, -40, 20, 40, 340, 40))",
    "1 = CONTAINS(POINT('', 350, -30), s_region)",
)


@pytest.mark.parametrize("schema", ["stac_lake", "copied"])
@pytest.mark.parametrize("table", TABLES)
def test_dachs_and_we_give_the_same_rows(front_ends: FrontEnds, schema: str, table: str) -> None:
    theirs = rows(front_ends.theirs, f"SELECT * FROM {schema}.{table}")
    ours = rows(front_ends.ours, f"SELECT * FROM {TABLES[table]}")
    assert_same_rows(theirs, ours)
    for name in ours.colnames:
        assert theirs[name].unit == ours[name].unit
        assert theirs[name].meta.get("ucd") == ours[name].meta.get("ucd")


def test_the_rows_are_in_the_obscore_of_dachs(front_ends: FrontEnds) -> None:
    """It has some numbers in single precision, which is DaCHS's own."""
    query = f"SELECT {OF_BOTH_OBSCORES} FROM ivoa.obscore"
    theirs = rows(front_ends.theirs, f"{query} WHERE source_table = 'stac_lake.obscore'")
    assert_same_rows(theirs, rows(front_ends.ours, query), 1e-6)


@pytest.mark.parametrize("condition", SPATIAL)
def test_regions_and_positions_find_the_same(front_ends: FrontEnds, condition: str) -> None:
    """A region that is a circle is null in DaCHS, whose regions are polygons; everything else is found alike."""
    polygons = "s_region NOT LIKE 'CIRCLE%'" if "s_region" in condition else "1 = 1"
    ours = rows(front_ends.ours, f"SELECT obs_publisher_did FROM ivoa.obscore WHERE {condition} AND {polygons}")
    assert len(ours) > 0
    for schema in ("stac_lake", "copied"):
        theirs = rows(front_ends.theirs, f"SELECT obs_publisher_did FROM {schema}.obscore WHERE {condition}")
        assert_same_rows(theirs, ours)


def test_uploaded_tables_are_joined_alike(front_ends: FrontEnds) -> None:
    uploaded = Table({"ra": [0.0, 350.0, 40.0], "dec": [0.0, -30.0, 5.0]})
    found = []
    for service, schema in ((front_ends.theirs, "stac_lake"), (front_ends.ours, "ivoa")):
        query = (
            f"SELECT o.obs_publisher_did FROM {schema}.obscore AS o JOIN TAP_UPLOAD.mine AS m "
            "ON 1 = CONTAINS(POINT('', o.s_ra, o.s_dec), CIRCLE('', m.ra, m.dec, 20))"
        )
        found.append(sorted(service.search(query, uploads={"mine": uploaded})["obs_publisher_did"]))
    assert found[0] == found[1] != []


@pytest.mark.parametrize("radius", [0.5, 20.0])
def test_cone_searches_find_the_same(front_ends: FrontEnds, radius: float) -> None:
    found = []
    for url in (f"{front_ends.dachs.url}/stac_lake/q/cone_search/scs.xml", f"{front_ends.archive.url}/scs"):
        found.append(sorted(pyvo.dal.SCSService(url).search((0.0, 0.0), radius)["obs_publisher_did"]))
    assert found[0] == found[1] != []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_readers_of_datalink_come_to_us_with_all_their_ids(front_ends: FrontEnds, method: str) -> None:
    asked = {"ID": list(rows(front_ends.ours, "SELECT obs_publisher_did FROM ivoa.obscore")["obs_publisher_did"][:30])}
    how: Any = {"params" if method == "GET" else "data": asked}
    url = f"{front_ends.dachs.url}/stac_lake/q/dl/dlmeta"
    sent_on = requests.request(method, url, timeout=60, **how)
    direct = requests.get(f"{front_ends.archive.url}/datalink/links", params=asked, timeout=60)
    assert [answer.status_code for answer in (*sent_on.history, sent_on)] == [303, 200]
    assert sent_on.url.startswith(f"{front_ends.archive.url}/datalink/links?ID=ivo")
    assert sent_on.headers["Content-Type"] == direct.headers["Content-Type"]
    assert sent_on.content.count(b"<TR>") == direct.content.count(b"<TR>") > 30


def test_the_links_of_dachs_own_obscore_lead_to_ours(front_ends: FrontEnds) -> None:
    """By two steps, with the first ID of a request."""
    dids = list(rows(front_ends.ours, "SELECT obs_publisher_did FROM ivoa.obscore")["obs_publisher_did"][:2])
    url = f"{front_ends.dachs.url}/__system__/obscore/dl/dlmeta"
    answer = requests.get(url, params={"ID": dids}, timeout=60)
    assert [step.status_code for step in (*answer.history, answer)] == [302, 303, 200]
    assert answer.url == f"{front_ends.archive.url}/datalink/links?ID={quote(dids[0], safe='')}"


def test_pyvo_goes_from_rows_of_dachs_to_our_links(front_ends: FrontEnds) -> None:
    query = "SELECT TOP 5 * FROM stac_lake.obscore WHERE dataproduct_type = 'image' ORDER BY obs_publisher_did"
    found = front_ends.theirs.search(query)
    links = list(found.iter_datalinks())
    assert len(links) == 5
    for row, ours in zip(found, links, strict=True):
        direct = DatalinkResults.from_result_url(
            f"{front_ends.archive.url}/datalink/links?ID={quote(row['obs_publisher_did'], safe='')}"
        )
        assert sorted(link.access_url for link in ours) == sorted(link.access_url for link in direct)
        assert any(link.semantics == "#this" for link in ours)


def test_what_is_committed_is_seen_at_once(front_ends: FrontEnds) -> None:
    asked = "SELECT obs_publisher_did FROM {}.obscore WHERE obs_title = 'A new title'"
    with front_ends.admin() as connection:
        change = "UPDATE lake.obscore SET obs_title = %s WHERE obs_publisher_did = %s"
        did, before = (
            connection.execute("SELECT obs_publisher_did, obs_title FROM lake.obscore LIMIT 1").fetchone() or ()
        )
        connection.execute(change, ["A new title", did])
        try:
            assert list(front_ends.theirs.search(asked.format("stac_lake"))["obs_publisher_did"]) == [did]
            assert len(front_ends.theirs.search(asked.format("copied"))) == 0, "a copy is as old as its import"
        finally:
            connection.execute(change, [before, did])


def test_dachs_reads_what_is_published_and_nothing_else(front_ends: FrontEnds) -> None:
    with front_ends.admin() as connection:
        for role, table, may in (
            ("untrusted", "stac_lake.obscore", True),
            ("untrusted", "lake.obscore", False),
            ("gavo", "lake.replica", False),
            ("gavoadmin", "lake.replica", False),
            ("gavoadmin", "lake.quarantine", False),
        ):
            found = connection.execute("SELECT has_table_privilege(%s, %s, 'SELECT')", [role, table]).fetchone()
            assert found == (may,), (role, table)


def test_our_ddl_is_applied_again_beside_dachs(front_ends: FrontEnds) -> None:
    """It leaves the schema ivoa to DaCHS, whose users go on to upload tables."""
    url = front_ends.archive.settings.database.admin_url
    assert url is not None
    said = apply_schema(url.get_secret_value())
    assert any("ivoa.obscore is left out" in line for line in said), said
    test_uploaded_tables_are_joined_alike(front_ends)


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("spoint(RADIANS(s_ra), RADIANS(s_dec)) <@ scircle(spoint(0, 0), 0.01)", "obscore_dachs_position"),
        ("s_region && scircle(spoint(0, 0), 0.01)", "obscore_dachs_footprint"),
    ],
)
def test_what_dachs_asks_has_an_index(front_ends: FrontEnds, condition: str, index: str) -> None:
    with front_ends.admin() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        for table in ("stac_lake.obscore", "ivoa.obscore"):
            plan = connection.execute(f"EXPLAIN SELECT obs_id FROM {table} WHERE {condition}").fetchall()
            assert any(index in line for (line,) in plan), plan


def test_dachs_finds_nothing_wrong_with_the_descriptors(front_ends: FrontEnds) -> None:
    for schema in ("stac_lake", "copied"):
        said = front_ends.dachs("val", f"{schema}/q")
        assert "OK" in said
        assert "ERROR" not in said.upper().replace("0 ERROR", "")


def test_a_view_goes_without_the_table(front_ends: FrontEnds) -> None:
    """Whoever drops the descriptor leaves the archive's tables as they were."""
    before = front_ends.archive.query("SELECT count(*) FROM lake.obscore")
    with front_ends.admin() as connection, pytest.raises(psycopg.errors.DependentObjectsStillExist):
        connection.execute("ALTER TABLE lake.obscore DROP COLUMN obs_title")
    front_ends.dachs("drop", "copied/q")
    assert front_ends.archive.query("SELECT count(*) FROM lake.obscore") == before
    assert len(rows(front_ends.theirs, "SELECT obs_publisher_did FROM stac_lake.obscore")) == before[0][0]
