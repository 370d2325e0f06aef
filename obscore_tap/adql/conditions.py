"""Conditions: AND, OR, NOT and the predicates (ADQL 2.1 section 2.2.3)."""

from __future__ import annotations

from collections.abc import Callable

from obscore_tap.adql.atoms import Number
from obscore_tap.adql.comparisons import comparable, compared
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.names import Scope
from obscore_tap.adql.nodes import (
    And,
    Between,
    Comparison,
    Exists,
    FunctionCall,
    InList,
    InQuery,
    IsNull,
    Like,
    Not,
    Or,
)
from obscore_tap.adql.predicates import contains, intersects, within
from obscore_tap.adql.types import Typed, merged, must_be_text, quoted
from obscore_tap.adql.walk import condition, reads, subquery, value
from obscore_tap.schema import Datatype

_MIRRORED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_TRUE_WHEN = {("=", 1), ("<>", 0), (">", 0), (">=", 1)}
_FALSE_WHEN = {("=", 0), ("<>", 1), ("<", 1), ("<=", 0)}


@reads(And, Or)
def _chain(node: And | Or, scope: Scope) -> Typed:
    operands = [condition(operand, scope) for operand in node.operands]
    word = " AND " if isinstance(node, And) else " OR "
    sql = word.join(operand.sql for operand in operands)
    return Typed(f"({sql})", Datatype.BOOLEAN, node.position, loose=merged(*operands))


@reads(Not)
def _not(node: Not, scope: Scope) -> Typed:
    operand = condition(node.operand, scope)
    return Typed(f"(NOT {operand.sql})", Datatype.BOOLEAN, node.position, loose=operand.loose)


@reads(Comparison)
def _comparison(node: Comparison, scope: Scope) -> Typed:
    left, operator, right = node.left, node.operator, node.right
    if isinstance(right, FunctionCall) and not isinstance(left, FunctionCall):
        left, operator, right = right, _MIRRORED[operator], left  # type: ignore[assignment]  # an operator as well
    if isinstance(left, FunctionCall):
        special = _geometric(left, operator, right, scope, node)
        if special:
            return special
        if isinstance(right, FunctionCall):
            special = _geometric(right, _MIRRORED[operator], left, scope, node)
            if special:
                return special
    return compared(value(node.left, scope), node.operator, value(node.right, scope), node.position)


_PREDICATES: dict[str, Callable[..., Typed]] = {"CONTAINS": contains, "INTERSECTS": intersects}


def _geometric(call: FunctionCall, operator: str, other: object, scope: Scope, node: Comparison) -> Typed | None:
    """Return a condition that an index can answer, or None."""
    if call.name in _PREDICATES and isinstance(other, Number) and other.text in {"0", "1"}:
        wanted = (operator, int(other.text))
        if wanted in _TRUE_WHEN or wanted in _FALSE_WHEN:
            arguments = [_argument(argument, scope) for argument in call.arguments]
            predicate = _PREDICATES[call.name](arguments, call)
            if wanted in _TRUE_WHEN:
                return predicate
            return Typed(f"(NOT {predicate.sql})", Datatype.BOOLEAN, node.position, loose=predicate.loose)
    if call.name == "DISTANCE" and operator in {"<", "<="}:
        arguments = [_argument(argument, scope) for argument in call.arguments]
        return within(arguments, call, operator, value(other, scope), node.position)  # type: ignore[arg-type]  # the other side
    return None


def _argument(node: object, scope: Scope) -> Typed:
    typed = value(node, scope)  # type: ignore[arg-type]  # an argument of a call
    if scope.grouping and not scope.inside:
        typed.origin = None
    return typed


@reads(Between)
def _between(node: Between, scope: Scope) -> Typed:
    values = [value(one, scope) for one in (node.operand, node.low, node.high)]
    operand, low, high = comparable(values, "BETWEEN")
    word = "NOT BETWEEN" if node.negated else "BETWEEN"
    return Typed(f"({operand} {word} {low} AND {high})", Datatype.BOOLEAN, node.position, loose=merged(*values))


@reads(InList)
def _in_list(node: InList, scope: Scope) -> Typed:
    values = [value(one, scope) for one in (node.operand, *node.elements)]
    operand, *elements = comparable(values, "IN")
    word = "NOT IN" if node.negated else "IN"
    return Typed(f"({operand} {word} ({', '.join(elements)}))", Datatype.BOOLEAN, node.position, loose=merged(*values))


@reads(InQuery)
def _in_query(node: InQuery, scope: Scope) -> Typed:
    operand, already = value(node.operand, scope), len(scope.correlated)
    block = subquery(node.query, scope)
    if len(block.outputs) != 1:
        raise AdqlError(f"the subquery of IN has {len(block.outputs)} columns, not one", *node.query.position)
    given = block.outputs[0].value
    column = Typed("", given.datatype or Datatype.TEXT, node.query.position)
    sql = comparable([operand, column], "IN")[0]
    word = "NOT IN" if node.negated else "IN"
    loose = merged(operand, Typed("", None, node.position, loose=tuple(scope.correlated[already:])))
    return Typed(f"({sql} {word} ({block}))", Datatype.BOOLEAN, node.position, loose=loose)


@reads(Exists)
def _exists(node: Exists, scope: Scope) -> Typed:
    already = len(scope.correlated)
    block = subquery(node.query, scope)
    return Typed(f"EXISTS ({block})", Datatype.BOOLEAN, node.position, loose=tuple(scope.correlated[already:]))


@reads(Like)
def _like(node: Like, scope: Scope) -> Typed:
    operand, pattern = value(node.operand, scope), value(node.pattern, scope)
    word = "ILIKE" if node.ignore_case else "LIKE"
    must_be_text(operand, word)
    must_be_text(pattern, word)
    word = f"NOT {word}" if node.negated else word
    first = operand.sql if operand.datatype else "NULL::text"
    # ADQL has no escape character, PostgreSQL's is the backslash unless it is told.
    if isinstance(pattern.constant, str):
        second = quoted(pattern.constant.replace("\\", "\\\\"), pattern.position)
    else:
        second = f"{pattern.sql if pattern.datatype else 'NULL::text'} ESCAPE ''"
    return Typed(f"({first} {word} {second})", Datatype.BOOLEAN, node.position, loose=merged(operand, pattern))


@reads(IsNull)
def _is_null(node: IsNull, scope: Scope) -> Typed:
    operand = value(node.operand, scope)
    word = "IS NOT NULL" if node.negated else "IS NULL"
    return Typed(f"({operand.sql} {word})", Datatype.BOOLEAN, node.position, loose=operand.loose)
