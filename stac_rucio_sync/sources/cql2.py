"""Expressions of CQL2 (OGC 21-065r2), in text or JSON: as many as the sources ask for, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import orjson

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import JsonObject

Expression = str | JsonObject
Operator = Literal["=", "<>", ">="]


@dataclass(frozen=True, slots=True)
class Language:
    """One of the two encodings."""

    name: Literal["cql2-text", "cql2-json"]

    def compare(self, left: str, operator: Operator, right: str, *, instant: bool = False) -> Expression:
        """Compare a property with a literal, which is a text or an RFC 3339 instant."""
        if self.name == "cql2-json":
            value = {"timestamp": right} if instant else right
            return {"op": operator, "args": [{"property": left}, value]}
        quoted = "'" + right.replace("'", "''") + "'"
        return f"{left} {operator} " + (f"TIMESTAMP({quoted})" if instant else quoted)

    def is_null(self, name: str) -> Expression:
        """Ask for items without a property."""
        if self.name == "cql2-json":
            return {"op": "isNull", "args": [{"property": name}]}
        return f"{name} IS NULL"

    def both(self, one: Expression | None, other: Expression) -> Expression:
        """Ask for what fulfils two expressions, the first of which may be missing."""
        if one is None:
            return other
        if isinstance(one, str):
            return f"({one}) AND ({other})"
        return {"op": "and", "args": [one, other]}


TEXT = Language("cql2-text")
JSON = Language("cql2-json")


def read_expression(expression: Expression) -> tuple[Expression, Language]:
    """Tell in which language an expression is written; JSON may come as text.

    Raises
    ------
    UsageError
        It begins like JSON and is none.
    """
    if isinstance(expression, dict):
        return expression, JSON
    if not expression.lstrip().startswith("{"):
        return expression, TEXT
    try:
        parsed: JsonObject = orjson.loads(expression)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--filter is not CQL2 JSON: {error}") from error
    return parsed, JSON
