"""The pixels of a cut-out as they are stored, in their order, without the file's other ones.

What lies between two rows is read with them where asking twice would take longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final, NamedTuple

from datalink.cutouts.pictures import Picture
from datalink.cutouts.reading import AHEAD, RangeFile

GAP: Final = 64 * 2**10
"""Bytes that are rather read in vain than gone around: a few milliseconds at 100 MB/s with 5 ms to wait."""
JOINED: Final = 256 * 2**10
"""Bytes that are read at once at most where some of them are in vain: several such spans are under way at a time."""


class _Span(NamedTuple):
    """Bytes that are read at once, and the runs of them that are wanted, from its start."""

    start: int
    stop: int
    runs: list[tuple[int, int]]


def stored(file: RangeFile, picture: Picture, slices: Sequence[slice]) -> Iterator[bytes]:
    """Yield the bytes of pixels that are not compressed.

    Parameters
    ----------
    file
        The whole file.
    picture
        What they are pixels of.
    slices
        Which, as numpy has them.

    Raises
    ------
    CutError
        They cannot be read.
    """
    ahead: list[_Span] = []

    def wanted() -> Iterator[tuple[int, int]]:
        for span in _spans(_runs(picture, slices)):
            ahead.append(span)
            yield span.start, span.stop

    for fetched in file.ranges(wanted()):
        span = ahead.pop(0)
        view = memoryview(fetched)
        yield b"".join([view[start:stop] for start, stop in span.runs])


def _runs(picture: Picture, slices: Sequence[slice]) -> Iterator[tuple[int, int]]:
    """Yield the pieces (start, stop) of a file in which pixels lie one after the other."""
    shape, inner, length = picture.shape, len(slices), picture.item
    begin = picture.start
    while inner and _is_all(slices[inner - 1], shape[inner - 1]):
        inner -= 1
        length *= shape[inner]
    if inner and (slices[inner - 1].step or 1) == 1:
        inner -= 1
        step = picture.item * prod(shape[inner + 1 :])
        begin += slices[inner].start * step
        length = (slices[inner].stop - slices[inner].start) * step
    steps = [picture.item * prod(shape[axis + 1 :]) for axis in range(inner)]
    outer = [
        range(one.start * step, one.stop * step, (one.step or 1) * step)
        for one, step in zip(slices, steps, strict=False)
    ]
    for offsets in product(*outer):
        start = begin + sum(offsets)
        for piece in range(start, start + length, AHEAD):
            yield piece, min(piece + AHEAD, start + length)


def _spans(runs: Iterator[tuple[int, int]]) -> Iterator[_Span]:
    """Join runs that lie near each other, as long as they do not get longer than `JOINED`."""
    span: _Span | None = None
    for start, stop in runs:
        if span is not None and start - span.stop <= GAP and stop - span.start <= JOINED:
            span.runs.append((start - span.start, stop - span.start))
            span = span._replace(stop=stop)
            continue
        if span is not None:
            yield span
        span = _Span(start, stop, [(0, stop - start)])
    if span is not None:
        yield span


def _is_all(one: slice, length: int) -> bool:
    return one.start == 0 and one.stop == length and (one.step or 1) == 1
