"""The words of ADQL (ADQL 2.1 section 2.1), and the limits that hold before a query is read."""

from __future__ import annotations

import pytest

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.tokens import Limits, tokenize
from obscore_tap.adql.words import RESERVED_WORDS

LIMITS = Limits()


def kinds(text: str) -> list[str]:
    return tokenize(text, LIMITS).kinds[:-1]


def texts(text: str) -> list[str]:
    return tokenize(text, LIMITS).texts[:-1]


def test_words_have_no_case() -> None:
    assert kinds("sELect FROM obs_id Obs_Id") == ["SELECT", "FROM", "identifier", "identifier"]


@pytest.mark.parametrize("number", ["0", "12", "12.", ".5", "1.25", "1e5", "1.E-3", ".5e+10", "007"])
def test_a_number_is_one_token(number: str) -> None:
    assert kinds(number) == ["number"]
    assert texts(number) == [number]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1.2.3", ["1.2", ".3"]),
        ("1e", ["1", "e"]),
        ("89x", ["89", "x"]),
        ("1e5e5", ["1e5", "e5"]),
        ("a.b", ["a", ".", "b"]),
        ("a<>b!=c<=d", ["a", "<>", "b", "!=", "c", "<=", "d"]),
        ("'it''s'||'x'", ["'it''s'", "||", "'x'"]),
        ('"a ""b"" c".d', ['"a ""b"" c"', ".", "d"]),
        ("5--3\n-4", ["5", "-", "4"]),
        ("a-- 'not' closed: ' \r\nb--", ["a", "b"]),
        ("a\t\f\r\n b", ["a", "b"]),
    ],
)
def test_text_falls_into_tokens(text: str, parts: list[str]) -> None:
    assert texts(text) == parts


def test_text_beyond_ascii_stands_in_strings_names_and_comments() -> None:
    assert kinds("'déjà' \"größe\" -- ☃\n'☃'") == ["string", "delimited", "string"]


def test_positions_count_lines_and_characters_from_one() -> None:
    tokens = tokenize("SELECT 'ä\n☃' a\r\n  b\rc", LIMITS)
    assert [tokens.positions[index] for index in range(6)] == [(1, 1), (1, 8), (2, 4), (3, 3), (4, 1), (4, 2)]


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("SELECT 'abc", 1, 8, "string is not closed"),
        ("SELECT 'a''", 1, 8, "string is not closed"),
        ('SELECT\n "abc', 2, 2, "name is not closed"),
        ('SELECT "a""', 1, 8, "name is not closed"),
        ('SELECT ""', 1, 8, "name must not be empty"),
        ("SELECT a;", 1, 9, "one statement"),
        ("SELECT 0x1F", 1, 8, "hexadecimal"),
        ("SELECT \u0430", 1, 8, "CYRILLIC SMALL LETTER A"),
        ("SELECT\u00a0a", 1, 7, "NO-BREAK SPACE"),
        ("SELECT \u2019a\u2019", 1, 8, "RIGHT SINGLE QUOTATION MARK"),
        ("SELECT \uff07a", 1, 8, "FULLWIDTH APOSTROPHE"),
        ("SELECT \x07", 1, 8, "U+0007"),
        ("SELECT\n\n'a\0'", 3, 3, "NUL"),
        ("SELECT _a", 1, 8, "begin with a letter"),
        ("SELECT a[1]", 1, 9, "no regular identifiers"),
        ("SELECT a % 2", 1, 10, "MOD"),
        ("SELECT a ^ 2", 1, 10, "POWER"),
        ("SELECT $1", 1, 8, "no place in ADQL"),
        ("SELECT (a, (b)", 1, 8, "not closed"),
    ],
)
def test_what_is_no_token_is_named_with_its_place(text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(AdqlError, match=said.replace("+", r"\+")) as error:
        tokenize(text, LIMITS)
    assert (error.value.line, error.value.column) == (line, column)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(AdqlError, match="surrogate"):
        tokenize("SELECT '\ud800'", LIMITS)


def test_a_reserved_word_of_2_1_is_no_regular_identifier() -> None:
    assert {"OFFSET", "ILIKE", "IN_UNIT", "BIGINT", "COT", "TOP", "SIZE", "COALESCE"} <= RESERVED_WORDS
    assert not {"MASS", "DEC", "VERSION", "FLAG", "LIMIT", "RECURSIVE"} & RESERVED_WORDS


@pytest.mark.parametrize(
    ("text", "limits", "said"),
    [
        ("a" * 101, Limits(size=100), "100 bytes"),
        ("'" + "é" * 60 + "'", Limits(size=100), "100 bytes"),
        ("a " * 11, Limits(tokens=10), "10 words and symbols; upload long lists as a table"),
        ("(" * 6 + ")" * 6, Limits(depth=5), "5 levels"),
        ("CASE " * 6 + "END " * 6, Limits(depth=5), "5 levels"),
    ],
)
def test_limits_hold(text: str, limits: Limits, said: str) -> None:
    with pytest.raises(AdqlError, match=said):
        tokenize(text, limits)


@pytest.mark.parametrize("text", ["a" * 100, "'" + "é" * 49 + "'", "((((()))))" * 3])
def test_limits_allow_what_they_name(text: str) -> None:
    tokenize(text, Limits(size=100, tokens=30, depth=5))


@pytest.mark.parametrize("unit", ["''", '"a', "--\n", "1e", "((", "'a''", '""""', "1."])
def test_time_grows_with_the_length_only(unit: str) -> None:
    """With the square of it, none of these ends within the limit of a test."""
    with pytest.raises(AdqlError):
        tokenize("SELECT '" + unit * 200_000 + ";", LIMITS)
