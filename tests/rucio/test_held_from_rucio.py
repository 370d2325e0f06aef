"""Look-ups of replicas in a real Rucio, past the mirror: how many calls, and whose the files are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from typing import Any

import pytest

from stac_rucio_sync.alternates import FromRucio, ReplicaAlternates
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.identifiers import version_did
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead, Wanted
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.origins import rse_name
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.conftest import RunningLake
from tests.rucio.catalogue import recorded


@pytest.fixture
def scoped(lake: RunningLake, scope: str) -> Settings:
    return lake.settings_with(identity={"scope": scope})


@pytest.fixture
def lookup(scoped: Settings) -> Iterator[FromRucio]:
    made = FromRucio(scoped)
    yield made
    made.close()


def item(name: str, origin: str, **assets: dict[str, Any]) -> dict[str, Any]:
    given = assets or {"image": {}}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": name,
        "collection": "held",
        "geometry": None,
        "properties": {"datetime": "2024-01-01T00:00:00Z"},
        "links": [],
        "assets": {
            key: {"href": f"{origin}/held/{name}/{key}.tif", "file:size": 7, "file:checksum": checksum("former")}
            | asset
            for key, asset in given.items()
        },
    }


def checksum(content: str) -> str:
    return "d50110" + md5(content.encode(), usedforsecurity=False).hexdigest()


def wanted(stac: dict[str, Any], settings: Settings) -> Wanted:
    return map_item(parse_item(ItemRead(copy.deepcopy(stac), None, "made"), settings), settings, {}, "1")


def shown(stac: dict[str, Any], lookup: FromRucio, asset: str = "image") -> list[str]:
    found = copy.deepcopy(stac)
    ReplicaAlternates(lookup)(found)
    return [entry["href"] for entry in found["assets"][asset].get("alternate", {}).values()]


def test_only_the_present_content_of_an_asset_is_shown(
    store: RucioStore, scoped: Settings, lookup: FromRucio, lake: RunningLake
) -> None:
    """Content that changed has a file of its own; the former one stays in Rucio where others may hold it."""
    origin = lake.facts["origin_url"]
    before = item("changed", origin)
    first = wanted(before, scoped)
    assert [one.refused for one in store.register([(first, None)])] == [None]
    assert shown(before, lookup) == [f"{origin}/held/changed/image.tif"]

    after = item("changed", origin, image={"href": f"{origin}/held/changed/new.tif", "file:checksum": checksum("new")})
    second = wanted(after, scoped)
    renamed = tuple(replace(file, did=version_did(file.did, "0123abcd")) for file in second.files)
    second = replace(second, files=renamed)
    assert [one.refused for one in store.register([(second, recorded(first))])] == [None]
    assert shown(after, lookup) == [f"{origin}/held/changed/new.tif"]
    assert shown(before, lookup) == []  # the item that is behind states other bytes


def test_files_that_assets_name_themselves_need_no_dataset(
    store: RucioStore, rucio: RucioCalls, scoped: Settings, lookup: FromRucio, lake: RunningLake, scope: str
) -> None:
    origin = lake.facts["origin_url"]
    store.register([(wanted(item("scope", origin), scoped), None)])  # makes the scope and the RSE
    entry = {"scope": scope, "name": "own_image", "bytes": 7, "pfn": f"{origin}/held/own.tif"}
    rucio.send("add_replicas", rse_name(origin), [entry])
    own = {"rucio:config": {"rucio:scope": scope, "rucio:name": "own_image"}, "href": f"{origin}/held/own.tif"}
    assert shown(item("own", origin, image=own), lookup) == [f"{origin}/held/own.tif"]


def test_names_of_a_template_are_found(store: RucioStore, lake: RunningLake, scope: str) -> None:
    settings = lake.settings_with(identity={"scope": scope, "template": "{item}_{asset}"})
    origin = lake.facts["origin_url"]
    stac = item("templated", origin)
    store.register([(wanted(stac, settings), None)])
    lookup = FromRucio(settings)
    assert shown(stac, lookup) == [f"{origin}/held/templated/image.tif"]
    lookup.close()


def test_a_thousand_items_are_one_call(lookup: FromRucio, lake: RunningLake) -> None:
    page = {"features": [item(f"unknown-{number}", lake.facts["origin_url"]) for number in range(1001)]}
    ReplicaAlternates(lookup)(copy.deepcopy(page))
    before = lookup.requests
    untouched = copy.deepcopy(page)
    assert ReplicaAlternates(lookup).annotate(page) == 0
    assert lookup.requests == before + 2
    assert page == untouched
