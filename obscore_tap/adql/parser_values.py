"""Values: ``<value_expression>`` of the grammar of ADQL 2.1, and ``CASE``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from obscore_tap.adql.atoms import CastTarget, ColumnReference, Null, Number, Position, String
from obscore_tap.adql.nodes import Arithmetic, Case, Cast, Concatenation, Condition, FunctionCall, Signed, Value, When
from obscore_tap.adql.parser_cursor import A_NAME, Cursor
from obscore_tap.adql.parser_functions import FUNCTIONS, SET_FUNCTIONS, Family
from obscore_tap.adql.tokens import IDENTIFIER, NUMBER, STRING

_PLAIN_TARGETS = ("SMALLINT", "INTEGER", "BIGINT", "REAL", "TIMESTAMP", "POINT", "CIRCLE", "POLYGON")
_TEXT_TARGETS = ("CHAR", "VARCHAR")


class ValueParser(Cursor, ABC):
    """Reads values."""

    @abstractmethod
    def condition(self) -> Condition:
        """Read ``<search_condition>``."""

    def value(self) -> Value:
        """Read ``<value_expression>``.

        An operator takes only operands of its own kind that stand without brackets: ``a || b + c``, ``LOWER(a) + 1``
        and ``ABS(a) || b`` are no expressions of the grammar.
        """
        if self.at("NULL"):
            return Null(self._positions[self.advance()])
        position = self.position()
        start = self._index
        first = self._factor()
        if self.at("||"):
            self._must_be(first, start, Family.STRING)
            return self._concatenation(first, position)
        return self._sum(self._product(first, start, position), start, position)

    def values(self) -> tuple[Value, ...]:
        """Read values with commas between them."""
        found = [self.value()]
        while self.accept(","):
            found.append(self.value())
        return tuple(found)

    # --- chains of operators -----------------------------------------------------------------------------------------

    def _concatenation(self, first: Value, position: Position) -> Value:
        operands = [first]
        while self.accept("||"):
            start = self._index
            operand = self._primary()
            self._must_be(operand, start, Family.STRING)
            operands.append(operand)
        return Concatenation(tuple(operands), position)

    def _sum(self, first: Value, start: int, position: Position) -> Value:
        if not self.at("+", "-"):
            return first
        self._must_be(first, start, Family.NUMERIC)
        operands, operators = [first], []
        while self.at("+", "-"):
            operators.append(self._tokens.texts[self.advance()])
            start, at = self._index, self.position()
            operand = self._product(self._factor(), start, at)
            self._must_be(operand, start, Family.NUMERIC)
            operands.append(operand)
        return Arithmetic(tuple(operands), tuple(operators), position)

    def _product(self, first: Value, start: int, position: Position) -> Value:
        if not self.at("*", "/"):
            return first
        self._must_be(first, start, Family.NUMERIC)
        operands, operators = [first], []
        while self.at("*", "/"):
            operators.append(self._tokens.texts[self.advance()])
            start = self._index
            operand = self._factor()
            self._must_be(operand, start, Family.NUMERIC)
            operands.append(operand)
        return Arithmetic(tuple(operands), tuple(operators), position)

    def _factor(self) -> Value:
        if not self.at("+", "-"):
            return self._primary()
        position = self.position()
        sign: Literal["+", "-"] = "+" if self._kind == "+" else "-"
        self.advance()
        start = self._index
        operand = self._primary()
        self._must_be(operand, start, Family.NUMERIC)
        return Signed(sign, operand, position)

    def _must_be(self, operand: Value, start: int, family: Family) -> None:
        """Refuse a sign beside ``||``, and a function of another kind that stands without brackets."""
        if self._kinds[start] == "(":
            return
        if isinstance(operand, Signed):
            if family is Family.STRING:
                self.refuse("a number with a sign must stand in brackets beside ||", operand.position)
        elif isinstance(operand, FunctionCall) and operand.name in FUNCTIONS and not operand.user_defined:
            own = FUNCTIONS[operand.name].family
            if own not in {family, Family.ANY}:
                self.refuse(f"{operand.name} is {own.value}, where {family.value} is expected", operand.position)

    # --- primaries ---------------------------------------------------------------------------------------------------

    def _primary(self) -> Value:
        reader = _READERS.get(self._kind)
        if reader is None:
            self.fail_as_value()
        return reader(self)

    def _named(self) -> Value:
        if self._kind == IDENTIFIER and self.after(self._index) == "(":
            return self._user_defined()
        return self.column_reference()

    def _number(self) -> Number:
        position = self.position()
        return Number(self._tokens.texts[self.advance()], position)

    def _string(self) -> String:
        """Read a string; it goes on in another one on a later line (SQL-92 section 5.3)."""
        position = self.position()
        parts = [self._unquoted()]
        while self.at(STRING) and self._tokens.newline_before(self._index):
            parts.append(self._unquoted())
        return String("".join(parts), position)

    def _unquoted(self) -> str:
        return self._tokens.texts[self.advance()][1:-1].replace("''", "'")

    def _bracketed(self) -> Value:
        self.advance()
        inner = self.value()
        self.expect(")")
        return inner

    def column_reference(self) -> ColumnReference:
        """Read ``<column_reference>``."""
        position = self.position()
        return ColumnReference(self.dotted(4, "a column"), position)

    def _user_defined(self) -> FunctionCall:
        position = self.position()
        spelling = self._tokens.texts[self.advance()]
        self.expect("(")
        arguments = () if self.at(")") else self.values()
        self.expect(")")
        return FunctionCall(spelling.upper(), arguments, position, spelling, user_defined=True)

    def _function(self) -> FunctionCall:
        position = self.position()
        name, spelling = self._kind, self._tokens.texts[self._index]
        if self.after(self._index) != "(":
            self.refuse(f'{spelling} is the name of a function: ( must follow; as a name it is written "{spelling}"')
        self.advance()
        self.expect("(")
        arguments = () if self.at(")") else self.values()
        self.expect(")")
        shape = FUNCTIONS[name]
        if len(arguments) < shape.least or (shape.most is not None and len(arguments) > shape.most):
            self.refuse(f"{name} takes {shape.counts()}, not {len(arguments)}", position)
        complaint = shape.complaint(arguments)
        if complaint:
            self.refuse(f"{name}: {complaint}", position)
        return FunctionCall(name, arguments, position, spelling)

    def _set_function(self) -> FunctionCall:
        position = self.position()
        name, spelling = self._kind, self._tokens.texts[self.advance()]
        self.expect("(")
        if name == "COUNT" and self.accept("*"):
            self.expect(")")
            return FunctionCall(name, (), position, spelling, star=True)
        quantifier: Literal["DISTINCT", "ALL"] | None = None
        if self.accept("DISTINCT"):
            quantifier = "DISTINCT"
        elif self.accept("ALL"):
            quantifier = "ALL"
        argument = self.value()
        self.expect(")")
        return FunctionCall(name, (argument,), position, spelling, quantifier=quantifier)

    def _cast(self) -> Cast:
        position = self.word("CAST")
        self.expect("(")
        operand = self.value()
        self.expect("AS")
        target = self._cast_target()
        self.expect(")")
        return Cast(operand, target, position)

    def _cast_target(self) -> CastTarget:
        position = self.position()
        if self.at(*_TEXT_TARGETS):
            name = self._kind
            self.advance()
            length = None
            if self.accept("("):
                length = self.integer()
                if length == 0:
                    self.refuse(f"{name} must have a length of 1 or more", position)
                self.expect(")")
            return CastTarget(name, length, position)
        if self.at(*_PLAIN_TARGETS):
            return CastTarget(self._kinds[self.advance()], None, position)
        self.expect("DOUBLE")
        self.expect("PRECISION")
        return CastTarget("DOUBLE PRECISION", None, position)

    def _case(self) -> Case:
        position = self.word("CASE")
        operand = None if self.at("WHEN") else self.value()
        branches: list[When] = []
        while not branches or self.at("WHEN"):
            at = self.word("WHEN")
            condition = self.condition() if operand is None else self.value()
            self.expect("THEN")
            branches.append(When(condition, self.value(), at))
        otherwise = self.value() if self.accept("ELSE") else None
        self.expect("END")
        return Case(operand, tuple(branches), otherwise, position)


_READERS: Mapping[str, Callable[[ValueParser], Value]] = MappingProxyType(
    dict.fromkeys(A_NAME, ValueParser._named)
    | dict.fromkeys(FUNCTIONS, ValueParser._function)
    | dict.fromkeys(SET_FUNCTIONS, ValueParser._set_function)
    | {
        NUMBER: ValueParser._number,
        STRING: ValueParser._string,
        "(": ValueParser._bracketed,
        "CAST": ValueParser._cast,
        "CASE": ValueParser._case,
    }
)
"""What a primary begins with, and who reads it."""
