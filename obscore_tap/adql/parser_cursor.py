"""The place in the tokens of a query where its parser stands, and the errors that name it."""

from __future__ import annotations

from typing import NoReturn

from obscore_tap.adql.atoms import Identifier, Position
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.tokens import DELIMITED, END, IDENTIFIER, NUMBER, STRING, Limits, Tokens
from obscore_tap.adql.words import RESERVED_WORDS

A_NAME = (IDENTIFIER, DELIMITED)
A_COMPARISON = ("=", "<>", "!=", "<", ">", "<=", ">=")
LARGEST_INTEGER = 2**63 - 1

_IN_WORDS = (
    dict.fromkeys(A_NAME, "a name")
    | dict.fromkeys(A_COMPARISON, "a comparison")
    | dict.fromkeys(("+", "-", "*", "/", "||"), "an operator")
    | {NUMBER: "a number", STRING: "a string", END: "the end of the query"}
)
_CLAUSES = frozenset(
    """
    ALL AND AS ASC BETWEEN BY CASE CROSS DESC DISTINCT ELSE END EXCEPT EXISTS FROM FULL GROUP HAVING ILIKE IN INNER
    INTERSECT INTO IS JOIN LEFT LIKE NATURAL NOT NULL OFFSET ON OR ORDER OUTER RIGHT SELECT THEN TOP UNION USING WHEN
    WHERE WITH
    """.split()  # noqa: SIM905 - words read better without quotes
)
"""Reserved words that are seldom meant as names."""
_HINTS = {
    "CROSS": "ADQL has no CROSS JOIN: tables with a comma between them are joined so",
    "TRUE": "ADQL 2.1 has no boolean values",
    "FALSE": "ADQL 2.1 has no boolean values",
    "ESCAPE": "ADQL has no ESCAPE of patterns",
}


class Cursor:
    """Reads one token after the other; every question it is asked is remembered until it moves, for the error."""

    def __init__(self, tokens: Tokens, limits: Limits) -> None:
        self._tokens = tokens
        self._kinds = tokens.kinds
        self._positions = tokens.positions
        self._limits = limits
        self._index = 0
        self._kind = tokens.kinds[0]
        self._asked: list[str] = []

    def advance(self) -> int:
        """Go to the next token, and return the index of the one that was left."""
        index = self._index
        self._index = index + 1
        self._kind = self._kinds[index + 1]
        self._asked.clear()
        return index

    def at(self, *kinds: str) -> bool:
        """Whether the token is of one of these kinds."""
        self._asked += kinds
        return self._kind in kinds

    def accept(self, kind: str) -> bool:
        """Pass a token, if it is of this kind."""
        self._asked.append(kind)
        if self._kind != kind:
            return False
        self.advance()
        return True

    def expect(self, kind: str) -> int:
        """Pass a token that must be of this kind, and return its index."""
        self._asked.append(kind)
        if self._kind != kind:
            self.fail()
        return self.advance()

    def after(self, index: int) -> str:
        """Return the kind of the token that follows another, whatever the cursor is at."""
        return self._kinds[index + 1] if self._kinds[index] != END else END

    def position(self) -> Position:
        """Return where the token begins."""
        return self._positions[self._index]

    def fail(self, *expected: str) -> NoReturn:
        """Say that the token cannot stand here; `expected` is added to what was asked for, in words."""
        words = (*expected, *(_IN_WORDS.get(kind) or (kind if kind.isalpha() else f"'{kind}'") for kind in self._asked))
        raise AdqlError(self._found(), *self.position(), expected=tuple(dict.fromkeys(words)))

    def fail_as_value(self) -> NoReturn:
        """Say that no value begins with the token."""
        if self._kind == "SELECT":
            self.refuse("a query is no value in ADQL: subqueries stand in FROM, IN and EXISTS")
        found = self._found(may_be_name=True)
        words = dict.fromkeys(kind for kind in self._asked if kind not in {"NULL", "+", "-", "("})
        raise AdqlError(found, *self.position(), expected=("a value", *words))

    def refuse(self, message: str, position: Position | None = None) -> NoReturn:
        """Say in a sentence of its own what is wrong."""
        raise AdqlError(message, *(position or self.position()))

    def _found(self, *, may_be_name: bool = False) -> str:
        if self._kind == END:
            return "the query ends too early"
        text = self._tokens.texts[self._index]
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        if self._index and self._tokens.texts[self._index - 1].upper() == "LIMIT" and self._kind == NUMBER:
            return f"ADQL has no LIMIT: write SELECT TOP {shown}"
        if self._kind not in RESERVED_WORDS:
            return f"{shown} cannot stand here"
        if self._kind in _HINTS:
            return _HINTS[self._kind]
        if (may_be_name or IDENTIFIER in self._asked) and self._kind not in _CLAUSES:
            return f'{shown} is a reserved word: as a name it is written "{shown}"'
        return f"the word {shown.upper()} cannot stand here"

    # --- names and integers, which every clause uses -----------------------------------------------------------------

    def identifier(self) -> Identifier:
        """Read ``<identifier>``."""
        if not self.at(*A_NAME):
            self.fail()
        delimited = self._kind == DELIMITED
        position = self.position()
        text = self._tokens.texts[self.advance()]
        return Identifier(text[1:-1].replace('""', '"') if delimited else text, delimited, position)

    def dotted(self, most: int, what: str) -> tuple[Identifier, ...]:
        """Read identifiers with periods between them, up to an asterisk or a token that is no period."""
        parts = [self.identifier()]
        while self.at(".") and self.after(self._index) != "*":
            self.advance()
            if len(parts) == most:
                self.refuse(f"a name of {what} has {most} parts at most")
            parts.append(self.identifier())
        return tuple(parts)

    def integer(self) -> int:
        """Read ``<unsigned_decimal>``."""
        if not self.at(NUMBER) or not self._tokens.texts[self._index].isdigit():
            self._asked.clear()
            self.fail("an integer")
        text = self._tokens.texts[self._index]
        if len(text) > 25 or int(text) > LARGEST_INTEGER:
            self.refuse(f"{text[:25]} is too large: the largest integer is {LARGEST_INTEGER}")
        self.advance()
        return int(text)

    def word(self, kind: str) -> Position:
        """Pass a token that must be of this kind, and return where it began."""
        return self._positions[self.expect(kind)]
