"""UTF-16 in packed rows against Python's own codec, on whatever text there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obscore_tap.results.utf16 import Counted, widened

LAYOUT = (Counted(5, 1, False), Counted(0, 2, True), Counted(9, 8, False), Counted(2, 2, True))
"""Flags; a char column and a text; nine bytes of numbers; an array of doubles; two bytes; another text."""
TEXT = st.text(st.one_of(st.characters(max_codepoint=127), st.characters(exclude_categories=["Cs"])), max_size=12)
ROW = st.tuples(st.binary(max_size=9), TEXT, st.integers(0, 3), TEXT, st.binary(max_size=20))


def counted(count: int, content: bytes) -> bytes:
    return count.to_bytes(4, "big") + content


def sent(text: str) -> bytes:
    octets = text.encode()
    return counted(len(octets), octets * 2)


def wanted(text: str) -> bytes:
    units = text.encode("utf-16-be")
    return counted(len(units) // 2, units)


def packed(row: tuple[bytes, str, int, str, bytes], *, done: bool) -> bytes:
    plain, first, doubles, second, after = row
    text = wanted if done else sent
    middle = b"\xff" * 9 + counted(doubles, b"\x80" * 8 * doubles) + b"\x00\x01"
    return b"flags" + counted(len(plain), plain) + text(first) + middle + text(second) + after


def in_utf16(rows: list[tuple[bytes, str, int, str, bytes]], before: bytes = b"") -> bytes:
    pieces = [before, *(packed(row, done=False) for row in rows)]
    starts = np.cumsum([len(piece) for piece in pieces])[:-1]
    return bytes(widened(bytearray().join(pieces), starts, LAYOUT))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6), st.binary(max_size=2))
def test_text_becomes_what_python_encodes_and_nothing_else_changes(
    rows: list[tuple[bytes, str, int, str, bytes]], before: bytes
) -> None:
    assert in_utf16(rows, before) == before + b"".join(packed(row, done=True) for row in rows)


@pytest.mark.parametrize("text", ["", "plain", "Ω", "ÿ漢", "😀", "a😀Ωb", "\U0010ffff\u0800"])
def test_every_width_of_utf_8(text: str) -> None:
    row = (b"", text, 1, "between", b"")
    assert in_utf16([row, row]) == packed(row, done=True) * 2
