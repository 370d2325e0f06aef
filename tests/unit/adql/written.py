"""A syntax tree written as ADQL again, with a bracket round everything that can take one: it shows what binds what."""

# ruff: noqa: PLR0911 - one case for each kind of node

from __future__ import annotations

from obscore_tap.adql.atoms import AllColumns, ColumnReference, Identifier, Null, Number, String, TableName
from obscore_tap.adql.nodes import (
    And,
    Arithmetic,
    Between,
    Case,
    Cast,
    Comparison,
    Concatenation,
    Condition,
    DerivedColumn,
    DerivedTable,
    Exists,
    FunctionCall,
    InList,
    InQuery,
    IsNull,
    Join,
    JoinedTable,
    Like,
    Not,
    Or,
    Query,
    QueryBody,
    Select,
    SelectExpression,
    SetOperation,
    Signed,
    TableReference,
    Value,
)
from obscore_tap.adql.parser_functions import FUNCTIONS


def query(node: Query) -> str:
    tables = ", ".join(f"{name(table.name)} AS ({expression(table.query)})" for table in node.common_tables)
    return (f"WITH {tables} " if tables else "") + expression(node.expression)


def expression(node: SelectExpression) -> str:
    terms = ", ".join(value(term.expression) + " DESC" * term.descending for term in node.order_by)
    order = f" ORDER BY {terms}" if terms else ""
    return body(node.body) + order + (f" OFFSET {node.offset}" if node.offset is not None else "")


def body(node: QueryBody) -> str:
    match node:
        case Select():
            return select(node)
        case SelectExpression():
            return f"({expression(node)})"
        case SetOperation():
            text = operand(node.operands[0])
            for operator, right in zip(node.operators, node.operands[1:], strict=True):
                text += f" {operator.name}{' ALL' * operator.all} {operand(right)}"
            return text


def operand(node: QueryBody) -> str:
    return f"({body(node)})" if isinstance(node, SetOperation) else body(node)


def select(node: Select) -> str:
    start = "SELECT " + "DISTINCT " * node.distinct + (f"TOP {node.top} " if node.top is not None else "")
    text = start + ", ".join(map(column, node.columns)) + " FROM " + ", ".join(map(table, node.tables))
    text += f" WHERE {condition(node.where)}" if node.where else ""
    text += " GROUP BY " + ", ".join(map(value, node.group_by)) if node.group_by else ""
    return text + (f" HAVING {condition(node.having)}" if node.having else "")


def column(node: AllColumns | DerivedColumn) -> str:
    if isinstance(node, AllColumns):
        return ".".join([*map(name, node.qualifier), "*"])
    return value(node.expression) + (f" AS {name(node.alias)}" if node.alias else "")


def name(node: Identifier) -> str:
    return '"' + node.name.replace('"', '""') + '"' if node.delimited else node.name


def table(node: TableReference) -> str:
    match node:
        case TableName():
            return ".".join(map(name, node.parts)) + (f" AS {name(node.alias)}" if node.alias else "")
        case DerivedTable():
            return f"({expression(node.query)}) AS {name(node.alias)}"
        case JoinedTable():
            return f"({table(node.first)}{''.join(map(join, node.joins))})"


def join(node: Join) -> str:
    text = f"{' NATURAL' * node.natural} {node.kind} JOIN {table(node.right)}"
    text += f" ON {condition(node.on)}" if node.on else ""
    return text + (f" USING ({', '.join(map(name, node.using))})" if node.using else "")


def value(node: Value) -> str:
    match node:
        case Null():
            return "NULL"
        case Number(text=text):
            return text
        case String(value=text):
            return "'" + text.replace("'", "''") + "'"
        case ColumnReference(parts=parts):
            return ".".join(map(name, parts))
        case FunctionCall():
            quantifier = f"{node.quantifier} " if node.quantifier else ""
            return f"{node.name}({'*' * node.star}{quantifier}{', '.join(map(value, node.arguments))})"
        case Signed():
            return f"({node.sign}{operand_of_a_chain(node.operand)})"
        case Arithmetic():
            steps = zip(node.operators, node.operands[1:], strict=True)
            rest = "".join(f" {sign} {operand_of_a_chain(right)}" for sign, right in steps)
            return f"({operand_of_a_chain(node.operands[0])}{rest})"
        case Concatenation():
            return f"({' || '.join(map(operand_of_a_chain, node.operands))})"
        case Cast():
            length = f"({node.target.length})" if node.target.length is not None else ""
            return f"CAST({value(node.operand)} AS {node.target.name}{length})"
        case Case():
            return case(node)


def operand_of_a_chain(node: Value) -> str:
    """NULL and functions of another kind than the operator's must stand in brackets."""
    is_plain = not (isinstance(node, Null) or (isinstance(node, FunctionCall) and node.name in FUNCTIONS))
    return value(node) if is_plain else f"({value(node)})"


def case(node: Case) -> str:
    text = "CASE" + (f" {value(node.operand)}" if node.operand else "")
    for branch in node.branches:
        text += f" WHEN {either(branch.condition)} THEN {value(branch.result)}"
    return text + (f" ELSE {value(node.otherwise)}" if node.otherwise else "") + " END"


def either(node: Condition | Value) -> str:
    return condition(node) if isinstance(node, Condition) else value(node)


def condition(node: Condition) -> str:
    match node:
        case And():
            return f"({' AND '.join(map(condition, node.operands))})"
        case Or():
            return f"({' OR '.join(map(condition, node.operands))})"
        case Not():
            return f"(NOT {condition(node.operand)})"
        case Exists():
            return f"EXISTS ({expression(node.query)})"
        case IsNull():
            return f"{value(node.operand)} IS {'NOT ' * node.negated}NULL"
        case Comparison():
            return f"{value(node.left)} {node.operator} {value(node.right)}"
        case Between():
            return f"{value(node.operand)} {'NOT ' * node.negated}BETWEEN {value(node.low)} AND {value(node.high)}"
        case InList():
            return f"{value(node.operand)} {'NOT ' * node.negated}IN ({', '.join(map(value, node.elements))})"
        case InQuery():
            return f"{value(node.operand)} {'NOT ' * node.negated}IN ({expression(node.query)})"
        case Like():
            like = "ILIKE" if node.ignore_case else "LIKE"
            return f"{value(node.operand)} {'NOT ' * node.negated}{like} {value(node.pattern)}"
