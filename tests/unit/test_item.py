from __future__ import annotations

import copy
import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.fingerprint import fingerprint
from stac_rucio_sync.mapping.item import item_key, parse_item
from stac_rucio_sync.model import ItemKey, ItemRead, Wanted
from stac_rucio_sync.settings import Settings

SETTINGS = Settings()
WILD = Path(__file__).parents[3] / "shared" / "data" / "items.ndjson.gz"


def stac(**fields: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "scene",
        "collection": "scenes",
        "geometry": None,
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "links": [],
        "assets": {"data": {"href": "https://example.org/scene.tif", "roles": ["data"], "type": "image/tiff"}},
    } | fields


def read(document: Any, href: str | None = None) -> ItemRead:
    return ItemRead(document, href, "here:1")


def test_collection_and_id_name_an_item() -> None:
    assert item_key(stac(), SETTINGS) == ItemKey("scenes", "scene")
    assert item_key(stac(collection=None), SETTINGS) == ItemKey("items", "scene")
    without = stac()
    del without["collection"]
    assert item_key(without, SETTINGS).collection == SETTINGS.identity.default_collection


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": 5}, "id is a number"),
        ({"id": None}, "id is missing: without it the item has no name"),
        ({"id": ""}, "id is empty: without it the item has no name"),
        ({"id": "a\0b"}, "id holds a NUL"),
        ({"id": "\ud800"}, "surrogate"),
        ({"collection": 7}, "collection is"),
        ({"collection": "\0"}, "collection holds a NUL"),
        ({"type": "Collection"}, "no STAC item"),
        ({"stac_version": None}, "no STAC item"),
        ({"stac_version": 1}, "no STAC item"),
        ({"properties": None}, "properties is null"),
        ({"properties": []}, "properties is a list"),
        ({"assets": []}, "assets is a list"),
        ({"assets": {"a": "https://example.org"}}, "asset 'a' is a text"),
        ({"assets": {"a": {"href": 5}}}, "asset 'a' has a number as its href"),
        ({"assets": {"a": {"roles": 5}}}, "asset 'a' has a number as its roles"),
        ({"links": {}}, "links is an object"),
        ({"links": [None]}, "link 0 is null"),
        ({"links": [{"href": 5}]}, "link 0 has a number as its href"),
        ({"geometry": "x"}, "geometry is a text"),
        ({"stac_extensions": 5}, "stac_extensions is a number"),
        ({"properties": {"x": 10**30}}, "cannot be written as JSON"),
        ({"properties": {"x": "\udcff"}}, "cannot be written as JSON"),
        ({"stac_version": "0.8.0", "properties": {"eo:bands": []}, "assets": {"a": {"eo:bands": [3]}}}, "migrated"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ItemError, match=sentence):
        parse_item(read(stac(**fields)), SETTINGS)


def test_too_deep_is_an_item_error() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ItemError):
        parse_item(read(stac(properties={"x": nested})), SETTINGS)
    while nested:  # by hand: freeing it in one go recurses
        nested = nested.pop()


def test_old_items_are_migrated_and_the_source_is_left_alone() -> None:
    old = stac(
        stac_version="0.8.1",
        stac_extensions=["eo", "datetime-range"],
        properties={
            "datetime": "2020-01-01T00:00:00Z",
            "dtr:start_datetime": "2020-01-01T00:00:00Z",
            "dtr:end_datetime": "2020-01-02T00:00:00Z",
            "eo:platform": "landsat-8",
            "eo:instrument": "OLI",
            "eo:sun_elevation": 30,
            "eo:bands": [{"common_name": "red"}, {"common_name": "nir"}],
        },
        assets={"b": {"href": "https://example.org/b.tif", "eo:bands": [1]}},
    )
    before = copy.deepcopy(old)
    item = parse_item(read(old), SETTINGS)
    assert old == before
    assert item.properties["platform"] == "landsat-8"
    assert item.properties["instruments"] == ["OLI"]
    assert item.properties["start_datetime"] == "2020-01-01T00:00:00Z"
    assert item.properties["view:sun_elevation"] == 30
    assert item.assets[0].stac["eo:bands"] == [{"common_name": "nir"}]


def test_defaults_are_filled_in() -> None:
    item = parse_item(read(stac(assets={"a": {}, "b": {"href": "", "roles": "data"}}, links=None)), SETTINGS)
    assert [(asset.key, asset.href, asset.roles) for asset in item.assets] == [("a", None, ()), ("b", None, ("data",))]
    assert item.links == ()
    assert parse_item(read(stac(bbox=[1, 2, 3])), SETTINGS).bbox is None
    assert parse_item(read(stac(bbox=[1, 2, 3, 4])), SETTINGS).bbox == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("self_href", "read_href", "base"),
    [
        ("https://example.org/a/i.json", "/disk/i.json", "https://example.org/a/i.json"),
        ("./i.json", "https://example.org/b/i.json", "https://example.org/b/i.json"),
        (None, "/disk/i.json", "/disk/i.json"),
        ("./i.json", None, None),
        (None, None, None),
    ],
)
def test_relative_hrefs_start_at_the_self_link_else_where_it_was_read(
    self_href: str | None, read_href: str | None, base: str | None
) -> None:
    links = [{"rel": "self", "href": self_href}] if self_href else []
    assert parse_item(read(stac(links=links), read_href), SETTINGS).base_href == base


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Feature", "Polygon", "1.0.0", "eo", "datetime"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "href",
                    "roles",
                    "coordinates",
                    "eo:bands",
                    "alternate",
                    "datetime",
                    "s_ra",
                    "bands",
                    "file:size",
                    "sar:polarizations",
                    "cube:dimensions",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["type", "stac_version", "id", "collection", "geometry", "bbox", "properties", "assets", "links", "stac_extensions"]
)


@examples(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    fields=st.dictionaries(FIELDS, JSON, max_size=3),
    inner=st.dictionaries(
        st.sampled_from(
            [
                "datetime",
                "start_datetime",
                "eo:bands",
                "bands",
                "proj:shape",
                "processing:level",
                "s_ra",
                "s_dec",
                "s_region",
                "calib_level",
                "ssys:targets",
                "instruments",
                "platform",
                "sci:doi",
                "sar:center_frequency",
                "cube:dimensions",
                "published",
                "created",
            ]
        ),
        JSON,
        max_size=5,
    ),
    version=st.sampled_from(["0.7.0", "0.8.1", "1.0.0-beta.2", "1.0.0", "1.1.0"]),
)
def test_any_json_is_wanted_or_an_item_error(fields: dict[str, Any], inner: dict[str, Any], version: str) -> None:
    document = stac(stac_version=version, properties=inner, stac_extensions=["eo", "sar", "projection", "file"])
    document |= fields
    with suppress(ItemError):
        digest = fingerprint(read(document), "settings")
        assert isinstance(map_item(parse_item(read(document), SETTINGS), SETTINGS, {}, digest), Wanted)


@examples(max_examples=40, deadline=None)
@given(document=JSON)
def test_any_json_at_all_is_an_item_error(document: Any) -> None:
    with pytest.raises(ItemError):
        parse_item(read(document), SETTINGS)
    if not isinstance(document, dict):
        with pytest.raises(ItemError):
            fingerprint(read(document), "settings")


@pytest.mark.skipif(not WILD.is_file(), reason="the collected real items are not beside the checkout")
def test_real_items_map() -> None:
    with gzip.open(WILD) as lines:
        for number, line in enumerate(lines):
            if number % 50 == 0:
                document = json.loads(line)
                wanted = map_item(parse_item(read(document), SETTINGS), SETTINGS, {}, "f")
                assert wanted.key.id == document["id"]
