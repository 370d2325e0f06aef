"""The pictures in a FITS file: their headers, where their pixels lie, and which axis is which (FITS 4.0)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from string import ascii_uppercase
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from datalink.cutouts.errors import CutError, FileError, RequestError
from datalink.cutouts.reading import RangeFile
from datalink.cutouts.sky import Sky
from datalink.cutouts.structure import check_structure

HEADERS: Final = 64 * 2**20
"""Bytes that may be read to get to know what is in a file: headers, and the tables that coordinates need."""
_TYPES: Final = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_SPECTRAL, _TIME, _STOKES = 3, 4, 1
"""Thousands of wcslib's types of axes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image or a cube in a file."""

    number: int
    """Of its HDU, from 0."""
    header: fits.Header
    """Of the picture, also where it is compressed."""
    bitpix: int
    shape: tuple[int, ...]
    """As numpy has it: the last axis is the first of FITS."""
    start: int
    """Where its HDU's bytes after the header begin."""
    tiled: fits.BinTableHDU | None
    """The table that a compressed picture is in."""
    hdu: Any
    """As astropy has it."""

    @property
    def item(self) -> int:
        """Bytes of a pixel."""
        return abs(self.bitpix) // 8

    def axis(self, number: int) -> int:
        """Return the axis of `shape` that an axis of FITS is, counted from 0."""
        return len(self.shape) - 1 - number


@dataclass(frozen=True, slots=True)
class World:
    """What the axes of a picture are; numbers count FITS's axes from 0."""

    sky: Sky | None
    sky_axes: tuple[int, int]
    why_no_sky: str
    spectral: tuple[int, WCS] | None
    time: tuple[int, WCS] | None
    stokes: tuple[int, WCS] | None


@contextmanager
def careful(what: str) -> Iterator[None]:
    """Be silent about what astropy mends in headers, and name the file's fault where it cannot.

    Raises
    ------
    FileError
        For whatever was raised but our own errors.
    """
    talk = logging.getLogger("astropy")
    level = talk.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        talk.setLevel(logging.ERROR)
        try:
            yield
        except CutError:
            raise
        except Exception as error:  # a broken file makes astropy raise errors of all kinds
            told = " ".join(str(error).split())[:300] or type(error).__name__
            raise FileError(f"{what}: {told}") from error
        finally:
            talk.setLevel(level)


class FitsFile:
    """A FITS file of which headers were read, and nothing else.

    Parameters
    ----------
    file
        Open; it stays open.

    Raises
    ------
    FileError
        It is no FITS file, or is broken.
    """

    def __init__(self, file: RangeFile) -> None:
        self._file = file
        with careful(f"{file.name} cannot be read as FITS"), file.no_more_than(HEADERS):
            check_structure(file)
            file.seek(0)
            options = {"memmap": False, "do_not_scale_image_data": True, "uint": False}
            self._hdus = fits.open(file, **options)
            file.seek(0)
            self._tables = fits.open(file, disable_image_compression=True, **options)
            self.units: list[Any] = list(self._hdus)
            self.primary: fits.Header = self._hdus[0].header
            self.pictures: list[Picture] = [
                picture for number, hdu in enumerate(self.units) if (picture := self._picture(number, hdu)) is not None
            ]

    def _picture(self, number: int, hdu: Any) -> Picture | None:  # noqa: ANN401 - astropy has no types
        if not hdu.is_image or isinstance(hdu, fits.GroupsHDU) or not hdu.shape or prod(hdu.shape) == 0:
            return None
        plain = self._tables[number]
        shape = tuple(int(length) for length in hdu.shape)
        tiled = plain if isinstance(hdu, fits.CompImageHDU) else None
        bitpix = int(hdu.header["BITPIX"])
        if bitpix not in _TYPES:
            raise FileError(f"HDU {number} says BITPIX = {bitpix}")
        return Picture(number, hdu.header, bitpix, shape, int(plain.fileinfo()["datLoc"]), tiled, hdu)

    def check_whole(self, picture: Picture) -> None:
        """Check that a picture's bytes are all there.

        Raises
        ------
        FileError
            The file ends before.
        """
        length = picture.item * prod(picture.shape)
        if picture.tiled is not None:
            header = picture.tiled.header
            length = int(header["NAXIS1"]) * int(header["NAXIS2"]) + int(header.get("PCOUNT", 0))
        end = picture.start + length
        if end > self._file.size:
            raise FileError(
                f"{self._file.name} ends after {self._file.size} bytes, and its HDU {picture.number} after {end}"
            )

    def table(self, number: int) -> tuple[bytes, int]:
        """Return the bytes of an HDU that coordinates need, and how many of them are its header.

        Raises
        ------
        CutError
            It cannot be read, or is too long.
        """
        info = self._tables[number].fileinfo()
        start, stop = int(info["hdrLoc"]), int(info["datLoc"]) + int(info["datSpan"])
        if stop > self._file.size or stop - start > HEADERS:
            raise FileError(f"HDU {number}, which coordinates need, is not all there or too long")
        self._file.seek(start)
        return self._file.read(stop - start), int(info["datLoc"]) - start

    def needs(self, picture: Picture) -> Iterator[tuple[int, bool]]:
        """Yield the HDUs that a picture's coordinates refer to, and whether they do so by its pixels.

        These are the arrays of -TAB axes (FITS 4.0 section 8.1.2) and the distortion tables of FITS WCS paper IV.
        """
        header = picture.header
        wanted: list[tuple[str, object, bool]] = []
        for axis in range(1, len(picture.shape) + 1):
            for word in (f"PS{axis}_0", *(f"PS{axis}_0{letter}" for letter in ascii_uppercase)):
                if word in header:
                    wanted.append(
                        (str(header[word]), header.get(word.replace("PS", "PV").replace("_0", "_1"), 1), False)
                    )
            for kind, record, name in (("CPDIS", "DP", "WCSDVARR"), ("D2IMDIS", "D2IM", "D2IMARR")):
                if str(header.get(f"{kind}{axis}", "")).strip().upper() == "LOOKUP":
                    wanted.append((name, header.get(f"{record}{axis}.EXTVER", 1), True))
        for name, version, by_pixel in dict.fromkeys(wanted):
            number = self.named(name, int(float(str(version))))
            if number is not None:
                yield number, by_pixel

    def named(self, name: str, version: int) -> int | None:
        """Return the number of the HDU of an EXTNAME and EXTVER."""
        for number, hdu in enumerate(self.units):
            if number and hdu.name.upper() == name.upper() and hdu.ver == version:
                return number
        return None

    def world(self, picture: Picture) -> World:
        """Return what the axes of a picture are.

        Raises
        ------
        FileError
            Its world coordinates are broken.
        """
        with careful(f"the world coordinates of HDU {picture.number} cannot be read"), self._file.no_more_than(HEADERS):
            flat, full = self._systems(picture)
            axes = [int(kind) // 1000 % 10 for kind in full.wcs.axis_types]
            alone = {
                kind: (axes.index(kind), full.sub([axes.index(kind) + 1]))
                if kind in axes[: len(picture.shape)]
                else None
                for kind in (_SPECTRAL, _TIME, _STOKES)
            }
            sky, numbers, why = self._sky(picture, flat)
            return World(sky, numbers, why, alone[_SPECTRAL], alone[_TIME], alone[_STOKES])

    def _systems(self, picture: Picture) -> tuple[WCS, WCS]:
        """Return the WCS for the sky, and that for the other axes.

        Polynomials and tables of distortion are for pictures of two axes; with more, astropy takes the first two.
        """
        header = picture.header
        try:
            full = WCS(header, self._hdus)
        except ValueError:
            if len(picture.shape) < 3:
                raise
            plain = header.copy()
            for word in ("A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER", "CPDIS1", "CPDIS2", "D2IMDIS1", "D2IMDIS2"):
                plain.remove(word, ignore_missing=True)
            return WCS(header, self._hdus, naxis=2), WCS(plain, self._hdus)
        return full, full

    def _sky(self, picture: Picture, wcs: WCS) -> tuple[Sky | None, tuple[int, int], str]:
        lng, lat = int(wcs.wcs.lng), int(wcs.wcs.lat)
        numbers = min(lng, lat), max(lng, lat)
        if numbers[0] < 0 or numbers[1] >= len(picture.shape):
            return None, numbers, "it has no celestial axes"
        width, height = (picture.shape[picture.axis(number)] for number in numbers)
        try:
            return Sky(wcs.celestial if wcs.naxis > 2 else wcs, width, height), numbers, ""
        except RequestError as error:
            return None, numbers, str(error).partition(": ")[2]


def corners(slices: Sequence[slice]) -> tuple[tuple[int, int], ...]:
    """Return first and last pixel along FITS's axes, counted from 1, of slices as numpy has them."""
    return tuple((one.start + 1, one.stop) for one in reversed(slices))


def lengths(slices: Sequence[slice]) -> tuple[int, ...]:
    """Return how many pixels slices take, as numpy has them."""
    return tuple(len(range(one.start, one.stop, one.step or 1)) for one in slices)


def dtype_of(picture: Picture) -> np.dtype[Any]:
    """Return the type of a picture's pixels as they are stored."""
    return np.dtype(_TYPES[picture.bitpix])
