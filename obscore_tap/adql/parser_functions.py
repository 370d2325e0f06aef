"""What the grammar of ADQL 2.1 says of its own functions: how many arguments, and which must be literals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from obscore_tap.adql.atoms import ColumnReference, Null, Number, String
from obscore_tap.adql.nodes import FunctionCall, Signed, Value

SET_FUNCTIONS = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM"})
"""``<set_function_type>``."""


class Family(Enum):
    """In which expressions a function may be an operand without brackets."""

    NUMERIC = "a number"
    STRING = "a string"
    GEOMETRY = "a geometry"
    ANY = "any value"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a function is written."""

    family: Family
    least: int
    most: int | None
    """None: no limit."""
    complaint: Callable[[tuple[Value, ...]], str | None] = lambda _: None
    """What is wrong with arguments of the right number, or None."""

    def counts(self) -> str:
        """Return how many arguments it takes, in words."""
        if self.most is None:
            return f"{self.least} arguments or more"
        if self.least == self.most:
            return {0: "no argument", 1: "one argument"}.get(self.least, f"{self.least} arguments")
        return f"{self.least} to {self.most} arguments"


def _is_integer(value: Value) -> bool:
    return isinstance(value, Number) and value.is_integer


def _digits(arguments: tuple[Value, ...]) -> str | None:
    digits = arguments[-1]
    if len(arguments) == 1 or _is_integer(digits.operand if isinstance(digits, Signed) else digits):
        return None
    return "the number of decimal places must be an integer literal"


def _seed(arguments: tuple[Value, ...]) -> str | None:
    return None if all(map(_is_integer, arguments)) else "the seed must be an unsigned integer literal"


def _unit(arguments: tuple[Value, ...]) -> str | None:
    return None if isinstance(arguments[1], String) else "the unit must be a string literal"


def _region(arguments: tuple[Value, ...]) -> str | None:
    return None if isinstance(arguments[0], String) else "the region must be a string literal"


def _is_point(value: Value) -> bool:
    """Whether it is a ``<coord_value>``."""
    if isinstance(value, FunctionCall):
        return value.user_defined or value.name in {"POINT", "CENTROID"}
    return isinstance(value, ColumnReference)


def without_system(arguments: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the arguments of a geometry without its coordinate system, if it begins with one.

    A string literal is one; so is NULL, which ADQL 2.0 services take for the default system.
    """
    return arguments[1:] if arguments and isinstance(arguments[0], String | Null) else arguments


def _centre(numbers: int) -> Callable[[tuple[Value, ...]], str | None]:
    """Return the check of ``[<coord_sys>,] <coordinates> | <coord_value>, <number>...``."""

    def complaint(arguments: tuple[Value, ...]) -> str | None:
        rest = without_system(arguments)
        if len(rest) == numbers + 2 or (len(rest) == numbers + 1 and _is_point(rest[0])):
            return None
        return "the centre must be two coordinates, or one point or column"

    return complaint


def _vertices(arguments: tuple[Value, ...]) -> str | None:
    rest = without_system(arguments)
    if (len(rest) >= 6 and len(rest) % 2 == 0) or (len(rest) >= 3 and all(map(_is_point, rest))):
        return None
    return "the vertices must be three pairs of coordinates or more, or three points or columns or more"


def _point(arguments: tuple[Value, ...]) -> str | None:
    return None if len(without_system(arguments)) == 2 else "a point has two coordinates"


def _distance(arguments: tuple[Value, ...]) -> str | None:
    if len(arguments) == 4 or (len(arguments) == 2 and all(map(_is_point, arguments))):
        return None
    return "the arguments must be two points or columns, or four coordinates"


def _system(arguments: tuple[Value, ...]) -> str | None:
    return None if _is_point(arguments[0]) else "the argument must be a point or a column"


_ONE, _TWO = Shape(Family.NUMERIC, 1, 1), Shape(Family.NUMERIC, 2, 2)

FUNCTIONS: Mapping[str, Shape] = MappingProxyType(
    dict.fromkeys(("ACOS", "ASIN", "ATAN", "COS", "COT", "SIN", "TAN"), _ONE)
    | dict.fromkeys(("ABS", "CEILING", "DEGREES", "EXP", "FLOOR", "LOG", "LOG10", "RADIANS", "SQRT", "AREA"), _ONE)
    | dict.fromkeys(("ATAN2", "MOD", "POWER", "CONTAINS", "INTERSECTS"), _TWO)
    | dict.fromkeys(("ROUND", "TRUNCATE"), Shape(Family.NUMERIC, 1, 2, _digits))
    | dict.fromkeys(("COORD1", "COORD2"), Shape(Family.NUMERIC, 1, 1, _system))
    | dict.fromkeys(("LOWER", "UPPER", "COORDSYS"), Shape(Family.STRING, 1, 1))
    | {
        "PI": Shape(Family.NUMERIC, 0, 0),
        "RAND": Shape(Family.NUMERIC, 0, 1, _seed),
        "IN_UNIT": Shape(Family.NUMERIC, 2, 2, _unit),
        "DISTANCE": Shape(Family.NUMERIC, 2, 4, _distance),
        "COALESCE": Shape(Family.ANY, 1, None),
        "POINT": Shape(Family.GEOMETRY, 2, 3, _point),
        "CIRCLE": Shape(Family.GEOMETRY, 2, 4, _centre(1)),
        "BOX": Shape(Family.GEOMETRY, 3, 5, _centre(2)),
        "POLYGON": Shape(Family.GEOMETRY, 3, None, _vertices),
        "CENTROID": Shape(Family.GEOMETRY, 1, 1),
        "REGION": Shape(Family.GEOMETRY, 1, 1, _region),
    }
)
"""By name in upper case; set functions, ``CAST`` and ``CASE`` are not among them."""
