"""Constant geometries: made from coordinates, checked, and written for pgSphere.

Coordinates are degrees. Longitudes lie in [0, 360] and latitudes in [-90, 90] (DALI 1.1 section 3.3.5 to 3.3.7, which
ADQL 2.1 section 4.2.4 refers to). Edges of polygons are great circles; a polygon lies within a hemisphere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

_CLOSE = 1e-9
"""Radians; pgSphere takes points nearer than this for one."""

Vector: TypeAlias = tuple[float, float, float]


class ShapeError(ValueError):
    """No geometry can be made of these numbers; the message says why."""


@dataclass(frozen=True, slots=True)
class Point:
    """A position."""

    longitude: float
    latitude: float

    @property
    def sql(self) -> str:
        """Return a literal of pgSphere."""
        return f"spoint '{_pair(self.longitude, self.latitude)}'"


@dataclass(frozen=True, slots=True)
class Circle:
    """A cone around a position."""

    centre: Point
    radius: float

    @property
    def sql(self) -> str:
        """Return a literal of pgSphere."""
        return f"scircle '<{_pair(self.centre.longitude, self.centre.latitude)},{self.radius!r}d>'"


@dataclass(frozen=True, slots=True)
class Polygon:
    """A simple spherical polygon."""

    vertices: tuple[Point, ...]

    @property
    def sql(self) -> str:
        """Return a literal of pgSphere."""
        return "spoly '{" + ",".join(_pair(point.longitude, point.latitude) for point in self.vertices) + "}'"


Shape: TypeAlias = Point | Circle | Polygon


def _pair(longitude: float, latitude: float) -> str:
    return f"({longitude!r}d,{latitude!r}d)"


def point(longitude: float, latitude: float) -> Point:
    """Return a position.

    Raises
    ------
    ShapeError
        A coordinate lies out of its range.
    """
    if not 0 <= longitude <= 360:
        raise ShapeError(f"the longitude {longitude:g} lies outside of 0 to 360 degrees")
    if not -90 <= latitude <= 90:
        raise ShapeError(f"the latitude {latitude:g} lies outside of -90 to 90 degrees")
    return Point(float(longitude), float(latitude))


def circle(centre: Point, radius: float) -> Circle:
    """Return a cone.

    Raises
    ------
    ShapeError
        pgSphere has no circle of that radius.
    """
    if not 0 <= radius <= 90:
        raise ShapeError(f"the radius {radius:g} lies outside of 0 to 90 degrees; DISTANCE has no such limit")
    return Circle(centre, float(radius))


def polygon(vertices: Sequence[Point]) -> Polygon:
    """Return a polygon; a last vertex that repeats the first is dropped.

    Raises
    ------
    ShapeError
        It is no simple polygon within a hemisphere.
    """
    points = list(vertices)
    if len(points) > 3 and points[0] == points[-1]:
        points.pop()
    if len(points) < 3:
        raise ShapeError("a polygon has three vertices or more")
    corners = [vector(one) for one in points]
    middle = _unit(_total(corners))
    if middle is None or any(_dot(middle, corner) <= 0 for corner in corners):
        raise ShapeError("the polygon is not smaller than a hemisphere")
    number = len(corners)
    for index, corner in enumerate(corners):
        if _angle(corner, corners[(index + 1) % number]) < _CLOSE:
            raise ShapeError(f"vertices {index + 1} and {(index + 1) % number + 1} of the polygon are one point")
    if _crosses_itself(corners):
        raise ShapeError("the polygon crosses itself")
    return Polygon(tuple(points))


def box(centre: Point, width: float, height: float) -> Polygon:
    """Return a box (ADQL 2.1 section 4.2.9).

    Its arms are great circles from the centre to the East and to the North, half of the sizes long; its sides stand
    at right angles on their ends. In the plane that touches the sphere at the centre that is a rectangle, also at a
    pole.

    Raises
    ------
    ShapeError
        A size is not between 0 and 180 degrees.
    """
    for name, size in (("width", width), ("height", height)):
        if not 0 < size < 180:
            raise ShapeError(f"the {name} {size:g} of the box lies outside of 0 to 180 degrees")
    east, north = math.tan(math.radians(width / 2)), math.tan(math.radians(height / 2))
    longitude, latitude = math.radians(centre.longitude), math.radians(centre.latitude)
    corners = []
    for x, y in ((east, north), (-east, north), (-east, -north), (east, -north)):
        # From the plane's axes (outwards, East, North) to those of the sphere.
        along = math.cos(latitude) - y * math.sin(latitude)
        up = math.sin(latitude) + y * math.cos(latitude)
        corners.append(
            position(
                (
                    along * math.cos(longitude) - x * math.sin(longitude),
                    along * math.sin(longitude) + x * math.cos(longitude),
                    up,
                )
            )
        )
    return polygon(corners)


def vector(of: Point) -> Vector:
    """Return the unit vector of a position."""
    longitude, latitude = math.radians(of.longitude), math.radians(of.latitude)
    return (math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude))


def position(of: Vector) -> Point:
    """Return the position that a vector of any length points to."""
    x, y, z = of
    return Point(math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y))))


def _crosses_itself(corners: list[Vector]) -> bool:
    number = len(corners)
    if number > 500:  # quadratic; PostgreSQL checks again when it reads the polygon
        return False
    poles = [_cross(corners[index], corners[(index + 1) % number]) for index in range(number)]
    for first in range(number):
        a, b = corners[first], corners[(first + 1) % number]
        for second in range(first + 2, number):
            if first == 0 and second == number - 1:
                continue
            c, d = corners[second], corners[(second + 1) % number]
            apart = _dot(poles[first], c) * _dot(poles[first], d) < 0
            if apart and _dot(poles[second], a) * _dot(poles[second], b) < 0 and _dot(a, c) + _dot(b, d) > 0:
                return True
    return False


def _total(vectors: list[Vector]) -> Vector:
    return (sum(v[0] for v in vectors), sum(v[1] for v in vectors), sum(v[2] for v in vectors))


def _unit(v: Vector) -> Vector | None:
    length = math.sqrt(_dot(v, v))
    return (v[0] / length, v[1] / length, v[2] / length) if length > _CLOSE else None


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _angle(a: Vector, b: Vector) -> float:
    normal = _cross(a, b)
    return math.atan2(math.sqrt(_dot(normal, normal)), _dot(a, b))
