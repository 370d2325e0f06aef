"""Files registered per second, against a script that makes the same bulk calls with ready arguments."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.figures import Figure, in_turns, ratio_of, seconds
from benchmarks.items import items
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead, Wanted
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.client import make_client
from stac_rucio_sync.stores.rucio.origins import rse_name
from stac_rucio_sync.stores.rucio.store import RucioStore

ITEMS, ASSETS, ROUNDS = 250, 4, 5


def wanted_items(settings: Settings, collection: str, count: int = ITEMS) -> list[Wanted]:
    """Return mapped items, ready for both ways."""
    made = (ItemRead(stac, None, "made") for stac in items(count, collection=collection, assets=ASSETS))
    return [map_item(parse_item(read, settings), settings, {}, uuid.uuid4().hex) for read in made]


def registering(settings: Settings) -> list[Figure]:
    """Register batches by the store and by the bare calls, in turns."""
    run = uuid.uuid4().hex[:8]
    os.environ["RUCIO_CONFIG"] = str(settings.rucio.config)  # the bare client finds its configuration by this alone
    store = RucioStore(settings)
    client = make_client(settings.rucio, lambda: None)
    store.register([(one, None) for one in wanted_items(settings, f"bench-{run}-warm", 1)])  # log-in, scope, RSE

    def ours(number: int) -> float:
        batch = [(one, None) for one in wanted_items(settings, f"bench-{run}-ours-{number}")]
        before = store.requests
        taken = seconds(lambda: _all_registered(store, batch))
        requests.append(store.requests - before)
        return taken

    def bare(number: int) -> float:
        calls = BareCalls(client, wanted_items(settings, f"bench-{run}-bare-{number}"))
        return seconds(calls.send)

    requests: list[int] = []
    our_times, bare_times = in_turns(ROUNDS, ours, bare)
    files = ITEMS * ASSETS
    per_thousand = median(requests) * 1000 / files
    return [
        Figure(
            "files registered, against the bare calls",
            ratio_of(our_times, bare_times),
            0.8,
            "× bare",
            f"{files / median(our_times):,.0f} files/s, bare {files / median(bare_times):,.0f} files/s",
        ),
        Figure(
            "requests to Rucio, against one call an asset",
            per_thousand / 1000,
            1 / 50,
            "× one call an asset",
            f"{per_thousand:.0f} requests for 1,000 assets",
            at_least=False,
        ),
    ]


def _all_registered(store: RucioStore, batch: Sequence[tuple[Wanted, None]]) -> None:
    refused = [one.refused for one in store.register(batch) if one.refused]
    if refused:
        raise AssertionError(refused[0])


class BareCalls:
    """The same bulk calls by Rucio's client alone, their arguments made beforehand."""

    def __init__(self, client: Any, batch: Sequence[Wanted]) -> None:  # noqa: ANN401 - Rucio's client is not typed
        self.client = client
        self.rse = rse_name(batch[0].files[0].replicas[0].origin)
        self.replicas = [
            {"scope": file.did.scope, "name": file.did.name, "bytes": file.bytes, "md5": file.md5,
             "pfn": file.replicas[0].pfn.replace("example.org/", "example.org:443/")}
            for one in batch for file in one.files
        ]  # fmt: skip
        self.files = [{"scope": entry["scope"], "name": entry["name"]} for entry in self.replicas]
        container = {"scope": batch[0].container.scope, "name": batch[0].container.name}
        datasets = [{"scope": one.did.scope, "name": one.did.name} for one in batch]
        self.dids = [{**dataset, "type": "DATASET"} for dataset in datasets] + [{**container, "type": "CONTAINER"}]
        self.asked = [*datasets, container]
        self.attachments: list[dict[str, Any]] = [
            {**dataset, "dids": [{"scope": file.did.scope, "name": file.did.name} for file in one.files]}
            for dataset, one in zip(datasets, batch, strict=True)
        ] + [{**container, "dids": datasets}]
        self.metadata = [{**dataset, "meta": dict(one.metadata)} for dataset, one in zip(datasets, batch, strict=True)]

    def send(self) -> None:
        """Send them in order, the reading back included."""
        half = len(self.attachments) // 2
        self.client.add_replicas(self.rse, self.replicas)
        held = list(self.client.list_replicas(self.files, all_states=True))
        if len(held) != len(self.files):
            raise AssertionError(f"{len(held)} of {len(self.files)} files are registered")
        list(self.client.get_metadata_bulk(self.asked))
        self.client.add_dids(self.dids)
        self.client.attach_dids_to_dids(self.attachments[:half], ignore_duplicate=True)
        self.client.attach_dids_to_dids(self.attachments[half:], ignore_duplicate=True)
        self.client.set_dids_metadata_bulk(self.metadata)
