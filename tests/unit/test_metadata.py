"""Metadata of an item's DID: nothing in it is Rucio's own, and nothing breaks its table."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.metadata import OWN_KEYS, RUCIO_KEYS, did_metadata, metadata_key, property_of
from stac_rucio_sync.model import Did, File, Item, ItemKey, ObsCoreRow

BLANK = ObsCoreRow(*[None] * len(ObsCoreRow._fields))  # type: ignore[arg-type]  # only the columns of a test are filled
ROW = BLANK._replace(
    calib_level=2,
    obs_collection="c",
    obs_id="i",
    s_ra=10.5,
    s_polygon=(1.0, 2.0, 3.0, 2.0, 2.0, 4.0),
    s_bound=(2.0, 3.0, 1.0),
)

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("a\0b"))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
property_names = st.one_of(
    st.sampled_from(sorted(RUCIO_KEYS | OWN_KEYS | set(ObsCoreRow._fields))),
    st.text(st.sampled_from("ax_2E0F.:/\0é"), max_size=10),
    st.text(max_size=10),
)


def item(properties: dict[str, Any], collection: str = "c", item_id: str = "i") -> Item:
    return Item(ItemKey(collection, item_id), properties, None, None, (), (), None, ())


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, nested in value.items() for text in [key, *texts(nested)]]
    return [text for nested in value for text in texts(nested)] if isinstance(value, list) else []


def test_columns_are_bare_ours_are_prefixed_and_properties_keep_their_names() -> None:
    file = File("red", Did("stac", "c..i..red.tif"), 1, None, None, (), None, (), None)
    assert did_metadata(item({"eo:cloud_cover": 3.5, "datetime": None}), ROW, [file], "f1") == {
        "eo:cloud_cover": 3.5,
        "datetime": None,
        "calib_level": 2,
        "obs_collection": "c",
        "obs_id": "i",
        "s_ra": 10.5,
        "s_polygon": [1.0, 2.0, 3.0, 2.0, 2.0, 4.0],
        "s_bound": [2.0, 3.0, 1.0],
        "stac:collection": "c",
        "stac:id": "i",
        "stac:asset": {"red": "c..i..red.tif"},
        "stac:fingerprint": "f1",
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("platform", "platform"),
        ("eo:cloud_cover", "eo:cloud_cover"),
        ("lifetime", "stac:lifetime"),
        ("eol_at", "stac:eol_at"),
        ("version", "stac:version"),
        ("type", "stac:type"),
        ("s_ra", "stac:s_ra"),
        ("s_bound", "stac:s_bound"),
        ("stac:id", "stac:stac:id"),
        ("", "stac:"),
        ("proj.epsg", "proj_x2E_epsg"),
        ("a/b", "a_x2F_b"),
        ("a_x2E_b", "a_x5F_x2E_b"),
    ],
)
def test_a_property_whose_name_is_taken_or_impossible_is_prefixed_or_escaped(name: str, key: str) -> None:
    assert metadata_key(name) == key
    assert property_of(key) == name


def test_an_obscore_column_wins_over_a_property_of_its_name() -> None:
    metadata = did_metadata(item({"s_ra": "abc", "obs_title": "mine"}), ROW, (), "f")
    assert metadata["s_ra"] == 10.5
    assert metadata["stac:s_ra"] == "abc"
    assert "obs_title" not in metadata
    assert metadata["stac:obs_title"] == "mine"


@given(st.dictionaries(property_names, values, max_size=5))
@example({"lifetime": 1, "a.b": {"c.d": "x\0"}, "n": [math.nan, math.inf], "big": 10**30, "half": "\ud800"})
@hypothesis_settings(max_examples=80, deadline=None)
def test_no_item_can_set_what_is_rucios_own_or_what_its_table_cannot_hold(properties: dict[str, Any]) -> None:
    metadata = did_metadata(item(properties, "c\0", "i\0"), ROW, (), "f")
    assert not RUCIO_KEYS & metadata.keys()
    assert not [key for key in metadata if "." in key or "/" in key or not key or len(key) > 255]
    assert not [text for text in texts(metadata) if "\0" in text]
    json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    orjson.dumps(metadata)  # refuses what is beyond 64 bits
    theirs = [key for key in metadata if key not in OWN_KEYS and key not in ObsCoreRow._fields]
    assert sorted(map(str, map(property_of, theirs))) == sorted(properties)


@given(st.sets(property_names | st.text("ab.", min_size=250, max_size=260), min_size=2, max_size=6))
@hypothesis_settings(max_examples=60, deadline=None)
def test_no_two_properties_share_a_key(properties: set[str]) -> None:
    keys = {metadata_key(name) for name in properties}
    assert len(keys) == len(properties)
    assert max(map(len, keys)) <= 255


def test_a_property_name_too_long_is_shortened_and_not_taken_for_another() -> None:
    key = metadata_key("p" * 300)
    assert len(key) == 255
    assert key.startswith("stac:ppp")
    assert property_of(key) is None


@pytest.mark.parametrize("key", ["s_ra", "stac:id", "stac:fingerprint", "lifetime"])
def test_keys_that_are_no_property_have_none(key: str) -> None:
    assert property_of(key) is None


def test_what_is_beyond_the_limit_is_left_out_and_named() -> None:
    properties = {"small": 1, "huge": "x" * 900_000, "large": "y" * 200_000}
    metadata = did_metadata(item(properties), ROW, (), "f")
    assert metadata["stac:left_out"] == ["huge"]
    assert metadata["large"] == properties["large"]
    assert "stac:left_out" not in did_metadata(item({"fine": "x" * 600_000}), ROW, (), "f")


def test_a_property_without_end_is_an_error_of_the_item() -> None:
    nested: list[Any] = []
    for _ in range(500):
        nested = [nested]
    with pytest.raises(ItemError, match="nested deeper"):
        did_metadata(item({"deep": nested}), ROW, (), "f")
