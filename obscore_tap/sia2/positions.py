"""SIA2's POS (SIA 2.0 section 2.1.1): shapes in ICRS degrees as ADQL conditions on ``s_region``.

Every condition is false or null where a row has no region, and one that the index on the regions serves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from obscore_tap.refusals import Refusal
from obscore_tap.values import limit, number, numbers_list, shown

Vertices = list[tuple[float, float]]

TOLERANCE = math.radians(4.0 / 3600.0)
"""How far a side of a RANGE may be from its parallel: the sides of a polygon are great circles."""
LARGEST_PIECE = 90.0
"""A RANGE is asked for in pieces no wider and no higher than this, each a polygon far smaller than half the sphere."""
MOST_COORDINATES = 16
"""Of a polygon that is asked about at once."""
EDGE_STEPS = 90
SLIVER = 1e-5
"""A RANGE without width or height is taken to be this wide or high (degrees): a line is no polygon."""
DECIMALS = 9

ANYWHERE = "s_region IS NOT NULL"


def position_condition(text: str) -> str:
    """Return the ADQL condition of one value of POS.

    Raises
    ------
    Refusal
        The value is no CIRCLE, RANGE or POLYGON with coordinates in range.
    """
    shape, *rest = text.split() or [""]
    match shape.upper():
        case "CIRCLE":
            return _circle(text, rest)
        case "RANGE":
            return _range(text, rest)
        case "POLYGON":
            return _polygon(text, rest)
    raise Refusal(f"POS: {shown(text)} begins with none of CIRCLE, RANGE and POLYGON")


def _circle(text: str, rest: Sequence[str]) -> str:
    if len(rest) != 3:
        raise Refusal(f"POS: {shown(text)}: a CIRCLE has a longitude, a latitude and a radius")
    lon, lat, radius = (number("POS", value) for value in rest)
    _check_point(text, lon, lat)
    if not 0.0 <= radius <= 180.0:
        raise Refusal(f"POS: {shown(text)}: the radius of a CIRCLE is from 0 to 180 degrees")
    return circle_condition(lon, lat, radius)


def circle_condition(lon: float, lat: float, radius: float) -> str:
    """Return the condition that a region has a point in a circle (degrees); one of radius 0 is its centre."""
    if radius == 0.0:
        return f"1 = CONTAINS(POINT({numbers_list((lon, lat))}), s_region)"
    if radius <= 90.0:
        return f"1 = INTERSECTS(s_region, CIRCLE({numbers_list((lon, lat, radius))}))"
    if radius >= 180.0:
        return ANYWHERE
    # The rest of the sphere is a circle smaller than a hemisphere: a region that is not inside it reaches out of it.
    return f"0 = CONTAINS(s_region, CIRCLE({numbers_list(((lon + 180.0) % 360.0, -lat, 180.0 - radius))}))"


def _polygon(text: str, rest: Sequence[str]) -> str:
    coordinates = [number("POS", value) for value in rest]
    if len(coordinates) % 2 or len(coordinates) < 6:
        raise Refusal(f"POS: {shown(text)}: a POLYGON has three or more pairs of longitude and latitude")
    vertices = list(zip(coordinates[::2], coordinates[1::2], strict=True))
    for lon, lat in vertices:
        _check_point(text, lon, lat)
    # The first vertex closes the polygon by itself; written once more it would be a side without a length.
    if len(vertices) > 3 and vertices[0] == vertices[-1]:
        vertices.pop()
    return _intersects(vertices)


def _range(text: str, rest: Sequence[str]) -> str:
    if len(rest) != 4:
        raise Refusal(f"POS: {shown(text)}: a RANGE has two longitudes and two latitudes")
    lons, lats = ([limit("POS", value) for value in pair] for pair in (rest[:2], rest[2:]))
    west, east = 0.0 if lons[0] == -math.inf else lons[0], 360.0 if lons[1] == math.inf else lons[1]
    south, north = -90.0 if lats[0] == -math.inf else lats[0], 90.0 if lats[1] == math.inf else lats[1]
    _check_point(text, west, south)
    _check_point(text, east, north)
    if south > north:
        raise Refusal(f"POS: {shown(text)}: the first latitude of a RANGE is the southern one")
    return range_condition(west, east, south, north)


def range_condition(west: float, east: float, south: float, north: float) -> str:
    """Return the condition that a region has a point in a range of coordinates (degrees).

    Where ``west`` is above ``east`` the range crosses the meridian of 0 (DALI 1.2 section 3.3.9).
    """
    if (west, east) == (0.0, 360.0):
        return _band(south, north)
    width = (east - west) % 360.0
    if width < SLIVER:
        west, width = west - SLIVER / 2, SLIVER
    if north - south < SLIVER:
        south, north = max(south - SLIVER / 2, -90.0), min(north + SLIVER / 2, 90.0)
    columns, rows = math.ceil(width / LARGEST_PIECE), math.ceil((north - south) / LARGEST_PIECE)
    width, height = width / columns, (north - south) / rows
    conditions = [
        _piece(west + column * width, width, south + row * height, south + (row + 1) * height)
        for row in range(rows)
        for column in range(columns)
    ]
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"


def _band(south: float, north: float) -> str:
    """Return the condition of all longitudes: a region, being in one piece, meets the band if it reaches both sides."""
    sides = []
    if north < 90.0:
        sides.append(circle_condition(0.0, -90.0, north + 90.0))
    if south > -90.0:
        sides.append(circle_condition(0.0, 90.0, 90.0 - south))
    return f"({' AND '.join(sides)})" if sides else ANYWHERE


def _piece(west: float, width: float, south: float, north: float) -> str:
    """Return the condition of a range no larger than `LARGEST_PIECE`.

    A polygon that keeps to the parallels has many sides where they are long, and each side costs. It is asked about
    only where cheap circles cannot tell: they say which regions miss the range on one side, and which are inside its
    meridians or inside its parallels; so it is left to those that lie over a corner.
    """
    # Counter-clockwise from inside: the southern side eastward, the northern one back.
    polygon = _intersects(_side(west, width, south) + _side(west, width, north)[::-1])
    if polygon.count(",") <= MOST_COORDINATES:
        return polygon
    east, middle = west + width, west + width / 2
    hemispheres = [((west + 90.0) % 360.0, 0.0, 90.0), ((east - 90.0) % 360.0, 0.0, 90.0)]
    latitudes = [(0.0, 90.0, 90.0 - south), (0.0, -90.0, north + 90.0)]
    lune = _corners(west, width, south, north)
    between_meridians = " AND ".join(_inside(*circle) for circle in hemispheres)
    between_parallels = " AND ".join(_inside(*circle) for circle in latitudes)
    near = circle_condition(middle % 360.0, (south + north) / 2, _reach(width, south, north))
    touching = " AND ".join(circle_condition(*circle) for circle in (*latitudes, *hemispheres))
    return (
        f"({near} AND {touching} AND ({between_meridians} OR {between_parallels} AND {_intersects(lune)} OR {polygon}))"
    )


def _corners(west: float, width: float, south: float, north: float) -> Vertices:
    """Return a polygon that holds a range and, between its parallels, has its meridians for sides.

    A great circle leaves a parallel towards the pole, so the side nearer to the equator starts lower.
    """
    bending = math.cos(math.radians(width / 2))
    low = math.degrees(math.atan(math.tan(math.radians(south)) * bending)) if south > 0 else south
    high = math.degrees(math.atan(math.tan(math.radians(north)) * bending)) if north < 0 else north
    corners = [(west, low), (west + width, low), (west + width, high), (west, high)]
    if abs(low) == 90.0:
        del corners[0]
    if abs(high) == 90.0:
        del corners[-1]
    return [(round(lon % 360.0, DECIMALS), round(lat, DECIMALS)) for lon, lat in corners]


def _inside(lon: float, lat: float, radius: float) -> str:
    """Return the condition that a region lies in a circle (degrees)."""
    if radius <= 90.0:
        return f"1 = CONTAINS(s_region, CIRCLE({numbers_list((lon, lat, radius))}))"
    if radius >= 180.0:
        return ANYWHERE
    return f"0 = INTERSECTS(s_region, CIRCLE({numbers_list(((lon + 180.0) % 360.0, -lat, 180.0 - radius))}))"


def _reach(width: float, south: float, north: float) -> float:
    """Return the radius of a circle around the middle of a range that holds it (degrees).

    Each parallel is farthest from the middle at its ends, so samples along the meridian there tell; between two of
    them the distance changes by no more than their own.
    """
    middle, half = math.radians((south + north) / 2), math.radians(width / 2)
    farthest = 0.0
    for step in range(EDGE_STEPS + 1):
        lat = math.radians(south + (north - south) * step / EDGE_STEPS)
        cosine = math.sin(middle) * math.sin(lat) + math.cos(middle) * math.cos(lat) * math.cos(half)
        farthest = max(farthest, math.degrees(math.acos(min(1.0, cosine))))
    return round(farthest + LARGEST_PIECE / EDGE_STEPS, DECIMALS)


def _side(west: float, width: float, latitude: float) -> Vertices:
    """Return points on a parallel, eastward, so near each other that great circles between them keep to it."""
    if abs(latitude) == 90.0:
        return [(round(west % 360.0, DECIMALS), latitude)]
    # A great circle between two points of a parallel, `step` of longitude apart, leaves it by step² sin(2 lat) / 16.
    bending = abs(math.sin(math.radians(2.0 * latitude)))
    steps = math.ceil(math.radians(width) * math.sqrt(bending / (16.0 * TOLERANCE))) or 1
    return [(round((west + width * step / steps) % 360.0, DECIMALS), latitude) for step in range(steps + 1)]


def _intersects(vertices: Vertices) -> str:
    return f"1 = INTERSECTS(s_region, POLYGON({numbers_list([value for vertex in vertices for value in vertex])}))"


def _check_point(text: str, lon: float, lat: float) -> None:
    if not (0.0 <= lon <= 360.0 and -90.0 <= lat <= 90.0):
        raise Refusal(f"POS: {shown(text)}: a longitude is from 0 to 360 degrees, a latitude from -90 to 90")
