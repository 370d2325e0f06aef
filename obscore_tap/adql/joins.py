"""FROM clauses: tables, subqueries and joins (ADQL 2.1 section 2.2.2; SQL-92 sections 6.3 and 7.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from obscore_tap.adql.atoms import Identifier, Position, TableName
from obscore_tap.adql.blocks import Block
from obscore_tap.adql.comparisons import comparable
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.names import Field, Scope, Session, Source, matches, refuse_twins
from obscore_tap.adql.nodes import (
    And,
    Comparison,
    Condition,
    DerivedTable,
    Join,
    JoinedTable,
    SelectExpression,
    TableReference,
    Value,
)
from obscore_tap.adql.types import NUMBERS, Typed, one_source, promoted
from obscore_tap.adql.walk import condition, value
from obscore_tap.schema import Datatype

Subquery = Callable[[SelectExpression, "Scope | None", Session], Block]


def from_clause(tables: Sequence[TableReference], session: Session, parent: Scope | None, subquery: Subquery) -> Source:
    """Return what a FROM clause offers.

    Parameters
    ----------
    parent
        The enclosing SELECT, if this one is a subquery of a condition.
    subquery
        What understands a derived table.

    Raises
    ------
    AdqlError
        A table is not there, two have one name, or a join joins nothing.
    """
    reader = _Reader(session, parent, subquery)
    whole = reader.table(tables[0])
    for table in tables[1:]:
        other = reader.table(table)
        whole = Source(
            whole.fields + other.fields, whole.relations + other.relations, [*whole.sql, " CROSS JOIN ", *other.sql]
        )
        # A joined table keeps its brackets, so that each CROSS JOIN has one table on its right.
    refuse_twins(whole.relations, tables[0].position)
    return whole


class _Reader:
    def __init__(self, session: Session, parent: Scope | None, subquery: Subquery) -> None:
        self._session, self._parent, self._subquery = session, parent, subquery

    def table(self, node: TableReference) -> Source:
        if isinstance(node, TableName):
            relation, sql = self._session.table(node)
            return Source(list(relation.fields), [relation], [sql])
        if isinstance(node, DerivedTable):
            block, alias = self._subquery(node.query, self._parent, self._session), self._session.alias()
            derived = self._session.derived(block, alias, node.alias)
            return Source(list(derived.fields), [derived], ["(", block, f") AS {alias}"])
        return self._joined(node)

    def _joined(self, node: JoinedTable) -> Source:
        left = self.table(node.first)
        for join in node.joins:
            left = self._step(left, join)
        return Source(left.fields, left.relations, ["(" * len(node.joins), *left.sql])

    def _step(self, left: Source, join: Join) -> Source:
        right = self.table(join.right)
        relations = left.relations + right.relations
        refuse_twins(relations, join.position)
        if join.on is not None:
            fields = left.fields + right.fields
            scope = Scope(self._session, self._parent, Source(fields, relations), forbids="an ON condition")
            condition_sql = condition(join.on, scope).sql
            if join.kind == "FULL" and (scope.own or scope.outer):
                self._check_full(left, right, join, join.on)
        else:
            fields, condition_sql = self._merged(left, right, join)
        return Source(fields, relations, [*left.sql, f" {join.kind} JOIN ", *right.sql, f" ON {condition_sql})"])

    def _check_full(self, left: Source, right: Source, join: Join, on: Condition) -> None:
        """Refuse the FULL JOIN that PostgreSQL has no way to compute: it looks rows up by what is equal."""
        for part in on.operands if isinstance(on, And) else (on,):
            if isinstance(part, Comparison) and part.operator == "=":
                for one, other in ((left, right), (right, left)):
                    if self._is_of(one, part.left) and self._is_of(other, part.right):
                        return
        raise AdqlError(
            "a FULL JOIN is computed only where one of the conditions that AND joins in its ON says that a value of "
            "the one side is equal to one of the other (a.x = b.y)",
            *join.position,
        )

    def _is_of(self, side: Source, node: Value) -> bool:
        """Say whether a value is computed of columns of this side, and of no others."""
        scope = Scope(self._session, self._parent, side, forbids="an ON condition")
        try:
            value(node, scope)
        except AdqlError:  # it names a column that this side has not
            return False
        return scope.own > 0 and not scope.outer

    def _merged(self, left: Source, right: Source, join: Join) -> tuple[list[Field], str]:
        if join.using:
            pairs = [(_one(left, name), _one(right, name)) for name in join.using]
        elif join.natural:
            pairs = _common(left, right, join.position)
        else:
            raise AdqlError("a JOIN needs ON, USING or NATURAL", *join.position, expected=("ON", "USING"))
        conditions, merged = [], []
        for first, second in pairs:
            here = [Typed(one.sql, one.datatype, join.position, one.meta) for one in (first, second)]
            a, b = comparable(here, f"the join by {first.name}")
            conditions.append(f"{a} = {b}")
            merged.append(_merge(first, second, join.kind))
        gone = {id(one) for pair in pairs for one in pair}
        kept = [one for one in left.fields + right.fields if id(one) not in gone]
        return merged + kept, f"({' AND '.join(conditions)})" if conditions else "TRUE"


def _one(source: Source, name: Identifier) -> Field:
    found = source.find((name,))
    if len(found) == 1:
        return found[0]
    problem = "is in neither way clear: more than one has it" if found else "is not on both sides"
    raise AdqlError(f"USING: the column {name.name} {problem}", *name.position)


def _common(left: Source, right: Source, position: Position) -> list[tuple[Field, Field]]:
    pairs = []
    for one in left.fields:
        if not one.name:
            continue
        name = Identifier(one.name, delimited=False, position=position)
        others = [other for other in right.fields if other.name and matches(name, other.name)]
        if not others:
            continue
        twins = [other for other in left.fields if other.name and matches(name, other.name)]
        if len(others) > 1 or len(twins) > 1:
            raise AdqlError(f"NATURAL: more than one column is called {one.name}", *position)
        pairs.append((one, others[0]))
    return pairs


def _merge(left: Field, right: Field, kind: str) -> Field:
    """Return the one column that stands for both: what is not null of them."""
    if kind == "RIGHT":
        return Field(left.name, right.sql, right.datatype, right.meta, right.origin, right.frame)
    if kind != "FULL":
        return Field(left.name, left.sql, left.datatype, left.meta, left.origin, left.frame)
    datatype: Datatype = left.datatype
    if left.datatype in NUMBERS and right.datatype in NUMBERS:
        datatype = promoted(left.datatype, right.datatype)
    sql = f"COALESCE({left.sql}::{datatype.value}, {right.sql}::{datatype.value})"
    meta = left.meta._replace(source=one_source((left.meta, right.meta)))
    return Field(left.name, sql, datatype, meta, None)
