"""A lake with copies at three sites, and the STAC API of its items: what the tests of alternate assets share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import requests

from stac_rucio_sync.demo.catalogue import FEWEST_ITEMS, ensure_catalogue
from stac_rucio_sync.mapping.identifiers import dataset_did
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.settings import Rucio, Settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from stac_rucio_sync.watch.rebuild import Rebuild
from tests.conftest import RunningLake
from tests.ports import free_port

NAME = "annotated"
SITES = {"VIENNA-DISK": "vienna", "SYDNEY-DISK": "sydney", "SANFRANCISCO-DISK": "san-francisco"}
_SECONDS = 100.0


@dataclass(frozen=True)
class Annotated:
    """The lake, its items, and the API that gives them."""

    lake: RunningLake
    settings: Settings
    api: str
    items: tuple[dict[str, Any], ...]
    copied: tuple[ItemKey, ...]
    """Items that have replicas at all three sites beside the origin."""
    others: tuple[ItemKey, ...]
    """Items that are at the origin only."""

    def settings_as(self, account: str, **sections: Any) -> Settings:
        """Return settings that know the archive's names and act as an account of Rucio."""
        rucio = Rucio(config=Path(self.lake.facts["accounts"][account]), account=account, attempts=2)
        return self.settings.model_copy(update={"rucio": rucio, **sections})


@contextmanager
def running_annotated(lake: RunningLake, folder: Path) -> Iterator[Annotated]:
    """Sync items, have Rucio copy two of them, and serve them as a STAC API."""
    settings = lake.settings_with(identity={"scope": NAME})
    catalogue = ensure_catalogue(
        Path(lake.facts["origin_dir"]) / NAME, f"{lake.facts['origin_url']}/{NAME}", FEWEST_ITEMS
    )
    items = tuple(item | {"collection": item["collection"].replace("demo-", "near-")} for item in catalogue.items)
    lines = folder / "items.ndjson"
    lines.write_bytes(b"\n".join(orjson.dumps(item) for item in items))
    _sync(lines, settings)
    keys = [ItemKey(item["collection"], item["id"]) for item in items]
    copied = tuple(key for key in keys if key.collection == "near-scenes")
    others = tuple(key for key in keys if key not in copied)
    _copy([dataset_did(key, settings) for key in copied], lake)
    _mirror(settings)
    with stac_api(lines, folder) as api:
        yield Annotated(lake, settings, api, items, copied, others)


def _sync(lines: Path, settings: Settings) -> None:
    tables, rucio = PostgresStore.open(settings.database_url()), RucioStore(settings)
    try:
        source = open_source(str(lines), name=NAME, options=ReadOptions())
        report = SyncJob(source, settings, tables, rucio, SyncOptions()).run()
    finally:
        rucio.close()
        tables.close()
    assert report.added + report.unchanged == FEWEST_ITEMS, report


def _copy(datasets: list[Did], lake: RunningLake) -> None:
    """Have Rucio copy datasets to all sites, and wait for it."""
    alice = RucioCalls(Rucio(config=Path(lake.facts["accounts"]["alice"]), account="alice"))
    deadline = time.monotonic() + _SECONDS
    try:
        rules = [
            rule
            for rse in SITES
            for rule in alice.send("add_replication_rule", [did_json(did) for did in datasets], 1, rse)
        ]
        while any(alice.send("get_replication_rule", rule)["state"] != "OK" for rule in rules):
            assert time.monotonic() < deadline, "the copies were not made"
            time.sleep(0.3)
    finally:
        alice.close()


def _mirror(settings: Settings) -> None:
    """Have the mirror follow."""
    rucio, mirror = RucioWatch(settings), MirrorWrites.open(settings.database_url())
    try:
        Rebuild(rucio, mirror).run()
    finally:
        mirror.close()
        rucio.close()


@contextmanager
def stac_api(lines: Path, folder: Path) -> Iterator[str]:
    """Run a real STAC API server on items."""
    port, log = free_port(), folder / "rustac.log"
    command = [str(Path(sys.executable).with_name("rustac")), "serve", str(lines), "--create-collections"]
    with serving([*command, "--addr", f"127.0.0.1:{port}"], port, log) as url:
        yield url


@contextmanager
def serving(command: list[str], port: int, log: Path, path: str = "/") -> Iterator[str]:
    """Run a server until the end of the block, which begins when it answers."""
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as said:
        server = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + _SECONDS
    try:
        while True:
            assert server.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            try:
                requests.get(url + path, timeout=60)
            except requests.ConnectionError:
                time.sleep(0.05)
            else:
                break
        yield url
    finally:
        server.terminate()
        server.wait(_SECONDS)
