"""Alternate assets of a page of 1,000 assets: against the bare calls to Rucio, and against one call an asset."""

from __future__ import annotations

import copy
import os
import time
import uuid
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

from benchmarks.figures import Figure, in_turns, seconds
from benchmarks.items import ORIGIN, items
from stac_rucio_sync.alternates import FromMirror, FromRucio, ReplicaAlternates
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead, ReadEnd, Settled, Wanted
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.answers import SCHEMES
from stac_rucio_sync.stores.rucio.client import make_client
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore

ITEMS, ASSETS, ROUNDS, SINGLES = 250, 4, 7, 100
FILES = ITEMS * ASSETS
MIRROR = "https://mirror.example.org"
JsonObject = dict[str, Any]


def alternates(settings: Settings) -> list[Figure]:
    """Register a page of items with two replicas a file, and annotate it."""
    page = _page(f"bench-{uuid.uuid4().hex[:8]}")
    wanted = _synced(page, settings)
    os.environ["RUCIO_CONFIG"] = str(settings.rucio.config)  # the bare client finds its configuration by this alone
    client = make_client(settings.rucio, lambda: None)
    rucio, mirror = FromRucio(settings), FromMirror(settings)
    datasets = [{"scope": one.did.scope, "name": one.did.name} for one in wanted]
    files = [{"scope": file.did.scope, "name": file.did.name} for one in wanted for file in one.files]

    def bare(_: int) -> float:
        return seconds(lambda: _listed(client, datasets))

    our_times, bare_times = in_turns(ROUNDS, lambda _: _annotated(page, ReplicaAlternates(rucio)), bare)
    mirror_times = [_annotated(page, ReplicaAlternates(mirror)) for _ in range(ROUNDS + 1)][1:]
    chosen = files[:: FILES // SINGLES]
    one_by_one = median(seconds(partial(_listed, client, [file])) for file in chosen) * FILES
    rucio.close()
    mirror.close()
    ours, by_mirror, bare_call = median(our_times), median(mirror_times), median(bare_times)
    shown = f"a page of {FILES:,} assets with two replicas each"
    return [
        Figure(
            "alternates from Rucio, more than its bare call",
            median(one / other for one, other in zip(our_times, bare_times, strict=True)) - 1,
            0.1,
            "× the call",
            f"{shown}: {ours * 1000:.0f} ms, the bare list_replicas {bare_call * 1000:.0f} ms",
            at_least=False,
        ),
        Figure("alternates from the mirror", by_mirror * 1000, 100, "ms", shown, at_least=False),
        Figure(
            "alternates from Rucio, against a call an asset",
            one_by_one / ours,
            20,
            "× as fast",
            f"a call takes {one_by_one / FILES * 1000:.1f} ms (median of {SINGLES})",
        ),
        Figure(
            "alternates from the mirror, against a call", one_by_one / by_mirror, 200, "× as fast", "of Rucio, as above"
        ),
    ]


def _page(collection: str) -> JsonObject:
    features = list(items(ITEMS, collection=collection, assets=ASSETS))
    for feature in features:
        for asset in feature["assets"].values():
            asset["alternate"] = {"mirror": {"href": asset["href"].replace(ORIGIN, MIRROR)}}
    return {"type": "FeatureCollection", "features": features, "links": []}


def _synced(page: JsonObject, settings: Settings) -> list[Wanted]:
    """Do what a sync does: Rucio, then the tables."""
    reads = (ItemRead(stac, None, "made") for stac in page["features"])
    wanted = [map_item(parse_item(read, settings), settings, {}, uuid.uuid4().hex) for read in reads]
    store, tables = RucioStore(settings), PostgresStore.open(settings.database_url())
    try:
        registered = store.register([(one, None) for one in wanted])
        assert not [one.refused for one in registered if one.refused]
        tables.upsert_rses(store.rses())
        settled = [Settled(one, done) for one, done in zip(wanted, registered, strict=True)]
        name = page["features"][0]["collection"]
        tables.commit(name, settled, [], ReadEnd(None, complete=True, started=datetime.now(UTC)))
    finally:
        store.close()
        tables.close()
    return wanted


def _listed(client: Any, dids: list[dict[str, str]]) -> int:  # noqa: ANN401 - Rucio's client is not typed
    """Make the bare call, with the words that ours has."""
    return len(list(client.list_replicas(dids, schemes=SCHEMES, all_states=True, resolve_archives=False)))


def _annotated(page: JsonObject, modifier: ReplicaAlternates) -> float:
    """Return the seconds that annotating a fresh page takes."""
    fresh = copy.deepcopy(page)
    started = time.perf_counter()
    count = modifier.annotate(fresh)
    taken = time.perf_counter() - started
    assert count == ITEMS
    assert all(len(asset["alternate"]) == 3 for one in fresh["features"] for asset in one["assets"].values())
    return taken
