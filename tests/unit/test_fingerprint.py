from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.fingerprint import fingerprint, settings_digest
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.settings import Collection, Identity, Settings, Sync

DIGEST = settings_digest(Settings())
_NUMBERS = st.integers(-100, 100) | st.integers(-100, 100).map(float) | st.floats(-1e15, 1e15) | st.just(-0.0)
_NUMBERS |= st.integers(-(2**63), 2**64 - 1) | st.floats(-1e22, 1e22) | st.integers(-9000, 9000).map(lambda n: n * 1e15)
_TEXTS = st.text('a016e+.,:-[]{}"\\', max_size=12)
JSON = st.recursive(
    _NUMBERS | _TEXTS | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


def whole(value: Any) -> Any:
    """Return JSON in the one form that its values have."""
    if isinstance(value, dict):
        return {key: whole(one) for key, one in sorted(value.items())}
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**64:
        return int(value)
    return value


def stac(href: str = "https://example.org/scene.tif", links: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "scene",
        "collection": "scenes",
        "geometry": None,
        "properties": {"datetime": "2020-01-01T00:00:00Z", "a": 1},
        "links": links or [],
        "assets": {"data": {"href": href}},
    }


def taken(document: dict[str, Any], href: str | None = None, digest: str = DIGEST) -> str:
    return fingerprint(ItemRead(document, href, "here"), digest)


LICENCE = {"rel": "license", "href": "https://example.org/licence"}


def test_the_road_that_an_item_came_by_does_not_matter() -> None:
    through_api = stac(
        links=[
            {"rel": "self", "href": "https://api.example.org/collections/scenes/items/scene"},
            {"rel": "root", "href": "https://api.example.org/"},
            LICENCE,
        ]
    )
    through_file = stac(links=[LICENCE])
    in_catalogue = stac(
        links=[
            {"rel": "parent", "href": "../collection.json"},
            LICENCE,
            {"rel": "self", "href": "https://static.example.org/scene.json"},
        ]
    )
    assert taken(through_api) == taken(through_file, "/disk/items.ndjson") == taken(in_catalogue, "/disk/scene.json")


def test_key_order_does_not_matter() -> None:
    backwards = dict(reversed(list(stac().items())))
    backwards["properties"] = dict(reversed(list(backwards["properties"].items())))
    assert taken(backwards) == taken(stac())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("30", "30.0"),
        ("0", "-0.0"),
        ("-180", "-1.8e2"),
        ("[1, 2.5]", "[1.0, 2.50]"),
        ('{"deep": [{"er": 1000000000000000}, 0]}', '{"deep": [{"er": 1e15}, -0.0]}'),
        ("10000000000000000", "1e16"),
        ("-9223372036854775808", "-9.223372036854775808e18"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ('{"a": "1e+16,", "b": [12345678901234567168, 1.0]}', '{"a": "1e+16,", "b": [1.2345678901234567e19, 1]}'),
        ('["\\\\", 1, "\\"", 2]', '["\\\\", 1.0, "\\"", 2.0]'),
    ],
)
def test_a_number_counts_by_its_value_not_by_its_form(one: str, other: str) -> None:
    """RFC 8785, section 3.2.2.3: 30.0 is written as 30, and digits take the place of exponents below 10²¹."""

    def of(text: str) -> str:
        document = stac()
        document["properties"]["number"] = orjson.loads(text)
        return taken(document)

    assert of(one) == of(other)
    assert of(one) != of("30.5")


def test_texts_that_look_like_numbers_keep_their_form() -> None:
    prints = set()
    for text in (
        "a:1e+16,b",
        "a:10000000000000000,b",
        "a:30.0,b",
        "a:30,b",
        "[30.0]",
        "[30]",
        '","a":30.0}',
        '","a":30}',
        '\\",30.0,\\"',
        '\\",30,\\"',
    ):
        document = stac()
        document["properties"] |= {"text": text, "number": 30.0}
        prints.add(taken(document))
    assert len(prints) == 10


@given(JSON, JSON)
def test_items_have_one_fingerprint_if_they_have_the_same_values(one: Any, other: Any) -> None:
    def of(value: Any) -> str:
        document = stac()
        document["properties"]["value"] = value
        return taken(document)

    assert (of(one) == of(other)) == (orjson.dumps(whole(one)) == orjson.dumps(whole(other)))
    assert of(one) == of(whole(one))


def test_content_and_the_order_of_other_links_matter() -> None:
    other = stac()
    other["properties"]["a"] = 2
    via = {"rel": "via", "href": "https://example.org/via"}
    prints = {
        taken(stac()),
        taken(other),
        taken(stac(links=[LICENCE])),
        taken(stac(links=[LICENCE, via])),
        taken(stac(links=[via, LICENCE])),
        taken(stac("https://example.org/other.tif")),
    }
    assert len(prints) == 6


@pytest.mark.parametrize("href", ["./scene.tif", "scene.tif", "/scene.tif", "//example.org/scene.tif"])
def test_where_it_was_read_matters_for_relative_hrefs_alone(href: str) -> None:
    assert taken(stac(href), "https://a.org/i.json") != taken(stac(href), "https://b.org/i.json")
    assert taken(stac(), "https://a.org/i.json") == taken(stac(), "https://b.org/i.json")
    own = [{"rel": "self", "href": "https://c.org/i.json"}]
    assert taken(stac(href, own), "https://a.org/i.json") == taken(stac(href, own), "https://b.org/i.json")
    assert taken(stac(href, own)) == taken(stac(href), "https://c.org/i.json")


def test_a_relative_alternate_or_link_counts_as_well() -> None:
    alternate = stac()
    alternate["assets"]["data"]["alternate"] = {"near": {"href": "near/scene.tif"}}
    linked = stac(links=[{"rel": "about", "href": "about.html"}])
    for document in (alternate, linked):
        assert taken(document, "https://a.org/i.json") != taken(document, "https://b.org/i.json")


def test_only_settings_of_the_mapping_matter() -> None:
    assert settings_digest(Settings(sync=Sync(workers=4))) == DIGEST
    changed = [
        Settings(identity=Identity(authority="archive.example")),
        Settings(sync=Sync(sizes="head")),
        Settings(collections={"scenes": Collection(calib_level=1)}),
    ]
    assert len({DIGEST, *map(settings_digest, changed)}) == 4
    assert settings_digest(Settings(sync=Sync(allow_private_addresses=True))) == DIGEST, "nobody is asked for sizes"
    permitted = Settings(sync=Sync(sizes="head", allow_private_addresses=True))
    assert settings_digest(permitted) not in map(settings_digest, changed)
    assert taken(stac(), digest="other") != taken(stac())


def test_what_is_no_json_is_an_item_error() -> None:
    nested: list[Any] = []
    for _ in range(400):
        nested = [nested]
    for odd in (nested, 10**30, "\ud800", {1: 2}):
        document = stac()
        document["properties"]["odd"] = odd
        with pytest.raises(ItemError, match="JSON"):
            taken(document)
