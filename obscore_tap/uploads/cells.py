"""One cell of an uploaded table on its way into COPY: VOTable's text or bytes in, PostgreSQL's text out.

Between the two a value is what Python has for it: None, a str, or a list of the elements of a cell, None where an
element is null. What is no value of the column's type raises ValueError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from obscore_tap.schema import Datatype
from obscore_tap.uploads.fields import Field

Element = bool | int | float | None
Value = str | Sequence[Element] | None

NULL: Final = "\\N"
_ESCAPES: Final = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_TIMESTAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?))?Z?", re.ASCII)
_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_STC_POINT: Final = re.compile(rf"(?:(?:position|point)\b[A-Za-z0-9\s]*?\s)?({_NUMBER})\s+({_NUMBER})", re.I | re.ASCII)
_TRUE: Final = frozenset({"t", "true", "1"})
_FALSE: Final = frozenset({"f", "false", "0"})
_RANGES: Final = {
    "unsignedByte": (0, 255), "short": (-(2**15), 2**15 - 1), "int": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1), "bit": (0, 1),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------- from TABLEDATA


def text_reader(field: Field) -> Callable[[str], Value]:
    """Return what reads the text of a cell (VOTable 1.4 sections 2.1 and 5.1); an empty cell is null."""
    if field.is_text:
        return lambda text: text or None
    if field.datatype == "bit":
        return lambda text: [int(digit, 2) for digit in "".join(text.split())] or None
    element = _element_reader(field)
    if field.scalar and "Complex" not in field.datatype:
        return lambda text: [element(text.strip())] if text.strip() else None
    return lambda text: [element(word) for word in text.split()] or None


def _element_reader(field: Field) -> Callable[[str], Element]:
    null = field.null
    if field.datatype == "boolean":
        return _boolean
    if field.datatype in _RANGES:
        low, high = _RANGES[field.datatype]

        def integer(word: str) -> int | None:
            if word == null or word.lower() == "nan":
                return None
            _refuse_underscore(word)
            number = int(word, 16) if word[:2].lower() == "0x" else int(word)
            if not low <= number <= high:
                raise ValueError("it is out of range")
            return number

        return integer

    def number(word: str) -> float | None:
        _refuse_underscore(word)
        return None if word == null else float(word)

    return number


def _refuse_underscore(word: str) -> None:
    if "_" in word:  # Python lets it stand between digits
        raise ValueError("a number has no underscore")


def _boolean(word: str) -> bool | None:
    low = word.lower()
    if low in _TRUE:
        return True
    if low in _FALSE:
        return False
    if word in ("?", ""):
        return None
    raise ValueError("a boolean is T, F or ?")


# ---------------------------------------------------------------------------------------------------------- into COPY


def copy_writer(field: Field) -> Callable[[Value], str]:
    """Return what writes a value for ``COPY … FROM STDIN`` in text format."""
    write = _WRITERS[field.column.datatype]
    if field.column.datatype is Datatype.TEXT and not field.is_text:
        write = _bits if field.datatype == "bit" else _words
    if field.column.datatype is Datatype.POINT and field.is_text:
        write = _stc_point
    missing = _declared_null(field)

    def text_of(value: Value) -> str:
        if value is None or missing(value):
            return NULL
        return write(value)

    return text_of


def _declared_null(field: Field) -> Callable[[Value], bool]:
    """Return what tells the null of BINARY, which has no other way to say it (VOTable 1.4 section 5.5)."""
    if field.null is None or field.is_text or not field.scalar or field.datatype == "boolean":
        return lambda value: False
    try:
        null = int(field.null, 0) if field.datatype in _RANGES else float(field.null)
    except ValueError:
        return lambda value: False
    return lambda value: value is not None and _single(value) == null


def _text(value: Value) -> str:
    return str(value).translate(_ESCAPES)


def _number(value: Value) -> str:
    element = _single(value)
    return NULL if element is None or math.isnan(element) else repr(element)


def _truth(value: Value) -> str:
    element = _single(value)
    return NULL if element is None else "t" if element else "f"


def _array(value: Value) -> str:
    return "{" + ",".join("NULL" if element is None else repr(element) for element in _elements(value)) + "}"


def _blob(value: Value) -> str:
    if any(element is None for element in _elements(value)):
        raise ValueError("an array of bytes cannot hold nulls")
    return "\\\\x" + bytes(int(element or 0) for element in _elements(value)).hex()


def _words(value: Value) -> str:
    return " ".join("?" if element is None else _word(element) for element in _elements(value))


def _word(element: Element) -> str:
    return ("T" if element else "F") if isinstance(element, bool) else repr(element)


def _bits(value: Value) -> str:
    return "".join(str(int(element or 0)) for element in _elements(value))


def _timestamp(value: Value) -> str:
    if not str(value).strip():
        return NULL
    matched = _TIMESTAMP.fullmatch(str(value).strip())
    if matched is None:
        raise ValueError("a time like 2030-01-31T12:00:00.000 is needed")
    return f"{matched[1]} {matched[2] or '00:00:00'}"


def _point(value: Value) -> str:
    numbers = _degrees(value)
    return NULL if numbers is None else _pair(numbers, 2)


def _stc_point(value: Value) -> str:
    if not str(value).strip():
        return NULL
    matched = _STC_POINT.fullmatch(str(value).strip())
    if matched is None:
        raise ValueError("a position in STC-S is needed")
    return _pair([float(matched[1]), float(matched[2])], 2)


def _circle(value: Value) -> str:
    numbers = _degrees(value)
    if numbers is None:
        return NULL
    if len(numbers) != 3 or not 0 <= numbers[2] <= 180:
        raise ValueError("a circle has a longitude, a latitude and a radius in degrees")
    return f"<{_pair(numbers[:2], 2)},{numbers[2]!r}d>"


def _polygon(value: Value) -> str:
    numbers = _degrees(value)
    if numbers is None:
        return NULL
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("a polygon has three or more pairs of longitude and latitude")
    return "{" + ",".join(_pair(numbers[at : at + 2], 2) for at in range(0, len(numbers), 2)) + "}"


def _interval(value: Value) -> str:
    if len(_elements(value)) != 2:
        raise ValueError("an interval has two limits")
    return _array(value)


def _degrees(value: Value) -> list[float] | None:
    """Return coordinates; None where they are NaN, which is how DALI 1.1 section 3.3.5 writes a null position."""
    numbers = [math.nan if element is None else float(element) for element in _elements(value)]
    return None if all(math.isnan(number) for number in numbers) else numbers


def _pair(numbers: Sequence[float], length: int) -> str:
    if len(numbers) != length or not all(map(math.isfinite, numbers)) or abs(numbers[1]) > 90:
        raise ValueError("a longitude and a latitude from -90 to 90 degrees are needed")
    return f"({numbers[0]!r}d,{numbers[1]!r}d)"


def _single(value: Value) -> Element:
    elements = _elements(value)
    if len(elements) != 1:
        raise ValueError("one value is needed")
    return elements[0]


def _elements(value: Value) -> Sequence[Element]:
    if value is None or isinstance(value, str):
        raise ValueError("numbers are needed")
    return value


_WRITERS: Final[dict[Datatype, Callable[[Value], str]]] = {
    Datatype.SMALLINT: _number,
    Datatype.INTEGER: _number,
    Datatype.BIGINT: _number,
    Datatype.REAL: _number,
    Datatype.DOUBLE: _number,
    Datatype.BOOLEAN: _truth,
    Datatype.TEXT: _text,
    Datatype.TIMESTAMP: _timestamp,
    Datatype.POINT: _point,
    Datatype.CIRCLE: _circle,
    Datatype.POLYGON: _polygon,
    Datatype.DOUBLES: _array,
    Datatype.INTEGERS: _array,
    Datatype.INTERVAL: _interval,
    Datatype.BLOB: _blob,
}
