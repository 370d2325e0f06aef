"""CONTAINS, INTERSECTS and DISTANCE as conditions that PostgreSQL answers from its spatial indexes.

A region of a table is a polygon with a circle around it, and only the circle has an index; where there is no polygon,
the circle is the region. A condition on a region therefore says both. Where the region is null, it is null, which is
neither 1 nor 0, although the row may well have a circle: that of its position.
"""

from __future__ import annotations

from collections.abc import Sequence

from obscore_tap.adql.atoms import Position
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.frames import ICRS
from obscore_tap.adql.functions import as_geometry
from obscore_tap.adql.geometry import ends, in_one_frame, transformed
from obscore_tap.adql.nodes import FunctionCall
from obscore_tap.adql.types import Typed, merged, must_be_number
from obscore_tap.schema import Datatype, Region

_WIDEST = 90.0
"""Degrees; the largest radius of pgSphere's circles."""


def contains(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return whether the first geometry lies in the second one, its edge included (ADQL 2.1 section 4.2.12)."""
    (inner, inner_region), (outer, outer_region) = _both(arguments, node)
    if inner_region and outer_region:
        sql = _region_in_region(inner_region, outer_region)
    elif outer_region:
        sql = (
            f"({outer_region.bound} @> {inner.sql} AND "
            f"({outer_region.polygon} @> {inner.sql} OR {outer_region.polygon} IS NULL))"
        )
    elif inner_region:
        sql = _region_in(inner_region, outer, node)
    else:
        sql = _in(inner, outer)
    sql = _null_with(sql, *(one for one, region in ((inner, inner_region), (outer, outer_region)) if region))
    return Typed(sql, Datatype.BOOLEAN, node.position, loose=merged(*arguments))


def intersects(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return whether two geometries overlap; of a point, whether the other one holds it (section 4.2.16)."""
    (first, first_region), (second, second_region) = _both(arguments, node)
    if first.datatype is Datatype.POINT and not first_region:
        return contains((first, arguments[1]), node)
    if second.datatype is Datatype.POINT and not second_region:
        return contains((second, arguments[0]), node)
    if first_region and second_region:
        a, b = first_region, second_region
        sql = (
            f"({a.bound} && {b.bound} AND CASE WHEN {a.polygon} IS NULL "
            f"THEN {b.polygon} IS NULL OR {a.bound} && {b.polygon} "
            f"WHEN {b.polygon} IS NULL THEN {a.polygon} && {b.bound} ELSE {a.polygon} && {b.polygon} END)"
        )
    elif first_region or second_region:
        region, other = (first_region, second) if first_region else (second_region, first)
        assert region is not None  # noqa: S101 - one of the two is
        sql = f"({region.bound} && {other.sql} AND ({region.polygon} && {other.sql} OR {region.polygon} IS NULL))"
    else:
        sql = f"({first.sql} && {second.sql})"
    sql = _null_with(sql, *(one for one, region in ((first, first_region), (second, second_region)) if region))
    return Typed(sql, Datatype.BOOLEAN, node.position, loose=merged(*arguments))


def as_number(predicate: Typed, node: FunctionCall) -> Typed:
    """Return 1 or 0 for a condition."""
    return Typed(
        f"({predicate.sql}::integer)",
        Datatype.INTEGER,
        node.position,
        loose=predicate.loose,
        name=node.spelling.lower(),
    )


def within(arguments: Sequence[Typed], node: FunctionCall, operator: str, limit: Typed, position: Position) -> Typed:
    """Return ``DISTANCE(…) < limit`` or ``<=``: a cone, for the index, and the distance itself.

    pgSphere's cone holds a little more than what lies on its edge, and the distance decides.
    """
    must_be_number(limit, f"the operator {operator}")
    first, second = ends(arguments, node)
    exact = f"degrees({first.sql} <-> {second.sql}) {operator} {limit.sql}"
    radius = limit.constant
    loose = merged(*arguments, limit)
    if not isinstance(radius, int | float) or not 0 <= radius <= _WIDEST:
        return Typed(f"({exact})", Datatype.BOOLEAN, position, loose=loose)
    if second.origin and not first.origin:
        first, second = second, first
    cone = f"scircle({second.sql}, radians({float(radius)!r}))"
    return Typed(f"({first.sql} <@ {cone} AND {exact})", Datatype.BOOLEAN, position, loose=loose)


def _both(arguments: Sequence[Typed], node: FunctionCall) -> tuple[tuple[Typed, Region | None], ...]:
    first, second = (_operand(argument, node, number) for number, argument in enumerate(arguments, 1))
    # Hidden columns of regions are in the frame of what is published.
    if first[1] or second[1]:
        ready = [(one, region) if region else (transformed(one, ICRS), None) for one, region in (first, second)]
        return tuple(ready)
    one, other = in_one_frame(first[0], second[0])
    return (one, None), (other, None)


def _operand(argument: Typed, node: FunctionCall, number: int) -> tuple[Typed, Region | None]:
    if argument.origin and argument.datatype in (Datatype.TEXT, Datatype.DOUBLES):
        region = argument.origin[0].region(argument.origin[1])
        if region:
            return argument, region
    if argument.datatype is Datatype.TEXT and argument.meta.xtype.lower() == "adql:region":
        raise AdqlError(
            f"{node.spelling} cannot find the region behind this column here: use it in a WHERE or ON of the "
            "SELECT that reads the table",
            *argument.position,
        )
    return as_geometry(argument, f"{node.spelling}, argument {number},"), None


def _null_with(sql: str, *regions: Typed) -> str:
    """Return a condition that is null where a region is.

    In a WHERE and an ON PostgreSQL takes null for false before it plans, so that nothing is left of the second half
    there, and the index serves the first one.
    """
    if not regions:
        return sql
    known = " AND ".join(f"{region.sql} IS NOT NULL" for region in regions)
    unknown = " OR ".join(f"{region.sql} IS NULL" for region in regions)
    return f"({sql} AND {known} OR ({unknown}) AND NULL)"


def _in(inner: Typed, outer: Typed) -> str:
    if outer.datatype is Datatype.POINT:
        if inner.datatype is Datatype.POINT:
            return f"({inner.sql} = {outer.sql})"
        return f"(CASE WHEN {inner.sql} IS NOT NULL AND {outer.sql} IS NOT NULL THEN false END)"
    return f"({inner.sql} <@ {outer.sql})"


def _region_in(region: Region, outer: Typed, node: FunctionCall) -> str:
    if outer.datatype is Datatype.POINT:
        raise AdqlError(f"{node.spelling}: no region lies in a point", *outer.position)
    return (
        f"({region.bound} && {outer.sql} AND CASE WHEN {region.polygon} IS NULL "
        f"THEN {region.bound} <@ {outer.sql} ELSE {region.polygon} <@ {outer.sql} END)"
    )


def _region_in_region(inner: Region, outer: Region) -> str:
    return (
        f"({inner.bound} && {outer.bound} AND CASE "
        f"WHEN {inner.polygon} IS NULL AND {outer.polygon} IS NULL THEN {inner.bound} <@ {outer.bound} "
        f"WHEN {inner.polygon} IS NULL THEN {inner.bound} <@ {outer.polygon} "
        f"WHEN {outer.polygon} IS NULL THEN {inner.polygon} <@ {outer.bound} "
        f"ELSE {inner.polygon} <@ {outer.polygon} END)"
    )
