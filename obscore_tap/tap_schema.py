"""TAP_SCHEMA (TAP 1.1 section 4): its own tables as they describe themselves, and the rows that it has.

Its rows lie in `sql/125_tap_schema_rows.sql`, so that whoever applies the DDL fills it. That file is written by
``python -m obscore_tap.published``; a test says when it must be written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from obscore_tap.lake_tables import RELATIONS
from obscore_tap.results.fields import votable_type as field_type
from obscore_tap.schema import Column, Datatype, ForeignKey, OutputColumn, Published, SchemaEntry, Table

TAP_SCHEMA = SchemaEntry("tap_schema", "What this service publishes, described by itself (TAP 1.1)")


def _text(name: str, description: str, *, principal: bool = True, indexed: bool = False) -> Column:
    return Column(name, Datatype.TEXT, description, principal=principal, indexed=indexed, std=True)


def _integer(name: str, description: str, *, expression: str = "") -> Column:
    return Column(name, Datatype.INTEGER, description, principal=False, std=True, expression=expression)


_UTYPE = _text("utype", "Concept of a data model that it stands for", principal=False)
_DESCRIPTION = _text("description", "What it is")

TAP_SCHEMA_TABLES = (
    Table(
        "tap_schema",
        "schemas",
        (RELATIONS, "schemas"),
        (
            _text("schema_name", "Name of the schema", indexed=True),
            _UTYPE,
            _DESCRIPTION,
            _integer("schema_index", "Recommended order of the schemas"),
        ),
        description="Schemas that this service publishes",
    ),
    Table(
        "tap_schema",
        "tables",
        (RELATIONS, "tables"),
        (
            _text("schema_name", "Schema that the table is in"),
            _text("table_name", "Name of the table as queries write it", indexed=True),
            _text("table_type", "table or view"),
            _UTYPE,
            _DESCRIPTION,
            _integer("table_index", "Recommended order of the tables"),
        ),
        description="Tables that this service publishes",
        foreign_keys=(ForeignKey("tap_schema.schemas", (("schema_name", "schema_name"),), "Schema of the table"),),
    ),
    Table(
        "tap_schema",
        "columns",
        (RELATIONS, "columns"),
        (
            _text("table_name", "Table that the column is in", indexed=True),
            _text("column_name", "Name of the column as queries write it"),
            _text("datatype", "Type of the values as a VOTable names it"),
            _text("arraysize", "Shape of the values as a VOTable writes it", principal=False),
            _text("xtype", "Extended type of the values (DALI)", principal=False),
            _integer('"size"', "Fixed length of the values (deprecated: see arraysize)", expression="size"),
            _DESCRIPTION,
            _UTYPE,
            _text("unit", "Unit of the values (VOUnits)"),
            _text("ucd", "UCD of the values"),
            _integer("indexed", "1 where an index is on the column"),
            _integer("principal", "1 where the column is of general interest"),
            _integer("std", "1 where a standard defines the column"),
            _integer("column_index", "Recommended order of the columns"),
        ),
        description="Columns of the tables that this service publishes",
        foreign_keys=(ForeignKey("tap_schema.tables", (("table_name", "table_name"),), "Table of the column"),),
    ),
    Table(
        "tap_schema",
        "keys",
        (RELATIONS, "keys"),
        (
            _text("key_id", "Identifier of the foreign key", indexed=True),
            _text("from_table", "Table that has the key"),
            _text("target_table", "Table that the key leads to"),
            _DESCRIPTION,
            _UTYPE,
        ),
        description="Foreign keys between the tables",
        foreign_keys=(
            ForeignKey("tap_schema.tables", (("from_table", "table_name"),), "Table that has the key"),
            ForeignKey("tap_schema.tables", (("target_table", "table_name"),), "Table that the key leads to"),
        ),
    ),
    Table(
        "tap_schema",
        "key_columns",
        (RELATIONS, "key_columns"),
        (
            _text("key_id", "Foreign key that the columns belong to", indexed=True),
            _text("from_column", "Column of the table that has the key"),
            _text("target_column", "Column of the table that the key leads to"),
        ),
        description="Columns of the foreign keys",
        foreign_keys=(ForeignKey("tap_schema.keys", (("key_id", "key_id"),), "Key that the columns belong to"),),
    ),
)


class VOTableType(NamedTuple):
    """How a VOTable names the type of a column."""

    datatype: str
    arraysize: str | None
    xtype: str | None


def votable_type(column: Column) -> VOTableType:
    """Return the type of a column as the FIELD of a result has it (TAP 1.1 sections 3.2 and 4.3)."""
    output = OutputColumn(column.bare_name, column.datatype, xtype=column.xtype, unicode=column.unicode)
    datatype, arraysize, xtype = field_type(output)
    return VOTableType(datatype, arraysize or None, xtype or None)


Row = tuple[str | int | None, ...]


def schema_rows(published: Published) -> Iterator[Row]:
    """Yield the rows of TAP_SCHEMA.schemas."""
    for number, schema in enumerate(published.schemas, 1):
        yield schema.name, schema.utype or None, schema.description, number


def table_rows(published: Published) -> Iterator[Row]:
    """Yield the rows of TAP_SCHEMA.tables."""
    for number, table in enumerate(published, 1):
        kind = "view" if table.is_view else "table"
        yield table.schema, table.full_name, kind, table.utype or None, table.description, number


def column_rows(published: Published) -> Iterator[Row]:
    """Yield the rows of TAP_SCHEMA.columns."""
    for table in published:
        for number, column in enumerate(table.columns, 1):
            kind = votable_type(column)
            size = int(kind.arraysize) if kind.arraysize is not None and kind.arraysize.isdigit() else None
            flags = (int(column.indexed), int(column.principal), int(column.std))
            words = (column.description, column.utype or None, column.unit or None, column.ucd or None)
            yield (
                *(table.full_name, column.name, *kind, size),
                *words,
                *flags,
                number,
            )


def key_rows(published: Published) -> Iterator[Row]:
    """Yield the rows of TAP_SCHEMA.keys."""
    for key_id, table, key in _keys(published):
        yield key_id, table.full_name, key.target, key.description, key.utype or None


def key_column_rows(published: Published) -> Iterator[Row]:
    """Yield the rows of TAP_SCHEMA.key_columns."""
    for key_id, _, key in _keys(published):
        for here, there in key.columns:
            yield key_id, here, there


def _keys(published: Published) -> Iterator[tuple[str, Table, ForeignKey]]:
    for table in published:
        for number, key in enumerate(table.foreign_keys, 1):
            yield f"{table.full_name}-{number}", table, key


ROWS = {
    "schemas": schema_rows,
    "tables": table_rows,
    "columns": column_rows,
    "keys": key_rows,
    "key_columns": key_column_rows,
}
"""Table of TAP_SCHEMA to what yields its rows."""

EPN_PLACE = "{epn}"
"""Stands in the written rows for the schema of ``epn_core``, which the installation chooses."""


def as_sql(published: Published) -> str:
    """Return the statements that fill TAP_SCHEMA.

    Parameters
    ----------
    published
        Made with `EPN_PLACE` as the schema of ``epn_core``.
    """
    tables = {table.name: table for table in TAP_SCHEMA_TABLES}
    parts = [_HEAD]
    for name, rows in ROWS.items():
        columns = tables[name].columns
        selected = ", ".join(_selected(column) for column in columns)
        names = ", ".join(column.sql for column in columns)
        parts.append(
            f"DELETE FROM {RELATIONS}.{name};\n"  # noqa: S608 - all of it is ours, and goes to a file
            f"INSERT INTO {RELATIONS}.{name} ({names})\nSELECT {selected} FROM (VALUES\n"
            + ",\n".join(f"    ({', '.join(map(_literal, row))})" for row in rows(published))
            + f"\n) AS row ({names});\n"
        )
    return "\n".join(parts)


_HEAD = """\
-- The rows of TAP_SCHEMA, written by `python -m obscore_tap.published`: change what is published there, not here.
-- `{epn}` stands for the schema that `lake.epn_schema` names.

CREATE OR REPLACE FUNCTION pg_temp.with_epn_schema(word text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT replace(word, '{epn}', coalesce(nullif(current_setting('lake.epn_schema', true), ''), 'epn'))
$$;
"""


def _selected(column: Column) -> str:
    if column.datatype is Datatype.INTEGER:
        return f"{column.sql}::integer"
    return f"pg_temp.with_epn_schema({column.sql})"


def _literal(word: str | int | None) -> str:
    if word is None:
        return "NULL"
    return str(word) if isinstance(word, int) else "'" + word.replace("'", "''") + "'"
