"""The functions of ADQL 2.1 itself: numbers, strings, geometry and units (sections 2.3, 4.2, 4.4 and 4.8)."""

from __future__ import annotations

from collections.abc import Sequence

from obscore_tap.adql import geometry
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.functions import Builder, Kind, of_numbers, taken
from obscore_tap.adql.nodes import FunctionCall
from obscore_tap.adql.predicates import as_number, contains, intersects
from obscore_tap.adql.types import INTEGERS, Meta, Typed, must_be_number, must_be_text
from obscore_tap.adql.units import UnitError, factor
from obscore_tap.schema import Datatype

MATHEMATICAL = (
    of_numbers("ABS", "abs({0})"),
    of_numbers("CEILING", "ceiling({0})"),
    of_numbers("DEGREES", "degrees({0})"),
    of_numbers("EXP", "exp({0})"),
    of_numbers("FLOOR", "floor({0})"),
    of_numbers("LOG", "ln({0})"),
    of_numbers("LOG10", "log({0})"),
    of_numbers("PI", "pi()", ()),
    of_numbers("POWER", "power({0}, {1})", ("x", "y")),
    of_numbers("RADIANS", "radians({0})"),
    of_numbers("RAND", "random()", ()),
    of_numbers("RAND", "random()", ("x",)),  # what the argument means is undefined (table 1)
    of_numbers("SQRT", "sqrt({0})"),
    of_numbers("ACOS", "acos({0})"),
    of_numbers("ASIN", "asin({0})"),
    of_numbers("ATAN", "atan({0})"),
    of_numbers("ATAN2", "atan2({0}, {1})", ("y", "x")),
    of_numbers("COS", "cos({0})"),
    of_numbers("COT", "cot({0})"),
    of_numbers("SIN", "sin({0})"),
    of_numbers("TAN", "tan({0})"),
)
"""All of doubles, and all of them give a double, as tables 1 and 2 say."""


def _remainder(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    for argument in arguments:
        must_be_number(argument, node.spelling)
    first, second = arguments
    if first.datatype in INTEGERS and second.datatype in INTEGERS:
        sql = f"(mod({first.sql}, {second.sql})::double precision)"
    else:
        sql = "adql.mod({}, {})".format(*(taken(Kind.DOUBLE, one, node.spelling).sql for one in arguments))
    return Typed(sql, Datatype.DOUBLE, node.position, Meta(unit=first.meta.unit))


_WHOLE = {"round": "round", "truncate": "trunc"}


def _decimals(function: str) -> Builder:
    def build(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
        number = taken(Kind.DOUBLE, arguments[0], node.spelling)
        digits = int(arguments[1].constant or 0) if len(arguments) > 1 else 0
        if abs(digits) > 400:
            raise AdqlError(f"{node.spelling}: a double has no {digits} decimal places", *arguments[1].position)
        meta = Meta(unit=number.meta.unit, ucd=number.meta.ucd)
        sql = f"adql.{function}({number.sql}, {digits})" if digits else f"{_WHOLE[function]}({number.sql})"
        return Typed(sql, Datatype.DOUBLE, node.position, meta)

    return build


def _folded(function: str) -> Builder:
    def build(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
        argument = arguments[0]
        must_be_text(argument, node.spelling)
        meta = Meta(ucd=argument.meta.ucd, unicode=argument.meta.unicode)
        sql = f"{function}({argument.sql if argument.datatype else 'NULL::text'})"
        return Typed(sql, Datatype.TEXT, node.position, meta)

    return build


def _in_unit(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    number, unit = arguments
    must_be_number(number, node.spelling)
    wanted = str(unit.constant)
    try:
        ratio = factor(number.meta.unit, wanted)
    except UnitError as error:
        raise AdqlError(f"{node.spelling}: {error}", *unit.position) from error
    double = taken(Kind.DOUBLE, number, node.spelling).sql
    sql = double if ratio == 1 else f"({double} * '{ratio!r}'::float8)"
    return Typed(sql, Datatype.DOUBLE, node.position, Meta(ucd=number.meta.ucd, unit=wanted), name=number.name)


def _truth(predicate: Builder) -> Builder:
    def build(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
        return as_number(predicate(arguments, node), node)

    return build


BUILDERS: dict[str, Builder] = {
    "MOD": _remainder,
    "ROUND": _decimals("round"),
    "TRUNCATE": _decimals("truncate"),
    "LOWER": _folded("lower"),
    "UPPER": _folded("upper"),
    "IN_UNIT": _in_unit,
    "POINT": geometry.point,
    "CIRCLE": geometry.circle,
    "BOX": geometry.box,
    "POLYGON": geometry.polygon,
    "REGION": geometry.region,
    "CONTAINS": _truth(contains),
    "INTERSECTS": _truth(intersects),
    "DISTANCE": geometry.distance,
    "AREA": geometry.area,
    "CENTROID": geometry.centroid,
    "COORD1": geometry.coordinate(0),
    "COORD2": geometry.coordinate(1),
    "COORDSYS": geometry.system,
}
"""Functions whose arguments the builder looks at; the parser has counted them."""
