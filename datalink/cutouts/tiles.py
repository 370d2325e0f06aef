"""The pixels of a cut-out from a compressed picture: only the tiles that they lie in are read (FITS 4.0 section 10)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import FileError, LimitError
from datalink.cutouts.pictures import Picture, careful, dtype_of, lengths
from datalink.cutouts.reading import RangeFile

_SLAB: Final = 2**21
"""Pixels that are decompressed at a time, if the tiles are no larger."""
_SLACK: Final = 32 * 2**20
_CHUNK: Final = 2**16
_TABLE: Final = 256 * 2**20
_COLUMNS: Final = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
_ITEMS: Final = {"B": 1, "I": 2, "J": 4, "E": 4, "D": 8, "K": 8}


class Tiles:
    """The tiles of a compressed picture.

    Parameters
    ----------
    file
        The whole file.
    picture
        A compressed one.
    limits
        How large a tile may be.

    Raises
    ------
    FileError
        Its table is broken.
    LimitError
        Its tiles are too large.
    """

    def __init__(self, file: RangeFile, picture: Picture, limits: Limits) -> None:
        self._file = file
        self._picture = picture
        with careful(f"the compressed picture in HDU {picture.number} is broken"):
            header = picture.tiled.header if picture.tiled is not None else picture.header
            self._shape = tuple(int(header.get(f"ZTILE{axis}", 0)) for axis in range(len(picture.shape), 0, -1))
            if min(self._shape) < 1:
                raise FileError(f"the compressed picture in HDU {picture.number} has tiles without a size")
            self._counts = tuple(-(-length // tile) for length, tile in zip(picture.shape, self._shape, strict=True))
            self._pixels = prod(min(pair) for pair in zip(picture.shape, self._shape, strict=True))
            if self._pixels > limits.pixels:
                raise LimitError(f"the tiles of HDU {picture.number} have {self._pixels} pixels each, too many")
            self._row, self._rows = int(header["NAXIS1"]), int(header["NAXIS2"])
            if self._row * self._rows > min(_TABLE, file.size):
                raise FileError(f"the table of HDU {picture.number} is not all there or too long")
            if self._rows < prod(self._counts):
                raise FileError(f"the compressed picture in HDU {picture.number} has {self._rows} tiles, too few")
            self._heap = picture.start + int(header.get("THEAP", self._row * self._rows))
            self._packed = str(header.get("ZCMPTYPE", "")).startswith("GZIP")
            self._columns = self._read_columns()

    def _read_columns(self) -> list[tuple[str, int, NDArray[np.int64]]]:
        """Return name, bytes of an item, and (count, offset) of each row, of the columns that tiles lie in."""
        assert self._picture.tiled is not None  # noqa: S101 - what Tiles are made of
        columns = self._picture.tiled.columns
        self._file.seek(self._picture.start)
        table = np.frombuffer(self._file.read(self._row * self._rows), dtype=columns.dtype.newbyteorder(">"))
        return [
            (name, _ITEMS[columns[name].format.lstrip("01")[1]], table[name].astype(np.int64))
            for name in _COLUMNS
            if name in columns.names
        ]

    def pixels(self, slices: Sequence[slice]) -> Iterator[bytes]:
        """Yield the bytes of pixels as an image that is not compressed has them.

        Raises
        ------
        CutError
            They cannot be read.
        """
        number, stored = self._picture.number, dtype_of(self._picture)
        for slab in self._slabs(slices):
            places = [self._check(row) for row in self._rows_of(slab)]
            self._file.check_time()
            self._file.prepare(places)
            allowed = _SLACK + sum(stop - start for start, stop in places)
            with careful(f"the compressed picture in HDU {number} is broken"), self._file.no_more_than(allowed):
                found = self._picture.hdu.section[tuple(slab)]
                if found.shape != lengths(slab):
                    raise FileError(f"the compressed picture in HDU {number} has pixels of another number than it says")
                yield found.astype(stored).tobytes()

    def _slabs(self, slices: Sequence[slice], axis: int = 0, fixed: tuple[slice, ...] = ()) -> Iterator[list[slice]]:
        """Yield parts of a cut-out in their order, so that few tiles are decompressed more than once."""
        one, tile = slices[axis], self._shape[axis]
        step = one.step or 1
        inner = max(prod(lengths(slices[axis + 1 :])), 1)
        last = axis == len(slices) - 1
        if step == 1 and (last or tile * inner <= _SLAB):
            depth = max(_SLAB // inner // tile, 1) * tile
            for first in range(one.start // tile * tile, one.stop, depth):
                part = slice(max(first, one.start), min(first + depth, one.stop), 1)
                yield [*fixed, part, *slices[axis + 1 :]]
            return
        for index in range(one.start, one.stop, step):
            part = slice(index, index + 1, 1)
            if last:
                yield [*fixed, part]
            else:
                yield from self._slabs(slices, axis + 1, (*fixed, part))

    def _rows_of(self, slab: Sequence[slice]) -> Iterator[int]:
        """Yield the rows of the table whose tiles a part of the picture lies in."""
        tiles = [
            range(one.start // tile, (one.stop - 1) // tile + 1) for one, tile in zip(slab, self._shape, strict=True)
        ]
        for numbers in product(*tiles):
            row = 0
            for number, count in zip(numbers, self._counts, strict=True):
                row = row * count + number
            yield row

    def _check(self, row: int) -> tuple[int, int]:
        """Return where a tile lies in the file; what it says of its length is looked at before it is believed.

        Raises
        ------
        FileError
            It lies outside of the file, is larger than a tile can be, or would be when decompressed.
        """
        for name, item, places in self._columns:
            count, offset = (int(value) for value in places[row])
            if count == 0:
                continue
            start, length = self._heap + offset, count * item
            if count < 0 or offset < 0 or start + length > self._file.size or length > 16 * self._pixels + _CHUNK:
                break
            if name == "GZIP_COMPRESSED_DATA" or (name == "COMPRESSED_DATA" and self._packed):
                self._check_inflated(start, length)
            return start, start + length
        raise FileError(f"the compressed picture in HDU {self._picture.number} has a tile that is not there: {row}")

    def _check_inflated(self, start: int, length: int) -> None:
        """Decompress gzip in small pieces, to see that a few bytes do not stand for very many."""
        self._file.seek(start)
        rest, left = self._file.read(length), 8 * self._pixels
        try:
            while rest:
                inflate = zlib.decompressobj(wbits=31)
                while rest and not inflate.eof:
                    left -= len(inflate.decompress(rest, _CHUNK))
                    rest = inflate.unconsumed_tail
                    if left < 0:
                        raise FileError(f"a tile of HDU {self._picture.number} is larger than it may be")
                rest = inflate.unused_data.lstrip(b"\0")
        except zlib.error as error:
            raise FileError(f"a tile of HDU {self._picture.number} cannot be decompressed: {error}") from error
