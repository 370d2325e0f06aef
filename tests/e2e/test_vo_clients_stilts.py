"""STILTS as a client: queries by all roads, sky matches, cones, images, and its lint of every VOTable."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.archive import Archive
from tests.e2e.stilts import needs_stilts, stilts, table_of

pytestmark = needs_stilts

EVERYTHING = "SELECT * FROM ivoa.obscore"
# The mosaic of images lies around RA 0, Dec 0, fields of 0.19 degrees with centres 0.18 degrees apart.
CONE = {"lon": 0.0, "lat": 0.0, "radius": 0.5}
IN_CONE = "SELECT obs_publisher_did FROM lake.obscore WHERE position <@ scircle(spoint(%s, %s), radians(%s))"


def dids(rows: Iterable[dict[str, str]]) -> set[str]:
    return {row["obs_publisher_did"] for row in rows}


def in_cone(archive: Archive, lon: float = 0.0, lat: float = 0.0, radius: float = 0.5) -> set[str]:
    found = {did for (did,) in archive.query(IN_CONE.replace("%s, %s)", "radians(%s), radians(%s))"), lon, lat, radius)}
    assert found
    return found


@pytest.fixture(scope="module")
def targets(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten positions: those of some rows, and one where nothing lies."""
    rows = archive.query(
        "SELECT s_ra, s_dec FROM lake.obscore WHERE obs_collection = 'vo-images' ORDER BY obs_publisher_did LIMIT 9"
    )
    file = tmp_path_factory.mktemp("targets") / "targets.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["name", "ra", "dec"])
        writer.writerows([f"t{number}", *row] for number, row in enumerate([*rows, (45.0, -89.9)]))
    return file


# ---------------------------------------------------------------------------------------------------------- queries


@pytest.mark.parametrize("road", [{"sync": "true"}, {"sync": "false", "poll": 200, "delete": "finished"}])
def test_tapquery_by_both_roads(road: dict[str, Any], archive: Archive, tmp_path: Path) -> None:
    rows = table_of("tapquery", tmp_path, tapurl=f"{archive.url}/tap", adql=EVERYTHING, **road)
    assert [(len(rows),)] == archive.query("SELECT count(*) FROM lake.obscore")
    sizes = dict(archive.query("SELECT obs_publisher_did, access_estsize FROM lake.obscore"))
    assert {row["obs_publisher_did"]: int(row["access_estsize"]) for row in rows if row["access_estsize"]} == {
        did: size for did, size in sizes.items() if size is not None
    }


def test_tapquery_names_the_fault_of_a_query(archive: Archive) -> None:
    said = stilts("tapquery", tapurl=f"{archive.url}/tap", adql="SELECT nothing FROM ivoa.obscore", parse="false")
    assert said.code != 0
    assert "nothing" in said.errors


@pytest.mark.parametrize("form", ["TABLEDATA", "BINARY", "BINARY2"])
def test_tapquery_with_an_uploaded_table(form: str, targets: Path, archive: Archive, tmp_path: Path) -> None:
    rows = table_of(
        "tapquery",
        tmp_path,
        tapurl=f"{archive.url}/tap",
        nupload=1,
        upload1=targets,
        ufmt1="csv",
        upname1="mine",
        upvotformat=form,
        adql=(
            "SELECT mine.name, o.obs_publisher_did FROM tap_upload.mine AS mine JOIN ivoa.obscore AS o "
            "ON 1 = CONTAINS(POINT(o.s_ra, o.s_dec), CIRCLE(mine.ra, mine.dec, 0.001))"
        ),
    )
    with targets.open(newline="") as lines:
        wanted = {
            (row["name"], did)
            for row in csv.DictReader(lines)
            for (did,) in archive.query(
                "SELECT obs_publisher_did FROM lake.obscore "
                "WHERE position <@ scircle(spoint(radians(%s), radians(%s)), radians(0.001))",
                float(row["ra"]),
                float(row["dec"]),
            )
        }
    assert {(row["name"], row["obs_publisher_did"]) for row in rows} == wanted
    assert {name for name, _ in wanted} == {f"t{number}" for number in range(9)}


def test_tapskymatch(targets: Path, archive: Archive, tmp_path: Path) -> None:
    rows = table_of(
        "tapskymatch",
        tmp_path,
        in_=targets,
        ifmt="csv",
        inlon="ra",
        inlat="dec",
        tapurl=f"{archive.url}/tap",
        taptable="ivoa.obscore",
        taplon="s_ra",
        taplat="s_dec",
        tapcols="obs_publisher_did,s_ra,s_dec",
        sr=0.001,
        find="best",
    )
    assert {row["name"] for row in rows} == {f"t{number}" for number in range(9)}


# ------------------------------------------------------------------------------------------- cones and images


@pytest.mark.parametrize("verbosity", [1, 2, 3])
def test_a_cone(verbosity: int, archive: Archive, tmp_path: Path) -> None:
    rows = table_of("cone", tmp_path, serviceurl=f"{archive.url}/scs", verb=verbosity, **CONE)
    assert dids(rows) == in_cone(archive)


def test_a_cone_that_is_none(archive: Archive) -> None:
    """STILTS and TOPCAT show what the service says, unless the status of HTTP is an error (SCS 1.03 section 2.3)."""
    said = stilts("cone", serviceurl=f"{archive.url}/scs", lon=0, lat=91, radius=1)
    assert said.code != 0
    assert "DEC is 91: it is from -90 to 90 degrees" in said.errors


def test_coneskymatch(targets: Path, archive: Archive, tmp_path: Path) -> None:
    rows = table_of(
        "coneskymatch",
        tmp_path,
        in_=targets,
        ifmt="csv",
        ra="ra",
        dec="dec",
        sr=0.001,
        serviceurl=f"{archive.url}/scs",
        find="each",
        usefoot="false",
        parallel=2,
    )
    assert {row["name"]: bool(row["obs_publisher_did"]) for row in rows} == {
        f"t{number}": number < 9 for number in range(10)
    }


def test_images_near_a_position(archive: Archive, tmp_path: Path) -> None:
    rows = table_of("cone", tmp_path, serviceurl=f"{archive.url}/sia2/query", servicetype="sia2", **CONE)
    wanted = archive.query(
        "SELECT obs_publisher_did FROM lake.obscore WHERE dataproduct_type IN ('image', 'cube') "
        "AND footprint && scircle(spoint(0, 0), radians(0.5))"
    )
    assert dids(rows) == {did for (did,) in wanted}
    assert len(rows) > 1


# -------------------------------------------------------------------------------------------------------- documents

# All but s_polygon: votlint 3.4.7 can read no double[*] in a binary stream (test_taplint.py), nor an empty one in text.
LINTED = """
    SELECT dataproduct_type, dataproduct_subtype, calib_level, obs_collection, obs_id, obs_title, obs_publisher_did,
        target_name, access_url, access_format, access_estsize, s_ra, s_dec, s_fov, s_region, s_resolution, s_xel1,
        t_min, t_max, t_exptime, em_min, em_max, em_res_power, em_xel, o_ucd, pol_states, facility_name,
        instrument_name, publisher_id, bib_reference, obs_release_date
    FROM ivoa.obscore
"""
SERIALIZATIONS = {
    "as TAP gives it": ("/tap/sync", {}),
    "BINARY2 1.4": ("/tap/sync", {"RESPONSEFORMAT": "application/x-votable+xml;serialization=BINARY2"}),
    "BINARY 1.4": ("/tap/sync", {"RESPONSEFORMAT": "application/x-votable+xml;serialization=BINARY"}),
    "TABLEDATA 1.4": ("/tap/sync", {"RESPONSEFORMAT": "application/x-votable+xml;serialization=TABLEDATA"}),
    "TABLEDATA 1.3": ("/tap/sync", {"RESPONSEFORMAT": "application/x-votable+xml;serialization=TABLEDATA;version=1.3"}),
    "overflow": ("/tap/sync", {"MAXREC": "3"}),
    "no rows": ("/tap/sync", {"MAXREC": "0"}),
    "other tables": (
        "/tap/sync",
        {"QUERY": "SELECT granule_uid, time_min, c1min, s_region, creation_date FROM epn.epn_core"},
    ),
    "TAP_SCHEMA": ("/tap/sync", {"QUERY": "SELECT * FROM tap_schema.columns"}),
    "expressions": (
        "/tap/sync",
        {"QUERY": "SELECT 1 AS a, 'é' AS b, POINT(1, 2) AS p, CIRCLE(1, 2, 3) AS c FROM ivoa.obscore"},
    ),
    "a wrong query": ("/tap/sync", {"QUERY": "SELECT"}),
    "cone search": ("/scs", {"RA": "0", "DEC": "0", "SR": "180", "VERB": "2"}),
    "cone search, columns only": ("/scs", {"RA": "0", "DEC": "0", "SR": "0"}),
    "cone search, wrong": ("/scs", {"RA": "0", "DEC": "0"}),
    "images": ("/sia2/query", {"POS": "CIRCLE 0 0 1"}),
    "images, columns only": ("/sia2/query", {"MAXREC": "0"}),
    "images, wrong": ("/sia2/query", {"POS": "CIRCLE"}),
}


@pytest.mark.parametrize("case", SERIALIZATIONS)
def test_votlint_has_nothing_to_say(case: str, archive: Archive, tmp_path: Path) -> None:
    path, parameters = SERIALIZATIONS[case]
    query: dict[str, Any] = {"LANG": "ADQL", "QUERY": LINTED} if path == "/tap/sync" else {}
    answer = archive.get(path, **query | parameters)
    assert answer.status_code == (400 if "wrong" in case and path != "/scs" else 200)
    assert "xml" in answer.headers["Content-Type"]
    document = tmp_path / "answer.vot"
    document.write_bytes(answer.content)
    said = stilts("votlint", votable=document)
    assert (said.code, said.output, said.errors) == (0, "", "")
