"""What of an open GeoTIFF file is wanted: its window, the pixels of it that count, and what reading them costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.windows import Window as Pixels

from datalink.cutouts.areas import Area, Numbers, Truths, area_of
from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import LimitError, RequestError
from datalink.cutouts.georeference import Georeference, georeference_of
from datalink.cutouts.region import Cutting, Range
from datalink.cutouts.windows import Piece, Window, window_of

_TILE_BYTES: Final = 256 * 2**20
"""The largest tile or strip that is decompressed."""
_COMPLEX_INTEGERS: Final = {"complex_int16": "complex64"}
"""What rasterio reads those as that numpy has no name for."""


@dataclass(frozen=True, slots=True)
class Part:
    """What of an open raster is wanted."""

    dataset: Any
    """rasterio's."""
    window: Window
    georeference: Georeference | None
    """None where the whole file is wanted, wherever it lies."""
    shape: Area | None
    """An area that need not hold all pixels of the window."""

    @property
    def depth(self) -> int:
        """Bytes of one pixel in all bands."""
        return sum(_kind(kind).itemsize for kind in self.dataset.dtypes)

    @property
    def has_holes(self) -> bool:
        """Whether pixels of the cut-out may be unwanted, or not there."""
        return self.shape is not None or self.window.has_gaps

    def values(self, columns: range, rows: range) -> NDArray[Any]:
        """Read pixels as they are stored; those that the file does not have are 0.

        Parameters
        ----------
        columns, rows
            Of the cut-out.

        Returns
        -------
        ndarray
            Shape (bands, rows, columns).
        """
        shape = (self.dataset.count, len(rows), len(columns))
        pixels: NDArray[Any] = np.zeros(shape, dtype=_kind(self.dataset.dtypes[0]))
        for here, place in self._places(columns, rows):
            pixels[:, :, here] = self.dataset.read(window=place)
        return pixels

    def mask(self, columns: range, rows: range) -> NDArray[np.uint8]:
        """Read the file's own mask: 255 where a pixel is valid, 0 where it is not, or not there."""
        valid = np.zeros((len(rows), len(columns)), dtype=np.uint8)
        for here, place in self._places(columns, rows):
            valid[:, here] = self.dataset.read_masks(1, window=place)
        return valid

    def unwanted(self, columns: Numbers, rows: Numbers) -> Truths:
        """Tell which points of the cut-out the area does not hold, or the file does not have.

        Parameters
        ----------
        columns, rows
            Coordinates from the cut-out's corner, so that the centre of its first pixel is (0.5, 0.5).

        Returns
        -------
        ndarray
            Shape (rows, columns).
        """
        gone = np.ones((len(rows), len(columns)), dtype=np.bool_)
        for piece in self.window.pieces:
            here = (columns >= piece.offset) & (columns < piece.offset + piece.width)
            gone[:, here] = False
            if self.shape is not None and self.georeference is not None:
                across = columns[here] - piece.offset + piece.column
                lon, lat = self.georeference.grid(across, rows + self.window.row)
                with np.errstate(invalid="ignore"):
                    gone[:, here] = ~self.shape.holds(lon, lat)
        return gone

    def _places(self, columns: range, rows: range) -> list[tuple[slice, Pixels]]:
        """Return where columns stand in what is asked for, and where they are in the file."""
        places = []
        for piece in self.window.pieces:
            start, stop = max(columns.start, piece.offset), min(columns.stop, piece.offset + piece.width)
            if start < stop:
                column, row = start - piece.offset + piece.column, rows.start + self.window.row
                here = slice(start - columns.start, stop - columns.start)
                places.append((here, Pixels(column, row, stop - start, len(rows))))
        return places


def part_of(dataset: Any, wanted: Cutting) -> Part:  # noqa: ANN401 - rasterio ships no types
    """Return what a cutting means for an open raster.

    Raises
    ------
    RequestError
        The file has no such axes, or does not say where it lies; `NoOverlapError` where it lies elsewhere.
    """
    if wanted.band is not None or wanted.time is not None or wanted.states:
        raise RequestError("BAND, TIME and POL cannot be cut from a GeoTIFF file: it has no such axes")
    if wanted.region is None:
        return Part(dataset, Window(0, dataset.height, (Piece(0, dataset.width, 0),)), None, None)
    area = area_of(wanted.region)
    georeference = georeference_of(dataset)
    shape = None if isinstance(wanted.region, Range) else area
    return Part(dataset, window_of(area, georeference), georeference, shape)


def check_limits(part: Part, limits: Limits, fewer: int = 1) -> None:
    """Refuse what would cost too much, before any pixel is read.

    Parameters
    ----------
    part
        What is wanted.
    limits
        What it may cost.
    fewer
        How many pixels of the file, each way, are read as one, from an overview.

    Raises
    ------
    LimitError
        So it is.
    """
    dataset, window = part.dataset, part.window
    width, height, bands = math.ceil(window.width / fewer), math.ceil(window.height / fewer), dataset.count
    size = width * height * part.depth
    if width * height * bands > limits.pixels or size > limits.output_bytes:
        raise LimitError(
            f"{width} × {height} pixels of {bands} bands would have to be read, {size} bytes; at most {limits.pixels} "
            f"pixels and {limits.output_bytes} bytes are: ask for a smaller region"
        )
    down, across = dataset.block_shapes[0]
    together = bands if dataset.interleaving == Interleaving.pixel else 1
    if down * across * together > limits.pixels or down * across * together * part.depth > _TILE_BYTES * bands:
        raise LimitError(
            f"the file is stored in tiles of {across} × {down} pixels, too large to be decompressed for a part of them"
        )


def _kind(name: str) -> np.dtype[Any]:
    return np.dtype(_COMPLEX_INTEGERS.get(name, name))
