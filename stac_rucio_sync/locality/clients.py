"""Which address a client has, behind proxies too, and at which site an address is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from stac_rucio_sync.errors import UsageError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
_FORWARDED = re.compile(r'"?(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<four>[0-9.]+))(?::\d{1,5})?"?', re.ASCII)


def address_of(text: str) -> Address | None:
    """Read an address; an IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2) is that IPv4 address, zones are dropped."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def networks_of(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Read networks in CIDR notation.

    Raises
    ------
    UsageError
        One is no network; the text names it.
    """
    return tuple(_network_of(cidr) for cidr in cidrs)


def _network_of(cidr: str) -> Network:
    try:
        network = ip_network(cidr.strip(), strict=False)
    except ValueError as error:
        raise UsageError(f"setting locality: {cidr!r} is no network in CIDR notation, such as 192.0.2.0/24") from error
    if str(network.network_address) != str(ip_address(cidr.strip().partition("/")[0])):
        raise UsageError(f"setting locality: {cidr!r} has bits beside its network: {network} is the network")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def client_address(remote: str | None, forwarded_for: str | None, trusted: tuple[Network, ...]) -> str | None:
    """Return the address of the client: the last hop that none of our own proxies vouches away.

    Each proxy appends the address that it was asked from to ``X-Forwarded-For``, so only what our own proxies wrote can
    be believed: the list is walked from its end as long as the hop that wrote an entry is trusted.

    Parameters
    ----------
    remote
        Address of the peer of the connection.
    forwarded_for
        The header as it came, several of them joined by commas. Ports, brackets and quotes are understood.
    trusted
        Networks of our own proxies (`networks_of`).

    Returns
    -------
    str or None
        None where it is not known: a trusted proxy wrote ``unknown`` or junk, or there is no peer address.
    """
    hop = address_of(remote or "")
    entries = [entry for entry in map(str.strip, (forwarded_for or "").split(",")) if entry]
    while hop is not None and entries and _is_in(hop, trusted):
        hop = _forwarded(entries.pop())
    return None if hop is None else str(hop)


def client_network(address: str | None) -> str:
    """Return what a client is counted by: its IPv4 address, or the network of 64 bits that its IPv6 address is in.

    Such a network is the least that a client gets (RFC 6177 section 2), and it may take any address there.

    Parameters
    ----------
    address
        As `client_address` gives it; all of whom none is known are one client.
    """
    known = address_of(address or "")
    if isinstance(known, IPv6Address):
        return str(IPv6Network((known, 64), strict=False))
    return "" if known is None else str(known)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _forwarded(entry: str) -> Address | None:
    """Read an entry: ``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``, quoted or not."""
    matched = _FORWARDED.fullmatch(entry)
    return address_of(entry.strip('"') if matched is None else matched["six"] or matched["four"])


class SiteNetworks:
    """Sites by networks: the smallest network that holds an address tells.

    Parameters
    ----------
    sites
        CIDR to site.

    Raises
    ------
    UsageError
        A key is no network, or two keys are the same network at different sites.
    """

    def __init__(self, sites: Mapping[str, str]) -> None:
        self._by_version: dict[int, dict[int, dict[int, tuple[Network, str]]]] = {4: {}, 6: {}}
        for cidr, site in sites.items():
            network = _network_of(cidr)
            same_size = self._by_version[network.version].setdefault(network.prefixlen, {})
            other = same_size.setdefault(int(network.network_address), (network, site))
            if other[1].casefold() != site.casefold():
                raise UsageError(f"setting locality.networks: {network} is at {other[1]} and at {site}")
        for sizes in self._by_version.values():
            longest_first = sorted(sizes.items(), reverse=True)
            sizes.clear()
            sizes.update(longest_first)

    def find(self, address: Address) -> tuple[Network, str] | None:
        """Return the smallest network with an address, and its site."""
        number, bits = int(address), address.max_prefixlen
        for length, networks in self._by_version[address.version].items():
            found = networks.get(number >> (bits - length) << (bits - length))
            if found is not None:
                return found
        return None
