from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from datalink.cutouts import region
from datalink.cutouts.errors import RequestError
from datalink.cutouts.region import Circle, Cutting, Interval, Polygon, Range

TRIANGLE = Polygon(((12.0, 34.0), (14.0, 34.0), (13.0, 36.0)))


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (region.position, "CIRCLE 12 34 0.5", Circle(12.0, 34.0, 0.5)),
        (region.position, " circle\t12  34 .5 ", Circle(12.0, 34.0, 0.5)),
        (region.position, "RANGE 12 14 34 36", Range(12.0, 14.0, 34.0, 36.0)),
        (region.position, "RANGE 0 360 89 +Inf", Range(0.0, 360.0, 89.0, 90.0)),
        (region.position, "RANGE -Inf  Inf -2 2", Range(0.0, 360.0, -2.0, 2.0)),
        (region.position, "RANGE 350 10 -2 2", Range(350.0, 10.0, -2.0, 2.0)),
        (region.position, "POLYGON 12 34 14 34 13 36", TRIANGLE),
        (region.circle, "12 34 0", Circle(12.0, 34.0, 0.0)),
        (region.polygon, "12 34 14 34 13 36 12 34", TRIANGLE),
        (region.body_box, "170 -10 -170 10", Range(170.0, -170.0, -10.0, 10.0)),
        (region.body_box, "170 -10 190 10", Range(170.0, 190.0, -10.0, 10.0)),
        (region.body_polygon, "-12 34 14 34 13 36", Polygon(((-12.0, 34.0), (14.0, 34.0), (13.0, 36.0)))),
        (region.band, "500 550", Interval(500.0, 550.0)),
        (region.band, "-Inf 300", Interval(-math.inf, 300.0)),
        (region.band, "750 +Inf", Interval(750.0, math.inf)),
        (region.band, "5.5e-7", Interval(5.5e-7, 5.5e-7)),
        (region.time, " 55100.0 +Inf", Interval(55100.0, math.inf)),
    ],
)
def test_values_are_read_as_soda_writes_them(read: Callable[[str], object], text: str, expected: object) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (region.position, ""),
        (region.position, "BOX 1 2 3 4"),
        (region.position, "CIRCLE 12 34"),
        (region.position, "CIRCLE 12 34 -1"),
        (region.position, "CIRCLE 12 95 1"),
        (region.position, "CIRCLE 361 0 1"),
        (region.position, "CIRCLE -1 0 1"),
        (region.position, "CIRCLE 12 34 nan"),
        (region.position, "CIRCLE 12 34 Inf"),
        (region.position, "RANGE 1 2 4 3"),
        (region.position, "RANGE 1 2 3"),
        (region.position, "POLYGON 1 2 3 4"),
        (region.position, "POLYGON 1 2 3 4 5 6 7"),
        (region.position, "POLYGON 1 2 3 4 1 2"),
        (region.position, "POLYGON 1 2 1 2 1 2 1 2"),
        (region.polygon, "1 2 " * 1001),
        (region.circle, "0x10 1 1"),
        (region.circle, "1_0 1 1"),
        (region.circle, "\u0661 1 1"),
        (region.body_box, "-181 0 0 1"),
        (region.body_box, "1 2 3"),
        (region.band, "550 500"),
        (region.band, "0 0"),
        (region.band, "-3 -1"),
        (region.band, "1 2 3"),
        (region.band, ""),
        (region.band, "Inf Inf"),
        (region.time, "today"),
    ],
)
def test_what_is_no_value_is_a_usage_error_that_names_the_parameter(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(RequestError, match="^UsageError: (POS|CIRCLE|POLYGON|BODY_BBOX|BAND|TIME)") as caught:
        read(text)
    assert len(str(caught.value)) < 250


def test_polarization_states_are_one_filter_in_the_order_of_the_standard() -> None:
    assert region.states(["V", "I", "V"]) == ("I", "V")
    with pytest.raises(RequestError, match="POL: 'i' is none of I, Q"):
        region.states(["i"])


def test_a_range_says_how_wide_it_is() -> None:
    assert Range(350.0, 10.0, 0.0, 1.0).width == 20.0
    assert Range(0.0, 360.0, 0.0, 1.0).width == 360.0
    assert Range(-180.0, 360.0, 0.0, 1.0).width == 360.0
    assert Range(10.0, 10.0, 0.0, 1.0).width == 0.0


def test_nothing_asked_for_is_the_whole_file() -> None:
    assert Cutting().is_whole
    assert not Cutting(states=("I",)).is_whole
