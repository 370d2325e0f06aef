"""What an expression is once it is understood: its SQL, its type, and what a result says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from obscore_tap.adql.atoms import Position
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.shapes import Shape
from obscore_tap.schema import Datatype, Region

INTEGERS = frozenset({Datatype.SMALLINT, Datatype.INTEGER, Datatype.BIGINT})
NUMBERS = INTEGERS | {Datatype.REAL, Datatype.DOUBLE}
GEOMETRIES = frozenset({Datatype.POINT, Datatype.CIRCLE, Datatype.POLYGON})
ORDERED = NUMBERS | {Datatype.TEXT, Datatype.TIMESTAMP, Datatype.BOOLEAN}
"""Types that can be compared, sorted and grouped."""
_RANK = {Datatype.SMALLINT: 0, Datatype.INTEGER: 1, Datatype.BIGINT: 2, Datatype.REAL: 3, Datatype.DOUBLE: 4}

_UPLOADS = "tap_upload."

_WORDS: dict[Datatype | None, str] = {
    Datatype.SMALLINT: "a number",
    Datatype.INTEGER: "a number",
    Datatype.BIGINT: "a number",
    Datatype.REAL: "a number",
    Datatype.DOUBLE: "a number",
    Datatype.TEXT: "a string",
    Datatype.TIMESTAMP: "a timestamp",
    Datatype.BOOLEAN: "a boolean",
    Datatype.POINT: "a point",
    Datatype.CIRCLE: "a circle",
    Datatype.POLYGON: "a polygon",
    Datatype.DOUBLES: "an array",
    Datatype.INTEGERS: "an array",
    Datatype.INTERVAL: "an interval",
    Datatype.BLOB: "binary data",
    None: "NULL",
}


class Meta(NamedTuple):
    """What a FIELD says of a value beside its name and type."""

    description: str = ""
    ucd: str = ""
    unit: str = ""
    utype: str = ""
    xtype: str = ""
    unicode: bool = False
    source: tuple[str, str] | None = None


NO_META = Meta()


class Relation(Protocol):
    """What a column belongs to, with the hidden columns that geometry is searched by."""

    def region(self, column: int) -> Region | None:
        """Return the SQL of the hidden columns of a region, qualified."""

    def point(self, longitude: int, latitude: int) -> str | None:
        """Return the SQL of the hidden column that holds two coordinates as a point, qualified."""


class Loose(NamedTuple):
    """A column that stands outside of every set function of the SELECT that it belongs to."""

    scope: object
    """That SELECT; only its identity matters."""
    name: str
    position: Position


@dataclass(slots=True)
class Typed:
    """A value or a condition: SQL of exactly the type `datatype`, safe as an operand without further brackets."""

    sql: str
    datatype: Datatype | None
    """None: ``NULL``, which takes any type."""
    position: Position
    meta: Meta = NO_META
    constant: float | int | str | None = None
    """Of a literal."""
    loose: tuple[Loose, ...] = ()
    origin: tuple[Relation, int] | None = None
    """Of a column: whose it is, and the how manyeth."""
    frame: str = ""
    """Of a geometry: its reference frame; empty is ICRS."""
    shape: Shape | None = None
    """Of a constant geometry."""
    coordinates: tuple[Typed, Typed] | None = None
    """Of a point: what it was made of, in degrees."""
    name: str = ""
    """What a column of a result is called where the query gives no alias."""

    @property
    def words(self) -> str:
        """Return what kind of value it is, for a sentence."""
        return _WORDS[self.datatype]


def quoted(text: str, position: Position) -> str:
    """Return a string literal of PostgreSQL that no setting of the session can change the meaning of."""
    if "\0" in text:
        raise AdqlError("a string cannot hold the character NUL", *position)
    body = text.replace("'", "''")
    return "E'" + body.replace("\\", "\\\\") + "'" if "\\" in body else f"'{body}'"


def identifier(name: str) -> str:
    """Return a name of the database, quoted; only published names come here."""
    return '"' + name.replace('"', '""') + '"'


def promoted(first: Datatype, second: Datatype) -> Datatype:
    """Return the type in which PostgreSQL computes with two numbers: a real with anything else is a double."""
    if first is second:
        return first
    if {first, second} <= INTEGERS:
        return first if _RANK[first] > _RANK[second] else second
    return Datatype.DOUBLE


def common(values: list[Typed], what: str) -> Datatype | None:
    """Return the one type of values that must be of one kind; None where all are NULL.

    Raises
    ------
    AdqlError
        They are of unlike kinds.
    """
    datatype: Datatype | None = None
    for value in values:
        if value.datatype is None or value.datatype is datatype:
            continue
        if datatype is None:
            datatype = value.datatype
            first = value
        elif datatype in NUMBERS and value.datatype in NUMBERS:
            datatype = promoted(datatype, value.datatype)
        else:
            raise AdqlError(f"{what} mixes {first.words} with {value.words}", *value.position)
    return datatype


def cast(value: Typed, datatype: Datatype) -> str:
    """Return the SQL of a value as another type; NULL becomes a NULL of that type."""
    if value.datatype is datatype:
        return value.sql
    return f"{value.sql}::{datatype.value}"


def one_source(metas: Sequence[Meta]) -> tuple[str, str] | None:
    """Return whose values stand in a column that is put together of several: the first one's, if all agree.

    Published columns of one name hold the same thing (an obs_publisher_did is one in every table); those of an upload
    are whatever the user calls so.
    """
    first = metas[0].source
    for one in metas:
        if first is None or one.source is None or one.source[1] != first[1]:
            return None
        if one.source != first and any(table.startswith(_UPLOADS) for table, _ in (one.source, first)):
            return None
    return first


def must_be_number(value: Typed, where: str) -> None:
    """Refuse what is no number; NULL is one.

    Raises
    ------
    AdqlError
        Naming the place.
    """
    if value.datatype not in NUMBERS and value.datatype is not None:
        raise AdqlError(f"{where} takes a number, not {value.words}", *value.position)


def must_be_text(value: Typed, where: str) -> None:
    """Refuse what is no string; NULL is one.

    Raises
    ------
    AdqlError
        Naming the place.
    """
    if value.datatype is not Datatype.TEXT and value.datatype is not None:
        raise AdqlError(f"{where} takes a string, not {value.words}", *value.position)


def merged(*values: Typed) -> tuple[Loose, ...]:
    """Return the loose columns of all, the first of each SELECT."""
    found = [value.loose for value in values if value.loose]
    if not found:
        return ()
    if len(found) == 1:
        return found[0]
    kept: list[Loose] = []
    for loose in found:
        for one in loose:
            if all(one.scope is not other.scope for other in kept):
                kept.append(one)
    return tuple(kept)
