"""Names: readable, unique, within Rucio's rule, and decoded back to exactly what they stand for."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.identifiers import (
    Decoded,
    container_did,
    dataset_did,
    decode,
    did_of_publisher_did,
    file_did,
    obs_publisher_did,
    suffix_of,
    version_did,
)
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.settings import Collection, Identity, Settings

SETTINGS = Settings()
RUCIO_NAME = re.compile(r"^[/A-Za-z0-9][/A-Za-z0-9.\-_]*\Z")
REAL_ITEMS = Path(__file__).parents[3] / "shared" / "data" / "items.ndjson.gz"

# Ordinary letters are rare here: what could be mistaken for a separator, an escape or a suffix is not.
tricky = st.text(st.sampled_from("x_.-0A3Ea:/\\ \0é\U0001f600"), max_size=12)
names = st.one_of(tricky, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
suffixes = st.sampled_from(["", ".tif", ".x", ".a5f", ".FITS"])


def in_rucio(name: str) -> bool:
    return len(name) <= 250 and RUCIO_NAME.match(name) is not None and "/" not in name


@pytest.mark.parametrize(
    ("collection", "item", "asset", "suffix", "name"),
    [
        ("sentinel-2-l2a", "S2A_T31UFU_20240101", "red", ".tif", "sentinel-2-l2a..S2A_T31UFU_20240101..red.tif"),
        ("c", "1", "B01.tif", ".tif", "c..1..B01.tif.tif"),
        ("c", "scene.v1", "data", "", "c..scene.v1..data"),
        ("c", "a:b", "x=y", ".nc", "c..a_x3A_b..x_x3D_y.nc"),
        ("c", "i", "data.tif", "", "c..i..data_x2E_tif"),
        (".hidden", "i", "a", "", "x_x2E_hidden..i..a"),
        ("_c", "-i", "a", "", "x_x5F_c..-i..a"),
        ("c", "i_x3A_", "a", "", "c..i_x5F_x3A_..a"),
        ("c", "proj_x", "flow_x", ".tif", "c..proj_x..flow_x.tif"),
    ],
)
def test_ordinary_names_stay_readable_and_others_are_escaped(
    collection: str, item: str, asset: str, suffix: str, name: str
) -> None:
    did = file_did(ItemKey(collection, item), asset, suffix, SETTINGS)
    assert did == Did("stac", name)
    assert decode(name) == Decoded(collection, item, asset)


@given(names, names, names, suffixes)
@example("", "", "", "")
@example("x", "..", "a..b.", ".tif")
@example("x_x2E_", "_", "_x.0", "")
@hypothesis_settings(max_examples=120, deadline=None)
def test_every_name_is_valid_has_its_number_of_parts_and_decodes_back(
    collection: str, item: str, asset: str, suffix: str
) -> None:
    key = ItemKey(collection, item)
    file = file_did(key, asset, suffix, SETTINGS)
    kinds = [
        (container_did(collection, SETTINGS), Decoded(collection)),
        (dataset_did(key, SETTINGS), Decoded(collection, item)),
        (file, Decoded(collection, item, asset)),
        (version_did(file, "0a1b2c"), Decoded(collection, item, asset, "0a1b2c")),
    ]
    for parts, (did, stands_for) in enumerate(kinds, start=1):
        assert in_rucio(did.name)
        if "..." in did.name:  # too long for its parts, so shortened
            assert decode(did.name) is None
        else:
            assert len(did.name.split("..")) == parts
            assert decode(did.name) == stands_for
    assert file.name.endswith(suffix)
    assert kinds[-1][0].name.endswith(suffix)


@given(st.tuples(tricky, tricky, tricky, suffixes), st.tuples(tricky, tricky, tricky, suffixes))
@example(("a", "i", "d.tif", ""), ("a", "i", "d", ".tif"))
@example(("a", "b", "c", ""), ("a", "b..c", "", ""))
@hypothesis_settings(max_examples=120, deadline=None)
def test_no_two_assets_share_a_name(one: tuple[str, str, str, str], other: tuple[str, str, str, str]) -> None:
    def name(parts: tuple[str, str, str, str]) -> str:
        return file_did(ItemKey(parts[0], parts[1]), parts[2], parts[3], SETTINGS).name

    assert (name(one) == name(other)) == (one == other)


@given(st.text("ab_x.25EF-", min_size=1, max_size=20))
@hypothesis_settings(max_examples=120, deadline=None)
def test_a_name_that_decodes_is_the_one_that_the_rule_makes(name: str) -> None:
    decoded = decode(name)
    if decoded is None:
        return
    key = ItemKey(decoded.collection, decoded.item or "")
    if decoded.item is None:
        made = container_did(decoded.collection, SETTINGS)
    elif decoded.asset is None:
        made = dataset_did(key, SETTINGS)
    else:
        made = file_did(key, decoded.asset, suffix_of(f"/{name}") if "." in name.rpartition("..")[2] else "", SETTINGS)
        made = version_did(made, decoded.digest) if decoded.digest else made
    assert made.name == name


@pytest.mark.parametrize("name", ["", "_a", "a..", "a...b", "a..b..c..d..e", "a/b", "a b", "a..b_x61_", "x_xFFFFFFF_"])
def test_what_the_rule_cannot_have_made_does_not_decode(name: str) -> None:
    assert decode(name) is None


def test_a_long_name_is_shortened_keeps_its_head_and_suffix_and_stays_unique() -> None:
    long = "scene-" * 60
    one = file_did(ItemKey("c", long), "red", ".tif", SETTINGS).name
    other = file_did(ItemKey("c", long), "blue", ".tif", SETTINGS).name
    assert in_rucio(one)
    assert one.startswith("c..scene-scene-")
    assert one.endswith(".tif")
    assert one != other
    assert decode(one) is None
    assert in_rucio(version_did(Did("stac", one), "abcdef").name)
    assert version_did(Did("stac", one), "abcdef").name not in (one, version_did(Did("stac", other), "abcdef").name)


def test_a_name_of_just_250_characters_is_not_shortened() -> None:
    item = "i" * (250 - len("c..") - len("..a.tif"))
    assert decode(file_did(ItemKey("c", item), "a", ".tif", SETTINGS).name) == Decoded("c", item, "a")
    assert decode(file_did(ItemKey("c", item + "i"), "a", ".tif", SETTINGS).name) is None


def test_a_second_version_takes_the_place_of_the_first_digest() -> None:
    first = version_did(Did("stac", "c..i..a.tif"), "aaaa")
    assert first.name == "c..i..a..aaaa.tif"
    assert version_did(first, "bbbb").name == "c..i..a..bbbb.tif"


def test_the_version_of_a_name_that_is_not_ours_is_not_taken_for_ours() -> None:
    versioned = version_did(Did("stac", "item_asset.tif"), "aaaa")
    assert versioned.name == "item_asset...aaaa.tif"
    assert decode(versioned.name) is None
    with pytest.raises(ValueError, match="no digest"):
        version_did(versioned, "not hex")


@pytest.mark.parametrize(
    ("href", "suffix"),
    [
        ("https://h/a/B04.TIF", ".TIF"),
        ("s3://b/a.tar.gz?x=1.2", ".gz"),
        ("./a.jp2#frag", ".jp2"),
        ("https://h/$value", ""),
        ("https://h/.hidden", ""),
        ("https://example.com", ""),
        ("https://h/a.waytoolongforit", ""),
        ("https://h/a.t_f", ""),
        (None, ""),
    ],
)
def test_the_suffix_is_the_last_extension_of_the_path(href: str | None, suffix: str) -> None:
    assert suffix_of(href) == suffix


def test_scope_and_template_follow_the_collection_before_the_archive() -> None:
    settings = Settings(
        identity=Identity(scope="archive", template="{item}_{asset}"),
        collections={"eo": Collection(scope="eo", template="{collection}-{item}-{asset}")},
    )
    assert file_did(ItemKey("sky", "i"), "a", ".tif", settings) == Did("archive", "i_a")
    assert file_did(ItemKey("eo", "i"), "a", ".tif", settings) == Did("eo", "eo-i-a")
    assert dataset_did(ItemKey("eo", "i"), settings) == Did("eo", "eo..i")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{item}:{asset}", "no Rucio name"),
        ("{item}..{asset}", "no Rucio name"),
        ("{item.__class__}", "may only hold"),
        ("{scene}", "may only hold"),
        ("{item!r}", "may only hold"),
        ("{item", "cannot be read"),
        ("{item}" * 100, "at most 250"),
    ],
)
def test_a_template_that_gives_no_name_says_what_to_change(template: str, says: str) -> None:
    settings = Settings(identity=Identity(template=template))
    with pytest.raises(ItemError, match=says):
        file_did(ItemKey("c", "scene-1"), "red", ".tif", settings)


def test_publisher_dids_go_both_ways() -> None:
    settings = Settings(identity=Identity(authority="Example.org", path="archive/lake"))
    did = Did("eo", "c..i_x3A_..red.tif")
    text = obs_publisher_did(did, settings)
    assert text == "ivo://Example.org/archive/lake?eo:c..i_x3A_..red.tif"
    assert did_of_publisher_did(text) == did


@pytest.mark.parametrize(
    ("text", "did"),
    [
        ("IVO://EXAMPLE.ORG/Lake?eo:Name.TIF", Did("eo", "Name.TIF")),
        ("ivo://SKA?testing/PTF10tce.fits", Did("testing", "PTF10tce.fits")),
        ("ivo://ska?testing/dir/PTF10tce.fits", Did("testing", "dir/PTF10tce.fits")),
        ("eo:c..i", Did("eo", "c..i")),
    ],
)
def test_publisher_dids_of_other_forms_are_understood(text: str, did: Did) -> None:
    assert did_of_publisher_did(text) == did


@pytest.mark.parametrize(
    "text", ["", "ivo://x/y", "ivo://x?", "name", "a/b", "sc ope:n", "s:", "s:_n", "s:n n", "s:n\n", "ivo://x?a:b:c"]
)
def test_what_identifies_no_did_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ItemError, match="identifies no dataset"):
        did_of_publisher_did(text)


@pytest.mark.skipif(not REAL_ITEMS.exists(), reason="the collection of real items is not beside the checkout")
def test_the_names_of_real_assets_are_unique_decodable_and_mostly_plain() -> None:
    seen: dict[str, tuple[str, str, str]] = {}
    plain = 0
    for line in gzip.decompress(REAL_ITEMS.read_bytes()).splitlines():
        item = orjson.loads(line)
        key = ItemKey(item.get("collection") or "items", item["id"])
        for asset, fields in (item.get("assets") or {}).items():
            suffix = suffix_of(fields.get("href"))
            name = file_did(key, asset, suffix, SETTINGS).name
            assert in_rucio(name)
            assert decode(name) == (*key, asset, None)
            assert seen.setdefault(name, (*key, asset)) == (*key, asset)
            plain += name == f"{key.collection}..{key.id}..{asset}{suffix}"
    assert len(seen) > 30_000
    assert plain / len(seen) >= 0.85
