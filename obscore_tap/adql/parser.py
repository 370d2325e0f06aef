"""Queries of ADQL 2.1: a recursive descent of the grammar in appendix A of the standard, rule by rule.

What the grammar derives is read, and nothing else, with these choices:

- ``CASE`` is read as SQL-92 has it; it is beyond ADQL.
- ``INTERSECT`` binds closer than ``UNION`` and ``EXCEPT`` (SQL-92 section 7.10), where the grammar leaves it open.
- A word that 2.1 reserves is reserved in queries of ADQL 2.0 too; otherwise those are queries of 2.1.
- A join may lack a specification, as the grammar has it; that SQL-92 wants one is not a matter of syntax.
- The first argument of a geometry is its coordinate system where it is a string literal or NULL.
"""

from __future__ import annotations

from typing import Literal

from obscore_tap.adql.atoms import AllColumns, SetOperator
from obscore_tap.adql.nodes import (
    CommonTable,
    DerivedColumn,
    OrderTerm,
    Query,
    QueryBody,
    Select,
    SelectExpression,
    SetOperation,
    TableReference,
    Value,
)
from obscore_tap.adql.parser_cursor import A_NAME
from obscore_tap.adql.parser_tables import TableParser
from obscore_tap.adql.tokens import END, Limits, tokenize

_DEFAULT_LIMITS = Limits()
_SET_OPERATORS: dict[str, Literal["UNION", "EXCEPT", "INTERSECT"]] = {
    "UNION": "UNION",
    "EXCEPT": "EXCEPT",
    "INTERSECT": "INTERSECT",
}


def parse(text: str, limits: Limits = _DEFAULT_LIMITS) -> Query:
    """Return the syntax tree of a query of ADQL 2.0 or 2.1.

    Raises
    ------
    AdqlError
        The text is larger than `limits` allow, or no query of the grammar.
    """
    return QueryParser(tokenize(text, limits), limits).query()


class QueryParser(TableParser):
    """Reads a whole query."""

    def query(self) -> Query:
        """Read ``<query_specification>``, up to the end of the text."""
        position = self.position()
        common_tables: list[CommonTable] = []
        if self.accept("WITH"):
            common_tables.append(self._common_table())
            while self.accept(","):
                common_tables.append(self._common_table())
        expression = self.select_expression()
        self._end()
        return Query(tuple(common_tables), expression, position)

    def _end(self) -> None:
        if not self.at(END):
            self.fail()

    def _common_table(self) -> CommonTable:
        position = self.position()
        name = self.identifier()
        self.expect("AS")
        self.expect("(")
        query = self.select_expression()
        self.expect(")")
        return CommonTable(name, query, position)

    def select_expression(self) -> SelectExpression:
        """Read ``<select_expression>``."""
        position = self.position()
        body = self._set_expression()
        order_by: list[OrderTerm] = []
        if self.accept("ORDER"):
            self.expect("BY")
            order_by.append(self._order_term())
            while self.accept(","):
                order_by.append(self._order_term())
        offset = self.integer() if self.accept("OFFSET") else None
        return SelectExpression(body, tuple(order_by), offset, position)

    def _order_term(self) -> OrderTerm:
        position = self.position()
        expression = self.value()
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        return OrderTerm(expression, descending, position)

    def _set_expression(self) -> QueryBody:
        position = self.position()
        operands = [self._set_term()]
        operators: list[SetOperator] = []
        while self.at("UNION", "EXCEPT"):
            operators.append(self._set_operator())
            operands.append(self._set_term())
        return SetOperation(tuple(operands), tuple(operators), position) if operators else operands[0]

    def _set_term(self) -> QueryBody:
        position = self.position()
        operands = [self._set_primary()]
        operators: list[SetOperator] = []
        while self.at("INTERSECT"):
            operators.append(self._set_operator())
            operands.append(self._set_primary())
        return SetOperation(tuple(operands), tuple(operators), position) if operators else operands[0]

    def _set_operator(self) -> SetOperator:
        position = self.position()
        name = _SET_OPERATORS[self._kinds[self.advance()]]
        return SetOperator(name, self.accept("ALL"), position)

    def _set_primary(self) -> QueryBody:
        if not self.accept("("):
            return self._select()
        inner = self.select_expression()
        self.expect(")")
        return inner

    def _select(self) -> Select:
        position = self.word("SELECT")
        distinct = self.accept("DISTINCT")
        if not distinct:
            self.accept("ALL")
        top = self.integer() if self.accept("TOP") else None
        columns = self._select_list()
        self.expect("FROM")
        tables: list[TableReference] = [self.table()]
        while self.accept(","):
            tables.append(self.table())
        where = self.condition() if self.accept("WHERE") else None
        group_by: tuple[Value, ...] = ()
        if self.accept("GROUP"):
            self.expect("BY")
            group_by = self.values()
        having = self.condition() if self.accept("HAVING") else None
        return Select(distinct, top, columns, tuple(tables), where, group_by, having, position)

    def _select_list(self) -> tuple[AllColumns | DerivedColumn, ...]:
        if self.at("*"):
            return (AllColumns((), self._positions[self.advance()]),)
        columns = [self._select_sublist()]
        while self.accept(","):
            columns.append(self._select_sublist())
        return tuple(columns)

    def _select_sublist(self) -> AllColumns | DerivedColumn:
        position = self.position()
        if self._at_all_columns():
            qualifier = self.dotted(3, "a table")
            self.expect(".")
            self.expect("*")
            return AllColumns(qualifier, position)
        expression = self.value()
        alias = self.identifier() if self.accept("AS") or self.at(*A_NAME) else None
        return DerivedColumn(expression, alias, position)

    def _at_all_columns(self) -> bool:
        index = self._index
        while self._kinds[index] in A_NAME and self._kinds[index + 1] == ".":
            index += 2
        return self._kinds[index] == "*" and index > self._index
