"""Whether a file is built as FITS files are, before anything believes what it says (FITS 4.0 sections 3 and 4.4.1).

Headers of broken files ask for a million axes or end nowhere; what reads them later takes their word for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from string import ascii_uppercase
from typing import Final

from datalink.cutouts.errors import FileError
from datalink.cutouts.reading import RangeFile

BLOCK: Final = 2880
"""All parts of a FITS file are a multiple of this long."""
MOST_UNITS: Final = 2000
MOST_HEADER: Final = 8 * 2**20
"""Bytes of one header."""
_CARD: Final = 80
_NUMBER: Final = re.compile(rb"([A-Z0-9]{1,8}) *= +([+-]?\d{1,19})(?: .*|/.*)?", re.DOTALL)
_PACKED: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"BZ": "bzip2",
    b"PK": "zip",
    b"\xfd7": "xz",
    b"\x1f\x9d": "compress",
}
_MOST: Final[Mapping[bytes, int]] = {
    **dict.fromkeys((b"NAXIS", b"ZNAXIS", *(b"WCSAXES" + system.encode() for system in ("", *ascii_uppercase))), 32),
    b"TFIELDS": 999,
}
_BITS: Final = frozenset({8, 16, 32, 64, -32, -64})


def check_structure(file: RangeFile) -> None:
    """Go from header to header through a file.

    Raises
    ------
    FileError
        It is no FITS file, its first header is broken, or a header asks for what cannot be.
    """
    file.seek(0)
    start = file.read(_CARD)
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            raise FileError(f"{file.name} is packed as a whole ({name}): no part of it can be read without the rest")
    if not start.startswith(b"SIMPLE  ="):
        raise FileError(f"{file.name} is no FITS file")
    position = 0
    for number in range(MOST_UNITS):
        file.seek(position)
        if number and not b"XTENSION".startswith(file.read(8) or b"none"):
            return  # the end, or records of another kind, which may follow the last HDU
        values, length = _header(file, position, number)
        position += length + _length(values, number, file.name)
    raise FileError(f"{file.name} has more than {MOST_UNITS} HDUs")


def _header(file: RangeFile, position: int, number: int) -> tuple[dict[bytes, int], int]:
    """Return the whole numbers that a header states, and how long it is."""
    file.seek(position)
    values: dict[bytes, int] = {}
    for length in range(BLOCK, MOST_HEADER, BLOCK):
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise FileError(f"{file.name} ends in the header of HDU {number}")
        for first in range(0, BLOCK, _CARD):
            card = block[first : first + _CARD]
            if card.rstrip() == b"END":
                return values, length
            match = _NUMBER.fullmatch(card)
            if match is not None:
                values.setdefault(match[1], int(match[2]))
    raise FileError(f"the header of HDU {number} of {file.name} is longer than {MOST_HEADER} bytes")


def _length(values: Mapping[bytes, int], number: int, name: str) -> int:
    """Return how many bytes follow a header, padding and all."""
    for word, most in _MOST.items():
        if not 0 <= values.get(word, 0) <= most:
            raise FileError(f"HDU {number} of {name} says {word.decode()} = {values[word]}")
    axes = [values.get(b"NAXIS%d" % axis, -1) for axis in range(1, values.get(b"NAXIS", -1) + 1)]
    bits, count, groups = values.get(b"BITPIX", 0), values.get(b"PCOUNT", 0), values.get(b"GCOUNT", 1)
    if b"NAXIS" not in values or bits not in _BITS or min([*axes, count, groups]) < 0:
        raise FileError(f"the header of HDU {number} of {name} is broken: BITPIX, NAXIS or another of its sizes")
    if axes and axes[0] == 0 and len(axes) > 1:
        axes = axes[1:]  # groups of random parameters
    size = abs(bits) // 8 * groups * (count + prod(axes)) if axes else 0
    if size > 2**62:
        raise FileError(f"HDU {number} of {name} says that it has {size} bytes")
    return -(-size // BLOCK) * BLOCK
