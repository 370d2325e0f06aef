"""The lake's own tables as ADQL shows them: which files there are, where their replicas lie, and what the RSEs are.

They are views (`sql/120_tap_schema.sql`) that leave out what is nobody's business: addresses of replicas, hosts of
origins, tokens.
"""

from __future__ import annotations

from obscore_tap.schema import Column, Datatype, ForeignKey, SchemaEntry, Table

RELATIONS = "tap_published"
"""Schema of the views and of the tables of TAP_SCHEMA in PostgreSQL."""

LAKE = SchemaEntry("lake", "The data lake: files, their replicas, and the storage elements (RSEs) that hold them")

_PUBLISHER_DID = Column(
    "obs_publisher_did",
    Datatype.TEXT,
    "IVOA identifier of the data product that the file belongs to, as in ivoa.obscore",
    ucd="meta.ref.ivoid",
    indexed=True,
    principal=True,
)
_ASSET = Column(
    "asset",
    Datatype.TEXT,
    "Key of the file among the assets of its STAC item; its DID where no STAC item describes it",
    ucd="meta.id;meta.file",
    unicode=True,
)
_SCOPE = Column("scope", Datatype.TEXT, "Rucio scope of the file", ucd="meta.id", principal=True)
_NAME = Column("name", Datatype.TEXT, "Rucio name of the file", ucd="meta.id;meta.file", principal=True)
_OF_THE_PRODUCT = ForeignKey("ivoa.obscore", (("obs_publisher_did",) * 2,), "The data product that the file belongs to")

FILE = Table(
    "lake",
    "file",
    (RELATIONS, "file"),
    (
        _PUBLISHER_DID,
        _ASSET,
        _SCOPE,
        _NAME,
        Column("bytes", Datatype.BIGINT, "Size of the file", ucd="phys.size;meta.file", unit="byte", principal=True),
        Column("adler32", Datatype.TEXT, "Adler-32 checksum, hexadecimal", ucd="meta.checksum;meta.file"),
        Column("md5", Datatype.TEXT, "MD5 checksum, hexadecimal", ucd="meta.checksum;meta.file"),
        Column(
            "unverified_checksum",
            Datatype.TEXT,
            "Checksum of another kind, as the catalogue states it (multihash)",
            ucd="meta.checksum;meta.file",
        ),
        Column("content_type", Datatype.TEXT, "Media type", ucd="meta.code.mime", principal=True),
        Column("roles", Datatype.TEXT, "STAC roles, separated by #", ucd="meta.code;meta.file", unicode=True),
        Column("title", Datatype.TEXT, "Title of the file", ucd="meta.title;meta.file", unicode=True),
        Column("science", Datatype.INTEGER, "1 for the data themselves, 0 for their company", ucd="meta.code"),
    ),
    description="Files of the data lake with their sizes and checksums",
    is_view=True,
    foreign_keys=(_OF_THE_PRODUCT,),
)

REPLICA = Table(
    "lake",
    "replica",
    (RELATIONS, "replica"),
    (
        _PUBLISHER_DID,
        _ASSET,
        _SCOPE,
        _NAME,
        Column(
            "rse", Datatype.TEXT, "Storage element that holds the replica", ucd="meta.id", indexed=True, principal=True
        ),
        Column("site", Datatype.TEXT, "Site of the storage element", ucd="meta.id", unicode=True, principal=True),
        Column("state", Datatype.TEXT, "Rucio's state of the replica: AVAILABLE, COPYING ...", ucd="meta.code.status"),
        Column("needs_login", Datatype.INTEGER, "1 where the storage element asks for credentials", ucd="meta.code"),
        Column(
            "updated",
            Datatype.TIMESTAMP,
            "When this was last learnt from Rucio (UTC)",
            ucd="time.processing",
            xtype="timestamp",
        ),
    ),
    description="Where each file lies: one row for a file and a storage element",
    is_view=True,
    foreign_keys=(
        _OF_THE_PRODUCT,
        ForeignKey("lake.rse", (("rse", "rse"),), "The storage element that holds the replica"),
        ForeignKey("lake.file", (("obs_publisher_did",) * 2, ("asset", "asset")), "The file that this is a replica of"),
    ),
)

RSE = Table(
    "lake",
    "rse",
    (RELATIONS, "rse"),
    (
        Column(
            "rse", Datatype.TEXT, "Name of the storage element", ucd="meta.id;meta.main", indexed=True, principal=True
        ),
        Column("rse_type", Datatype.TEXT, "DISK or TAPE", ucd="meta.code.class", principal=True),
        Column("site", Datatype.TEXT, "Site where it stands", ucd="meta.id", unicode=True, principal=True),
        Column("latitude", Datatype.DOUBLE, "Geographic latitude of the site", ucd="pos.earth.lat", unit="deg"),
        Column("longitude", Datatype.DOUBLE, "Geographic longitude of the site", ucd="pos.earth.lon", unit="deg"),
        Column("available_read", Datatype.INTEGER, "1 where it can be read from now", ucd="meta.code.status"),
    ),
    description="Storage elements (RSEs) of the data lake",
    is_view=True,
)

LAKE_TABLES = (FILE, REPLICA, RSE)
