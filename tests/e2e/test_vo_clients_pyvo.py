"""pyvo as a client of TAP, cone search and image access; what it finds is compared with SQL on the tables."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import astropy.units as u
import pytest
import pyvo
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse as parse_votable
from astropy.table import Table
from astropy.time import Time

from tests.e2e.archive import Archive
from tests.xsd import schema_faults

ORIGIN = SkyCoord(0.0 * u.deg, 0.0 * u.deg)
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyvo leaves its sessions to the collector
IMAGES = "dataproduct_type IN ('image', 'cube')"


@pytest.fixture(scope="module")
def tap(archive: Archive) -> Any:
    return pyvo.dal.TAPService(f"{archive.url}/tap")


@pytest.fixture(scope="module")
def sia(archive: Archive) -> Any:
    return pyvo.dal.SIA2Service(f"{archive.url}/sia2")


def dids(found: Any) -> set[str]:
    return {str(row["obs_publisher_did"]) for row in found}


def in_database(archive: Archive, condition: str, *arguments: Any) -> set[str]:
    rows = archive.query(f"SELECT obs_publisher_did FROM lake.obscore WHERE {condition}", *arguments)  # noqa: S608 - words of this test
    assert rows, condition
    return {did for (did,) in rows}


# -------------------------------------------------------------------------------------------------------------- TAP


def test_a_query_gives_what_the_table_holds(tap: Any, archive: Archive) -> None:
    found = tap.search("SELECT * FROM ivoa.obscore").to_table()
    names = [name for (name,) in archive.query(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'ivoa.obscore'::regclass AND attnum > 0 ORDER BY attnum"
    )]  # fmt: skip
    names.insert(names.index("s_region") + 1, names.pop(names.index("s_polygon")))
    assert found.colnames == names
    scalars = [name for name in names if name not in {"s_polygon", "obs_release_date"}]
    rows = archive.query(f"SELECT {', '.join(scalars)} FROM ivoa.obscore ORDER BY obs_publisher_did")  # noqa: S608 - words of this test
    found.sort("obs_publisher_did")
    assert len(found) == len(rows)
    for got, wanted in zip(found, rows, strict=True):
        for name, value in zip(scalars, wanted, strict=True):
            assert _same(got[name], value), (name, got[name], value)


def _same(got: Any, wanted: Any) -> bool:
    if wanted is None:
        return (
            got is None or getattr(got, "mask", False) is True or bool(getattr(got, "mask", False)) or got in {"", None}
        )
    return bool(got == wanted)


@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b", "json", "csv", "parquet"])
def test_what_functions_return_is_written_in_every_format(form: str, archive: Archive) -> None:
    """Each type that an expression can have, a histogram's among them."""
    query = (
        "SELECT ivo_histogram(s_ra, 0, 360, 4) AS h, ivo_string_agg(obs_id, ',') AS s, COUNT(*) AS n, "
        "ivo_healpix_center(4, 100) AS p, CIRCLE(1, 2, 3) AS c, BOX(1, 2, 3, 4) AS b, ivo_normal_random(0, 1) AS r, "
        "CAST('2020-01-02' AS TIMESTAMP) AS t, CAST(1 AS REAL) AS f, CAST(1 AS SMALLINT) AS i FROM ivoa.obscore"
    )
    answer = archive.get("/tap/sync", LANG="ADQL", QUERY=query, RESPONSEFORMAT=form)
    assert answer.status_code == 200, answer.text
    if form.startswith("votable"):
        (row,) = parse_votable(io.BytesIO(answer.content)).get_first_table().array
        quarters = archive.query(
            "SELECT count(*) FILTER (WHERE s_ra IS NULL), count(*) FILTER (WHERE s_ra < 90), "
            "count(*) FILTER (WHERE s_ra >= 90 AND s_ra < 180), count(*) FILTER (WHERE s_ra >= 180 AND s_ra < 270), "
            "count(*) FILTER (WHERE s_ra >= 270), 0 FROM lake.obscore"
        )
        assert [tuple(row["h"])] == quarters


def test_an_asynchronous_query_gives_the_same(tap: Any) -> None:
    query = "SELECT obs_publisher_did, s_ra FROM ivoa.obscore WHERE s_ra IS NOT NULL"
    assert dids(tap.run_async(query, delete=True)) == dids(tap.search(query))


def test_a_job_step_by_step(tap: Any) -> None:
    job = tap.submit_job("SELECT COUNT(*) AS n FROM ivoa.obscore", maxrec=5)
    try:
        assert job.phase == "PENDING"
        job.execution_duration = 60
        assert job.execution_duration.to_value("s") == 60
        job.run()
        job.wait(phases=["COMPLETED", "ERROR"], timeout=30)
        job.raise_if_error()
        assert len(job.fetch_result()) == 1
    finally:
        job.delete()


def test_a_wrong_query_is_told_by_both_roads(tap: Any) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="nothing"):
        tap.search("SELECT nothing FROM ivoa.obscore")
    with pytest.raises(pyvo.dal.DALQueryError, match="nothing"):
        tap.run_async("SELECT nothing FROM ivoa.obscore", delete=True)


@pytest.mark.parametrize("road", ["search", "run_async"])
def test_an_uploaded_table_is_joined(road: str, tap: Any, archive: Archive) -> None:
    some = sorted(in_database(archive, "obs_collection = 'vo-images'"))[:20]
    mine = Table({"did": some, "number": list(range(len(some)))})
    found = getattr(tap, road)(
        "SELECT m.number, o.obs_publisher_did FROM tap_upload.mine AS m "
        "JOIN ivoa.obscore AS o ON m.did = o.obs_publisher_did",
        uploads={"mine": mine},
    )
    assert {(int(row["number"]), str(row["obs_publisher_did"])) for row in found} == set(enumerate(some))


def test_too_many_rows_are_told(tap: Any) -> None:
    found = tap.search("SELECT * FROM ivoa.obscore", maxrec=3)
    assert len(found) == 3
    assert "OVERFLOW" in [info.value for info in found.votable.resources[0].infos]


def test_where_the_files_are(tap: Any, archive: Archive) -> None:
    found = tap.search(
        "SELECT o.obs_publisher_did, r.rse FROM ivoa.obscore AS o JOIN lake.replica AS r USING (obs_publisher_did) "
        "WHERE o.obs_collection = 'vo-cubes'"
    )
    assert dids(found) == in_database(archive, "obs_collection = 'vo-cubes'")


def test_the_tables_describe_themselves(tap: Any) -> None:
    tables = {table.name: table for table in tap.tables}
    assert {"ivoa.obscore", "epn.epn_core", "lake.replica", "tap_schema.columns"} <= {name.lower() for name in tables}
    for table in tables.values():
        assert table.description
        assert all(column.description for column in table.columns)
    assert tables["ivoa.obscore"].utype == "ivo://ivoa.net/std/obscore#table-1.1"


def test_every_example_runs(tap: Any) -> None:
    examples = tap.examples
    assert examples
    for example in examples:
        example.execute()


def test_limits_are_announced(tap: Any, archive: Archive) -> None:
    assert tap.maxrec == archive.settings.tap.maxrec
    assert tap.hardlimit == archive.settings.tap.max_maxrec


# ------------------------------------------------------------------------------------------------------------- cone


@pytest.mark.parametrize("verbosity", [1, 2, 3])
def test_a_cone(verbosity: int, archive: Archive) -> None:
    found = pyvo.dal.SCSService(f"{archive.url}/scs").search(ORIGIN, 0.5 * u.deg, verbosity=verbosity)
    wanted = in_database(archive, "position <@ scircle(spoint(0, 0), radians(0.5))")
    assert {record.id for record in found} == wanted
    assert all(record.pos.separation(ORIGIN) <= 0.5 * u.deg for record in found)


def test_a_cone_wider_than_a_hemisphere(archive: Archive) -> None:
    found = pyvo.dal.SCSService(f"{archive.url}/scs").search(SkyCoord(100 * u.deg, -20 * u.deg), 150 * u.deg)
    wanted = in_database(archive, "position <-> spoint(radians(100), radians(-20)) <= radians(150)")
    assert {record.id for record in found} == wanted
    assert len(wanted) < len(in_database(archive, "position IS NOT NULL"))


def test_a_wrong_cone(archive: Archive) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="SR"):
        pyvo.dal.conesearch(f"{archive.url}/scs", (0.0, 0.0), 200.0)


def test_the_columns_of_a_cone_search(archive: Archive) -> None:
    answer = archive.get("/scs", ra="0", dec="90", sr="0", verb="3")
    assert answer.headers["Content-Type"] == "text/xml;content=x-votable"
    table = parse_votable(io.BytesIO(answer.content)).get_first_table()
    ucds = [field.ucd for field in table.fields]
    for ucd, datatype in (("ID_MAIN", "char"), ("POS_EQ_RA_MAIN", "double"), ("POS_EQ_DEC_MAIN", "double")):
        assert ucds.count(ucd) == 1
        assert table.fields[ucds.index(ucd)].datatype == datatype
    assert len(table.array) == 0


def test_a_cone_of_three_rows(archive: Archive) -> None:
    answer = archive.get("/scs", RA="0", DEC="0", SR="180", MAXREC="3")
    votable = parse_votable(io.BytesIO(answer.content))
    assert len(votable.get_first_table().array) == 3
    assert "OVERFLOW" in [info.value for info in votable.resources[0].infos]


# ----------------------------------------------------------------------------------------------------------- images

SHAPES = {
    "a circle": ((0.0, 0.0, 0.5), "footprint && scircle(spoint(0, 0), radians(0.5))"),
    "a polygon": (
        (359.0, -1.0, 1.0, -1.0, 1.0, 1.0, 359.0, 1.0),
        "footprint && spoly '{(359d,-1d),(1d,-1d),(1d,1d),(359d,1d)}'",
    ),
    # pgSphere's box has sides on parallels, as a RANGE has.
    "a range": ((1.0, 40.0, -60.0, 70.0), "sbox '((1d,-60d),(40d,70d))' && footprint"),
    "a band": ((0.0, 360.0, -30.0, -10.0), "sbox '((0d,-30d),(360d,-10d))' && footprint"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_images_in_a_shape(case: str, sia: Any, archive: Archive) -> None:
    shape, condition = SHAPES[case]
    assert dids(sia.search(pos=[tuple(value * u.deg for value in shape)])) == in_database(
        archive, f"{IMAGES} AND {condition}"
    )


def test_images_in_one_of_two_shapes(sia: Any, archive: Archive) -> None:
    found = sia.search(pos=[(0.0, 0.0, 0.2), (180.0, 25.0, 0.2)])
    condition = " OR ".join(
        f"footprint && scircle(spoint(radians({ra}), radians({dec})), radians(0.2))" for ra, dec in ((0, 0), (180, 25))
    )
    assert dids(found) == in_database(archive, f"{IMAGES} AND ({condition})")


@pytest.mark.parametrize(
    ("wish", "condition"),
    [
        ({}, "true"),
        ({"band": 4.8e-7}, "em_min <= 4.8e-7 AND em_max >= 4.8e-7"),
        ({"band": (0.1, float("inf"))}, "em_max >= 0.1"),
        ({"band": [4.8e-7, (0.1, 0.3)]}, "em_min <= 4.8e-7 AND em_max >= 4.8e-7 OR em_min <= 0.3 AND em_max >= 0.1"),
        ({"time": (Time("2024-03-31"), Time("2024-04-02"))}, "t_min <= 60402 AND t_max >= 60400"),
        ({"field_of_view": (0.1, 0.5)}, "s_fov BETWEEN 0.1 AND 0.5"),
        ({"spatial_resolution": (float("-inf"), 30.0)}, "s_resolution <= 30"),
        ({"exptime": (10.0, 1e9)}, "t_exptime BETWEEN 10 AND 1e9"),
        ({"spectral_resolving_power": (1.0, float("inf"))}, "em_res_power >= 1"),
        ({"collection": ["vo-cubes", "other"]}, "obs_collection = 'vo-cubes'"),
        ({"data_type": "cube"}, "dataproduct_type = 'cube'"),
        ({"calib_level": [2, 3]}, "calib_level IN (2, 3)"),
        ({"collection": "vo-images", "exptime": (0.0, 99.0)}, "obs_collection = 'vo-images' AND t_exptime < 99"),
    ],
)  # fmt: skip
def test_images_with_properties(wish: dict[str, Any], condition: str, sia: Any, archive: Archive) -> None:
    assert dids(sia.search(**wish)) == in_database(archive, f"{IMAGES} AND ({condition})")


@pytest.mark.parametrize(
    ("parameter", "column"), [("FACILITY", "facility_name"), ("INSTRUMENT", "instrument_name"),
                              ("TARGET", "target_name"), ("FORMAT", "access_format")],
)  # fmt: skip
def test_images_by_a_name(parameter: str, column: str, archive: Archive) -> None:
    ((value,),) = archive.query(
        f"SELECT {column} FROM lake.obscore WHERE {IMAGES} AND {column} IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 1"  # noqa: S608 - words of this test
    )
    wanted = in_database(archive, f"{IMAGES} AND {column} = %s", value)
    assert dids(read(archive, **{parameter: value})) == wanted
    assert dids(read(archive, **{parameter: value.swapcase()})) == set()


def read(archive: Archive, **parameters: Any) -> Any:
    return parse_votable(io.BytesIO(archive.get("/sia2/query", **parameters).content)).get_first_table().to_table()


def test_an_identifier_is_found_in_any_case(sia: Any, archive: Archive) -> None:
    did = sorted(in_database(archive, IMAGES))[0]
    for written in (did, did.upper(), did.lower()):
        assert dids(sia.search(publisher_did=written)) == {did}
    assert dids(sia.search(publisher_did=did[:-1])) == set()


def test_spectra_and_scenes_are_no_images(sia: Any) -> None:
    assert len(sia.search(data_type="spectrum")) == 0
    assert len(sia.search(collection="vo-spectra")) == 0


def test_the_service_describes_itself_in_every_response(sia: Any, archive: Archive) -> None:
    for parameters in ({}, {"MAXREC": "0"}, {"POS": "CIRCLE 100 80 0.001"}):
        found = parse_votable(io.BytesIO(archive.get("/sia2/query", **parameters).content))
        (own,) = [resource for resource in found.resources if resource.name == "this"]
        said = {param.name: param.value for param in own.params}
        assert said == {"standardID": "ivo://ivoa.net/std/SIA#query-2.0", "accessURL": f"{archive.url}/sia2/query"}
        inputs = {param.name: param for param in own.groups[0].entries}
        assert {"vo-images", "vo-cubes"} <= {option for _, option in inputs["COLLECTION"].values.options}


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/tap/sync", {"LANG": "ADQL", "QUERY": "SELECT * FROM ivoa.obscore"}),
        ("/sia2/query", {}),
        ("/sia2/query", {"POS": "CIRCLE 100 80 0.001"}),
        ("/scs", {"RA": "0", "DEC": "0", "SR": "180"}),
    ],
)
def test_no_rows_asked_for_are_columns_and_an_overflow(path: str, parameters: dict[str, str], archive: Archive) -> None:
    """DALI 1.1 section 3.4.4: MAXREC=0 is answered with metadata and the indicator, whether there are rows or none."""
    answer = archive.get(path, MAXREC="0", **parameters)
    assert answer.status_code == 200
    (results,) = [one for one in parse_votable(io.BytesIO(answer.content)).resources if one.type == "results"]
    assert (len(results.tables[0].array), len(results.tables[0].fields) > 3) == (0, True)
    assert [info.value for info in results.infos if info.name == "QUERY_STATUS"] == ["OK", "OVERFLOW"]


def test_a_client_may_ask_for_no_images(sia: Any) -> None:
    assert len(sia.search(maxrec=0)) == 0


def test_a_wrong_request_begins_with_the_word_of_the_standard(sia: Any, archive: Archive) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="^UsageFault: CALIB"):
        sia.search(calib_level=4, **{"CALIB": "7"})
    text = archive.get("/sia2/query", BAND="-2", RESPONSEFORMAT="csv")
    assert text.status_code == 400
    assert text.headers["Content-Type"].startswith("text/plain")
    assert text.text.startswith("UsageFault: BAND")


def test_a_response_in_another_format(archive: Archive, tmp_path: Path) -> None:
    answer = archive.get("/sia2/query", RESPONSEFORMAT="csv", DPTYPE="cube")
    assert answer.headers["Content-Type"].startswith("text/csv")
    (tmp_path / "found.csv").write_bytes(answer.content)
    assert dids(Table.read(tmp_path / "found.csv", format="ascii.csv")) == in_database(
        archive, "dataproduct_type = 'cube'"
    )


# -------------------------------------------------------------------------------------------------------- beside it


@pytest.mark.parametrize(
    ("path", "standard"), [("/scs", "ivo://ivoa.net/std/ConeSearch"), ("/sia2", "ivo://ivoa.net/std/SIA#query-2.0")]
)
def test_capabilities_and_availability_lie_beside_it(path: str, standard: str, archive: Archive) -> None:
    service = pyvo.dal.TAPService(f"{archive.url}{path}")  # which reads the document of any service
    standards = {capability.standardid for capability in service.capabilities}
    assert "<available>true</available>" in archive.get(f"{path}/availability").text
    assert standards == {
        *(standard, "ivo://ivoa.net/std/VOSI#availability", "ivo://ivoa.net/std/VOSI#capabilities"),
    }
    assert schema_faults(archive.get(f"{path}/capabilities").content) == []
