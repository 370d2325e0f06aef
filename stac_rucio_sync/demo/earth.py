"""Earth scenes: small multispectral GeoTIFF files in UTM, with thumbnails."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.warp import transform

from stac_rucio_sync.demo.products import (
    Checksum,
    Observation,
    Point,
    Product,
    band_fields,
    instant,
    random_of,
    thumbnail,
)

SCENES = "demo-scenes"
GEOTIFF_TYPE = "image/tiff; application=geotiff"
PIXELS = 64
PIXEL_METRES = 300.0

PLACES: dict[str, Point] = {
    "fiji": (179.97, -17.0),  # the scene reaches across the antimeridian
    "vienna": (16.37, 48.21),
    "sydney": (151.21, -33.87),
    "atacama": (-67.75, -23.02),
    "karoo": (21.44, -30.71),
    "iceland": (-19.02, 64.42),
    "kyoto": (135.77, 35.01),
    "manaus": (-60.02, -3.12),
}
BANDS: dict[str, tuple[float, float]] = {
    "blue": (0.490, 0.098),
    "green": (0.560, 0.045),
    "red": (0.665, 0.038),
    "nir": (0.842, 0.145),
}
"""Common name: centre and full width at half maximum in micrometres."""


def scene(number: int) -> Observation:
    """Return Earth scene ``number``: four bands, 64 × 64 pixels of 300 m, and a thumbnail.

    The eight places come by turns. Every tenth scene states neither sizes nor checksums: its files stay links.
    """
    chance = random_of(SCENES, number)
    place = list(PLACES)[number % len(PLACES)]
    longitude, latitude = PLACES[place]
    zone = int((longitude + 180.0) // 6.0) + 1
    projection = CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)
    (east,), (north,) = transform(CRS.from_epsg(4326), projection, [longitude], [latitude])
    half = PIXELS * PIXEL_METRES / 2.0
    west, top = round(east - half, -2), round(north + half, -2)
    grid = Affine(PIXEL_METRES, 0.0, west, 0.0, -PIXEL_METRES, top)
    values = _landscape(chance)
    start = instant(10.0 + number * 7.3)
    name = f"{place}-{start:%Y%m%d}"
    stated: Checksum | None = None if number % 10 == 9 else "md5"
    products = (
        Product(
            "visual",
            f"{name}.tif",
            _geotiff(values, projection, grid),
            GEOTIFF_TYPE,
            ("data",),
            "Reflectance, four bands",
            stated,
            {
                "bands": [band_fields(band, band, *BANDS[band]) for band in BANDS],
                "data_type": str(values.dtype),
                "proj:shape": [PIXELS, PIXELS],
                "proj:transform": list(grid)[:6],
            },
        ),
        thumbnail(name, values[2::-1], stated),
    )
    properties = {
        "title": f"{place.capitalize()}, {start:%d %B %Y}",
        "platform": "demo-observer-1",
        "instruments": ["multispectral-imager"],
        "gsd": PIXEL_METRES,
        "processing:level": "L2",
        "proj:code": f"EPSG:{projection.to_epsg()}",
    }
    ring = _corners(projection, west, top, longitude)
    return Observation(SCENES, name, ring, start, start + timedelta(seconds=12), properties, products)


def _corners(projection: CRS, west: float, top: float, near: float) -> tuple[Point, ...]:
    """Return the scene's corners counter-clockwise in WGS 84, longitudes within 180 degrees of ``near``."""
    east, bottom = west + PIXELS * PIXEL_METRES, top - PIXELS * PIXEL_METRES
    longitudes, latitudes = transform(
        projection, CRS.from_epsg(4326), [west, east, east, west], [bottom, bottom, top, top]
    )
    return tuple(
        (near + (longitude - near + 180.0) % 360.0 - 180.0, latitude)
        for longitude, latitude in zip(longitudes, latitudes, strict=True)
    )


def _landscape(chance: np.random.Generator) -> NDArray[np.uint16]:
    """Return hills of five sizes in four bands, shape (4, 64, 64), reflectance times 10,000."""
    y, x = np.mgrid[0:PIXELS, 0:PIXELS] / PIXELS
    height = np.zeros((PIXELS, PIXELS))
    for octave in range(1, 6):
        turn, phase = chance.uniform(0.0, 2.0 * math.pi, 2)
        wave = np.sin(2.0 * math.pi * octave * (x * math.cos(turn) + y * math.sin(turn)) + phase)
        height += wave / octave
    brightness = np.array([700.0, 900.0, 800.0, 2600.0])[:, None, None]
    noise = chance.normal(0.0, 20.0, (len(BANDS), PIXELS, PIXELS))
    return np.clip(brightness * (1.0 + 0.3 * height) + noise, 1.0, 10_000.0).astype(np.uint16)


def _geotiff(values: NDArray[np.uint16], projection: CRS, grid: Affine) -> bytes:
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=len(values),
            height=PIXELS,
            width=PIXELS,
            dtype="uint16",
            crs=projection,
            transform=grid,
            compress="deflate",
            predictor=2,
            photometric="MINISBLACK",
        ) as tiff:
            tiff.write(values)
            tiff.descriptions = tuple(BANDS)
        return bytes(memory.read())
