"""Hrefs: what is registered is what Rucio gives back, or nothing is registered and there is a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rucio.rse.protocols import webdav, xrootd

from stac_rucio_sync.addresses import origin_of
from stac_rucio_sync.mapping.hrefs import Location, NotAFile, absolute_href, replica_url
from stac_rucio_sync.model import Item, ItemKey
from stac_rucio_sync.settings import S3, Settings

SETTINGS = Settings()
CUSTOM_S3 = {"type": "custom-s3", "platform": "https://eodata.example.org"}
AWS_S3 = {
    "type": "aws-s3",
    "platform": "https://{bucket}.s3.{region}.amazonaws.com",
    "bucket": "b",
    "region": "eu-central-1",
    "requester_pays": True,
}


def located(
    href: str | None,
    stac: dict[str, Any] | None = None,
    *,
    media_type: str | None = None,
    base: str | None = None,
    properties: dict[str, Any] | None = None,
    settings: Settings = SETTINGS,
) -> Location | NotAFile:
    item = Item(ItemKey("c", "i"), properties or {}, None, None, (), (), base, ())
    return replica_url(href, stac or {}, media_type, item, settings)


def back_from_rucio(location: Location) -> str:
    """What Rucio's own protocol classes make of a PFN on a non-deterministic RSE: stored path, rebuilt address."""
    scheme, _, host_and_port = location.origin.partition("://")
    host, _, port = host_and_port.partition(":")
    protocol = object.__new__(xrootd.Default if scheme == "root" else webdav.Default)
    protocol.attributes = {"scheme": scheme, "hostname": host, "port": int(port), "prefix": "/"}
    protocol.logger = lambda *_: None
    registered = location.origin + location.pfn.partition("://")[2].partition("/")[1] + location.pfn.split("/", 3)[3]
    parsed = protocol.parse_pfns([registered])[registered]
    path = parsed["path"] + parsed["name"]
    rebuilt = protocol.lfns2pfns({"scope": "s", "name": "n", "path": path})["s:n"]
    assert rebuilt.startswith(location.origin)
    return str(rebuilt if f":{port}" in location.pfn else rebuilt.replace(f":{port}", "", 1))


@pytest.mark.parametrize(
    ("href", "pfn", "origin"),
    [
        ("https://h.org/a/b.tif", "https://h.org/a/b.tif", "https://h.org:443"),
        ("https://h.org:443/a/b.tif", "https://h.org/a/b.tif", "https://h.org:443"),
        ("HTTPS://H.Org:8443/A.tif", "https://h.org:8443/A.tif", "https://h.org:8443"),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000/a", "http://127.0.0.1:9000"),
        ("http://h_1.org/a", "http://h_1.org/a", "http://h_1.org:80"),
        ("https://münchen.de/a", "https://xn--mnchen-3ya.de/a", "https://xn--mnchen-3ya.de:443"),
        ("https://h/a b/é.tif", "https://h/a%20b/%C3%A9.tif", "https://h:443"),
        ("https://h/a%20b/100%.tif", "https://h/a%20b/100%25.tif", "https://h:443"),
        ("https://h/P(1)/N(a;b)/$value", "https://h/P(1)/N(a;b)/$value", "https://h:443"),
        ("root://h//eos/a", "root://h:1094//eos/a", "root://h:1094"),
        ("root://h:1095/eos/a", "root://h:1095//eos/a", "root://h:1095"),
        ("davs://h/a", "davs://h:443/a", "davs://h:443"),
        ("s3://h:9000/bucket/key", "s3://h:9000/bucket/key", "s3://h:9000"),
    ],
)
def test_an_address_of_a_file_is_registered_in_its_normal_form(href: str, pfn: str, origin: str) -> None:
    location = located(href)
    assert isinstance(location, Location)
    assert location == Location(pfn, origin, needs_login=False)
    assert back_from_rucio(location) == pfn


@pytest.mark.parametrize(
    ("href", "reason"),
    [
        (None, "no href"),
        ("", "no href"),
        ("./a.tif", "no self link"),
        ("https://t/{z}/{x}/{y}.png", "template"),
        ("https://h/ows?SERVICE=WMS&request=GetMap", "OGC service"),
        ("https://h/a.tif?sig=1", "query"),
        ("https://h/a.tif?", "query"),
        ("https://h/a.tif#page", "fragment"),
        ("https://me:secret@h/a.tif", "password"),
        ("https://h//a.tif", "//"),
        ("https://h/a//b.tif", "//"),
        ("root://h//a//b", "//"),
        ("https://h/a.tif;v=1", "parameters"),
        ("https://h/a/", "folder"),
        ("https://h/", "folder"),
        ("https://h", "no path"),
        ("https://h/store.zarr", "Zarr"),
        ("https://h/store.ZARR/", "Zarr"),
        ("abfs://c/store.zarr", "Zarr"),
        ("https://h/a\x00b", "control"),
        ("https://h/a\nb", "control"),
        ("https://[::1]:8000/a", "IPv6"),
        ("https://[::1/a", "no valid URL"),
        ("https://h:99999/a", "host and port"),
        ("https://h:x/a", "host and port"),
        ("https://h o/a", "host and port"),
        ("https:///a", "host and port"),
        ("https://h/" + "a" * 1024, "1024"),
        ("mapbox://tiles.set", "mapbox"),
        ("data:text/plain,hello", "data"),
        ("mailto:me@h.org", "mailto"),
        ("gs://b/k", "gs://"),
        ("az://c/k", "az://"),
        ("abfs://c/k", "abfs://"),
        ("s3://b/k", "s3"),
        ("/vsicurl/https://h/a", "GDAL"),
        ("/data/a.tif", "local path"),
        ("file:///data/a.tif", "local path"),
    ],
)
def test_what_cannot_be_a_replica_has_its_reason(href: str | None, reason: str) -> None:
    refused = located(href)
    assert isinstance(refused, NotAFile)
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("href", "media_type", "is_file"),
    [
        ("https://h/store", "application/vnd+zarr", False),
        ("https://h/store.zarr.zip", "application/vnd+zarr", True),
        ("https://h/store.zarr/.zmetadata", "application/json", True),
        ("https://h/ows", "application/vnd.ogc.wms_xml", False),
        ("https://h/ows", "OGC:WMTS", False),
        ("https://h/service=wms/a.tif", "image/tiff", True),
    ],
)
def test_stores_and_services_are_known_by_their_media_type(href: str, media_type: str, is_file: bool) -> None:
    assert isinstance(located(href, media_type=media_type), Location) is is_file


def test_a_path_of_1024_characters_is_kept_and_one_more_is_not() -> None:
    assert isinstance(located("https://h/" + "a" * 1023), Location)
    assert isinstance(located("https://h/" + "a" * 1024), NotAFile)
    assert isinstance(located("https://h/" + "é" * 200), NotAFile)  # 1,201 characters when encoded


@pytest.mark.parametrize(
    ("href", "base", "absolute"),
    [
        ("./a.tif", "https://h/c/i/item.json", "https://h/c/i/a.tif"),
        ("../a.tif", "https://h/c/i/item.json", "https://h/c/a.tif"),
        ("/a.tif", "https://h/c/item.json", "https://h/a.tif"),
        ("//g/a.tif", "https://h/c/item.json", "https://g/a.tif"),
        ("a.tif", "s3://b/c/item.json", "s3://b/c/a.tif"),
        ("../a.tif", "/data/c/item.json", "/data/a.tif"),
        ("a.tif", "file:///data/item.json", "file:///data/a.tif"),
        ("a.tif", "./item.json", None),
        ("a.tif", None, None),
        ("  https://h/a ", None, "https://h/a"),
        (" ", "https://h/", None),
    ],
)
def test_relative_hrefs_start_at_the_item(href: str, base: str | None, absolute: str | None) -> None:
    assert absolute_href(href, base) == absolute


@pytest.mark.parametrize(
    ("stac", "properties", "pfn", "needs_login"),
    [
        (
            {"storage:refs": ["cdse"]},
            {"storage:schemes": {"cdse": CUSTOM_S3}},
            "s3://eodata.example.org:443/b/k.nc",
            False,
        ),
        (
            {"storage:refs": ["cdse"], "auth:refs": ["s3"]},
            {"storage:schemes": {"cdse": CUSTOM_S3}},
            "s3://eodata.example.org:443/b/k.nc",
            True,
        ),
        (
            {"storage:refs": ["aws"]},
            {"storage:schemes": {"aws": AWS_S3}},
            "s3://s3.eu-central-1.amazonaws.com:443/b/k.nc",
            True,
        ),
        (
            {"storage:refs": ["missing", "minio"]},
            {"storage:schemes": {"minio": {"type": "custom-s3", "platform": "http://minio.example.org:9000"}}},
            "s3://minio.example.org:9000/b/k.nc",
            False,
        ),
        (
            {"storage:platform": "AWS", "storage:region": "us-west-2", "storage:requester_pays": True},
            {},
            "s3://s3.us-west-2.amazonaws.com:443/b/k.nc",
            True,
        ),
        (
            {},
            {"storage:platform": "AWS", "storage:region": "cn-north-1"},
            "s3://s3.cn-north-1.amazonaws.com.cn:443/b/k.nc",
            False,
        ),
    ],
)
def test_an_s3_address_gets_the_server_that_the_item_names(
    stac: dict[str, Any], properties: dict[str, Any], pfn: str, needs_login: bool
) -> None:
    location = located("s3://b/k.nc", stac, properties=properties)
    assert isinstance(location, Location)
    assert (location.pfn, location.needs_login) == (pfn, needs_login)
    assert back_from_rucio(location) == pfn


@pytest.mark.parametrize(
    ("stac", "properties"),
    [
        ({"storage:platform": "AWS"}, {"storage:region": "us-west-2"}),  # of another place: a region is not guessed
        ({"storage:platform": "AWS", "storage:region": "evil.example/x"}, {}),
        ({"storage:platform": "AZURE", "storage:region": "westeurope"}, {}),
        ({"storage:refs": ["x"]}, {"storage:schemes": {"x": {"type": "custom-s3", "platform": "https://{account}.h"}}}),
        ({"storage:refs": ["x"]}, {"storage:schemes": {"x": {"type": "custom-s3", "platform": "https://h/path"}}}),
        ({"storage:refs": "x"}, {"storage:schemes": ["x"]}),
        ({}, {"storage:schemes": {"x": CUSTOM_S3}}),
    ],
)
def test_an_s3_address_without_a_server_is_none(stac: dict[str, Any], properties: dict[str, Any]) -> None:
    assert isinstance(located("s3://b/k.nc", stac, properties=properties), NotAFile)


def test_the_settings_win_for_a_bucket_and_come_last_for_all() -> None:
    settings = Settings(s3=S3(endpoints={"mine": "https://minio.org:9000", "*": "http://any.org"}))
    item = {"storage:platform": "AWS", "storage:region": "us-west-2"}
    for bucket, stac, pfn in [
        ("mine", item, "s3://minio.org:9000/mine/k"),
        ("theirs", item, "s3://s3.us-west-2.amazonaws.com:443/theirs/k"),
        ("theirs", {}, "s3://any.org:80/theirs/k"),
    ]:
        location = located(f"s3://{bucket}/k", stac, settings=settings)
        assert isinstance(location, Location)
        assert location.pfn == pfn


def test_authentication_is_of_each_place() -> None:
    properties = {"storage:requester_pays": True, "storage:schemes": {"pays": AWS_S3, "free": CUSTOM_S3}}
    places: list[tuple[str, dict[str, Any], bool]] = [
        ("https://h/a", {"auth:refs": ["oidc"]}, True),
        ("https://h/a", {"auth:refs": []}, False),
        ("https://h/a", {"storage:requester_pays": True}, True),
        ("https://h/a", {"storage:refs": ["pays"]}, True),
        ("https://h/a", {"storage:refs": ["pays", "free"]}, False),
        ("https://h/a", {}, False),
        ("s3://h:9000/b/k", {}, True),
    ]
    for href, stac, needs_login in places:
        location = located(href, stac, properties=properties)
        assert isinstance(location, Location)
        assert location.needs_login is needs_login


def test_origins_are_equal_where_the_server_is() -> None:
    assert (
        origin_of("https://H.org")
        == origin_of("https://h.org:443/x")
        == origin_of("HTTPS://h.org/")
        == "https://h.org:443"
    )
    assert origin_of("http://h.org") != origin_of("https://h.org")
    for address in ("h.org", "gopher://h.org", "file:///data", "https://[::1]", "https://[::1"):
        assert origin_of(address) is None


hosts = st.sampled_from(["h.org", "H.org:443", "h.org:8443", "é.org", "h", "", "u@h", "[::1]"])
paths = st.text(
    st.one_of(st.sampled_from("/ab.;?#%25:@ é+~$(){}\\\n"), st.characters(exclude_categories=["Cs"])), max_size=12
)


@given(st.sampled_from(["http", "https", "root", "davs", "s3"]), hosts, paths)
@example("https", "h.org", "a;b/c")
@example("https", "h.org", "a;b")
@example("https", "h.org", "a#b")
@example("https", "h.org", "a?b")
@example("https", "h.org", "a//b")
@example("https", "h.org", "a/")
@example("https", "[::1]", "a")
@example("s3", "h.org:9000", "/b/a b;c")
@hypothesis_settings(max_examples=150, deadline=None)
def test_rucio_gives_back_exactly_what_is_registered(scheme: str, host: str, path: str) -> None:
    location = located(f"{scheme}://{host}/{path}")
    if isinstance(location, Location):
        assert back_from_rucio(location) == location.pfn
        assert origin_of(location.pfn) == location.origin
