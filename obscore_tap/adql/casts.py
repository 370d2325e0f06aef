"""CAST to the types of ADQL 2.1 (section 4.6.1)."""

from __future__ import annotations

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.geometry import constant, made
from obscore_tap.adql.literals import dali_shape, region_literal, timestamp_literal
from obscore_tap.adql.names import Scope
from obscore_tap.adql.nodes import Cast, FunctionCall
from obscore_tap.adql.shapes import Circle, Point, Polygon, ShapeError
from obscore_tap.adql.types import GEOMETRIES, INTEGERS, NUMBERS, Meta, Typed
from obscore_tap.adql.walk import reads, value
from obscore_tap.schema import Datatype

_NUMERIC = {
    "SMALLINT": Datatype.SMALLINT,
    "INTEGER": Datatype.INTEGER,
    "BIGINT": Datatype.BIGINT,
    "REAL": Datatype.REAL,
    "DOUBLE PRECISION": Datatype.DOUBLE,
}
_GEOMETRIC = {
    "POINT": (Datatype.POINT, Point),
    "CIRCLE": (Datatype.CIRCLE, Circle),
    "POLYGON": (Datatype.POLYGON, Polygon),
}
_LONGEST = 10_485_760
"""Characters; PostgreSQL's own limit of a declared length."""


@reads(Cast)
def _cast(node: Cast, scope: Scope) -> Typed:
    operand, target = value(node.operand, scope), node.target.name
    if target in _NUMERIC:
        typed = _to_number(operand, _NUMERIC[target], node)
    elif target == "TIMESTAMP":
        typed = _to_timestamp(operand, node)
    elif target in _GEOMETRIC:
        typed = _to_geometry(operand, target, node)
    else:
        typed = _to_text(operand, node)
    typed.loose = operand.loose
    typed.name = operand.name
    return typed


def _refused(operand: Typed, node: Cast) -> AdqlError:
    return AdqlError(f"{operand.words} cannot be cast to {node.target.name}", *node.position)


def _to_number(operand: Typed, datatype: Datatype, node: Cast) -> Typed:
    if operand.datatype not in NUMBERS and operand.datatype not in (Datatype.TEXT, None):
        raise _refused(operand, node)
    if isinstance(operand.constant, str):
        try:
            (int if datatype in INTEGERS else float)(operand.constant)
        except ValueError as error:
            kind = "an integer" if datatype in INTEGERS else "a number"
            raise AdqlError(f"'{operand.constant[:40]}' is not {kind}", *operand.position) from error
    meta = operand.meta._replace(utype="", source=None, description="", xtype="", unicode=False)
    return Typed(f"({operand.sql}::{datatype.value})", datatype, node.position, meta)


def _to_timestamp(operand: Typed, node: Cast) -> Typed:
    meta = Meta(ucd=operand.meta.ucd, xtype="timestamp")
    if isinstance(operand.constant, str):
        return Typed(timestamp_literal(operand.constant, operand.position), Datatype.TIMESTAMP, node.position, meta)
    if operand.datatype is Datatype.TIMESTAMP:
        return Typed(operand.sql, Datatype.TIMESTAMP, node.position, operand.meta)
    if operand.datatype is Datatype.TEXT or operand.datatype is None:
        sql = operand.sql if operand.datatype else "NULL::text"
        return Typed(f"adql.to_timestamp({sql})", Datatype.TIMESTAMP, node.position, meta)
    raise _refused(operand, node)


def _to_text(operand: Typed, node: Cast) -> Typed:
    if operand.datatype in NUMBERS or operand.datatype in (Datatype.TEXT, Datatype.BOOLEAN, None):
        sql = operand.sql if operand.datatype is Datatype.TEXT else f"({operand.sql}::text)"
    elif operand.datatype is Datatype.TIMESTAMP:
        sql = f"adql.from_timestamp({operand.sql})"
    else:
        raise _refused(operand, node)
    length = node.target.length
    if length is not None:
        if not 0 < length <= _LONGEST:
            raise AdqlError(f"a string of {length} characters cannot be declared", *node.target.position)
        sql = f"left({sql}, {length})"
    return Typed(sql, Datatype.TEXT, node.position, Meta(ucd=operand.meta.ucd, unicode=operand.meta.unicode))


def _to_geometry(operand: Typed, target: str, node: Cast) -> Typed:
    datatype, shape_type = _GEOMETRIC[target]
    call = FunctionCall(target, (), node.position, target.lower())
    if isinstance(operand.constant, str):
        text = operand.constant.strip()
        try:
            shape, frame = region_literal(text) if text[:1].isalpha() else (dali_shape(target, text), "")
        except ShapeError as error:
            raise AdqlError(f"CAST: {error}", *operand.position) from error
        if not isinstance(shape, shape_type):
            raise AdqlError(f"'{text[:80]}' is no {target}", *operand.position)
        return constant(shape, call, frame)
    if operand.datatype is datatype:
        return Typed(operand.sql, datatype, node.position, operand.meta, frame=operand.frame, shape=operand.shape)
    maker = f"adql.{target.lower()}"
    if operand.datatype is Datatype.TEXT:
        return made(f"{maker}(adql.numbers({operand.sql}))", datatype, call)
    if operand.datatype is Datatype.DOUBLES and operand.datatype not in GEOMETRIES:
        return made(f"{maker}({operand.sql})", datatype, call)
    if operand.datatype is None:
        return made(f"NULL::{datatype.value}", datatype, call)
    raise _refused(operand, node)
