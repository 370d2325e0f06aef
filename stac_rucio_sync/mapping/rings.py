"""GeoJSON rings in the plane of longitude and latitude: read, unwrapped at the antimeridian, joined across it.

GeoJSON's edges are straight in that plane (RFC 7946, section 3.1.1); what the sphere needs of that is done by
`densified`. Degrees throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

Position = tuple[float, float]
Ring = list[Position]
"""Vertices with a running longitude, the first not repeated at the end."""

_STEP = 2.5
"""Length in longitude of the pieces of a long edge; such a piece leaves its parallel by 0.01 degrees at most."""
_SEAM = 1e-3
"""How near to a multiple of 180 degrees a cut at the antimeridian counts as lying on it."""


class NoPositionError(ValueError):
    """The geometry cannot be a position; the text is a clause that says why."""


def positions(coordinates: object) -> Ring:
    """Return longitude and latitude of a list of GeoJSON positions; further dimensions are dropped.

    Raises
    ------
    NoPositionError
        Something is no pair of numbers, or not in degrees.
    """
    if not isinstance(coordinates, list) or not coordinates:
        raise NoPositionError("its coordinates are not lists of positions")
    ring: Ring = []
    for position in coordinates:
        if not isinstance(position, list) or len(position) < 2:
            raise NoPositionError("its coordinates are not lists of positions")
        lon, lat = position[0], position[1]
        if type(lon) not in _NUMBERS or type(lat) not in _NUMBERS:
            raise NoPositionError("a coordinate is no number")
        if not -540.0 <= lon <= 540.0 or not -90.000001 <= lat <= 90.000001:
            raise NoPositionError("its coordinates are not degrees of longitude and latitude")
        ring.append((float(lon), min(90.0, max(-90.0, float(lat)))))
    return ring


_NUMBERS = frozenset({int, float})


def unwrapped(ring: Ring) -> tuple[Ring, int]:
    """Return the ring with a running longitude, without repeated vertices, and how often it goes round the pole.

    An edge of more than 180 degrees goes the other way round, across the antimeridian, unless the ring would then
    have no width (a rectangle round the whole Earth), or is a rectangle too high for a scene.
    """
    vertices, winding = _running(ring, 180.0 if _is_high_rectangle(ring) else 1e9)
    if winding == 0:
        lons = [lon for lon, _ in vertices]
        if max(lons) - min(lons) < _SEAM and max(abs(lon) for lon, _ in ring) >= 180.0 - _SEAM:
            return _running(ring, 359.0)
    return vertices, winding


def _is_high_rectangle(ring: Ring) -> bool:
    """Tell whether a ring is of meridians and parallels only and spans 60 degrees of latitude."""
    if len(ring) > 12:
        return False
    lats = [lat for _, lat in ring]
    if max(lats) - min(lats) < 60.0:
        return False
    return all(lon0 == lon1 or lat0 == lat1 for (lon0, lat0), (lon1, lat1) in pairwise([*ring, ring[0]]))


def _running(ring: Ring, wide: float) -> tuple[Ring, int]:
    """Return the ring unwrapped, where steps beyond ``wide`` up to 360 degrees are meant as they stand."""
    vertices: Ring = []
    turned = 0.0
    before = ring[0][0]
    for lon, lat in [*ring, ring[0]]:
        step = lon - before
        if abs(step) > 180.0 and not wide < abs(step) <= 360.001:
            turned -= 360.0 * round(step / 360.0)
        before = lon
        vertex = (lon + turned, lat)
        if not vertices or vertex != vertices[-1]:
            vertices.append(vertex)
    if len(vertices) > 1:
        vertices.pop()  # the first again, turned
    return vertices, round(turned / 360.0)


def densified(ring: Ring, winding: int, along_parallels: bool) -> Ring:
    """Return the ring with vertices put into edges that are far from the great circle between their ends.

    Parameters
    ----------
    ring, winding
        What `unwrapped` returned.
    along_parallels
        Edges are straight in longitude and latitude, as GeoJSON has them: long ones get vertices, except near the
        poles, where producers mean the great circle. Edges of 180 degrees and more get them in any case.
    """
    dense: Ring = []
    last = (ring[0][0] + 360.0 * winding, ring[0][1])
    for (lon, lat), (next_lon, next_lat) in pairwise([*ring, last]):
        dense.append((lon, lat))
        span = abs(next_lon - lon)
        if span >= 180.0 or (along_parallels and span > 2.0 * _STEP and max(abs(lat), abs(next_lat)) <= 75.0):
            pieces = ceil(span / _STEP - 1e-9)
            for piece in range(1, pieces):
                part = piece / pieces
                dense.append((lon + (next_lon - lon) * part, lat + (next_lat - lat) * part))
    return dense


def beside(ring: Ring, first: Ring) -> Ring:
    """Return the ring turned by whole circles so that it lies nearest to the first one."""
    if not ring:
        return ring
    turn = 360.0 * round((_mean_lon(first) - _mean_lon(ring)) / 360.0)
    return [(lon + turn, lat) for lon, lat in ring] if turn else ring


def _mean_lon(ring: Ring) -> float:
    lons = [lon for lon, _ in ring]
    return (min(lons) + max(lons)) / 2.0


def joined(rings: Sequence[Ring]) -> Ring | None:
    """Return one ring round all the rings, which a cut at the antimeridian (or at 0) had parted.

    Edges that lie on the cut from either side cancel where they cover each other; what is left must be one ring.

    Returns
    -------
    Ring or None
        None where the rings do not touch along the cut or leave more than one ring.
    """
    follow: dict[Position, Position] = {}
    seams: dict[float, list[tuple[float, float]]] = {}
    for ring in rings:
        snapped = [(_snapped(lon), lat) for lon, lat in ring]
        if _plane_area(snapped) < 0.0:
            snapped.reverse()
        for start, end in pairwise([*snapped, snapped[0]]):
            if start[0] == end[0] and start[0] % 180.0 == 0.0:
                seams.setdefault(start[0], []).append((start[1], end[1]))
            elif start in follow:
                return None
            else:
                follow[start] = end
    for lon, runs in seams.items():
        for low, high in _left_of_seam(runs):
            if (lon, low) in follow:
                return None
            follow[(lon, low)] = (lon, high)
    if not follow:
        return None
    start = vertex = next(iter(follow))
    outline: Ring = []
    while vertex in follow:
        outline.append(vertex)
        vertex = follow.pop(vertex)
    return outline if vertex == start and not follow and len(outline) > 2 else None


def _snapped(lon: float) -> float:
    seam = 180.0 * round(lon / 180.0)
    return seam if abs(lon - seam) < _SEAM else lon


def _plane_area(ring: Ring) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise([*ring, ring[0]]))


def _left_of_seam(runs: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the stretches of a seam, with their direction, that runs up and down do not cancel."""
    ends = sorted({end for run in runs for end in run})
    for low, high in pairwise(ends):
        net = sum((start <= low and high <= end) - (end <= low and high <= start) for start, end in runs)
        if net > 0:
            yield low, high
        elif net < 0:
            yield high, low
