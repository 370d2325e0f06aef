"""What TAP publishes, in a real database: TAP_SCHEMA tells the truth, joins find their way, the role reads no more."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors, sql

from obscore_tap.published import make_published
from obscore_tap.schema import Column, Table
from obscore_tap.tap_schema import ROWS, TAP_SCHEMA_TABLES
from stac_rucio_sync.model import Rse
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database, Server, make_database
from tests.postgres.examples import settled_item, wanted_item

PUBLISHED = make_published()
TABLES = list(PUBLISHED)


def relation(table: Table) -> sql.Composed:
    return sql.SQL("{}.{}").format(*map(sql.Identifier, table.relation))


@pytest.fixture(scope="module")
def filled(server: Server, template: str) -> Iterator[Database]:
    """A database with two items of two files each, and an RSE, whose rows these tests only read."""
    for database in make_database(server, template):
        apply_schema(database.admin_url)  # a template does not hand on the privileges of the database itself
        store = PostgresStore.open(database.ingest_url)
        store.commit("s", [settled_item(wanted_item(number)) for number in (1, 2)], [])
        rse = Rse("R", deterministic=False, rse_type="DISK", available_read=True, site="Graz", origin="http://10.0.0.7")
        store.upsert_rses([rse])
        store.close()
        yield database


@pytest.fixture
def user(filled: Database) -> Iterator[psycopg.Connection]:
    """The role of the queries."""
    with psycopg.connect(filled.query_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(filled: Database) -> Iterator[psycopg.Connection]:
    """A superuser, for the catalogue."""
    with psycopg.connect(filled.admin_url, autocommit=True) as connection:
        yield connection


# -------------------------------------------------------------------------------------------- TAP_SCHEMA does not lie


@pytest.mark.parametrize("epn_schema", ["epn", "mars_atlas"])
def test_tap_schema_holds_what_is_published(empty_database: Database, epn_schema: str) -> None:
    for _ in range(2):
        apply_schema(empty_database.admin_url, epn_schema=epn_schema)
    tables = {table.name: table for table in TAP_SCHEMA_TABLES}
    with psycopg.connect(empty_database.query_url) as connection:
        for name, expected in ROWS.items():
            columns = sql.SQL(", ").join(sql.Identifier(column.sql) for column in tables[name].columns)
            found = connection.execute(sql.SQL("SELECT {} FROM {}").format(columns, relation(tables[name]))).fetchall()
            assert sorted(found, key=str) == sorted(expected(make_published(epn_schema)), key=str)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
def test_the_columns_have_the_types_that_are_said(table: Table, owner: psycopg.Connection) -> None:
    real: dict[str, str] = dict(
        owner.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [".".join(table.relation)],
        ).fetchall()
    )
    assert {column.sql: real.get(column.sql) for column in table.columns} == {
        column.sql: column.datatype.value for column in table.columns
    }
    regions = {
        name for column in table.columns if column.region for name in (column.region.bound, column.region.polygon)
    }
    assert {name: real[name] for name in table.positions.values()} == dict.fromkeys(table.positions.values(), "spoint")
    assert {real[name] for name in regions} <= {"scircle", "spoly"}
    if table.relation[0] == "tap_published":
        assert list(real) == [column.sql for column in table.columns], "the view shows what is published, in order"


def first_columns_of_indexes(owner: psycopg.Connection, relation_name: str) -> set[str]:
    found = owner.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = %s::regclass",
        [relation_name],
    ).fetchall()
    return {name for (name,) in found}


@pytest.mark.parametrize("name", ["ivoa.obscore", "epn.epn_core"])
def test_the_indexed_flags_are_those_of_the_indexes(name: str, owner: psycopg.Connection) -> None:
    table = PUBLISHED.get(*name.split("."))
    assert table is not None
    real = first_columns_of_indexes(owner, ".".join(table.relation))
    behind_position = {name for pair, hidden in table.positions.items() if hidden in real for name in pair}

    def is_indexed(column: Column) -> bool:
        behind_region = column.region is not None and column.region.bound in real
        return column.name in real or column.name in behind_position or behind_region

    said = {column.name for column in table.columns if column.indexed}
    assert said == {column.name for column in table.columns if is_indexed(column)}


# -------------------------------------------------------------------------------------------------- where the bytes are


def test_a_replica_is_found_by_the_data_product_and_by_the_storage_element(user: psycopg.Connection) -> None:
    found = user.execute(
        "SELECT obs_publisher_did, asset, r.name, rse, r.site, r.state FROM lake.obscore "
        "JOIN tap_published.replica r USING (obs_publisher_did) WHERE obs_id = 'tile-2' ORDER BY asset"
    ).fetchall()
    assert [(did, asset, name) for did, asset, name, *_ in found] == [
        ("ivo://example/lake?stac:survey..tile-2", asset, f"survey..tile-2..{asset}.fits")
        for asset in ("image", "weight")
    ]
    files = user.execute(
        "SELECT asset, bytes, adler32, roles, science FROM tap_published.file "
        "WHERE obs_publisher_did = 'ivo://example/lake?stac:survey..tile-2' ORDER BY asset"
    ).fetchall()
    roles = 'data#say "this"#back\\slash'
    assert files == [("image", 1002, "0123abcd", roles, 1), ("weight", 1002, "0123abcd", roles, 0)]


PLANS = {
    "SELECT rse FROM lake.obscore JOIN tap_published.replica USING (obs_publisher_did) WHERE obs_id = 'tile-7'": (
        "item_publisher_did"
    ),
    "SELECT name FROM tap_published.replica WHERE rse = 'X'": "replica_rse",
    "SELECT name FROM tap_published.file WHERE obs_publisher_did = 'x'": "item_publisher_did",
    "SELECT obs_id FROM lake.obscore WHERE lower(obs_publisher_did) = 'x'": "obscore_did_lower",
}
"""Queries, and the index that each must reach through the views."""


def test_joins_reach_the_indexes_through_the_views(store: PostgresStore, admin: psycopg.Connection) -> None:
    for start in range(0, 3000, 500):
        store.commit("s", [settled_item(wanted_item(number)) for number in range(start, start + 500)], [])
    admin.execute("ANALYZE lake.obscore, lake.item, lake.file, lake.replica")
    for query, index in PLANS.items():
        plan = "\n".join(line for (line,) in admin.execute("EXPLAIN " + query).fetchall())
        assert index in plan, plan
        assert "Seq Scan on item" not in plan, plan
        assert "Seq Scan on file" not in plan, plan


# ------------------------------------------------------------------------------------------------------------ the role


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
def test_the_role_reads_what_is_published(table: Table, user: psycopg.Connection) -> None:
    names = [column.sql for column in table.columns] + list(table.positions.values())
    names += [
        name for column in table.columns if column.region for name in (column.region.bound, column.region.polygon)
    ]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    user.execute(sql.SQL("SELECT {} FROM {}").format(columns, relation(table)))


def test_no_published_value_holds_an_address_of_a_replica_or_of_an_origin(user: psycopg.Connection) -> None:
    shown = "".join(
        str(user.execute(sql.SQL("SELECT * FROM {}").format(relation(table))).fetchall())
        for table in TABLES
        if table.schema == "lake"
    )
    assert "survey..tile-1..image.fits" in shown
    assert "archive.example.org" not in shown
    assert "10.0.0.7" not in shown


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM lake.obscore",  # which has columns of the sync's own
        "SELECT did FROM lake.obscore",
        "SELECT pfn FROM lake.replica",
        "SELECT origin FROM lake.rse",
        "SELECT * FROM lake.file",
        "SELECT * FROM lake.item",
        "SELECT * FROM lake.link",
        "SELECT * FROM lake.source",
        "SELECT * FROM lake.quarantine",
        "SELECT * FROM lake.setting",
        "SELECT * FROM rucio.dids",
        "SELECT rolpassword FROM pg_authid",
        "INSERT INTO tap_published.schemas VALUES ('mine')",
        "UPDATE lake.obscore SET obs_title = ''",
        "DELETE FROM lake.epn",
        "TRUNCATE tap_published.columns",
        "CREATE TABLE public.mine (x integer)",
        "CREATE TABLE tap_published.mine (x integer)",
        "CREATE TEMPORARY TABLE mine (x integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "SELECT lake.read_metadata_again()",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY tap_published.schemas FROM '/etc/passwd'",
        "SELECT pg_reload_conf()",
        "SET ROLE postgres",
        "ALTER ROLE lake_query SUPERUSER",
        "CREATE EXTENSION dblink",
    ],
)
def test_the_role_can_do_nothing_else(user: psycopg.Connection, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedTable)) as refused:
        user.execute(statement)
    if isinstance(refused.value, errors.UndefinedTable):
        assert statement == "SELECT * FROM rucio.dids", "only Rucio's table may be absent"


def test_the_role_takes_so_much_and_no_more(user: psycopg.Connection) -> None:
    names = ("temp_file_limit", "statement_timeout", "work_mem", "idle_in_transaction_session_timeout")
    values = [user.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
    assert values == [("10GB",), ("1min",), ("32MB",), ("1min",)]
    with pytest.raises(errors.InsufficientPrivilege):
        user.execute("SET temp_file_limit = -1")  # time and memory are set by the services for each query


def test_what_an_operator_has_set_for_the_role_stays(filled: Database, owner: psycopg.Connection) -> None:
    owner.execute("ALTER ROLE lake_query SET work_mem = '8MB'")
    try:
        apply_schema(filled.admin_url)
        with psycopg.connect(filled.query_url) as connection:
            assert connection.execute("SHOW work_mem").fetchone() == ("8MB",)
    finally:
        owner.execute("ALTER ROLE lake_query RESET work_mem")
        apply_schema(filled.admin_url)


def test_a_tap_schema_of_another_server_is_left_alone(empty_database: Database) -> None:
    with psycopg.connect(empty_database.admin_url) as connection:
        connection.execute("CREATE SCHEMA tap_schema; CREATE TABLE tap_schema.tables (theirs integer)")
        connection.execute("CREATE SCHEMA ivoa; CREATE TABLE ivoa.obscore (theirs integer)")
    apply_schema(empty_database.admin_url)
    with psycopg.connect(empty_database.admin_url) as connection:
        assert connection.execute("SELECT count(*) FROM tap_schema.tables").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM tap_published.tables").fetchone() == (len(TABLES),)
