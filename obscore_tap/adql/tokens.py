"""The words of an ADQL query, and the limits on its size, which hold before anything else is done with it."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

from obscore_tap.adql.atoms import Position
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.words import RESERVED_WORDS

IDENTIFIER, DELIMITED, NUMBER, STRING, END = "identifier", "delimited", "number", "string", "end"
"""Kinds of tokens; a reserved word, in upper case, and a symbol are kinds of their own."""

_TOKEN = re.compile(
    r"""(?P<gap>[ \t\r\n\f]++|--[^\r\n]*+)
      | (?P<word>[A-Za-z][A-Za-z0-9_]*+)
      | (?P<hexadecimal>0[xX][0-9A-Fa-f]++)
      | (?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
      | (?P<string>'[^']*+(?:''[^']*+)*+')
      | (?P<delimited>"[^"]*+(?:""[^"]*+)*+")
      | (?P<symbol><>|!=|<=|>=|\|\||[()*,.+\-/<>=])
      | (?P<wrong>.)""",
    re.VERBOSE | re.DOTALL,
)
_NEWLINE = re.compile(r"\r\n|\r|\n")

_OPENING, _CLOSING = frozenset({"(", "CASE"}), frozenset({")", "END"})

_WRONG = {
    ";": "';' has no place in ADQL: a query is one statement and ends with its text",
    "'": "this string is not closed: ' is missing",
    '"': 'this name is not closed: " is missing',
    "\0": "a query must not hold the character NUL",
    "[": "'[' has no place in ADQL: names that are no regular identifiers stand in double quotes",
    "`": "'`' has no place in ADQL: names that are no regular identifiers stand in double quotes",
    "%": "'%' has no place in ADQL: the remainder is MOD(a, b)",
    "^": "'^' has no place in ADQL: powers are POWER(a, b)",
    "_": "a name must begin with a letter of a to z, or stand in double quotes",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a query may be."""

    size: int = 1_048_576
    """Bytes of its text in UTF-8."""
    tokens: int = 100_000
    """Words and symbols: a list of nearly 50,000 values. Reading so many takes up to half a second of the processor."""
    depth: int = 40
    """Brackets, ``CASE`` expressions and joins inside one another."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a query, in parallel lists; the last one is `END`."""

    kinds: list[str]
    texts: list[str]
    """As written."""
    starts: list[int]
    """Offsets in the text, in characters."""
    closings: dict[int, int]
    """Of each ``(``, by its index: the index of its ``)``."""
    lines: list[int]
    """Offsets at which lines begin."""
    positions: list[Position]
    """Where each of them begins."""

    def newline_before(self, index: int) -> bool:
        """Whether a newline stands between a token and the one before it."""
        end = self.starts[index - 1] + len(self.texts[index - 1])
        return bisect_right(self.lines, end) < bisect_right(self.lines, self.starts[index])


def tokenize(text: str, limits: Limits) -> Tokens:
    """Split a query into tokens (ADQL 2.1 section 2.1 and ``<token>`` of its grammar).

    Where a number runs into a name (``89x``, ``2desc``) both are tokens: nothing in the grammar asks for a space there.

    Raises
    ------
    AdqlError
        The text is larger than `limits` allow, has a character that ADQL has not, or a bracket, string or name is
        not closed.
    """
    _check_size(text, limits)
    lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
    kinds: list[str] = []
    texts: list[str] = []
    starts: list[int] = []
    for match in _TOKEN.finditer(text):
        group = match.lastgroup
        if group == "gap":
            continue
        word = match.group()
        if group == "word":
            upper = word.upper()
            kinds.append(upper if upper in RESERVED_WORDS else IDENTIFIER)
        elif group == "symbol":
            kinds.append(word)
        elif group in {NUMBER, STRING, DELIMITED}:
            kinds.append(group)
            if word == '""':
                raise AdqlError("a name must not be empty", *_position(lines, match.start()))
        else:
            raise AdqlError(_complaint(word), *_position(lines, match.start()))
        texts.append(word)
        starts.append(match.start())
        if len(kinds) > limits.tokens:
            raise AdqlError(
                f"the query is too long: more than {limits.tokens} words and symbols; upload long lists as a table "
                "(UPLOAD), and join it"
            )
    kinds.append(END)
    texts.append("")
    starts.append(len(text))
    closings = _match_brackets(kinds, starts, lines, limits)
    return Tokens(kinds, texts, starts, closings, lines, [_position(lines, start) for start in starts])


def _check_size(text: str, limits: Limits) -> None:
    try:
        size = len(text) if len(text) > limits.size else len(text.encode())
    except UnicodeEncodeError as error:
        raise AdqlError("the query is not valid Unicode: it holds half of a surrogate pair") from error
    if size > limits.size:
        raise AdqlError(f"the query is too long: more than {limits.size} bytes")
    if "\0" in text:
        lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
        raise AdqlError(_WRONG["\0"], *_position(lines, text.index("\0")))


def _match_brackets(kinds: list[str], starts: list[int], lines: list[int], limits: Limits) -> dict[int, int]:
    closings: dict[int, int] = {}
    open_brackets: list[int] = []
    depth = 0
    for index, kind in enumerate(kinds):
        if kind in _OPENING:
            depth += 1
            if depth > limits.depth:
                where = _position(lines, starts[index])
                raise AdqlError(f"the query is nested too deep: more than {limits.depth} levels", *where)
            if kind == "(":
                open_brackets.append(index)
        elif kind in _CLOSING:
            depth -= 1
            if kind == ")" and open_brackets:
                closings[open_brackets.pop()] = index
    if open_brackets:
        raise AdqlError("this bracket is not closed: ) is missing", *_position(lines, starts[open_brackets[-1]]))
    return closings


def _position(lines: list[int], offset: int) -> Position:
    line = bisect_right(lines, offset)
    return line, offset - lines[line - 1] + 1


def _complaint(text: str) -> str:
    if text in _WRONG:
        return _WRONG[text]
    if len(text) > 1:
        return f"{text}: ADQL 2.1 has no hexadecimal numbers"
    if text.isascii() and text.isprintable():
        return f"'{text}' has no place in ADQL"
    name = unicodedata.name(text, f"U+{ord(text):04X}")
    return f"the character {name} may stand in strings, names in double quotes and comments only"
