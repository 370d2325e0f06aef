"""All tables of schema ``lake``, as SQLAlchemy sees them; the DDL itself lies in ``sql/``.

Columns with ``info["published"]`` are what TAP shows, with the words of TAP_SCHEMA beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Double, ForeignKeyConstraint, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSON, JSONB

from stac_rucio_sync.stores.tables.columns import METADATA
from stac_rucio_sync.stores.tables.epn import EPN
from stac_rucio_sync.stores.tables.obscore import OBSCORE

__all__ = [
    "DID_LINK",
    "EPN",
    "FILE",
    "ITEM",
    "LINK",
    "METADATA",
    "MIRROR",
    "OBSCORE",
    "QUARANTINE",
    "REMOVAL",
    "REPLICA",
    "RSE",
    "RSE_DISTANCE",
    "SCHEMA_VERSION",
    "SETTING",
    "SOURCE",
    "loaded_columns",
    "published_columns",
]


def _text(name: str, **options: Any) -> Column[str]:  # noqa: ANN401 - whatever Column takes
    return Column(name, Text(), **options)


def _instant(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


SCHEMA_VERSION = Table(
    "schema_version",
    METADATA,
    _text("file", primary_key=True),
    _text("checksum", nullable=False),
    _instant("applied_at", nullable=False),
)

SOURCE = Table(
    "source",
    METADATA,
    _text("name", primary_key=True),
    _text("kind"),
    _text("location"),
    Column("cursor", JSONB()),
    _instant("last_started"),
    _instant("last_ended"),
    _instant("last_complete"),
    _text("last_outcome", nullable=False, server_default="not recorded"),
    _instant("last_finished"),
    _text("last_error"),
    Column("last_report", JSON()),
)

ITEM = Table(
    "item",
    METADATA,
    _text("collection", primary_key=True),
    _text("id", primary_key=True),
    _text("source", nullable=False, index=True),
    _text("fingerprint", nullable=False),
    _text("scope", nullable=False),
    _text("name", nullable=False),
    _text("obs_publisher_did", nullable=False),
    Column("metadata_keys", ARRAY(Text()), nullable=False),
    Column("links_only", Boolean(), nullable=False),
    _instant("first_synced", nullable=False),
    _instant("last_synced", nullable=False),
)

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("entry", BigInteger(), primary_key=True),
    _text("source", nullable=False),
    _text("collection"),
    _text("id"),
    _text("position", nullable=False),
    _text("reason", nullable=False),
    _text("fingerprint"),
    Column("item", JSON()),
    _text("href"),
    Column("attempts", Integer(), nullable=False),
    _instant("first_seen", nullable=False),
    _instant("last_seen", nullable=False),
    _text("commit"),
)

UNTOLD = Table(
    "untold",
    METADATA,
    _text("collection", primary_key=True),
    _text("id", primary_key=True),
    _text("reason", nullable=False),
    Column("times", Integer(), nullable=False),
    _instant("first_asked", nullable=False),
    _instant("ask_again", nullable=False),
)

REMOVAL = Table(
    "removal",
    METADATA,
    _text("collection", primary_key=True),
    _text("id", primary_key=True),
    _text("source", nullable=False, index=True),
    _text("scope", nullable=False),
    _text("name", nullable=False),
    Column("metadata_keys", ARRAY(Text()), nullable=False),
    Column("file_scopes", ARRAY(Text()), nullable=False),
    Column("file_names", ARRAY(Text()), nullable=False),
    _instant("begun", nullable=False),
)

RSE = Table(
    "rse",
    METADATA,
    _text("rse", primary_key=True),
    Column("deterministic", Boolean(), nullable=False),
    _text("rse_type", nullable=False),
    Column("available_read", Boolean(), nullable=False),
    _text("site"),
    Column("latitude", Double()),
    Column("longitude", Double()),
    _text("origin"),
)

RSE_DISTANCE = Table(
    "rse_distance",
    METADATA,
    _text("source", primary_key=True),
    _text("destination", primary_key=True),
    Column("distance", Integer(), nullable=False),
)

FILE = Table(
    "file",
    METADATA,
    _text("collection", primary_key=True),
    _text("id", primary_key=True),
    _text("asset", primary_key=True),
    _text("scope", nullable=False),
    _text("name", nullable=False),
    Column("bytes", BigInteger(), nullable=False),
    _text("adler32"),
    _text("md5"),
    _text("unverified_checksum"),
    _text("content_type"),
    Column("roles", ARRAY(Text()), nullable=False),
    _text("title"),
    Column("science", Boolean(), nullable=False),
    ForeignKeyConstraint(["collection", "id"], [ITEM.c.collection, ITEM.c.id], ondelete="CASCADE"),
)

LINK = Table(
    "link",
    METADATA,
    _text("collection", primary_key=True),
    _text("id", primary_key=True),
    _text("name", primary_key=True),
    _text("href"),
    _text("rel"),
    _text("content_type"),
    Column("roles", ARRAY(Text()), nullable=False),
    _text("title"),
    _text("reason"),
    ForeignKeyConstraint(["collection", "id"], [ITEM.c.collection, ITEM.c.id], ondelete="CASCADE"),
)

REPLICA = Table(
    "replica",
    METADATA,
    _text("scope", primary_key=True),
    _text("name", primary_key=True),
    _text("rse", primary_key=True),
    _text("pfn", nullable=False),
    _text("state", nullable=False),
    Column("needs_login", Boolean(), nullable=False),
    _instant("updated", nullable=False),
)

MIRROR = Table(
    "mirror",
    METADATA,
    Column("singleton", Boolean(), primary_key=True),
    _instant("last_poll"),
    _instant("last_full"),
    Column("rucio_ok", Boolean()),
    _text("rucio_said"),
    _instant("since"),
    _instant("last_event"),
    _instant("polled_to"),
    _text("turn_scope"),
    _text("turn_name"),
)

DID_LINK = Table(
    "did_link",
    METADATA,
    _text("scope", primary_key=True),
    _text("name", primary_key=True),
    Column("number", Integer(), primary_key=True),
    _text("access_url", nullable=False),
    _text("semantics"),
    _text("description"),
    _text("content_type"),
)

SETTING = Table("setting", METADATA, _text("name", primary_key=True), _text("value", nullable=False))

_STAMPED = frozenset({"first_synced", "last_synced", "updated", "did"})
"""Columns that the database fills in when a row is written; ``did`` is the trigger's."""


def loaded_columns(table: Table) -> Sequence[str]:
    """Return the columns that a load writes, in order: all but generated ones and time stamps."""
    return [column.name for column in table.columns if column.computed is None and column.name not in _STAMPED]


def published_columns(table: Table) -> Sequence[Column[Any]]:
    """Return the columns that the view of a table shows, in order."""
    return [column for column in table.columns if column.info.get("published")]
