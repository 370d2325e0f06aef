"""The GeoTIFF files of the shared data, each cut at its centre, an edge, a corner, outside, at poles and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray
from rasterio.transform import GCPTransformer

from datalink.cutouts.areas import area_of
from datalink.cutouts.errors import FileError, NoOverlapError
from datalink.cutouts.region import Circle, Polygon, Range
from tests.conftest import SHARED
from tests.unit.cutouts.rasters import Raster, cut

FOLDER = SHARED / "cog"
FILES = sorted(path.name for path in FOLDER.glob("*.tif"))
LARGE = "cog_cmap.tif"
ALMOST_A_WORLD = "cog_gradient.tif"
WORLDS = ["cog_fullearth.tif", "inverted_lat.tif"]

WEDGE = Range(20.0, 80.0, -90.0, -80.0)

pytestmark = pytest.mark.skipif(not FILES, reason="the shared data are not here")
Numbers = NDArray[np.float64]


class Whole(Raster):
    """A whole file, with positions by PROJ or GDAL's spline alone."""

    def __init__(self, name: str) -> None:
        super().__init__((FOLDER / name).read_bytes())
        system = pyproj.CRS.from_wkt((self.gcps[1] or self.crs).to_wkt())
        shape = system.ellipsoid
        assert shape is not None
        earth = shape.semi_major_metre > 6.3e6
        body = "EPSG:4326" if earth else f"+proj=longlat +a={shape.semi_major_metre} +b={shape.semi_minor_metre}"
        self.to_body = pyproj.Transformer.from_crs(system, body, always_xy=True)

    def lonlat(self, columns: Any, rows: Any) -> tuple[Numbers, Numbers]:
        columns, rows = np.broadcast_arrays(np.asarray(columns, dtype=float), np.asarray(rows, dtype=float))
        if self.gcps[0]:
            with GCPTransformer(self.gcps[0], tps=True) as spline:
                x, y = spline.xy(rows.ravel(), columns.ravel(), offset="ul")
            x, y = np.reshape(x, rows.shape), np.reshape(y, rows.shape)
        else:
            x, y = self.transform @ (columns, rows)
        lon, lat = self.to_body.transform(x, y)
        return lon, lat


def origin(whole: Whole, made: Raster) -> tuple[float, float]:
    """Return where in the whole file a cut-out begins, by its own georeference."""
    if whole.gcps[0]:
        first, moved = whole.gcps[0][0], made.gcps[0][0]
        return first.col - moved.col, first.row - moved.row
    column, row = ~whole.transform @ (made.transform.c, made.transform.f)
    return float(column), float(row)


def check(whole: Whole, made: Raster, region: Range | Polygon | Circle) -> None:
    """Check that a cut-out has the pixels that its georeference says, and all of the region."""
    column, row = origin(whole, made)
    left, top = round(column), round(row)
    assert abs(column - left) < 0.01
    assert abs(row - top) < 0.01
    if not whole.gcps[0]:
        corner = ~whole.transform @ (made.transform @ (made.width, made.height))
        assert np.abs(np.array(corner) - (left + made.width, top + made.height)).max() < 0.01
        assert made.crs == whole.crs
    there = whole.values[:, top : top + made.height, left : left + made.width]
    own_mask = whole.mask[top : top + made.height, left : left + made.width]
    lon, lat = whole.lonlat(left + np.arange(made.width)[None, :] + 0.5, top + np.arange(made.height)[:, None] + 0.5)
    held = np.ones((made.height, made.width), bool) if isinstance(region, Range) else area_of(region).holds(lon, lat)
    assert np.array_equal(made.values[:, held], there[:, held], equal_nan=made.values.dtype.kind == "f")
    assert (made.mask == np.where(held, own_mask, 0)).all()
    assert made.values.dtype == whole.values.dtype
    assert made.colors == whole.colors
    # Points of the region, tried all over the file, are in the cut-out.
    chance = np.random.default_rng(5)
    columns, rows = chance.uniform(0, whole.width, 3000), chance.uniform(0, whole.height, 3000)
    inside = area_of(region).holds(*whole.lonlat(columns, rows))
    assert ((columns[inside] >= left) & (columns[inside] <= left + made.width)).all()
    assert ((rows[inside] >= top) & (rows[inside] <= top + made.height)).all()


def box_round(whole: Whole, column: float, row: float, half: float) -> Range:
    """Return the box of positions that some pixels to all sides of one lie in."""
    columns, rows = np.meshgrid([column - half, column, column + half], [row - half, row, row + half])
    lon, lat = whole.lonlat(np.clip(columns, 0, whole.width), np.clip(rows, 0, whole.height))
    lon = np.unwrap(lon, period=360.0)
    west, east = float(lon.min()), float(lon.max())
    return Range((west + 180) % 360 - 180, (east + 180) % 360 - 180, float(lat.min()), float(lat.max()))


@pytest.mark.parametrize("name", FILES)
def test_centre_edge_corner_and_a_polygon(name: str) -> None:
    whole = Whole(name)
    width, height = whole.width, whole.height
    half = min(width, height, 400) / 8.3  # so that no edge goes through the centres of pixels
    for column, row in ((width / 2, height / 2), (0.0, height / 2), (width / 2, height), (width, 0.0)):
        region = box_round(whole, column, row, half)
        made = Raster(cut(FOLDER / name, region))
        check(whole, made, region)
        assert made.width < width or made.height < height
    lon, lat = whole.lonlat(width / 2 + half * np.array([-1, 1, 0]), height / 2 + half * np.array([1, 1, -1]))
    triangle = Polygon(tuple(zip(lon.tolist(), lat.tolist(), strict=True)))
    made = Raster(cut(FOLDER / name, triangle))
    check(whole, made, triangle)
    assert (made.mask == 0).any()


@pytest.mark.parametrize("name", [name for name in FILES if name != LARGE])
def test_the_whole_file(name: str) -> None:
    whole = Whole(name)
    made = Raster(cut(FOLDER / name, None))
    assert np.array_equal(made.values, whole.values, equal_nan=whole.values.dtype.kind == "f")
    assert (made.mask == whole.mask).all()
    assert made.transform.almost_equals(whole.transform)


@pytest.mark.parametrize("name", [name for name in FILES if name not in WORLDS])
def test_outside(name: str) -> None:
    whole = Whole(name)
    (lon,), (lat,) = whole.lonlat([whole.width / 2], [whole.height / 2])
    beyond = (
        Circle(180.0, 89.5, 0.4) if name == ALMOST_A_WORLD else Circle(float(lon + 180.0) % 360.0, -float(lat), 2.0)
    )
    with pytest.raises(NoOverlapError):
        cut(FOLDER / name, beyond)


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("region", [Range(-180.0, 180.0, 84.0, 90.0), WEDGE, Circle(100.0, -88.0, 7.0)])
def test_over_the_poles(name: str, region: Range | Circle) -> None:
    whole = Whole(name)
    made = Raster(cut(FOLDER / name, region))
    check(whole, made, region)
    assert made.width == (round(60.0 / abs(whole.transform.a)) if region == WEDGE else whole.width)
    rows = (origin(whole, made)[1], origin(whole, made)[1] + made.height)
    assert min(abs(rows[0]), abs(rows[1] - whole.height)) < 0.01


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize(("west", "east"), [(170.0, -165.0), (170.0, 195.0)])
def test_over_the_antimeridian_of_a_whole_map(name: str, west: float, east: float) -> None:
    whole = Whole(name)
    made = Raster(cut(FOLDER / name, Range(west, east, -20.0, 20.0)))
    column, row = origin(whole, made)
    left, top = round(column), round(row)
    assert max(abs(column - left), abs(row - top)) < 0.01
    assert left + made.width > whole.width
    rolled = np.roll(whole.values, -left, axis=2)[:, top : top + made.height, : made.width]
    assert np.array_equal(made.values, rolled)
    lon, _ = made.transform @ (np.array([0, made.width]), np.array([0, 0]))
    assert lon[0] <= 170.0 + 1e-9
    assert lon[1] >= 195.0 - 1e-9


@pytest.mark.parametrize("region", [Range(179.5, -179.5, 51.5, 52.0), Circle(180.0, 51.7, 0.2)])
def test_over_the_antimeridian_of_a_scene(region: Range | Circle) -> None:
    whole = Whole("cog_dateline.tif")
    made = Raster(cut(FOLDER / "cog_dateline.tif", region))
    check(whole, made, region)
    assert made.width < whole.width


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_in_the_middle_is_an_error(name: str, tmp_path: Path) -> None:
    content = (FOLDER / name).read_bytes()
    for part in (0.01, 0.99):
        path = tmp_path / name
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(FileError, match=name):
            cut(path, None)
