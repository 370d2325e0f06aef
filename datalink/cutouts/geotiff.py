"""Cut-outs of GeoTIFF files: the pixels as they are stored, in a GeoTIFF file that knows where it lies.

A box gives the smallest window of whole pixels; of a polygon or circle those pixels are kept whose centres it holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as Pixels

from datalink.cutouts.contract import Cutout, Limits
from datalink.cutouts.errors import LimitError
from datalink.cutouts.parts import Part, check_limits, part_of
from datalink.cutouts.reading import RangeFile
from datalink.cutouts.region import Cutting
from datalink.cutouts.spool import Spool
from datalink.cutouts.virtual import opened
from datalink.cutouts.windows import Window

MEDIA_TYPE: Final = "image/tiff; application=geotiff"
_TILE: Final = 512
"""Pixels, the side of a cut-out's tiles."""
_AT_ONCE: Final = 32 * 2**20
"""Bytes that are read, and so asked of a server in one go."""
_PIXELS_AT_ONCE: Final = 2**22
_OF_THE_WHOLE: Final = ("STATISTICS_", "OVR_RESAMPLING_ALG", "AREA_OR_POINT")
"""Beginnings of tags that do not hold for a part, or are written in their own way."""


def cut_geotiff(file: RangeFile, wanted: Cutting, did: str, limits: Limits) -> Cutout:
    """Cut a region out of a GeoTIFF file.

    Pixels, nodata values, masks, colours, scales and tags stay as they are. What lies outside of a polygon or circle
    gets the nodata value; without one, it is transparent where the file has an alpha band, and else masked. Where a
    region covers both ends of a map of a whole body, the cut-out runs on across its edge.

    Parameters
    ----------
    file
        Open; what is needed of it is read before this returns.
    wanted
        A region in longitude and latitude of the body, or nothing for the whole file.
    did
        What the file is, for the cut-out's tag ``HISTORY``.
    limits
        What it may cost.

    Raises
    ------
    NoOverlapError
        Nothing of the file is in the region.
    RequestError
        See `part_of`; `LimitError` where it would cost more than it may.
    FileError
        The file is no GeoTIFF file, is broken, or ends too early.
    """
    until = time.monotonic() + limits.seconds
    spool = Spool()
    try:
        with opened(file) as dataset:
            part = part_of(dataset, wanted)
            check_limits(part, limits)
            _write(part, spool, did, until)
    except BaseException:
        spool.close()
        raise
    return Cutout(MEDIA_TYPE, spool.length, spool.sent())


def _write(part: Part, spool: Spool, did: str, until: float) -> None:
    marking = _Marking(part)
    with spool.written(**_profile(part)) as made:
        _describe(part, made, did)
        for columns, rows in _tiles(part):
            if time.monotonic() > until:
                raise LimitError("the cut-out takes longer than it may: ask for a smaller region")
            place = Pixels(columns.start, rows.start, len(columns), len(rows))
            pixels, valid = marking.read(columns, rows)
            made.write(pixels, window=place)
            if marking.masks:
                made.write_mask(valid, window=place)


def _tiles(part: Part) -> Iterator[tuple[range, range]]:
    """Yield columns and rows of the cut-out, whole tiles of it, as many at once as memory is meant for."""
    window = part.window
    tiles = max(1, min(_AT_ONCE // part.depth, _PIXELS_AT_ONCE) // (_TILE * _TILE))
    for top in range(0, window.height, _TILE):
        for left in range(0, window.width, tiles * _TILE):
            yield (
                range(left, min(left + tiles * _TILE, window.width)),
                range(top, min(top + _TILE, window.height)),
            )


class _Marking:
    """Reads pixels, and marks those that are not wanted in the file's own way."""

    def __init__(self, part: Part) -> None:
        flags = part.dataset.mask_flag_enums[0]
        self._part = part
        self._nodata = _fitting(part.dataset)
        self._has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        has_alpha = ColorInterp.alpha in part.dataset.colorinterp
        self.masks = self._has_mask or (part.has_holes and self._nodata is None and not has_alpha)

    def read(self, columns: range, rows: range) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return pixels, given by columns and rows of the cut-out, and their mask."""
        part = self._part
        pixels = part.values(columns, rows)
        valid = part.mask(columns, rows) if self._has_mask else np.full(pixels.shape[1:], 255, dtype=np.uint8)
        if part.has_holes:
            gone = part.unwanted(np.array(columns) + 0.5, np.array(rows) + 0.5)
            pixels[:, gone] = 0 if self._nodata is None else self._nodata
            valid[gone] = 0
        return pixels, valid


def _fitting(dataset: Any) -> float | None:  # noqa: ANN401 - rasterio ships no types
    """Return the nodata value if the file's pixels can have it: files state others too."""
    value, kind = dataset.nodata, dataset.dtypes[0]
    if value is None or kind.startswith(("float", "complex")):
        return None if value is None else float(value)
    bounds = np.iinfo(kind)
    return float(value) if bounds.min <= value <= bounds.max and value == int(value) else None


def _profile(part: Part) -> dict[str, Any]:
    dataset, window = part.dataset, part.window
    kind = dataset.dtypes[0]
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": window.width,
        "height": window.height,
        "count": dataset.count,
        "dtype": kind,
        "crs": dataset.crs,
        "nodata": _fitting(dataset),
        "interleave": dataset.interleaving.name if dataset.interleaving else "band",
        "compress": "deflate",
        "predictor": {"f": 3, "u": 2, "i": 2}.get(kind[0], 1),
        "photometric": "MINISBLACK",
        "BIGTIFF": "IF_SAFER",
    }
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    if bits:
        profile |= {"NBITS": bits, "predictor": 1}
    if max(window.width, window.height) > _TILE:
        profile |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    if not dataset.gcps[0] and not dataset.transform.is_identity:
        profile["transform"] = dataset.transform @ Affine.translation(window.column, window.row)
    return profile


def _describe(part: Part, made: Any, did: str) -> None:  # noqa: ANN401 - as above
    """Give the cut-out what its file says of the pixels, and what it was cut from."""
    dataset = part.dataset
    points, system = dataset.gcps
    if points:
        made.gcps = ([_moved(point, part.window) for point in points], system or CRS())
    made.colorinterp = dataset.colorinterp
    made.scales, made.offsets, made.units = dataset.scales, dataset.offsets, dataset.units
    made.descriptions = dataset.descriptions
    for band in dataset.indexes:
        made.update_tags(band, **_kept(dataset.tags(band)))
        if dataset.colorinterp[band - 1] == ColorInterp.palette:
            made.write_colormap(band, dataset.colormap(band))
    tags = dataset.tags()
    window = part.window
    cut = f"columns {window.column}+{window.width}, rows {window.row}+{window.height} (from 0) cut from {did}"
    history = f"{tags['HISTORY']}\n{cut}" if "HISTORY" in tags else cut
    kept = {**_kept(tags), "HISTORY": history, "AREA_OR_POINT": tags.get("AREA_OR_POINT", "Area")}
    made.update_tags(**kept)


def _kept(tags: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in tags.items() if not name.startswith(_OF_THE_WHOLE)}


def _moved(point: GroundControlPoint, window: Window) -> GroundControlPoint:
    return GroundControlPoint(
        row=point.row - window.row, col=point.col - window.column, x=point.x, y=point.y, z=point.z, id=point.id
    )
