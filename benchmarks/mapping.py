"""Items mapped per second on one core, STAC migration included; unchanged items checked per second."""

from __future__ import annotations

import gzip
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import orjson

from benchmarks.figures import Figure
from benchmarks.items import items
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.fingerprint import fingerprint, settings_digest
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob

REAL_ITEMS = Path(__file__).parents[2] / "shared" / "data" / "items.ndjson.gz"
MADE_ITEMS, ROUNDS = 4000, 3
UNCHANGED_ITEMS = 20_000


def mapping(settings: Settings) -> list[Figure]:
    """Parse, fingerprint, migrate and map real items (made ones where the real ones are not at hand)."""
    lines = list(_lines())
    digest = settings_digest(settings)
    rates = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for line in lines:
            read = ItemRead(orjson.loads(line), None, "")
            with suppress(ItemError):  # some real items are broken; finding that out is part of the work
                map_item(parse_item(read, settings), settings, {}, fingerprint(read, digest))
        rates.append(len(lines) / (time.process_time() - started))
    which = "real items" if REAL_ITEMS.exists() else "made items: the real ones are not beside this checkout"
    return [Figure("items mapped on one core", median(rates), 1200, "items/s of CPU", f"{len(lines)} {which}")]


def _lines() -> Iterator[bytes]:
    if REAL_ITEMS.exists():
        with gzip.open(REAL_ITEMS) as file:
            yield from file
    else:
        yield from (orjson.dumps(item) for item in items(MADE_ITEMS, collection="made"))


def unchanged(settings: Settings) -> list[Figure]:
    """Sync items without files once, then time a run that finds nothing changed."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.ndjson"
        with path.open("wb") as file:
            for item in items(UNCHANGED_ITEMS, collection=name):
                file.write(orjson.dumps(item | {"assets": {}}) + b"\n")
        tables = PostgresStore.open(settings.database_url())
        try:
            _run(path, name, settings, tables)
            rates = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                job = _run(path, name, settings, tables)
                rates.append(UNCHANGED_ITEMS / (time.perf_counter() - started))
                if job.report.unchanged != UNCHANGED_ITEMS:
                    raise AssertionError(job.report)
        finally:
            tables.close()
    return [Figure("unchanged items checked", median(rates), 10_000, "items/s", f"{UNCHANGED_ITEMS} items of 0.7 kB")]


def _run(path: Path, name: str, settings: Settings, tables: PostgresStore) -> SyncJob:
    job = SyncJob(open_source(str(path), name=name, options=ReadOptions()), settings, tables, RucioStore(settings))
    job.run()
    return job
