from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stac_rucio_sync.mapping import footprint as module
from stac_rucio_sync.mapping import sphere
from stac_rucio_sync.mapping.footprint import Footprint, Frame, Ranges, footprint
from stac_rucio_sync.mapping.regions import region_footprint

Positions = list[list[float]]


def polygon(*positions: tuple[float, float], holes: int = 0) -> dict[str, Any]:
    ring = [list(position) for position in positions]
    return {"type": "Polygon", "coordinates": [ring] * (1 + holes)}


def box(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def vertices(found: Footprint) -> list[tuple[float, float]]:
    assert found.polygon is not None
    return list(zip(found.polygon[::2], found.polygon[1::2], strict=True))


def counter_clockwise_from_outside(found: Footprint) -> bool:
    """By the definition: walking along the edge, the inside is on the left as seen from above the surface."""
    assert found.bound is not None
    ring = np.array([sphere.to_vector(*vertex) for vertex in vertices(found)])
    normals = np.cross(ring, np.roll(ring, -1, axis=0)).sum(axis=0)
    return bool(normals @ np.array(sphere.to_vector(*found.bound[:2])) > 0)


@pytest.mark.parametrize("reverse", [False, True])
def test_one_polygon_whichever_way_its_ring_runs(reverse: bool) -> None:
    ring = box(10, 40, 12, 41)
    if reverse:
        ring.reverse()
    body, sky = footprint(polygon(*ring), None, "body"), footprint(polygon(*ring), None, "sky")
    assert sorted(vertices(body)) == sorted(vertices(sky)) == sorted(set(ring))
    assert counter_clockwise_from_outside(body)
    assert not counter_clockwise_from_outside(sky)
    assert body.ranges == Ranges(10, 12, 40, 41)
    assert body.remarks == ()
    assert body.region is not None
    assert sky.region is not None
    assert body.region.startswith("POLYGON UNKNOWNFRAME ")
    assert sky.region.startswith("POLYGON ICRS ")
    assert [float(value) for value in sky.region.split()[2:]] == list(sky.polygon or ())


@pytest.mark.parametrize(
    "ring",
    [
        box(179, -10, -179, -8),
        box(-181, -10, -179, -8),
        box(179, -10, 181, -8),
        [(179, -10), (-179, -10), (-179, -8), (179, -8)],
        [(179, -10), (180, -10), (-180, -10), (-179, -10), (-179, -8), (-180, -8), (180, -8), (179, -8), (179, -10)],
    ],
)
def test_rings_across_the_antimeridian_are_unwrapped(ring: list[tuple[float, float]]) -> None:
    found = footprint(polygon(*ring), None, "body")
    assert set(box(179, -10, 181, -8)) <= set(vertices(found))
    assert found.bound is not None
    assert found.bound[0] == pytest.approx(180)
    assert found.ranges == Ranges(179, 181, -10, -8)


def test_parts_that_meet_at_the_antimeridian_are_joined() -> None:
    parts = [[[list(p) for p in box(178, 50, 180, 52)]], [[list(p) for p in box(-180, 50, -179, 52)]]]
    found = footprint({"type": "MultiPolygon", "coordinates": parts}, None, "body")
    assert {(178, 50), (181, 50), (181, 52), (178, 52)} <= set(vertices(found))
    assert found.ranges == Ranges(178, 181, 50, 52)
    assert found.remarks == ()


def test_c1min_is_greater_than_c1max_across_the_meridian() -> None:
    assert footprint(polygon(*box(-1, 0, 2, 1)), None, "body").ranges == Ranges(359, 2, 0, 1)
    assert footprint(polygon(*box(-2, 0, 0, 1)), None, "body").ranges == Ranges(358, 360, 0, 1)


def test_parts_that_do_not_join_are_their_convex_hull() -> None:
    parts = [[[list(p) for p in box(0, 0, 1, 1)]], [[list(p) for p in box(3, 0, 4, 1)]]]
    found = footprint({"type": "MultiPolygon", "coordinates": parts}, None, "sky")
    # (1, 1) and (3, 1) lie below the great circle from (0, 1) to (4, 1)
    assert set(vertices(found)) == {(0, 0), (4, 0), (4, 1), (0, 1)}
    assert found.remarks == (module.HULL,)


@pytest.mark.parametrize("pole", [1, -1])
def test_polar_caps(pole: int) -> None:
    touching = polygon(*[(lon, lat * pole) for lon, lat in [(-180, 60), (180, 60), (180, 90), (-180, 90), (-180, 60)]])
    around = polygon(*[(lon, 60 * pole) for lon in range(-180, 180, 20)])
    for geometry in (touching, around):
        found = footprint(geometry, None, "body")
        assert found.ranges == (0, 360, *sorted((60 * pole, 90 * pole)))
        assert found.bound is not None
        assert found.bound[1] == pytest.approx(90 * pole)
        assert found.bound[2] == pytest.approx(30, abs=0.05)
        assert all(lat == pytest.approx(60 * pole) for _, lat in vertices(found))
        assert found.remarks == ()


def test_long_edges_of_a_body_follow_their_parallel_and_those_of_the_sky_the_great_circle() -> None:
    geometry = polygon(*box(0, 50, 40, 60))
    body = footprint(geometry, None, "body")
    assert len(vertices(body)) > 20
    assert {round(lat, 9) for _, lat in vertices(body)} == {50, 60}
    assert len(vertices(footprint(geometry, None, "sky"))) == 4


@pytest.mark.parametrize(
    ("geometry", "ranges"),
    [
        (polygon(*box(-180, -90, 180, 90)), Ranges(0, 360, -90, 90)),
        (polygon(*box(0, -90, 360, 90)), Ranges(0, 360, -90, 90)),
        (polygon(*box(-180, -60, 180, 70)), Ranges(0, 360, -60, 70)),
        (polygon(*box(-180, -80, 179.5, 80)), Ranges(180, 179.5, -80, 80)),
        (polygon(*box(-100, -80, 100, 80)), Ranges(260, 100, -80, 80)),
    ],
)
def test_more_than_a_hemisphere_has_ranges_and_no_region(geometry: dict[str, Any], ranges: Ranges) -> None:
    found = footprint(geometry, None, "body")
    assert (found.polygon, found.bound, found.region, found.remarks) == (None, None, None, (module.LARGE,))
    assert found.ranges == pytest.approx(ranges)


def test_points_and_lines() -> None:
    point = footprint({"type": "Point", "coordinates": [-75.5, 10, 300]}, None, "body")
    assert point == Footprint(None, (284.5, 10.0, 0.0), None, Ranges(284.5, 284.5, 10, 10))
    line = footprint({"type": "LineString", "coordinates": [[179, 0], [-179, 0]]}, None, "body")
    assert line.polygon is None
    assert line.bound == pytest.approx((180, 0, 1), abs=1e-6)
    assert line.region is not None
    assert line.region.startswith("CIRCLE UNKNOWNFRAME ")
    assert (line.ranges, line.remarks) == (Ranges(179, 181, 0, 0), (module.NO_AREA,))
    assert footprint(polygon((5, 5), (6, 6), (5, 5)), None, "sky").remarks == (module.THIN,)


def test_holes_heights_and_repeated_vertices_go() -> None:
    ring = [[0, 0, 5], [0, 0, 7], [1, 0, 5], [1, 1, 5], [1, 1, 5], [0, 1, 5], [0, 0, 5]]
    found = footprint({"type": "Polygon", "coordinates": [ring, ring]}, None, "body")
    assert vertices(found) == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert found.remarks == (module.HOLES,)


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        (polygon((0, 0), (1, 1), (1, 0), (0, 1)), "crosses itself"),
        (polygon(*box(0, 80, 1, 91)), "not degrees"),
        (polygon(*box(300000, 4000000, 310000, 4010000)), "not degrees"),
        (polygon((0, 0), ("x", 1), (1, 1)), "no number"),  # type: ignore[arg-type] # what catalogues hold
        (polygon((0, 0), (math.nan, 1), (1, 1)), "not degrees"),
        ({"type": "Polygon", "coordinates": [[0, 0], [1, 1], [1, 0]]}, "not lists of positions"),
        ({"type": "Polygon", "coordinates": []}, "not lists of positions"),
        ({"type": "Polygon"}, "not lists of positions"),
        ({"type": "Circle", "coordinates": [1, 2]}, "no GeoJSON"),
        ({}, "no GeoJSON"),
        ({"type": ["Polygon"]}, "no GeoJSON"),
        ({"type": "MultiPolygon", "coordinates": []}, "no position"),
        ({"type": "GeometryCollection", "geometries": [None]}, "no GeoJSON"),
    ],
)
def test_what_is_no_footprint_leaves_a_reason_and_the_ranges_of_the_bbox(geometry: dict[str, Any], said: str) -> None:
    found = footprint(geometry, [170, -5, -170, 5], "body")
    assert (found.polygon, found.bound, found.region) == (None, None, None)
    assert len(found.remarks) == 1
    assert said in found.remarks[0]
    if "crosses" not in said:
        assert found.ranges == Ranges(170, 190, -5, 5)


def test_no_geometry() -> None:
    assert footprint(None, None, "sky") == Footprint(remarks=(module.NO_GEOMETRY,))
    assert footprint(None, [0, 10, -1, 5, 20, 1], "body").ranges == Ranges(0, 5, 10, 20)
    assert footprint(None, [0, 20, 5, 10], "body").ranges is None


def test_outlines_too_fine_for_pgsphere_are_simplified_and_still_bounded() -> None:
    ring = [
        (10 * math.cos(t) * (1 + 0.01 * (i % 2)) + 20, 10 * math.sin(t) * (1 + 0.01 * (i % 2)))
        for i, t in enumerate(np.linspace(0, 2 * math.pi, 2000, endpoint=False))
    ]
    found = footprint(polygon(*ring), None, "body")
    assert len(vertices(found)) <= module.MOST_VERTICES
    assert found.remarks == (module.SIMPLIFIED,)
    assert_bounded(found, [sphere.to_vector(*vertex) for vertex in ring])


def test_a_thousand_vertices_on_straight_edges_are_no_detail() -> None:
    side = [float(t) for t in np.linspace(0, 1, 300, endpoint=False)]
    ring = [
        *((5 + t, 0.0) for t in side),
        *((6.0, t) for t in side),
        *((6 - t, 1.0) for t in side),
        *((5.0, 1 - t) for t in side),
    ]
    found = footprint(polygon(*ring), None, "body")
    assert {(5, 0), (6, 0), (6, 1), (5, 1)} <= set(vertices(found))
    assert found.remarks == ()


def assert_bounded(found: Footprint, ring: list[sphere.Vector]) -> None:
    """Every vertex and every point of the great circles between them lies in the bounding circle."""
    assert found.bound is not None
    centre, radius = np.array(sphere.to_vector(*found.bound[:2])), math.radians(found.bound[2])
    starts = np.array(ring)
    ends = np.roll(starts, -1, axis=0)
    for part in np.linspace(0, 1, 7):
        points = starts * (1 - part) + ends * part
        points /= np.linalg.norm(points, axis=1)[:, None]
        away = np.arctan2(np.linalg.norm(np.cross(points, centre), axis=1), points @ centre)
        assert away.max() <= radius


@examples(max_examples=60, deadline=None)
@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    size=st.floats(1e-4, 70),
    radii=st.lists(st.floats(0.2, 1), min_size=3, max_size=20),
    frame=st.sampled_from(["sky", "body"]),
)
def test_the_circle_holds_the_polygon(lon: float, lat: float, size: float, radii: list[float], frame: Frame) -> None:
    step = 2 * math.pi / len(radii)
    ring = [
        (lon + size * r * math.cos(i * step), max(-90, min(90, lat + size * r * math.sin(i * step))))
        for i, r in enumerate(radii)
    ]
    found = footprint(polygon(*ring), None, frame)
    assume(found.polygon is not None)
    assert all(0 <= vertex[0] < 360 and -90 <= vertex[1] <= 90 for vertex in vertices(found))
    assert len(set(vertices(found))) == len(vertices(found))
    assert counter_clockwise_from_outside(found) == (frame == "body")
    assert_bounded(found, [sphere.to_vector(*vertex) for vertex in vertices(found)])


@examples(max_examples=40, deadline=None)
@given(
    ra=st.floats(0, 359.99),
    dec=st.floats(-89, 89),
    width=st.floats(0.001, 5),
    angle=st.floats(0, 360),
)
def test_the_centre_of_an_image_is_the_centre_of_its_corners(ra: float, dec: float, width: float, angle: float) -> None:
    centre = SkyCoord(ra, dec, unit="deg")
    corners = [
        centre.directional_offset_by((angle + turn) * 1.0 * SkyCoord(0, 0, unit="deg").ra.unit, width * centre.ra.unit)
        for turn in (0, 90, 180, 270)
    ]
    found = footprint(polygon(*[(float(c.ra.deg), float(c.dec.deg)) for c in corners]), None, "sky")
    assert found.bound is not None
    away = sphere.distance(sphere.to_vector(*found.bound[:2]), sphere.to_vector(ra, dec))
    assert math.degrees(away) < 1e-6
    assert found.bound[2] == pytest.approx(width, abs=1e-6)


def test_edges_that_touch_or_cross_and_edges_on_one_great_circle() -> None:
    def fault(*ring: tuple[float, float]) -> sphere.Fault | None:
        vectors = [sphere.to_vector(*vertex) for vertex in ring]
        return sphere.fault(vectors, sphere.middle(vectors))

    comb = [(0, 0), (5, 0), (5, 2), (4, 1), (3, 2), (2, 1), (1, 2)]
    assert fault(*comb) is None
    assert fault(*[(0, 0), (0, 1), (1, 1), (1, 2), (0, 2), (0, 3), (3, 3), (3, 0)]) is None  # two edges on lon 0
    assert fault((0, 0), (2, 0), (1, 1), (2, 2), (0, 2), (1, 1)) is sphere.Fault.TOUCHING
    assert fault((0, 0), (2, 2), (2, 0), (0, 2)) is sphere.Fault.CROSSING
    assert fault((0, 0), (1, 0), (2, 1e-12)) is sphere.Fault.THIN
    assert fault((0, 0), (120, 0), (240, 0)) is sphere.Fault.TOO_LARGE
    twenty = [(10 * math.cos(t), 10 * math.sin(t)) for t in np.linspace(0, 2 * math.pi, 20, endpoint=False)]
    assert fault(*twenty) is None
    assert fault(*twenty[:5], twenty[15], *twenty[6:15], twenty[5], *twenty[16:]) is sphere.Fault.CROSSING


@pytest.mark.parametrize(
    "text",
    [
        "POLYGON ICRS 10 10 10 12 12 12 12 10",
        "polygon 10 10 12 10 12 12 10 12",
        "Polygon ICRS GEOCENTER SPHERICAL2 1e1 10. 10 12 12 12 12 10",
    ],
)
def test_stc_polygons(text: str) -> None:
    found = region_footprint(text)
    assert found is not None
    assert sorted(vertices(found)) == [(10, 10), (10, 12), (12, 10), (12, 12)]
    assert not counter_clockwise_from_outside(found)


def test_stc_circles_and_what_is_neither() -> None:
    found = region_footprint("CIRCLE ICRS -10.5 20 0.25")
    assert found == Footprint(None, (349.5, 20.0, 0.25), "CIRCLE ICRS 349.5 20.0 0.25")
    for text in (
        "",
        "POLYGON GALACTIC 1 1 2 2 3 1",
        "POLYGON ICRS 1 2 3",
        "CIRCLE ICRS 1 2",
        "BOX 1 2 3 4",
        "POLYGON ICRS 0 0 1 95 2 0",
        "UNION ICRS (CIRCLE 1 2 3)",
        "CIRCLE ICRS 1 2 -3",
    ):
        assert region_footprint(text) is None
