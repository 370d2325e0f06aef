"""Conditions: ``<search_condition>`` of the grammar of ADQL 2.1."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from obscore_tap.adql.atoms import ColumnReference, Position
from obscore_tap.adql.nodes import (
    And,
    Between,
    Comparison,
    Condition,
    Exists,
    FunctionCall,
    InList,
    InQuery,
    IsNull,
    Like,
    Not,
    Or,
    SelectExpression,
    Value,
)
from obscore_tap.adql.parser_cursor import A_COMPARISON
from obscore_tap.adql.parser_values import ValueParser

_AFTER_A_VALUE = frozenset({*A_COMPARISON, "+", "-", "*", "/", "||", "NOT", "BETWEEN", "IN", "LIKE", "ILIKE", "IS"})
_ONE_OR_ZERO = frozenset({"CONTAINS", "INTERSECTS"})
_OPERATORS: dict[str, Literal["=", "<>", "<", ">", "<=", ">="]] = {
    "=": "=",
    "<>": "<>",
    "!=": "<>",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
}


class ConditionParser(ValueParser):
    """Reads conditions."""

    @abstractmethod
    def subquery(self) -> SelectExpression:
        """Read ``<subquery>``, with its brackets."""

    @abstractmethod
    def opens_subquery(self) -> bool:
        """Whether the bracket at the cursor opens a ``<subquery>`` rather than a list of values."""

    def condition(self) -> Condition:
        """Read ``<search_condition>``."""
        position = self.position()
        terms = [self._boolean_term()]
        while self.accept("OR"):
            terms.append(self._boolean_term())
        return Or(tuple(terms), position) if terms[1:] else terms[0]

    def _boolean_term(self) -> Condition:
        position = self.position()
        factors = [self._boolean_factor()]
        while self.accept("AND"):
            factors.append(self._boolean_factor())
        return And(tuple(factors), position) if factors[1:] else factors[0]

    def _boolean_factor(self) -> Condition:
        if self.at("NOT"):
            position = self._positions[self.advance()]
            return Not(self._boolean_primary(), position)
        return self._boolean_primary()

    def _boolean_primary(self) -> Condition:
        """Read ``( <search_condition> )`` or a predicate; what follows a first bracket's end tells which."""
        if self.at("(") and self.after(self._tokens.closings[self._index]) not in _AFTER_A_VALUE:
            self.advance()
            inner = self.condition()
            self.expect(")")
            return inner
        return self._predicate()

    def _predicate(self) -> Condition:
        position = self.position()
        if self.accept("EXISTS"):
            return Exists(self.subquery(), position)
        bracketed = self._kind == "("
        operand = self.value()
        if self.at(*A_COMPARISON):
            operator = _OPERATORS[self._kinds[self.advance()]]
            return Comparison(operand, operator, self.value(), position)
        if self.at("IS"):
            return self._is_null(operand, bracketed, position)
        negated = self.accept("NOT")
        if self.accept("BETWEEN"):
            low = self.value()
            self.expect("AND")
            return Between(operand, low, self.value(), negated, position)
        if self.accept("IN"):
            return self._in(operand, negated, position)
        if self.at("LIKE", "ILIKE"):
            ignore_case = self._kinds[self.advance()] == "ILIKE"
            return Like(operand, self.value(), negated, ignore_case, position)
        if isinstance(operand, FunctionCall) and operand.name in _ONE_OR_ZERO:
            self.refuse(f"{operand.name} gives 1 or 0 and is no condition: write 1 = {operand.name}(…)", position)
        self.fail()

    def _is_null(self, operand: Value, bracketed: bool, position: Position) -> IsNull:
        if bracketed or not isinstance(operand, ColumnReference):
            self.refuse("IS NULL asks for a column, not for another value", position)
        self.expect("IS")
        negated = self.accept("NOT")
        self.expect("NULL")
        return IsNull(operand, negated, position)

    def _in(self, operand: Value, negated: bool, position: Position) -> InQuery | InList:
        if not self.at("("):
            self.fail()
        if self.opens_subquery():
            return InQuery(operand, self.subquery(), negated, position)
        self.advance()
        elements = self.values()
        self.expect(")")
        return InList(operand, elements, negated, position)
