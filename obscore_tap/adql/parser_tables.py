"""Tables: ``<table_reference>`` of the grammar of ADQL 2.1."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from obscore_tap.adql.atoms import AllColumns, Identifier, TableName
from obscore_tap.adql.nodes import Condition, DerivedTable, Join, JoinedTable, Select, SelectExpression, TableReference
from obscore_tap.adql.parser_conditions import ConditionParser
from obscore_tap.adql.parser_cursor import A_NAME

_OUTER: dict[str, Literal["LEFT", "RIGHT", "FULL"]] = {"LEFT": "LEFT", "RIGHT": "RIGHT", "FULL": "FULL"}
_BEFORE_JOIN = ("NATURAL", "INNER", *_OUTER, "JOIN")
_ALIAS = ("AS", *A_NAME)


class TableParser(ConditionParser):
    """Reads what stands in a ``FROM`` clause, and tells brackets round a query from brackets round a join."""

    @abstractmethod
    def select_expression(self) -> SelectExpression:
        """Read ``<select_expression>``."""

    def subquery(self) -> SelectExpression:
        """Read ``<subquery>``; a bare join in it stands for all its columns."""
        self.expect("(")
        query = self._all_of(self.table()) if self._at_join() else self.select_expression()
        self.expect(")")
        return query

    def opens_subquery(self) -> bool:
        """Whether the bracket at the cursor opens a subquery: a query, or a join of tables, but no value."""
        inner = self._past_brackets(self._index)
        if self._kinds[inner] == "SELECT":
            return True
        while self._kinds[inner] in A_NAME and self._kinds[inner + 1] == ".":
            inner += 2
        return self._kinds[inner] in A_NAME and self._kinds[inner + 1] in {*_ALIAS, *_BEFORE_JOIN}

    def table(self) -> TableReference:
        """Read ``<table_reference>``."""
        position = self.position()
        first = self._table_primary()
        steps: list[Join] = []
        folds = 0
        while True:
            if self.at(*_BEFORE_JOIN):
                steps.append(self._join())
            elif steps and self.at("ON", "USING"):
                folds += self._specify(steps)
                if folds > self._limits.depth:
                    self.refuse(f"the query is nested too deep: more than {self._limits.depth} joins inside another")
            else:
                break
        return JoinedTable(first, tuple(steps), position) if steps else first

    def _join(self) -> Join:
        position = self.position()
        natural = self.accept("NATURAL")
        kind: Literal["INNER", "LEFT", "RIGHT", "FULL"] = "INNER"
        if self.at(*_OUTER):
            kind = _OUTER[self._kinds[self.advance()]]
            self.accept("OUTER")
        else:
            self.accept("INNER")
        self.expect("JOIN")
        return Join(kind, self._table_primary(), natural, None, (), position)

    def _specify(self, steps: list[Join]) -> bool:
        """Read ``<join_specification>``: it belongs to the nearest join that has none.

        Joins that stand between are of its right side; returns whether there were some.
        """
        backwards = range(len(steps) - 1, -1, -1)
        number = next((number for number in backwards if _is_open(steps[number])), None)
        if number is None:
            self.refuse(f"{self._kind} belongs to no JOIN: a NATURAL JOIN takes neither ON nor USING")
        on, using = self._specification()
        step, inner = steps[number], steps[number + 1 :]
        right = JoinedTable(step.right, tuple(inner), step.right.position) if inner else step.right
        steps[number:] = [Join(step.kind, right, step.natural, on, using, step.position)]
        return bool(inner)

    def _specification(self) -> tuple[Condition | None, tuple[Identifier, ...]]:
        if self.accept("ON"):
            return self.condition(), ()
        self.expect("USING")
        self.expect("(")
        columns = [self.identifier()]
        while self.accept(","):
            columns.append(self.identifier())
        self.expect(")")
        return None, tuple(columns)

    def _table_primary(self) -> TableReference:
        position = self.position()
        if not self.at("("):
            parts = self.dotted(3, "a table")
            return TableName(parts, self._alias(), position)
        if not self._is_derived(self._index):
            self.advance()
            joined = self.table()
            if not isinstance(joined, JoinedTable):
                self.fail("a join")
            self.expect(")")
            alias = self._alias()
            return joined if alias is None else DerivedTable(self._all_of(joined), alias, position)
        query = self.subquery()
        self.accept("AS")
        return DerivedTable(query, self.identifier(), position)

    def _alias(self) -> Identifier | None:
        if self.accept("AS") or self.at(*A_NAME):
            return self.identifier()
        return None

    # --- which brackets these are ------------------------------------------------------------------------------------

    def _past_brackets(self, index: int) -> int:
        while self._kinds[index] == "(":
            index += 1
        return index

    def _named_bracket(self, index: int) -> int | None:
        """Return the innermost of the brackets that begin here whose end an alias follows."""
        for bracket in range(self._past_brackets(index) - 1, index - 1, -1):
            if self.after(self._tokens.closings[bracket]) in _ALIAS:
                return bracket
        return None

    def _is_derived(self, index: int) -> bool:
        if self._kinds[self._past_brackets(index)] != "SELECT":
            return False
        return self._named_bracket(index) in {index, None}

    def _at_join(self) -> bool:
        """Whether what the bracket just passed holds is a join rather than a query."""
        if self.at("SELECT"):
            return False
        if self._kind != "(" or self._kinds[self._past_brackets(self._index)] != "SELECT":
            return self._kind in {*A_NAME, "("}
        return self._named_bracket(self._index) is not None

    def _all_of(self, joined: TableReference) -> SelectExpression:
        if not isinstance(joined, JoinedTable):
            self.fail("a join")
        at = joined.position
        select = Select(False, None, (AllColumns((), at),), (joined,), None, (), None, at)
        return SelectExpression(select, (), None, at)


def _is_open(step: Join) -> bool:
    return not step.natural and step.on is None and not step.using
