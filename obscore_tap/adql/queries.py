"""SELECTs, set operations, ORDER BY and WITH (ADQL 2.1 sections 2.2, 4.5, 4.6 and 4.9)."""

from __future__ import annotations

from collections.abc import Sequence

from obscore_tap.adql.atoms import AllColumns, ColumnReference, Identifier, Null, Number, Position, String
from obscore_tap.adql.blocks import Block, CommonBlock, OrderedBlock, Output, SelectBlock, SetBlock
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.joins import from_clause
from obscore_tap.adql.names import Field, Scope, Session, Source, matches
from obscore_tap.adql.nodes import CommonTable, DerivedColumn, OrderTerm, Query, Select, SelectExpression, SetOperation
from obscore_tap.adql.types import NUMBERS, ORDERED, Loose, Meta, Typed, common, one_source
from obscore_tap.adql.walk import condition, reads_subqueries, value
from obscore_tap.schema import Datatype

_SORTED = ORDERED | {Datatype.DOUBLES, Datatype.INTEGERS, Datatype.INTERVAL, Datatype.BLOB, None}
"""Types whose values PostgreSQL can sort, and so tell apart."""
_MOST_ROWS = 2**63 - 1
_MOST_COLUMNS = 1664
"""PostgreSQL's own limit of a SELECT."""


def whole_query(node: Query, session: Session) -> Block:
    """Return what a query means; `Session.common` has its common tables.

    Raises
    ------
    AdqlError
        It means nothing.
    """
    for common_table in node.common_tables:
        _common_table(common_table, session)
    return select_expression(node.expression, None, session)


def _common_table(node: CommonTable, session: Session) -> None:
    for other in session.common:
        if other.name.name.lower() == node.name.name.lower():
            raise AdqlError(f"two common tables are called {node.name.name}", *node.name.position)
    block = select_expression(node.query, None, session)
    session.common.append(CommonBlock(node.name, f"w{len(session.common) + 1}", block))


@reads_subqueries
def _subquery(node: SelectExpression, scope: Scope) -> Block:
    return select_expression(node, scope, scope.session)


def select_expression(node: SelectExpression, parent: Scope | None, session: Session) -> Block:
    """Return what a SELECT or a set operation means, with its order and offset.

    Raises
    ------
    AdqlError
        It means nothing.
    """
    if node.offset is not None and node.offset > _MOST_ROWS:
        raise AdqlError(f"OFFSET {node.offset} is more than there can be rows", *node.position)
    body = node.body
    if isinstance(body, Select):
        return _select(body, node.order_by, node.offset, parent, session)
    block = (
        select_expression(body, parent, session) if isinstance(body, SelectExpression) else _sets(body, parent, session)
    )
    if not node.order_by and node.offset is None:
        return block
    alias = session.alias()
    relation = session.derived(block, alias, Identifier(alias, delimited=True, position=node.position))
    # A reference of the order can mean an output column only (SQL-92 section 13.1).
    scope = Scope(session, None, Source(list(relation.fields), [relation]), forbids="the ORDER BY of a set operation")
    outputs = [
        Output(
            one.name,
            Typed(
                one.sql,
                given.value.datatype,
                node.position,
                one.meta,
                origin=one.origin,
                frame=one.frame,
                name=given.value.name,
            ),
        )
        for one, given in zip(relation.fields, block.outputs, strict=True)
    ]
    terms = [_term(term, outputs, scope) for term in node.order_by]
    return OrderedBlock(outputs, block, alias, terms, node.offset)


def _select(
    node: Select, order_by: Sequence[OrderTerm], offset: int | None, parent: Scope | None, session: Session
) -> SelectBlock:
    if node.top is not None and node.top > _MOST_ROWS:
        raise AdqlError(f"TOP {node.top} is more than there can be rows", *node.position)
    source = from_clause(node.tables, session, parent, select_expression)
    scope = Scope(session, parent, source)
    aliases = {
        item.alias.name.lower(): item
        for item in reversed(node.columns)
        if isinstance(item, DerivedColumn) and item.alias is not None
    }
    where = ""
    if node.where is not None:
        scope.forbids = "WHERE"
        where = condition(node.where, scope).sql
    scope.forbids, scope.aliases = "GROUP BY", aliases
    groups = [_group(term, scope) for term in node.group_by]
    scope.forbids, scope.aliases = "", {}
    scope.grouping, scope.grouped = bool(groups), frozenset(one.sql for one in groups)

    outputs = _select_list(node, scope)
    having = condition(node.having, scope) if node.having is not None else None
    scope.aliases = aliases
    keys = [_order_value(term, outputs, scope) for term in order_by]
    is_grouped = bool(groups) or having is not None or scope.aggregated
    if is_grouped:
        _refuse_loose([one.value for one in outputs] + ([having] if having else []) + keys, scope)
    if node.distinct:
        _refuse_unsorted([one.value for one in outputs], "DISTINCT")
        _refuse_unlisted(keys, outputs)
    for term, key in zip(order_by, keys, strict=True):
        if key.datatype not in _SORTED:
            raise AdqlError(f"ORDER BY cannot sort {key.words}", *term.position)
    return SelectBlock(
        outputs,
        source.sql,
        node.distinct,
        where,
        [one.sql for one in groups],
        having.sql if having else "",
        is_grouped,
        [_directed(term, _sortable(key, outputs)) for term, key in zip(order_by, keys, strict=True)],
        node.top,
        offset,
    )


def _group(node: object, scope: Scope) -> Typed:
    if isinstance(node, Number | String | Null):
        raise AdqlError("GROUP BY takes columns and expressions of columns, not a literal", *node.position)
    typed = value(node, scope)  # type: ignore[arg-type]  # a value
    if typed.datatype not in _SORTED:
        raise AdqlError(f"GROUP BY cannot tell apart {typed.words} and another one", *typed.position)
    return typed


def _select_list(node: Select, scope: Scope) -> list[Output]:
    outputs: list[Output] = []
    for item in node.columns:
        if isinstance(item, DerivedColumn):
            typed = value(item.expression, scope)
            if item.alias is not None:
                name = item.alias.name
            else:
                name = typed.name if isinstance(item.expression, ColumnReference) else ""
            outputs.append(Output(name, typed))
        else:
            outputs += [Output(one.name, _listed(one, item, scope)) for one in _all(item, scope)]
        if len(outputs) > _MOST_COLUMNS:
            raise AdqlError(f"a SELECT may have at most {_MOST_COLUMNS} columns", *item.position)
    return outputs


def _all(item: AllColumns, scope: Scope) -> list[Field]:
    if not item.qualifier:
        return scope.source.fields
    called = [one for one in scope.source.relations if one.is_called(item.qualifier)]
    if len(called) != 1:
        name = ".".join(part.name for part in item.qualifier)
        problem = "two tables" if called else "no table"
        raise AdqlError(f"the FROM clause has {problem} {name}", *item.position)
    return called[0].fields


def _listed(one: Field, item: AllColumns, scope: Scope) -> Typed:
    loose = () if one.sql in scope.grouped else (Loose(scope, one.name, item.position),)
    return Typed(
        one.sql,
        one.datatype,
        item.position,
        one.meta,
        loose=loose,
        origin=one.origin,
        frame=one.frame,
        name=one.name,
    )


def _refuse_loose(values: Sequence[Typed], scope: Scope) -> None:
    for one in values:
        for loose in one.loose:
            if loose.scope is scope:
                raise AdqlError(f"the column {loose.name} is neither grouped by nor in a set function", *loose.position)


def _refuse_unsorted(values: Sequence[Typed], what: str) -> None:
    for one in values:
        if one.datatype not in _SORTED:
            raise AdqlError(f"{what} cannot tell apart {one.words} and another one", *one.position)


def _refuse_unlisted(keys: Sequence[Typed], outputs: Sequence[Output]) -> None:
    listed = {one.value.sql for one in outputs}
    for key in keys:
        if key.sql not in listed:
            raise AdqlError("with DISTINCT, ORDER BY takes columns of the select list only", *key.position)


def _order_value(term: OrderTerm, outputs: Sequence[Output], scope: Scope) -> Typed:
    """Return what is sorted by: an output column by its number or name, else a value of the tables."""
    node = term.expression
    if isinstance(node, Number) and node.is_integer:
        return _numbered(int(node.text), outputs, term.position)
    if isinstance(node, Number | String | Null):
        raise AdqlError("ORDER BY takes columns, their numbers, and expressions, not a literal", *term.position)
    if isinstance(node, ColumnReference) and len(node.parts) == 1:
        named = [one.value for one in outputs if one.name and matches(node.parts[0], one.name)]
        if len({one.sql for one in named}) > 1:
            raise AdqlError(f"ORDER BY: two output columns are called {node.parts[0].name}", *node.position)
        if named:
            return named[0]
    return value(node, scope)


def _numbered(number: int, outputs: Sequence[Output], position: Position) -> Typed:
    if not 1 <= number <= len(outputs):
        raise AdqlError(f"ORDER BY {number}: there are {len(outputs)} output columns", *position)
    return outputs[number - 1].value


def _sortable(key: Typed, outputs: Sequence[Output]) -> str:
    """Return an output column by its name in SQL, which DISTINCT wants, else the value."""
    for number, one in enumerate(outputs, 1):
        if one.value is key or one.value.sql == key.sql:
            return f"c{number}"
    return key.sql


def _directed(term: OrderTerm, sql: str) -> str:
    return f"{sql} DESC" if term.descending else sql


def _term(term: OrderTerm, outputs: Sequence[Output], scope: Scope) -> str:
    key = _order_value(term, outputs, scope)
    if key.datatype not in _SORTED:
        raise AdqlError(f"ORDER BY cannot sort {key.words}", *term.position)
    return _directed(term, key.sql)


def _sets(node: SetOperation, parent: Scope | None, session: Session) -> SetBlock:
    blocks: list[Block] = []
    for operand in node.operands:
        if isinstance(operand, Select):
            blocks.append(_select(operand, (), None, parent, session))
        elif isinstance(operand, SelectExpression):
            blocks.append(select_expression(operand, parent, session))
        else:
            blocks.append(_sets(operand, parent, session))
    first = blocks[0].outputs
    for operator, block, operand in zip(node.operators, blocks[1:], node.operands[1:], strict=True):
        if len(block.outputs) != len(first):
            raise AdqlError(
                f"{operator.name}: one side has {len(first)} columns, the other one {len(block.outputs)}",
                *operand.position,
            )
    columns = zip(*(block.outputs for block in blocks), strict=True)
    outputs = [_united(list(column), node, number) for number, column in enumerate(columns, 1)]
    if not all(operator.all for operator in node.operators):
        _refuse_unsorted([one.value for one in outputs], node.operators[0].name)
    return SetBlock(outputs, blocks, node.operators)


def _united(column: list[Output], node: SetOperation, number: int) -> Output:
    values = [one.value for one in column]
    datatype = common(values, f"{node.operators[0].name}, column {number},")
    first = values[0]
    metas = [one.meta for one in values]
    meta = metas[0]._replace(
        source=one_source(metas) if datatype is first.datatype else None,
        unicode=any(one.unicode for one in metas),
        unit=metas[0].unit if all(one.unit == metas[0].unit for one in metas) or datatype not in NUMBERS else "",
    )
    return Output(column[0].name, Typed("", datatype, first.position, Meta(*meta), frame=first.frame, name=first.name))
