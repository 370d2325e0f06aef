"""FITS files of the tests' own, and what a cut-out must be, worked out another way: from the whole file at once."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from datalink.cutouts.contract import Limits
from datalink.cutouts.cut_fits import cut_fits
from datalink.cutouts.reading import open_path
from datalink.cutouts.region import Circle, Cutting, Range, Region

DID = "user.alice:image.fits"


def cut(path: Path, wanted: Cutting, limits: Limits | None = None) -> bytes:
    """Return a cut-out, having checked that it is as long as was said."""
    limits = limits or Limits()
    with open_path(path, limits) as file:
        found = cut_fits(file, wanted, DID, limits)
        content = b"".join(found.pieces)
    assert found.media_type == "application/fits"
    assert found.length == len(content)
    return content


def opened(content: bytes | Path) -> Any:
    """Open FITS; pixels as they are stored."""
    source = io.BytesIO(content if isinstance(content, bytes) else content.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # files of others are as they are
        hdus = fits.open(source, memmap=False, do_not_scale_image_data=True, uint=False, lazy_load_hdus=False)
        for hdu in hdus:
            _ = hdu.data if hdu.is_image else None
    return hdus


def wcs_of(hdu: Any, hdus: Any = None) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(hdu.header, hdus)


def held(wcs: WCS, places: Any, region: Region) -> Any:
    """Tell of places (rows, columns) in an image whether they are in a circle or a range."""
    y, x = places
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        lon, lat = wcs.all_pix2world(x, y, 0)
        known = np.isfinite(lon) & np.isfinite(lat)
        frame = wcs_to_celestial_frame(wcs)
        sky = SkyCoord(np.where(known, lon, 0), np.where(known, lat, 0), unit="deg", frame=frame).icrs
        match region:
            case Circle(lon, lat, radius):
                return known & (sky.separation(SkyCoord(lon, lat, unit="deg")).deg <= radius)
            case Range(west, east, south, north):
                across = (sky.ra.deg - west) % 360 <= (east - west if east - west == 360 else (east - west) % 360)
                return known & across & (sky.dec.deg >= south) & (sky.dec.deg <= north)
    raise AssertionError(region)


def check_picture(whole: Any, wcs: WCS, part: Any, region: Region) -> None:
    """Check the cut-out of a picture of two axes against the whole.

    It is the box that Cutout2D makes of the whole picture, it holds all pixels that the region holds, it reaches no
    farther than the region touches (a pixel more at most), and its own coordinates give the places that the pixels had.
    """
    own = wcs_of(part)
    height, width = part.data.shape
    middle = own.all_pix2world((width - 1) / 2, (height - 1) / 2, 0)
    x, y = wcs.all_world2pix(*middle, 0)
    first_x, first_y = round(float(x) - (width - 1) / 2), round(float(y) - (height - 1) / 2)
    expected = Cutout2D(whole, (first_x + (width - 1) / 2, first_y + (height - 1) / 2), (height, width), mode="strict")
    assert part.data.dtype == expected.data.dtype.newbyteorder(">")
    np.testing.assert_array_equal(expected.data, part.data)
    check_coordinates(wcs, own, (width, height), (first_x, first_y))
    rows, columns = np.nonzero(held(wcs, np.mgrid[: whole.shape[0], : whole.shape[1]], region))
    last_x, last_y = first_x + width - 1, first_y + height - 1
    if rows.size:
        assert first_x <= columns.min() <= first_x + 1
        assert last_x - 1 <= columns.max() <= last_x
        assert first_y <= rows.min() <= first_y + 1
        assert last_y - 1 <= rows.max() <= last_y
    else:
        assert max(width, height) <= 3


def check_coordinates(wcs: WCS, own: WCS, size: tuple[int, int], first: tuple[int, int]) -> None:
    """Check that what the cut-out's coordinates say of a pixel leads to the pixel that it was, within 0.01."""
    y, x = np.mgrid[: size[1] : max(1, size[1] // 7), : size[0] : max(1, size[0] // 7)]
    world = own.all_pix2world(x, y, 0)
    known = np.isfinite(world[0])
    assert known.any()
    back = wcs.all_world2pix(world[0][known], world[1][known], 0)
    there = wcs.all_pix2world(x[known] + first[0], y[known] + first[1], 0)
    np.testing.assert_allclose(there[0], world[0][known], atol=1e-9)
    np.testing.assert_allclose(there[1], world[1][known], atol=1e-9)
    turns = np.abs(back[0] - x[known] - first[0]) > 1.0  # a map may show a place twice
    np.testing.assert_allclose((back[0] - x[known] - first[0])[~turns], 0.0, atol=0.01)
    np.testing.assert_allclose((back[1] - y[known] - first[1])[~turns], 0.0, atol=0.01)
