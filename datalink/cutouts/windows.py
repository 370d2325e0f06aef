"""Which pixels of a raster an area covers: the smallest window, or two of them where the raster is cut open.

What an area and a raster have in common ends where the outline of the one or the border of the other is. So the
outline is followed over the raster, pixel by pixel, and the border's corners are asked whether the area holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from datalink.cutouts.areas import Area, Numbers, Truths
from datalink.cutouts.errors import NoOverlapError, RequestError
from datalink.cutouts.georeference import Georeference

_ROUNDS = 24
_MOST_POINTS = 100_000
"""Points of an outline; a longer one is followed in longer steps."""
_FIRST_POINTS = 256
_NOTHING = 1e-4
"""Pixels; what reaches into a pixel by less does not touch it."""
_WHOLE = 1e-2
"""Pixels that the columns of a whole turn may differ from a whole number where two windows are joined."""
_BESIDE_POLE = 1e-6
"""Degrees."""
_SAMPLES = 65
"""Points each way at which a raster is asked that lies partly off its body."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Columns of a raster, and where they stand in the cut-out."""

    column: int
    width: int
    offset: int


@dataclass(frozen=True, slots=True)
class Window:
    """The pixels of a cut-out: rows of one or more pieces, side by side, from west to east as the raster has them."""

    row: int
    height: int
    pieces: tuple[Piece, ...]

    @property
    def column(self) -> int:
        """The column of the raster that is the cut-out's first one."""
        return self.pieces[0].column

    @property
    def width(self) -> int:
        """Columns of the cut-out, with those between two pieces that the raster does not have."""
        return max(piece.offset + piece.width for piece in self.pieces)

    @property
    def has_gaps(self) -> bool:
        """Whether it has such columns."""
        return sum(piece.width for piece in self.pieces) < self.width


@dataclass(frozen=True, slots=True)
class _Points:
    """Points of a raster that the area holds; ``turns`` is how many turns further the area counts their columns."""

    columns: Numbers
    rows: Numbers
    turns: Numbers


def whole(georeference: Georeference) -> Window:
    """Return the window that is the whole raster."""
    width, height = georeference.size
    return Window(0, height, (Piece(0, width, 0),))


def window_of(area: Area, georeference: Georeference) -> Window:
    """Return the window of the pixels that an area covers or touches.

    Raises
    ------
    NoOverlapError
        There is none.
    RequestError
        It covers both ends of a raster that goes round the body in no whole number of pixels.
    """
    points = list(_points(area, georeference))
    columns, rows, turns = (np.concatenate([getattr(part, name) for part in points]) for name in _NAMES)
    found: list[tuple[int, range, range]] = []
    for turn in np.unique(turns):
        here = turns == turn
        across, down = _span(columns[here], georeference.size[0]), _span(rows[here], georeference.size[1])
        if across and down:
            found.append((int(turn), across, down))
    if not found:
        raise NoOverlapError("nothing of the file lies in the region")
    return _joined(found, georeference)


_NAMES = ("columns", "rows", "turns")


def _span(values: Numbers, size: int) -> range:
    """Return the pixels between the least and the greatest of some coordinates."""
    low, high = float(values.min()), float(values.max())
    if high <= _NOTHING or low >= size - _NOTHING:
        return range(0)
    start, stop = floor(low + _NOTHING), ceil(high - _NOTHING)
    return range(start, min(max(stop, start + 1), size))


def _joined(found: list[tuple[int, range, range]], georeference: Georeference) -> Window:
    top = min(down.start for _, _, down in found)
    bottom = max(down.stop for _, _, down in found)
    turn = georeference.turn or 0.0
    if len(found) > 1 and abs(turn - round(turn)) * (found[-1][0] - found[0][0]) > _WHOLE:
        raise RequestError(
            f"the region covers both ends of a map that goes round in {turn:.3f} pixels, which cannot be joined; "
            "ask for the parts east and west of its edge apart"
        )
    starts = [across.start + number * round(turn) for number, across, _ in found]
    pieces = [
        Piece(across.start, len(across), start - min(starts))
        for start, (_, across, _) in zip(starts, found, strict=True)
    ]
    return Window(top, bottom - top, tuple(sorted(pieces, key=lambda piece: piece.offset)))


# --------------------------------------------------------------------------------------------------------- points


def _points(area: Area, georeference: Georeference) -> Iterator[_Points]:
    """Yield points of the raster that lie in the area, its outermost ones among them."""
    width, height = georeference.size
    columns, rows = _followed(area, georeference)
    turn = georeference.turn
    for number in _turns(columns, width, turn) if turn else (0,):
        here = columns - number * (turn or 0.0)
        held = _on_raster(here, rows, georeference)
        yield _Points(here[held], rows[held], np.full(int(held.sum()), float(number)))
    edges = np.linspace(0.0, 1.0, 9)
    yield _held(area, georeference, *(grid.ravel() for grid in np.meshgrid(edges * width, edges * height)))
    if not turn:
        yield from _at_the_limb(area, georeference)


def _turns(columns: Numbers, width: int, turn: float) -> range:
    known = columns[np.isfinite(columns)]
    return range(floor((known.min() - width) / turn), ceil(known.max() / turn) + 1)


def _on_raster(columns: Numbers, rows: Numbers, georeference: Georeference) -> Truths:
    width, height = georeference.size
    with np.errstate(invalid="ignore"):
        held: Truths = (columns >= 0.0) & (columns <= width) & (rows >= 0.0) & (rows <= height)
    return held


def _held(area: Area, georeference: Georeference, columns: Numbers, rows: Numbers) -> _Points:
    lon, lat = georeference.positions(columns, rows)
    if georeference.turn:
        # The pole is a point of every area that touches it; the row that it is drawn out to is not.
        lat = np.clip(lat, _BESIDE_POLE - 90.0, 90.0 - _BESIDE_POLE)
    with np.errstate(invalid="ignore"):
        held = area.holds(lon, lat)
    columns, rows, lon, lat = columns[held], rows[held], lon[held], lat[held]
    turns = np.zeros(len(columns))
    if georeference.turn and area.width < 360.0:
        counted, _ = georeference.pixels(_counted(lon, georeference.seam(area)), lat)
        turns = np.round((counted - columns) / georeference.turn)
    return _Points(columns, rows, turns)


def _counted(lon: Numbers, seam: float) -> Numbers:
    return seam + (lon - seam) % 360.0


def _at_the_limb(area: Area, georeference: Georeference) -> Iterator[_Points]:
    """Yield points of a raster that shows a body's limb, or a map with an outline of its own, and of what is around.

    There the common part ends at the limb too. That is sought along lines over the raster, and what may lie between
    two of them is added; so a window is wider by a step than needed.
    """
    width, height = georeference.size
    across, down = np.linspace(0.0, width, _SAMPLES), np.linspace(0.0, height, _SAMPLES)
    columns, rows = np.meshgrid(across, down)
    on_body = _is_on_body(georeference, columns, rows)
    if on_body.all():
        return
    limb = [
        _limb_between(georeference, columns[here], rows[here], columns[there], rows[there], on_body[here])
        for here, there in _NEIGHBOURS
    ]
    columns = np.concatenate([columns.ravel(), *(found[0] for found in limb)])
    rows = np.concatenate([rows.ravel(), *(found[1] for found in limb)])
    points = _held(area, georeference, columns, rows)
    for sideways, downwards in ((-1.0, -1.0), (1.0, 1.0)):
        yield _Points(
            np.clip(points.columns + sideways * across[1], 0.0, width),
            np.clip(points.rows + downwards * down[1], 0.0, height),
            points.turns,
        )


_NEIGHBOURS = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1, :], np.s_[1:, :]),
)


def _is_on_body(georeference: Georeference, columns: Numbers, rows: Numbers) -> Truths:
    lon, lat = georeference.positions(columns, rows)
    return np.isfinite(lon) & np.isfinite(lat)


def _limb_between(
    georeference: Georeference, columns: Numbers, rows: Numbers, to_columns: Numbers, to_rows: Numbers, on_body: Truths
) -> tuple[Numbers, Numbers]:
    """Return the last points on the body, going from points to others, where one of the two is on it."""
    parted = on_body != _is_on_body(georeference, to_columns, to_rows)
    start, stop = np.array([columns[parted], rows[parted]]), np.array([to_columns[parted], to_rows[parted]])
    backwards = ~on_body[parted]
    start, stop = np.where(backwards, stop, start), np.where(backwards, start, stop)
    for _ in range(_ROUNDS):
        middle = (start + stop) / 2.0
        held = _is_on_body(georeference, *middle)
        start, stop = np.where(held, middle, start), np.where(held, stop, middle)
    return start[0], start[1]


def _followed(area: Area, georeference: Georeference) -> tuple[Numbers, Numbers]:
    """Return columns and rows of an outline: a pixel apart on the raster, and closer where they come onto it."""
    along = np.linspace(0.0, area.edges, area.edges * max(2, _FIRST_POINTS // area.edges) + 1)
    columns, rows = _located(area, georeference, along)
    for _ in range(_ROUNDS):
        split = _too_far(columns, rows, georeference)
        if not split.any() or len(along) > _MOST_POINTS:
            break
        between = (along[:-1][split] + along[1:][split]) / 2.0
        new_columns, new_rows = _located(area, georeference, between)
        places = np.nonzero(split)[0] + 1
        along = np.insert(along, places, between)
        columns, rows = np.insert(columns, places, new_columns), np.insert(rows, places, new_rows)
    return columns, rows


def _located(area: Area, georeference: Georeference, along: Numbers) -> tuple[Numbers, Numbers]:
    lon, lat = area.outline(along)
    if georeference.turn:
        lon = _counted(lon, georeference.seam(area))
    return georeference.pixels(lon, lat)


def _too_far(columns: Numbers, rows: Numbers, georeference: Georeference) -> Truths:
    """Tell between which neighbours another point is needed."""
    width, height = georeference.size
    if georeference.turn:
        # Nearest to the raster, of all the columns that are a turn apart.
        near = columns - georeference.turn * np.round((columns - width / 2.0) / georeference.turn)
    else:
        near = columns
    inside = _on_raster(near, rows, georeference)
    with np.errstate(invalid="ignore"):
        step = np.hypot(np.diff(columns), np.diff(rows))
        reach = np.where(np.isfinite(step), step, 0.0)
        away = np.maximum(np.maximum(-near, near - width), np.maximum(-rows, rows - height))
    away = np.where(np.isfinite(away), away, np.inf)
    close = np.minimum(away[:-1], away[1:]) <= reach
    comes_in = inside[:-1] != inside[1:]
    needed: Truths = (close & ~(step <= 1.0)) | (comes_in & ~(step <= _NOTHING))
    return needed
