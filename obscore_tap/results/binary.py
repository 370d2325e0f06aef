"""VOTable's BINARY2 and BINARY (VOTable 1.4 sections 5.4 and 5.3): the database packs the bytes of a row itself.

Text that can be more than ASCII is UTF-16 there, which PostgreSQL does not write: such columns come as text of their
own between the packed bytes, and are encoded on the way by C code.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from operator import methodcaller

from obscore_tap.results.fields import null_of
from obscore_tap.results.values import FLOATS, INTEGERS, SHAPES, array_of, coordinates, over, text_of
from obscore_tap.results.votable import head, tail
from obscore_tap.results.writer import Batch, Ending, Heading, numbered
from obscore_tap.schema import Datatype, OutputColumn

_SEND = {16: "int2send", 32: "int4send", 64: "int8send"}
_FLOAT_SEND = {Datatype.REAL: "float4send", Datatype.DOUBLE: "float8send"}
_EMPTY = r"'\x00000000'::bytea"
_UTF16 = methodcaller("encode", "utf-16-be")
_UNROLLED = 8
"""Numbers in a polygon of four corners: most footprints."""


class BinaryWriter:
    """Writes BINARY2 or BINARY."""

    tells_errors = True

    def __init__(self, columns: Sequence[OutputColumn], heading: Heading, version: str, flags: bool) -> None:
        self._columns, self._heading, self._version, self._flags = tuple(columns), heading, version, flags
        self.row, self._texts = _packed(self._columns, flags)
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
        if any(self._texts):
            columns = zip(*batch, strict=True)
            encoded = (
                map(_UTF16, column) if is_text else column for column, is_text in zip(columns, self._texts, strict=True)
            )
            joined = b"".join(chain((self._rest,), chain.from_iterable(zip(*encoded, strict=True))))
        else:
            joined = b"".join(chain((self._rest,), chain.from_iterable(batch)))  # type: ignore[arg-type] # no str here
        whole = len(joined) - len(joined) % 3
        self._rest = joined[whole:]
        return b2a_base64(memoryview(joined)[:whole])

    def end(self, ending: Ending) -> bytes:
        """Return the last bytes and what follows the stream."""
        last = b2a_base64(self._rest) if self._rest else b""
        closing = f"</STREAM></{self._element}></DATA>\n" + tail(self._columns, self._heading, ending)
        return last + closing.encode()


@lru_cache(maxsize=256)
def _packed(columns: tuple[OutputColumn, ...], flags: bool) -> tuple[str, tuple[bool, ...]]:
    """Return the SQL expressions of a row, and which of them are text that is to be encoded."""
    expressions: list[str] = []
    texts: list[bool] = []
    waiting = _null_flags(columns) if flags else []
    for name, column in numbered(columns):
        if column.datatype is Datatype.TEXT and column.unicode:
            expressions += [_joined([*waiting, _utf16_length(name)]), f"coalesce({name}, '')::varchar"]
            texts += [False, True]
            waiting = []
        else:
            waiting += _bytes_of(name, column.datatype, flags)
    if waiting:
        expressions.append(_joined(waiting))
        texts.append(False)
    return ", ".join(expressions), tuple(texts)


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


def _utf16_length(name: str) -> str:
    """Count UTF-16 units: a character outside the basic plane has two."""
    beyond = rf"char_length(regexp_replace({name}, '[^\U00010000-\U0010ffff]', '', 'g'))"
    counted = f"CASE octet_length({name}) WHEN char_length({name}) THEN 0 ELSE {beyond} END"
    return f"int4send(coalesce(char_length({name}) + {counted}, 0))"


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
        if fixed is None:
            return [_doubles(array_of(name, datatype), name)]
        return [f"float8send(coalesce({number}, 'NaN'))" for number in fixed]
    value, send = (name, "") if datatype is Datatype.BLOB else (text_of(name, datatype), "textsend")
    return [f"coalesce(int4send(octet_length({value})) || {send}({value}), {_EMPTY})"]


def _doubles(array: str, name: str) -> str:
    """Return the SQL expression of an array of doubles with its length."""
    numbers = "string_agg(float8send(coalesce(v, 'NaN')), '' ORDER BY i)"
    if array != name:  # it is worked out once, not for its length and again for its numbers
        return over("unnest", array, f"int4send(count(*)::integer) || coalesce({numbers}, '')")
    unrolled = _joined([f"float8send(coalesce(({name})[{number + 1}], 'NaN'))" for number in range(_UNROLLED)])
    each = f"CASE cardinality({name}) WHEN {_UNROLLED} THEN {unrolled} ELSE {over('unnest', name, numbers)} END"
    return f"coalesce(int4send(cardinality({name})) || {each}, {_EMPTY})"
