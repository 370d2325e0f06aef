"""What TAP publishes: the lake's tables under the names of the Virtual Observatory, and TAP_SCHEMA itself.

The words of ObsCore and EPN-TAP come from the table definitions of the sync, so that the sync, the database and
TAP_SCHEMA say one thing. Names, types and words of the lake's own tables and of TAP_SCHEMA stand in `lake_tables` and
`tap_schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy
from sqlalchemy.types import TypeEngine

from obscore_tap.lake_tables import LAKE, LAKE_TABLES
from obscore_tap.schema import Column, Datatype, ForeignKey, Published, Region, SchemaEntry, Table
from obscore_tap.tap_schema import EPN_PLACE, TAP_SCHEMA, TAP_SCHEMA_TABLES, as_sql
from stac_rucio_sync.stores.tables.definitions import EPN, OBSCORE, published_columns

_TYPES: tuple[tuple[type[TypeEngine[Any]], Datatype], ...] = (
    (sqlalchemy.ARRAY, Datatype.DOUBLES),
    (sqlalchemy.BigInteger, Datatype.BIGINT),  # before Integer, which it is a kind of
    (sqlalchemy.Integer, Datatype.INTEGER),
    (sqlalchemy.Double, Datatype.DOUBLE),
    (sqlalchemy.DateTime, Datatype.TIMESTAMP),
    (sqlalchemy.Text, Datatype.TEXT),
)

_INDEXED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "obscore": frozenset(
            {"obs_publisher_did", "obs_id", "obs_collection", "t_min", "em_min", "s_ra", "s_dec"}
            | {"s_region", "s_polygon"}
        ),
        "epn": frozenset(
            {"obs_publisher_did", "granule_uid", "target_name", "time_min", "s_region", "s_polygon"},
        ),
    }
)
"""First columns of the indexes of `sql/`, and the columns that stand for what the spatial ones are on."""

_ASCII: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "obscore": frozenset(
            {"dataproduct_type", "obs_publisher_did", "access_url", "access_format", "s_region", "o_ucd"}
            | {"pol_states", "data_rights", "publisher_id"}
        ),
        "epn": frozenset(
            {"granule_uid", "dataproduct_type", "target_class", "s_region", "spatial_frame_type", "measurement_type"}
            | {"service_title", "access_md5", "datalink_url", "obs_publisher_did"}
        ),
    }
)
"""Text columns that are ASCII by a constraint of their table; what is not here may hold any character."""

_REGIONS = frozenset({"s_region", "s_polygon"})


def make_published(epn_schema: str = "epn") -> Published:
    """Return all that queries may name.

    Parameters
    ----------
    epn_schema
        Schema of ``epn_core``.
    """
    obscore = _table(OBSCORE, "ivoa", "obscore", positions={("s_ra", "s_dec"): "position"})
    granules = _table(
        EPN,
        epn_schema,
        "epn_core",
        foreign_keys=(
            ForeignKey("ivoa.obscore", (("obs_publisher_did",) * 2,), "The row of the same data product in ObsCore"),
        ),
    )
    schemas = (
        SchemaEntry("ivoa", "Data models of the IVOA: ObsCore"),
        SchemaEntry(epn_schema, "Data products on bodies of the solar system: EPN-TAP"),
        LAKE,
        TAP_SCHEMA,
    )
    return Published((obscore, granules, *LAKE_TABLES, *TAP_SCHEMA_TABLES), schemas)


def _table(
    source: sqlalchemy.Table,
    schema: str,
    name: str,
    *,
    positions: Mapping[tuple[str, str], str] = MappingProxyType({}),
    foreign_keys: tuple[ForeignKey, ...] = (),
) -> Table:
    return Table(
        schema=schema,
        name=name,
        relation=("lake", source.name),
        columns=tuple(_column(column, source.name) for column in _in_order(source)),
        description=source.info["description"],
        utype=source.info["utype"],
        positions=positions,
        foreign_keys=foreign_keys,
    )


def _in_order(source: sqlalchemy.Table) -> list[sqlalchemy.Column[Any]]:
    """Return the columns that are published, the polygon of a region beside the region."""
    columns = {column.name: column for column in published_columns(source)}
    polygon = columns.pop("s_polygon")
    place = list(columns).index("s_region") + 1
    return [*list(columns.values())[:place], polygon, *list(columns.values())[place:]]


def _column(source: sqlalchemy.Column[Any], table: str) -> Column:
    said = source.info
    datatype = next(datatype for kind, datatype in _TYPES if isinstance(source.type, kind))
    return Column(
        name=source.name,
        datatype=datatype,
        description=said["description"],
        ucd=said["ucd"] or "",
        unit=said["unit"] or "",
        utype=said["utype"] or "",
        xtype=said["xtype"] or "",
        indexed=source.name in _INDEXED[table],
        principal=said["principal"],
        std=said["std"],
        unicode=datatype is Datatype.TEXT and source.name not in _ASCII[table],
        region=Region("footprint", "bound") if source.name in _REGIONS else None,
    )


ROWS_FILE = "125_tap_schema_rows.sql"


def write_rows() -> None:
    """Write the rows of TAP_SCHEMA beside the other DDL of this checkout."""
    place = Path(__file__).parents[1] / "sql" / ROWS_FILE
    place.write_text(as_sql(make_published(EPN_PLACE)), encoding="utf-8")


if __name__ == "__main__":
    write_rows()
