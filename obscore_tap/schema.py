"""What a query may name, and what a column of a result is: the words that translation, results and TAP_SCHEMA share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType


class Datatype(Enum):
    """Type of a column or an expression; the value is the PostgreSQL type that carries it in an emitted SELECT."""

    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    REAL = "real"
    DOUBLE = "double precision"
    BOOLEAN = "boolean"
    TEXT = "text"
    TIMESTAMP = "timestamp without time zone"
    """UTC (DALI 1.1 section 3.3.3)."""
    POINT = "spoint"
    CIRCLE = "scircle"
    POLYGON = "spoly"
    DOUBLES = "double precision[]"
    INTEGERS = "integer[]"
    """What a histogram is; no published column has it."""
    INTERVAL = "double precision[2]"
    """A DALI interval: lower and upper limit; only uploads and literals bring them."""
    BLOB = "bytea"


@dataclass(frozen=True, slots=True)
class Region:
    """The hidden columns of a table by which a region column is searched.

    A region matches when ``bound`` does (it has the index) and ``polygon`` does; where ``polygon`` is null and
    ``bound`` is not, the region is the circle itself.
    """

    polygon: str
    """SQL name of the ``spoly`` column."""
    bound: str
    """SQL name of the ``scircle`` column that holds the whole region."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is published, with what TAP_SCHEMA says of it (TAP 1.1 section 4.3)."""

    name: str
    """As ADQL names it; a delimited identifier where it is no regular one."""
    datatype: Datatype
    description: str = ""
    ucd: str = ""
    unit: str = ""
    utype: str = ""
    xtype: str = ""
    indexed: bool = False
    principal: bool = False
    std: bool = False
    unicode: bool = False
    """A text column that can hold more than ASCII."""
    expression: str = ""
    """SQL name of the column in the table's relation; empty: ``name``."""
    region: Region | None = None
    """Set where the text or the array of the column stands for a region on the sky."""

    @property
    def bare_name(self) -> str:
        """Return the name without the quotes of a delimited identifier."""
        if self.name.startswith('"'):
            return self.name[1:-1].replace('""', '"')
        return self.name

    @property
    def sql(self) -> str:
        """Return the name of the column in SQL, not quoted."""
        return self.expression or self.bare_name


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A declared way to join (TAP 1.1 sections 4.4 and 4.5)."""

    target: str
    """Full name of the other table."""
    columns: tuple[tuple[str, str], ...]
    """Pairs of a column here and a column there."""
    description: str = ""
    utype: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is published."""

    schema: str
    name: str
    relation: tuple[str, str]
    """Schema and name of what PostgreSQL reads, not quoted."""
    columns: tuple[Column, ...]
    description: str = ""
    utype: str = ""
    is_view: bool = False
    positions: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))
    """(longitude column, latitude column) to the SQL name of a hidden, indexed ``spoint`` column."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    columns_by_name: Mapping[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    """Where the columns of a name, in lower case, stand in `columns`."""

    def __post_init__(self) -> None:
        found: dict[str, tuple[int, ...]] = {}
        for number, column in enumerate(self.columns):
            name = column.bare_name.lower()
            found[name] = (*found.get(name, ()), number)
        object.__setattr__(self, "columns_by_name", MappingProxyType(found))

    @property
    def full_name(self) -> str:
        """Return ``schema.name``, as TAP_SCHEMA and errors write it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """A schema of TAP_SCHEMA."""

    name: str
    description: str = ""
    utype: str = ""


class Published:
    """The tables that a query may name. Names are compared without case (ADQL 2.1 section 2.1.3).

    Parameters
    ----------
    tables
        No two may have one name.
    schemas
        What is said of their schemas.
    """

    def __init__(self, tables: Iterable[Table], schemas: Iterable[SchemaEntry] = ()) -> None:
        self._tables = tuple(tables)
        self.schemas = tuple(schemas)
        self._by_name = {table.full_name.lower(): table for table in self._tables}
        if len(self._by_name) != len(self._tables):
            raise ValueError("two published tables have one name")

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables)

    def get(self, schema: str | None, name: str) -> Table | None:
        """Return a table by its name, or by its bare name where only one table has it."""
        if schema is not None:
            return self._by_name.get(f"{schema}.{name}".lower())
        found = [table for table in self._tables if table.name.lower() == name.lower()]
        return found[0] if len(found) == 1 else None

    def with_tables(self, tables: Iterable[Table]) -> Published:
        """Return these tables and some more: the uploads of one query."""
        return Published((*self._tables, *tables), self.schemas)


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a result: what a VOTable FIELD says of it."""

    name: str
    datatype: Datatype
    description: str = ""
    ucd: str = ""
    unit: str = ""
    utype: str = ""
    xtype: str = ""
    unicode: bool = False
    source: tuple[str, str] | None = None
    """Full table name and column name where the value is a published column's, unchanged, whatever its name now."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A query that the database may run."""

    sql: str
    """One SELECT. Its columns have the SQL types of `Datatype` and come in the order of `columns`."""
    columns: tuple[OutputColumn, ...]
    tables: frozenset[str]
    """Full names of the published tables that it reads."""
