"""The DDL: applied twice, on rows, beside another server; what the roles may do; and the three definitions agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.units import Unit
from psycopg import errors
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from stac_rucio_sync.errors import FatalError, SyncError, TransientError, UsageError
from stac_rucio_sync.model import EpnRow, ObsCoreRow, Rse
from stac_rucio_sync.stores.tables import definitions as tables
from stac_rucio_sync.stores.tables import schema
from stac_rucio_sync.stores.tables.schema import apply_schema, schema_files, schema_is_current
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database, Server, make_database
from tests.postgres.examples import settled_item, wanted_item

TABLES = list(tables.METADATA.tables.values())
PUBLISHED = [tables.OBSCORE, tables.EPN]


def test_applying_again_changes_nothing_and_keeps_rows(
    database: Database, store: PostgresStore, admin: psycopg.Connection
) -> None:
    store.commit("s", [settled_item(wanted_item(1))], [])
    before = admin.execute("SELECT * FROM ivoa.obscore").fetchall()
    said = apply_schema(database.admin_url)
    assert said == [f"{name}: as it was" for name in schema_files()]
    assert admin.execute("SELECT * FROM ivoa.obscore").fetchall() == before
    assert len(before) == 1


def test_applying_to_a_database_without_pgsphere_makes_all(empty_database: Database) -> None:
    assert not schema_is_current(empty_database.admin_url)
    said = apply_schema(empty_database.admin_url)
    assert said == [f"{name}: applied" for name in schema_files()]
    assert schema_is_current(empty_database.ingest_url)


def test_a_database_with_other_ddl_is_not_current(database: Database, admin: psycopg.Connection) -> None:
    admin.execute("UPDATE lake.schema_version SET checksum = 'older' WHERE file = '050_obscore.sql'")
    assert not schema_is_current(database.ingest_url)
    assert "050_obscore.sql: changed" in apply_schema(database.admin_url)
    assert schema_is_current(database.ingest_url)


def test_a_role_that_may_not_is_told_so_and_nothing_changes(empty_database: Database, server: object) -> None:
    with pytest.raises(UsageError, match="lake_ingest may not do this"):
        apply_schema(empty_database.ingest_url)
    with psycopg.connect(empty_database.admin_url) as connection:
        assert connection.execute("SELECT to_regnamespace('lake')").fetchone() == (None,)


def test_a_pgsphere_that_cannot_be_installed_as_it_is_packaged_is_told_with_the_way_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commutator that belongs to another operator, for which PostgreSQL refuses the script of Debian 12."""
    statement = """
        CREATE OPERATOR public.@@@ (
            LEFTARG = spoint, RIGHTARG = smoc, PROCEDURE = spoint_subset_smoc, COMMUTATOR = OPERATOR(public.@>)
        )
    """
    with psycopg.connect(database.admin_url) as connection, suppress(errors.InvalidFunctionDefinition):
        connection.execute(statement)
        connection.rollback()
        pytest.skip("this PostgreSQL takes the script (it does so up to 15.18)")
    monkeypatch.setattr(schema, "schema_files", lambda: {"010_foundation.sql": statement})
    with pytest.raises(FatalError, match=r"docs/database\.md"):
        apply_schema(database.admin_url)


def test_the_views_of_another_server_are_left_alone(empty_database: Database) -> None:
    with psycopg.connect(empty_database.admin_url) as connection:
        connection.execute("CREATE SCHEMA ivoa; CREATE VIEW ivoa.obscore AS SELECT 1 AS theirs")
        connection.execute("CREATE SCHEMA planets; CREATE TABLE planets.epn_core (theirs integer)")
    said = apply_schema(empty_database.admin_url, epn_schema="planets")
    assert [line.split(" is left out")[0] for line in said if "left out" in line] == [
        "the view ivoa.obscore",
        "the view planets.epn_core",
    ]
    with psycopg.connect(empty_database.admin_url) as connection:
        assert connection.execute("SELECT * FROM ivoa.obscore").fetchall() == [(1,)]


def test_a_schema_ivoa_with_tables_of_another_server_gets_no_view(empty_database: Database) -> None:
    with psycopg.connect(empty_database.admin_url) as connection:
        connection.execute("CREATE SCHEMA ivoa; CREATE TABLE ivoa._obscoresources (theirs integer)")
    apply_schema(empty_database.admin_url)
    with psycopg.connect(empty_database.admin_url) as connection:
        assert connection.execute("SELECT to_regclass('ivoa.obscore')").fetchone() == (None,)


def test_views_can_be_left_out_and_the_epn_schema_named(empty_database: Database) -> None:
    apply_schema(empty_database.admin_url, views=False)
    with psycopg.connect(empty_database.admin_url) as connection:
        assert connection.execute("SELECT to_regnamespace('ivoa')").fetchone() == (None,)
    apply_schema(empty_database.admin_url, epn_schema="mars_atlas")
    with psycopg.connect(empty_database.reader_url) as connection:
        assert connection.execute("SELECT * FROM mars_atlas.epn_core, ivoa.obscore").fetchall() == []


@pytest.mark.parametrize(
    ("attempt", "error"),
    [(apply_schema, FatalError), (schema_is_current, FatalError), (PostgresStore.open, TransientError)],
)
def test_an_unreachable_database_ends_a_command(attempt: Callable[[str], object], error: type[SyncError]) -> None:
    """One that works on waits for it: to it, the failure is transient."""
    with pytest.raises(error, match="cannot connect"):
        attempt("postgresql://nobody@127.0.0.1:1/none")


def test_a_database_without_the_schema_names_the_way_out(empty_database: Database) -> None:
    with pytest.raises(FatalError, match="db apply"):
        PostgresStore.open(empty_database.admin_url)


# ------------------------------------------------------------------------------------------------------------ roles


@pytest.fixture(scope="module")
def filled(server: Server, template: str) -> Iterator[Database]:
    """A database whose own privileges (which a template does not hand on) are set, with a row of each."""
    for database in make_database(server, template):
        apply_schema(database.admin_url)
        store = PostgresStore.open(database.ingest_url)
        store.commit("s", [settled_item(wanted_item(1))], [])
        store.upsert_rses([Rse("R", deterministic=False, rse_type="DISK", available_read=True)])
        store.close()
        yield database


@pytest.fixture
def reader(filled: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(filled.reader_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def onlooker(filled: Database) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the same database, which changes nothing."""
    with psycopg.connect(filled.admin_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        yield connection


@pytest.mark.parametrize(
    "table", ["ivoa.obscore", "lake.obscore", "lake.file", "lake.link", "lake.replica", "lake.rse"]
)
def test_the_reader_reads_what_is_published(reader: psycopg.Connection, table: str) -> None:
    assert reader.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names above


def test_the_reader_finds_items_but_not_their_state(reader: psycopg.Connection) -> None:
    assert reader.execute("SELECT id FROM lake.item WHERE obs_publisher_did LIKE 'ivo:%'").fetchall() == [("tile-1",)]
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("SELECT fingerprint FROM lake.item")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM lake.quarantine",
        "SELECT * FROM lake.source",
        "INSERT INTO lake.rse VALUES ('X', true, 'DISK', true)",
        "DELETE FROM ivoa.obscore",
        "UPDATE lake.file SET bytes = 0",
        "TRUNCATE lake.obscore",
        "CREATE TABLE public.mine (x integer)",
        "CREATE TEMPORARY TABLE mine (x integer)",
        "CREATE TABLE lake.mine (x integer)",
        "CREATE SCHEMA mine",
    ],
)
def test_the_reader_can_do_nothing_else(reader: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


def test_other_roles_keep_their_temporary_tables(onlooker: psycopg.Connection) -> None:
    may = "SELECT has_database_privilege(%s, current_database(), 'TEMP')"
    told = {role: onlooker.execute(may, [role]).fetchone() for role in ("rucio", "lake_ingest", "lake_reader")}
    assert told == {"rucio": (True,), "lake_ingest": (True,), "lake_reader": (False,)}


# ------------------------------------------------------------------------------------- the definitions are the same


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_definitions_are_those_of_the_database(table: Table, onlooker: psycopg.Connection) -> None:
    real = onlooker.execute(
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated = 's',
            coalesce(a.attnum = ANY (p.conkey), false)
        FROM pg_attribute a LEFT JOIN pg_constraint p ON p.conrelid = a.attrelid AND p.contype = 'p'
        WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
        """,
        [table.fullname],
    ).fetchall()
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's is not typed
    ours = [
        (c.name, c.type.compile(dialect).lower(), not c.nullable, c.computed is not None, c.primary_key)
        for c in table.columns
    ]
    assert real == ours


def test_every_table_of_the_schema_is_defined(onlooker: psycopg.Connection) -> None:
    there = onlooker.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'lake'").fetchall()
    assert {name for (name,) in there} == {table.name for table in TABLES}


@pytest.mark.parametrize(("table", "row"), [(tables.OBSCORE, ObsCoreRow), (tables.EPN, EpnRow)])
def test_rows_have_the_columns_that_a_load_writes(table: Table, row: type[ObsCoreRow | EpnRow]) -> None:
    assert tuple(tables.loaded_columns(table)) == row._fields


@pytest.mark.parametrize(("table", "view"), [(tables.OBSCORE, "ivoa.obscore"), (tables.EPN, "epn.epn_core")])
def test_views_show_the_published_columns(table: Table, view: str, onlooker: psycopg.Connection) -> None:
    shown = onlooker.execute(f"SELECT * FROM {view}").description or []  # noqa: S608 - names above
    assert [column.name for column in shown] == [column.name for column in tables.published_columns(table)]


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_published_columns_have_words_of_the_vo(table: Table) -> None:
    for column in tables.published_columns(table):
        told = column.info
        assert told["description"], column.name
        assert check_ucd(told["ucd"], check_controlled_vocabulary=True), (column.name, told["ucd"])
        if told["unit"]:
            Unit(told["unit"], format="vounit")


def test_obscore_has_all_mandatory_columns_with_their_utypes() -> None:
    """ObsCore 1.1 table 5 and, for the utypes of some of them, appendix C."""
    info = {column.name: column.info for column in tables.published_columns(tables.OBSCORE)}
    mandatory = """
        dataproduct_type calib_level obs_collection obs_id obs_publisher_did access_url access_format access_estsize
        target_name s_ra s_dec s_fov s_region s_xel1 s_xel2 s_resolution t_min t_max t_exptime t_resolution t_xel
        em_min em_max em_res_power em_xel o_ucd pol_states pol_xel facility_name instrument_name
    """.split()  # noqa: SIM905 - reads as the standard's table
    assert set(mandatory) <= set(info)
    assert all(told["utype"].startswith("obscore:") for told in info.values() if told["std"])
    assert info["s_ra"]["utype"] == "obscore:Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1"
    assert info["em_res_power"]["utype"] == "obscore:Char.SpectralAxis.Resolution.ResolPower.refVal"
    assert (info["s_region"]["xtype"], info["obs_release_date"]["xtype"]) == ("adql:REGION", "timestamp")
    assert {name: info[name]["unit"] for name in ("s_ra", "s_resolution", "t_min", "t_exptime", "em_min")} == {
        "s_ra": "deg", "s_resolution": "arcsec", "t_min": "d", "t_exptime": "s", "em_min": "m",
    }  # fmt: skip
