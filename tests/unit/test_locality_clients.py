from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality import client_address, client_network, networks_of
from stac_rucio_sync.locality.clients import SiteNetworks, address_of

PROXIES = networks_of(["10.0.0.0/8", "2001:db8:ffff::/48"])

v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)


def forwarded(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> st.SearchStrategy[str]:
    """The ways in which proxies write an address."""
    six = address.version == 6
    plain = [str(address)] if not six else [str(address), f'"{address}"']
    host = f"[{address}]" if six else str(address)
    return st.sampled_from([*plain, host, f"{host}:4711", f'"{host}:4711"', f"  {host}:65535 ", f"{plain[0]}  "])


def test_a_peer_that_is_no_proxy_of_ours_is_the_client_whatever_it_says() -> None:
    assert client_address("192.0.2.7", "198.51.100.1", PROXIES) == "192.0.2.7"
    assert client_address("192.0.2.7", "198.51.100.1, 10.0.0.1", PROXIES) == "192.0.2.7"


def test_behind_a_proxy_of_ours_the_client_is_what_the_proxy_saw() -> None:
    assert client_address("10.0.0.1", "198.51.100.1", PROXIES) == "198.51.100.1"
    assert client_address("10.0.0.1", "192.0.2.66, 198.51.100.1", PROXIES) == "198.51.100.1"  # the first is a claim


def test_a_chain_of_our_proxies_is_walked_from_its_end() -> None:
    chain = "192.0.2.66, 198.51.100.1, 2001:db8:ffff::2, 10.0.0.2"
    assert client_address("10.0.0.1", chain, PROXIES) == "198.51.100.1"
    assert client_address("10.0.0.1", "10.9.9.9, 10.0.0.2", PROXIES) == "10.9.9.9"  # asked from within


def test_without_the_header_the_peer_is_the_client() -> None:
    assert client_address("10.0.0.1", None, PROXIES) == "10.0.0.1"
    assert client_address("10.0.0.1", " , ,", PROXIES) == "10.0.0.1"


@pytest.mark.parametrize("junk", ["unknown", "_hidden", "1.2.3.4.5", "999.1.1.1", "[::1", "::1]", "<b>", "\x00", '"'])
def test_where_our_proxy_could_not_tell_the_client_is_not_known(junk: str) -> None:
    """The proxy's own address would put the client at the proxy's site."""
    assert client_address("10.0.0.1", f"192.0.2.66, {junk}", PROXIES) is None


def test_no_peer_address_no_client() -> None:
    assert client_address(None, "192.0.2.1", PROXIES) is None
    assert client_address("", "192.0.2.1", PROXIES) is None


def test_a_mapped_address_is_the_ipv4_address_that_it_maps() -> None:
    assert client_address("::ffff:10.0.0.1", "::ffff:192.0.2.1", PROXIES) == "192.0.2.1"
    assert client_address("10.0.0.1", "[::ffff:192.0.2.1]:80", PROXIES) == "192.0.2.1"
    assert client_address("192.0.2.9", None, networks_of(["::ffff:192.0.2.0/120"])) == "192.0.2.9"
    assert networks_of(["::ffff:192.0.2.0/120"]) == networks_of(["192.0.2.0/24"])


def test_a_zone_is_of_the_machine_that_wrote_it() -> None:
    assert client_address("fe80::1%eth0", None, ()) == "fe80::1"


@given(st.data(), st.one_of(v4, v6), st.text(max_size=40))
def test_what_a_client_writes_itself_is_never_believed(
    data: st.DataObject, client: ipaddress.IPv4Address | ipaddress.IPv6Address, claim: str
) -> None:
    client = address_of(str(client)) or client
    header = f"{claim},{data.draw(forwarded(client))}"
    seen = client_address("10.0.0.1", header, PROXIES)
    if any(client in network for network in PROXIES):
        return
    assert seen == str(client)


@given(st.one_of(st.none(), st.text(max_size=20)), st.one_of(st.none(), st.text(max_size=60)))
def test_any_text_gives_an_address_or_none(remote: str | None, header: str | None) -> None:
    seen = client_address(remote, header, networks_of(["0.0.0.0/0", "::/0"]))
    assert seen is None or ipaddress.ip_address(seen)


@given(st.lists(v4, min_size=1, max_size=6), st.integers(0, 6))
def test_the_answer_is_the_last_hop_that_is_not_ours(hops: list[ipaddress.IPv4Address], ours: int) -> None:
    trusted = networks_of(["10.0.0.0/8", *(str(hop) for hop in hops[len(hops) - ours :])])
    foreign = [hop for hop in hops if not any(hop in network for network in trusted)]
    expected = foreign[-1] if foreign else hops[0]
    assert client_address("10.0.0.1", ", ".join(map(str, hops)), trusted) == str(expected)


@pytest.mark.parametrize("cidr", ["vienna", "", "192.0.2.0/33", "192.0.2.0/24/1", "1.2.3"])
def test_what_is_no_network_is_named(cidr: str) -> None:
    with pytest.raises(UsageError, match="CIDR"):
        networks_of([cidr])


def test_an_address_with_a_prefix_is_no_network_and_the_error_says_which_is() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.0/24 is the network"):
        networks_of(["192.0.2.7/24"])


def test_the_smallest_network_tells_the_site() -> None:
    sites = SiteNetworks({"0.0.0.0/0": "elsewhere", "192.0.2.0/24": "vienna", "192.0.2.128/25": "graz", "::/0": "six"})
    found = {text: sites.find(ipaddress.ip_address(text)) for text in ("192.0.2.1", "192.0.2.200", "8.8.8.8", "::1")}
    assert {text: hit and hit[1] for text, hit in found.items()} == {
        "192.0.2.1": "vienna",
        "192.0.2.200": "graz",
        "8.8.8.8": "elsewhere",
        "::1": "six",
    }


def test_one_network_at_two_sites_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="at vienna and at graz"):
        SiteNetworks({"192.0.2.0/24": "vienna", "::ffff:192.0.2.0/120": "graz"})
    SiteNetworks({"192.0.2.0/24": "vienna", "::ffff:192.0.2.0/120": "Vienna"})


@given(st.dictionaries(st.tuples(v4, st.integers(0, 32)), st.integers(), max_size=8), v4)
def test_networks_are_found_as_by_looking_through_all(
    drawn: dict[tuple[ipaddress.IPv4Address, int], int], address: ipaddress.IPv4Address
) -> None:
    networks = {ipaddress.ip_network((ip, length), strict=False): str(n) for (ip, length), n in drawn.items()}
    found = SiteNetworks({str(network): site for network, site in networks.items()}).find(address)
    holding = [network for network in networks if address in network]
    expected = max(holding, key=lambda network: network.prefixlen, default=None)
    assert (found and found[0]) == expected
    assert found is None or (expected is not None and found[1] == networks[expected])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"), ("fe80::1%eth0", "fe80::/64"), (None, ""), ("unknown", ""),
    ],
)  # fmt: skip
def test_a_client_is_counted_by_its_address_or_by_its_network_of_64_bits(address: str | None, network: str) -> None:
    assert client_network(address) == network
