"""Values: literals, columns, operators, CAST, CASE, and calls of functions (ADQL 2.1 sections 2.1.4, 2.3, 3 and 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from obscore_tap.adql.aggregates import AGGREGATES, set_function
from obscore_tap.adql.atoms import ColumnReference, Null, Number, String
from obscore_tap.adql.catalogue import CATALOGUE
from obscore_tap.adql.comparisons import comparable
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.functions import call, unknown
from obscore_tap.adql.functions_standard import BUILDERS
from obscore_tap.adql.names import Scope, matches
from obscore_tap.adql.nodes import Arithmetic, Case, Concatenation, FunctionCall, Signed
from obscore_tap.adql.types import (
    NO_META,
    Meta,
    Typed,
    cast,
    common,
    merged,
    must_be_number,
    must_be_text,
    promoted,
    quoted,
)
from obscore_tap.adql.walk import condition, reads, value
from obscore_tap.schema import Datatype

_LONGEST_NUMBER = 400
"""Digits; no double has a value of more."""


@reads(Null)
def _null(node: Null, scope: Scope) -> Typed:
    del scope
    return Typed("NULL", None, node.position)


@reads(Number)
def _number(node: Number, scope: Scope) -> Typed:
    del scope
    return _constant(node, 1)


def _constant(node: Number, sign: int) -> Typed:
    if len(node.text) > _LONGEST_NUMBER:
        raise AdqlError(f"a number of {len(node.text)} characters is too long", *node.position)
    if node.is_integer:
        integer = sign * int(node.text)
        if -(2**31) <= integer < 2**31:
            sql = str(integer) if integer >= 0 else f"'{integer}'::integer"
            return Typed(sql, Datatype.INTEGER, node.position, constant=integer)
        if -(2**63) <= integer < 2**63:
            return Typed(f"'{integer}'::bigint", Datatype.BIGINT, node.position, constant=integer)
    number = sign * float(node.text)
    if math.isinf(number) or (number == 0 and any(digit in "123456789" for digit in node.text.lower().split("e")[0])):
        raise AdqlError(f"the number {node.text[:40]} is too large or too small for a double", *node.position)
    return Typed(f"'{number!r}'::float8", Datatype.DOUBLE, node.position, constant=number)


@reads(String)
def _string(node: String, scope: Scope) -> Typed:
    del scope
    meta = NO_META if node.value.isascii() else Meta(unicode=True)
    return Typed(f"{quoted(node.value, node.position)}::text", Datatype.TEXT, node.position, meta, node.value)


@reads(ColumnReference)
def _column(node: ColumnReference, scope: Scope) -> Typed:
    if scope.aliases and len(node.parts) == 1 and not scope.source.find(node.parts):
        meant = scope.aliases.get(node.parts[0].name.lower())
        if meant is not None and meant.alias is not None and matches(node.parts[0], meant.alias.name):
            aliases, scope.aliases = scope.aliases, {}
            typed = value(meant.expression, scope)
            scope.session.lengths.repeat(typed.sql, node.position)
            scope.aliases = aliases
            return typed
    return scope.resolve(node)


@reads(Signed)
def _signed(node: Signed, scope: Scope) -> Typed:
    if isinstance(node.operand, Number):
        return _constant(node.operand, -1 if node.sign == "-" else 1)
    operand = value(node.operand, scope)
    must_be_number(operand, f"the sign {node.sign}")
    if operand.datatype is None:
        return Typed("NULL", None, node.position)
    meta = Meta(unit=operand.meta.unit, ucd=operand.meta.ucd)
    if node.sign == "+":
        return Typed(operand.sql, operand.datatype, node.position, meta, loose=operand.loose)
    return Typed(f"(- {operand.sql})", operand.datatype, node.position, meta, loose=operand.loose)


@reads(Arithmetic)
def _arithmetic(node: Arithmetic, scope: Scope) -> Typed:
    operands = [value(operand, scope) for operand in node.operands]
    for operand in operands:
        must_be_number(operand, f"the operator {node.operators[0]}")
    datatype = operands[0].datatype
    # SQL computes from the left, and each step in the type of its own two operands.
    pieces = [operands[0].sql]
    for operator, operand in zip(node.operators, operands[1:], strict=True):
        if operand.datatype is None:
            datatype = datatype or Datatype.DOUBLE
        else:
            datatype = promoted(datatype, operand.datatype) if datatype else operand.datatype
        pieces += operator, _nullable(operand)
    pieces[0] = _nullable(operands[0])
    return Typed(f"({' '.join(pieces)})", datatype, node.position, _unit(node, operands), loose=merged(*operands))


def _nullable(operand: Typed) -> str:
    return operand.sql if operand.datatype else "NULL::smallint"


def _unit(node: Arithmetic, operands: list[Typed]) -> Meta:
    """Return the unit where it is plain: of sums of one unit, and of multiples and fractions by constants."""
    measured = [operand for operand in operands if operand.constant is None]
    units = {operand.meta.unit for operand in measured}
    if len(units) != 1:
        return NO_META
    is_multiple = len(measured) == 1 and (measured[0] is operands[0] or "/" not in node.operators)
    return Meta(unit=units.pop()) if node.operators[0] in "+-" or is_multiple else NO_META


@reads(Concatenation)
def _concatenation(node: Concatenation, scope: Scope) -> Typed:
    operands = [value(operand, scope) for operand in node.operands]
    for operand in operands:
        must_be_text(operand, "the operator ||")
    sql = _joined([cast(operand, Datatype.TEXT) for operand in operands])
    scope.session.lengths.join(sql, node.position)
    meta = Meta(unicode=any(operand.meta.unicode for operand in operands))
    return Typed(sql, Datatype.TEXT, node.position, meta, loose=merged(*operands))


def _joined(parts: list[str]) -> str:
    """Join pairs, and those again: of strings that are joined from the left, PostgreSQL keeps all on the way."""
    while len(parts) > 1:
        parts = [f"({' || '.join(parts[start : start + 2])})" for start in range(0, len(parts), 2)]
    return parts[0]


@reads(Case)
def _case(node: Case, scope: Scope) -> Typed:
    read: Callable[[Any, Scope], Typed] = condition if node.operand is None else value
    tests = [read(branch.condition, scope) for branch in node.branches]
    results = [value(branch.result, scope) for branch in node.branches]
    if node.otherwise is not None:
        results.append(value(node.otherwise, scope))
    head, *whens = "", *(test.sql for test in tests)
    if node.operand is not None:
        tests.append(value(node.operand, scope))
        head, *whens = comparable([tests[-1], *tests[:-1]], "the operator =")
    datatype = common(results, "CASE") or Datatype.TEXT
    written = [cast(result, datatype) for result in results]
    pieces = [f"CASE {head}", *(f"WHEN {when} THEN {then}" for when, then in zip(whens, written, strict=False))]
    if node.otherwise is not None:
        pieces.append(f"ELSE {written[-1]}")
    sql = f"({' '.join(pieces)} END)"
    return Typed(sql, datatype, node.position, shared(results), loose=merged(*tests, *results))


def shared(values: list[Typed]) -> Meta:
    """Return what all values say alike, literals apart."""
    named = [one.meta for one in values if one.constant is None and one.datatype is not None]
    unicode = any(one.meta.unicode for one in values)
    if not named:
        return Meta(unicode=unicode)
    first = named[0]
    unit = first.unit if all(one.unit == first.unit for one in named) else ""
    ucd = first.ucd if all(one.ucd == first.ucd for one in named) else ""
    xtype = first.xtype if all(one.xtype == first.xtype for one in named) else ""
    return Meta(unit=unit, ucd=ucd, xtype=xtype, unicode=unicode)


@reads(FunctionCall)
def _function(node: FunctionCall, scope: Scope) -> Typed:
    if node.name in AGGREGATES:
        return set_function(node, scope)
    if node.name == "COALESCE":
        return _coalesce(node, scope)
    forms, builder = CATALOGUE.get(node.name), BUILDERS.get(node.name)
    if forms is None and builder is None:
        raise unknown(node, (*CATALOGUE, *BUILDERS, *AGGREGATES))
    arguments = [value(argument, scope) for argument in node.arguments]
    if scope.grouping and not scope.inside:
        # Only what is grouped by may stand here; the columns behind a position or a region are not among it.
        for argument in arguments:
            argument.origin = None
    if builder is None:
        return call(forms or (), arguments, node)
    typed = builder(arguments, node)
    typed.loose, typed.name = merged(*arguments), typed.name or node.spelling.lower()
    return typed


def _coalesce(node: FunctionCall, scope: Scope) -> Typed:
    arguments = [value(argument, scope) for argument in node.arguments]
    datatype = common(arguments, "COALESCE") or Datatype.TEXT
    sql = ", ".join(cast(argument, datatype) for argument in arguments)
    return Typed(
        f"COALESCE({sql})", datatype, node.position, shared(arguments), loose=merged(*arguments), name="coalesce"
    )
