"""A file that rasterio writes to: in memory while it is short, on the disk when it grows, and no error is lost.

GDAL writes most of a file when it closes it, and errors at that time (a full disk) reach nobody; here they do.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import rasterio
from rasterio.abc import FileContainer
from rasterio.errors import RasterioError

from datalink.cutouts.errors import CutError

_IN_MEMORY: Final = 16 * 2**20
_CHUNK: Final = 2**20
_NAME: Final = "cutout.tif"


class Spool(FileContainer):  # type: ignore[misc]  # rasterio ships no types
    """A folder with the one file, which goes when it is closed."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="cutout-")  # noqa: SIM115 - see close
        self._is_there = False
        self._fault: OSError | None = None

    @property
    def length(self) -> int:
        """Bytes."""
        return self._file.seek(0, io.SEEK_END)

    @contextmanager
    def written(self, **profile: object) -> Iterator[Any]:
        """Give a new raster to be written, by rasterio's profile.

        Raises
        ------
        CutError
            It could not be written whole.
        """
        try:
            with rasterio.open(_NAME, "w", opener=self, **profile) as made:
                yield made
        except RasterioError as error:
            if self._fault is None:
                raise
            raise self._lost() from error
        if self._fault is not None:
            raise self._lost()

    def sent(self) -> Iterator[bytes]:
        """Return the bytes, to be taken once; closing the iterator closes the file, whatever was taken."""
        pieces = self._pieces()
        next(pieces)
        return pieces

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield b""  # from here on, closing this comes to `finally`
            self._file.seek(0)
            while piece := self._file.read(_CHUNK):
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _lost(self) -> CutError:
        return CutError(f"the cut-out could not be written: {self._fault.strerror if self._fault else ''}")

    # ------------------------------------------------------------------------------------------- for the open file

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes from a position on."""
        self._file.seek(position)
        return self._file.read(size)

    def write_at(self, position: int, piece: Any) -> int:  # noqa: ANN401 - a view of GDAL's memory
        """Write bytes, and return how many; none where that failed."""
        try:
            self._file.seek(position)
            return self._file.write(piece)
        except OSError as error:
            self._fault = self._fault or error
            return 0

    def cut_at(self, size: int | None) -> None:
        """Shorten the file."""
        self._file.truncate(size)

    # -------------------------------------------------------------------------------- what rasterio asks of a folder

    def open(self, path: str, mode: str = "r", **_: object) -> io.RawIOBase:
        """Open the file."""
        if path != _NAME or (mode.startswith("r") and not self._is_there):
            raise FileNotFoundError(path)
        self._is_there = True
        return _Opened(self)

    def isfile(self, path: str) -> bool:
        """Tell whether the file is there."""
        return path == _NAME and self._is_there

    def isdir(self, _: str) -> bool:
        """Return False."""
        return False

    def ls(self, _: str) -> list[str]:
        """Return nothing: GDAL need not know its neighbours."""
        return []

    def mtime(self, _: str) -> int:
        """Return 0."""
        return 0

    def size(self, _: str) -> int:
        """Return the length of the file."""
        return self.length

    def rm(self, path: str) -> None:
        """Refuse to remove anything."""
        raise PermissionError(path)


class _Opened(io.RawIOBase):
    """One opening of the file, with a position of its own."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._spool.read_at(self._position, size)
        self._position += len(piece)
        return piece

    def write(self, piece: Any) -> int:  # noqa: ANN401 - as above
        written = self._spool.write_at(self._position, piece)
        self._position += written
        return written

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._spool.length}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None) -> int:
        self._spool.cut_at(size)
        return self._position
