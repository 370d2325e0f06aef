from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality import link_of
from stac_rucio_sync.locality.links import Links
from stac_rucio_sync.settings import Locality

DEFAULT = Locality()


@pytest.mark.parametrize(
    ("pfn", "link"),
    [
        ("https://a.example.org/x.fits", "https://a.example.org/x.fits"),
        ("https://a.example.org:443/x.fits", "https://a.example.org/x.fits"),
        ("davs://a.example.org:443/x.fits", "https://a.example.org/x.fits"),
        ("davs://a.example.org/x.fits", "https://a.example.org/x.fits"),
        ("davs://a.example.org:2880/x.fits", "https://a.example.org:2880/x.fits"),
        ("davs://a.example.org:80/x.fits", "https://a.example.org:80/x.fits"),
        ("dav://a.example.org:80/x.fits", "http://a.example.org/x.fits"),
        ("http://127.0.0.1:8001/x.fits", "http://127.0.0.1:8001/x.fits"),
        ("HTTPS://A.Example.ORG/X.fits", "https://a.example.org/X.fits"),
        ("https://[2001:DB8::1]:443/x.fits", "https://[2001:db8::1]/x.fits"),
        ("davs://[2001:db8::1]:2880/x.fits", "https://[2001:db8::1]:2880/x.fits"),
    ],
)
def test_http_and_webdav_are_opened_by_http(pfn: str, link: str) -> None:
    assert link_of(pfn, "A", DEFAULT) == link


@pytest.mark.parametrize(
    "pfn",
    [
        "root://a.example.org:1094//x.fits",
        "srm://a.example.org:8443/srm/managerv2?SFN=/x.fits",
        "s3://bucket/x.fits",
        "s3s://a.example.org:443/bucket/x.fits",
        "file://localhost/x.fits",
        "file:///x.fits",
        "gsiftp://a.example.org/x.fits",
        "ftp://a.example.org/x.fits",
        "javascript:alert(1)",
        "javascript://a.example.org/%0aalert(1)",
        "/x.fits",
        "x.fits",
        "",
        "https://",
        "https:///x.fits",
        "https://a b/x.fits",
        "https://a.example.org:99999/x.fits",
        r"https://a.example.org\@b.example.org/x.fits",
        "https://[::1/x.fits",
        "https://[zz]/x.fits",
    ],
)
def test_nothing_else_is_a_link(pfn: str) -> None:
    assert link_of(pfn, "A", DEFAULT) is None
    assert link_of(pfn, "A", Locality(schemes=("https", "http", "root", "s3", "file", "srm", "javascript"))) is None


def test_a_signed_query_stays_as_it_is() -> None:
    pfn = "https://s3.example.org:443/b/x.fits?X-Amz-Signature=ab%2Fc%2B&X-Amz-Expires=60&sp=a+b"
    assert (
        link_of(pfn, "A", DEFAULT)
        == "https://s3.example.org/b/x.fits?X-Amz-Signature=ab%2Fc%2B&X-Amz-Expires=60&sp=a+b"
    )


def test_percent_encoding_stays_and_what_needs_it_gets_it() -> None:
    assert link_of("https://a.example.org/a%20b%2Fc%25.fits", "A", DEFAULT) == "https://a.example.org/a%20b%2Fc%25.fits"
    assert (
        link_of('https://a.example.org/ä "x"\n.fits', "A", DEFAULT) == "https://a.example.org/%C3%A4%20%22x%22%0A.fits"
    )


@pytest.mark.parametrize("login", ["user", "user:secret", "user:se%40cret", "a@b:secret"])
@pytest.mark.parametrize("scheme", ["https", "davs", "http", "root"])
def test_no_login_is_ever_in_a_link(login: str, scheme: str) -> None:
    settings = Locality(gateways={"root://a.example.org": "https://gate.example.org/root"})
    link = link_of(f"{scheme}://{login}@a.example.org/x.fits", "A", settings)
    assert link is not None
    assert "@" not in link
    assert "secret" not in link


def test_only_schemes_that_clients_open_are_links() -> None:
    https_only = Locality(schemes=("https",))
    assert link_of("http://a.example.org/x", "A", https_only) is None
    assert link_of("dav://a.example.org/x", "A", https_only) is None
    assert link_of("davs://a.example.org/x", "A", https_only) == "https://a.example.org/x"
    assert link_of("https://a.example.org/x", "A", Locality(schemes=("davs",))) == "https://a.example.org/x"


def test_the_first_scheme_is_preferred() -> None:
    links = Links(Locality(schemes=("http", "davs", "https")))
    assert links.preference("http://a") < links.preference("https://a") < links.preference("ftp://a")


GATEWAYS = Locality(
    gateways={
        "ROOT-DISK": "https://gate.example.org/by-rse/",
        "root://pool.example.org": "https://gate.example.org/pool",
        "s3://s3.example.org:9000": "http://gate.example.org:8080",
        "srm://srm.example.org:8443": "https://gate.example.org/srm",
        "https://inner.example.org": "https://outer.example.org/in",
    }
)


@pytest.mark.parametrize(
    ("pfn", "rse", "link"),
    [
        ("root://pool.example.org:1094//eos/x.fits", "A", "https://gate.example.org/pool/eos/x.fits"),
        ("root://POOL.example.org//eos/x.fits", "A", "https://gate.example.org/pool/eos/x.fits"),
        ("root://pool.example.org:1095//eos/x.fits", "A", None),
        ("root://other.example.org//eos/x.fits", "A", None),
        ("root://other.example.org//eos/x.fits", "ROOT-DISK", "https://gate.example.org/by-rse/eos/x.fits"),
        ("root://pool.example.org//eos/x.fits", "ROOT-DISK", "https://gate.example.org/by-rse/eos/x.fits"),
        ("s3://s3.example.org:9000/b/a%20b%2Fc.fits", "A", "http://gate.example.org:8080/b/a%20b%2Fc.fits"),
        ("srm://srm.example.org:8443/srm/managerv2?SFN=/pnfs/x.fits", "A", "https://gate.example.org/srm/pnfs/x.fits"),
        ("root://pool.example.org//eos/cube.zarr/", "A", "https://gate.example.org/pool/eos/cube.zarr/"),
        ("https://inner.example.org:443/x.fits", "A", "https://outer.example.org/in/x.fits"),
        ("https://a.example.org/x.fits", "A", "https://a.example.org/x.fits"),
    ],
)
def test_a_gateway_has_the_same_paths(pfn: str, rse: str, link: str | None) -> None:
    assert link_of(pfn, rse, GATEWAYS) == link


def test_a_gateway_is_given_no_query_made_for_another_server() -> None:
    pfn = "root://pool.example.org//x.fits?authz=token&xrd.wantprot=unix"
    assert link_of(pfn, "A", GATEWAYS) == "https://gate.example.org/pool/x.fits"


segments = st.sampled_from(
    ["..", "%2e%2e", ".%2E", "..%2f..", "..%5c", "\\..", ".", "", "a", "x.fits", "%252e%252e", "?", "#"]
)


@given(st.lists(st.one_of(segments, st.text(max_size=6)), max_size=6), st.sampled_from(["root", "s3", "srm", "https"]))
def test_no_path_leads_out_of_a_gateway(parts: list[str], scheme: str) -> None:
    start = f"{scheme}://any.example.org/srm/managerv2?SFN=/" if scheme == "srm" else f"{scheme}://any.example.org/"
    link = link_of(start + "/".join(parts), "ROOT-DISK", GATEWAYS)
    if link is not None:
        split = urlsplit(link)
        assert (split.scheme, split.netloc) == ("https", "gate.example.org")
        path = unquote(split.path, errors="surrogateescape").replace("\\", "/")
        assert (posixpath.normpath(path) + "/").startswith("/by-rse/")


@given(st.text(max_size=40))
def test_a_link_is_a_url_whatever_the_address(rest: str) -> None:
    for pfn in (rest, f"https://{rest}", f"davs://a.example.org/{rest}"):
        link = link_of(pfn, "A", DEFAULT)
        if link is not None:
            assert link.isascii()
            assert not any(character <= " " for character in link)
            assert urlsplit(link).scheme in ("http", "https")
            assert urlsplit(link).hostname


@pytest.mark.parametrize(
    "gateways",
    [
        {"A": "root://gate.example.org/"},
        {"A": "gate.example.org/x"},
        {"A": "https://user:secret@gate.example.org/x"},
        {"A": "https://gate.example.org/x?path="},
        {"://": "https://gate.example.org/x"},
    ],
)
def test_a_gateway_that_is_none_is_named_at_the_start(gateways: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="gateways"):
        Links(Locality(gateways=gateways))
