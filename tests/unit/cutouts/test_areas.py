from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from datalink.cutouts.areas import area_of
from datalink.cutouts.errors import RequestError
from datalink.cutouts.region import Circle, Polygon, Range, Region

Numbers = NDArray[np.float64]


def vectors(lon: Numbers, lat: Numbers) -> Numbers:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def anywhere(count: int) -> tuple[Numbers, Numbers]:
    """Return points all over the sphere, their longitudes counted in all ways."""
    chance = np.random.default_rng(7)
    return chance.uniform(-180.0, 540.0, count), np.degrees(np.arcsin(chance.uniform(-1.0, 1.0, count)))


def holds(region: Region, lon: float, lat: float) -> bool:
    return bool(area_of(region).holds(np.array(lon), np.array(lat)))


def test_a_polygon_holds_what_lies_on_one_side_of_all_its_great_circles() -> None:
    lon, lat = anywhere(5000)
    for points in (
        ((0.0, -40.0), (60.0, -30.0), (40.0, 35.0), (-10.0, 50.0)),
        ((170.0, -5.0), (200.0, -5.0), (190.0, 20.0)),
        ((0.0, 70.0), (90.0, 60.0), (180.0, 75.0), (270.0, 55.0)),  # round the pole
        ((250.0, -70.0), (130.0, -85.0), (10.0, -80.0)),
    ):
        ring = vectors(*np.transpose(points))
        edges = np.cross(ring, np.roll(ring, -1, axis=0))
        sides = vectors(lon, lat) @ edges.T
        expected = (sides > 0.0).all(axis=1)
        assert 0 < expected.sum() < len(lon) / 2
        for ways in (points, points[::-1]):
            assert (area_of(Polygon(ways)).holds(lon, lat) == expected).all()


def test_a_polygon_with_a_notch_does_not_hold_the_notch() -> None:
    notched = Polygon(((0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (10.0, 2.0), (0.0, 20.0)))
    assert holds(notched, 10.0, 1.0)
    assert holds(notched, 2.0, 10.0)
    assert not holds(notched, 10.0, 10.0)
    assert not holds(notched, 190.0, -1.0)  # its antipode


def test_a_polygon_of_many_points_holds_what_the_circle_does_that_they_lie_on() -> None:
    circle = area_of(Circle(30.0, 50.0, 20.0))
    around = np.transpose(circle.outline(np.linspace(0.0, 1.0, 1000, endpoint=False)))
    lon, lat = np.meshgrid(np.linspace(-60.0, 120.0, 300), np.linspace(10.0, 90.0, 200))
    held = area_of(Polygon(tuple(map(tuple, around.tolist())))).holds(lon, lat)
    assert held.shape == lon.shape
    assert 0.1 < held.mean() < 0.6
    assert (held != circle.holds(lon, lat)).mean() < 1e-4


def test_a_circle_holds_what_is_no_farther_than_its_radius() -> None:
    lon, lat = anywhere(2000)
    for circle in (Circle(359.0, 10.0, 5.0), Circle(20.0, 88.0, 10.0), Circle(200.0, -30.0, 120.0)):
        centre = vectors(np.array(circle.lon), np.array(circle.lat))
        expected = np.degrees(np.arccos(np.clip(vectors(lon, lat) @ centre, -1.0, 1.0))) <= circle.radius
        assert (area_of(circle).holds(lon, lat) == expected).all()
    assert holds(Circle(10.0, 20.0, 1e-7), 10.0, 20.0 + 9e-8)
    assert not holds(Circle(10.0, 20.0, 1e-7), 10.0, 20.0 + 1.2e-7)


def test_a_box_goes_eastward_however_longitudes_are_counted() -> None:
    across = Range(170.0, -170.0, -10.0, 10.0)
    for lon in (170.0, 180.0, -180.0, 190.0, -170.0):
        assert holds(across, lon, 10.0)
    for lon in (169.9, -169.9, 0.0):
        assert not holds(across, lon, 0.0)
    assert not holds(across, 180.0, 10.1)
    assert holds(Range(-180.0, 180.0, 0.0, 10.0), 300.0, 5.0)
    assert holds(Range(0.0, 10.0, 80.0, 90.0), 200.0, 90.0)  # the pole has all longitudes
    assert not holds(Range(0.0, 10.0, 80.0, 90.0), 200.0, 89.9)


def test_what_is_no_number_lies_nowhere() -> None:
    for region in (Range(-180.0, 180.0, -90.0, 90.0), Circle(0.0, 0.0, 180.0), Polygon(((0, 0), (9, 0), (0, 9)))):
        for lon, lat in ((np.nan, 1.0), (1.0, np.nan), (np.inf, np.inf)):
            with np.errstate(invalid="ignore"):
                assert not holds(region, lon, lat)


@pytest.mark.parametrize(
    ("region", "width"),
    [
        (Range(350.0, 10.0, 0.0, 1.0), 20.0),
        (Range(-180.0, 180.0, 0.0, 1.0), 360.0),
        (Circle(0.0, 0.0, 10.0), 20.0),
        (Circle(0.0, 85.0, 10.0), 360.0),
        (Polygon(((350.0, 0.0), (10.0, 0.0), (0.0, 10.0))), 20.0),
        (Polygon(((0.0, 80.0), (120.0, 80.0), (240.0, 80.0))), 360.0),
        (Polygon(((0.0, -80.0), (120.0, -80.0), (240.0, -80.0))), 360.0),
    ],
)
def test_an_area_knows_over_which_longitudes_it_goes(region: Region, width: float) -> None:
    area = area_of(region)
    assert area.width == pytest.approx(width)
    if width < 360.0:
        lon, _ = area.outline(np.linspace(0.0, area.edges, 1000))
        assert ((lon - area.west + 1e-6) % 360.0 <= width + 2e-6).all()


def test_an_outline_lies_on_the_edge_and_goes_through_the_vertices() -> None:
    polygon = ((0.0, -40.0), (60.0, -30.0), (40.0, 35.0))
    lon, lat = area_of(Polygon(polygon)).outline(np.array([0.0, 1.0, 2.0, 3.0]))
    assert np.allclose(np.transpose([lon, lat]), [*polygon, polygon[0]])
    lon, lat = area_of(Polygon(polygon)).outline(np.linspace(0.0, 1.0, 11))
    plane = np.cross(*vectors(*np.transpose(polygon[:2])))
    assert np.abs(vectors(lon, lat) @ plane).max() < 1e-12
    for region in (Range(350.0, 10.0, -5.0, 5.0), Circle(10.0, 89.0, 3.0)):
        area = area_of(region)
        lon, lat = area.outline(np.linspace(0.0, area.edges, 99))
        assert area.holds(lon, lat).all()


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (((0, 0), (120, 0), (240, 10)), "does not fit into half a sphere"),
        (((0, 0), (10, 10), (10, 0), (0, 10)), "crosses itself"),
        (((0, 0), (10, 0), (20, 0)), "has no area"),
    ],
)
def test_a_polygon_without_a_clear_inside_is_refused(points: tuple[tuple[float, float], ...], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        area_of(Polygon(points))
