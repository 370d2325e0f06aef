"""What of ADQL this service understands, as capabilities announce it (TAPRegExt 1.0 section 2.3).

The types of features are spelled ``TAPRegExt`` in mixed case, as clients compare them, and not in lower case, which
ADQL 2.1 section 4.1 asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from obscore_tap.adql.aggregates import USER_DEFINED
from obscore_tap.adql.functions_ivoa import IVOA

_FEATURES = "ivo://ivoa.net/std/TAPRegExt#features-"

DESCRIPTION = (
    "ADQL 2.1 with all of its optional features, and beyond it CASE expressions. Coordinates are degrees; geometries "
    "are ICRS unless they name another frame, and are rotated where two frames meet. Polygons are smaller than a "
    "hemisphere, radii of circles are up to 90 degrees. A region that is null is "
    "neither inside nor outside of another. The ON of a FULL JOIN has an equality between its two sides."
)
"""Of the language, for people."""

_GEOMETRY: tuple[tuple[str, str], ...] = (
    ("AREA", "of a circle, polygon or region, in square degrees"),
    ("BOX", "with sizes between 0 and 180 degrees; its sides are great circles"),
    ("CENTROID", ""),
    ("CIRCLE", "with a radius of up to 90 degrees"),
    ("CONTAINS", ""),
    ("COORD1", ""),
    ("COORD2", ""),
    ("COORDSYS", ""),
    ("DISTANCE", "both forms; DISTANCE(...) < number is answered from the index"),
    ("INTERSECTS", "also of points"),
    ("POINT", ""),
    ("POLYGON", "of coordinates or points"),
    ("REGION", "of POSITION, CIRCLE, BOX and POLYGON of STC-S and of DALI"),
)

FEATURES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        f"{_FEATURES}adqlgeo": _GEOMETRY,
        f"{_FEATURES}udf": tuple((function.form, function.description) for function in (*IVOA, *USER_DEFINED)),
        f"{_FEATURES}adql-string": (("LOWER", ""), ("UPPER", ""), ("ILIKE", "")),
        f"{_FEATURES}adql-sets": (("UNION", ""), ("EXCEPT", ""), ("INTERSECT", "")),
        f"{_FEATURES}adql-common-table": (("WITH", "not recursive"),),
        f"{_FEATURES}adql-type": (("CAST", "to all types of ADQL 2.1, geometry included"),),
        f"{_FEATURES}adql-unit": (("IN_UNIT", "units of VOUnit"),),
        f"{_FEATURES}adql-offset": (("OFFSET", ""),),
        f"{_FEATURES.lower()}adql-conditional": (("COALESCE", ""),),  # newer than the clients that want mixed case
    }
)
"""Type of feature to pairs of form and description."""
