"""What is wanted of a file: regions and intervals, as SODA 1.0 section 3.3 and DALI 1.1 section 3.3 write them.

Positions are degrees: right ascension and declination (ICRS), or the body's own eastward longitude and latitude.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from datalink.cutouts.errors import RequestError
from obscore_tap.refusals import Refusal
from obscore_tap.values import limit, number, shown

STATES: Final = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
"""Polarization states (ObsCore 1.1 section B.6.6.2)."""
MOST_POINTS: Final = 1000
"""Of a polygon."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Circle:
    """All points within a distance of one (degrees)."""

    lon: float
    lat: float
    radius: float


@dataclass(frozen=True, slots=True)
class Range:
    """All points between two meridians and two parallels (degrees).

    It goes eastward from ``west`` to ``east``: where ``west`` is above ``east`` it crosses the meridian of 0 (or of
    180, where longitudes are counted from -180). A width of 360 or more is all longitudes.
    """

    west: float
    east: float
    south: float
    north: float

    @property
    def width(self) -> float:
        """Degrees of longitude, 0 to 360."""
        across = self.east - self.west
        return min(across, 360.0) if across >= 0.0 else across % 360.0


@dataclass(frozen=True, slots=True)
class Polygon:
    """The area within a ring of points (degrees), either way round; the last point is not the first again."""

    points: tuple[Point, ...]


Region = Circle | Range | Polygon


class Interval(NamedTuple):
    """From a number to another, both included; infinite where it is open."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cutting:
    """What is wanted of one file. What is None, or empty, cuts nothing away."""

    region: Region | None = None
    band: Interval | None = None
    """Vacuum wavelengths in metres, seen from the barycentre."""
    time: Interval | None = None
    """Modified Julian Dates, UTC."""
    states: tuple[str, ...] = ()
    """Polarization states: words of `STATES`."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is to be cut away."""
        return self.region is None and self.band is None and self.time is None and not self.states


def position(text: str) -> Region:
    """Read a value of POS: CIRCLE, RANGE or POLYGON.

    Raises
    ------
    RequestError
        It is none; so with all of these functions.
    """
    shape, *rest = text.split() or [""]
    match shape.upper():
        case "CIRCLE":
            return _circle("POS", text, rest)
        case "RANGE":
            return _range("POS", text, rest, least=0.0)
        case "POLYGON":
            return _polygon("POS", text, rest, least=0.0)
    raise RequestError(f"POS: {shown(text)} begins with none of CIRCLE, RANGE and POLYGON")


def circle(text: str) -> Circle:
    """Read a value of CIRCLE: longitude, latitude, radius."""
    return _circle("CIRCLE", text, text.split())


def polygon(text: str) -> Polygon:
    """Read a value of POLYGON: three pairs of longitude and latitude, or more."""
    return _polygon("POLYGON", text, text.split(), least=0.0)


def body_box(text: str) -> Range:
    """Read a value of BODY_BBOX: west, south, east, north, as GeoJSON has it.

    Longitudes may be counted from 0 or from -180; where the western one is above the eastern one, the box crosses the
    meridian where they jump.
    """
    numbers = text.split()
    if len(numbers) != 4:
        raise RequestError(f"BODY_BBOX: {shown(text)}: west, south, east and north are needed")
    west, south, east, north = numbers
    return _range("BODY_BBOX", text, [west, east, south, north], least=-180.0)


def body_polygon(text: str) -> Polygon:
    """Read a value of BODY_POLYGON: pairs of eastward longitude, counted from 0 or from -180, and latitude."""
    return _polygon("BODY_POLYGON", text, text.split(), least=-180.0)


def band(text: str) -> Interval:
    """Read a value of BAND: metres."""
    interval = _interval("BAND", text)
    if interval.high <= 0.0:
        raise RequestError(f"BAND: {shown(text)}: a wavelength is above 0")
    return interval


def time(text: str) -> Interval:
    """Read a value of TIME: Modified Julian Dates, UTC."""
    return _interval("TIME", text)


def states(values: Sequence[str]) -> tuple[str, ...]:
    """Read the values of POL, which are one filter together (SODA 1.0 section 3.3.6)."""
    for value in values:
        if value not in STATES:
            raise RequestError(f"POL: {shown(value)} is none of {', '.join(STATES)}")
    return tuple(state for state in STATES if state in values)


def _circle(name: str, text: str, rest: Sequence[str]) -> Circle:
    if len(rest) != 3:
        raise RequestError(f"{name}: {shown(text)}: a circle has a longitude, a latitude and a radius")
    lon, lat, radius = _numbers(name, rest)
    _check(name, text, [(lon, lat)], least=0.0)
    if not 0.0 <= radius <= 180.0:
        raise RequestError(f"{name}: {shown(text)}: the radius of a circle is from 0 to 180 degrees")
    return Circle(lon, lat, radius)


def _range(name: str, text: str, rest: Sequence[str], least: float) -> Range:
    if len(rest) != 4:
        raise RequestError(f"{name}: {shown(text)}: a range has two longitudes and two latitudes")
    west, east, south, north = _limits(name, rest)
    west, east = least if west == -math.inf else west, least + 360.0 if east == math.inf else east
    south, north = -90.0 if south == -math.inf else south, 90.0 if north == math.inf else north
    _check(name, text, [(west, south), (east, north)], least)
    if south > north:
        raise RequestError(f"{name}: {shown(text)}: the southern latitude is above the northern one")
    return Range(west, east, south, north)


def _polygon(name: str, text: str, rest: Sequence[str], least: float) -> Polygon:
    if len(rest) > 2 * MOST_POINTS:
        raise RequestError(f"{name}: a polygon has at most {MOST_POINTS} points")
    numbers = _numbers(name, rest)
    points = list(zip(numbers[::2], numbers[1::2], strict=False))
    if len(points) > 3 and points[0] == points[-1]:
        points.pop()
    if len(numbers) % 2 or len(set(points)) < 3:
        raise RequestError(f"{name}: {shown(text)}: a polygon has three or more pairs of longitude and latitude")
    _check(name, text, points, least)
    return Polygon(tuple(points))


def _check(name: str, text: str, points: Sequence[Point], least: float) -> None:
    for lon, lat in points:
        if not (least <= lon <= 360.0 and -90.0 <= lat <= 90.0):
            raise RequestError(
                f"{name}: {shown(text)}: a longitude is from {least:g} to 360 degrees, a latitude from -90 to 90"
            )


def _interval(name: str, text: str) -> Interval:
    limits = _limits(name, text.split())
    if len(limits) not in {1, 2}:
        raise RequestError(f"{name}: {shown(text)} is neither a number nor an interval of two")
    low, high = limits[0], limits[-1]
    if low > high or low == math.inf or high == -math.inf:
        raise RequestError(f"{name}: {shown(text)} is empty: its first limit is above its second")
    return Interval(low, high)


def _numbers(name: str, texts: Sequence[str]) -> list[float]:
    try:
        return [number(name, text) for text in texts]
    except Refusal as refusal:
        raise RequestError(str(refusal)) from refusal


def _limits(name: str, texts: Sequence[str]) -> list[float]:
    try:
        return [limit(name, text) for text in texts]
    except Refusal as refusal:
        raise RequestError(str(refusal)) from refusal
