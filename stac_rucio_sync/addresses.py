"""URLs and IP addresses: what may be shown of the one, and whether the other is of the public internet."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

_SECRET = re.compile(r"sig|token|secret|passw|credential|api[-_]?key|access[-_]?key|^x-(amz|goog)-", re.IGNORECASE)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_http(location: str) -> bool:
    """Tell whether a location is an http or https URL."""
    return location[:8].lower().startswith(("http://", "https://"))


def origin_of(url: str) -> str:
    """Return ``scheme://host[:port]`` of a URL, lower case, without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


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
