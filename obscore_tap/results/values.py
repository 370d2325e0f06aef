"""SQL expressions that write one value as text, the way DALI 1.1 section 3.3 writes literals; null stays null."""

from __future__ import annotations

from collections.abc import Sequence

from obscore_tap.schema import Datatype

INTEGERS = {Datatype.SMALLINT: 16, Datatype.INTEGER: 32, Datatype.BIGINT: 64}
"""Bits of the integer types."""
FLOATS = frozenset({Datatype.REAL, Datatype.DOUBLE})
SHAPES = frozenset({Datatype.POINT, Datatype.CIRCLE, Datatype.POLYGON, Datatype.DOUBLES, Datatype.INTERVAL})
"""What is an array of doubles in every format."""
_WRITTEN = {
    Datatype.TEXT: "{0}",
    Datatype.TIMESTAMP: "CASE WHEN isfinite({0}) THEN replace({0}::text, ' ', 'T') END",
    Datatype.INTEGERS: "array_to_string({0}, ' ')",
    Datatype.BLOB: "encode({0}, 'hex')",
}
_ARGUMENTS = 90
"""PostgreSQL's functions take 100 arguments."""


def text_of(name: str, datatype: Datatype) -> str:
    """Return the SQL expression that writes a value as text.

    Numbers are the shortest ones that read back the same; arrays have spaces between their numbers; regions are in
    degrees (DALI 1.1 sections 3.3.5 to 3.3.7); times are ISO 8601 (section 3.3.3), infinite ones null; bytes are
    hexadecimal.
    """
    if datatype in _WRITTEN:
        return _WRITTEN[datatype].format(name)
    if datatype in SHAPES:
        fixed = coordinates(name, datatype)
        if fixed is None:
            return f"array_to_string({array_of(name, datatype)}, ' ', 'NaN')"
        return " || ' ' || ".join(f"({number})::text" for number in fixed)
    return f"{name}::text"


def coordinates(name: str, datatype: Datatype) -> tuple[str, ...] | None:
    """Return the SQL expressions of the numbers of a shape that always has as many, in degrees; else None."""
    if datatype is Datatype.POINT:
        return f"degrees(long({name}))", f"degrees(lat({name}))"
    if datatype is Datatype.CIRCLE:
        return f"degrees(long(center({name})))", f"degrees(lat(center({name})))", f"degrees(radius({name}))"
    if datatype is Datatype.INTERVAL:
        return f"({name})[1]", f"({name})[2]"
    return None


def array_of(name: str, datatype: Datatype) -> str:
    """Return the SQL expression of a shape of any length as an array of doubles, polygons in degrees.

    pgSphere shows the corners of a polygon in its text only, in radians unless the session says otherwise.
    """
    if datatype is not Datatype.POLYGON:
        return name
    radians = f"string_to_array(translate({name}::text, '{{}}() ', ''), ',')"
    return over("unnest", radians, "array_agg(degrees(v::float8) ORDER BY i)")


def over(function: str, arguments: str, aggregate: str) -> str:
    """Return the SQL expression of an aggregate over the rows of a function; they are ``v``, in the order of ``i``."""
    return f"(SELECT {aggregate} FROM {function}({arguments}) WITH ORDINALITY AS a(v, i))"  # noqa: S608 - no user's text


def concat(parts: Sequence[str]) -> str:
    """Return the SQL expression that writes parts one after the other, nulls as nothing."""
    if len(parts) <= _ARGUMENTS:
        return f"concat({', '.join(parts)})"
    groups = [concat(parts[start : start + _ARGUMENTS]) for start in range(0, len(parts), _ARGUMENTS)]
    return concat(groups)


def literal(text: str) -> str:
    """Return a text of ours as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
