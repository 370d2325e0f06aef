"""What is published: no word of it is missing, wrong or secret, and TAP_SCHEMA says it whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.units import Unit

from obscore_tap import tap_schema
from obscore_tap.published import ROWS_FILE, make_published
from obscore_tap.schema import Column, Datatype, Table

PUBLISHED = make_published()
TABLES = list(PUBLISHED)
SQL = Path(__file__).parents[2] / "sql"
SECRETS = {"pfn", "origin", "token", "cursor", "fingerprint", "did", "position", "footprint", "bound", "s_bound"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
def test_every_table_and_column_is_described_in_the_words_of_the_vo(table: Table) -> None:
    assert table.description
    for column in table.columns:
        assert column.description, column.name
        if column.ucd:
            assert check_ucd(column.ucd, check_controlled_vocabulary=True), (column.name, column.ucd)
        if column.unit:
            Unit(column.unit, format="vounit")
        assert column.ucd or table.schema == "tap_schema", column.name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
def test_nothing_is_published_that_is_nobodys_business(table: Table) -> None:
    assert not {column.name for column in table.columns} & SECRETS


def test_foreign_keys_lead_to_columns_of_the_same_type() -> None:
    """TAP 1.1 section 4.4: both ends are in TAP_SCHEMA.columns."""
    types = {(table.full_name, column.name): column.datatype for table in TABLES for column in table.columns}
    keys = [(table, key) for table in TABLES for key in table.foreign_keys]
    for table, key in keys:
        for here, there in key.columns:
            assert types[table.full_name, here] is types[key.target, there]
    targets = {(table.full_name, key.target): key.columns for table, key in keys}
    for lake in ("lake.file", "lake.replica"):
        assert targets[lake, "ivoa.obscore"] == (("obs_publisher_did", "obs_publisher_did"),)


def test_the_schema_of_epn_core_is_the_installations() -> None:
    published = make_published("mars_atlas")
    assert published.get("mars_atlas", "EPN_CORE") is not None
    assert "mars_atlas" in [schema.name for schema in published.schemas]
    assert published.get("epn", "epn_core") is None


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column("a", Datatype.TEXT), ("char", "*", None)),
        (Column("a", Datatype.TEXT, unicode=True), ("unicodeChar", "*", None)),
        (Column("a", Datatype.BIGINT), ("long", None, None)),
        (Column("a", Datatype.DOUBLE), ("double", None, None)),
        (Column("a", Datatype.TIMESTAMP), ("char", "*", "timestamp")),
        (Column("a", Datatype.DOUBLES, xtype="polygon"), ("double", "*", "polygon")),
        (Column("a", Datatype.CIRCLE), ("double", "3", "circle")),
    ],
)
def test_types_are_those_of_votable_and_dali(column: Column, expected: tuple[str, str | None, str | None]) -> None:
    """DALI 1.1 section 3.3, VOTable 1.4 section 2.1."""
    assert tap_schema.votable_type(column) == expected


def test_tap_schema_has_the_columns_of_the_standard() -> None:
    """TAP 1.1 section 4."""
    columns = {table.name: [column.name for column in table.columns] for table in tap_schema.TAP_SCHEMA_TABLES}
    assert columns == {
        "schemas": ["schema_name", "utype", "description", "schema_index"],
        "tables": ["schema_name", "table_name", "table_type", "utype", "description", "table_index"],
        "columns": [
            *("table_name", "column_name", "datatype", "arraysize", "xtype", '"size"', "description", "utype"),
            *("unit", "ucd", "indexed", "principal", "std", "column_index"),
        ],
        "keys": ["key_id", "from_table", "target_table", "description", "utype"],
        "key_columns": ["key_id", "from_column", "target_column"],
    }


def test_the_written_rows_are_those_of_what_is_published() -> None:
    """Else: ``python -m obscore_tap.published`` writes them again."""
    written = (SQL / ROWS_FILE).read_text()
    assert written == tap_schema.as_sql(make_published(tap_schema.EPN_PLACE))
