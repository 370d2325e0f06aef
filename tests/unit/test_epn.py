from __future__ import annotations

from typing import Any

import pytest

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.epn import NO_DATE, granule_uid
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import EpnRow, ItemKey, ItemRead, Wanted
from stac_rucio_sync.settings import Collection, Epn, Settings

SQUARE = {"type": "Polygon", "coordinates": [[[-1, 40], [2, 40], [2, 41], [-1, 41], [-1, 40]]]}
MD5 = "0123456789abcdef0123456789abcdef"
IMAGE = {
    "href": "https://example.org/a%20b.tif?",
    "roles": ["data"],
    "type": "image/TIFF; application=geotiff",
    "file:size": 1500,
    "file:checksum": "d50110" + MD5,
} | {"href": "https://example.org/a%20b.tif"}


def mapped(properties: dict[str, Any] | None = None, *, collection: Collection | None = None, **fields: Any) -> Wanted:
    settings = Settings(collections={"scenes": collection} if collection is not None else {}, epn=Epn(schema="rocks"))
    document = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "scene#1",
        "collection": "scenes",
        "geometry": SQUARE,
        "links": [],
        "assets": {"image": IMAGE},
        "properties": {"datetime": "2000-01-01T12:00:00Z"} | (properties or {}),
    } | fields
    return map_item(parse_item(ItemRead(document, None, "here"), settings), settings, {}, "f")


def row(properties: dict[str, Any] | None = None, **fields: Any) -> EpnRow:
    found = mapped(properties, **fields).epn
    assert found is not None
    return found


def test_mandatory_columns_that_need_a_value_always_have_one() -> None:
    needed = (
        "granule_uid",
        "granule_gid",
        "obs_id",
        "dataproduct_type",
        "target_class",
        "spatial_frame_type",
        "service_title",
        "creation_date",
        "modification_date",
        "release_date",
    )
    bare = row({"datetime": None}, geometry=None, assets={})
    for found in (row(), bare):
        assert all(getattr(found, column) for column in needed)
    assert bare.spatial_frame_type == "none"
    assert bare.creation_date == bare.modification_date == bare.release_date == NO_DATE
    assert {"epn:creation_date", "epn:dataproduct_type"} <= set(mapped({"datetime": None}, assets={}).defaulted)


def test_coordinates_times_and_service() -> None:
    found = row()
    assert (found.c1min, found.c1max, found.c2min, found.c2max) == (359, 2, 40, 41)
    assert found.spatial_frame_type == "body"
    assert (found.time_min, found.time_max) == (2451545.0, 2451545.0)
    assert found.service_title == "rocks"
    assert found.s_region is not None
    assert found.s_region.startswith("POLYGON UNKNOWNFRAME ")


def test_granule_ids_are_plain_unique_and_without_hash() -> None:
    assert granule_uid(ItemKey("scenes", "LC08_L1TP_001")) == "scenes/LC08_L1TP_001"
    keys = [
        ItemKey("a", "b/c"),
        ItemKey("a/b", "c"),
        ItemKey("a", "b%2Fc"),
        ItemKey("a", "b#c"),
        ItemKey("a", "b_c"),
        ItemKey("a", "b c "),
        ItemKey("a", "malé"),
        ItemKey("a", "b'c\""),
    ]
    uids = [granule_uid(key) for key in keys]
    assert len(set(uids)) == len(keys)
    assert all(uid.isascii() and not set(uid) & set("#'\" ") for uid in uids)
    assert row().obs_id == "scene_1"


def test_wavelengths_become_frequencies_and_change_ends() -> None:
    found = row({"bands": [{"eo:center_wavelength": 0.5}, {"eo:center_wavelength": 1.0}]})
    assert found.spectral_range_min == pytest.approx(299792458 / 1.0e-6)
    assert found.spectral_range_max == pytest.approx(299792458 / 0.5e-6)


@pytest.mark.parametrize(
    ("properties", "name", "kind"),
    [
        ({}, "Earth", "planet"),
        ({"ssys:targets": ["mars"], "ssys:target_class": "planet"}, "Mars", "planet"),
        ({"ssys:targets": ["Moon"]}, "Moon", "satellite"),
        ({"ssys:targets": ["Ceres"]}, "Ceres", "dwarf_planet"),
        ({"ssys:targets": ["Jupiter", "Ganymede"]}, "Jupiter#Ganymede", "planet#satellite"),
        ({"ssys:targets": ["67P"], "ssys:target_class": "comet"}, "67P", "comet"),
        ({"ssys:targets": []}, "Earth", "planet"),
    ],
)
def test_targets(properties: dict[str, Any], name: str, kind: str) -> None:
    found = row(properties)
    assert (found.target_name, found.target_class) == (name, kind)
    assert found.spatial_coordinate_description == ("WGS84" if name == "Earth" else None)


def test_the_target_of_the_settings_and_a_body_of_no_known_class() -> None:
    assert row(collection=Collection(target_name="Titan")).target_class == "satellite"
    unknown = mapped({"ssys:targets": ["Planet X"]})
    assert unknown.epn is not None
    assert unknown.epn.target_name == "Planet X"
    assert "epn:target_class" in unknown.defaulted


@pytest.mark.parametrize(("level", "expected"), [("L0", 1), ("L1", 2), ("L2", 3), ("L3", 5), ("L4", 5), (None, None)])
def test_processing_levels_by_the_standards_table(level: str | None, expected: int | None) -> None:
    assert row({"processing:level": level}).processing_level == expected


def test_the_three_dates() -> None:
    found = row(
        {"created": "2020-01-01T00:00:00Z", "updated": "2021-01-01T02:00:00+02:00", "published": "2022-01-01T00:00:00Z"}
    )
    assert (found.creation_date, found.modification_date, found.release_date) == (
        "2020-01-01T00:00:00",
        "2021-01-01T00:00:00",
        "2022-01-01T00:00:00",
    )
    only_created = row({"created": "2020-01-01T00:00:00Z"})
    assert only_created.modification_date == only_created.release_date == "2020-01-01T00:00:00"
    assert row().creation_date == "2000-01-01T12:00:00"


def test_access_is_a_data_file() -> None:
    found = row()
    assert found.access_url == "https://example.org/a%20b.tif"
    assert (found.file_name, found.access_format) == ("a b.tif", "image/tiff; application=geotiff")
    assert (found.access_estsize, found.access_md5) == (2, MD5)
    assert "/datalink/links?ID=ivo%3A%2F%2F" in found.datalink_url


def test_access_is_an_asset_that_is_no_file_else_nothing() -> None:
    signed = row(assets={"image": {"href": "https://example.org/a.tif?sig=1", "roles": ["data"], "type": "image/tiff"}})
    assert signed.access_url == "https://example.org/a.tif?sig=1"
    assert (signed.file_name, signed.access_estsize) == ("a.tif", None)
    login = row(
        assets={key: {"href": "https://me:pw@example.org/a.tif", "roles": [key]} for key in ("data", "thumbnail")}
    )
    assert login.access_url == login.thumbnail_url == "https://example.org/a.tif", "the table is everybody's"
    broken = row(assets={"image": {"href": "https://[::1/a.tif", "roles": ["data", "thumbnail"]}})
    assert broken.access_url is None
    for href in ("s3://bucket/a.tif", "https://example.org/{z}/{x}/{y}.tif", "https://example.org/folder/"):
        found = row(assets={"image": {"href": href, "roles": ["data"], "type": "image/tiff"}})
        assert (found.access_url, found.access_format, found.access_estsize) == (None, None, None)
        assert found.datalink_url


def test_thumbnail_angles_and_lists() -> None:
    thumbnail = {"href": "./t.png", "roles": ["thumbnail"], "type": "image/png"}
    links = [{"rel": "self", "href": "https://example.org/c/i.json"}]
    found = row(
        {
            "view:sun_elevation": 30,
            "view:incidence_angle": 5,
            "instruments": ["A#1", "B"],
            "platform": "mro",
            "mission": "MRO",
        },
        assets={"image": IMAGE, "thumb": thumbnail},
        links=links,
    )
    assert found.thumbnail_url == "https://example.org/c/t.png"
    assert (found.incidence_min, found.incidence_max, found.emergence_min) == (60, 60, 5)
    assert (found.instrument_name, found.instrument_host_name) == ("A_1#B", "MRO#mro")
    reflectance = {"image": IMAGE | {"roles": ["data", "reflectance"]}}
    assert row(assets=reflectance).measurement_type == "phys.reflectance"


def test_fixed_columns_are_checked() -> None:
    fixed: dict[str, str | int | float] = {"dataproduct_type": "ma", "c3min": 1.5, "processing_level": 6}
    found = row(collection=Collection(epn_columns=fixed))
    assert (found.dataproduct_type, found.c3min, found.processing_level) == ("ma", 1.5, 6)
    for wrong in ({"colour": "red"}, {"granule_uid": "x"}, {"c3min": "high"}, {"processing_level": 1.5}):
        with pytest.raises(UsageError, match="epn_columns"):
            mapped(collection=Collection(epn_columns=dict(wrong)))


def test_data_in_the_lake_are_where_the_item_found_them() -> None:
    lake = {"rucio:rse": "VIENNA-DISK", "rucio:scope": "stac", "rucio:name": "a.tif"}
    found = row(assets={"image": IMAGE | lake | {"href": "http://vienna.example.org:8080/stac/a.tif"}})
    assert found.access_url == "http://vienna.example.org:8080/stac/a.tif"
    assert found.access_md5 == MD5
    assert row(assets={"image": IMAGE | lake | {"href": "root://vienna.example.org:1094//a.tif"}}).access_url is None
