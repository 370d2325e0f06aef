"""Which column or table a name means (ADQL 2.1 sections 2.1.3 to 2.1.6; SQL-92 sections 6.3, 6.4 and 7.5)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from obscore_tap.adql.atoms import ColumnReference, Identifier, Position, TableName
from obscore_tap.adql.blocks import Block, CommonBlock
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.lengths import Lengths
from obscore_tap.adql.nodes import DerivedColumn
from obscore_tap.adql.types import Loose, Meta, Relation, Typed, identifier
from obscore_tap.schema import Datatype, Published, Region, Table


@dataclass(slots=True)
class Field:
    """A column of a table of a FROM clause."""

    name: str
    """Empty where an expression of a subquery has no name; then only ``*`` reaches it."""
    sql: str
    datatype: Datatype
    meta: Meta
    origin: tuple[Relation, int] | None
    frame: str = ""


def matches(wanted: Identifier, name: str) -> bool:
    """Say whether a name is meant: delimited identifiers with case, regular ones without."""
    return wanted.name == name if wanted.delimited else wanted.name.lower() == name.lower()


class BaseRelation:
    """A published table in a FROM clause."""

    def __init__(self, table: Table, alias: str, exposed: Identifier | None) -> None:
        self.table, self._alias, self._exposed = table, alias, exposed
        self.key = exposed.name.lower() if exposed else table.full_name.lower()
        full_name = table.full_name
        self.fields = [
            Field(
                column.bare_name,
                f"{alias}.{identifier(column.sql)}",
                column.datatype,
                Meta(
                    column.description,
                    column.ucd,
                    column.unit,
                    column.utype,
                    column.xtype,
                    column.unicode,
                    (full_name, column.name),
                ),
                (self, number),
            )
            for number, column in enumerate(table.columns)
        ]

    def is_called(self, qualifier: Sequence[Identifier]) -> bool:
        """Say whether a qualifier means this table; an alias hides the table's name."""
        if self._exposed:
            return len(qualifier) == 1 and _same(qualifier[0], self._exposed)
        names = (self.table.schema, self.table.name)[-len(qualifier) :]
        return len(qualifier) == len(names) and all(map(matches, qualifier, names))

    def find(self, name: Identifier) -> list[Field]:
        """Return the columns of a name."""
        numbers = self.table.columns_by_name.get(name.name.lower(), ())
        return [self.fields[number] for number in numbers if matches(name, self.fields[number].name)]

    def region(self, column: int) -> Region | None:
        """Return the hidden columns of a region column."""
        region = self.table.columns[column].region
        if region is None:
            return None
        return Region(
            f"{self._alias}.{identifier(region.polygon)}",
            f"{self._alias}.{identifier(region.bound)}",
        )

    def point(self, longitude: int, latitude: int) -> str | None:
        """Return the hidden column of a position."""
        columns = self.table.columns
        hidden = self.table.positions.get((columns[longitude].name, columns[latitude].name))
        return f"{self._alias}.{identifier(hidden)}" if hidden else None


class DerivedRelation:
    """A subquery or a common table in a FROM clause."""

    def __init__(self, block: Block, alias: str, exposed: Identifier) -> None:
        self._block, self._alias, self._exposed = block, alias, exposed
        self.key = exposed.name.lower()
        self.fields = [
            Field(
                output.name,
                f"{alias}.c{number}",
                output.value.datatype or Datatype.TEXT,
                output.value.meta,
                (self, number - 1),
                output.value.frame,
            )
            for number, output in enumerate(block.outputs, 1)
        ]

    def is_called(self, qualifier: Sequence[Identifier]) -> bool:
        """Say whether a qualifier means this table."""
        return len(qualifier) == 1 and _same(qualifier[0], self._exposed)

    def find(self, name: Identifier) -> list[Field]:
        """Return the columns of a name."""
        return [one for one in self.fields if one.name and matches(name, one.name)]

    def region(self, column: int) -> Region | None:
        """Return hidden columns of the subquery, which are made when they are asked for."""
        origin = self._block.outputs[column].value.origin
        region = origin[0].region(origin[1]) if origin else None
        if region is None:
            return None
        polygon, bound = self._block.hide(region.polygon), self._block.hide(region.bound)
        return Region(f"{self._alias}.{polygon}", f"{self._alias}.{bound}") if polygon and bound else None

    def point(self, longitude: int, latitude: int) -> str | None:
        """Return a hidden column of the subquery, which is made when it is asked for."""
        first, second = (self._block.outputs[number].value.origin for number in (longitude, latitude))
        if first is None or second is None or first[0] is not second[0]:
            return None
        point = first[0].point(first[1], second[1])
        hidden = self._block.hide(point) if point else None
        return f"{self._alias}.{hidden}" if hidden else None


def _same(one: Identifier, other: Identifier) -> bool:
    if one.delimited and other.delimited:
        return one.name == other.name
    return one.name.lower() == other.name.lower() if not one.delimited else one.name == other.name


@dataclass(slots=True)
class Source:
    """What a FROM clause or a part of it offers."""

    fields: list[Field] = field(default_factory=list)
    """What ``*`` and bare names reach; merged columns of USING and NATURAL stand here once, and first."""
    relations: list[BaseRelation | DerivedRelation] = field(default_factory=list)
    sql: list[object] = field(default_factory=list)
    """Pieces whose ``str()`` makes the FROM clause, when all hidden columns are known."""
    _by_name: dict[str, list[Field]] | None = None

    def find(self, parts: Sequence[Identifier]) -> list[Field]:
        """Return the columns that a reference can mean."""
        name = parts[-1]
        if len(parts) > 1:
            called = [relation for relation in self.relations if relation.is_called(parts[:-1])]
            return [found for relation in called for found in relation.find(name)]
        if self._by_name is None:
            self._by_name = {}
            for one in self.fields:
                self._by_name.setdefault(one.name.lower(), []).append(one)
        return [one for one in self._by_name.get(name.name.lower(), ()) if one.name and matches(name, one.name)]


_MOST_TABLES = 1000
"""In all FROM clauses together: names are looked for in each of them, and PostgreSQL weighs their orders."""


class Session:
    """One translation: what is published, and what was used of it."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.tables: set[str] = set()
        self.common: list[CommonBlock] = []
        self.lengths = Lengths()
        self._aliases = 0

    def alias(self) -> str:
        """Return a name that no other table of the emitted query has."""
        self._aliases += 1
        return f"t{self._aliases}"

    def derived(self, block: Block, alias: str, exposed: Identifier) -> DerivedRelation:
        """Return a subquery or a common table as a table of a FROM clause.

        Raises
        ------
        AdqlError
            A column of it is too long, written out.
        """
        for number in range(1, len(block.outputs) + 1):
            self.lengths.name(f"{alias}.c{number}", block.written(number), exposed.position)
        return DerivedRelation(block, alias, exposed)

    def table(self, node: TableName) -> tuple[BaseRelation | DerivedRelation, object]:
        """Return a table of a FROM clause and its SQL.

        Raises
        ------
        AdqlError
            No such table is published, or the query has too many.
        """
        alias, wanted = self.alias(), node.parts[-1]
        if self._aliases > _MOST_TABLES:
            raise AdqlError(f"a query may name at most {_MOST_TABLES} tables", *node.position)
        if len(node.parts) == 1:
            for common in reversed(self.common):
                if _same(wanted, common.name):
                    return self.derived(common.block, alias, node.alias or wanted), f"{common.alias} AS {alias}"
        schema = node.parts[-2] if len(node.parts) > 1 else None
        table = self.published.get(schema.name if schema else None, wanted.name) if len(node.parts) < 3 else None
        if table is None or not matches(wanted, table.name) or (schema and not matches(schema, table.schema)):
            raise self._unknown_table(node)
        self.tables.add(table.full_name)
        relation = ".".join(map(identifier, table.relation))
        return BaseRelation(table, alias, node.alias), f"{relation} AS {alias}"

    def _unknown_table(self, node: TableName) -> AdqlError:
        written = ".".join(part.name for part in node.parts)
        known = [common.name.name for common in self.common] + [table.full_name for table in self.published]
        near = difflib.get_close_matches(written.lower(), known, 3) or [
            name for name in known if name.lower().split(".")[-1] == node.parts[-1].name.lower()
        ]
        return AdqlError(f"there is no table {written}", *node.position, expected=tuple(near[:3]))


@dataclass(slots=True)
class Scope:
    """A SELECT, or a part of one, as names are resolved in it."""

    session: Session
    parent: Scope | None
    source: Source
    forbids: str = ""
    """Why no set function may stand here."""
    inside: bool = False
    """In the argument of a set function."""
    grouping: bool = False
    """In what is computed of groups: hidden columns are not among those that are grouped."""
    grouped: frozenset[str] = frozenset()
    """SQL of what is grouped by."""
    aggregated: bool = False
    """A set function was met."""
    own: int = 0
    """References to columns of this SELECT so far."""
    outer: int = 0
    """References to columns of an enclosing SELECT so far."""
    correlated: list[Loose] = field(default_factory=list)
    """What subqueries take of this SELECT."""
    aliases: dict[str, DerivedColumn] = field(default_factory=dict)
    """Select list by alias in lower case; empty where aliases are not in sight."""

    def resolve(self, node: ColumnReference) -> Typed:
        """Return the column that a reference means, of this SELECT or else of the nearest enclosing one.

        Raises
        ------
        AdqlError
            There is none, or more than one.
        """
        scope: Scope | None = self
        while scope is not None:
            found = scope.source.find(node.parts)
            if len(found) == 1:
                return self._found(scope, found[0], node)
            if found:
                raise AdqlError(f"the column {written(node)} is ambiguous: {_where(found)}", *node.position)
            scope = scope.parent
        raise self.unknown(node)

    def _found(self, scope: Scope, found: Field, node: ColumnReference) -> Typed:
        loose: tuple[Loose, ...] = ()
        if not scope.inside and found.sql not in scope.grouped:
            loose = (Loose(scope, written(node), node.position),)
        if scope is self:
            self.own += 1
        else:
            self.outer += 1
            scope.correlated.extend(loose)
            loose = ()
        return Typed(
            found.sql,
            found.datatype,
            node.position,
            found.meta,
            loose=loose,
            origin=found.origin,
            frame=found.frame,
            name=found.name,
        )

    def unknown(self, node: ColumnReference) -> AdqlError:
        """Return the error of a column that is not there, with what could have been meant."""
        name = node.parts[-1].name
        if len(node.parts) > 1:
            qualifier = ".".join(part.name for part in node.parts[:-1])
            called = [relation for relation in self._relations() if relation.is_called(node.parts[:-1])]
            if not called:
                return AdqlError(f"the FROM clause has no table {qualifier}", *node.position)
            known = [one.name for one in called[0].fields]
            near = difflib.get_close_matches(name.lower(), known, 3)
            return AdqlError(f"the table {qualifier} has no column {name}", *node.position, expected=tuple(near))
        known = [one.name for relation in self._relations() for one in relation.fields if one.name]
        near = difflib.get_close_matches(name.lower(), dict.fromkeys(known), 3)
        return AdqlError(f"there is no column {name}", *node.position, expected=tuple(near))

    def _relations(self) -> Iterable[BaseRelation | DerivedRelation]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.source.relations
            scope = scope.parent


def written(node: ColumnReference) -> str:
    """Return a reference as errors name it."""
    return ".".join(part.name for part in node.parts)


def _where(found: list[Field]) -> str:
    tables = [one.meta.source[0] for one in found if one.meta.source]
    return (
        "columns of " + " and ".join(dict.fromkeys(tables)) if len(set(tables)) > 1 else "more than one has this name"
    )


def refuse_twins(relations: Sequence[BaseRelation | DerivedRelation], position: Position) -> None:
    """Refuse two tables of one name in a FROM clause.

    Raises
    ------
    AdqlError
        Naming it.
    """
    seen: set[str] = set()
    for relation in relations:
        if relation.key in seen:
            raise AdqlError(f"two tables of the FROM clause are called {relation.key}: give one an alias", *position)
        seen.add(relation.key)
