from __future__ import annotations

from typing import Any

import pytest

from stac_rucio_sync.sources.obeyed import Selection


def _point(longitude: float, latitude: float = 0.0, bbox: Any = None, **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": [longitude, latitude]}
    return {"geometry": geometry, "bbox": bbox, "properties": properties}


def _box(west: float, south: float, east: float, north: float, item: dict[str, Any]) -> bool:
    return Selection((), (west, south, east, north), None).ignored(item) is None


@pytest.mark.parametrize(
    ("item", "touches"),
    [
        (_point(5.0), True),
        (_point(10.0), True),  # on the edge
        (_point(11.0), False),
        (_point(11.0, bbox=[0.0, -1.0, 20.0, 1.0]), True),
        (_point(5.0, bbox=[50.0, 50.0, 60.0, 60.0]), True),  # a wrong bbox proves nothing
        (_point(11.0, bbox=[50.0, 50.0, 60.0, 60.0]), False),
        (_point(365.0), True),
        ({"geometry": None, "bbox": None}, True),
        ({"geometry": {"type": "GeometryCollection", "geometries": [_point(99.0)["geometry"]]}}, False),
    ],
)
def test_only_an_item_that_surely_lies_outside_proves_that_a_box_is_ignored(
    item: dict[str, Any], touches: bool
) -> None:
    assert _box(0.0, -10.0, 10.0, 10.0, item) is touches


@pytest.mark.parametrize(("longitude", "touches"), [(179.0, True), (-179.0, True), (185.0, True), (0.0, False)])
def test_a_box_may_cross_the_antimeridian(longitude: float, touches: bool) -> None:
    assert _box(175.0, -10.0, -175.0, 10.0, _point(longitude)) is touches


@pytest.mark.parametrize(
    ("properties", "inside"),
    [
        ({"datetime": "2024-01-15T00:00:00Z"}, True),
        ({"datetime": "2024-02-01T00:00:00+02:00"}, True),  # still January in UTC
        ({"datetime": "2024-02-02T00:00:00Z"}, False),
        ({"datetime": None, "start_datetime": "2023-01-01T00:00:00Z", "end_datetime": "2025-01-01T00:00:00Z"}, True),
        ({"datetime": "2020-01-01T00:00:00Z", "start_datetime": "2024-01-01T00:00:00Z"}, True),
        ({"datetime": None}, True),
        ({"datetime": "no time"}, True),
    ],
)
def test_only_an_item_that_is_surely_of_another_time_proves_that_a_time_is_ignored(
    properties: dict[str, Any], inside: bool
) -> None:
    asked = Selection((), None, "2024-01-01T00:00:00Z/2024-01-31T23:59:59Z")
    assert (asked.ignored({"properties": properties}) is None) is inside
