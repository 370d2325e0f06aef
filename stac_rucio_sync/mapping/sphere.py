"""Polygons on the sphere with great-circle edges: bounding circle, validity, convex hull, simplification.

A polygon counts as valid here only if pgSphere (1.1.5 to 1.5) accepts it too: no pair of edges nearer than its
tolerance of 1e-9 rad, no edge so short that its arithmetic fails, all vertices within 90 degrees of the middle of their
bounding box, at most 1,024 vertices.
Vectors are unit vectors, angles radians, unless a name says degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from heapq import heapify, heappop, heappush
from math import asin, atan2, cos, degrees, hypot, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]

SAME = 2e-7
"""Vertices nearer than this (0.04 arcsec, 1.3 m on Earth) are one; pgSphere fails on edges below 5e-8."""
_NEAR = 6e-9
"""Edges nearer than this touch; pgSphere's own tolerance is 1e-9."""
_COLLINEAR = 1e-11
_SHORT_RING = 16
"""Up to here plain floats are quicker than numpy."""


class Fault(Enum):
    """Why a ring is no simple polygon."""

    TOO_LARGE = "too large"
    CROSSING = "crossing"
    TOUCHING = "touching"
    THIN = "thin"


def to_vector(lon: float, lat: float) -> Vector:
    """Return the unit vector of a longitude and a latitude in degrees."""
    lon, lat = radians(lon), radians(lat)
    across = cos(lat)
    return across * cos(lon), across * sin(lon), sin(lat)


def to_degrees(vector: Vector) -> tuple[float, float]:
    """Return longitude (0 to 360) and latitude in degrees of a vector of any length."""
    x, y, z = vector
    lon = degrees(atan2(y, x)) % 360.0
    return (0.0 if lon == 360.0 else lon), degrees(atan2(z, hypot(x, y)))


def dot(a: Vector, b: Vector) -> float:
    """Return the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Return the vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def distance(a: Vector, b: Vector) -> float:
    """Return the angle between two unit vectors, exact for small ones too."""
    chord = sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
    return 2.0 * asin(min(1.0, chord / 2.0))


def same(a: Vector, b: Vector) -> bool:
    """Tell whether two unit vectors are one vertex."""
    return abs(a[0] - b[0]) < SAME and abs(a[1] - b[1]) < SAME and abs(a[2] - b[2]) < SAME


def middle(vectors: Sequence[Vector]) -> Vector | None:
    """Return the direction of the middle of the vectors' bounding box (pgSphere's centre); None where it has none.

    For a footprint that is symmetric about its centre it is that centre.
    """
    xs, ys, zs = zip(*vectors, strict=True)
    x, y, z = min(xs) + max(xs), min(ys) + max(ys), min(zs) + max(zs)
    length = sqrt(x * x + y * y + z * z)
    return (x / length, y / length, z / length) if length > 1e-6 else None


def bounding_radius(vectors: Sequence[Vector], centre: Vector) -> float | None:
    """Return the radius of a circle about the centre that holds the vectors and the great circles between them.

    A little more than the exact radius, so that rounding cannot leave a vertex outside. None beyond 90 degrees, where
    a circle is not convex any more and pgSphere holds none.
    """
    radius = max(distance(vector, centre) for vector in vectors)
    radius = radius * (1.0 + 1e-9) + 1e-9 if radius > 0.0 else 0.0
    return radius if radius < 1.57 else None


def signed_area(vectors: Sequence[Vector], centre: Vector) -> float:
    """Return about twice the area, positive where the ring runs counter-clockwise seen from outside the sphere."""
    total = 0.0
    before = vectors[-1]
    for vector in vectors:
        total += (
            (before[0] - centre[0]) * ((vector[1] - centre[1]) * centre[2] - (vector[2] - centre[2]) * centre[1])
            + (before[1] - centre[1]) * ((vector[2] - centre[2]) * centre[0] - (vector[0] - centre[0]) * centre[2])
            + (before[2] - centre[2]) * ((vector[0] - centre[0]) * centre[1] - (vector[1] - centre[1]) * centre[0])
        )
        before = vector
    return total


def fault(vectors: Sequence[Vector], centre: Vector | None) -> Fault | None:
    """Return why the ring of three vertices or more is no valid polygon, or None.

    Parameters
    ----------
    vectors
        Neighbours differ (`same`); the last vertex is not the first again.
    centre
        Their `middle`.
    """
    if centre is None or min(dot(vector, centre) for vector in vectors) < 1e-6:
        return Fault.TOO_LARGE
    found = _edges_fault(vectors) if len(vectors) > 3 else None
    if found is Fault.CROSSING:
        return found
    perimeter = sum(distance(vectors[i - 1], vectors[i]) for i in range(len(vectors)))
    thin = abs(signed_area(vectors, centre)) < 2.0 * _NEAR * perimeter
    return Fault.THIN if thin else found


def _edges_fault(vectors: Sequence[Vector]) -> Fault | None:
    normals = [_unit(cross(vectors[i], vectors[i + 1 - len(vectors)])) for i in range(len(vectors))]
    pairs = _all_pairs(len(vectors)) if len(vectors) <= _SHORT_RING else _candidate_pairs(vectors, normals)
    found: Fault | None = None
    for first, second in pairs:
        met = _meeting(vectors, normals, first, second)
        if met is Fault.CROSSING:
            return met
        found = met or found
    return found


def _unit(vector: Vector) -> Vector:
    length = sqrt(dot(vector, vector))
    return vector[0] / length, vector[1] / length, vector[2] / length


def _all_pairs(count: int) -> list[tuple[int, int]]:
    return [(i, k) for i in range(count - 2) for k in range(i + 2, count - (i == 0))]


def _candidate_pairs(vectors: Sequence[Vector], normals: Sequence[Vector]) -> list[tuple[int, int]]:
    """Return the pairs of edges, not neighbours, each of which straddles or touches the great circle of the other."""
    offsets: NDArray[np.float64] = np.asarray(normals) @ np.asarray(vectors).T
    after = np.roll(offsets, -1, axis=1)
    straddles = (np.minimum(offsets, after) <= _NEAR) & (np.maximum(offsets, after) >= -_NEAR)
    count = len(vectors)
    firsts, seconds = np.nonzero(np.triu(straddles & straddles.T, 2))
    pairs = [(int(first), int(second)) for first, second in zip(firsts, seconds, strict=True)]
    return [pair for pair in pairs if pair != (0, count - 1)]


def _meeting(vectors: Sequence[Vector], normals: Sequence[Vector], first: int, second: int) -> Fault | None:
    a, b = vectors[first], vectors[first + 1 - len(vectors)]
    c, d = vectors[second], vectors[second + 1 - len(vectors)]
    from_c, from_d = dot(normals[first], c), dot(normals[first], d)
    if (from_c > _NEAR and from_d > _NEAR) or (from_c < -_NEAR and from_d < -_NEAR):
        return None
    from_a, from_b = dot(normals[second], a), dot(normals[second], b)
    if (from_a > _NEAR and from_b > _NEAR) or (from_a < -_NEAR and from_b < -_NEAR):
        return None
    if abs(from_c) < _COLLINEAR and abs(from_d) < _COLLINEAR and _apart_on_one_circle(a, b, normals[first], c, d):
        return None
    clear = min(abs(from_a), abs(from_b), abs(from_c), abs(from_d)) > _NEAR
    return Fault.CROSSING if clear else Fault.TOUCHING


def _apart_on_one_circle(a: Vector, b: Vector, normal: Vector, c: Vector, d: Vector) -> bool:
    """Tell whether edge c-d, on the great circle of a-b, lies wholly before a or wholly after b."""
    along = cross(normal, a)
    at_c, at_d = atan2(dot(c, along), dot(c, a)), atan2(dot(d, along), dot(d, a))
    return max(at_c, at_d) < -_NEAR or min(at_c, at_d) > distance(a, b) + _NEAR


def convex_hull(vectors: Sequence[Vector], centre: Vector) -> list[int] | None:
    """Return the indices of the convex hull's vertices, counter-clockwise seen from outside; None beyond 80 degrees.

    In the gnomonic projection about the centre great circles are straight, so the plane hull is the spherical one.
    """
    if min(dot(vector, centre) for vector in vectors) < cos(radians(80.0)):
        return None
    across = _unit(cross(centre, (0.0, 0.0, 1.0) if abs(centre[2]) < 0.9 else (1.0, 0.0, 0.0)))
    upward = cross(centre, across)
    plane = []
    for index, vector in enumerate(vectors):
        depth = dot(vector, centre)
        plane.append((dot(vector, across) / depth, dot(vector, upward) / depth, index))
    plane.sort()
    lower, upper = _half_hull(plane), _half_hull(plane[::-1])
    return [point[2] for point in lower[:-1] + upper[:-1]]


def _half_hull(points: list[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Return half of Andrew's monotone chain; what sticks out by less than the tolerance is no vertex."""
    chain: list[tuple[float, float, int]] = []
    for point in points:
        while len(chain) >= 2:
            (x0, y0, _), (x1, y1, _) = chain[-2], chain[-1]
            if (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0) > SAME * hypot(point[0] - x0, point[1] - y0):
                break
            chain.pop()
        chain.append(point)
    return chain


def simplify(vectors: Sequence[Vector], most: int, tolerance: float) -> tuple[list[int], float]:
    """Return the indices of the vertices that stay (Douglas and Peucker), and how far the ring moved.

    Parameters
    ----------
    vectors
        The ring.
    most
        How many may stay; with so many it ends whatever the tolerance.
    tolerance
        Vertices that lie nearer to the edge that replaces them may go.

    Returns
    -------
    tuple
        Indices in order, and the largest distance from a vertex left out to its edge.
    """
    ring: NDArray[np.float64] = np.asarray(vectors)
    far = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.vstack([ring, ring[:1]])
    kept = {0, far}
    # the worst vertex of each stretch waits here; the worst of all stays next
    waiting = [_worst(closed, 0, far), _worst(closed, far, len(ring))]
    heapify(waiting)
    while len(kept) < most and -waiting[0][0] > tolerance:
        _, index, start, end = heappop(waiting)
        kept.add(index)
        heappush(waiting, _worst(closed, start, index))
        heappush(waiting, _worst(closed, index, end))
    return sorted(kept), -waiting[0][0]


def _worst(ring: NDArray[np.float64], start: int, end: int) -> tuple[float, int, int, int]:
    """Return (minus how far, which, start, end) of the vertex farthest from the straight chord of its stretch."""
    if end - start < 2:
        return 0.0, start, start, end
    inner = ring[start + 1 : end] - ring[start]
    chord = ring[end] - ring[start]
    length = float(chord @ chord)
    along = np.clip(inner @ chord / length, 0.0, 1.0) if length > 0.0 else np.zeros(len(inner))
    away = np.sqrt(((inner - along[:, None] * chord) ** 2).sum(axis=1))
    index = int(np.argmax(away))
    return -float(away[index]), start + 1 + index, start, end
