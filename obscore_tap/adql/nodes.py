"""The syntax tree of an ADQL 2.1 query: what was written, not yet what it means.

Every chain that the grammar writes as a left recursion (``AND``, ``OR``, ``+``, ``*``, ``||``, ``UNION``, joins) is
one flat node, so that no length of query makes a deep tree. Brackets leave no node: the nesting of the tree says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from obscore_tap.adql.atoms import (
    AllColumns,
    CastTarget,
    ColumnReference,
    Identifier,
    Null,
    Number,
    Position,
    SetOperator,
    String,
    TableName,
)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a function of any kind: mathematical, geometry, set function, ``COALESCE``, user defined.

    The parser has checked what the grammar says of a standard function: how many arguments, and which are literals.
    """

    name: str
    """In upper case: names of functions are regular identifiers, which have no case."""
    arguments: tuple[Value, ...]
    position: Position
    spelling: str
    """The name as written, for errors and column names."""
    user_defined: bool = False
    quantifier: Literal["DISTINCT", "ALL"] | None = None
    star: bool = False
    """``COUNT(*)``: no arguments."""


@dataclass(frozen=True, slots=True)
class Signed:
    """``+value`` or ``-value``."""

    sign: Literal["+", "-"]
    operand: Value
    position: Position


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A chain of operators of one precedence, ``a + b - c`` or ``a * b / c``, computed from the left."""

    operands: tuple[Value, ...]
    operators: tuple[str, ...]
    """One fewer than operands; all of ``+ -`` or all of ``* /``."""
    position: Position


@dataclass(frozen=True, slots=True)
class Concatenation:
    """``a || b || c``."""

    operands: tuple[Value, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Cast:
    """``CAST(value AS type)``."""

    operand: Value
    target: CastTarget
    position: Position


@dataclass(frozen=True, slots=True)
class When:
    """``WHEN … THEN …`` of a `Case`: of a value where it has an operand, else of a condition."""

    condition: Condition | Value
    result: Value
    position: Position


@dataclass(frozen=True, slots=True)
class Case:
    """``CASE [operand] WHEN … THEN … [ELSE …] END``: beyond ADQL 2.1, as SQL-92 section 6.9 has it."""

    operand: Value | None
    branches: tuple[When, ...]
    otherwise: Value | None
    position: Position


Value: TypeAlias = (
    Null | Number | String | ColumnReference | FunctionCall | Signed | Arithmetic | Concatenation | Cast | Case
)


@dataclass(frozen=True, slots=True)
class And:
    """``a AND b AND c``; two operands or more."""

    operands: tuple[Condition, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Or:
    """``a OR b OR c``; two operands or more."""

    operands: tuple[Condition, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Not:
    """``NOT a``."""

    operand: Condition
    position: Position


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``."""

    left: Value
    operator: Literal["=", "<>", "<", ">", "<=", ">="]
    """``!=`` has become ``<>``."""
    right: Value
    position: Position


@dataclass(frozen=True, slots=True)
class Between:
    """``operand [NOT] BETWEEN low AND high``."""

    operand: Value
    low: Value
    high: Value
    negated: bool
    position: Position


@dataclass(frozen=True, slots=True)
class InList:
    """``operand [NOT] IN (a, b, c)``."""

    operand: Value
    elements: tuple[Value, ...]
    negated: bool
    position: Position


@dataclass(frozen=True, slots=True)
class InQuery:
    """``operand [NOT] IN (SELECT …)``."""

    operand: Value
    query: SelectExpression
    negated: bool
    position: Position


@dataclass(frozen=True, slots=True)
class Like:
    """``operand [NOT] LIKE pattern`` and, where case is ignored, ``ILIKE``."""

    operand: Value
    pattern: Value
    negated: bool
    ignore_case: bool
    position: Position


@dataclass(frozen=True, slots=True)
class IsNull:
    """``column IS [NOT] NULL``."""

    operand: ColumnReference
    negated: bool
    position: Position


@dataclass(frozen=True, slots=True)
class Exists:
    """``EXISTS (SELECT …)``."""

    query: SelectExpression
    position: Position


Condition: TypeAlias = And | Or | Not | Comparison | Between | InList | InQuery | Like | IsNull | Exists


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """``(SELECT …) [AS] alias``."""

    query: SelectExpression
    alias: Identifier
    position: Position


@dataclass(frozen=True, slots=True)
class Join:
    """One step of a `JoinedTable`: what is joined to all that stands left of it.

    At most one of `natural`, `on` and `using` is set; the grammar allows none of them.
    """

    kind: Literal["INNER", "LEFT", "RIGHT", "FULL"]
    right: TableReference
    natural: bool
    on: Condition | None
    using: tuple[Identifier, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class JoinedTable:
    """``first JOIN … JOIN …``, joined from the left."""

    first: TableReference
    joins: tuple[Join, ...]
    position: Position


TableReference: TypeAlias = TableName | DerivedTable | JoinedTable


@dataclass(frozen=True, slots=True)
class DerivedColumn:
    """``value [[AS] alias]`` in a select list."""

    expression: Value
    alias: Identifier | None
    position: Position


@dataclass(frozen=True, slots=True)
class Select:
    """One ``SELECT``."""

    distinct: bool
    top: int | None
    columns: tuple[AllColumns | DerivedColumn, ...]
    tables: tuple[TableReference, ...]
    where: Condition | None
    group_by: tuple[Value, ...]
    having: Condition | None
    position: Position


@dataclass(frozen=True, slots=True)
class SetOperation:
    """A chain of set operators of one precedence, computed from the left.

    ``INTERSECT`` binds closer than the others (SQL-92 section 7.10), so a chain is all of ``INTERSECT`` or all of
    ``UNION`` and ``EXCEPT``.
    """

    operands: tuple[QueryBody, ...]
    operators: tuple[SetOperator, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """``value [ASC | DESC]``; a bare integer is the number of an output column."""

    expression: Value
    descending: bool
    position: Position


@dataclass(frozen=True, slots=True)
class SelectExpression:
    """A query with its order and offset; where it is an operand of a set operation, it stood in brackets."""

    body: QueryBody
    order_by: tuple[OrderTerm, ...]
    offset: int | None
    position: Position


QueryBody: TypeAlias = Select | SetOperation | SelectExpression


@dataclass(frozen=True, slots=True)
class CommonTable:
    """``name AS (SELECT …)`` of a ``WITH`` clause."""

    name: Identifier
    query: SelectExpression
    position: Position


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query: ``[WITH …] SELECT …``; a common table may name those before it only."""

    common_tables: tuple[CommonTable, ...]
    expression: SelectExpression
    position: Position
