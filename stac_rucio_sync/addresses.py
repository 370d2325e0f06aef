"""URLs and IP addresses: the origin and what may be shown of the one, whether the other is of the public internet."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import idna

_SECRET = re.compile(r"sig|token|secret|passw|credential|api[-_]?key|access[-_]?key|^x-(amz|goog)-", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://", re.ASCII)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?", re.ASCII)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "http": 80,
    "https": 443,
    "s3": 443,
    "root": 1094,
    "xroot": 1094,
    "dav": 80,
    "davs": 443,
    "ftp": 21,
    "gsiftp": 2811,
}
"""The schemes whose addresses Rucio can hold, with the port that an address without one means."""


def is_http(location: str) -> bool:
    """Tell whether a location is an http or https URL."""
    return location[:8].lower().startswith(("http://", "https://"))


def server_of(url: str) -> str:
    """Return ``scheme://host[:port]`` of a URL as it is written, lower case, without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def origin_of(address: str) -> str | None:
    """Return ``scheme://host:port`` of an address, the port always written: the key of its RSE.

    So ``https://Host/``, ``https://host`` and ``https://host:443/x`` are one origin. None where there is no such thing.
    """
    matched = _SCHEME.match(address)
    if matched is None:
        return None
    try:
        netloc = urlsplit(address).netloc
    except ValueError:
        return None
    return origin_at(matched[1].lower(), netloc)


def origin_at(scheme: str, netloc: str) -> str | None:
    """Return the origin of a scheme and ``host[:port]``; an IDN gets its ASCII form (RFC 5891)."""
    host, _, port = netloc.partition(":")
    host = host.lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            return None
    if not _HOST.fullmatch(host) or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        return None
    number = int(port) if port else DEFAULT_PORTS.get(scheme)
    return None if number is None else f"{scheme}://{host}:{number}"


def with_port(address: str) -> str:
    """Return an address with its port written out, as Rucio gives it back."""
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme not in DEFAULT_PORTS or re.search(r":\d+$", authority):
        return address
    return f"{scheme}://{authority}:{DEFAULT_PORTS[scheme]}{slash}{path}"


def without_default_port(address: str) -> str:
    """Return an http or https address as people write it; for other schemes the port is a part of the address."""
    scheme, _, rest = address.partition("://")
    if scheme not in ("http", "https"):
        return address
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.removesuffix(f':{DEFAULT_PORTS[scheme]}')}{slash}{path}"


def without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """Split ``user:password`` off a URL, so that it appears in no href, name or message."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


def public_url(url: str) -> str:
    """Return a URL that may be shown and stored: no login, no fragment, no query that holds a signature or token."""
    parts = urlsplit(without_login(url)[0])
    secret = any(_SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query="" if secret else parts.query, fragment=""))


def is_private_address(address: str) -> bool:
    """Tell whether an IP address is loopback, private, link-local or otherwise not of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            ip = embedded
    return not ip.is_global or ip.is_multicast


def leads_inside(url: str) -> bool:
    """Tell whether the host of a URL has a private address; a host that does not resolve has none."""
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(is_private_address(str(entry[4][0])) for entry in found)
