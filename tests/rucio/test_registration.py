"""Items become datasets with files, replicas and metadata; doing it again changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from stac_rucio_sync.model import Did, Replica
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue, recorded


def names(rows: list[dict[str, Any]]) -> set[str]:
    return {row["name"] for row in rows}


def test_an_item_is_a_dataset_in_its_collections_container(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    wanted = catalogue.item("m31", catalogue.file("m31", "b1"), catalogue.file("m31", "b2"))

    (registered,) = store.register([(wanted, None)])

    assert registered.key == wanted.key
    assert registered.refused is None
    assert {(replica.did, replica.pfn, replica.state) for replica in registered.replicas} == {
        (file.did, file.replicas[0].pfn, "AVAILABLE") for file in wanted.files
    }
    assert names(rucio.send("list_content", *wanted.container)) == {"m31"}
    assert names(rucio.send("list_files", *wanted.did)) == {"m31.b1.tif", "m31.b2.tif"}
    (file,) = rucio.send("list_replicas", [{"scope": wanted.did.scope, "name": "m31.b1.tif"}])
    assert (file["bytes"], file["adler32"]) == (wanted.files[0].bytes, wanted.files[0].adler32)
    assert list(file["pfns"]) == [wanted.files[0].replicas[0].pfn]
    assert rucio.send("get_metadata", *wanted.did, plugin="JSON") == {"stac:id": "m31", "s_ra": 10.5}


def test_the_same_again_ends_in_the_same_state(store: RucioStore, catalogue: Catalogue, rucio: RucioCalls) -> None:
    batch = [(catalogue.item(f"i{number}"), None) for number in range(3)]
    first = store.register(batch)
    state = rucio.send("list_replicas", [{"scope": catalogue.scope, "name": "images.collection"}])

    assert store.register(batch) == first
    assert store.register([(wanted, recorded(wanted)) for wanted, _ in batch]) == first
    assert rucio.send("list_replicas", [{"scope": catalogue.scope, "name": "images.collection"}]) == state
    assert len(state) == 3


def test_work_that_was_cut_short_is_finished(store: RucioStore, catalogue: Catalogue, rucio: RucioCalls) -> None:
    wanted = catalogue.item("half", catalogue.file("half", "b1"), catalogue.file("half", "b2"))
    store.register([(replace(wanted, files=wanted.files[:1], metadata={}), None)])

    (registered,) = store.register([(wanted, None)])

    assert len(registered.replicas) == 2
    assert names(rucio.send("list_files", *wanted.did)) == {"half.b1.tif", "half.b2.tif"}


def test_a_file_that_two_items_share_is_registered_once(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    shared = catalogue.file("both", "calibration")
    batch = [(catalogue.item(name, shared, catalogue.file(name, "b1")), None) for name in ("one", "two")]

    registered = store.register(batch)

    assert [answer.refused for answer in registered] == [None, None]
    for name in ("one", "two"):
        assert names(rucio.send("list_files", catalogue.scope, name)) == {"both.calibration.tif", f"{name}.b1.tif"}


def test_an_item_with_links_only_is_an_empty_dataset_with_metadata(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    wanted = catalogue.without_files("tiles")

    (registered,) = store.register([(wanted, None)])

    assert (registered.replicas, registered.refused, registered.links) == ((), None, ())
    assert rucio.send("get_did", *wanted.did)["type"] == "DATASET"
    assert names(rucio.send("list_content", *wanted.container)) == {"tiles"}
    assert rucio.send("get_metadata", *wanted.did, plugin="JSON")["stac:id"] == "tiles"


def test_metadata_keys_that_are_no_longer_wanted_go(store: RucioStore, catalogue: Catalogue, rucio: RucioCalls) -> None:
    before = catalogue.item("m31", metadata={"stac:id": "m31", "eo:cloud_cover": 3, "s_ra": 10.5})
    after = replace(before, metadata={"stac:id": "m31", "s_ra": 11})
    store.register([(before, None)])
    rucio.send("set_metadata", *before.did, "somebody_elses", "stays")

    store.register([(after, recorded(before))])

    assert rucio.send("get_metadata", *before.did, plugin="JSON") == {
        "stac:id": "m31",
        "s_ra": 11,
        "somebody_elses": "stays",
    }


def test_a_file_of_new_content_takes_the_place_of_the_old_one(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls
) -> None:
    before = catalogue.item("m31")
    newer = replace(catalogue.file("m31", "b1", origin=None), did=Did(catalogue.scope, "m31.b1-2.tif"), bytes=999)
    after = replace(before, files=(newer,))
    store.register([(before, None)])

    for _ in range(2):
        (registered,) = store.register([(after, recorded(before))])
        assert [replica.did.name for replica in registered.replicas] == ["m31.b1-2.tif"]
    assert names(rucio.send("list_files", *before.did)) == {"m31.b1-2.tif"}
    assert rucio.send("get_did", *before.files[0].did)["type"] == "FILE"


def test_a_replica_that_needs_a_login_is_marked(store: RucioStore, catalogue: Catalogue) -> None:
    file = catalogue.file("m31", "b1")
    file = replace(file, replicas=(replace(file.replicas[0], needs_login=True),))

    (registered,) = store.register([(catalogue.item("m31", file), None)])

    assert [replica.needs_login for replica in registered.replicas] == [True]


def test_replicas_at_other_sites_are_told_too(store: RucioStore, catalogue: Catalogue, root: RucioCalls) -> None:
    wanted = catalogue.item("m31")
    store.register([(wanted, None)])
    file = wanted.files[0]
    entry = {"scope": file.did.scope, "name": file.did.name, "bytes": file.bytes, "adler32": file.adler32}
    root.send("add_replicas", "VIENNA-DISK", [entry])

    (registered,) = store.register([(wanted, recorded(wanted))])

    vienna = {replica.rse: replica for replica in registered.replicas}["VIENNA-DISK"]
    assert isinstance(vienna, Replica)
    assert vienna.pfn.startswith("http://127.0.0.1:")
    assert {rse.rse for rse in store.known_rses()} == {replica.rse for replica in registered.replicas}


def test_two_threads_register_the_same_and_other_items(settings: Settings, catalogue: Catalogue) -> None:
    store = RucioStore(settings)
    batch = [(catalogue.item(f"i{number}"), None) for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store.register, [batch[:15], batch[5:], batch[:15], batch[5:]]))
    store.close()

    for answer in answers:
        assert [(registered.refused, len(registered.replicas)) for registered in answer] == [(None, 1)] * 15


def test_a_thousand_assets_cost_at_most_twenty_requests(store: RucioStore, catalogue: Catalogue) -> None:
    assets = [f"b{number}" for number in range(10)]
    items = [catalogue.item(f"i{number}", *[catalogue.file(f"i{number}", a) for a in assets]) for number in range(100)]
    store.register([(catalogue.item("first"), None)])
    before = store.requests

    registered = store.register([(wanted, None) for wanted in items])

    assert sum(len(answer.replicas) for answer in registered) == 1000
    assert store.requests - before <= 20


def test_nothing_is_sent_before_the_first_call(settings: Settings) -> None:
    store = RucioStore(settings)

    assert store.register([]) == []
    assert store.known_rses() == []
    assert store.requests == 0
