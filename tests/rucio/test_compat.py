"""The old names of stac-rucio: every method does what its name says, in a real lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pystac
import pytest

from stac_rucio_sync.compat import StacClient
from stac_rucio_sync.errors import FatalError, ItemError, RefusedError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.replication.choice import Choice
from tests.rucio.searched import SYDNEY, VIENNA, Searched


@pytest.fixture
def searched(lake: Any, scope: str, tmp_path: Path) -> Searched:
    return Searched(lake, scope, tmp_path)


@pytest.fixture
def client(searched: Searched) -> Iterator[StacClient]:
    with StacClient(searched.settings()) as made:
        yield made


def test_the_walk_of_stac_rucio(client: StacClient, searched: Searched, tmp_path: Path) -> None:
    """Register at the origin, ask for copies, see them come, download, delete the rules."""
    items = [searched.item("m31"), searched.item("m33")]
    image = Did(searched.scope, "images..m31..image.bin")

    assert len(client.create_replicas(items)) == 4
    assert client.create_replicas(items) == client.create_replicas(pystac.ItemCollection(items))
    [(origin, address)] = client.get_existing_replicas(items)[image].items()
    assert address == items[0]["assets"]["image"]["href"]
    assert client.replication_availability(items, VIENNA) == {"OK": 0, "STUCK": 0, "REPLICATING": 0, "Total": 4}

    made = client.create_replication_rules(items, VIENNA, targets=["image"], lifetime=3600)
    assert len(made) == 2
    assert client.create_replication_rules(items, VIENNA, targets=["image"]) == []
    assert sorted(rule.id for rule in client.get_items_replication_rules(items, VIENNA)) == sorted(made)
    searched.states(*items, rse=VIENNA, wait=60, choice=Choice(assets=frozenset({"image"})))
    assert client.replication_availability(items, VIENNA) == {"OK": 2, "STUCK": 0, "REPLICATING": 0, "Total": 4}
    assert client.get_existing_replicas(items, VIENNA)[image].keys() == {VIENNA}

    got = client.download_available(items, VIENNA, tmp_path / "copies")
    assert sorted(path.name for path in got) == ["images..m31..image.bin", "images..m33..image.bin"]
    assert got[0].read_bytes() == searched.at_origin(got[0].name.split("..")[1], "image").read_bytes()
    assert client.download_available(items, SYDNEY, tmp_path / "elsewhere") == []
    one = client.download(items[0], "preview", folder=tmp_path / "copies")
    assert one.read_bytes() == searched.at_origin("m31", "preview").read_bytes()
    assert origin not in (VIENNA, SYDNEY)

    assert client.delete_replication_rules(items, VIENNA, state="STUCK") == []
    assert sorted(client.delete_replication_rules(items, VIENNA, state="OK")) == sorted(made)


def test_what_is_not_done_is_never_called_done(client: StacClient, searched: Searched, tmp_path: Path) -> None:
    item = searched.item("m31")
    with pytest.raises(RefusedError, match="the lake has no file of it"):
        client.create_replication_rules([item], VIENNA)
    with pytest.raises(RefusedError, match="was not downloaded"):
        client.download(item, "image", folder=tmp_path)
    with pytest.raises(RefusedError, match="was not downloaded"):
        client.download(item, "nosuch", folder=tmp_path)
    with pytest.raises(UsageError, match="NOWHERE"):
        client.replication_availability([item], "NOWHERE")
    with pytest.raises(ItemError, match="is no item"):
        client.get_existing_replicas(["m31"])


def test_chosen_assets_are_registered_at_the_rse_that_is_named(client: StacClient, searched: Searched) -> None:
    item = searched.item("m31")
    with pytest.raises(FatalError, match="no RSE of that name"):
        client.create_replicas([item], rse="NOWHERE-DISK", targets=["image"])
    usual = client.create_replicas([searched.item("m33")])
    [rse] = client.get_existing_replicas([searched.item("m33")])[usual[0]]

    assert client.create_replicas([item], rse=rse, targets=["image"]) == [Did(searched.scope, "images..m31..image.bin")]
    assert client.create_replicas(item) == [
        Did(searched.scope, "images..m31..image.bin"),
        Did(searched.scope, "images..m31..preview.bin"),
    ]


def test_names_are_those_of_the_lake(client: StacClient, searched: Searched) -> None:
    item = searched.item("m31")
    assert client.get_rucio_name(item, "image") == "images..m31..image.bin"
    item["assets"]["image"]["rucio:config"] = {"rucio:scope": searched.scope, "rucio:name": "m31_image"}
    assert client.get_rucio_name(item, "image") == "m31_image"
    with pytest.raises(ItemError, match="nosuch"):
        client.get_rucio_name(item, "nosuch")


def test_the_modifier_writes_alternates_and_the_old_configuration(client: StacClient, searched: Searched) -> None:
    item, unknown = searched.item("m31"), searched.item("m51")
    client.create_replicas([item])
    page = {"type": "FeatureCollection", "features": [item, unknown]}
    client.rucio_item(page)
    asset = item["assets"]["image"]
    assert asset["rucio:config"] == {
        "rucio:host": searched.lake.facts["rucio_url"],
        "rucio:scope": searched.scope,
        "rucio:name": "images..m31..image.bin",
        "rucio:scheme": "http",
        "rucio:size": asset["file:size"],
    }
    [alternate] = asset["alternate"].values()
    assert alternate["href"] == asset["href"]
    assert "rucio:config" not in unknown["assets"]["image"]
