"""The spectra and the neutral-hydrogen cubes of the survey, as FITS files."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from stac_rucio_sync.demo.products import Observation, Product, instant, random_of, thumbnail
from stac_rucio_sync.demo.sky import FITS_TYPE, MOSAIC, STEP_DEGREES, fits_file, footprint, tangent_wcs, utc

SPECTRA, CUBES = "demo-spectra", "demo-cubes"
SAMPLES = 512
LINES = ((486.1, 0.8), (500.7, 1.6), (656.3, 2.4))
"""Wavelength at rest in nm, strength."""
PIXELS, CHANNELS = 32, 16
PIXEL_DEGREES = 20.0 / 3600.0
REST_HZ, CHANNEL_HZ = 1.420405752e9, 5.0e4
LIGHT = 299_792_458.0
"""m/s"""


def spectrum(number: int) -> Observation:
    """Return optical spectrum ``number``: wavelength and flux of a source of the mosaic, as a FITS binary table."""
    chance = random_of(SPECTRA, number)
    column, row = MOSAIC[number % len(MOSAIC)]
    ra = round((column * STEP_DEGREES + chance.uniform(-0.05, 0.05)) % 360.0, 6)
    dec = round(row * STEP_DEGREES + chance.uniform(-0.05, 0.05), 6)
    start, exposure = instant(200.0 + number * 3.0), 900.0
    name = f"source-{number:04}"
    primary = fits.PrimaryHDU()
    primary.header.update({"OBJECT": name, "RA": ra, "DEC": dec, "RADESYS": "ICRS"})
    primary.header.update({"EXPTIME": exposure, "DATE-OBS": utc(start)})
    table = fits.table_to_hdu(_emission(chance))
    table.name = "SPECTRUM"
    content = fits_file([primary, table])
    properties = {
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
        "em_xel": SAMPLES,
        "o_ucd": "phot.flux.density;em.wl",
    }
    product = Product("spectrum", f"{name}.fits", content, FITS_TYPE, ("data",), "Spectrum")
    end = start + timedelta(seconds=exposure)
    return Observation(SPECTRA, name, ((ra, dec),), start, end, properties, (product,))


def cube(number: int) -> Observation:
    """Return HI cube ``number``: 16 channels of 32 × 32 pixels around 21 cm, with a galaxy that turns."""
    centre = (350.0 + number * 23.0) % 360.0, -60.0 + (30.0 + number * 41.0) % 120.0
    centre_hz = REST_HZ / (1.002 + 0.001 * (number % 50))
    half_hz = CHANNELS * CHANNEL_HZ / 2.0
    start, exposure = instant(300.0 + number * 10.0), 14_400.0
    name = f"galaxy-{number:04}"
    values = _turning_disc(random_of(CUBES, number))
    flat = tangent_wcs(centre, PIXELS, PIXEL_DEGREES)
    header = flat.to_header()
    header.update({"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRPIX3": (CHANNELS + 1) / 2.0, "CRVAL3": centre_hz})
    header.update({"CDELT3": CHANNEL_HZ, "RESTFRQ": REST_HZ, "SPECSYS": "BARYCENT", "BUNIT": "Jy/beam"})
    header.update({"OBJECT": name, "EXPTIME": exposure, "DATE-OBS": utc(start)})
    content = fits_file([fits.PrimaryHDU(values, header)])
    properties = {
        "title": f"Neutral hydrogen in galaxy {number}",
        "platform": "radio-array",
        "instruments": ["l-band-receiver"],
        "dataproduct_type": "cube",
        "calib_level": 3,
        "target_name": f"GALAXY {number:04}",
        "s_ra": centre[0],
        "s_dec": centre[1],
        "s_fov": round(PIXELS * PIXEL_DEGREES * math.sqrt(2.0), 6),
        "s_resolution": 40.0,
        "t_exptime": exposure,
        "em_min": LIGHT / (centre_hz + half_hz),
        "em_max": LIGHT / (centre_hz - half_hz),
        "em_res_power": round(centre_hz / CHANNEL_HZ, 1),
        "em_xel": CHANNELS,
        "pol_states": "/I/",
        "o_ucd": "phot.flux.density;em.radio",
    }
    products = (
        Product("cube", f"{name}.fits", content, FITS_TYPE, ("data",), "Spectral cube"),
        thumbnail(name, values.sum(axis=0)[::-1]),
    )
    end = start + timedelta(seconds=exposure)
    return Observation(CUBES, name, footprint(flat, centre), start, end, properties, products)


def _emission(chance: np.random.Generator) -> Table:
    """Return the spectrum of a source at some redshift: a continuum and three lines."""
    wavelength = np.linspace(380.0, 920.0, SAMPLES)
    redshift = float(chance.uniform(0.0, 0.3))
    flux = 2.0 + 0.4 * np.sin(wavelength / 140.0) + chance.normal(0.0, 0.05, SAMPLES)
    for rest, strength in LINES:
        flux += strength * np.exp(-0.5 * ((wavelength - rest * (1.0 + redshift)) / 1.5) ** 2)
    unit = units.Unit("1e-17 erg / (s cm2 nm)")
    return Table({"WAVELENGTH": wavelength * units.nm, "FLUX": flux.astype(np.float32) * unit})


def _turning_disc(chance: np.random.Generator) -> NDArray[np.float32]:
    """Return an inclined disc that turns, with noise; shape (channel, y, x)."""
    y, x = np.mgrid[0:PIXELS, 0:PIXELS] - (PIXELS - 1) / 2.0
    channel = np.arange(CHANNELS)[:, None, None] - (CHANNELS - 1) / 2.0
    disc = np.exp(-(x**2 / 60.0 + y**2 / 20.0))
    signal = disc * np.exp(-0.5 * ((channel - x / 4.0) / 1.2) ** 2)
    return np.asarray(signal + chance.normal(0.0, 0.03, signal.shape), dtype=np.float32)
