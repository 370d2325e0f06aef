"""STC-S regions, as ObsCore's ``s_region`` has them, read into footprints."""

from __future__ import annotations

import re

from stac_rucio_sync.mapping.footprint import Footprint, circle_footprint, polygon_footprint

_REGION = re.compile(
    r"\s*(POLYGON|CIRCLE)(?:\s+ICRS)?(?:\s+(?:GEOCENTER|BARYCENTER|TOPOCENTER|UNKNOWNREFPOS))?(?:\s+SPHERICAL2)?"
    r"((?:\s+[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)+)\s*",
    re.ASCII | re.IGNORECASE,
)
_LONGEST = 100_000


def region_footprint(text: str) -> Footprint | None:
    """Read a ``POLYGON`` or ``CIRCLE`` on the sky, ICRS said or left out (TAP 1.0 section 6; degrees).

    Returns
    -------
    Footprint or None
        None where the text is something else, or its numbers are no such region.
    """
    match = _REGION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    values = [float(value) for value in match[2].split()]
    if match[1].upper() == "CIRCLE":
        if len(values) != 3 or abs(values[0]) > 540.0 or abs(values[1]) > 90.0 or not 0.0 <= values[2] <= 180.0:
            return None
        return circle_footprint(values[0], values[1], values[2])
    lons, lats = values[::2], values[1::2]
    if len(lons) != len(lats) or len(lons) < 3 or max(map(abs, lons)) > 540.0 or max(map(abs, lats)) > 90.0:
        return None
    return polygon_footprint(list(zip(lons, lats, strict=True)))
