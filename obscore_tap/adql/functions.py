"""What a function takes and gives: the catalogue's entries, and how a call is matched with one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.literals import timestamp_literal
from obscore_tap.adql.nodes import FunctionCall
from obscore_tap.adql.types import (
    GEOMETRIES,
    INTEGERS,
    NO_META,
    NUMBERS,
    Meta,
    Typed,
    cast,
    merged,
    must_be_number,
    must_be_text,
)
from obscore_tap.schema import Datatype


class Kind(Enum):
    """What a parameter takes; the value is its type in a signature of TAPRegExt."""

    DOUBLE = "DOUBLE PRECISION"
    INTEGER = "INTEGER"
    BIGINT = "BIGINT"
    TEXT = "VARCHAR"
    LITERAL = "VARCHAR "
    """A string literal; what it says is used when the query is translated."""
    TIMESTAMP = "TIMESTAMP"
    POINT = "POINT"
    INTERVAL = "INTERVAL"
    GEOMETRY = "GEOMETRY"


Builder = Callable[[Sequence[Typed], FunctionCall], Typed]


@dataclass(frozen=True, slots=True)
class Function:
    """One form of a function."""

    name: str
    """In upper case."""
    parameters: tuple[tuple[str, Kind], ...]
    returns: Datatype
    sql: str = ""
    """Template over the arguments, ``{0}``, ``{1}`` …, each of exactly its kind's type."""
    description: str = ""
    build: Builder | None = None
    """Instead of `sql`, where the arguments decide on more."""
    aggregate: bool = False
    """It computes one value of many rows."""
    signature: str = ""
    """For capabilities, where the parameters do not say it."""
    meta: Meta = NO_META

    @property
    def form(self) -> str:
        """Return the signature (ADQL 2.1 section 4.3.2)."""
        if self.signature:
            return self.signature
        arguments = ", ".join(f"{name} {kind.value.strip()}" for name, kind in self.parameters)
        return f"{self.name.lower()}({arguments}) -> {_TYPE_NAMES[self.returns]}"


_TYPE_NAMES = {
    Datatype.INTEGER: "INTEGER",
    Datatype.BIGINT: "BIGINT",
    Datatype.DOUBLE: "DOUBLE PRECISION",
    Datatype.TEXT: "VARCHAR",
    Datatype.POINT: "POINT",
    Datatype.INTEGERS: "INTEGER[]",
}


def of_numbers(name: str, sql: str, parameters: Sequence[str] = ("x",)) -> Function:
    """Return a function of doubles that gives a double."""
    return Function(name, tuple((one, Kind.DOUBLE) for one in parameters), Datatype.DOUBLE, sql)


def call(catalogue: Sequence[Function], arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return what a call of a function means.

    Parameters
    ----------
    catalogue
        The forms of the function.

    Raises
    ------
    AdqlError
        No form takes these arguments.
    """
    forms = [form for form in catalogue if len(form.parameters) == len(arguments)]
    if not forms:
        expected = tuple(form.form for form in catalogue)
        raise AdqlError(f"{node.spelling} does not take {_arguments(len(arguments))}", *node.position, expected)
    form = forms[0]
    ready = [
        taken(kind, argument, f"{node.spelling}, argument {name},")
        for (name, kind), argument in zip(form.parameters, arguments, strict=True)
    ]
    if form.build:
        typed = form.build(ready, node)
    else:
        typed = Typed(form.sql.format(*(one.sql for one in ready)), form.returns, node.position, form.meta)
    typed.loose = () if form.aggregate else merged(*arguments)
    typed.name = typed.name or node.spelling.lower()
    return typed


def unknown(node: FunctionCall, names: Sequence[str]) -> AdqlError:
    """Return the error of a function that is not there."""
    near = difflib.get_close_matches(node.name, names, 3)
    return AdqlError(
        f"there is no function {node.spelling}", *node.position, expected=tuple(name.lower() for name in near)
    )


def _arguments(number: int) -> str:
    return {0: "no arguments", 1: "one argument"}.get(number, f"{number} arguments")


def taken(kind: Kind, argument: Typed, where: str) -> Typed:  # noqa: PLR0911 - one a kind
    """Return an argument as the type that a parameter takes.

    Raises
    ------
    AdqlError
        It is of another kind.
    """
    match kind:
        case Kind.DOUBLE:
            must_be_number(argument, where)
            return _as(argument, Datatype.DOUBLE)
        case Kind.INTEGER | Kind.BIGINT:
            if argument.datatype not in INTEGERS and argument.datatype is not None:
                what = "a number with decimals" if argument.datatype in NUMBERS else argument.words
                raise AdqlError(f"{where} takes an integer, not {what}", *argument.position)
            return _as(argument, Datatype.INTEGER if kind is Kind.INTEGER else Datatype.BIGINT)
        case Kind.TEXT:
            must_be_text(argument, where)
            return _as(argument, Datatype.TEXT)
        case Kind.LITERAL:
            if not isinstance(argument.constant, str):
                raise AdqlError(f"{where} takes a string literal", *argument.position)
            return argument
        case Kind.TIMESTAMP:
            return as_timestamp(argument, where)
        case Kind.INTERVAL:
            if argument.datatype is not Datatype.INTERVAL and argument.datatype is not None:
                raise AdqlError(f"{where} takes an interval, not {argument.words}", *argument.position)
            return argument
        case Kind.POINT:
            return as_point(argument, where)
        case Kind.GEOMETRY:
            return as_geometry(argument, where)


def _as(argument: Typed, datatype: Datatype) -> Typed:
    if argument.datatype is datatype:
        return argument
    return Typed(
        cast(argument, datatype), datatype, argument.position, argument.meta, argument.constant, argument.loose
    )


def as_timestamp(argument: Typed, where: str) -> Typed:
    """Return a timestamp, also of a string, as the catalogue of user defined functions wants it.

    Raises
    ------
    AdqlError
        It is something else, or a literal that is no timestamp of DALI.
    """
    if argument.datatype is Datatype.TIMESTAMP:
        return argument
    if isinstance(argument.constant, str):
        sql = timestamp_literal(argument.constant, argument.position)
    elif argument.datatype is Datatype.TEXT or argument.datatype is None:
        sql = f"adql.to_timestamp({cast(argument, Datatype.TEXT)})"
    else:
        raise AdqlError(f"{where} takes a timestamp, not {argument.words}", *argument.position)
    return Typed(sql, Datatype.TIMESTAMP, argument.position, argument.meta, loose=argument.loose)


def as_point(argument: Typed, where: str) -> Typed:
    """Return a point, also of an array that stands for one.

    Raises
    ------
    AdqlError
        It is something else.
    """
    if argument.datatype is not Datatype.POINT:
        argument = as_geometry(argument, where)
    if argument.datatype is not Datatype.POINT:
        raise AdqlError(f"{where} takes a point, not {argument.words}", *argument.position)
    return argument


_ARRAYS = {"point": Datatype.POINT, "circle": Datatype.CIRCLE, "polygon": Datatype.POLYGON}
_MAKERS = {Datatype.POINT: "adql.point", Datatype.CIRCLE: "adql.circle", Datatype.POLYGON: "adql.polygon"}


def as_geometry(argument: Typed, where: str) -> Typed:
    """Return a geometry, also of an array of coordinates whose xtype says that it is one (DALI 1.1 section 3.3).

    Raises
    ------
    AdqlError
        It is something else.
    """
    if argument.datatype in GEOMETRIES:
        return argument
    datatype = _ARRAYS.get(argument.meta.xtype.lower()) if argument.datatype is Datatype.DOUBLES else None
    if datatype is None:
        raise AdqlError(f"{where} takes a geometry, not {argument.words}", *argument.position)
    return Typed(
        f"{_MAKERS[datatype]}({argument.sql})",
        datatype,
        argument.position,
        argument.meta,
        loose=argument.loose,
        origin=argument.origin,
        frame=argument.frame,
    )
