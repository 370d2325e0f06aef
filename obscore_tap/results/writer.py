"""What every format has in common: a row is one SQL expression (or a few), and its document is bytes around rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from obscore_tap.schema import OutputColumn, Translation

Batch = Sequence[tuple[bytes, ...]]
"""Rows as the database made them by `Writer.row`, ``text`` and ``bytea`` as bytes."""
ROW_BYTES = 2_000_000
"""The longest row. Functions that gather rows into one value could make it a thousand megabytes long, of which every
step from the database to the client holds a copy."""


@dataclass(frozen=True, slots=True)
class Info:
    """An INFO of a VOTable: what is said of the whole result."""

    name: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """What a document says beside its columns and rows."""

    infos: tuple[Info, ...] = ()
    datalink_url: str = ""
    """Where the links of an obs_publisher_did are; empty: nowhere."""
    resources: tuple[str, ...] = ()
    """XML of more RESOURCE elements that follow the results in a VOTable."""
    title: str = ""


@dataclass(slots=True)
class Ending:
    """How a result ended; complete when its last byte is written."""

    rows: int = 0
    overflow: bool = False
    error: str = ""


class Writer(Protocol):
    """Writes one document of one format, and is thrown away."""

    row: str
    """SQL expression over the columns ``c1`` … ``cn`` that makes a row, ``text`` or ``bytea``; it is never null."""
    tells_errors: bool
    """Whether `end` can say that the result broke off."""

    def begin(self) -> bytes:
        """Return what comes before the first row."""

    def rows(self, batch: Batch) -> bytes:
        """Return some rows, as far as they can be written yet."""

    def end(self, ending: Ending) -> bytes:
        """Return what is left and what follows the last row."""


def name_of(number: int) -> str:
    """Return the name by which the row's expressions call a column, counted from 0."""
    return f"c{number + 1}"


def numbered(columns: Sequence[OutputColumn]) -> list[tuple[str, OutputColumn]]:
    """Return the columns with the names by which the row's expressions call them."""
    return [(name_of(number), column) for number, column in enumerate(columns)]


def statement(translation: Translation, row: str, limit: int) -> str:
    """Return the SELECT that makes the rows of a format out of a translated query; one that is too long is null.

    The order of the query is kept: nothing above its LIMIT needs another one.
    """
    names = ", ".join(name_of(number) for number in range(len(translation.columns)))
    rows = f"SELECT {row} FROM ({translation.sql}\n) AS q({names}) LIMIT {limit}"  # noqa: S608 - all of it is emitted
    return f"SELECT CASE WHEN octet_length(made) <= {ROW_BYTES} THEN made END FROM ({rows}) AS rows(made)"  # noqa: S608
