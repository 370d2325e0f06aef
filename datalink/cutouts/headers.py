"""The headers of a cut-out: what still holds of the original ones, and where the pixels are now (FITS 4.0)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from astropy.io import fits

from datalink.cutouts.pictures import Picture, lengths
from datalink.cutouts.structure import BLOCK

_STRUCTURE: Final = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|GROUPS|EXTEND"
    # What tells of the pixels as they were, all of them.
    r"|CHECKSUM|DATASUM|DATAMIN|DATAMAX|(DATA|TRIM|BIAS|CCD|DET|AMP|ORIG)SEC"
)
_COMPRESSED: Final = re.compile(
    r"Z(IMAGE|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+|QUANTIZ|DITHER0|BLANK|SCALE|ZERO|MASKCMP)"
    r"|Z(SIMPLE|EXTEND|TENSION|PCOUNT|GCOUNT|HECKSUM|DATASUM|BLOCKED)|TFIELDS|THEAP|(TTYPE|TFORM|TUNIT|TNULL|TZERO|TSCAL)\d+"
)
_PIXELS: Final = re.compile(
    r"BSCALE|BZERO|BLANK|BUNIT|WCSAXES[A-Z]?|LTV\d|LTM\d_\d|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)\d+[A-Z]?"
    r"|(PC|CD|PV|PS)\d+_\d+[A-Z]?|[AB]P?_(ORDER|DMAX|\d_\d)"
)
"""What says how to read pixels that are not there any more."""
_AXIS: Final = re.compile(r"(?:CTYPE|CRVAL|CRPIX|CDELT)\d+([A-Z]?)|(?:CD|PC)\d+_\d+([A-Z]?)")


def header_of(picture: Picture, slices: Sequence[slice], history: Sequence[str], *, first: bool) -> bytes:
    """Return the header of a cut-out.

    Parameters
    ----------
    picture
        What it is cut out of.
    slices
        Its pixels, as numpy has them.
    history
        What is said of it in HISTORY.
    first
        Whether it is the first HDU of its file.
    """
    header = picture.header.copy()
    _drop(header, _STRUCTURE)
    if picture.tiled is not None:
        _drop(header, _COMPRESSED)
        if header.get("EXTNAME") == "COMPRESSED_IMAGE":
            header.remove("EXTNAME")
    if picture.bitpix < 0:
        header.remove("BLANK", ignore_missing=True)  # which only integers have
    for axis, one in enumerate(reversed(slices), 1):
        _shift(header, axis, one.start, one.step or 1)
    _date(header)
    for line in history:
        header.add_history(_ascii(line))
    size = tuple(reversed(lengths(slices)))
    return _written(_mandatory(picture.bitpix, size, first=first), header)


def empty_header(primary: fits.Header, extensions: int) -> bytes:
    """Return the header of a first HDU without pixels, which says what it said of the whole file.

    Parameters
    ----------
    primary
        The original one.
    extensions
        HDUs that follow.
    """
    header = primary.copy()
    _drop(header, _STRUCTURE)
    if primary.get("NAXIS", 0):
        _drop(header, _PIXELS)
    if "NEXTEND" in header:
        header["NEXTEND"] = extensions
    _date(header)
    return _written(_mandatory(int(primary.get("BITPIX", 8)), (), first=True), header)


def shifted_table(header: fits.Header, starts: Sequence[int]) -> bytes:
    """Return the header of an image that holds a distortion by pixels, which now begin elsewhere.

    Parameters
    ----------
    header
        Of a table of FITS WCS paper IV.
    starts
        The first pixel of the cut-out along FITS's axes, counted from 0.
    """
    moved = header.copy()
    for axis, start in enumerate(starts, 1):
        moved[f"CRVAL{axis}"] = float(moved.get(f"CRVAL{axis}", 0.0)) - start
    for word in ("CHECKSUM", "DATASUM"):
        moved.remove(word, ignore_missing=True)
    return _written([], moved)


def padding(length: int) -> bytes:
    """Return the zeros between the end of data and the end of their last block."""
    return bytes(-length % BLOCK)


def _shift(header: fits.Header, axis: int, start: int, step: int) -> None:
    """Count an axis's pixels from another one, for every system of coordinates that the header has."""
    if start == 0 and step == 1:
        return
    systems = {match[1] or match[2] or "" for word in header if (match := _AXIS.fullmatch(word))}
    for system in sorted(systems):
        word = f"CRPIX{axis}{system}"
        header[word] = (float(header.get(word, 0.0)) - start - 1) / step + 1
        if step != 1:
            _widen(header, axis, system, step)
    if f"LTV{axis}" in header or f"LTM{axis}_{axis}" in header:
        header[f"LTV{axis}"] = (float(header.get(f"LTV{axis}", 0.0)) - start - 1) / step + 1
        header[f"LTM{axis}_{axis}"] = float(header.get(f"LTM{axis}_{axis}", 1.0)) / step


def _widen(header: fits.Header, axis: int, system: str, step: int) -> None:
    """Make the pixels of an axis stand farther apart."""
    column = re.compile(rf"CD\d+_{axis}{system}")
    words = [word for word in header if column.fullmatch(word)] or [f"CDELT{axis}{system}"]
    for word in words:
        header[word] = float(header.get(word, 1.0)) * step


def _mandatory(bitpix: int, size: Sequence[int], *, first: bool) -> list[tuple[str, Any, str]]:
    cards: list[tuple[str, Any, str]] = [
        ("SIMPLE", True, "conforms to FITS standard") if first else ("XTENSION", "IMAGE", "image extension"),
        ("BITPIX", bitpix, "array data type"),
        ("NAXIS", len(size), "number of array dimensions"),
        *((f"NAXIS{axis}", length, "") for axis, length in enumerate(size, 1)),
    ]
    if first:
        return [*cards, ("EXTEND", True, "")]
    return [*cards, ("PCOUNT", 0, "number of parameters"), ("GCOUNT", 1, "number of groups")]


def _drop(header: fits.Header, words: re.Pattern[str]) -> None:
    for word in {word for word in header if words.fullmatch(word)}:
        header.remove(word, ignore_missing=True, remove_all=True)


def _date(header: fits.Header) -> None:
    """Say when the HDU was made, where it says that at all (FITS 4.0 section 4.4.2.1)."""
    if "DATE" in header:
        header["DATE"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _written(mandatory: Sequence[tuple[str, Any, str]], header: fits.Header) -> bytes:
    cards = [str(fits.Card(*card)) for card in mandatory]
    cards += _sound(header)
    text = "".join(cards) + "END".ljust(80)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def _sound(header: fits.Header) -> Iterator[str]:
    """Yield cards as they were written, but for those that no FITS header may hold."""
    for card in header.cards:
        try:
            image = str(card)
        except (fits.VerifyError, ValueError):
            continue
        if len(image) % 80 == 0 and image.isascii() and image.isprintable():
            yield image


def _ascii(text: str) -> str:
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text)
