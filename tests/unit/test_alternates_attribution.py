"""Whose the files are that Rucio lists for a page: by names, and where these do not tell, by metadata, asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stac_rucio_sync.alternates.attributing import Attribution
from stac_rucio_sync.alternates.seen import items_in
from stac_rucio_sync.mapping.identifiers import file_did, version_did
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.settings import Identity, Settings
from tests.unit.alternates_lake import stac_item

KEY = ItemKey("c", "i")
DATASET = Did("stac", "c..i")
NAMED = Settings()
TEMPLATE = Settings(identity=Identity(template="{item}_{asset}"))


class Metadata:
    """Answers with the metadata of datasets, and remembers what it was asked."""

    def __init__(self, **assets: Mapping[str, str]) -> None:
        self._assets = assets
        self.asked: list[list[Did]] = []

    def __call__(self, datasets: Sequence[Did]) -> dict[Did, dict[str, Any]]:
        self.asked.append(list(datasets))
        found = {did: self._assets.get(did.name.rpartition(".")[2]) for did in datasets}
        return {did: {"stac:asset": dict(assets)} for did, assets in found.items() if assets is not None}


def attribution(*items: dict[str, Any], settings: Settings = NAMED) -> Attribution:
    return Attribution(items_in({"features": list(items)}, settings), settings)


def test_a_dataset_is_asked_for_and_not_each_of_its_files() -> None:
    items = [stac_item(f"i{n}", {key: {} for key in "abcd"}) for n in range(3)]
    assert attribution(*items).asked == [Did("stac", f"c..i{n}") for n in range(3)]


def test_names_tell() -> None:
    metadata = Metadata()
    files = [Did("stac", "c..i..image.tif"), Did("stac", "c..i..more.tif")]
    item = stac_item(assets={"image": {}, "more": {}, "none": {}})
    assert attribution(item).assets(files, metadata) == {KEY: {"image": files[0], "more": files[1]}}
    assert metadata.asked == []


def test_changed_content_is_known_by_its_name() -> None:
    """The file of the former content has left the dataset: so it is not what was listed."""
    changed = version_did(Did("stac", "c..i..image.tif"), "0123abcd")
    assert attribution(stac_item()).assets([changed], Metadata()) == {KEY: {"image": changed}}


def test_a_shortened_name_is_known_by_the_rule() -> None:
    key = "k" * 300
    did = file_did(KEY, key, ".tif", NAMED)
    assert "..." in did.name
    item = stac_item(assets={key: {"href": "https://archive.example.org/x.tif"}})
    assert attribution(item).assets([did], Metadata()) == {KEY: {key: did}}


def test_metadata_tell_where_names_do_not() -> None:
    key = "k" * 300
    changed = version_did(file_did(KEY, key, ".tif", NAMED), "0123abcd")
    item = stac_item(assets={key: {"href": "https://archive.example.org/x.tif"}, "image": {}})
    files, metadata = [changed, Did("stac", "c..i..image.tif")], Metadata(i={key: changed.name})
    assert attribution(item, stac_item("j", {})).assets(files, metadata) == {KEY: {key: changed, "image": files[1]}}
    assert metadata.asked == [[DATASET]]


def test_of_two_contents_in_one_dataset_metadata_name_the_one_that_counts() -> None:
    former = Did("stac", "c..i..image.tif")
    changed = version_did(former, "0123abcd")
    metadata = Metadata(i={"image": changed.name})
    assert attribution(stac_item()).assets([former, changed], metadata) == {KEY: {"image": changed}}
    assert attribution(stac_item()).assets([former, changed], Metadata()) == {}


def test_a_template_names_files() -> None:
    did = Did("stac", "i_image")
    assert attribution(stac_item(), settings=TEMPLATE).assets([did], Metadata()) == {KEY: {"image": did}}


def test_a_template_that_names_two_items_files_alike_needs_metadata() -> None:
    did = Did("stac", "i_image")
    twin = stac_item() | {"collection": "d"}
    found = attribution(stac_item(), twin, settings=TEMPLATE).assets([did], Metadata(i={"image": "i_image"}))
    assert set(found) == {KEY, ItemKey("d", "i")}
    metadata = Metadata()
    assert attribution(stac_item(), twin, settings=TEMPLATE).assets([did], metadata) == {}
    assert metadata.asked == [[DATASET, Did("stac", "d..i")]]


def test_files_that_assets_name_themselves_are_asked_for_too() -> None:
    """stac-rucio registers them without a dataset."""
    own = {"rucio:config": {"rucio:scope": "user.alice", "rucio:name": "i_image"}}
    asked = attribution(stac_item(assets={"image": own}))
    did = Did("user.alice", "i_image")
    assert asked.asked == [DATASET, did]
    assert asked.assets([did], Metadata()) == {KEY: {"image": did}}


def test_files_of_others_in_a_dataset_are_nobody_s() -> None:
    foreign = [Did("user.bob", "c..i..image.tif"), Did("stac", "notes.txt"), Did("stac", "c..other..image.tif")]
    assert attribution(stac_item()).assets(foreign, Metadata()) == {}


def test_names_that_are_none_leave_the_item_without_files() -> None:
    broken = {"rucio:name": "not a name", "rucio:scope": "s"}
    assert attribution(stac_item(assets={"image": broken})).asked == [DATASET]
    refused = Settings(identity=Identity(template="{item}/{asset}"))
    assert attribution(stac_item(), settings=refused).assets([], Metadata()) == {}
