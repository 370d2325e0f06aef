"""Boxes of pixels for regions on the sky: against every pixel of the picture, in all kinds of projections."""

from __future__ import annotations

import random

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip
from astropy.wcs.utils import proj_plane_pixel_scales

from datalink.cutouts.areas import area_of
from datalink.cutouts.errors import FileError, RequestError
from datalink.cutouts.region import Circle, Polygon, Range, Region
from datalink.cutouts.sky import Box, Sky, box_of
from tests.unit.cutouts.making import held

WIDTH, HEIGHT = 120, 90


def system(
    projection: str,
    *,
    at: tuple[float, float] = (40.0, 0.0),
    pixel: float = 0.01,
    turned: float = 20.0,
    names: tuple[str, str] = ("RA--", "DEC-"),
) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{names[0]}-{projection}", f"{names[1]}-{projection}"]
    wcs.wcs.crval = list(at)
    wcs.wcs.crpix = [WIDTH / 2 + 0.5, HEIGHT / 2 + 0.5]
    wcs.wcs.cdelt = [-pixel, pixel]
    sine, cosine = np.sin(np.radians(turned)), np.cos(np.radians(turned))
    wcs.wcs.pc = [[cosine, -sine], [sine, cosine]]
    match projection:
        case "ZPN":
            wcs.wcs.set_pv([(2, 1, 1.0), (2, 3, 5.0)])
        case "COE":
            wcs.wcs.set_pv([(2, 1, 45.0)])
        case "AZP":
            wcs.wcs.set_pv([(2, 1, 2.0), (2, 2, 30.0)])
        case "TAN-SIP":
            bent = np.zeros((3, 3))
            bent[2, 0], bent[1, 1] = 4e-5, -3e-5
            wcs.sip = Sip(bent, bent.T.copy(), None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def check(wcs: WCS, region: Region, box: Box | None) -> None:
    """Check that a box holds all pixels that a region holds, and that the region reaches each of its sides."""
    rows, columns = np.nonzero(held(wcs, np.mgrid[:HEIGHT, :WIDTH], region))
    if box is None:
        assert rows.size == 0
        return
    if rows.size:
        assert box.x_first <= columns.min() <= columns.max() <= box.x_last
        assert box.y_first <= rows.min() <= rows.max() <= box.y_last
    pixel = float(max(proj_plane_pixel_scales(wcs)))
    wider = _wider(region, 0.25 * pixel)
    fine = np.linspace(-0.5, 0.5, 5)
    along_x = (np.arange(box.x_first, box.x_last + 1)[:, None] + fine).ravel()
    along_y = (np.arange(box.y_first, box.y_last + 1)[:, None] + fine).ravel()
    for x in (box.x_first, box.x_last):
        assert held(wcs, np.meshgrid(along_y, x + fine, indexing="ij"), wider).any(), (x, box)
    for y in (box.y_first, box.y_last):
        assert held(wcs, np.meshgrid(y + fine, along_x, indexing="ij"), wider).any(), (y, box)


def _wider(region: Region, by: float) -> Region:
    match region:
        case Circle(lon, lat, radius):
            return Circle(lon, lat, radius + by)
        case Range(west, east, south, north):
            more = min(by / max(np.cos(np.radians(max(abs(south), abs(north)))), 1e-3), 5.0)
            if region.width + 2 * more >= 360.0:
                return Range(0.0, 360.0, south - by, north + by)
            return Range(west - more, east + more, south - by, north + by)
    raise AssertionError(region)


SMALL = ("TAN", "SIN", "ARC", "STG", "ZEA", "ZPN", "AZP", "CAR", "CEA", "MER", "SFL", "AIT", "COE", "TSC", "TAN-SIP")


@pytest.mark.parametrize("projection", SMALL)
@pytest.mark.parametrize("names", [("RA--", "DEC-"), ("GLON", "GLAT")], ids=["equatorial", "galactic"])
def test_boxes_in_a_small_picture(projection: str, names: tuple[str, str]) -> None:
    wcs = system(projection, at=(40.0, 45.0 if projection == "COE" else 0.0), names=names)
    sky = Sky(wcs, WIDTH, HEIGHT)
    dice = random.Random(projection)  # noqa: S311 - of a test
    for _ in range(3):
        x, y = dice.uniform(-15, WIDTH + 15), dice.uniform(-15, HEIGHT + 15)
        lon, lat = (float(value[0]) for value in sky.positions(np.array([x]), np.array([y])))
        size = 0.01 * dice.choice([0.3, 3.0, 17.0, 60.0, 5000.0])
        east = (lon + size / np.cos(np.radians(lat))) % 360.0
        for region in (Circle(lon, lat, size), Range(lon, east, max(lat - size, -90.0), min(lat + size, 90.0))):
            check(wcs, region, box_of(sky, area_of(region)))


@pytest.mark.parametrize("projection", ["TAN", "SIN", "ARC", "ZEA", "STG", "ZPN", "TAN-SIP"])
@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_boxes_over_a_pole(projection: str, pole: float) -> None:
    wcs = system(projection, at=(77.0, pole * 0.9999))
    sky = Sky(wcs, WIDTH, HEIGHT)
    edge = 0.2 if pole > 0 else -0.2
    for region in (
        Circle(10.0, pole, 0.11),
        Circle(300.0, pole - edge, 0.3),
        Range(0.0, 360.0, *sorted((pole - edge, pole))),
        Range(350.0, 40.0, *sorted((pole - edge, pole))),
        Circle(77.0, 0.0, 89.9),
    ):
        check(wcs, region, box_of(sky, area_of(region)))


@pytest.mark.parametrize("projection", ["CAR", "CEA", "AIT", "MOL", "SFL", "HPX", "ZEA"])
def test_boxes_in_a_map_of_the_whole_sky(projection: str) -> None:
    wcs = system(projection, at=(40.0, 0.0), pixel=3.0, turned=0.0)
    sky = Sky(wcs, WIDTH, HEIGHT)
    for region in (
        Circle(40.0, 0.0, 20.0),
        Circle(220.0, 10.0, 20.0),  # over the seam
        Circle(0.0, 90.0, 15.0),
        Circle(120.0, -80.0, 30.0),
        Range(0.0, 360.0, -10.0, 10.0),
        Range(200.0, 240.0, 30.0, 60.0),
        Circle(100.0, 30.0, 140.0),
    ):
        check(wcs, region, box_of(sky, area_of(region)))


def test_a_polygon_is_followed_along_great_circles() -> None:
    wcs = system("TAN", pixel=0.1)
    sky = Sky(wcs, WIDTH, HEIGHT)
    corners = wcs.all_pix2world([[20.2, 30.3], [90.4, 33.1], [60.7, 80.2]], 0)
    points = SkyCoord(corners, unit="deg")
    polygon = Polygon(tuple((float(one.ra.deg), float(one.dec.deg)) for one in points))
    # In a gnomonic picture great circles are straight, so its corners are its extremes.
    assert box_of(sky, area_of(polygon)) == Box(20, 90, 30, 80)


def test_a_point_is_the_pixel_that_it_lies_in() -> None:
    wcs = system("TAN")
    sky = Sky(wcs, WIDTH, HEIGHT)
    for x, y in ((30.0, 40.0), (30.4, 39.6), (0.0, 0.0), (-0.4, 89.4)):
        lon, lat = wcs.all_pix2world(x, y, 0)
        column, row = max(round(x), 0), round(y)
        assert box_of(sky, area_of(Circle(float(lon), float(lat), 0.0))) == Box(column, column, row, row)
    lon, lat = wcs.all_pix2world(-0.6, 10.0, 0)
    assert box_of(sky, area_of(Circle(float(lon), float(lat), 0.0))) is None


def test_edges_of_pixels_belong_to_the_pixels_within() -> None:
    wcs = system("CAR", at=(0.0, 0.0), pixel=1.0, turned=0.0)
    sky = Sky(wcs, WIDTH, HEIGHT)
    # Its middle is at the corner of four pixels, so whole degrees are edges of pixels.
    assert box_of(sky, area_of(Range(355.0, 7.0, 2.0, 9.0))) == Box(53, 64, 47, 53)


def test_a_cylindrical_map_that_begins_elsewhere_is_found() -> None:
    wcs = system("CAR", at=(0.0, 0.0), pixel=1.0, turned=0.0, names=("GLON", "GLAT"))
    wcs.wcs.crpix = [330.5, 45.5]  # the picture shows galactic longitudes 330 to 210, counted from 0
    wcs.wcs.set()
    sky = Sky(wcs, WIDTH, HEIGHT)
    there = SkyCoord(280.0, 5.0, unit="deg", frame="galactic").icrs
    box = box_of(sky, area_of(Circle(float(there.ra.deg), float(there.dec.deg), 3.0)))
    assert box is not None
    assert (box.x_first + box.x_last) / 2 == pytest.approx(330.5 - 1 - 280.0, abs=0.6)
    assert (box.y_first + box.y_last) / 2 == pytest.approx(45.5 - 1 + 5.0, abs=0.6)


def test_a_large_picture_takes_no_more_than_a_small_one() -> None:
    wcs = system("TAN", pixel=0.0001)
    wcs.wcs.crpix = [30_000.5, 20_000.5]
    wcs.wcs.set()
    sky = Sky(wcs, 60_000, 40_000)
    corner = wcs.all_pix2world(59_990.0, 39_980.0, 0)
    box = box_of(sky, area_of(Circle(float(corner[0]), float(corner[1]), 0.1)))
    assert box is not None
    assert (box.x_last, box.y_last) == (59_999, 39_999)
    assert box.x_first == pytest.approx(58_990, abs=3)
    assert box.y_first == pytest.approx(38_980, abs=3)


@pytest.mark.parametrize("names", [("HPLN", "HPLT"), ("TLON", "TLAT"), ("MALN", "MALT")])
def test_other_systems_are_not_the_sky(names: tuple[str, str]) -> None:
    with pytest.raises(RequestError, match=names[0]):
        Sky(system("CAR", names=names), WIDTH, HEIGHT)


def test_coordinates_without_a_scale_are_broken() -> None:
    wcs = system("TAN")
    wcs.wcs.cdelt = [1e-320, 1e-320]
    with pytest.raises(FileError):
        Sky(wcs, WIDTH, HEIGHT)
