"""Which files cut-outs can be made of, and by which of the two services."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from importlib.util import find_spec
from typing import Final

from stac_rucio_sync.model import HeldFile, HeldItem

_NO_PICTURES: Final = frozenset({"spectrum", "sed", "timeseries", "visibility", "event", "measurements"})
"""Data products whose FITS files hold tables."""
_FITS_TYPES: Final = frozenset({"application/fits", "image/fits"})
_FITS_NAMES: Final = (".fits", ".fit", ".fts", ".fits.fz")
_TIFF_NAMES: Final = (".tif", ".tiff")


class Kind(Enum):
    """A kind of file, which is a kind of service: coordinates of the sky, or of a body."""

    FITS = "soda"
    GEOTIFF = "cutout"

    @property
    def path(self) -> str:
        """Return the path of its service, below the base URL."""
        return f"/{self.value}"


def kind_of(file: HeldFile) -> Kind | None:
    """Return how a file can be cut, by its media type and, without one, its name; None where it cannot."""
    return _kind(file.media_type, file.did.name.lower())


@lru_cache(maxsize=1024)
def _kind(media_type: str | None, name: str) -> Kind | None:
    essence, _, parameters = (media_type or "").lower().replace(" ", "").partition(";")
    if name.endswith((".gz", ".bz2", ".zip")):  # has no ranges that could be read
        return None
    if essence in _FITS_TYPES or (not essence and name.endswith(_FITS_NAMES)):
        return Kind.FITS
    is_geotiff = essence == "image/tiff" and "application=geotiff" in parameters
    if is_geotiff or essence == "image/vnd.stac.geotiff" or (not essence and name.endswith(_TIFF_NAMES)):
        return Kind.GEOTIFF
    return None


def offered(file: HeldFile, held: HeldItem) -> Kind | None:
    """Return which service is worth offering for a file of an item."""
    kind = kind_of(file)
    if kind is Kind.FITS and held.dataproduct_type in _NO_PICTURES:
        return None
    if kind is Kind.GEOTIFF and not reads_geotiff():
        return None
    return kind if file.replicas else None


@lru_cache(maxsize=1)
def reads_geotiff() -> bool:
    """Tell whether what GeoTIFF files are read with is installed: the extra ``cutouts``."""
    return find_spec("rasterio") is not None and find_spec("pyproj") is not None
