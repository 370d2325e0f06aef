"""Set functions: COUNT, MIN, MAX, SUM and AVG (SQL-92 section 6.5), and those of the catalogue of functions."""

from __future__ import annotations

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.functions import Function, Kind, call
from obscore_tap.adql.names import Scope
from obscore_tap.adql.nodes import FunctionCall
from obscore_tap.adql.types import INTEGERS, ORDERED, Meta, Typed, must_be_number
from obscore_tap.adql.walk import value
from obscore_tap.schema import Datatype

_STRING_AGG = Function(
    "IVO_STRING_AGG",
    (("expression", Kind.TEXT), ("delimiter", Kind.TEXT)),
    Datatype.TEXT,
    "string_agg({0}, {1})",
    "An aggregate function that joins the values of expression, in any order, with delimiter; NULL leaves no trace.",
    aggregate=True,
    meta=Meta(unicode=True),
)
_HISTOGRAM = Function(
    "IVO_HISTOGRAM",
    (("val", Kind.DOUBLE), ("lower", Kind.DOUBLE), ("upper", Kind.DOUBLE), ("nbins", Kind.INTEGER)),
    Datatype.INTEGERS,
    "adql.ivo_histogram({0}, {1}, {2}, {3})",
    "An aggregate function that counts values in nbins bins between lower and upper; the first element counts what "
    "lies below and NULLs, the last one what lies above.",
    aggregate=True,
)
USER_DEFINED = (_STRING_AGG, _HISTOGRAM)
_FORMS = {function.name: (function,) for function in USER_DEFINED}

AGGREGATES = frozenset({"COUNT", "MIN", "MAX", "SUM", "AVG", *_FORMS})


def set_function(node: FunctionCall, scope: Scope) -> Typed:
    """Return what a set function means.

    Raises
    ------
    AdqlError
        It stands where none may, or its argument is none for it.
    """
    if scope.inside:
        raise AdqlError(f"{node.spelling} stands inside of another set function", *node.position)
    if scope.forbids:
        raise AdqlError(f"the set function {node.spelling} may not stand in {scope.forbids}", *node.position)
    scope.aggregated = True
    own, outer = scope.own, scope.outer
    scope.inside = True
    arguments = [value(argument, scope) for argument in node.arguments]
    scope.inside = False
    if scope.outer > outer and scope.own == own:
        raise AdqlError(f"{node.spelling} is of columns of an enclosing SELECT only", *node.position)
    if node.name in _FORMS:
        return call(_FORMS[node.name], arguments, node)
    if node.star:
        return Typed("count(*)", Datatype.BIGINT, node.position, _NUMBER, name="count")
    return _standard(node, arguments[0])


_NUMBER = Meta(ucd="meta.number")
_UCDS = {"MIN": "stat.min", "MAX": "stat.max", "AVG": "stat.mean"}


def _standard(node: FunctionCall, argument: Typed) -> Typed:
    distinct = "DISTINCT " if node.quantifier == "DISTINCT" else ""
    name, datatype = node.name.lower(), argument.datatype
    if distinct and datatype is not None and datatype not in ORDERED:
        raise AdqlError(f"DISTINCT cannot compare {argument.words}", *argument.position)
    if node.name == "COUNT":
        sql = argument.sql if datatype else "NULL::text"
        return Typed(f"count({distinct}{sql})", Datatype.BIGINT, node.position, _NUMBER, name=name)
    meta = Meta(unit=argument.meta.unit, ucd=_statistic(argument.meta.ucd, node.name))
    if node.name in {"MIN", "MAX"}:
        if datatype is None or datatype not in ORDERED or datatype is Datatype.BOOLEAN:
            raise AdqlError(f"{node.spelling} takes a number, a string or a timestamp, not {argument.words}",
                            *argument.position)  # fmt: skip
        meta = meta._replace(xtype=argument.meta.xtype, unicode=argument.meta.unicode)
        return Typed(f"{name}({distinct}{argument.sql})", datatype, node.position, meta, name=name)
    must_be_number(argument, node.spelling)
    if datatype is None:
        raise AdqlError(f"{node.spelling} takes a number, not NULL", *argument.position)
    if node.name == "AVG":
        sql = f"avg({distinct}{argument.sql})::double precision"
        return Typed(f"({sql})", Datatype.DOUBLE, node.position, meta, name=name)
    if datatype in INTEGERS:
        return Typed(f"(sum({distinct}{argument.sql})::bigint)", Datatype.BIGINT, node.position, meta, name=name)
    sql = f"sum({distinct}{argument.sql}::double precision)"
    return Typed(sql, Datatype.DOUBLE, node.position, meta, name=name)


def _statistic(ucd: str, function: str) -> str:
    """Return a UCD with the word of the statistic; ``meta.main`` is not true of it."""
    word = _UCDS.get(function)
    words = [one for one in ucd.split(";") if one and one != "meta.main" and not one.startswith("stat.m")]
    return ";".join([*words, word]) if words and word else ""
