"""The one error of ADQL: what is wrong with a query, and where."""

from __future__ import annotations

from stac_rucio_sync.errors import UsageError


class AdqlError(UsageError):
    """The query is not ADQL, asks for what is not there, or is larger than this service allows.

    Parameters
    ----------
    message
        A sentence that a user understands without the code.
    line, column
        Where, counted from 1, columns in characters; 0 where the query as a whole is meant.
    expected
        What could have stood there, in words; empty where that is no help.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0, expected: tuple[str, ...] = ()) -> None:
        self.message = message
        self.line = line
        self.column = column
        self.expected = expected
        where = f"line {line}, column {column}: " if line else ""
        hint = (
            f"; expected {', '.join(expected[:-1])}{' or ' if expected[1:] else ''}{expected[-1]}" if expected else ""
        )
        super().__init__(f"{where}{message}{hint}")
