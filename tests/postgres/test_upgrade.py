"""A database of the first release, with rows in it, becomes what a new one is; and a newer one is not made older."""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from obscore_tap.services import check_services
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.schema import apply_schema, schema_files, schema_is_current
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database
from tests.postgres.examples import settled_item, wanted_item

FIRST_RELEASE = Path(__file__).parent / "released" / "first.sql"
TABLES = ("source", "item", "quarantine", "rse", "file", "link", "replica", "obscore", "epn")
OURS = {"ours": ["lake", "ivoa", "epn", "uws", "tap_upload", "tap_published", "adql"]}
SHAPES: dict[str, LiteralString] = {
    "columns": """
        SELECT c.oid::regclass::text, c.relkind, attname, format_type(atttypid, atttypmod), attnotnull,
            attgenerated, attidentity, pg_get_expr(adbin, adrelid), col_description(c.oid, attnum), attacl::text
        FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
            LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum
        WHERE relnamespace::regnamespace::text = ANY (%(ours)s) AND attnum > 0 AND NOT attisdropped
            AND relkind IN ('r', 'v')""",
    "relations": """
        SELECT oid::regclass::text, relkind, pg_get_viewdef(oid), obj_description(oid, 'pg_class'),
            (SELECT array_agg(one::text ORDER BY one::text) FROM unnest(relacl) AS one)
        FROM pg_class WHERE relnamespace::regnamespace::text = ANY (%(ours)s) AND relkind IN ('r', 'v', 'S')""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE connamespace::regnamespace::text = ANY (%(ours)s)""",
    "indexes": "SELECT schemaname, indexname, indexdef FROM pg_indexes WHERE schemaname = ANY (%(ours)s)",
    "functions": """
        SELECT oid::regprocedure::text, pg_get_functiondef(oid), obj_description(oid, 'pg_proc'),
            (SELECT array_agg(one::text ORDER BY one::text) FROM unnest(proacl) AS one)
        FROM pg_proc WHERE pronamespace::regnamespace::text = ANY (%(ours)s) AND prokind = 'f'""",
    "schemas": """
        SELECT nspname, (SELECT array_agg(one::text ORDER BY one::text) FROM unnest(nspacl) AS one)
        FROM pg_namespace WHERE nspname = ANY (%(ours)s)""",
    "applied": "SELECT file, checksum FROM lake.schema_version",
    "published": "SELECT table_name, column_name, datatype, description FROM tap_published.columns",
}  # fmt: skip


def rows_of(connection: psycopg.Connection, table: str) -> list[dict[str, object]]:
    """Rows without the columns that later releases have added."""
    cursor = connection.execute(
        sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY t::text").format(sql.Identifier("lake", table))
    )
    return [row[0] for row in cursor]


def shape(connection: psycopg.Connection, query: LiteralString) -> list[str]:
    return sorted(map(repr, connection.execute(query, OURS)))


@pytest.fixture
def first_release(empty_database: Database) -> Database:
    with psycopg.connect(empty_database.admin_url) as connection:
        connection.execute(FIRST_RELEASE.read_bytes())
    return empty_database


def test_the_first_release_becomes_what_a_new_database_is(first_release: Database, database: Database) -> None:
    assert not schema_is_current(first_release.admin_url)
    with psycopg.connect(first_release.admin_url) as connection:
        before = {table: rows_of(connection, table) for table in TABLES}
    assert all(before.values())
    said = apply_schema(first_release.admin_url)
    assert said[: len(schema_files())] == [
        f"{name}: {'changed' if name < '090' else 'applied'}" for name in schema_files()
    ]
    assert schema_is_current(first_release.admin_url)
    apply_schema(database.admin_url)
    with psycopg.connect(first_release.admin_url) as old, psycopg.connect(database.admin_url) as new:
        for name, query in SHAPES.items():
            assert shape(old, query) == shape(new, query), name
        for table, rows in before.items():
            kept = [{name: row[name] for name in rows[0]} for row in rows_of(old, table)]
            assert kept == rows, table


def test_an_upgraded_database_is_worked_with(first_release: Database) -> None:
    apply_schema(first_release.admin_url)
    urls = {"query_url": first_release.query_url, "jobs_url": first_release.jobs_url}
    check_services(Settings.model_validate({"database": urls}))
    store = PostgresStore.open(first_release.ingest_url)
    try:
        store.commit("survey", [settled_item(wanted_item(7))], [])
        (state,) = store.status()
    finally:
        store.close()
    assert (state.items, state.quarantined) == (3, 2)
    with psycopg.connect(first_release.reader_url) as connection:
        found = connection.execute("SELECT obs_id FROM ivoa.obscore ORDER BY obs_id").fetchall()
        near = connection.execute(
            "SELECT obs_id FROM lake.obscore WHERE bound && '<(10.5d,20d),0.1d>'::scircle"
        ).fetchall()
    assert found == [("tile-1",), ("tile-7",)]
    assert near == [("tile-1",)]


def test_an_upgrade_that_fails_changes_nothing(first_release: Database) -> None:
    with psycopg.connect(first_release.admin_url) as connection:
        connection.execute("CREATE SCHEMA uws; CREATE TABLE uws.job (id integer)")  # somebody else's
        before = connection.execute("SELECT file, checksum FROM lake.schema_version ORDER BY 1").fetchall()
    with pytest.raises(Exception, match="nothing was changed"):
        apply_schema(first_release.admin_url)
    with psycopg.connect(first_release.admin_url) as connection:
        assert connection.execute("SELECT file, checksum FROM lake.schema_version ORDER BY 1").fetchall() == before
        assert connection.execute("SELECT to_regclass('lake.mirror'), to_regnamespace('adql')").fetchone() == (
            None,
            None,
        )
