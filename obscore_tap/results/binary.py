"""VOTable's BINARY2 and BINARY (VOTable 1.4 sections 5.4 and 5.3): the database packs the bytes of a row itself.

Text that can be more than ASCII is UTF-16 there, which PostgreSQL does not write: it leaves the room, and `utf16` fills
it, many rows at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from pybase64 import b64encode

from obscore_tap.results.fields import null_of
from obscore_tap.results.utf16 import Counted, widened
from obscore_tap.results.values import FLOATS, INTEGERS, SHAPES, array_of, coordinates, over, text_of
from obscore_tap.results.votable import head, tail
from obscore_tap.results.writer import Batch, Ending, Heading, numbered
from obscore_tap.schema import Datatype, OutputColumn

_SEND = {16: "int2send", 32: "int4send", 64: "int8send"}
_FLOAT_SEND = {Datatype.REAL: "float4send", Datatype.DOUBLE: "float8send"}
_EMPTY = r"'\x00000000'::bytea"
_ARRAY_HEAD = 20
"""Bytes before the first element of an array of one dimension, as PostgreSQL sends it."""
_UNROLLED = 8
"""Numbers in a polygon of four corners: most footprints."""


class BinaryWriter:
    """Writes BINARY2 or BINARY."""

    tells_errors = True

    def __init__(self, columns: Sequence[OutputColumn], heading: Heading, version: str, flags: bool) -> None:
        self._columns, self._heading, self._version, self._flags = tuple(columns), heading, version, flags
        self.row, self._layout = _packed(self._columns, flags)
        self._element = "BINARY2" if flags else "BINARY"
        self._rest = b""

    def begin(self) -> bytes:
        """Return everything up to the stream."""
        start = head(self._columns, self._heading, not self._flags, self._version)
        return f'{start}<DATA><{self._element}><STREAM encoding="base64">\n'.encode()

    def rows(self, batch: Batch) -> bytes:
        """Return rows in base64. Groups of three bytes never span two calls: the rest waits for the next rows."""
        if not batch:
            return b""
        joined = memoryview(self._whole(batch))  # type: ignore[arg-type] # arrays are buffers; Python 3.11 cannot say so
        whole = len(joined) - len(joined) % 3
        self._rest = bytes(joined[whole:])
        return b64encode(joined[:whole]) + b"\n"

    def _whole(self, batch: Batch) -> bytes | bytearray | NDArray[np.uint8]:
        rows = list(chain((self._rest,), chain.from_iterable(batch)))
        if not self._layout:
            return b"".join(rows)
        ends = np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)))
        return widened(bytearray().join(rows), ends[:-1], self._layout)

    def end(self, ending: Ending) -> bytes:
        """Return the last bytes and what follows the stream."""
        last = b64encode(self._rest)
        closing = f"</STREAM></{self._element}></DATA>\n" + tail(self._columns, self._heading, ending)
        return last + closing.encode()


@lru_cache(maxsize=256)
def _packed(columns: tuple[OutputColumn, ...], flags: bool) -> tuple[str, tuple[Counted, ...]]:
    """Return the SQL expression of a row, and where its text is that is to be UTF-16."""
    expressions = _null_flags(columns) if flags else []
    layout: list[Counted] = []
    skip, wanted = (len(columns) + 7) // 8 if flags else 0, 0
    for name, column in numbered(columns):
        is_wide = column.datatype is Datatype.TEXT and column.unicode
        expressions += [_twice(name)] if is_wide else _bytes_of(name, column.datatype, flags)
        if (width := _width(column.datatype)) is not None:
            skip += width
            continue
        size = 8 if column.datatype in SHAPES else 4 if column.datatype is Datatype.INTEGERS else 1
        layout.append(Counted(skip, 2 if is_wide else size, is_wide))
        skip, wanted = 0, len(layout) if is_wide else wanted
    return _joined(expressions), tuple(layout[:wanted])


def _width(datatype: Datatype) -> int | None:
    """Return the bytes of every value of a type, or None where a count of them comes first."""
    if datatype in INTEGERS:
        return INTEGERS[datatype] // 8
    fixed = {Datatype.REAL: 4, Datatype.DOUBLE: 8, Datatype.BOOLEAN: 1}
    if datatype in SHAPES and (numbers := coordinates("", datatype)) is not None:
        return 8 * len(numbers)
    return fixed.get(datatype)


def _joined(parts: Sequence[str]) -> str:
    """Return the SQL expression of parts one after the other, as a balanced tree, which copies the fewest bytes."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle])} || {_joined(parts[middle:])})"


def _null_flags(columns: Sequence[OutputColumn]) -> list[str]:
    """Return one bit a column, the first one the highest of its byte (VOTable 1.4 section 5.4)."""
    found = []
    for start in range(0, len(columns), 32):
        names = [name for name, _ in numbered(columns)[start : start + 32]]
        bits = " | ".join(
            f"CASE WHEN {name} IS NULL THEN {_signed(1 << (31 - position))} ELSE 0 END"
            for position, name in enumerate(names)
        )
        count = (len(names) + 7) // 8
        found.append(f"int4send({bits})" if count == 4 else f"substring(int4send({bits}) FROM 1 FOR {count})")
    return found


def _signed(bit: int) -> str:
    return str(bit) if bit < 1 << 31 else "(-2147483648)"


def _twice(name: str) -> str:
    """Return the SQL expression of text with the room that its UTF-16 needs."""
    return f"coalesce(int4send(octet_length({name})) || textsend({name} || {name}), {_EMPTY})"


def _bytes_of(name: str, datatype: Datatype, flags: bool) -> list[str]:
    """Return the SQL expressions of the bytes of a value; a null has the bytes of some value of its type."""
    if datatype in INTEGERS:
        null = 0 if flags else null_of(datatype)
        return [f"{_SEND[INTEGERS[datatype]]}(coalesce({name}, ({null})::{datatype.value}))"]
    if datatype in FLOATS:
        return [f"{_FLOAT_SEND[datatype]}(coalesce({name}, 'NaN'))"]
    if datatype is Datatype.BOOLEAN:
        return [rf"CASE WHEN {name} THEN '\x54'::bytea WHEN NOT {name} THEN '\x46'::bytea ELSE '\x3f'::bytea END"]
    if datatype in SHAPES:
        fixed = coordinates(name, datatype)
        numbers = [f"float8send(coalesce({number}, 'NaN'))" for number in fixed or ()]
        return numbers or [_doubles(array_of(name, datatype), name)]
    if datatype is Datatype.INTEGERS:
        length, content = f"cardinality({name})", over("unnest", name, "string_agg(int4send(v), '' ORDER BY i)")
    elif datatype in {Datatype.BLOB, Datatype.TEXT}:
        length, content = f"octet_length({name})", name if datatype is Datatype.BLOB else f"textsend({name})"
    else:
        return [_text_and_length(text_of(name, datatype))]
    return [f"coalesce(int4send({length}) || {content}, {_EMPTY})"]


def _text_and_length(text: str) -> str:
    """Return the SQL expression of a text that is worked out once, not for its length and again for its bytes.

    An array's element is its length and its bytes, too.
    """
    return f"substring(array_send(ARRAY[coalesce({text}, '')]) FROM {_ARRAY_HEAD + 1})"


def _doubles(array: str, name: str) -> str:
    """Return the SQL expression of an array of doubles with its length."""
    numbers = "string_agg(float8send(coalesce(v, 'NaN')), '' ORDER BY i)"
    if array != name:  # it is worked out once, not for its length and again for its numbers
        return over("unnest", array, f"int4send(count(*)::integer) || coalesce({numbers}, '')")
    unrolled = _joined([f"float8send(coalesce(({name})[{number + 1}], 'NaN'))" for number in range(_UNROLLED)])
    each = f"CASE cardinality({name}) WHEN {_UNROLLED} THEN {unrolled} ELSE {over('unnest', name, numbers)} END"
    return f"coalesce(int4send(cardinality({name})) || {each}, {_EMPTY})"
