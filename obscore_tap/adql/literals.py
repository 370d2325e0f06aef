"""Strings that stand for something else: timestamps, numbers and regions, read when the query is translated."""

from __future__ import annotations

import re
from datetime import datetime

from obscore_tap.adql import shapes
from obscore_tap.adql.atoms import Position
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.frames import FRAMES, ICRS, frame_of, is_detail
from obscore_tap.adql.shapes import Shape, ShapeError

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,6}\d*)?Z?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def timestamp_literal(text: str, position: Position) -> str:
    """Return the SQL of a timestamp of DALI 1.1 section 3.3.3, ``YYYY-MM-DD['T'hh:mm:ss[.SSS]['Z']]``.

    Raises
    ------
    AdqlError
        It is none, or there is no such moment.
    """
    text = text.strip()
    if not _TIMESTAMP.fullmatch(text):
        raise AdqlError(f"'{text[:80]}' is no timestamp", *position, expected=("YYYY-MM-DD[Thh:mm:ss[.SSS][Z]]",))
    bare = text.removesuffix("Z").replace("T", " ")
    try:
        datetime.fromisoformat(bare[:19])
    except ValueError as error:
        raise AdqlError(f"there is no moment '{text}': {error}", *position) from error
    return f"timestamp '{bare}'"


def numbers(words: list[str]) -> list[float]:
    """Return numbers of a region.

    Raises
    ------
    ShapeError
        One is none.
    """
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise ShapeError(f"'{word[:40]}' is no number")
    return [float(word) for word in words]


def dali_shape(kind: str, text: str) -> Shape:
    """Return a geometry from the numbers that DALI 1.1 section 3.3 writes for it.

    Parameters
    ----------
    kind
        ``POINT``, ``CIRCLE`` or ``POLYGON``.

    Raises
    ------
    ShapeError
        These are no such numbers.
    """
    return _made(kind, numbers(text.replace(",", " ").split()))


def region_literal(text: str) -> tuple[Shape, str]:
    """Return the geometry and the frame of a string of STC-S (TAP 1.0 appendix A) or of DALI's simple form.

    ``Circle ICRS 10 20 0.5``, ``POLYGON 1 2 3 4 5 6``, ``Box FK5 GEOCENTER 10 20 1 1``, ``Position GALACTIC 1 2``.

    Raises
    ------
    ShapeError
        It is none that is known here.
    """
    words = text.replace("(", " ( ").replace(")", " ) ").split()
    kind = words.pop(0).upper() if words else ""
    if kind in {"UNION", "INTERSECTION", "NOT", "DIFFERENCE", "ELLIPSE", "CONVEX", "ALLSKY", "RANGE"} or "(" in words:
        raise ShapeError(f"regions of the kind {kind} are not supported, POSITION, CIRCLE, BOX and POLYGON are")
    if kind not in {"POSITION", "POINT", "CIRCLE", "BOX", "POLYGON"}:
        raise ShapeError(f"'{text[:80]}' is no region: it must begin with POSITION, CIRCLE, BOX or POLYGON")
    frame = ICRS
    if words and words[0][0].isalpha() and not is_detail(words[0]):
        known = frame_of(words[0])
        if known is None:
            raise ShapeError(f"the reference frame {words[0]} is not known; known are {', '.join(FRAMES)}")
        frame = known
        words.pop(0)
    while words and is_detail(words[0]):
        words.pop(0)
    unit = next((number for number, word in enumerate(words) if word.lower() == "unit"), None)
    if unit is not None:
        if [word.lower() for word in words[unit + 1 :]] not in (["deg"], ["deg", "deg"]):
            raise ShapeError("coordinates of a region are in degrees")
        del words[unit:]
    return _made(kind, numbers(words)), frame


def _made(kind: str, values: list[float]) -> Shape:
    match kind, len(values):
        case (("POSITION" | "POINT"), 2):
            return shapes.point(values[0], values[1])
        case "CIRCLE", 3:
            return shapes.circle(shapes.point(values[0], values[1]), values[2])
        case "BOX", 4:
            return shapes.box(shapes.point(values[0], values[1]), values[2], values[3])
        case "POLYGON", count if count >= 6 and count % 2 == 0:
            pairs = zip(values[::2], values[1::2], strict=True)
            return shapes.polygon([shapes.point(longitude, latitude) for longitude, latitude in pairs])
    wanted = {"CIRCLE": "3 numbers", "BOX": "4 numbers", "POLYGON": "3 pairs of numbers or more"}.get(kind, "2 numbers")
    raise ShapeError(f"{kind} takes {wanted}, not {len(values)}")
