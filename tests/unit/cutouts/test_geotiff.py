from __future__ import annotations

import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from datalink.cutouts import spool
from datalink.cutouts.areas import area_of
from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import CutError, FileError, ForbiddenError, LimitError, NoOverlapError, RequestError
from datalink.cutouts.geotiff import MEDIA_TYPE, cut_geotiff
from datalink.cutouts.reading import open_path, open_url
from datalink.cutouts.region import Circle, Cutting, Interval, Polygon, Range
from tests.unit.cutouts import ranged
from tests.unit.cutouts.rasters import DID, LIMITS, MARS, Raster, cut, numbered, write
from tests.unit.loopback import serving

TRIANGLE = Polygon(((12.0, 42.0), (18.0, 42.0), (15.0, 48.0)))


def mars(path: Path, values: np.ndarray[Any, Any] | None = None, **more: Any) -> Path:
    """Write a map of 100 × 100 pixels of 0.1 degree, from longitude 10 and latitude 50 on."""
    values = numbered(100, 100) if values is None else values
    return write(path, values, MARS, Affine(0.1, 0, 10, 0, -0.1, 50), **more)


def inside(region: Polygon | Circle, raster: Raster) -> np.ndarray[Any, Any]:
    """Tell which pixels of a raster in degrees have their centre in a region."""
    columns, rows = np.meshgrid(np.arange(raster.width) + 0.5, np.arange(raster.height) + 0.5)
    return area_of(region).holds(*(raster.transform @ (columns, rows)))


# ------------------------------------------------------------------------------------------------------------- boxes


def test_a_box_is_the_smallest_window_with_its_georeference(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif")
    made = Raster(cut(path, Range(12.01, 14.99, 42.01, 44.99)))
    assert (made.values == numbered(100, 100)[:, 50:80, 20:50]).all()
    assert made.transform.almost_equals(Affine(0.1, 0, 12, 0, -0.1, 45))
    assert made.crs == Raster.at(path).crs
    assert made.mask.all()
    assert made.tags["HISTORY"] == f"columns 20+30, rows 50+30 (from 0) cut from {DID}"


def test_without_a_region_a_file_is_given_whole(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif")
    made = Raster(cut(path, None))
    assert (made.values == numbered(100, 100)).all()
    assert made.transform == Raster.at(path).transform
    nowhere = write(tmp_path / "nowhere.tif", numbered(30, 20))
    assert (Raster(cut(nowhere, None)).values == numbered(30, 20)).all()


def test_over_both_ends_of_a_map_pixels_run_on(tmp_path: Path) -> None:
    values = numbered(360, 180)
    path = write(tmp_path / "x.tif", values, MARS, Affine(1, 0, -180, 0, -1, 90))
    made = Raster(cut(path, Range(175.0, 190.0, -10.0, 10.0)))
    assert (made.values == np.roll(values, 180, axis=2)[:, 80:100, 355 - 180 : 370 - 180]).all()
    assert made.transform == Affine(1, 0, 175, 0, -1, 10)
    assert made.mask.all()


@pytest.mark.parametrize("nodata", [None, -7])
def test_columns_that_a_map_does_not_have_are_no_data(nodata: int | None, tmp_path: Path) -> None:
    values = numbered(350, 180)
    path = write(tmp_path / "x.tif", values, MARS, Affine(1, 0, -175, 0, -1, 90), nodata=nodata)
    made = Raster(cut(path, Range(170.0, 190.0, -10.0, 10.0)))
    assert made.width == 20
    assert (made.values[:, :, :5] == values[:, 80:100, -5:]).all()
    assert (made.values[:, :, 15:] == values[:, 80:100, :5]).all()
    assert (made.values[:, :, 5:15] == (nodata or 0)).all()
    assert (made.mask[:, 5:15] == 0).all()
    assert made.mask[:, :5].all()
    assert made.mask[:, 15:].all()


def test_large_cut_outs_are_written_tile_by_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_IN_MEMORY", 100_000)  # so that it goes on on the disk
    values = numbered(1500, 1300)
    path = write(
        tmp_path / "x.tif", values, MARS, Affine(0.01, 0, 10, 0, -0.01, 20), tiled=True, blockxsize=128, blockysize=256
    )
    made = Raster(cut(path, Range(10.7, 24.3, 8.5, 19.1)))
    assert (made.values == values[:, 90:1150, 70:1430]).all()
    assert made.profile["blockxsize"] == 512
    made = Raster(cut(path, Circle(18.0, 13.0, 6.0)))
    held = inside(Circle(18.0, 13.0, 6.0), made)
    assert ((made.mask > 0) == held).all()
    column, row = (round(number) for number in ~Raster.at(path).transform @ (made.transform.c, made.transform.f))
    assert (made.values[0][held] == values[0, row : row + made.height, column : column + made.width][held]).all()


# --------------------------------------------------------------------------------------------------------- polygons


def test_outside_of_a_polygon_is_the_nodata_value(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif", nodata=-1)
    made = Raster(cut(path, TRIANGLE))
    held = inside(TRIANGLE, made)
    assert (made.height, made.width) == (60, 60)
    assert made.nodata == -1
    assert 0.4 < held.mean() < 0.6
    assert (made.values[0][held] == numbered(100, 100)[0, 20:80, 20:80][held]).all()
    assert (made.values[0][~held] == -1).all()


@pytest.mark.parametrize("stated", [None, b"-99", b"2.5"])
def test_where_no_value_can_say_it_a_mask_does(stated: bytes | None, tmp_path: Path) -> None:
    values = (numbered(100, 100) % 250 + 1).astype(np.uint8)
    path = mars(tmp_path / "x.tif", values, nodata=None if stated is None else 255)
    if stated is not None:  # files state values that their pixels cannot have
        content = path.read_bytes()
        assert content.count(b"255\0") == 1
        path.write_bytes(content.replace(b"255\0", stated + b"\0"))
    made = Raster(cut(path, TRIANGLE))
    held = inside(TRIANGLE, made)
    assert ((made.mask > 0) == held).all()
    assert (made.values[0] == np.where(held, values[0, 20:80, 20:80], 0)).all()


def test_the_files_own_mask_is_kept_and_cut(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif")
    own = np.zeros((100, 100), dtype=np.uint8)
    own[:, ::2] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(own)
    assert (Raster(cut(path, Range(12.0, 15.0, 42.0, 45.0))).mask == own[50:80, 20:50]).all()
    made = Raster(cut(path, TRIANGLE))
    assert ((made.mask > 0) == (inside(TRIANGLE, made) & (own[20:80, 20:80] > 0))).all()


def test_outside_of_a_polygon_is_transparent_where_there_is_an_alpha_band(tmp_path: Path) -> None:
    values = np.full((4, 100, 100), 200, dtype=np.uint8)
    path = mars(tmp_path / "x.tif", values, photometric="RGB", alpha="YES")
    made = Raster(cut(path, TRIANGLE))
    held = inside(TRIANGLE, made)
    assert made.colors == (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    assert (made.values == np.where(held, 200, 0)).all()


# ------------------------------------------------------------------------------------------------------ what is kept


def test_what_a_file_says_of_its_pixels_is_kept_and_what_holds_no_longer_is_not(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif", numbered(100, 100, 2).astype(np.int16), nodata=-5)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets, dataset.units = (0.5, 2.0), (10.0, -3.0), ("m", "K")
        dataset.descriptions = ("height", "warmth")
        dataset.update_tags(TARGET="Mars", HISTORY="calibrated", AREA_OR_POINT="Point")
        dataset.update_tags(1, wavelength="0.5", STATISTICS_MEAN="7")
    made = Raster(cut(path, Range(12.0, 15.0, 42.0, 45.0)))
    assert (made.scales, made.offsets) == ((0.5, 2.0), (10.0, -3.0))
    assert made.descriptions == ("height", "warmth")
    assert made.nodata == -5
    assert made.band_tags == {"wavelength": "0.5"}
    assert made.tags["TARGET"] == "Mars"
    assert made.tags["AREA_OR_POINT"] == "Point"
    assert made.tags["HISTORY"].splitlines() == ["calibrated", made.tags["HISTORY"].splitlines()[-1]]
    assert made.transform.almost_equals(Affine(0.1, 0, 12, 0, -0.1, 45))


def test_a_palette_is_kept(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif", (numbered(100, 100) % 7).astype(np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {number: (number, 9, 200, 255) for number in range(7)})
    made = Raster(cut(path, Range(12.0, 15.0, 42.0, 45.0)))
    assert made.colors == (ColorInterp.palette,)
    assert made.colormap is not None
    assert made.colormap[6] == (6, 9, 200, 255)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("uint8", {}),
        ("int8", {}),
        ("uint16", {"nbits": 12}),
        ("int32", {"interleave": "pixel"}),
        ("uint64", {}),
        ("float32", {"compress": "lzw"}),
        ("float64", {"nodata": float("nan")}),
        ("complex64", {}),
        ("complex_int16", {}),
    ],
)
def test_pixels_of_every_kind_are_the_same(kind: str, more: dict[str, Any], tmp_path: Path) -> None:
    values = (numbered(100, 100, 2) % 120).astype("complex64" if kind == "complex_int16" else kind)
    path = mars(tmp_path / "x.tif", values, dtype=kind, **more)
    made = Raster(cut(path, Range(12.0, 15.0, 42.0, 45.0)))
    assert made.profile["dtype"] == kind
    assert (made.values == values[:, 50:80, 20:50]).all()


def test_control_points_move_with_the_window(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row=row, col=column, x=10 + column / 10 + row / 100, y=50 - row / 10, z=0.0)
        for row in range(0, 101, 25)
        for column in range(0, 101, 25)
    ]
    path = write(tmp_path / "x.tif", numbered(100, 100), gcps=points, crs=CRS.from_string(MARS))
    made = Raster(cut(path, Range(14.0, 16.0, 44.0, 46.0)))
    left, top = points[0].col - made.gcps[0][0].col, points[0].row - made.gcps[0][0].row
    assert (left, top) == (34, 40)
    assert (made.values[0] == numbered(100, 100)[0, 40 : 40 + made.height, 34 : 34 + made.width]).all()
    assert len(made.gcps[0]) == len(points)
    assert made.gcps[1] == Raster.at(path).gcps[1]


# ------------------------------------------------------------------------------------------------ reading and limits


def remote(tmp_path: Path) -> bytes:
    noise = np.random.default_rng(3).integers(0, 60_000, (1, 2048, 2048)).astype(np.uint16)
    path = write(
        tmp_path / "x.tif", noise, MARS, Affine(0.01, 0, 10, 0, -0.01, 20), tiled=True, blockxsize=256, blockysize=256
    )
    return path.read_bytes()


def test_over_http_only_the_tiles_of_the_window_are_read(tmp_path: Path) -> None:
    content = remote(tmp_path)
    with serving(ranged.giving(content)) as server, open_url(server.url, ranged.LIMITS) as file:
        made = cut_geotiff(file, Cutting(region=Range(15.0, 16.0, 10.0, 11.0)), DID, ranged.LIMITS)
        cut_out = Raster(b"".join(made.pieces))
        assert made.media_type == MEDIA_TYPE
        assert (cut_out.values == Raster(content).values[:, 900:1000, 500:600]).all()
        assert file.read_so_far < len(content) / 10
        assert len(server.asked) <= 6


def test_what_the_reader_refuses_is_what_the_caller_hears(tmp_path: Path) -> None:
    content = remote(tmp_path)
    with serving(ranged.giving(content)) as server:
        with pytest.raises(ForbiddenError), open_url(server.url, replace(ranged.LIMITS, allow_private=False)):
            pass
        little = replace(ranged.LIMITS, read_bytes=200_000)
        with open_url(server.url, little) as file, pytest.raises(LimitError, match="more of .* would have to be read"):
            cut_geotiff(file, Cutting(), DID, little)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(pixels=9999), "100 × 100 pixels of 1 bands.*ask for a smaller region"),
        (Limits(seconds=0.0), "longer than it may"),
        (Limits(output_bytes=39_999), "40000 bytes.*ask for a smaller region"),
    ],
)
def test_what_costs_too_much_is_refused(limits: Limits, told: str, tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif")
    with pytest.raises(LimitError, match=told):
        cut(path, None, limits)
    if limits.seconds:
        assert Raster(cut(path, Range(12.0, 15.0, 42.0, 45.0), limits)).width == 30


def test_few_bytes_that_stand_for_a_huge_tile_are_not_decompressed(tmp_path: Path) -> None:
    values, transform = np.zeros((1, 20, 20), dtype=np.uint8), Affine(0.01, 0, 0, 0, -0.01, 0)
    tiles = {"tiled": True, "blockxsize": 2048, "blockysize": 1024}
    path = write(tmp_path / "x.tif", values, MARS, transform, compress="deflate", **tiles)
    assert path.stat().st_size < 10_000
    with pytest.raises(LimitError, match="tiles of 2048 × 1024 pixels"):
        cut(path, Range(0.1, 0.12, -0.12, -0.1), Limits(pixels=10**6))


def test_bands_times_and_polarizations_cannot_be_cut(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif")
    for wanted in (Cutting(band=Interval(0.0, 1.0)), Cutting(time=Interval(0.0, 1.0)), Cutting(states=("I",))):
        with open_path(path, LIMITS) as file, pytest.raises(RequestError, match="BAND, TIME and POL"):
            cut_geotiff(file, wanted, DID, LIMITS)
    with pytest.raises(NoOverlapError):
        cut(path, Range(0.0, 1.0, 0.0, 1.0))


def test_several_cut_outs_at_a_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    paths = [mars(tmp_path / f"{number}.tif", numbered(100, 100) + number) for number in range(4)]

    def one(number: int) -> bool:
        made = Raster(cut(paths[number % 4], TRIANGLE))
        held = inside(TRIANGLE, made)
        return bool((made.values[0][held] == (numbered(100, 100)[0, 20:80, 20:80] + number % 4)[held]).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(24)))


# ------------------------------------------------------------------------------------------------------ broken files


def broken_at(path: Path, length: int) -> Path:
    path.write_bytes(path.read_bytes()[:length])
    return path


@pytest.mark.parametrize("compress", ["none", "deflate", "jpeg"])
@pytest.mark.parametrize("part", [0.001, 0.05, 0.5, 0.999])
def test_a_file_that_ends_too_early_is_an_error_and_never_a_picture(compress: str, part: float, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 255, (1, 256, 256)).astype(np.uint8)
    path = write(
        tmp_path / "x.tif",
        values,
        MARS,
        Affine(0.1, 0, 0, 0, -0.1, 0),
        compress=compress,
        tiled=True,
        blockxsize=64,
        blockysize=64,
    )
    with pytest.raises(FileError, match="x.tif"):
        cut(broken_at(path, int(path.stat().st_size * part)), None)


def test_a_tile_that_was_changed_is_an_error(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif", compress="deflate")
    content = bytearray(path.read_bytes())
    content[2000:2100] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(FileError, match="x.tif is no GeoTIFF file, or a broken one"):
        cut(path, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II*\0",
        b"II*\0" + struct.pack("<I", 8) + b"\xff" * 200,
        b"SIMPLE  =                    T" + b" " * 2850,
        b"<VRTDataset rasterXSize='4' rasterYSize='4'><SRS>EPSG:4326</SRS></VRTDataset>",
        b'{"type": "FeatureCollection", "features": []}',
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
    ],
)
def test_what_is_no_geotiff_is_told_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(content)
    with pytest.raises(FileError):
        cut(path, None)


def test_files_beside_a_file_are_not_looked_at(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif")
    (tmp_path / "x.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:3857</SRS></PAMDataset>")
    (tmp_path / "x.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    assert Raster(cut(path, None)).transform == Affine(0.1, 0, 10, 0, -0.1, 50)


class FullDisk:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room = file, room

    def write(self, piece: bytes) -> int:
        if self._file.tell() + len(piece) > self._room:
            raise OSError(28, "No space left on device")
        return self._file.write(piece)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("missing", [1, 200, 30_000])
def test_a_full_disk_is_an_error_to_the_last_byte(
    missing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mars(tmp_path / "x.tif")
    length = len(cut(path, None))
    made = tempfile.SpooledTemporaryFile
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **more: FullDisk(made(**more), length - missing))
    with pytest.raises(CutError, match="could not be written: No space left"):
        cut(path, None)
