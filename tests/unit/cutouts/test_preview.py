from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from astropy.io import fits
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from datalink.cutouts import preview
from datalink.cutouts.areas import area_of
from datalink.cutouts.contract import Cutout, Limits
from datalink.cutouts.errors import FileError, LimitError, NoOverlapError, RequestError
from datalink.cutouts.preview import LONGEST, MEDIA_TYPE, png_of_fits, png_of_geotiff
from datalink.cutouts.reading import open_path, open_url
from datalink.cutouts.region import Circle, Cutting, Range, Region
from tests.unit.cutouts import ranged
from tests.unit.cutouts.rasters import LIMITS, MARS, numbered, write
from tests.unit.loopback import serving


def seen(cutout: Cutout) -> NDArray[np.uint8]:
    """Return a picture's channels, shape (channels, rows, columns)."""
    content = b"".join(cutout.pieces)
    assert cutout.media_type == MEDIA_TYPE
    assert cutout.length == len(content)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile(content) as memory, memory.open(driver="PNG") as picture:
            channels: NDArray[np.uint8] = picture.read()
    return channels


def of(path: Path, region: Region | None = None, limits: Limits = LIMITS) -> NDArray[np.uint8]:
    with open_path(path, limits) as file:
        return seen(png_of_geotiff(file, Cutting(region=region), limits))


def mars(path: Path, values: NDArray[Any], **more: Any) -> Path:
    step = 10.0 / values.shape[2]
    return write(path, values, MARS, Affine(step, 0, 10, 0, -step, 50), **more)


# ---------------------------------------------------------------------------------------------------------- GeoTIFF


def test_colours_that_are_bytes_are_shown_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (3, 40, 50)).astype(np.uint8)
    path = mars(tmp_path / "x.tif", values, photometric="RGB")
    assert (of(path) == values).all()
    part = of(path, Range(12.0, 14.0, 46.0, 48.0))
    assert (part == values[:, 10:20, 10:20]).all()


def test_bands_are_colours_by_their_names_and_their_alpha_stays(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (4, 40, 50)).astype(np.uint8)
    path = mars(tmp_path / "x.tif", values, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Blue", "green", "red", "nir")
    assert (of(path) == values[[2, 1, 0]]).all()
    path = mars(tmp_path / "y.tif", values, photometric="RGB", alpha="YES")
    shown = of(path)
    assert len(shown) == 4
    assert ((shown[3] > 0) == (values[3] > 0)).all()


def test_other_values_are_stretched_over_their_middle(tmp_path: Path) -> None:
    values = np.linspace(-1e6, 1e6, 10_000).reshape(1, 100, 100).astype(np.float32)
    values[0, 0, 0], values[0, 0, 1] = 1e30, np.nan
    shown = of(mars(tmp_path / "x.tif", values))
    assert len(shown) == 2
    assert shown[1, 0, 1] == 0
    assert (shown[1] == 255).sum() == 9999
    grey = shown[0].ravel()[2:]
    assert (np.diff(grey.astype(int)) >= 0).all()
    assert (grey[:150] == 0).all()
    assert (grey[-150:] == 255).all()
    assert grey[5000] == pytest.approx(128, abs=2)


def test_a_frame_of_zeros_does_not_darken_what_it_frames(tmp_path: Path) -> None:
    values = np.zeros((1, 100, 100), dtype=np.uint16)
    values[0, 20:80, 20:80] = numbered(60, 60)[0] + 20_000
    shown = of(mars(tmp_path / "x.tif", values))[0]
    assert (shown[:20] == 0).all()
    assert np.ptp(shown[30:70, 30:70].astype(int)) > 150


def test_what_all_pixels_share_is_grey_and_nodata_is_transparent(tmp_path: Path) -> None:
    assert (of(mars(tmp_path / "x.tif", np.full((1, 9, 9), 7, dtype=np.int16))) == 128).all()
    shown = of(mars(tmp_path / "y.tif", np.full((1, 9, 9), -1, dtype=np.int16), nodata=-1))
    assert (shown[1] == 0).all()


def test_a_palette_is_shown_in_its_colours(tmp_path: Path) -> None:
    values = (numbered(50, 40) % 5).astype(np.uint8)
    path = mars(tmp_path / "x.tif", values, nodata=4)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {number: (50 * number, 9, 255 - number, 255) for number in range(5)})
    shown = of(path)
    assert (shown[3] == np.where(values[0] == 4, 0, 255)).all()
    assert (shown[0][values[0] == 3] == 150).all()
    assert (shown[2][values[0] == 3] == 252).all()


def test_outside_of_a_circle_is_transparent(tmp_path: Path) -> None:
    circle = Circle(15.0, 45.0, 2.0)
    shown = of(mars(tmp_path / "x.tif", numbered(100, 100)), circle)
    columns, rows = np.meshgrid(np.arange(shown.shape[2]) + 0.5, np.arange(shown.shape[1]) + 0.5)
    left = 50 - shown.shape[2] / 2
    held = area_of(circle).holds(10.0 + (left + columns) / 10.0, 50.0 - (50 - shown.shape[1] / 2 + rows) / 10.0)
    assert ((shown[1] > 0) == held).all()


def test_a_large_map_is_shown_small_over_both_of_its_ends(tmp_path: Path) -> None:
    values = np.full((1, 1800, 3600), 20, dtype=np.uint8)
    values[:, :, 3000:] = 100  # longitudes 120 to 180
    values[:, :, :600] = 200  # -180 to -120
    path = write(tmp_path / "x.tif", values, MARS, Affine(0.1, 0, -180, 0, -0.1, 90))
    shown = of(path, Range(100.0, 240.0, -70.0, 70.0))[0]
    assert shown.shape == (LONGEST, LONGEST)
    at = {lon: shown[500, round((lon - 100.0) / 140.0 * LONGEST)] for lon in (110.0, 150.0, 178.0, 182.0, 210.0)}
    assert at[110.0] == 0
    assert 0 < at[150.0] == at[178.0] < at[182.0] == at[210.0]


def test_overviews_are_enough_for_a_small_picture_and_what_they_save_is_not_counted(tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(0, 255, (1, 2048, 2048)).astype(np.uint8)
    path = mars(tmp_path / "x.tif", values, tiled=True, blockxsize=256, blockysize=256)
    few = Limits(pixels=2**21)
    with pytest.raises(LimitError):
        of(path, None, few)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    assert of(path, None, few).shape == (1, LONGEST, LONGEST)
    content = path.read_bytes()
    with serving(ranged.giving(content)) as server, open_url(server.url, ranged.LIMITS) as file:
        png_of_geotiff(file, Cutting(), ranged.LIMITS)
        assert file.read_so_far < len(content) / 3


def test_of_what_cannot_be_cut_there_is_no_picture(tmp_path: Path) -> None:
    path = mars(tmp_path / "x.tif", numbered(100, 100))
    with pytest.raises(NoOverlapError):
        of(path, Range(0.0, 1.0, 0.0, 1.0))
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(FileError):
        of(path)


# ------------------------------------------------------------------------------------------------------------- FITS


def fits_cutout(*hdus: Any) -> Cutout:
    content = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(content)
    return Cutout("application/fits", None, iter([content.getvalue()[:100], content.getvalue()[100:]]))


def sky(height: int = 60, width: int = 80) -> NDArray[np.float64]:
    """Return noise with one star in the lower left."""
    values = np.random.default_rng(2).normal(100.0, 5.0, (height, width))
    values[8:12, 8:12] += 5000.0
    return values


def test_a_fits_image_stands_upright_with_faint_things_visible() -> None:
    values = sky()
    values[50, 70] = np.nan
    shown = seen(png_of_fits(fits_cutout(fits.PrimaryHDU(values.astype(np.float32)))))
    assert shown.shape == (2, 60, 80)
    assert (shown[0, 48:52, 8:12] > 240).all()  # rows run upward
    assert shown[1, 9, 70] == 0
    assert (shown[1] == 0).sum() == 1
    assert 10 < np.median(shown[0]) < 60


def test_the_first_image_is_shown_wherever_it_stands() -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])])
    packed = fits.CompImageHDU(np.round(sky()).astype(np.int32))
    scaled = fits.ImageHDU(np.round(sky()).astype(np.uint16))
    plain = seen(png_of_fits(fits_cutout(fits.PrimaryHDU(np.round(sky())))))
    for hdu in (packed, scaled):
        assert (seen(png_of_fits(fits_cutout(fits.PrimaryHDU(), table, hdu))) == plain).all()


def test_of_a_cube_the_mean_of_its_planes_in_the_first_state_is_shown() -> None:
    cube = np.stack([sky(), 3 * sky(), np.full((60, 80), np.nan)])[None]
    both = fits.PrimaryHDU(np.concatenate([cube, 1e9 * np.ones_like(cube)]))
    for axis, kind in enumerate(("RA---TAN", "DEC--TAN", "FREQ", "STOKES"), 1):
        both.header[f"CTYPE{axis}"] = kind
    mean = seen(png_of_fits(fits_cutout(fits.PrimaryHDU(2 * sky()))))
    assert (seen(png_of_fits(fits_cutout(both))) == mean).all()


def test_a_large_fits_image_is_shown_by_the_means_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.kron(sky(200, 400), np.ones((3, 3)))
    large[0, 0] = np.nan
    plain = seen(png_of_fits(fits_cutout(fits.PrimaryHDU(sky(200, 400)))))
    monkeypatch.setattr(preview, "LONGEST", 500)
    assert (seen(png_of_fits(fits_cutout(fits.PrimaryHDU(large)))) == plain).all()
    odd = seen(png_of_fits(fits_cutout(fits.PrimaryHDU(np.ones((7, 501))))))
    assert odd.shape == (1, 4, 251)
    assert (odd == 128).all()


def test_without_an_image_there_is_no_picture() -> None:
    for hdu in (fits.PrimaryHDU(), fits.PrimaryHDU(np.ones(30))):
        with pytest.raises(RequestError, match="no image of two axes"):
            png_of_fits(fits_cutout(hdu))
    nothing = seen(png_of_fits(fits_cutout(fits.PrimaryHDU(np.full((5, 6), np.nan)))))
    assert (nothing[1] == 0).all()
