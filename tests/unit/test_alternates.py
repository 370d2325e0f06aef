"""Alternate assets as they are written, by alternate-assets 1.2, file 2.1 and storage 2.0, into what pystac-client has.

The order itself is the matter of `tests/unit/test_locality.py`, the look-ups that of tests against real servers.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stac_rucio_sync.alternates import ReplicaAlternates
from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.model import HeldItem, Replica, Topology
from tests.stac_schemas import ALTERNATES, FILE, STORAGE, check_alternates
from tests.unit.alternates_lake import MD5, ORIGIN, TOPOLOGY, HeldLake, address, held_file, held_item, stac_item

EVERYWHERE = ("ARCHIVE", "SANFRANCISCO-DISK", "SYDNEY-DISK", "VIENNA-DISK")
NEAREST_TO = {
    "vienna": ["VIENNA-DISK", "SANFRANCISCO-DISK", "SYDNEY-DISK", "ARCHIVE"],
    "sydney": ["SYDNEY-DISK", "SANFRANCISCO-DISK", "VIENNA-DISK", "ARCHIVE"],
    "san-francisco": ["SANFRANCISCO-DISK", "VIENNA-DISK", "SYDNEY-DISK", "ARCHIVE"],
}


def lake(*rses: str) -> HeldLake:
    return HeldLake([held_item(held_file("image", rses or EVERYWHERE))])


def annotated(found: dict[str, Any], held: HeldLake | None = None, **options: Any) -> dict[str, Any]:
    """Return an item after the modifier was at it."""
    ReplicaAlternates(held or lake(), **({"site": "vienna"} | options))(found)
    return found


def image(item: dict[str, Any]) -> dict[str, Any]:
    asset: dict[str, Any] = item["assets"]["image"]
    return asset


def names(item: dict[str, Any]) -> list[str]:
    return list(image(item)["alternate"])


# ---------------------------------------------------------------------------------------------------- what is written


def test_an_entry_says_where_what_and_how_large() -> None:
    item = annotated(stac_item())
    assert image(item)["alternate"]["VIENNA-DISK"] == {
        "href": "https://vienna-disk.example.org/i/image.tif",
        "alternate:name": "VIENNA-DISK",
        "file:size": 100,
        "file:checksum": "d50110" + MD5,
        "rucio:rse": "VIENNA-DISK",
        "rucio:state": "AVAILABLE",
    }
    assert item["stac_extensions"] == [ALTERNATES, FILE]
    assert image(item)["href"] == f"{ORIGIN}/i/image.tif"
    assert image(item)["alternate:name"] == "ARCHIVE"
    check_alternates(item)


@pytest.mark.parametrize("site", NEAREST_TO)
def test_the_nearest_is_first(site: str) -> None:
    assert names(annotated(stac_item(), site=site)) == NEAREST_TO[site]


def test_without_a_place_the_order_is_stable() -> None:
    one = annotated(stac_item(), site=None)
    other = annotated(stac_item(), lake(*reversed(EVERYWHERE)), site=None)
    assert names(one) == names(other)


def test_tape_is_last_and_what_is_closed_is_not_shown() -> None:
    item = annotated(stac_item(), lake("VIENNA-TAPE", "CLOSED-DISK", "SYDNEY-DISK"))
    assert names(item) == ["SYDNEY-DISK", "VIENNA-TAPE"]


def test_an_address_is_one_that_http_clients_open() -> None:
    file = held_file("image", ["VIENNA-DISK"])
    davs = replace(file.replicas[0], pfn="davs://vienna.example.org:2880/i/image.tif")
    root = replace(file.replicas[0], rse="SYDNEY-DISK", pfn="root://sydney.example.org:1094//i/image.tif")
    item = annotated(stac_item(), HeldLake([held_item(replace(file, replicas=(root, davs)))]))
    hrefs = [entry["href"] for entry in image(item)["alternate"].values()]
    assert hrefs == ["https://vienna.example.org:2880/i/image.tif", "root://sydney.example.org:1094//i/image.tif"]


def test_a_size_or_checksum_that_rucio_does_not_know_is_not_invented() -> None:
    item = annotated(stac_item(), HeldLake([held_item(held_file("image", EVERYWHERE, md5=None))]))
    assert "file:checksum" not in image(item)["alternate"]["VIENNA-DISK"]
    check_alternates(item)


def test_a_bucket_gets_the_server_it_lies_at() -> None:
    """Storage 2.0: the platform of an s3 address that does not resolve by itself is its endpoint."""
    file = held_file("image", ["BUCKETS"])
    replica = replace(file.replicas[0], pfn="s3://objects.example.org:9000/bucket/i/image.tif")
    item = annotated(stac_item(), HeldLake([held_item(replace(file, replicas=(replica,)))]))
    entry = image(item)["alternate"]["BUCKETS"]
    assert entry["href"] == "s3://bucket/i/image.tif"
    (scheme,) = entry["storage:refs"]
    assert item["properties"]["storage:schemes"][scheme]["platform"] == "https://objects.example.org:9000"
    assert STORAGE in item["stac_extensions"]
    check_alternates(item)


def test_a_bucket_keeps_rucio_s_address_where_the_item_speaks_an_older_storage_extension() -> None:
    older = "https://stac-extensions.github.io/storage/v1.0.0/schema.json"
    file = held_file("image", ["BUCKETS"])
    replica = replace(file.replicas[0], pfn="s3://objects.example.org:9000/bucket/i/image.tif")
    held = HeldLake([held_item(replace(file, replicas=(replica,)))])
    item = annotated(stac_item(stac_extensions=[older]), held)
    assert image(item)["alternate"]["BUCKETS"]["href"] == replica.pfn
    assert item["stac_extensions"] == [older, ALTERNATES, FILE]


def test_older_versions_of_the_extension_are_replaced_and_other_extensions_stay() -> None:
    others = ["https://stac-extensions.github.io/eo/v1.1.0/schema.json", FILE]
    older = "https://stac-extensions.github.io/alternate-assets/v1.1.0/schema.json"
    item = annotated(stac_item(stac_extensions=[older, *others]))
    assert item["stac_extensions"] == [*others, ALTERNATES]


# ------------------------------------------------------------------------------------------------ what is left as it is


def test_an_item_that_the_lake_does_not_hold_is_untouched() -> None:
    unknown = stac_item("other")
    assert annotated(copy.deepcopy(unknown)) == unknown


@pytest.mark.parametrize("stated", [{"file:size": 99}, {"file:checksum": "d50110" + MD5[::-1]}])
def test_an_asset_that_states_other_bytes_is_untouched(
    stated: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Alternates are the same file: the item has changed since the last sync."""
    changed = stac_item(assets={"image": stated})
    assert annotated(copy.deepcopy(changed)) == changed
    assert "another size or checksum" in caplog.text


def test_an_asset_that_states_the_same_bytes_is_annotated() -> None:
    assert names(annotated(stac_item(assets={"image": {"file:size": 100, "file:checksum": "d50110" + MD5}})))


def test_assets_that_are_no_files_are_untouched() -> None:
    item = annotated(stac_item(assets={"image": {}, "tiles": {"href": "https://tiles.example.org/{z}"}}))
    assert item["assets"]["tiles"] == {"href": "https://tiles.example.org/{z}"}


def test_the_item_s_own_alternates_stay_behind() -> None:
    own = {
        "mirror": {"href": "https://mirror.example.org/x.tif", "title": "A mirror"},
        "bare": "https://b.example.org/x",
    }
    item = annotated(stac_item(assets={"image": {"alternate": own}}))
    assert names(item) == [*NEAREST_TO["vienna"], "mirror", "bare"]
    assert image(item)["alternate"]["mirror"] == own["mirror"]
    assert image(item)["alternate"]["bare"] == {"href": own["bare"]}
    check_alternates(item)


def test_an_alternate_of_an_rse_s_name_at_another_place_stays() -> None:
    own = {"VIENNA-DISK": {"href": "https://elsewhere.example.org/x.tif"}}
    item = annotated(stac_item(assets={"image": {"alternate": own}}))
    assert names(item)[0] == "VIENNA-DISK-2"
    assert image(item)["alternate"]["VIENNA-DISK"] == own["VIENNA-DISK"]


def test_the_bare_addresses_of_stac_rucio_become_entries() -> None:
    item = annotated(stac_item(assets={"image": {"alternate": {"VIENNA-DISK": "https://old.example.org/x"}}}))
    assert names(item) == NEAREST_TO["vienna"]
    check_alternates(item)


def test_logins_and_storage_stay_with_their_places() -> None:
    fields = {
        "auth:refs": ["oidc"],
        "alternate": {"direct": {"href": address("SYDNEY-DISK", "i/image.tif"), "auth:refs": ["s3"]}},
    }
    alternates = image(annotated(stac_item(assets={"image": fields})))["alternate"]
    assert {key: entry.get("auth:refs") for key, entry in alternates.items()} == {
        "ARCHIVE": ["oidc"],
        "SYDNEY-DISK": ["s3"],
        "direct": ["s3"],
        "VIENNA-DISK": None,
        "SANFRANCISCO-DISK": None,
    }


# ------------------------------------------------------------------------------------------------------ prefer nearest


def test_the_nearest_becomes_the_href_and_the_origin_an_alternate() -> None:
    item = annotated(stac_item(assets={"image": {"auth:refs": ["oidc"], "storage:tier": "hot"}}), prefer="nearest")
    asset = image(item)
    assert asset["href"] == address("VIENNA-DISK", "i/image.tif")
    assert asset["alternate:name"] == "VIENNA-DISK"
    assert "auth:refs" not in asset
    assert "storage:tier" not in asset
    for key in ("ARCHIVE", "origin"):
        origin = asset["alternate"][key]
        assert origin["href"] == f"{ORIGIN}/i/image.tif"
        assert origin["alternate:name"] == "ARCHIVE"
        assert (origin["auth:refs"], origin["storage:tier"]) == (["oidc"], "hot")
    assert names(item) == [*NEAREST_TO["vienna"], "origin"]
    check_alternates(item)


def test_an_origin_that_is_no_replica_is_kept_with_a_name_of_its_own() -> None:
    fields = {"href": "https://signed.example.org/i.tif?token=1", "auth:refs": ["oidc"]}
    item = annotated(stac_item(assets={"image": fields}), lake("VIENNA-DISK"), prefer="nearest")
    assert image(item)["alternate"]["origin"] == fields | {"alternate:name": "origin", "rucio:origin": True}
    assert names(item) == ["VIENNA-DISK", "origin"]


def test_the_name_that_the_item_gave_to_its_place_is_kept() -> None:
    item = annotated(stac_item(assets={"image": {"alternate:name": "HTTPS"}}), lake("VIENNA-DISK"), prefer="nearest")
    assert image(item)["alternate"]["origin"]["alternate:name"] == "HTTPS"


def test_where_the_origin_is_nearest_the_href_stays() -> None:
    item = annotated(stac_item(), lake("ARCHIVE"), prefer="nearest")
    assert image(item)["href"] == f"{ORIGIN}/i/image.tif"
    assert names(item) == ["ARCHIVE"]


def test_what_cannot_be_read_is_never_preferred() -> None:
    file = held_file("image", ["VIENNA-DISK", "CLOSED-DISK", "SYDNEY-DISK"])
    replicas = (
        replace(file.replicas[0], state="COPYING"),
        file.replicas[1],
        replace(file.replicas[2], pfn="root://sydney.example.org:1094//i/image.tif"),
    )
    held = HeldLake([held_item(replace(file, replicas=replicas))])
    for options in ({}, {"states": None}):
        item = annotated(stac_item(), held, prefer="nearest", **options)
        assert image(item)["href"] == f"{ORIGIN}/i/image.tif"


def test_who_names_a_scheme_can_open_it() -> None:
    file = held_file("image", ["SYDNEY-DISK", "VIENNA-DISK"])
    root = replace(file.replicas[0], pfn="root://sydney.example.org:1094//i/image.tif")
    held = HeldLake([held_item(replace(file, replicas=(root, file.replicas[1])))])
    item = annotated(stac_item(), held, prefer="nearest", schemes=["root"])
    assert image(item)["href"] == root.pfn


# -------------------------------------------------------------------------------------------------------------- filters


def test_replicas_are_chosen_by_state_rse_and_scheme() -> None:
    file = held_file("image", EVERYWHERE)
    replicas = tuple(replace(one, state="COPYING") if one.rse == "SYDNEY-DISK" else one for one in file.replicas)
    held = HeldLake([held_item(replace(file, replicas=replicas))])
    assert "SYDNEY-DISK" not in names(annotated(stac_item(), held))
    assert image(annotated(stac_item(), held, states=None))["alternate"]["SYDNEY-DISK"]["rucio:state"] == "COPYING"
    assert names(annotated(stac_item(), held, states=["COPYING"])) == ["SYDNEY-DISK"]
    assert names(annotated(stac_item(), held, rses={"VIENNA-DISK", "ARCHIVE"})) == ["VIENNA-DISK", "ARCHIVE"]
    assert annotated(stac_item(), held, schemes=["root"]) == stac_item()


@pytest.mark.parametrize(
    "options",
    [
        {"prefer": "first"},
        {"on_error": "ignore"},
        {"states": ["available"]},
        {"states": "AVAILABLE"},
        {"rses": "VIENNA-DISK"},
        {"schemes": "https"},
    ],
)
def test_an_option_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        ReplicaAlternates(lake(), **options)


@pytest.mark.parametrize("place", [{"site": "atlantis"}, {"rse": "NOWHERE"}, {"latitude": 1.0}, {"address": "here"}])
def test_a_place_that_is_none_is_refused(place: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        annotated(stac_item(), **({"site": None} | place))


# ------------------------------------------------------------------------------------------------- what it is handed


def kinds() -> dict[str, Any]:
    """Return the same items in every form that a modifier gets them."""
    items = [stac_item(), stac_item("unknown")]
    as_objects = [pystac.Item.from_dict(copy.deepcopy(item)) for item in items]
    page = {"type": "FeatureCollection", "features": items, "links": [], "numberMatched": 2}
    return {
        "Item": as_objects[0].clone(),
        "ItemCollection": pystac.ItemCollection(as_objects),
        "item-like dict": copy.deepcopy(items[0]),
        "item-collection-like dict": page,
    }


def as_dicts(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, pystac.Item):
        return [found.to_dict(include_self_link=False, transform_hrefs=False)]
    if isinstance(found, pystac.ItemCollection):
        return [one for item in found.items for one in as_dicts(item)]
    return list(found.get("features", [found]))


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("options", [{}, {"prefer": "nearest"}], ids=["as it is", "nearest"])
def test_every_form_is_changed_in_place_alike(kind: str, options: dict[str, Any]) -> None:
    found = kinds()[kind]
    held = lake()
    assert ReplicaAlternates(held, site="vienna", **options)(found) is None
    first, *rest = as_dicts(found)
    check_alternates(first)
    assert first["assets"] == annotated(stac_item(), **options)["assets"]
    assert [item["assets"] for item in rest] == [stac_item("unknown")["assets"]] * len(rest)
    assert len(held.questions) == 1


def collections() -> dict[str, Any]:
    extent = pystac.Extent(pystac.SpatialExtent([-180.0, -90.0, 180.0, 90.0]), pystac.TemporalExtent([None, None]))
    collection = pystac.Collection("c", "A collection", extent, assets={"image": pystac.Asset(f"{ORIGIN}/i/image.tif")})
    return {
        "Collection": collection,
        "collection-like dict": collection.to_dict(include_self_link=False),
        "page of collections": {"collections": [collection.to_dict(include_self_link=False)], "links": []},
        "empty page": {"type": "FeatureCollection", "features": []},
        "page of nothing": {"links": []},
        "junk features": {"type": "FeatureCollection", "features": [None, 1, {"type": "Feature"}, {"id": "i"}]},
    }


@pytest.mark.parametrize("kind", collections())
def test_collections_are_left_and_nobody_is_asked(kind: str) -> None:
    found, held = collections()[kind], lake()
    before = copy.deepcopy(found if isinstance(found, dict) else found.to_dict(include_self_link=False))
    ReplicaAlternates(held)(found)
    assert (found if isinstance(found, dict) else found.to_dict(include_self_link=False)) == before
    assert held.questions == []


def test_anything_else_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="list"):
        ReplicaAlternates(lake())([stac_item()])


def test_broken_items_are_left_as_they_are() -> None:
    broken = [
        stac_item(assets={}) | {"assets": None},
        stac_item() | {"assets": {"image": None}},
        stac_item() | {"assets": {"image": {}}},
        stac_item(assets={"image": {"href": 7}}),
        stac_item(assets={"image": {"alternate": []}}),
        stac_item() | {"id": 7},
    ]
    items = [*copy.deepcopy(broken), stac_item()]
    ReplicaAlternates(lake(), site="vienna", prefer="nearest")({"type": "FeatureCollection", "features": items})
    assert [number for number, item in enumerate(broken) if items[number] == item] == [0, 1, 4, 5]
    for item in (items[2], items[-1]):
        assert image(item)["href"] == address("VIENNA-DISK", "i/image.tif")


def test_a_page_is_one_question() -> None:
    held = HeldLake([held_item(held_file("image", EVERYWHERE, f"i{n}"), item=f"i{n}") for n in range(250)])
    page = {"type": "FeatureCollection", "features": [stac_item(f"i{n}") for n in range(250)]}
    assert ReplicaAlternates(held).annotate(page) == 250
    assert len(held.questions) == 1


# ------------------------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize("error", [TransientError("no answer"), FatalError("wrong credentials")])
def test_a_look_up_that_fails_is_an_error_and_the_page_stays_whole(error: Exception) -> None:
    page = {"type": "FeatureCollection", "features": [stac_item(), stac_item("other")]}
    before = copy.deepcopy(page)
    held = HeldLake(error=error)  # type: ignore[arg-type] # both are
    with pytest.raises(type(error), match=rf"replicas of 2 items .*{error}"):
        ReplicaAlternates(held)(page)
    with pytest.warns(UserWarning, match=f"none is annotated.*{error}"):
        ReplicaAlternates(held, on_error="warn")(page)
    assert page == before


class NoDistances(Mapping[tuple[str, str], int]):
    """Distances that cannot be had when they are needed."""

    def __getitem__(self, way: tuple[str, str]) -> int:
        raise TransientError(f"no answer for {way}")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_a_distance_that_cannot_be_had_leaves_the_page_whole() -> None:
    first = held_item(held_file("image", [], "j"), item="j")
    held = HeldLake([first, *lake().items], known=Topology(TOPOLOGY.rses, NoDistances()))
    page = {"type": "FeatureCollection", "features": [stac_item("j"), stac_item()]}
    before = copy.deepcopy(page)
    with pytest.raises(TransientError, match="no answer for"):
        ReplicaAlternates(held, site="vienna")(page)
    assert page == before


# --------------------------------------------------------------------------------------------------------- idempotence

RSES = st.lists(st.sampled_from([*EVERYWHERE, "VIENNA-TAPE", "CLOSED-DISK"]), unique=True).map(tuple)
OWN = st.dictionaries(
    st.sampled_from(["mirror", "origin", "VIENNA-DISK", "SYDNEY-DISK"]),
    st.sampled_from(
        [
            "https://bare.example.org/x",
            {"href": "https://mirror.example.org/x"},
            {"href": address("VIENNA-DISK", "i/image.tif"), "title": "Vienna", "auth:refs": ["oidc"]},
            {"title": "no address"},
        ]
    ),
)
HREFS = st.sampled_from([f"{ORIGIN}/i/image.tif", f"{ORIGIN}:443/i/image.tif", "https://signed.example.org/x?t=1"])
OPTIONS = st.fixed_dictionaries(
    {
        "site": st.sampled_from([*NEAREST_TO, None]),
        "prefer": st.sampled_from(["nearest", None]),
        "rses": st.sampled_from([None, ("VIENNA-DISK",), ("SYDNEY-DISK", "ARCHIVE")]),
    }
)


@settings(max_examples=150, deadline=None)
@given(RSES, OWN, HREFS, OPTIONS)
def test_twice_is_once(rses: Sequence[str], own: dict[str, Any], href: str, options: dict[str, Any]) -> None:
    """pystac-client itself calls a modifier twice on some roads."""
    fields = {"href": href, "auth:refs": ["key"]} | ({"alternate": own} if own else {})
    held = HeldLake([held_item(held_file("image", rses))])
    once = annotated(stac_item(assets={"image": fields}), held, **options)
    twice = annotated(copy.deepcopy(once), held, **options)
    assert twice == once
    assert list(image(twice).get("alternate", {})) == list(image(once).get("alternate", {}))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(RSES, OPTIONS), min_size=1, max_size=4), OWN, HREFS)
def test_the_origin_is_never_lost_nor_an_old_replica_kept(
    seen: list[tuple[Sequence[str], dict[str, Any]]], own: dict[str, Any], href: str
) -> None:
    """Whatever the lake held in between: the item's own addresses stay, and only its last replicas are shown."""
    item = stac_item(assets={"image": {"href": href} | ({"alternate": own} if own else {})})
    for rses, options in seen:
        held = HeldLake([held_item(held_file("image", rses))])
        item = annotated(item, held, **options)
    entries = image(item).get("alternate", {}).values()
    addresses = {image(item)["href"].replace(":443", "")}
    addresses |= {entry["href"].replace(":443", "") for entry in entries if "href" in entry}
    assert href.replace(":443", "") in addresses
    shown = {entry["rucio:rse"] for entry in entries if "rucio:rse" in entry}
    assert shown <= set(seen[-1][0])


def test_a_replica_that_is_gone_is_no_alternate_any_more() -> None:
    item = annotated(stac_item(), prefer="nearest")
    again = annotated(item, lake("ARCHIVE", "SYDNEY-DISK"), prefer="nearest")
    assert names(again) == ["SYDNEY-DISK", "ARCHIVE", "origin"]
    assert image(again)["href"] == address("SYDNEY-DISK", "i/image.tif")


def test_what_no_replica_can_take_any_more_is_the_origin_again() -> None:
    item = annotated(stac_item(), prefer="nearest")
    closed = image(annotated(copy.deepcopy(item), lake("CLOSED-DISK"), prefer="nearest"))
    assert closed == {"href": f"{ORIGIN}/i/image.tif", "alternate:name": "ARCHIVE"}
    assert image(annotated(item, lake("SYDNEY-DISK")))["href"] == f"{ORIGIN}/i/image.tif"


def test_an_asset_that_lies_in_the_lake_itself_says_so_again_whatever_took_its_place() -> None:
    """The modifier may see an item many times, and a sync may see what it made of it."""
    fields = {"href": address("VIENNA-DISK", "i/image.tif"), "rucio:rse": "VIENNA-DISK", "rucio:name": "i.tif"}
    here = annotated(
        stac_item(assets={"image": fields}), lake("VIENNA-DISK", "SYDNEY-DISK"), site="sydney", prefer="nearest"
    )
    assert image(here)["href"] == address("SYDNEY-DISK", "i/image.tif")
    assert image(here)["rucio:rse"] == "SYDNEY-DISK"
    back = annotated(here, lake("VIENNA-DISK", "SYDNEY-DISK"), prefer=None)
    assert image(back)["href"] == address("VIENNA-DISK", "i/image.tif")
    assert image(back)["rucio:rse"] == "VIENNA-DISK"


def test_no_warning_is_given_where_nothing_is_wrong() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        annotated(stac_item(), prefer="nearest", on_error="warn")


def test_replicas_and_items_are_only_read() -> None:
    held: HeldItem = held_item(held_file("image", EVERYWHERE))
    before = copy.deepcopy(held)
    annotated(stac_item(), HeldLake([held]), prefer="nearest")
    assert held == before
    assert all(isinstance(one, Replica) for one in held.files[0].replicas)
