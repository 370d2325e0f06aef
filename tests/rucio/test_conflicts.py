"""Rucio says yes and keeps what it has: the store compares, moves what may be moved and reports the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stac_rucio_sync.model import Did, File
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue, recorded


def at(catalogue: Catalogue, file: File, path: str, origin: str | None = None) -> File:
    return replace(file, replicas=(catalogue.replica(path, origin or catalogue.origin),))


def pfns(rucio: RucioCalls, file: File) -> set[str]:
    (held,) = rucio.send("list_replicas", [{"scope": file.did.scope, "name": file.did.name}], all_states=True)
    return set(held["pfns"])


@pytest.mark.parametrize(
    ("field", "value"), [("bytes", 12345), ("adler32", "0badcafe"), ("md5", "d41d8cd98f00b204e9800998ecf8427e")]
)
def test_other_content_under_the_same_name_is_refused(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls, field: str, value: object
) -> None:
    first = replace(catalogue.file("m31", "b1"), md5="900150983cd24fb0d6963f7d28e17f72")
    store.register([(catalogue.item("m31", first), None)])
    other = replace(first, **{field: value})  # type: ignore[arg-type] # one of three fields of two types
    sound = catalogue.item("m32")

    refused, fine = store.register([(catalogue.item("other", other), None), (sound, None)])

    assert refused.refused is not None
    for part in (str(first.did), "HTTP-127_0_0_1", field, str(value), str(getattr(first, field))):
        assert part in refused.refused
    assert fine.refused is None
    with pytest.raises(Exception, match="not found"):
        rucio.send("get_did", catalogue.scope, "other")


def test_two_items_of_one_batch_that_disagree_are_told_apart(store: RucioStore, catalogue: Catalogue) -> None:
    file = catalogue.file("both", "b1")
    batch = [(catalogue.item("one", file), None), (catalogue.item("two", replace(file, bytes=1)), None)]

    one, two = store.register(batch)

    assert one.refused is None
    assert two.refused is not None
    assert "bytes" in two.refused


def test_an_unknown_checksum_contradicts_nothing(store: RucioStore, catalogue: Catalogue) -> None:
    file = replace(catalogue.file("m31", "b1"), adler32=None)
    store.register([(catalogue.item("m31", file), None)])

    (registered,) = store.register([(catalogue.item("m31", replace(file, adler32="00000001")), None)])

    assert registered.refused is None


def test_another_path_at_the_same_origin_is_refused_when_it_is_not_this_items(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    file = catalogue.file("m31", "b1")
    store.register([(catalogue.item("m31", file), None)])

    (registered,) = store.register([(catalogue.item("thief", at(catalogue, file, "elsewhere/b1.tif")), None)])

    assert registered.refused is not None
    assert "elsewhere/b1.tif" in registered.refused
    assert pfns(rucio, file) == {file.replicas[0].pfn}


def test_a_new_path_at_the_same_origin_moves_the_replica(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31", catalogue.file("m31", "b1"), catalogue.file("m31", "b2"))
    moved = at(catalogue, before.files[0], "new/place/b1.tif")
    after = replace(before, files=(moved, before.files[1]))
    store.register([(before, None)])

    (registered,) = store.register([(after, recorded(before))])

    assert registered.refused is None
    assert {replica.pfn for replica in registered.replicas} == {file.replicas[0].pfn for file in after.files}
    assert pfns(rucio, moved) == {moved.replicas[0].pfn}
    assert {row["name"] for row in rucio.send("list_files", *before.did)} == {"m31.b1.tif", "m31.b2.tif"}


def test_a_move_of_an_items_only_file_keeps_it_in_its_container(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31")
    after = replace(before, files=(at(catalogue, before.files[0], "new/b1.tif"),))
    store.register([(before, None)])

    store.register([(after, recorded(before))])

    assert [row["name"] for row in rucio.send("list_content", *before.container)] == ["m31"]
    assert [row["name"] for row in rucio.send("list_content", *before.did)] == ["m31.b1.tif"]
    assert rucio.send("get_metadata", *before.did, plugin="JSON")["stac:id"] == "m31"


def test_a_last_replica_that_others_hold_too_is_not_moved(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31")
    file = before.files[0]
    store.register([(before, None)])
    theirs = {"scope": catalogue.scope, "name": "favourites", "type": "DATASET"}
    rucio.send("add_dids", [theirs])
    rucio.send("attach_dids", catalogue.scope, "favourites", [{"scope": file.did.scope, "name": file.did.name}])

    (registered,) = store.register([(replace(before, files=(at(catalogue, file, "new/b1.tif"),)), recorded(before))])

    assert registered.refused is not None
    assert f"{catalogue.scope}:favourites" in registered.refused
    assert pfns(rucio, file) == {file.replicas[0].pfn}
    assert [row["name"] for row in rucio.send("list_content", catalogue.scope, "favourites")] == [file.did.name]


def test_a_new_origin_takes_the_place_of_the_old_one(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31")
    moved = at(catalogue, before.files[0], "m31/b1.tif", "https://archive.example.org")
    after = replace(before, files=(moved,))
    store.register([(before, None)])

    (registered,) = store.register([(after, recorded(before))])

    assert registered.refused is None
    assert pfns(rucio, moved) == {"https://archive.example.org:443/m31/b1.tif"}
    assert [row["name"] for row in rucio.send("list_content", *before.did)] == ["m31.b1.tif"]
    assert [row["name"] for row in rucio.send("list_content", *before.container)] == ["m31"]
    # What is told next time is what Rucio holds then.
    (again,) = store.register([(after, recorded(after))])
    assert [replica.pfn for replica in again.replicas] == ["https://archive.example.org/m31/b1.tif"]


def test_a_refused_item_keeps_the_replicas_that_it_had(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31", catalogue.file("m31", "b1"), catalogue.file("m31", "b2"))
    store.register([(before, None)])
    new_origin = at(catalogue, before.files[0], "m31/b1.tif", "https://archive.example.org")
    after = replace(before, files=(new_origin, replace(before.files[1], bytes=1)))

    (registered,) = store.register([(after, recorded(before))])

    assert registered.refused is not None
    assert before.files[0].replicas[0].pfn in pfns(rucio, before.files[0])


def test_a_moved_replica_comes_back_when_the_item_is_refused_for_another_file(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31", catalogue.file("m31", "b1"), catalogue.file("m31", "b2"))
    store.register([(before, None)])
    file = before.files[1]
    rucio.send("add_dids", [{"scope": catalogue.scope, "name": "theirs", "type": "DATASET"}])
    rucio.send("attach_dids", catalogue.scope, "theirs", [{"scope": file.did.scope, "name": file.did.name}])
    after = replace(before, files=tuple(at(catalogue, file, f"new/{file.asset}.tif") for file in before.files))

    (registered,) = store.register([(after, recorded(before))])

    assert registered.refused is not None
    assert [len(pfns(rucio, file)) for file in before.files] == [1, 1]


def test_a_name_that_is_a_file_already_is_no_dataset(store: RucioStore, catalogue: Catalogue) -> None:
    store.register([(catalogue.item("m31"), None)])
    clash = replace(catalogue.item("m33"), did=Did(catalogue.scope, "m31.b1.tif"))

    refused, fine = store.register([(clash, None), (catalogue.item("m34"), None)])

    assert refused.refused is not None
    assert "file" in refused.refused
    assert fine.refused is None
