"""How long the SQL of a query gets, also where PostgreSQL writes what columns of subqueries stand for in their place.

A column of a subquery is its expression wherever it is named, before PostgreSQL plans anything: where each of several
subqueries inside one another names one twice, a short query is as long as two to the power of their number.
"""

from __future__ import annotations

import re

from obscore_tap.adql.atoms import Position
from obscore_tap.adql.errors import AdqlError

LONGEST = 4_000_000
"""Characters of SQL; PostgreSQL takes about a hundred bytes of memory for each while it plans."""
_LONGEST_JOINED = 10_000
"""Characters of the operands of ``||``, written out: some hundred columns, whose values are gathered in memory."""
_COLUMN = re.compile(r"\bt\d+\.c\d+\b")
"""A column of a subquery, as `DerivedRelation` names it."""


class Lengths:
    """Of one query."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._repeated = 0

    def of(self, sql: str) -> int:
        """Return how long some SQL is when columns of subqueries are written out."""
        return len(sql) + sum(self._columns.get(name, 0) for name in _COLUMN.findall(sql))

    def name(self, column: str, sql: str, position: Position) -> None:
        """Give what some SQL computes the name of a column of a subquery.

        Raises
        ------
        AdqlError
            It is too long, written out.
        """
        self._columns[column] = check(self.of(sql), position)

    def repeat(self, sql: str, position: Position) -> None:
        """Count SQL that stands where an alias was written.

        Raises
        ------
        AdqlError
            Too much stands so.
        """
        self._repeated = check(self._repeated + len(sql), position)

    def join(self, sql: str, position: Position) -> None:
        """See that strings that are joined are not too many.

        Raises
        ------
        AdqlError
            They are, written out.
        """
        if self.of(sql) > _LONGEST_JOINED:
            raise AdqlError("|| joins too much: some hundred values at most, with those of subqueries", *position)


def check(length: int, position: Position = (0, 0)) -> int:
    """Return a length that is none too many.

    Raises
    ------
    AdqlError
        It is.
    """
    if length > LONGEST:
        raise AdqlError(
            f"the query is too long once aliases and columns of subqueries are written out: more than {LONGEST} "
            "characters of SQL; name long expressions fewer times",
            *position,
        )
    return length
