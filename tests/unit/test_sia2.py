"""Simple Image Access 2.0: which query the parameters stand for (section 2.1), and the description of the service."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from obscore_tap.adql.parser import parse
from obscore_tap.refusals import Refusal
from obscore_tap.sia2.constraints import PARAMETERS, query
from obscore_tap.sia2.description import descriptor
from obscore_tap.sia2.positions import position_condition

ALWAYS = "SELECT * FROM ivoa.obscore AS images WHERE dataproduct_type IN ('image', 'cube')"


def condition(name: str, *values: str) -> str:
    adql = query({name: values})
    assert adql.startswith(ALWAYS + " AND ")
    return adql.removeprefix(ALWAYS + " AND ")


def test_only_images_and_cubes_are_ever_asked_for() -> None:
    assert query({}) == ALWAYS
    assert query({"CATALOGUE": ["x"]}) == ALWAYS


def test_values_are_alternatives_and_parameters_are_not() -> None:
    assert query({"CALIB": ["2", "3"], "TARGET": ["M31"], "FOV": ["1 2", "5 +Inf"]}) == (
        f"{ALWAYS} AND (s_fov BETWEEN 1.0 AND 2.0 OR s_fov >= 5.0) AND calib_level IN (2, 3) AND target_name IN ('M31')"
    )


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("500e-9 550e-9", "(em_min <= 5.5E-07 AND em_max >= 5E-07)"),
        ("0.21", "(em_min <= 0.21 AND em_max >= 0.21)"),
        ("300 +Inf", "(em_min IS NOT NULL AND em_max >= 300.0)"),
        ("300  Inf", "(em_min IS NOT NULL AND em_max >= 300.0)"),
        ("-Inf 0.21", "(em_min <= 0.21 AND em_max IS NOT NULL)"),
        ("-inf inf", "(em_min IS NOT NULL AND em_max IS NOT NULL)"),
    ],
)
def test_band_is_satisfied_by_any_common_wavelength(value: str, wanted: str) -> None:
    assert condition("BAND", value) == wanted


def test_time_may_be_before_1858() -> None:
    assert condition("TIME", "-15020 55123.456") == "(t_min <= 55123.456 AND t_max >= -15020.0)"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("FOV", "s_fov"), ("SPATRES", "s_resolution"), ("SPECRP", "em_res_power"),
        ("EXPTIME", "t_exptime"), ("TIMERES", "t_resolution"),
    ],
)  # fmt: skip
def test_a_single_value_lies_in_the_interval(name: str, column: str) -> None:
    assert condition(name, "0.1 2") == f"{column} BETWEEN 0.1 AND 2.0"
    assert condition(name, "60") == f"{column} BETWEEN 60.0 AND 60.0"
    assert condition(name, "-Inf 60") == f"{column} <= 60.0"
    assert condition(name, "60 +Inf") == f"{column} >= 60.0"
    assert condition(name, "-Inf +Inf") == f"{column} IS NOT NULL"


@pytest.mark.parametrize("name", ["BAND", "TIME", "FOV", "SPATRES", "SPECRP", "EXPTIME", "TIMERES"])
@pytest.mark.parametrize(
    "value", ["x", "1 2 3", "2 1", "NaN", "1 NaN", "+Inf", "-Inf", "+Inf 3", "3 -Inf", "1,2", "1/2"]
)
def test_an_interval_that_is_none_is_named(name: str, value: str) -> None:
    with pytest.raises(Refusal, match=f"^{name}: "):
        condition(name, value)


def test_a_wavelength_is_not_negative() -> None:
    # The standard's own example of an error (SIA 2.0 section 3.2).
    with pytest.raises(Refusal, match="^BAND: '-2'"):
        condition("BAND", "-2")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("COLLECTION", "obs_collection"), ("FACILITY", "facility_name"), ("INSTRUMENT", "instrument_name"),
        ("DPTYPE", "dataproduct_type"), ("TARGET", "target_name"), ("FORMAT", "access_format"),
    ],
)  # fmt: skip
def test_texts_are_compared_as_they_are(name: str, column: str) -> None:
    assert condition(name, "Barnard's Star", "it'; --") == f"{column} IN ('Barnard''s Star', 'it''; --')"
    with pytest.raises(Refusal, match=f"^{name}: "):
        condition(name, "a\0b")


def test_a_polarization_state_is_one_of_the_list_in_its_row() -> None:
    assert condition("POL", "I", "RR") == "(pol_states LIKE '%/I/%' OR pol_states LIKE '%/RR/%')"
    for wrong in ("i", "%", "IQ", "/I/"):
        with pytest.raises(Refusal, match="^POL: "):
            condition("POL", wrong)


@pytest.mark.parametrize("value", ["5", "-1", "2.0", "2 3", "two"])
def test_a_calibration_level_is_0_to_4(value: str) -> None:
    with pytest.raises(Refusal, match="^CALIB: "):
        condition("CALIB", value)


def test_an_identifier_that_is_there_excludes_those_that_differ_in_case() -> None:
    found = condition("ID", "ivo://x/y?s:a'b", "ivo://x/y?s:C")
    exact = "('ivo://x/y?s:a''b', 'ivo://x/y?s:C')"
    assert found.startswith("LOWER(obs_publisher_did) IN (LOWER('ivo://x/y?s:a''b'), LOWER('ivo://x/y?s:C')) AND (")
    assert f"obs_publisher_did IN {exact} OR NOT EXISTS (" in found
    assert f"WHERE exact.obs_publisher_did IN {exact} AND LOWER(exact.obs_publisher_did) = LOWER(images." in found


def test_a_circle_meets_the_region() -> None:
    assert condition("POS", "CIRCLE 12.0 34.0 0.5") == "1 = INTERSECTS(s_region, CIRCLE(12.0, 34.0, 0.5))"
    assert position_condition("circle 12 34 90") == "1 = INTERSECTS(s_region, CIRCLE(12.0, 34.0, 90.0))"
    assert position_condition("CIRCLE 12 34 0") == "1 = CONTAINS(POINT(12.0, 34.0), s_region)"


def test_a_circle_beyond_a_hemisphere_meets_what_is_not_inside_the_rest() -> None:
    assert position_condition("CIRCLE 200 10 170") == "0 = CONTAINS(s_region, CIRCLE(20.0, -10.0, 10.0))"
    assert position_condition("CIRCLE 200 10 180") == "s_region IS NOT NULL"


def test_a_polygon_closes_by_itself() -> None:
    open_one = "POLYGON 12.0 34.0 14.0 35.0 14. 36.0 12.0 35.0"
    written = "1 = INTERSECTS(s_region, POLYGON(12.0, 34.0, 14.0, 35.0, 14.0, 36.0, 12.0, 35.0))"
    assert position_condition(open_one) == position_condition(open_one + " 12 34") == written


def test_two_shapes_are_alternatives() -> None:
    assert condition("POS", "CIRCLE 1 2 3", "CIRCLE 4 5 6") == (
        "(1 = INTERSECTS(s_region, CIRCLE(1.0, 2.0, 3.0)) OR 1 = INTERSECTS(s_region, CIRCLE(4.0, 5.0, 6.0)))"
    )


@pytest.mark.parametrize(
    "value",
    [
        "12 34", "BOX 1 2 3 4", "CIRCLE 1 2", "CIRCLE 1 2 3 4", "CIRCLE 361 2 3", "CIRCLE 1 91 3", "CIRCLE 1 2 -3",
        "CIRCLE 1 2 181", "CIRCLE 1 2 Inf", "CIRCLE NaN 2 3", "CIRCLE 1,2,3", "RANGE 1 2 3", "RANGE 1 2 4 3",
        "RANGE -1 2 3 4", "RANGE 1 2 3 91", "RANGE +Inf 2 3 4", "RANGE 1 -Inf 3 4", "POLYGON 1 2 3 4",
        "POLYGON 1 2 3 4 5", "POLYGON 1 2 3 4 5 95", "CIRCLE ICRS 1 2 3",
    ],
)  # fmt: skip
def test_a_shape_that_is_none_is_named(value: str) -> None:
    with pytest.raises(Refusal, match="^POS: "):
        position_condition(value)


def polygons_of(adql: str) -> Iterator[list[tuple[float, float]]]:
    for match in re.finditer(r"1 = INTERSECTS\(s_region, POLYGON\(([^)]*)\)\)", adql):
        values = [float(value) for value in match[1].split(",")]
        yield list(zip(values[::2], values[1::2], strict=True))


def test_a_small_range_is_one_polygon_seen_counter_clockwise() -> None:
    assert list(polygons_of(position_condition("RANGE 12.0 12.5 34.0 36.0"))) == [
        [(12.0, 34.0), (12.5, 34.0), (12.5, 36.0), (12.0, 36.0)]
    ]


def test_a_range_across_the_meridian_is_the_small_one() -> None:
    (polygon,) = polygons_of(position_condition("RANGE 359 1 -0 0.5"))
    assert {lon for lon, _ in polygon} == {359.0, 1.0} | {lon for lon, lat in polygon if lat == 0.5}
    assert all(lon >= 359.0 or lon <= 1.0 for lon, _ in polygon)


def test_all_longitudes_are_a_band_between_circles_around_the_poles() -> None:
    assert position_condition("RANGE 0 360.0 -2.0 2.0") == (
        "(0 = CONTAINS(s_region, CIRCLE(180.0, 90.0, 88.0)) AND 0 = CONTAINS(s_region, CIRCLE(180.0, -90.0, 88.0)))"
    )
    assert position_condition("RANGE 0 360.0 89.0 +Inf") == "(1 = INTERSECTS(s_region, CIRCLE(0.0, 90.0, 1.0)))"
    assert position_condition("RANGE -Inf +Inf -Inf +Inf") == "s_region IS NOT NULL"


def test_a_wide_range_is_asked_for_in_pieces_whose_sides_keep_to_its_parallels() -> None:
    adql = position_condition("RANGE 10 300 20 60")
    polygons = [polygon for polygon in polygons_of(adql) if len(polygon) > 4]
    assert len(polygons) == 4
    assert {lat for polygon in polygons for _, lat in polygon} == {20.0, 60.0}
    # The index serves each piece by a circle of its own.
    assert len(re.findall(r"\(1 = INTERSECTS\(s_region, CIRCLE\(", adql)) == 4
    for polygon in polygons:
        assert len(polygon) <= 1000  # what pgSphere takes is 1,024
        for (lon, lat), (next_lon, next_lat) in pairwise(polygon):
            if lat != next_lat:
                continue
            # Latitude of the middle of the great circle between two points of one parallel.
            half = math.radians(abs(next_lon - lon)) / 2
            middle = math.degrees(math.atan(math.tan(math.radians(lat)) / math.cos(half)))
            assert 0 <= middle - lat <= 4 / 3600


def test_a_range_from_pole_to_pole_has_sides_shorter_than_half_a_circle() -> None:
    polygons = list(polygons_of(position_condition("RANGE 10 20 -90 90")))
    assert polygons == [
        [(10.0, -90.0), (20.0, 0.0), (10.0, 0.0)],
        [(10.0, 0.0), (20.0, 0.0), (10.0, 90.0)],
    ]


@pytest.mark.parametrize("value", ["RANGE 12 12 34 34", "RANGE 12 13 34 34", "RANGE 12 12 34 35", "RANGE 0 0 90 90"])
def test_a_range_without_an_area_is_a_sliver(value: str) -> None:
    (polygon,) = polygons_of(position_condition(value))
    assert len(polygon) >= 3
    assert len(set(polygon)) == len(polygon)


EVERYTHING = {
    "POS": ["CIRCLE 1 2 3", "CIRCLE 1 -2 120", "CIRCLE 1 2 0", "RANGE 10 300 -80 60", "RANGE 0 360 -5 5"],
    "BAND": ["1e-7 +Inf", "0.21"], "TIME": ["-5 55123"], "POL": ["I", "POLI"], "FOV": ["-Inf 1"], "SPATRES": ["1"],
    "SPECRP": ["1e3 2e30"], "EXPTIME": ["0 +Inf"], "TIMERES": ["1e-300"], "ID": ["ivo://a/b?c:d'e", "ivo://A"],
    "COLLECTION": ["it's"], "FACILITY": ["VLT", "é"], "INSTRUMENT": ["X"], "DPTYPE": ["cube"], "CALIB": ["1", "04"],
    "TARGET": ["--"], "FORMAT": ["application/fits"],
}  # fmt: skip


def test_all_of_it_is_adql() -> None:
    assert set(EVERYTHING) == set(PARAMETERS)
    for name, values in EVERYTHING.items():
        parse(query({name: values}))
    parse(query(EVERYTHING))


def test_the_description_names_every_parameter_of_the_standard() -> None:
    known = {"COLLECTION": ("a<b", "é", "x\x01")}
    root = ET.fromstring(descriptor("http://x/sia2/query?a=1&b=2", known))
    assert root.attrib == {"type": "meta", "utype": "adhoc:service", "name": "this"}
    said = {param.get("name"): param.get("value") for param in root.findall("PARAM")}
    assert said == {"standardID": "ivo://ivoa.net/std/SIA#query-2.0", "accessURL": "http://x/sia2/query?a=1&b=2"}
    params = {param.get("name"): param for param in root.findall("GROUP[@name='inputParams']/PARAM")}
    assert {*PARAMETERS, "MAXREC", "RESPONSEFORMAT"} == set(params)
    assert all(param.get("value") == "" for param in params.values())
    band = params["BAND"]
    assert (band.get("datatype"), band.get("arraysize"), band.get("xtype"), band.get("unit")) == (
        "double", "2", "interval", "m",
    )  # fmt: skip
    options = {name: [one.get("value") for one in param.iter("OPTION")] for name, param in params.items()}
    assert options["DPTYPE"] == ["image", "cube"]
    assert options["CALIB"] == ["0", "1", "2", "3", "4"]
    assert options["COLLECTION"] == ["a<b", "é"]
    assert params["COLLECTION"].get("datatype") == "unicodeChar"
    assert options["FACILITY"] == []
