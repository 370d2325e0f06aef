"""Footprints as GeoJSON (RFC 7946): longitudes within 180 degrees, polygons cut at the antimeridian."""

from __future__ import annotations

from typing import Any

Point = tuple[float, float]
_DIGITS = 9


def geometry_and_bbox(ring: tuple[Point, ...]) -> tuple[dict[str, Any], list[float]]:
    """Return the geometry and the bounding box of a footprint.

    Parameters
    ----------
    ring
        Corners of a convex polygon, counter-clockwise, longitudes unwrapped, less than 180 degrees wide; or one point.

    Returns
    -------
    tuple
        A Point, a Polygon, or the MultiPolygon of two parts that RFC 7946 section 3.1.9 asks for; and
        west, south, east, north, with west > east across the antimeridian (section 5.2).
    """
    longitudes, latitudes = [point[0] for point in ring], [point[1] for point in ring]
    west, east = _wrapped(min(longitudes)), _wrapped(max(longitudes))
    bbox = [round(edge, _DIGITS) for edge in (west, min(latitudes), east, max(latitudes))]
    if len(ring) == 1:
        return {"type": "Point", "coordinates": bbox[:2]}, bbox
    turn = west - min(longitudes)
    moved = [(longitude + turn, latitude) for longitude, latitude in ring]
    if max(longitude for longitude, _ in moved) <= 180.0:
        return {"type": "Polygon", "coordinates": [_closed(moved)]}, bbox
    here = _clipped(moved, keep_west=True)
    there = [(longitude - 360.0, latitude) for longitude, latitude in _clipped(moved, keep_west=False)]
    return {"type": "MultiPolygon", "coordinates": [[_closed(here)], [_closed(there)]]}, bbox


def _wrapped(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


def _closed(ring: list[Point]) -> list[list[float]]:
    return [[round(longitude, _DIGITS), round(latitude, _DIGITS)] for longitude, latitude in [*ring, ring[0]]]


def _clipped(ring: list[Point], *, keep_west: bool) -> list[Point]:
    """Return the part of a convex ring on one side of longitude 180."""
    kept: list[Point] = []
    for start, end in zip(ring, [*ring[1:], ring[0]], strict=True):
        inside = [(point[0] <= 180.0) == keep_west for point in (start, end)]
        if inside[0]:
            kept.append(start)
        if inside[0] != inside[1]:
            part = (180.0 - start[0]) / (end[0] - start[0])
            kept.append((180.0, start[1] + part * (end[1] - start[1])))
    return kept
