"""An audit where nothing differs, against the bare bulk reads that it cannot do without."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.figures import Figure, in_turns, ratio_of, seconds
from benchmarks.items import items
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, Source, open_source
from stac_rucio_sync.stores.rucio.audit import PLUGINS, RucioAudit
from stac_rucio_sync.stores.rucio.client import make_client
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.audit_rows import AuditRows
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob
from stac_rucio_sync.verify import VerifyJob

ITEMS, ASSETS, ROUNDS = 1000, 4, 3


def verify(settings: Settings) -> list[Figure]:
    """Sync made items once, then audit them and read the same by bare calls, in turns."""
    collection = f"verify-{uuid.uuid4().hex[:8]}"
    settings = settings.model_copy(
        update={"identity": settings.identity.model_copy(update={"scope": collection.replace("-", "")})}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.ndjson"
        path.write_text("".join(json.dumps(item) + "\n" for item in items(ITEMS, collection=collection, assets=ASSETS)))
        source = open_source(str(path), name=collection, options=ReadOptions(full=True))
        tables, lake = PostgresStore.open(settings.database_url()), RucioStore(settings)
        SyncJob(source, settings, tables, lake).run()
        rows, audit = AuditRows(settings.database_url()), RucioAudit(settings)
        job = (source, settings, tables, rows, lake, audit)
        bare_reads = BareReads(settings, collection)
        our_times, bare_times = in_turns(
            ROUNDS, lambda _: seconds(lambda: _audited(job)), lambda _: seconds(bare_reads.read)
        )
        for store in (tables, lake, rows, audit):
            store.close()
    return [
        Figure(
            "an audit that finds nothing, against bare reads",
            1 / ratio_of(our_times, bare_times),
            2.0,
            "× the time",
            f"{ITEMS / median(our_times):,.0f} items/s of {ASSETS} files, bare {ITEMS / median(bare_times):,.0f}",
            at_least=False,
        )
    ]


def _audited(job: tuple[Source, Settings, PostgresStore, AuditRows, RucioStore, RucioAudit]) -> None:
    report = VerifyJob(*job).run()
    if report.read != ITEMS or not report.clean:
        raise AssertionError(f"{report.differences} differences in {report.read} items: {report.examples}")


class BareReads:
    """The bulk reads by Rucio's client and by SQL alone, their arguments made beforehand."""

    def __init__(self, settings: Settings, collection: str) -> None:
        os.environ["RUCIO_CONFIG"] = str(settings.rucio.config)  # the bare client finds its configuration by this alone
        self.client: Any = make_client(settings.rucio, lambda: None)  # not all of it is typed
        self.plugin = PLUGINS[settings.rucio.metadata]
        self.connection = psycopg.connect(settings.database_url())
        self.container = {"scope": settings.identity.scope, "name": collection}
        self.batches: list[dict[str, Any]] = []
        ids = [row[0] for row in self._rows("SELECT id FROM lake.item WHERE collection = %s ORDER BY id", collection)]
        for start in range(0, len(ids), settings.sync.batch_items):
            these = [collection, ids[start : start + settings.sync.batch_items]]
            self.batches.append(
                {
                    "keys": these,
                    "datasets": self._dids("lake.item", these),
                    "files": self._dids("lake.file", these),
                }
            )

    def _rows(self, statement: str, *values: Any) -> list[Any]:  # noqa: ANN401 - whatever the statement takes
        return self.connection.execute(statement.encode(), values).fetchall()

    def _dids(self, table: str, keys: list[Any]) -> list[dict[str, str]]:
        statement = f"SELECT scope, name FROM {table} WHERE collection = %s AND id = ANY(%s)"  # noqa: S608 - our tables
        return [{"scope": scope, "name": name} for scope, name in self._rows(statement, *keys)]

    def read(self) -> None:
        """Read them in order: types, contents, metadata, replicas, rows; the container's content once."""
        list(self.client.list_content(**self.container))
        for batch in self.batches:
            list(self.client.get_metadata_bulk([*batch["datasets"], self.container]))
            list(self.client.bulk_list_files(batch["datasets"]))
            list(self.client.get_metadata_bulk(batch["datasets"], plugin=self.plugin))
            for start in range(0, len(batch["files"]), 1000):
                list(self.client.list_replicas(batch["files"][start : start + 1000], all_states=True))
            for table in ("item", "file", "link"):
                self._rows(f"SELECT * FROM lake.{table} WHERE collection = %s AND id = ANY(%s)", *batch["keys"])  # noqa: S608 - our tables
            self._rows("SELECT * FROM lake.obscore WHERE obs_collection = %s AND obs_id = ANY(%s)", *batch["keys"])
            self._rows(
                "SELECT r.* FROM lake.replica r JOIN lake.file f USING (scope, name) "
                "WHERE f.collection = %s AND f.id = ANY(%s)",
                *batch["keys"],
            )
        self.connection.rollback()
