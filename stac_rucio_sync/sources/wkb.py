"""Well-known binary to GeoJSON, coordinate for coordinate.

A geometry library would refuse or mend what real items hold (open rings, rings of two points); here every position
arrives as it stands in the file. Read: OGC Simple Features 06-103r4 section 8.2 (2D and ISO Z, M, ZM) and EWKB.
M values are dropped, as GeoJSON has none.
"""

from __future__ import annotations

import struct
from typing import Any

from stac_rucio_sync.model import JsonObject

_TYPES = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
_EWKB_Z, _EWKB_M, _EWKB_SRID = 0x80000000, 0x40000000, 0x20000000
_DEEPEST = 8


def geometry_from_wkb(wkb: bytes) -> JsonObject:
    """Return the GeoJSON geometry of a well-known binary.

    Raises
    ------
    ValueError
        It is cut off, nested too deeply or of a type that GeoJSON does not have.
    """
    try:
        return _Cursor(wkb).geometry(0)
    except struct.error as error:
        raise ValueError("the well-known binary is cut off") from error


class _Cursor:
    def __init__(self, wkb: bytes) -> None:
        self._wkb = wkb
        self._at = 0

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._wkb, self._at)
        self._at += struct.calcsize(layout)
        return values

    def geometry(self, depth: int) -> JsonObject:
        if depth > _DEEPEST:
            raise ValueError(f"geometries are nested more than {_DEEPEST} deep")
        order = "<" if self._take("B")[0] == 1 else ">"
        (code,) = self._take(order + "I")
        has_z, has_m = bool(code & _EWKB_Z), bool(code & _EWKB_M)
        if code & _EWKB_SRID:
            self._take(order + "I")
        family, kind = divmod(code & 0x0FFFFFFF, 1000)
        has_z, has_m = has_z or family in (1, 3), has_m or family in (2, 3)
        if kind not in _TYPES or family > 3:
            raise ValueError(f"GeoJSON has no geometry for the well-known binary type {code}")
        name = _TYPES[kind]
        size = 2 + has_z + has_m
        keep = 2 + has_z
        if kind == 7:
            return {"type": name, "geometries": [self.geometry(depth + 1) for _ in self._count(order)]}
        if kind >= 4:
            return {"type": name, "coordinates": [self.geometry(depth + 1)["coordinates"] for _ in self._count(order)]}
        if kind == 1:
            point = self._positions(order, 1, size, keep)[0]
            return {"type": name, "coordinates": [] if point[0] != point[0] else point}  # NaN is an empty point
        if kind == 2:
            return {"type": name, "coordinates": self._positions(order, len(self._count(order)), size, keep)}
        rings = [self._positions(order, len(self._count(order)), size, keep) for _ in self._count(order)]
        return {"type": name, "coordinates": rings}

    def _count(self, order: str) -> range:
        (count,) = self._take(order + "I")
        if count > len(self._wkb):
            raise ValueError("the well-known binary is cut off")
        return range(count)

    def _positions(self, order: str, count: int, size: int, keep: int) -> list[list[float]]:
        numbers = self._take(f"{order}{count * size}d")
        return [list(numbers[start : start + keep]) for start in range(0, count * size, size)]
