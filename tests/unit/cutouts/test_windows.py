from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from datalink.cutouts.areas import area_of
from datalink.cutouts.errors import LimitError, NoOverlapError, RequestError
from datalink.cutouts.georeference import Georeference, georeference_of
from datalink.cutouts.reading import open_path
from datalink.cutouts.region import Circle, Polygon, Range, Region
from datalink.cutouts.virtual import opened
from datalink.cutouts.windows import Piece, Window, window_of
from tests.unit.cutouts.rasters import LIMITS, Raster, numbered, write

SPHERE = "+a=3396190 +b=3396190 +no_defs"
DEGREE = 59274.697  # metres on that sphere

MAPS = {
    "degrees from -180": (f"+proj=longlat {SPHERE}", Affine(3, 0, -180, 0, -3, 90), 120, 60),
    "degrees from 0": (f"+proj=longlat {SPHERE}", Affine(3, 0, 0, 0, -3, 90), 120, 60),
    "south up": (f"+proj=longlat {SPHERE}", Affine(3, 0, -180, 0, 3, -90), 120, 60),
    "a part": (f"+proj=longlat {SPHERE}", Affine(0.5, 0, 150, 0, -0.5, 20), 120, 80),
    "turned": (f"+proj=longlat {SPHERE}", Affine(0.4, 0.3, 170, 0.3, -0.4, 10), 80, 80),
    "equirectangular": (
        f"+proj=eqc +lon_0=180 {SPHERE}",
        Affine(4 * DEGREE, 0, -180 * DEGREE, 0, -4 * DEGREE, 90 * DEGREE),
        90,
        45,
    ),
    "Mercator": (f"+proj=merc {SPHERE}", Affine(100_000, 0, -5_000_000, 0, -100_000, 4_000_000), 100, 80),
    "north pole": (f"+proj=stere +lat_0=90 {SPHERE}", Affine(50_000, 0, -2_000_000, 0, -50_000, 2_000_000), 80, 80),
    "south pole": (f"+proj=stere +lat_0=-90 {SPHERE}", Affine(50_000, 0, -2_000_000, 0, -50_000, 1_500_000), 80, 60),
    "UTM zone 60": ("+proj=utm +zone=60 +datum=WGS84", Affine(3000, 0, 400_000, 0, -3000, 6_000_000), 100, 100),
    "equal area": (f"+proj=laea +lon_0=180 {SPHERE}", Affine(60_000, 0, -3_000_000, 0, -60_000, 3_000_000), 100, 100),
    # These show a limb.
    "orthographic": (
        f"+proj=ortho +lat_0=20 +lon_0=170 {SPHERE}",
        Affine(80_000, 0, -3_500_000, 0, -80_000, 3_500_000),
        88,
        88,
    ),
    "sinusoidal": (f"+proj=sinu {SPHERE}", Affine(150_000, 0, -10_670_000, 0, -150_000, 5_340_000), 142, 72),
}
LIMBS = {"orthographic", "sinusoidal"}
REGIONS: dict[str, Region] = {
    "box": Range(-175.0, -165.0, -12.0, 11.0),
    "box across 180": Range(172.0, -171.0, -13.0, 7.0),
    "box across 0": Range(350.0, 20.0, 30.0, 44.0),
    "cap": Range(-180.0, 180.0, 62.0, 90.0),
    "belt": Range(0.0, 360.0, -77.5, -61.0),
    "wedge to the pole": Range(100.0, 190.0, -90.0, -64.0),
    "circle across 180": Circle(179.0, 3.0, 9.0),
    "circle round the pole": Circle(40.0, 87.0, 12.0),
    "triangle across 180": Polygon(((170.0, -9.0), (190.0, 0.0), (175.0, 12.0))),
    "triangle round the pole": Polygon(((20.0, -62.0), (140.0, -67.0), (260.0, -64.0))),
    "somewhere in zone 60": Polygon(((176.2, 52.0), (178.1, 52.3), (177.9, 53.6), (176.0, 53.5))),
}
_FINE = 3
"""Points a pixel is asked at, each way."""


def lonlat(raster: Raster, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the positions of points of all pixels, by PROJ or, in degrees, by the numbers themselves."""
    across = (np.arange(raster.width * _FINE) + 0.5)[None, :] / _FINE
    down = (np.arange(raster.height * _FINE) + 0.5)[:, None] / _FINE
    if raster.crs.is_geographic:
        across, down = np.broadcast_arrays(across, down)
        lon, lat = raster.transform @ (across, down)
        return lon, lat
    body = "EPSG:4326" if "UTM" in name else f"+proj=longlat {SPHERE}"
    lon, lat = raster.positions(across, down, body)
    if name in LIMBS:
        forth = pyproj.Transformer.from_crs(body, raster.crs.to_wkt(), always_xy=True)
        x, y = forth.transform(lon, lat)
        with np.errstate(invalid="ignore"):
            back = ~raster.transform @ (x, y)
            lon = np.where(np.hypot(back[0] - across, back[1] - down) < 0.5, lon, np.nan)
    return lon, lat


def reference(path: Path) -> Georeference:
    with open_path(path, LIMITS) as file, opened(file) as dataset:
        return georeference_of(dataset)


def located(path: Path, region: Region) -> Window:
    return window_of(area_of(region), reference(path))


@pytest.mark.parametrize("name", MAPS)
def test_a_window_holds_all_pixels_of_a_region_and_no_rows_and_columns_without_one(name: str, tmp_path: Path) -> None:
    crs, transform, width, height = MAPS[name]
    path = write(tmp_path / "map.tif", np.zeros((1, height, width), dtype=np.uint8), crs, transform)
    lon, lat = lonlat(Raster.at(path), name)
    here = reference(path)
    met = 0
    for title, region in REGIONS.items():
        with np.errstate(invalid="ignore"):
            fine = area_of(region).holds(lon, lat).reshape(height, _FINE, width, _FINE)
        inside = np.asarray(fine.any(axis=(1, 3)))
        try:
            window = window_of(area_of(region), here)
        except NoOverlapError:
            assert not inside.any(), title
            continue
        met += 1
        covered = np.zeros_like(inside)
        for piece in window.pieces:
            covered[window.row : window.row + window.height, piece.column : piece.column + piece.width] = True
        assert not (inside & ~covered).any(), title
        if name in LIMBS:  # a step wider than needed
            continue
        assert inside.any(), title
        # A corner of a region may reach into a pixel by less than its points see.
        assert inside[window.row : window.row + 2].any(), title
        assert inside[max(0, window.row + window.height - 2) : window.row + window.height].any(), title
        for piece in window.pieces:
            assert inside[:, piece.column : piece.column + 2].any(), title
            assert inside[:, max(0, piece.column + piece.width - 2) : piece.column + piece.width].any(), title
    assert met >= 1


def world(path: Path, west: float = -180.0, columns: int = 360, width: int = 360) -> Path:
    values = np.zeros((1, 180, width), dtype=np.uint8)
    return write(path, values, "EPSG:4326", Affine(360.0 / columns, 0, west, 0, -1, 90))


def test_on_a_map_of_a_whole_body_windows_are_exact(tmp_path: Path) -> None:
    path = world(tmp_path / "world.tif")
    assert located(path, Range(10.0, 20.0, -5.0, 5.0)) == Window(85, 10, (Piece(190, 10, 0),))
    assert located(path, Range(10.2, 19.8, -4.9, 4.9)) == Window(85, 10, (Piece(190, 10, 0),))
    assert located(path, Range(-180.0, 180.0, -90.0, 90.0)) == Window(0, 180, (Piece(0, 360, 0),))
    assert located(path, Range(0.0, 360.0, 80.0, 90.0)) == Window(0, 10, (Piece(0, 360, 0),))
    assert located(path, Range(-10.5, -10.5, 7.5, 7.5)) == Window(82, 1, (Piece(169, 1, 0),))
    assert located(path, Range(350.0, 10.0, 0.0, 1.0)) == Window(89, 1, (Piece(170, 20, 0),))


def test_a_region_at_both_ends_of_a_map_is_two_pieces_that_run_on(tmp_path: Path) -> None:
    both = Window(85, 10, (Piece(350, 10, 0), Piece(0, 20, 10)))
    assert located(world(tmp_path / "a.tif"), Range(170.0, 200.0, -5.0, 5.0)) == both
    assert located(world(tmp_path / "b.tif", west=0.0), Range(350.0, 20.0, -5.0, 5.0)) == both
    short = world(tmp_path / "c.tif", west=-175.0, width=350)
    window = located(short, Range(170.0, -170.0, -5.0, 5.0))
    assert window == Window(85, 10, (Piece(345, 5, 0), Piece(0, 5, 15)))
    assert window.has_gaps
    assert window.width == 20


def test_pieces_that_do_not_fit_together_are_refused_and_say_what_does(tmp_path: Path) -> None:
    path = write(
        tmp_path / "odd.tif", np.zeros((1, 10, 100), dtype=np.uint8), "EPSG:4326", Affine(3.597, 0, -180, 0, -3, 15)
    )
    with pytest.raises(RequestError, match="goes round in 100.083 pixels.*ask for the parts east and west"):
        located(path, Range(170.0, -170.0, -5.0, 5.0))
    assert located(path, Range(170.0, 178.0, -5.0, 5.0)).pieces == (Piece(97, 3, 0),)


@pytest.mark.parametrize(
    "region", [Range(40.0, 50.0, 0.0, 5.0), Range(0.0, 10.0, 5.0, 9.0), Circle(300.0, 0.0, 3.0), Range(20, 20, 0, 1)]
)
def test_what_lies_beside_the_raster_or_only_touches_it_is_no_overlap(region: Region, tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", np.zeros((1, 10, 40), dtype=np.uint8), "EPSG:4326", Affine(0.5, 0, 0, 0, -0.5, 5))
    with pytest.raises(NoOverlapError):
        located(path, region)


@pytest.mark.parametrize(
    ("system", "west"),
    [
        ("IAU_2015:49901", 10.0),  # counts longitudes westward, its GeoTIFF file eastward
        ("IAU_2015:49900", 10.0),
        ("+proj=longlat +a=3396190 +b=3376200 +pm=30 +no_defs", -20.0),
        ("EPSG:4807", 10.0 - 2.33722917),  # from Paris, in grads
    ],
)
def test_longitudes_are_eastward_from_the_bodys_own_meridian_in_degrees(
    system: str, west: float, tmp_path: Path
) -> None:
    unit = 0.9 if system == "EPSG:4807" else 1.0
    transform = Affine(0.1 / unit, 0, west / unit, 0, -0.1 / unit, 50.0 / unit)
    path = write(tmp_path / "x.tif", np.zeros((1, 100, 100), dtype=np.uint8), CRS.from_string(system), transform)
    window = located(path, Range(12.01, 14.99, 42.01, 44.99))
    assert (window.row, window.height, window.pieces) == (50, 30, (Piece(20, 30, 0),))


def control_points(width: int, height: int) -> Iterator[GroundControlPoint]:
    """Yield points of a scene that lies askew across the antimeridian, and is bent."""
    for row in np.linspace(0, height, 7):
        for column in np.linspace(0, width, 9):
            x = 179.0 + 0.01 * column + 0.002 * row + 1e-5 * column * row / 10
            yield GroundControlPoint(row=row, col=column, x=x, y=-10.0 - 0.01 * row + 0.001 * column, z=0.0)


def with_points(path: Path, points: list[GroundControlPoint], system: str = "EPSG:4326") -> Path:
    return write(path, numbered(160, 120), gcps=points, crs=CRS.from_string(system))


def test_a_raster_with_control_points_lies_where_they_are(tmp_path: Path) -> None:
    points = list(control_points(160, 120))
    path = with_points(tmp_path / "x.tif", points)
    here = reference(path)
    columns, rows = here.pixels(np.array([one.x for one in points]), np.array([one.y for one in points]))
    assert np.abs(columns - [one.col for one in points]).max() < 1e-6
    assert np.abs(rows - [one.row for one in points]).max() < 1e-6
    across, down = np.linspace(0.5, 159.5, 160), np.linspace(0.5, 119.5, 120)
    exact, fast = here.positions(across[None, :], down[:, None]), here.grid(across, down)
    assert np.abs(exact[0] - fast[0]).max() < 0.01 * 0.01  # of a pixel
    assert np.abs(exact[1] - fast[1]).max() < 0.01 * 0.01
    window = located(path, Circle(float(exact[0][60, 80]), float(exact[1][60, 80]), 0.2))
    assert window.row < 60 - 15 < 60 + 15 < window.row + window.height
    assert 30 <= window.height <= 60
    with pytest.raises(NoOverlapError):
        located(path, Circle(0.0, 10.0, 3.0))


def test_more_control_points_than_can_be_solved_are_refused(tmp_path: Path) -> None:
    points = [GroundControlPoint(row=n % 40, col=n // 40, x=n // 40, y=n % 40, z=0.0) for n in range(1001)]
    with pytest.raises(LimitError, match="1001 ground control points"):
        reference(with_points(tmp_path / "x.tif", points))


@pytest.mark.parametrize(
    ("crs", "transform", "told"),
    [
        (None, None, "does not say where its pixels lie"),
        (None, Affine(1, 0, 5, 0, -1, 5), "does not say in which reference system"),
        ('LOCAL_CS["desk",UNIT["metre",1]]', Affine(1, 0, 5, 0, -1, 5), "reference system of the file"),
        ("EPSG:4326", Affine(10.0, 0, 0, 0, -1, 5), "more than once"),
    ],
)
def test_a_raster_that_lies_nowhere_is_told_so(
    crs: str | None, transform: Affine | None, told: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.tif", np.zeros((1, 10, 100), dtype=np.uint8), crs, transform)
    with pytest.raises(RequestError, match=told):
        reference(path)
