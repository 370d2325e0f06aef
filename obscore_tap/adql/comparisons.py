"""How two values are compared: kinds must be alike, and cones written as a distance find the index."""

from __future__ import annotations

from obscore_tap.adql.atoms import Position
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.literals import timestamp_literal
from obscore_tap.adql.types import NUMBERS, ORDERED, Typed, cast, merged
from obscore_tap.schema import Datatype

_TRUTH = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}


def comparable(values: list[Typed], what: str) -> list[str]:
    """Return the SQL of values that are compared with each other.

    Literals of timestamps and truth values become such where the others are.

    Raises
    ------
    AdqlError
        They are of unlike kinds, or of a kind that has no order.
    """
    datatype: Datatype | None = None
    for one in values:
        if one.datatype is None:
            continue
        if one.datatype not in ORDERED:
            raise AdqlError(f"{what} cannot compare {one.words}", *one.position)
        if datatype is None or (
            datatype in (Datatype.TEXT, *NUMBERS) and one.datatype not in (Datatype.TEXT, *NUMBERS)
        ):
            datatype = one.datatype
    if datatype is None:
        return [cast(one, Datatype.TEXT) for one in values]
    return [_as(one, datatype, what) for one in values]


def _as(one: Typed, datatype: Datatype, what: str) -> str:
    if one.datatype is None or one.datatype is datatype:
        return cast(one, datatype)
    if one.datatype in NUMBERS and datatype in NUMBERS:
        return one.sql
    if datatype is Datatype.TIMESTAMP and isinstance(one.constant, str):
        return timestamp_literal(one.constant, one.position)
    if datatype is Datatype.BOOLEAN and one.constant is not None:
        truth = _TRUTH.get(str(one.constant).lower())
        if truth:
            return truth
    words = Typed("", datatype, one.position).words
    raise AdqlError(f"{what} cannot compare {words} with {one.words}", *one.position)


def compared(left: Typed, operator: str, right: Typed, position: Position) -> Typed:
    """Return a comparison of two values.

    Raises
    ------
    AdqlError
        They cannot be compared.
    """
    first, second = comparable([left, right], f"the operator {operator}")
    return Typed(f"({first} {operator} {second})", Datatype.BOOLEAN, position, loose=merged(left, right))
