"""What a request for copies is about: items in batches, and the assets that names and roles choose."""

from __future__ import annotations

from typing import Any

import pystac
import pytest

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.replication.choice import Choice, asked_batches
from stac_rucio_sync.replication.given import GivenItems
from stac_rucio_sync.replication.session import choice
from stac_rucio_sync.settings import Settings, Sync

SETTINGS = Settings(sync=Sync(batch_items=3))


def item(id_: str, collection: str = "images", **roles: list[str]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": id_,
        "collection": collection,
        "geometry": None,
        "properties": {"datetime": "2024-01-01T00:00:00Z"},
        "links": [],
        "assets": {key: {"href": f"https://x/{id_}/{key}", "roles": of} for key, of in roles.items()},
    }


M31 = item("m31", red=["data"], green=["data", "visual"], preview=["thumbnail"], log=[])


@pytest.mark.parametrize(
    ("chosen", "keys"),
    [
        (Choice(), ["red", "green", "preview", "log"]),
        (Choice(assets=frozenset({"log", "nosuch"})), ["log"]),
        (Choice(roles=frozenset({"visual", "thumbnail"})), ["green", "preview"]),
        (Choice(frozenset({"log"}), frozenset({"data"})), ["red", "green", "log"]),
        (Choice(roles=frozenset({"nosuch"})), []),
    ],
)
def test_assets_are_chosen_by_name_or_by_role(chosen: Choice, keys: list[str]) -> None:
    [([asked], unreadable)] = asked_batches(GivenItems([M31]), SETTINGS, chosen)
    assert ([asset.key for asset in asked.assets], asked.whole, unreadable) == (keys, chosen == Choice(), [])
    assert str(asked.did) == "stac:images..m31"


def test_items_come_in_batches_and_what_is_none_is_told() -> None:
    broken = item("m32") | {"properties": None, "type": "Elephant"}
    items = [item("a"), item("b"), broken, "m33", item("c"), item("a", "others"), item("d")]
    batches = list(asked_batches(GivenItems(items, "search"), SETTINGS, Choice()))
    assert [[one.name for one in asked] for asked, _ in batches] == [
        ["images/a", "images/b"],
        ["images/c", "others/a"],
        ["images/d"],
    ]
    positions = [one.position for _, unreadable in batches for one in unreadable]
    assert positions == ["search[2]", "search[3]"]


def test_an_item_that_comes_twice_in_a_batch_counts_once_by_its_last_state() -> None:
    [([asked], _)] = asked_batches(GivenItems([item("a", red=["data"]), item("a", blue=["data"])]), SETTINGS, Choice())
    assert [asset.key for asset in asked.assets] == ["blue"]


def test_objects_of_pystac_are_items_too() -> None:
    found = pystac.ItemCollection([M31])
    [([asked], _)] = asked_batches(GivenItems(found), SETTINGS, Choice())
    assert asked.name == "images/m31"
    [([same], _)] = asked_batches(GivenItems(found.items), SETTINGS, Choice())
    assert same.item == asked.item


def test_a_name_where_a_list_of_names_belongs_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"write \['red'\]"):
        choice("red", ())
