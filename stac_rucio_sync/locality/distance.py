"""How far two places on Earth are apart, and what coordinates are."""

from __future__ import annotations

import math
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0
"""Mean radius: the Earth as a sphere is right within 0.6 %, far finer than what decides between sites."""

Point = tuple[float, float]
"""Degrees north and east."""


def point_of(latitude: float | None, longitude: float | None) -> Point | None:
    """Return a point, or None where either coordinate is missing or is none: zero is a real coordinate.

    Parameters
    ----------
    latitude, longitude
        Degrees north, -90 to 90, and east, -180 to 180.
    """
    if latitude is None or longitude is None:
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # false for NaN, too
        return None
    return latitude, longitude


def great_circle_km(here: Point, there: Point) -> float:
    """Return the great-circle distance of two points in km.

    The half-angle form is exact for near points, and the bounds keep rounding from leaving the sphere at antipodes.
    """
    phi, psi = math.radians(here[0]), math.radians(there[0])
    half_chord = (
        math.sin((psi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(psi) * math.sin(math.radians(there[1] - here[1]) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half_chord)))
