"""Assets: files with replicas where size and place are known, links with a reason where not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.assets import hrefs_to_measure, map_assets
from stac_rucio_sync.model import Asset, Did, File, Item, ItemKey, LakePlace, Link, Measured, WantedReplica
from stac_rucio_sync.settings import Collection, Identity, Settings, Sync

SETTINGS = Settings()
MD5 = "0123456789abcdef0123456789abcdef"


def asset(key: str, **stac: Any) -> Asset:
    said = {name.replace("__", ":"): value for name, value in stac.items()}
    return Asset(key, said.get("href"), said.get("type"), tuple(said.get("roles", ())), said.get("title"), said)


def item(*assets: Asset, links: tuple[dict[str, Any], ...] = (), base: str | None = "https://h/c/i.json") -> Item:
    return Item(ItemKey("c", "i"), {}, None, None, assets, links, base, ())


def mapped(
    *assets: Asset, settings: Settings = SETTINGS, measured: dict[str, Measured] | None = None
) -> tuple[tuple[File, ...], tuple[Link, ...]]:
    return map_assets(item(*assets), settings, measured or {})


def test_an_asset_with_a_size_is_a_file() -> None:
    files, links = mapped(
        asset(
            "red",
            href="./B04.tif",
            type="image/tiff",
            roles=["data"],
            title="Red",
            file__size=7,
            file__checksum="d50110" + MD5,
        )
    )
    assert links == ()
    assert files == (
        File(
            asset="red",
            did=Did("stac", "c..i..red.tif"),
            bytes=7,
            adler32=None,
            md5=MD5,
            replicas=(WantedReplica("https://h/c/B04.tif", "https://h:443", needs_login=False, alternate=None),),
            media_type="image/tiff",
            roles=("data",),
            title="Red",
        ),
    )


@pytest.mark.parametrize(("size", "octets"), [(0, 0), (1, 1), (3.0, 3), (5 * 2**30, 5 * 2**30)])
def test_whole_numbers_are_sizes(size: float, octets: int) -> None:
    files, _ = mapped(asset("a", href="https://h/a", file__size=size))
    assert [file.bytes for file in files] == [octets]


@pytest.mark.parametrize("size", [-1, 1.5, "7", True, None, [7], 2**63, float("nan"), float("inf")])
def test_anything_else_is_no_size(size: object) -> None:
    files, links = mapped(asset("a", href="https://h/a", file__size=size))
    assert files == ()
    assert links[0].reason is not None
    assert "size" in links[0].reason


def test_without_a_size_it_is_a_link_that_says_how_to_ask() -> None:
    files, links = mapped(asset("a", href="https://h/a.tif"), asset("b", href="s3://h:1/b/k"))
    assert files == ()
    assert [(link.name, link.href) for link in links] == [("a", "https://h/a.tif"), ("b", "s3://h:1/b/k")]
    assert "--sizes head" in str(links[0].reason)
    assert "no open http address" in str(links[1].reason)
    _, asked = mapped(asset("a", href="https://h/a.tif"), settings=Settings(sync=Sync(sizes="head")))
    assert "its origin where that was asked" in str(asked[0].reason), "what was done already is no way out"


def test_what_was_measured_fills_only_what_the_item_does_not_say() -> None:
    told = Measured(99, "0a0b0c0d", "f" * 32)
    silent = asset("silent", href="https://h/a")
    says_size = asset("sized", href="https://h/b", file__size=7)
    says_md5 = asset("summed", href="https://h/c", file__checksum="d50110" + MD5)
    measured = {f"https://h/{name}": told for name in "abc"}
    files, _ = mapped(silent, says_size, says_md5, measured=measured)
    assert [(file.bytes, file.adler32, file.md5) for file in files] == [
        (99, "0a0b0c0d", "f" * 32),
        (7, None, None),
        (99, "0a0b0c0d", MD5),
    ]


def test_only_open_http_places_without_a_size_are_measured() -> None:
    asked = hrefs_to_measure(
        item(
            asset("plain", href="a.tif"),
            asset("sized", href="b.tif", file__size=1),
            asset("locked", href="c.tif", auth__refs=["oidc"]),
            asset("query", href="d.tif?x"),
            asset("alternate", href="s3://b/k", alternate={"https": {"href": "https://m/e.tif"}}),
            asset("misnamed", href="f.tif", rucio__name="no name"),
        ),
        SETTINGS,
    )
    assert asked == (("plain", "https://h/c/a.tif"), ("alternate", "https://m/e.tif"))


def test_alternates_are_replicas_and_make_a_file_where_the_primary_cannot() -> None:
    files, links = mapped(
        asset(
            "a",
            href="abfs://c/a.nc",
            file__size=7,
            alternate={
                "https": {"href": "https://h/a.nc", "auth:refs": ["oidc"]},
                "mirror": {"href": "https://m/a.nc"},
                "SITE-DISK": "https://site.org:8443/a.nc",
                "odd": 7,
            },
        )
    )
    assert [(one.pfn, one.needs_login, one.alternate) for one in files[0].replicas] == [
        ("https://h/a.nc", True, "https"),
        ("https://m/a.nc", False, "mirror"),
        ("https://site.org:8443/a.nc", False, "SITE-DISK"),
    ]
    assert files[0].did.name == "c..i..a.nc"
    assert [(link.name, link.href) for link in links] == [("a", "abfs://c/a.nc")]
    assert "abfs" in str(links[0].reason)


def test_one_origin_has_one_replica_and_the_other_place_stays_a_link() -> None:
    files, links = mapped(
        asset(
            "a",
            href="https://h/a",
            file__size=7,
            alternate={
                "same": {"href": "https://h:443/a"},
                "other": {"href": "https://h/b"},
            },
        )
    )
    assert [one.pfn for one in files[0].replicas] == ["https://h/a"]
    assert [(link.name, link.href) for link in links] == [("a#other", "https://h/b")]
    assert "same origin" in str(links[0].reason)


def test_what_the_lake_showed_of_itself_is_no_place_of_origin() -> None:
    """An item that was annotated with replicas, and comes back."""
    shown = {"href": "https://vienna.example.org/a.tif", "rucio:rse": "VIENNA-DISK", "file:size": 5}
    own = {"href": "https://mirror.example.org/a.tif"}
    (file,), _ = mapped(asset("a", href="https://h/a.tif", file__size=5, alternate={"VIENNA-DISK": shown, "m": own}))
    assert [replica.pfn for replica in file.replicas] == ["https://h/a.tif", "https://mirror.example.org/a.tif"]


def test_an_alternate_gives_the_size_that_the_asset_does_not_and_may_not_contradict_it() -> None:
    files, _ = mapped(asset("a", href="https://h/a", alternate={"m": {"href": "https://m/a", "file:size": 9}}))
    assert (files[0].bytes, len(files[0].replicas)) == (9, 2)
    files, links = mapped(
        asset("a", href="https://h/a", file__size=7, alternate={"m": {"href": "https://m/a", "file:size": 9}})
    )
    assert (files[0].bytes, len(files[0].replicas)) == (7, 1)
    assert "not the same bytes" in str(links[0].reason)


def test_the_same_href_on_two_assets_is_two_files() -> None:
    files, _ = mapped(
        asset("a", href="https://h/x.tif", file__size=7), asset("b", href="https://h/x.tif", file__size=7)
    )
    assert [file.did.name for file in files] == ["c..i..a.tif", "c..i..b.tif"]


def test_an_own_did_wins_over_every_rule() -> None:
    config = {"rucio:scope": "test", "rucio:name": "dir/own.fits", "rucio:size": 9, "rucio:adler32": "abc"}
    settings = Settings(identity=Identity(scope="archive", template="{item}_{asset}"))
    files, _ = mapped(
        asset("a", href="https://h/a.fits", file__size=7, rucio__config=config),
        asset("b", href="https://h/b.fits", rucio__name="b.fits", rucio__size=8, rucio__adler32="0000abcd"),
        asset("c", href="https://h/c.fits", file__size=7),
        settings=settings,
    )
    assert [(file.did, file.bytes, file.adler32) for file in files] == [
        (Did("test", "dir/own.fits"), 9, "00000abc"),
        (Did("archive", "b.fits"), 8, "0000abcd"),
        (Did("archive", "i_c"), 7, None),
    ]


def test_an_own_did_that_is_none_makes_a_link() -> None:
    files, links = mapped(asset("a", href="https://h/a", file__size=7, rucio__scope="no scope", rucio__name="x"))
    assert files == ()
    assert "no DID" in str(links[0].reason)


def test_two_assets_of_one_name_are_an_error_that_names_both() -> None:
    with pytest.raises(ItemError, match="'a' and 'b' would be one file, stac:x"):
        mapped(
            asset("a", href="https://h/a", file__size=1, rucio__name="x"),
            asset("b", href="https://h/b", file__size=1, rucio__name="x"),
        )


@pytest.mark.parametrize(
    ("assets", "science"),
    [
        ({"a": ("image/tiff", ["data"]), "b": ("image/tiff", ["cloud"]), "c": ("image/png", [])}, {"a"}),
        ({"a": ("image/tiff", ["reflectance", "x"]), "b": ("image/png", ["thumbnail"])}, {"a"}),
        ({"a": ("image/tiff; application=geotiff", []), "b": ("image/png", []), "c": ("application/xml", [])}, {"a"}),
        ({"a": ("application/fits", []), "b": ("application/x-hdf5", []), "c": ("text/plain", [])}, {"a", "b"}),
        ({"a": (None, []), "b": (None, ["metadata"])}, {"a"}),
        ({"a": ("image/tiff", ["visual"]), "b": ("image/tiff", ["overview"])}, {"a"}),
    ],
)
def test_science_is_what_the_roles_say_else_the_media_type(
    assets: dict[str, tuple[str | None, list[str]]], science: set[str]
) -> None:
    files, _ = mapped(
        *(
            asset(key, href=f"https://h/{key}.nc", type=kind, roles=roles, file__size=1)
            for key, (kind, roles) in assets.items()
        )
    )
    assert {file.asset for file in files if file.science} == science


def test_the_collections_science_roles_win() -> None:
    settings = Settings(collections={"c": Collection(science_roles=("cube",))})
    files, _ = mapped(
        asset("a", href="https://h/a", roles=["data"], file__size=1),
        asset("b", href="https://h/b", roles=["cube"], file__size=1),
        settings=settings,
    )
    assert [file.science for file in files] == [False, True]


def test_links_of_the_item_are_kept_but_not_those_that_hold_the_catalogue_together() -> None:
    links = tuple(
        {"rel": rel, "href": f"./{rel}.html", "type": "text/html", "title": rel.upper()}
        for rel in ("self", "root", "parent", "license", "collection", "derived_from", "next")
    )
    _, kept = map_assets(item(links=(*links, {"href": "x"})), SETTINGS, {})
    assert kept == (
        Link("link:0", "https://h/c/license.html", "license", "text/html", (), "LICENSE", None),
        Link("link:1", "https://h/c/derived_from.html", "derived_from", "text/html", (), "DERIVED_FROM", None),
    )


def test_names_of_links_are_unique_whatever_the_asset_keys_are() -> None:
    imitation = item(
        asset("link:0", href=None),
        asset("a#m"),
        asset("a", href="gs://b/k", alternate={"m": {"href": "gs://b/m"}}),
        links=({"rel": "via", "href": "https://h/v"},),
    )
    _, links = map_assets(imitation, SETTINGS, {})
    assert len({link.name for link in links}) == len(links) == 5


def test_no_text_of_a_link_or_file_holds_nul() -> None:
    files, links = mapped(
        asset("a", href="https://h/a", title="t\0", type="image/\0tiff", file__size=1),
        asset("b", href="https://h/\0b", title="t\0"),
    )
    assert "\0" not in repr((files, links))
    assert "\\x00" not in repr((files, links))
    with pytest.raises(ItemError, match="NUL"):
        mapped(asset("k\0", href="https://h/a"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
fields = st.dictionaries(
    st.sampled_from(
        [
            "href",
            "alternate",
            "file:size",
            "file:checksum",
            "storage:refs",
            "storage:platform",
            "storage:region",
            "auth:refs",
            "rucio:config",
            "rucio:name",
            "rucio:scope",
            "rucio:size",
            "rucio:adler32",
        ]
    ),
    json_values | st.sampled_from(["https://h/a.tif", {"m": {"href": "https://m/a"}, "n": "s3://b/k"}]),
)


@given(fields, st.dictionaries(st.sampled_from(["storage:schemes", "storage:platform"]), json_values))
@hypothesis_settings(max_examples=100, deadline=None)
def test_no_json_breaks_it_and_an_asset_is_a_file_or_a_link(stac: dict[str, Any], properties: dict[str, Any]) -> None:
    href = stac.get("href") if isinstance(stac.get("href"), str) else None
    odd = Item(ItemKey("c", "i"), properties, None, None, (Asset("a", href, None, (), None, stac),), (), None, ())
    files, links = map_assets(odd, SETTINGS, {})
    hrefs_to_measure(odd, SETTINGS)
    assert ("a" in {file.asset for file in files}) or ("a" in {link.name for link in links})
    for file in files:
        assert file.bytes >= 0
        assert file.replicas
        assert len({replica.origin for replica in file.replicas}) == len(file.replicas)
    assert all(link.reason for link in links)


# --------------------------------------------------------------------------------------------- assets in the lake


def in_lake(**stac: Any) -> Asset:
    said = {"rucio__rse": "VIENNA-DISK", "rucio__scope": "user.jdoe", "rucio__name": "a.fits", "file__size": 7}
    return asset("image", **({"href": "http://vienna.example.org:8080/user.jdoe/07/7c/a.fits"} | said | stac))


def test_an_asset_in_the_lake_is_a_file_there_and_no_place_of_origin() -> None:
    files, links = mapped(in_lake(file__checksum="d50110" + MD5, type="application/fits", roles=["data"]))
    assert links == ()
    assert files == (
        File(
            asset="image",
            did=Did("user.jdoe", "a.fits"),
            bytes=7,
            adler32=None,
            md5=MD5,
            replicas=(),
            media_type="application/fits",
            roles=("data",),
            title=None,
            in_lake=LakePlace("VIENNA-DISK", "http://vienna.example.org:8080/user.jdoe/07/7c/a.fits"),
        ),
    )


def test_what_lies_in_the_lake_may_be_read_elsewhere_too() -> None:
    (file,), links = mapped(in_lake(alternate={"archive": {"href": "https://archive.example.org/a.fits"}}))
    assert links == ()
    assert file.in_lake is not None
    assert [(replica.pfn, replica.alternate) for replica in file.replicas] == [
        ("https://archive.example.org/a.fits", "archive")
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"rucio__rse": None}, "no name of an RSE"),
        ({"rucio__name": None}, "no rucio:name says as which file"),
        ({"rucio__name": "-a.fits"}, "no DID that Rucio takes"),
        ({"file__size": None}, "does not say how large"),
    ],
)
def test_an_asset_that_says_too_little_of_its_place_in_the_lake_is_a_link_with_the_reason(
    said: dict[str, Any], reason: str
) -> None:
    files, (link,) = mapped(in_lake(**said))
    assert files == ()
    assert link.name == "image"
    assert reason in str(link.reason)


def test_the_size_of_what_lies_in_the_lake_is_not_asked_by_http() -> None:
    assert hrefs_to_measure(item(in_lake(file__size=None)), SETTINGS) == ()


def test_an_asset_whose_place_a_replica_took_has_its_own_again() -> None:
    """As the search annotates it with ``prefer="nearest"``: its own place is the alternate with the mark."""
    shown = {"href": "https://vienna.example.org/x", "rucio__rse": "VIENNA-DISK", "rucio__name": "a.tif"}
    origin = {"href": "https://h/a.tif", "rucio:origin": True, "alternate:name": "origin"}
    (file,), links = mapped(asset("a", **shown, file__size=5, alternate={"origin": origin}))
    assert links == ()
    assert file.in_lake is None
    assert [(replica.pfn, replica.alternate) for replica in file.replicas] == [("https://h/a.tif", None)]


def test_an_asset_in_the_lake_whose_place_another_replica_took_is_in_the_lake() -> None:
    origin = {"href": "http://vienna.example.org/a.fits", "rucio:origin": "VIENNA-DISK"}
    (file,), links = mapped(
        in_lake(href="https://sydney.example.org/a", rucio__rse="SYDNEY-DISK", alternate={"origin": origin})
    )
    assert links == ()
    assert file.in_lake == LakePlace("VIENNA-DISK", "http://vienna.example.org/a.fits")
