"""Connections that refuse private, loopback and link-local addresses, also where a redirect leads to one."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from stac_rucio_sync.addresses import is_private_address, leads_inside
from stac_rucio_sync.http.outcomes import PrivateAddress


class _Guard:
    """Mixed into a connection: looks at the address before and, as names can change, after connecting."""

    host: str

    def _new_conn(self) -> socket.socket:
        if leads_inside(f"http://[{self.host}]" if ":" in self.host else f"http://{self.host}"):
            raise _private(self.host)
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]  # urllib3's, by the mixin's order
        if is_private_address(connection.getpeername()[0]):
            connection.close()
            raise _private(self.host)
        return connection


class _GuardedHTTP(_Guard, HTTPConnection):
    pass


class _GuardedHTTPS(_Guard, HTTPSConnection):
    pass


class _GuardedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


class GuardedAdapter(HTTPAdapter):
    """Refuses private addresses at every hop. Behind a proxy, which resolves names itself, only literal ones."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        """Make the pool, of connections that look where they lead."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedHTTPPool, "https": _GuardedHTTPSPool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """Send a request, unless its URL says by itself that it leads inside."""
        host = urlsplit(request.url or "").hostname or ""
        if host == "localhost" or host.endswith(".localhost") or _is_private_literal(host):
            raise _private(host)
        return super().send(request, *args, **kwargs)


def _is_private_literal(host: str) -> bool:
    try:
        return is_private_address(host)
    except ValueError:
        return False


def _private(host: str) -> PrivateAddress:
    return PrivateAddress(
        f"{host} has a private or loopback address, which is asked only when the setting "
        "sync.allow_private_addresses permits it"
    )
