"""The images of a small sky survey: FITS files with a true WCS."""

from __future__ import annotations

import io
import math
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from stac_rucio_sync.demo.products import Observation, Point, Product, band_fields, instant, random_of, thumbnail

IMAGES = "demo-images"
FITS_TYPE = "application/fits"

PIXELS = 64
PIXEL_DEGREES = 10.8 / 3600.0
STEP_DEGREES = 0.18
"""Fields of the mosaic lie a little nearer than they are wide (0.192 deg): they overlap, as survey fields do."""

BANDS: dict[str, tuple[str, float, float]] = {
    "g": ("green", 0.477, 0.137),
    "r": ("red", 0.623, 0.138),
    "i": ("nir", 0.763, 0.153),
}
"""Name: STAC's common name, centre and full width at half maximum in micrometres."""

MOSAIC: list[tuple[int, int]] = sorted(
    product(range(-5, 6), range(-3, 4)), key=lambda place: (math.hypot(*place), place)
)
_SPREAD = 64


def field_centre(number: int) -> Point:
    """Return where image ``number`` points, RA and Dec in degrees.

    The first is near the pole, the second lies on RA 180 (where longitudes of GeoJSON end); the even ones that follow
    are a mosaic that grows outwards from RA 0, Dec 0, and the odd ones are spread over the whole sky.
    """
    if number == 0:
        return 123.0, 89.2
    if number == 1:
        return 180.0, 25.0
    if number % 2 == 0:
        column, row = MOSAIC[(number // 2 - 1) % len(MOSAIC)]
        return round((column * STEP_DEGREES) % 360.0, 4), round(row * STEP_DEGREES, 4)
    place = (number // 2 - 1) % _SPREAD
    dec = math.degrees(math.asin(1.0 - 2.0 * (place + 0.5) / _SPREAD))
    return round((place * 137.50776) % 360.0, 4), round(dec, 4)


def tangent_wcs(centre: Point, pixels: int, pixel_degrees: float) -> WCS:
    """Return the gnomonic projection (TAN) of a square picture, north up, east left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = list(centre)
    wcs.wcs.crpix = [(pixels + 1) / 2.0] * 2
    wcs.wcs.cdelt = [-pixel_degrees, pixel_degrees]
    wcs.wcs.radesys = "ICRS"
    wcs.pixel_shape = (pixels, pixels)
    wcs.wcs.set()
    return wcs


def footprint(wcs: WCS, centre: Point) -> tuple[Point, ...]:
    """Return the outer corners of a picture's edge pixels, counter-clockwise in (RA, Dec), RA near the centre's."""
    corners = [
        (centre[0] + (float(ra) - centre[0] + 180.0) % 360.0 - 180.0, float(dec))
        for ra, dec in wcs.calc_footprint(center=False)
    ]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, [*corners[1:], corners[0]], strict=True))
    return tuple(corners if area > 0 else corners[::-1])


def image(number: int) -> Observation:
    """Return survey image ``number``: a 64 × 64 FITS picture with a few stars, and its thumbnail."""
    centre = field_centre(number)
    band = list(BANDS)[number % len(BANDS)]
    name = f"field-{number:04}-{band}"
    start, exposure = instant(number * 2.5), 30.0 * (1 + number % 4)
    wcs = tangent_wcs(centre, PIXELS, PIXEL_DEGREES)
    picture = _stars(random_of(IMAGES, number), PIXELS, 12)
    header = wcs.to_header()
    header.update({"OBJECT": name, "FILTER": band, "EXPTIME": exposure, "DATE-OBS": utc(start), "BUNIT": "adu"})
    content = fits_file([fits.PrimaryHDU(picture, header)])
    fields = {"bands": [band_fields(band, *BANDS[band])]}
    products = [
        Product("image", f"{name}.fits", content, FITS_TYPE, ("data",), f"{band} band image", fields=fields),
        thumbnail(name, picture[::-1], "md5" if number % 2 else "sha2-256"),
    ]
    if number % 6 == 0:
        log = f"{name}: {exposure:.0f} s in {band}, begun {utc(start)} UTC\n".encode()
        products.append(Product("log", f"{name}.txt", log, "text/plain", ("metadata",), "Observing log", None))
    properties = {
        "title": f"Survey field {number}, {band} band",
        "platform": "survey-telescope",
        "instruments": ["wide-field-camera"],
        "dataproduct_type": "image",
        "calib_level": 2,
        "s_ra": centre[0],
        "s_dec": centre[1],
        "s_fov": round(PIXELS * PIXEL_DEGREES * math.sqrt(2.0), 6),
        "s_resolution": 21.6,
        "t_exptime": exposure,
        "o_ucd": "phot.count;em.opt",
    }
    end = start + timedelta(seconds=exposure)
    return Observation(IMAGES, name, footprint(wcs, centre), start, end, properties, tuple(products))


def _stars(chance: np.random.Generator, pixels: int, count: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:pixels, 0:pixels]
    picture = chance.normal(100.0, 3.0, (pixels, pixels))
    for _ in range(count):
        x0, y0 = chance.uniform(0.0, pixels - 1.0, 2)
        peak = 30.0 * chance.pareto(1.5) + 20.0
        picture += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2.0 * 1.1**2))
    return picture.astype(np.float32)


def fits_file(units: list[Any]) -> bytes:
    """Return a FITS file of header-data units."""
    stream = io.BytesIO()
    fits.HDUList(units).writeto(stream, checksum=False)  # a CHECKSUM card would hold the hour of writing
    return stream.getvalue()


def utc(moment: datetime) -> str:
    """Return an instant as FITS headers have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
