"""GeoTIFF files opened by rasterio over a reader of ours: GDAL asks for ranges, and opens nothing by itself.

GDAL knows many formats and places that lead elsewhere (VRT, URLs, files beside the file). Here only its GeoTIFF driver
is let in, and only the one file is there for it.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import rasterio
from rasterio._err import CPLE_BaseError  # GDAL's errors, which come through where rasterio has no word for them
from rasterio.abc import MultiByteRangeResourceContainer
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from datalink.cutouts.errors import CutError, FileError
from datalink.cutouts.reading import RangeFile

GDAL: Final = {
    "GDAL_CACHEMAX": 128 * 2**20,  # bytes of tiles, not a share of the machine's memory
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_PAM_ENABLED": False,  # no .aux.xml is looked for, and none written
    "GDAL_TIFF_INTERNAL_MASK": True,
}
_NAME: Final = "file.tif"


class _Range(io.RawIOBase):
    """One opening of the file: a position of its own, and no exceptions, which GDAL cannot pass on."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        size = max(0, self._source.file.size - self._position) if size < 0 else size
        piece = self._source.read(self._position, size)
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.file.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        return self._source.ranges([(start, start + size) for start, size in zip(offsets, sizes, strict=True)])


class _Source(MultiByteRangeResourceContainer):  # type: ignore[misc]  # rasterio ships no types
    """A folder that holds the one file."""

    def __init__(self, file: RangeFile) -> None:
        self.file = file
        self.fault: CutError | None = None
        self._lock = threading.Lock()

    def read(self, start: int, size: int) -> bytes:
        pieces: list[bytes] = []
        try:
            with self._lock:
                self.file.seek(start)
                while size > 0 and (piece := self.file.read(size)):
                    pieces.append(piece)
                    size -= len(piece)
        except CutError as error:
            self.fault = self.fault or error
            return b""
        if size > 0 and not pieces:
            self._ends_early()
        return b"".join(pieces)

    def ranges(self, wanted: list[tuple[int, int]]) -> list[bytes]:
        try:
            if any(stop > self.file.size for _, stop in wanted):
                self._ends_early()
            else:
                with self._lock:
                    return list(self.file.ranges(wanted))
        except CutError as error:
            self.fault = self.fault or error
        return [b""] * len(wanted)

    def _ends_early(self) -> None:
        self.fault = self.fault or FileError(f"{self.file.name} ends before the pixels that it says it holds")

    # ------------------------------------------------------------------------------------ what rasterio asks a folder

    def open(self, path: str, mode: str = "r", **_: object) -> _Range:
        if path != _NAME or not mode.startswith("r"):
            raise FileNotFoundError(path)
        return _Range(self)

    def isfile(self, path: str) -> bool:
        return path == _NAME

    def isdir(self, _: str) -> bool:
        return False

    def ls(self, _: str) -> list[str]:
        return []

    def mtime(self, _: str) -> int:
        return 0

    def size(self, path: str) -> int:
        if path != _NAME:
            raise FileNotFoundError(path)
        return self.file.size

    def rm(self, path: str) -> None:
        raise PermissionError(path)


@contextmanager
def opened(file: RangeFile) -> Iterator[Any]:
    """Open a GeoTIFF file with rasterio; what reading it meets inside the block is raised as ours.

    Raises
    ------
    FileError
        It is no GeoTIFF file, is broken, or ends too early.
    CutError
        What the reader raised.
    """
    source = _Source(file)
    try:
        with rasterio.Env(**GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(_NAME, driver="GTiff", opener=source) as dataset:
                yield dataset
    except (RasterioError, CPLE_BaseError, UnicodeDecodeError, CutError) as error:
        if source.fault is not None:
            raise source.fault from error
        if isinstance(error, CutError):
            raise
        raise FileError(f"{file.name} is no GeoTIFF file, or a broken one: {_said(error)}") from error
    if source.fault is not None:
        raise source.fault


def _said(error: BaseException) -> str:
    """Return what GDAL says at the bottom of a chain of errors, without the name that the file has here."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "errmsg", str(error)).rpartition(f"{_NAME}: ")[2]
