"""ObsCore rows written per second, against the bare COPY and upsert statements with ready bytes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from statistics import median
from typing import Any

import psycopg
from sqlalchemy import Table

from benchmarks.figures import Figure, in_turns, ratio_of, seconds
from benchmarks.items import items
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead, Registered, Settled
from stac_rucio_sync.settings import Collection, Settings
from stac_rucio_sync.stores.tables.definitions import ITEM, OBSCORE
from stac_rucio_sync.stores.tables.load import copy_statement, stage_statement, upsert_statement
from stac_rucio_sync.stores.tables.rows import rows_of
from stac_rucio_sync.stores.tables.store import PostgresStore

BATCHES, ITEMS, ROUNDS = 4, 500, 7


def rows(settings: Settings) -> list[Figure]:
    """Commit batches of sky items without files; the bare way runs the same two COPYs and upserts a batch."""
    run = uuid.uuid4().hex[:8]
    tables = PostgresStore.open(settings.database_url())
    with psycopg.connect(settings.database_url()) as connection:
        bare_connection = BareLoad(connection)

        def ours(number: int) -> float:
            batches = _batches(settings, f"rows-{run}-ours-{number}")
            return seconds(lambda: [tables.commit("bench", batch, [], None) for batch in batches])

        def bare(number: int) -> float:
            batches = [bare_connection.ready(batch) for batch in _batches(settings, f"rows-{run}-bare-{number}")]
            return seconds(lambda: bare_connection.load_all(batches))

        our_times, bare_times = in_turns(ROUNDS, ours, bare)
    tables.close()
    count = BATCHES * ITEMS
    return [
        Figure(
            "ObsCore rows written, against the bare statements",
            ratio_of(our_times, bare_times),
            0.7,
            "× bare",
            f"{count / median(our_times):,.0f} rows/s with their items' state, bare {count / median(bare_times):,.0f}",
        )
    ]


def _batches(settings: Settings, collection: str) -> list[list[Settled]]:
    sky = settings.model_copy(update={"collections": {collection: Collection(frame="sky")}})
    reads = [ItemRead(item | {"assets": {}}, None, "made") for item in items(BATCHES * ITEMS, collection=collection)]
    wanted = [map_item(parse_item(read, sky), sky, {}, uuid.uuid4().hex) for read in reads]
    settled = [Settled(one, Registered(one.key)) for one in wanted]
    return [settled[start : start + ITEMS] for start in range(0, len(settled), ITEMS)]


class BareLoad:
    """COPY and upsert on one connection, with the pool's own settings of the planner and nothing else."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"):
            connection.execute(f"SET {setting} = off")
        for table in (ITEM, OBSCORE):
            connection.execute(stage_statement(table).encode())
        connection.commit()

    def ready(self, batch: Sequence[Settled]) -> dict[Table, bytes]:
        """Return the bytes that COPY takes."""
        made = rows_of("bench", batch)
        return {table: b"".join(map(_copy_line, made[table])) for table in (ITEM, OBSCORE)}

    def load_all(self, batches: Sequence[dict[Table, bytes]]) -> None:
        """Load batches, each in one transaction."""
        for batch in batches:
            for table, text in batch.items():
                with self.connection.cursor() as cursor:
                    with cursor.copy(copy_statement(table).encode()) as copy:
                        copy.write(text)
                    cursor.execute(upsert_statement(table).encode())
            self.connection.commit()


def _copy_line(row: tuple[Any, ...]) -> bytes:
    """Write a row in COPY's text format; none of the made values needs an escape but the quotes of arrays."""
    values = (
        "\\N" if value is None else {True: "t", False: "f"}.get(value, value) if isinstance(value, bool) else value
        for value in row
    )
    return "\t".join(str(value) for value in values).encode() + b"\n"
