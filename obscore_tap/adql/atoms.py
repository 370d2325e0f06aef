"""The leaves of the syntax tree: names and literals, and where they stand in the text of the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Position: TypeAlias = tuple[int, int]
"""Line and column at which something begins in the text of the query; both count from 1, columns in characters."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name (ADQL 2.1 section 2.1.3)."""

    name: str
    """As written; of a delimited identifier what lies between the quotes, with doubled quotes made single."""
    delimited: bool
    """Delimited identifiers are compared with case, regular ones without."""
    position: Position


@dataclass(frozen=True, slots=True)
class Null:
    """``NULL`` as a value."""

    position: Position


@dataclass(frozen=True, slots=True)
class Number:
    """An unsigned numeric literal."""

    text: str
    """Exactly as written: ``12``, ``12.``, ``.5``, ``1.2E-3``."""
    position: Position

    @property
    def is_integer(self) -> bool:
        """Whether it is an ``<unsigned_decimal>``: nothing but digits."""
        return self.text.isdigit()


@dataclass(frozen=True, slots=True)
class String:
    """A character string literal."""

    value: str
    """What it stands for: without the quotes, doubled quotes made single."""
    position: Position


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """``[[[catalog.]schema.]table.]column``."""

    parts: tuple[Identifier, ...]
    """One to four; the last one is the column."""
    position: Position


@dataclass(frozen=True, slots=True)
class CastTarget:
    """The type of a ``CAST`` (ADQL 2.1 section 4.5)."""

    name: str
    """``CHAR VARCHAR SMALLINT INTEGER BIGINT REAL TIMESTAMP POINT CIRCLE POLYGON`` or ``DOUBLE PRECISION``."""
    length: int | None
    position: Position


@dataclass(frozen=True, slots=True)
class TableName:
    """``[[catalog.]schema.]table [[AS] alias]``: a published table or a common table."""

    parts: tuple[Identifier, ...]
    """One to three; the last one is the table."""
    alias: Identifier | None
    position: Position


@dataclass(frozen=True, slots=True)
class AllColumns:
    """``*`` or ``table.*`` in a select list."""

    qualifier: tuple[Identifier, ...]
    """Empty for ``*``; else ``[[catalog.]schema.]table``."""
    position: Position


@dataclass(frozen=True, slots=True)
class SetOperator:
    """``UNION``, ``EXCEPT`` or ``INTERSECT``."""

    name: Literal["UNION", "EXCEPT", "INTERSECT"]
    all: bool
    position: Position
