"""A small sky survey: images with a true WCS, spectra and spectral cubes, as FITS files."""

from __future__ import annotations

import io
import math
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from stac_rucio_sync.demo.products import Observation, Point, Product, instant, png, random_of

IMAGES, SPECTRA, CUBES = "demo-images", "demo-spectra", "demo-cubes"
FITS_TYPE = "application/fits"

PIXELS = 64
PIXEL_DEGREES = 10.8 / 3600.0
STEP_DEGREES = 0.18
"""Fields of the mosaic lie a little nearer than they are wide (0.192 deg): they overlap, as survey fields do."""
CUBE_PIXELS, CHANNELS = 32, 16
HI_REST_HZ, CHANNEL_HZ = 1.420405752e9, 5.0e4
LIGHT = 299_792_458.0

BANDS: dict[str, tuple[str, float, float]] = {
    "g": ("green", 0.477, 0.137),
    "r": ("red", 0.623, 0.138),
    "i": ("nir", 0.763, 0.153),
}
"""Name: STAC's common name, centre and full width at half maximum in micrometres."""

_MOSAIC: list[tuple[int, int]] = sorted(
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
        column, row = _MOSAIC[(number // 2 - 1) % len(_MOSAIC)]
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
    chance = random_of(IMAGES, number)
    centre = field_centre(number)
    band = list(BANDS)[number % len(BANDS)]
    common_name, micrometres, width = BANDS[band]
    start, exposure = instant(number * 2.5), 30.0 * (1 + number % 4)
    wcs = tangent_wcs(centre, PIXELS, PIXEL_DEGREES)
    picture = _stars(chance, PIXELS, 12)
    name = f"field-{number:04}-{band}"
    cards = {"OBJECT": name, "FILTER": band, "EXPTIME": exposure, "DATE-OBS": _utc(start), "BUNIT": "adu"}
    products = [
        Product(
            "image",
            f"{name}.fits",
            _fits_picture(picture, wcs, cards),
            FITS_TYPE,
            ("data",),
            f"{band} band image",
            fields={
                "bands": [
                    {
                        "name": band,
                        "eo:common_name": common_name,
                        "eo:center_wavelength": micrometres,
                        "eo:full_width_half_max": width,
                    }
                ]
            },
        ),
        Product(
            "thumbnail",
            f"{name}.png",
            png(picture[::-1]),
            "image/png",
            ("thumbnail",),
            "Thumbnail",
            checksum="md5" if number % 2 else "sha2-256",
        ),
    ]
    if number % 6 == 0:
        text = f"{name}: {exposure:.0f} s in {band}, begun {_utc(start)} UTC\n"
        products.append(
            Product("log", f"{name}.txt", text.encode(), "text/plain", ("metadata",), "Observing log", checksum=None)
        )
    return Observation(
        IMAGES,
        name,
        footprint(wcs, centre),
        start,
        start + timedelta(seconds=exposure),
        {
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
        },
        tuple(products),
    )


def spectrum(number: int) -> Observation:
    """Return optical spectrum ``number``: wavelength and flux of a source of the mosaic, as a FITS binary table."""
    chance = random_of(SPECTRA, number)
    column, row = _MOSAIC[number % len(_MOSAIC)]
    ra = round((column * STEP_DEGREES + chance.uniform(-0.05, 0.05)) % 360.0, 6)
    dec = round(row * STEP_DEGREES + chance.uniform(-0.05, 0.05), 6)
    wavelength = np.linspace(380.0, 920.0, 512)
    redshift = float(chance.uniform(0.0, 0.3))
    flux = 2.0 + 0.4 * np.sin(wavelength / 140.0) + chance.normal(0.0, 0.05, wavelength.size)
    for line, strength in ((486.1, 0.8), (500.7, 1.6), (656.3, 2.4)):
        flux += strength * np.exp(-0.5 * ((wavelength - line * (1.0 + redshift)) / 1.5) ** 2)
    table = Table(
        {"WAVELENGTH": wavelength * units.nm, "FLUX": flux.astype(np.float32) * units.Unit("1e-17 erg / (s cm2 nm)")}
    )
    start, exposure = instant(200.0 + number * 3.0), 900.0
    name = f"source-{number:04}"
    table_unit = fits.table_to_hdu(table)
    table_unit.name = "SPECTRUM"
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"OBJECT": name, "RA": ra, "DEC": dec, "RADESYS": "ICRS", "EXPTIME": exposure, "DATE-OBS": _utc(start)}
    )
    return Observation(
        SPECTRA,
        name,
        ((ra, dec),),
        start,
        start + timedelta(seconds=exposure),
        {
            "title": f"Optical spectrum of source {number}",
            "platform": "survey-telescope",
            "instruments": ["fibre-spectrograph"],
            "dataproduct_type": "spectrum",
            "calib_level": 3,
            "target_name": f"SOURCE {number:04}",
            "s_ra": ra,
            "s_dec": dec,
            "s_fov": round(2.0 / 3600.0, 8),
            "t_exptime": exposure,
            "em_min": 3.8e-7,
            "em_max": 9.2e-7,
            "em_res_power": 600.0,
            "em_xel": wavelength.size,
            "o_ucd": "phot.flux.density;em.wl",
        },
        (Product("spectrum", f"{name}.fits", _written([primary, table_unit]), FITS_TYPE, ("data",), "Spectrum"),),
    )


def cube(number: int) -> Observation:
    """Return HI cube ``number``: 16 channels of 32 × 32 pixels around 21 cm, with a galaxy that turns."""
    chance = random_of(CUBES, number)
    centre = (round((350.0 + number * 23.0) % 360.0, 3), round(-30.0 + number * 4.5, 3))
    pixel_degrees = 20.0 / 3600.0
    centre_hz = HI_REST_HZ / (1.0 + 0.002 + 0.001 * number)
    low, high = (centre_hz + edge * CHANNELS * CHANNEL_HZ / 2.0 for edge in (-1.0, 1.0))
    y, x = np.mgrid[0:CUBE_PIXELS, 0:CUBE_PIXELS] - (CUBE_PIXELS - 1) / 2.0
    disc = np.exp(-(x**2 / 60.0 + y**2 / 20.0))
    channel = np.arange(CHANNELS)[:, None, None] - (CHANNELS - 1) / 2.0
    values = disc * np.exp(-0.5 * ((channel - x / 4.0) / 1.2) ** 2) + chance.normal(0.0, 0.03, (CHANNELS, *x.shape))
    start, exposure = instant(300.0 + number * 10.0), 14_400.0
    name = f"galaxy-{number:04}"
    flat = tangent_wcs(centre, CUBE_PIXELS, pixel_degrees)
    header = flat.to_header()
    header.update(
        {
            **{"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRPIX3": (CHANNELS + 1) / 2.0},
            **{"CRVAL3": centre_hz, "CDELT3": CHANNEL_HZ, "RESTFRQ": HI_REST_HZ, "SPECSYS": "BARYCENT"},
            **{"OBJECT": name, "EXPTIME": exposure, "DATE-OBS": _utc(start), "BUNIT": "Jy/beam"},
        }
    )
    return Observation(
        CUBES,
        name,
        footprint(flat, centre),
        start,
        start + timedelta(seconds=exposure),
        {
            "title": f"Neutral hydrogen in galaxy {number}",
            "platform": "radio-array",
            "instruments": ["l-band-receiver"],
            "dataproduct_type": "cube",
            "calib_level": 3,
            "target_name": f"GALAXY {number:04}",
            "s_ra": centre[0],
            "s_dec": centre[1],
            "s_fov": round(CUBE_PIXELS * pixel_degrees * math.sqrt(2.0), 6),
            "s_resolution": 40.0,
            "t_exptime": exposure,
            "em_min": LIGHT / high,
            "em_max": LIGHT / low,
            "em_res_power": round(centre_hz / CHANNEL_HZ, 1),
            "em_xel": CHANNELS,
            "pol_states": "/I/",
            "o_ucd": "phot.flux.density;em.radio",
        },
        (
            Product(
                "cube",
                f"{name}.fits",
                _written([fits.PrimaryHDU(values.astype(np.float32), header)]),
                FITS_TYPE,
                ("data",),
                "Spectral cube",
            ),
            Product(
                "thumbnail", f"{name}.png", png(values.sum(axis=0)[::-1]), "image/png", ("thumbnail",), "Thumbnail"
            ),
        ),
    )


def _stars(chance: np.random.Generator, pixels: int, count: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:pixels, 0:pixels]
    picture = chance.normal(100.0, 3.0, (pixels, pixels))
    for _ in range(count):
        x0, y0 = chance.uniform(0.0, pixels - 1.0, 2)
        peak = 30.0 * chance.pareto(1.5) + 20.0
        picture += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2.0 * 1.1**2))
    return picture.astype(np.float32)


def _fits_picture(picture: NDArray[np.float32], wcs: WCS, cards: dict[str, Any]) -> bytes:
    unit = fits.PrimaryHDU(picture, wcs.to_header())
    unit.header.update(cards)
    return _written([unit])


def _written(units_of_file: list[Any]) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(units_of_file).writeto(stream, checksum=False)  # a CHECKSUM card would hold the hour of writing
    return stream.getvalue()


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
