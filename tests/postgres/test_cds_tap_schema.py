"""TAP_SCHEMA for the CDS's TAP library: the layout that it asks for, and names that lead to what there is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.postgres.conftest import Server, make_database

ASKED = {
    "schemas": "schema_name, description, utype, schema_index, dbname",
    "tables": "schema_name, table_name, table_type, description, utype, table_index, dbname",
    "columns": "table_name, column_name, description, unit, ucd, utype, datatype, arraysize, principal, indexed, std, "
    "column_index, dbname",
    "keys": "key_id, from_table, target_table, description, utype",
    "key_columns": "from_column, target_column, key_id",
}
"""What the library selects of each table."""
TYPES = {
    "VARCHAR": {"text"},
    "INTEGER": {"integer"},
    "BIGINT": {"bigint"},
    "DOUBLE": {"double precision"},
    "TIMESTAMP": {"timestamp without time zone"},
    "REGION": {"spoly"},
}
"""The library's names of types, and those that PostgreSQL has for them."""


@pytest.fixture(scope="module")
def query(server: Server, template: str) -> Iterator[psycopg.Cursor]:
    """Rows, as the role that a service of the CDS would be given; these tests only read."""
    for database in make_database(server, template):
        with psycopg.connect(database.query_url, autocommit=True) as connection:
            yield connection.cursor()


@pytest.mark.parametrize("table", ASKED)
def test_the_library_finds_the_columns_that_it_selects(query: psycopg.Cursor, table: str) -> None:
    found = query.execute(f"SELECT {ASKED[table]} FROM tap_schema_cds.{table}")  # noqa: S608 - words of this test
    assert found.fetchall()


def test_the_numbers_are_numbers(query: psycopg.Cursor) -> None:
    """It reads them as integers, and fails on a text."""
    query.execute("SELECT arraysize, size, principal, indexed, std, column_index FROM tap_schema_cds.columns")
    assert query.description is not None
    assert {column.type_code for column in query.description} == {psycopg.adapters.types["int4"].oid}


def test_every_name_leads_to_a_column_of_its_type(query: psycopg.Cursor) -> None:
    query.execute(
        "SELECT s.dbname, t.dbname, c.dbname, c.datatype FROM tap_schema_cds.columns c "
        "JOIN tap_schema_cds.tables t USING (table_name) JOIN tap_schema_cds.schemas s USING (schema_name)"
    )
    columns = query.fetchall()
    assert len(columns) > 150
    for schema, table, column, datatype in columns:
        place = sql.SQL("SELECT pg_typeof({})::text FROM (SELECT 1) AS one LEFT JOIN {} ON true LIMIT 1").format(
            sql.Identifier(column), sql.Identifier(schema, table)
        )
        found = query.execute(place).fetchone()
        assert found is not None
        assert found[0] in TYPES[datatype], (schema, table, column)


def test_every_table_is_in_a_schema_of_its_prefix(query: psycopg.Cursor) -> None:
    """The library refuses to start otherwise."""
    query.execute("SELECT count(*) FROM tap_schema_cds.tables WHERE split_part(table_name, '.', 1) <> schema_name")
    assert query.fetchone() == (0,)
