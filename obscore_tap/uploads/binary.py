"""The serializations BINARY and BINARY2 (VOTable 1.4 sections 5.3 to 5.5), row by row from any pieces."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from obscore_tap.refusals import Refusal, TooLarge
from obscore_tap.uploads.cells import Element, Value
from obscore_tap.uploads.fields import Field

_CODES: Final = {
    "unsignedByte": "B", "short": "h", "int": "i", "long": "q", "float": "f", "double": "d", "floatComplex": "ff",
    "doubleComplex": "dd",
}  # fmt: skip
LONGEST_ROW: Final = 16 * 2**20
"""Bytes of a row, or of a cell in TABLEDATA: what may have to be held at a time."""
_BOOLEANS: Final = {**dict.fromkeys(b"Tt1", True), **dict.fromkeys(b"Ff0", False), **dict.fromkeys(b"? \0", None)}


class _NotYet(Exception):  # noqa: N818 - no fault: the rest of the row has not come
    """The row goes on in the next piece."""


class Base64:
    """Decodes base64 that comes in pieces of any length, with white space anywhere."""

    def __init__(self) -> None:
        self._left = ""

    def feed(self, text: str) -> bytes:
        """Return the bytes that can be told by now.

        Raises
        ------
        Refusal
            It is no base64.
        """
        letters = self._left + "".join(text.split())
        whole = len(letters) - len(letters) % 4
        self._left = letters[whole:]
        try:
            return binascii.a2b_base64(letters[:whole], strict_mode=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(f"the STREAM is no base64 ({error})") from error

    def end(self) -> None:
        """Refuse a text that is cut off."""
        if self._left:
            raise Refusal("the STREAM of base64 is cut off")


class Rows:
    """Cuts bytes into rows.

    Parameters
    ----------
    fields
        The columns.
    null_flags
        Whether each row begins with a bit for each column that tells a null (BINARY2).
    """

    def __init__(self, fields: Sequence[Field], *, null_flags: bool) -> None:
        self._readers = [_reader(field) for field in fields]
        self._flags = (len(fields) + 7) // 8 if null_flags else 0
        self._empty_is_null = [field.is_text and not null_flags for field in fields]
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[list[Value]]:
        """Yield the rows that are complete by now."""
        self._buffer += piece
        at = 0
        try:
            while at < len(self._buffer):
                row, end = self._row(at)
                if end == at:
                    raise Refusal("the rows of the table have no bytes")
                yield row
                at = end
        except _NotYet:
            pass
        del self._buffer[:at]
        if len(self._buffer) > LONGEST_ROW:
            raise TooLarge(f"a row has more than {LONGEST_ROW} bytes")

    def end(self) -> None:
        """Refuse bytes that are no whole row."""
        if self._buffer:
            raise Refusal(f"the STREAM ends within a row: {len(self._buffer)} bytes are left")

    def _row(self, at: int) -> tuple[list[Value], int]:
        buffer = self._buffer
        flags = buffer[at : at + self._flags]
        at += self._flags
        if at > len(buffer):
            raise _NotYet
        row: list[Value] = []
        for number, read in enumerate(self._readers):
            value, at = read(buffer, at)
            is_null = (flags and flags[number >> 3] & (128 >> (number & 7))) or (
                value == "" and self._empty_is_null[number]
            )
            row.append(None if is_null else value)
        return row, at


def _reader(field: Field) -> Callable[[bytearray, int], tuple[Value, int]]:
    decode = _decoder(field)
    size, fixed, bits = field.element_bytes, field.length, field.datatype == "bit"

    def read(buffer: bytearray, at: int) -> tuple[Value, int]:
        count = fixed
        if count is None:
            if at + 4 > len(buffer):
                raise _NotYet
            (count,) = struct.unpack_from(">i", buffer, at)
            at += 4
            if count < 0:
                raise Refusal(f"column {field.name!r}: an array has {count} elements")
        end = at + ((count + 7) // 8 if bits else count * size)
        if end > len(buffer):
            raise _NotYet
        return decode(buffer[at:end], count), end

    if field.scalar and field.datatype in _CODES and "Complex" not in field.datatype:
        unpack = struct.Struct(">" + _CODES[field.datatype]).unpack_from

        def read_number(buffer: bytearray, at: int) -> tuple[Value, int]:
            if at + size > len(buffer):
                raise _NotYet
            return unpack(buffer, at), at + size

        return read_number
    return read


def _decoder(field: Field) -> Callable[[bytearray, int], Value]:
    if field.datatype == "char":
        return lambda part, _count: part.partition(b"\0")[0].decode("utf-8", "replace")
    if field.datatype == "unicodeChar":
        return lambda part, _count: part.decode("utf-16-be", "replace").partition("\0")[0]
    if field.datatype == "boolean":
        return lambda part, _count: [_boolean(byte) for byte in part]
    if field.datatype == "bit" and field.scalar:
        return lambda part, _count: [int(any(part))]  # writers do not agree on which bit of the byte it is
    if field.datatype == "bit":
        return lambda part, count: [part[bit >> 3] >> (7 - (bit & 7)) & 1 for bit in range(count)]
    code = _CODES[field.datatype]
    return lambda part, count: struct.unpack(f">{count * len(code)}{code[0]}", part)


def _boolean(byte: int) -> Element:
    if byte not in _BOOLEANS:
        raise Refusal(f"a boolean is the byte {byte}")
    return _BOOLEANS[byte]
