"""What the generators of the demo make: observations, and the files that belong to them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

Point = tuple[float, float]
"""Longitude (or RA) and latitude (or Dec), degrees."""

Checksum = Literal["md5", "sha2-256"]

SEED = 20250321
"""All that is random follows from this number, the collection and the observation's own number."""


@dataclass(frozen=True, slots=True)
class Product:
    """One file of an observation."""

    key: str
    """The key of its asset."""
    name: str
    content: bytes
    media_type: str
    roles: tuple[str, ...]
    title: str
    checksum: Checksum | None = "md5"
    """Which checksum the item states; None: neither checksum nor size, as many catalogues have it."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields of the asset: its bands, for instance."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One item to be: where, when, what, and its files."""

    collection: str
    id: str
    ring: tuple[Point, ...]
    """Corners of the footprint without a repeated last one, longitudes unwrapped; one point: no extent."""
    start: datetime
    end: datetime
    properties: dict[str, Any]
    products: tuple[Product, ...]


def random_of(collection: str, number: int) -> np.random.Generator:
    """Return the source of chance of one observation: the same for it in every catalogue, large or small."""
    return np.random.default_rng([SEED, *collection.encode(), number])


def instant(days: float) -> datetime:
    """Return the instant so many days after the demo's survey began, in whole seconds, UTC."""
    return (datetime.fromisoformat("2024-01-01T00:00:00+00:00") + timedelta(days=days)).replace(microsecond=0)


def png(values: NDArray[Any]) -> bytes:
    """Return a picture: grey from an array of shape (rows, columns), colours from (3, rows, columns)."""
    bands = np.atleast_3d(values.T).T if values.ndim == 2 else values
    low, high = np.percentile(bands, (1.0, 99.5))
    scaled = np.clip((bands - low) / max(float(high - low), 1e-9), 0.0, 1.0) * 255.0
    count, height, width = bands.shape
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a thumbnail has no map to lie on
        with (
            rasterio.Env(GDAL_PAM_ENABLED="NO"),
            memory.open(driver="PNG", count=count, height=height, width=width, dtype="uint8") as picture,
        ):
            picture.write(scaled.astype(np.uint8))
        return bytes(memory.read())


def thumbnail(name: str, values: NDArray[Any], checksum: Checksum | None = "md5") -> Product:
    """Return the thumbnail of an observation; ``values`` as `png` takes them, the first row at the top."""
    return Product("thumbnail", f"{name}.png", png(values), "image/png", ("thumbnail",), "Thumbnail", checksum)


def band_fields(name: str, common_name: str, micrometres: float, width: float) -> dict[str, Any]:
    """Return a band object of STAC 1.1 with the fields of the eo extension (centre and full width in micrometres)."""
    return {
        "name": name,
        "eo:common_name": common_name,
        "eo:center_wavelength": micrometres,
        "eo:full_width_half_max": width,
    }
