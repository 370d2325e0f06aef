"""Small GeoTIFF files of bodies, and where their pixels lie by PROJ itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from datalink.cutouts.contract import Limits
from datalink.cutouts.geotiff import cut_geotiff
from datalink.cutouts.reading import open_path
from datalink.cutouts.region import Cutting, Region

DID = "mars:scene.tif"
MARS = "+proj=longlat +a=3396190 +b=3376200 +no_defs"
LIMITS = Limits()


def write(path: Path, values: NDArray[Any], crs: object = None, transform: Affine | None = None, **more: Any) -> Path:
    """Write a raster of shape (bands, rows, columns)."""
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": str(values.dtype)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile | {"crs": crs, "transform": transform} | more) as made:
            made.write(values)
    return path


def numbered(width: int, height: int, bands: int = 1) -> NDArray[np.int32]:
    """Return pixels, each of which has a value of its own, none of them 0."""
    return np.arange(1, bands * height * width + 1, dtype=np.int32).reshape(bands, height, width)


def cut(path: Path, region: Region | None, limits: Limits = LIMITS) -> bytes:
    with open_path(path, limits) as file:
        cutout = cut_geotiff(file, Cutting(region=region), DID, limits)
        content = b"".join(cutout.pieces)
    assert cutout.length == len(content)
    return content


class Raster:
    """What a GeoTIFF file holds."""

    def __init__(self, content: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with MemoryFile(content) as memory, memory.open() as dataset:
                self.values = dataset.read()
                self.mask = dataset.dataset_mask()
                self.masks = dataset.read_masks()
                self.transform, self.crs, self.gcps = dataset.transform, dataset.crs, dataset.gcps
                self.nodata, self.tags, self.colors = dataset.nodata, dataset.tags(), dataset.colorinterp
                self.profile = dict(dataset.profile)
                self.scales, self.offsets = dataset.scales, dataset.offsets
                self.descriptions = dataset.descriptions
                self.band_tags = dataset.tags(1)
                self.flags = dataset.mask_flag_enums
                self.colormap = dataset.colormap(1) if self.colors[0].name == "palette" else None
        self.height, self.width = self.values.shape[1:]

    @classmethod
    def at(cls, path: Path) -> Raster:
        return cls(path.read_bytes())

    def positions(
        self, columns: NDArray[Any], rows: NDArray[Any], body: str = "EPSG:4326"
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return longitude and latitude of points of the raster."""
        to_body = pyproj.Transformer.from_crs(self.crs.to_wkt(), body, always_xy=True)
        columns, rows = np.broadcast_arrays(columns, rows)
        x = self.transform.a * columns + self.transform.b * rows + self.transform.c
        y = self.transform.d * columns + self.transform.e * rows + self.transform.f
        lon, lat = to_body.transform(x, y)
        return lon, lat
