"""An origin's RSE: a name within Rucio's rules that no other origin has, and PFNs that survive the default port."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.addresses import origin_of, with_port, without_default_port
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import Origins, Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls, in_calls
from stac_rucio_sync.stores.rucio.origins import OriginRses, rse_name

RUCIO_RSE_NAME = re.compile(r"^([A-Z0-9]+([_-][A-Z0-9]+)*)$")

hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,70}[a-z0-9])?", fullmatch=True),
    st.text("ab1.-_", min_size=1, max_size=6),
)
origins = st.builds(
    "{}://{}:{}".format, st.sampled_from(["http", "https", "s3"]), hosts, st.sampled_from([80, 443, 8080, 9000])
)


@given(origins)
def test_every_name_keeps_to_the_rules_of_rucio(origin: str) -> None:
    name = rse_name(origin)
    assert RUCIO_RSE_NAME.fullmatch(name)
    assert len(name) < 60


@given(origins, origins)
def test_two_origins_never_share_a_name(one: str, other: str) -> None:
    assert (rse_name(one) == rse_name(other)) == (one == other)


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://example.org:443", "HTTPS-EXAMPLE_ORG"),
        ("http://example.org:443", "HTTP-EXAMPLE_ORG-443"),
        ("http://127.0.0.1:8080", "HTTP-127_0_0_1-8080"),
        ("https://my-archive.example.org:443", "HTTPS-MY-ARCHIVE_EXAMPLE_ORG"),
    ],
)
def test_ordinary_origins_have_readable_names(origin: str, name: str) -> None:
    assert rse_name(origin) == name


@pytest.mark.parametrize(
    "origin",
    [
        "https://xn--bcher-kva.example:443",
        "https://under_score.example:443",
        f"https://{'long.' * 20}example:443",
        "https://host-8080:443",
        "https://[2001:db8::1]:443",
    ],
)
def test_a_change_that_loses_something_is_marked_by_a_digest(origin: str) -> None:
    assert re.search(r"-[0-9A-F]{8}$", rse_name(origin))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.org", "https://example.org:443"),
        ("https://Example.org:443/a", "https://example.org:443"),
        ("http://example.org:8080", "http://example.org:8080"),
    ],
)
def test_an_origin_has_its_default_port_written_out(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("plain", "ported"),
    [
        ("https://example.org/a:443/b", "https://example.org:443/a:443/b"),
        ("http://example.org/a", "http://example.org:80/a"),
    ],
)
def test_a_default_port_comes_and_goes_without_a_trace(plain: str, ported: str) -> None:
    assert with_port(plain) == ported
    assert without_default_port(ported) == plain


@pytest.mark.parametrize("url", ["https://example.org:8443/a", "http://example.org:443/a"])
def test_another_port_stays(url: str) -> None:
    assert with_port(url) == without_default_port(url) == url


@pytest.mark.parametrize("key", ["https://", "mailto:someone", "https://host:99999"])
def test_a_line_that_names_no_origin_is_a_usage_error(key: str) -> None:
    with pytest.raises(UsageError, match="origins"):
        OriginRses(Origins(rses={key: "SOME-RSE"}), RucioCalls(Rucio()))


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 3_000_000)), max_size=40))
def test_calls_keep_order_and_limits(entries: list[tuple[int, int]]) -> None:
    calls = list(in_calls(entries, weight=lambda entry: entry[0], size=lambda entry: entry[1]))
    assert [entry for call in calls for entry in call] == entries
    for call in calls:
        assert call
        assert len(call) == 1 or (sum(dids for dids, _ in call) <= 1000 and sum(size for _, size in call) <= 4_000_000)
