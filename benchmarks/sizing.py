"""What a row takes on the disk, table by table, and how long a table of many takes to make: docs/sizing.md."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg

from benchmarks.figures import Figure, seconds
from benchmarks.items import items
from benchmarks.observations import load
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead, Registered, Replica, Settled
from stac_rucio_sync.settings import Collection, Settings
from stac_rucio_sync.stores.tables.store import PostgresStore

ROWS, ITEMS, BATCH = 1_000_000, 20_000, 500
TABLES = {"lake.item": 1200, "lake.file": 600, "lake.replica": 600}
"""With the most bytes that a row of each may take, indexes included."""
_BYTES = """
    SELECT pg_table_size('{0}')::float8 / n, pg_indexes_size('{0}')::float8 / n FROM (SELECT count(*) FROM {0}) c (n)"""
_INDEXES = """
    SELECT indexrelid::regclass::text, pg_relation_size(indexrelid)::float8 / %s FROM pg_index
    WHERE indrelid = 'lake.obscore'::regclass ORDER BY 2 DESC"""


def sizing(settings: Settings, rows: int = ROWS) -> Iterator[Figure]:
    """Fill the tables and weigh them.

    Parameters
    ----------
    settings
        Of a lake whose tables may be emptied.
    rows
        Rows of ObsCore.
    """
    url = settings.database.admin_url
    assert url is not None, "the lake's settings name no admin"
    with psycopg.connect(url.get_secret_value(), autocommit=True) as admin:
        admin.execute("TRUNCATE lake.obscore, lake.item, lake.file, lake.link, lake.replica")
        _write_items(settings)
        for table, most in TABLES.items():
            yield _weighed(admin, table, most)
        admin.execute("TRUNCATE lake.obscore")
        taken = seconds(lambda: load(admin, rows))
        yield Figure(f"{rows:,} rows of ObsCore: made", rows / taken, 2000, "rows/s", f"{taken:,.0f} s: COPY, indexes")
        yield _weighed(admin, "lake.obscore", 3000)
        for name, size in admin.execute(_INDEXES, [rows]).fetchall():
            yield Figure(f"  {name}", size, 1000, "bytes a row", "", at_least=False)


def _write_items(settings: Settings) -> None:
    collection = f"sizing-{uuid.uuid4().hex[:8]}"
    sky = settings.model_copy(update={"collections": {collection: Collection(frame="sky")}})
    store = PostgresStore.open(settings.database_url())
    settled: list[Settled] = []
    for item in items(ITEMS, collection=collection):
        one = map_item(parse_item(ItemRead(item, None, "made"), sky), sky, {}, uuid.uuid4().hex)
        replicas = tuple(
            Replica(file.did, "HTTPS-ARCHIVE", replica.pfn, "AVAILABLE", replica.needs_login)
            for file in one.files
            for replica in file.replicas
        )
        settled.append(Settled(one, Registered(one.key, replicas)))
        if len(settled) == BATCH:
            store.commit("sizing", settled, [], None)
            settled.clear()
    store.close()


def _weighed(admin: psycopg.Connection, table: str, most: float) -> Figure:
    admin.execute(f"VACUUM (ANALYZE) {table}".encode())
    row = admin.execute(_BYTES.format(table).encode()).fetchone()
    assert row is not None
    return Figure(
        f"{table}, with its indexes", sum(row), most, "bytes a row", f"rows {row[0]:,.0f}, indexes {row[1]:,.0f}",
        at_least=False,
    )  # fmt: skip
