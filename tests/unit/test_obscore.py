from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.mapping.observed import NO_LEVEL, NOT_ICRS, OFF_FOOTPRINT
from stac_rucio_sync.mapping.stated import OBSCORE_READINGS
from stac_rucio_sync.model import ItemRead, Measured, ObsCoreRow, Wanted
from stac_rucio_sync.settings import Collection, Identity, Services, Settings

SQUARE = {"type": "Polygon", "coordinates": [[[10, 40], [12, 40], [12, 41], [10, 41], [10, 40]]]}
IMAGE = {"href": "https://example.org/a.fits", "roles": ["data"], "type": "image/fits", "file:size": 1500}


def mapped(properties: dict[str, Any] | None = None, *, collection: Collection | None = None, **fields: Any) -> Wanted:
    settings = Settings(
        identity=Identity(authority="archive.example"),
        services=Services(base_url="https://vo.archive.example/"),
        collections={"survey": collection} if collection is not None else {},
    )
    document = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "field 1",
        "collection": "survey",
        "geometry": SQUARE,
        "links": [],
        "assets": {"image": IMAGE},
        "properties": {"datetime": "2000-01-01T12:00:00Z"} | (properties or {}),
    } | fields
    measured: dict[str, Measured] = {}
    return map_item(parse_item(ItemRead(document, None, "here"), settings), settings, measured, "f")


def row(properties: dict[str, Any] | None = None, **fields: Any) -> ObsCoreRow:
    return mapped(properties, **fields).obscore


SKY = Collection(frame="sky")


def test_identity_and_access() -> None:
    found = row()
    assert (found.obs_collection, found.obs_id, found.publisher_id) == ("survey", "field 1", "ivo://archive.example")
    assert found.obs_publisher_did.startswith("ivo://archive.example/lake?stac:")
    address = urlsplit(found.access_url)
    assert (address.scheme, address.netloc, address.path) == ("https", "vo.archive.example", "/datalink/links")
    assert parse_qs(address.query) == {"ID": [found.obs_publisher_did]}
    assert "?" not in address.query.removeprefix("ID=")
    assert ":" not in address.query
    assert found.access_format == "application/x-votable+xml;content=datalink"
    assert (found.t_min, found.t_max) == (51544.5, 51544.5)


def test_the_size_is_that_of_all_science_files_in_kilobytes_rounded_up_or_unknown() -> None:
    assert row().access_estsize == 2
    more = {
        "image": IMAGE,
        "weights": IMAGE | {"href": "https://example.org/w.fits", "file:size": 1600},
        "preview": {"href": "https://example.org/p.png", "roles": ["thumbnail"]},
    }
    assert row(assets=more).access_estsize == 4
    unknown = {"image": IMAGE, "weights": {"href": "https://example.org/w.fits", "roles": ["data"]}}
    assert row(assets=unknown).access_estsize is None
    assert row(assets={}).access_estsize is None


def test_a_body_fixed_item_has_no_position_on_the_sky() -> None:
    for found in (row(), row({"s_ra": 1.0, "s_dec": 2.0}, collection=Collection(frame="body"))):
        assert (found.s_ra, found.s_dec, found.s_fov, found.s_region, found.s_polygon, found.s_bound) == (None,) * 6
    assert row().target_name == "Earth"


def test_a_sky_collection_reads_its_geometry_as_icrs() -> None:
    wanted = mapped(collection=SKY)
    found = wanted.obscore
    assert wanted.epn is None
    assert (found.s_ra, found.s_dec) == pytest.approx((11, 40.5), abs=0.01)
    assert found.s_bound is not None
    assert found.s_fov == pytest.approx(2 * found.s_bound[2])
    assert found.s_region is not None
    assert found.s_region.startswith("POLYGON ICRS ")
    assert set(found.s_polygon or ()) == {10, 12, 40, 41}
    assert found.target_name is None


def test_s_ra_and_s_dec_make_an_item_one_of_the_sky() -> None:
    found = row({"s_ra": 11.2, "s_dec": 40.4, "s_fov": 3.0})
    assert (found.s_ra, found.s_dec, found.s_fov) == (11.2, 40.4, 3.0)
    assert found.s_polygon is not None
    alone = row({"s_ra": -10.0, "s_dec": 40.5, "s_fov": 1.0}, geometry=None)
    assert (alone.s_ra, alone.s_bound, alone.s_region) == (350.0, (350.0, 40.5, 0.5), "CIRCLE ICRS 350.0 40.5 0.5")
    point = row({"s_ra": 10.0, "s_dec": 40.5}, geometry=None)
    assert (point.s_bound, point.s_region, point.s_fov) == ((10.0, 40.5, 0.0), None, None)


def test_a_geometry_that_is_not_where_s_ra_and_s_dec_are_is_left_out() -> None:
    wanted = mapped({"s_ra": 200.0, "s_dec": -30.0})
    assert (wanted.obscore.s_ra, wanted.obscore.s_polygon, wanted.obscore.s_bound) == (200.0, None, (200.0, -30.0, 0.0))
    assert OFF_FOOTPRINT in wanted.remarks


def test_a_stated_region_wins_over_the_geometry() -> None:
    found = row({"s_region": "POLYGON ICRS 11 40.2 11.5 40.2 11.5 40.4"}, collection=SKY)
    assert set(found.s_polygon or ()) == {11, 11.5, 40.2, 40.4}
    wrong = mapped({"s_region": "POLYGON GALACTIC 1 2 3 4 5 6"}, collection=SKY)
    assert wrong.obscore.s_polygon is not None
    assert NOT_ICRS in wrong.remarks


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dataproduct_type", "spectrum"),
        ("dataproduct_subtype", "echelle"),
        ("calib_level", 0),
        ("obs_id", "visit-7"),
        ("obs_collection", "HST/WFPC2"),
        ("obs_title", "A title"),
        ("obs_creator_did", "ivo://creator/x"),
        ("target_name", "M 31"),
        ("access_estsize", 9),
        ("s_resolution", 0.8),
        ("s_xel1", 2048),
        ("s_xel2", 4096),
        ("t_min", 51000.5),
        ("t_max", 51700.25),
        ("t_exptime", 30),
        ("t_resolution", 1.5),
        ("t_xel", 1),
        ("em_min", 4e-7),
        ("em_max", 7e-7),
        ("em_res_power", 2000.0),
        ("em_xel", 3),
        ("o_ucd", "phot.count"),
        ("pol_states", "/I/V/"),
        ("pol_xel", 2),
        ("facility_name", "ESO"),
        ("instrument_name", "FORS2"),
        ("proposal_id", "60.A"),
        ("bib_reference", "2001A&A...1....1X"),
        ("data_rights", "proprietary"),
        ("obs_release_date", "2030-01-01T00:00:00"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "obscore:"])
def test_properties_of_obscores_names_win_and_fixed_columns_win_over_them(column: str, value: Any, prefix: str) -> None:
    assert getattr(row({prefix + column: value}, collection=SKY), column) == value
    fixed = Collection(frame="sky", columns={column: value})
    others = {
        "platform": "P",
        "instruments": ["I"],
        "published": "2020-01-01T00:00:00Z",
        "title": "T",
        "processing:level": "L3",
        "sci:doi": "10.1/x",
    }
    assert getattr(row(others, collection=fixed), column) == value


def test_the_publishers_own_columns_cannot_be_stated() -> None:
    plain = row()
    stated = row(
        {
            "obs_publisher_did": "ivo://x/y",
            "access_url": "http://evil/",
            "access_format": "x",
            "publisher_id": "ivo://x",
            "s_bound": [0, 0, 1],
            "s_polygon": [0, 0, 1, 1, 1, 0],
        }
    )
    assert stated == plain
    assert not OBSCORE_READINGS.keys() & {"obs_publisher_did", "access_url", "access_format", "publisher_id"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dataproduct_type", "picture"),
        ("t_exptime", "30"),
        ("t_exptime", -1),
        ("s_xel1", 1.5),
        ("em_min", 0),
        ("em_min", True),
        ("t_min", "2000-01-01"),
        ("o_ucd", "Flußdichte"),
        ("o_ucd", "flux density"),
        ("data_rights", "open"),
        ("pol_states", "/HH/"),
        ("s_dec", 91),
        ("facility_name", 5),
        ("obs_release_date", "soon"),
        ("em_max", float("inf")),
    ],
)
def test_a_wrong_value_is_left_out_with_a_remark(column: str, value: object) -> None:
    wanted = mapped({column: value}, assets={})
    assert getattr(wanted.obscore, column) is None or column == "t_min"
    assert any(f"property {column}" in remark for remark in wanted.remarks) or value == float("inf")


@pytest.mark.parametrize(("column", "value"), [("calib_level", 5), ("calib_level", "two"), ("obs_id", 7)])
def test_a_wrong_value_of_a_column_that_may_not_be_null_is_an_error(column: str, value: object) -> None:
    with pytest.raises(ItemError, match=column):
        mapped({column: value})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"obs_publisher_did": "ivo://x"}, "can be fixed"),
        ({"colour": "red"}, "can be fixed"),
        ({"calib_level": 7}, "wrong"),
    ],
)
def test_wrong_fixed_columns_are_the_operators_error(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        mapped(collection=Collection(columns=columns))


@pytest.mark.parametrize(
    ("stated", "level"),
    [
        ("L0", 0),
        ("L1", 1),
        ("L1TP", 1),
        ("L2A", 2),
        ("l2", 2),
        ("Level-2", 2),
        ("LEVEL 3", 3),
        ("4", 4),
        (1, 1),
        ("L3B", 3),
    ],
)
def test_processing_level_gives_the_calibration_level(stated: object, level: int) -> None:
    wanted = mapped({"processing:level": stated})
    assert wanted.obscore.calib_level == level
    assert wanted.defaulted == ()


def test_calib_level_of_the_collection_else_a_default_that_is_listed() -> None:
    configured = mapped(collection=Collection(calib_level=3))
    assert (configured.obscore.calib_level, configured.defaulted) == (3, ())
    default = mapped()
    assert (default.obscore.calib_level, default.defaulted) == (2, ("calib_level",))
    for odd in ("ORTHO", "L9", "L12", ["L1"]):
        assert NO_LEVEL in mapped({"processing:level": odd}).remarks


def test_dataproduct_types() -> None:
    assert row().dataproduct_type == "image"
    assert row(assets={}).dataproduct_type is None
    assert row(collection=Collection(dataproduct_type="sed")).dataproduct_type == "sed"
    plane = {"x": {"type": "spatial", "axis": "x"}, "y": {"type": "spatial", "axis": "y"}}
    time = {"t": {"type": "temporal", "values": ["2000-01-01", "2000-01-02"]}}
    assert row({"cube:dimensions": plane}).dataproduct_type == "image"
    cube = row({"cube:dimensions": plane | time})
    assert (cube.dataproduct_type, cube.t_xel) == ("cube", 2)
    assert row({"cube:dimensions": time}).dataproduct_type == "timeseries"
    cloud = {"data": {"href": "https://example.org/a.laz", "type": "application/vnd.laszip+copc", "roles": ["data"]}}
    assert row(assets=cloud).dataproduct_type is None
    with pytest.raises(UsageError, match="dataproduct_type"):
        mapped(collection=Collection(dataproduct_type="picture"))


def test_description_from_stac() -> None:
    found = row(
        {
            "title": " A scene ",
            "platform": "landsat-8",
            "instruments": ["oli", "tirs"],
            "proj:shape": [20, 10],
            "sci:doi": "10.5066/P9C7I13B",
            "published": "2020-05-01T02:00:00.5+02:00",
            "created": "2021-01-01",
        }
    )
    assert (found.obs_title, found.facility_name, found.instrument_name) == ("A scene", "landsat-8", "oli,tirs")
    assert (found.s_xel1, found.s_xel2) == (10, 20)  # proj:shape is (rows, columns)
    assert found.bib_reference == "https://doi.org/10.5066/P9C7I13B"
    assert found.obs_release_date == "2020-05-01T00:00:00.5"
    assert row({"constellation": "sentinel-2"}).facility_name == "sentinel-2"
    assert row(links=[{"rel": "cite-as", "href": "https://doi.org/x"}]).bib_reference == "https://doi.org/x"


def test_what_nobody_says_is_null() -> None:
    found = row({"license": "proprietary", "gsd": 10, "created": "2020-01-01T00:00:00Z"})
    assert (found.data_rights, found.obs_release_date, found.s_resolution, found.t_exptime) == (None,) * 4
    assert (found.o_ucd, found.pol_states, found.em_min, found.facility_name) == (None,) * 4


def test_data_behind_a_login_are_secure() -> None:
    schemes = {"auth:schemes": {"oidc": {"type": "openIdConnect"}}}
    assert row(schemes, assets={"image": IMAGE | {"auth:refs": ["oidc"]}}).data_rights == "secure"
    assert row(schemes).data_rights is None
