"""Text in packed rows as UTF-16, which PostgreSQL does not write: whole batches at once, by numpy.

The database leaves room for it. A cell of text comes as the number of its octets (four bytes) and its UTF-8 twice over,
which is as long as the UTF-16 of ASCII and no shorter than that of any other text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Places: TypeAlias = NDArray[np.int64]
_Octets: TypeAlias = NDArray[np.uint8]
_ASCII_END = 0x80
_FOUR_OCTETS = 0xF0
"""First octets of characters that have two units in UTF-16."""


class Counted(NamedTuple):
    """A cell that begins with a count of what follows, as it lies in a row."""

    skip: int
    """Bytes between the counted cell before it (or the begin of the row) and this one."""
    size: int
    """Bytes that one of the count has."""
    is_text: bool
    """Whether it is text that is to be UTF-16."""


def widened(rows: bytearray, starts: _Places, layout: Sequence[Counted]) -> _Octets:
    """Return packed rows with their text in UTF-16; the rows that are given are overwritten.

    Parameters
    ----------
    rows
        What the database packed, one row after the other.
    starts
        Where each row begins.
    layout
        The counted cells of a row up to the last one of text.
    """
    octets = np.frombuffer(rows, np.uint8)
    counts_at = np.ndarray(len(rows) - 3, ">i4", rows, strides=(1,))
    firsts, counts = _texts(counts_at, starts, layout)
    text = octets[_consecutive(firsts, counts, 1)]
    if not text.size:
        return octets
    units_at = np.ndarray(len(rows) - 1, ">u2", rows, strides=(1,))
    if text.max() < _ASCII_END:
        units_at[_consecutive(firsts, counts, 2)] = text
        return octets
    units = _units(text, counts)
    units_at[_consecutive(firsts, units, 2)] = np.frombuffer(text.tobytes().decode().encode("utf-16-be"), ">u2")
    counts_at[firsts - 4] = units
    kept = np.ones(len(rows), np.bool_)
    kept[_consecutive(firsts + 2 * units, 2 * (counts - units), 1)] = False
    return octets[kept]


def _texts(counts_at: NDArray[np.int32], starts: _Places, layout: Sequence[Counted]) -> tuple[_Places, _Places]:
    """Return where the texts of all rows begin, and how many octets each of them has."""
    firsts, counts = [], []
    place = starts
    for skip, size, is_text in layout:
        count = counts_at[place + skip].astype(np.int64)
        place = place + (skip + 4)
        if is_text:
            firsts.append(place)
            counts.append(count)
        place = place + count * size
    return np.concatenate(firsts), np.concatenate(counts)


def _consecutive(firsts: _Places, counts: _Places, step: int) -> _Places:
    """Return the places of so many things that begin at each of some places, a step apart."""
    ends = np.cumsum(counts)
    places: _Places = np.arange(ends[-1]) * step
    places += np.repeat(firsts - step * (ends - counts), counts)
    return places


def _units(text: _Octets, counts: _Places) -> _Places:
    """Return how many units of UTF-16 each of some texts in UTF-8 has."""
    begins = (text & 0xC0) != 0x80
    so_far = np.concatenate(([0], np.cumsum(begins.astype(np.int64) + (text >= _FOUR_OCTETS))))
    ends = np.cumsum(counts)
    found: _Places = so_far[ends] - so_far[ends - counts]
    return found
