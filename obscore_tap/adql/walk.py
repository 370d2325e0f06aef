"""The one walk over the tree: each kind of node is understood by the function that is registered for it here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from obscore_tap.adql.blocks import Block
from obscore_tap.adql.lengths import check
from obscore_tap.adql.names import Scope
from obscore_tap.adql.nodes import Condition, SelectExpression, Value
from obscore_tap.adql.types import Typed

_Reader = TypeVar("_Reader", bound=Callable[[Any, Scope], Typed])

_READERS: dict[type, Callable[[Any, Scope], Typed]] = {}
_QUERIES: list[Callable[[SelectExpression, Scope], Block]] = []


def reads(*kinds: type) -> Callable[[_Reader], _Reader]:
    """Register what understands a kind of value or condition."""

    def register(reader: _Reader) -> _Reader:
        for kind in kinds:
            _READERS[kind] = reader
        return reader

    return register


def reads_subqueries(reader: Callable[[SelectExpression, Scope], Block]) -> Callable[[SelectExpression, Scope], Block]:
    """Register what understands a subquery of a condition."""
    _QUERIES.append(reader)
    return reader


def value(node: Value, scope: Scope) -> Typed:
    """Return what a value means.

    Raises
    ------
    AdqlError
        It means nothing here.
    """
    typed = _READERS[type(node)](node, scope)
    check(len(typed.sql), typed.position)
    if typed.loose and typed.sql in scope.grouped:
        typed.loose = tuple(one for one in typed.loose if one.scope is not scope)
    return typed


def condition(node: Condition, scope: Scope) -> Typed:
    """Return what a condition means: a boolean.

    Raises
    ------
    AdqlError
        It means nothing here.
    """
    return _READERS[type(node)](node, scope)


def subquery(node: SelectExpression, scope: Scope) -> Block:
    """Return what a subquery of a condition means; it may name columns of the scope.

    Raises
    ------
    AdqlError
        It means nothing.
    """
    return _QUERIES[0](node, scope)
