"""Which RSE stands for which origin: a (scheme, host, port) that files are read from.

A non-deterministic RSE keeps the path of a replica alone; scheme, host and port come from the RSE's protocol. So each
origin has an RSE of its own with one protocol: named by the operator, or made here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from stac_rucio_sync.addresses import DEFAULT_PORTS, origin_of, without_default_port
from stac_rucio_sync.errors import FatalError, RefusedError, UsageError
from stac_rucio_sync.settings import Origins
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.refusals import DeniedError, ExistsError, MissingError

ORIGIN_ATTRIBUTE = "origin"
#: Half the Earth's circumference in km: a replica at a site whose distance is known is nearer.
ORIGIN_DISTANCE = 20_015

_RSE_NAME = re.compile(r"^([A-Z0-9]+([_-][A-Z0-9]+)*)$")
_LONGEST_NAME = 59
_DIGEST_LENGTH = 8
_TRIES = 4

#: Rucio's http protocol reads with nothing but ``requests``; the others need the gfal2 library where bytes are read.
_IMPLEMENTATIONS = {"http": "rucio.rse.protocols.webdav.Default", "https": "rucio.rse.protocols.webdav.Default"}
_OTHER_IMPLEMENTATION = "rucio.rse.protocols.gfal.NoRename"


def rse_name(origin: str) -> str:
    """Return the name of an origin's RSE, within Rucio's rules and under 60 characters.

    Parameters
    ----------
    origin
        ``scheme://host:port``.

    Returns
    -------
    str
        ``HTTPS-EXAMPLE_ORG``, ``HTTP-EXAMPLE_ORG-8080``: dots become ``_``, a default port is left out. Where that
        cannot be undone, or breaks Rucio's rules, or is too long: a readable part and a digest of the origin.
    """
    scheme, _, authority = origin.partition("://")
    host, _, port = authority.rpartition(":")
    suffix = "" if port == str(DEFAULT_PORTS.get(scheme)) else f"-{port}"
    name = f"{scheme}-{host}{suffix}".replace(".", "_").upper()
    if _RSE_NAME.match(name) and len(name) <= _LONGEST_NAME and _origin_of_name(name) == origin:
        return name
    digest = sha256(origin.encode()).hexdigest()[:_DIGEST_LENGTH].upper()
    readable = re.sub(r"[^A-Z0-9]+", "-", name)[: _LONGEST_NAME - _DIGEST_LENGTH - 1].strip("-")
    return f"{readable}-{digest}"


def _origin_of_name(name: str) -> str:
    scheme, _, rest = name.lower().replace("_", ".").partition("-")
    numbered = re.fullmatch(r"(.+)-(\d+)", rest)
    if numbered:
        return f"{scheme}://{numbered[1]}:{numbered[2]}"
    return f"{scheme}://{rest}:{DEFAULT_PORTS.get(scheme)}"


class OriginRses:
    """Finds the RSE of an origin, and makes it where that is allowed; what is found is remembered.

    Parameters
    ----------
    settings
        The ``[origins]`` section.
    calls
        The edge to Rucio.

    Raises
    ------
    UsageError
        A line of the section does not name an origin.
    """

    def __init__(self, settings: Origins, calls: RucioCalls) -> None:
        self._calls = calls
        self._create = settings.create
        self._named: dict[str, str] = {}
        for key, rse in settings.rses.items():
            origin = origin_of(key)
            if origin is None:
                raise UsageError(f'[origins] "{key}": write "https://host" or "https://host:port"')
            self._named[origin] = rse
        self._lock = threading.Lock()
        self._found: dict[str, str | None] = {}
        self._denied: str | None = None

    def rse(self, origin: str) -> str | None:
        """Return the RSE that stands for an origin; None where there is none and none may be made.

        Raises
        ------
        FatalError
            The RSE that the settings name does not exist or cannot hold the origin's replicas.
        """
        with self._lock:
            if origin not in self._found:
                named = self._named.get(origin)
                if named is not None:
                    self._check(named, origin)
                self._found[origin] = named or (self._made(origin) if self._create else None)
            return self._found[origin]

    def why_none(self, origin: str) -> str:
        """Say why an origin has no RSE, and what to do about it."""
        shown = without_default_port(origin)
        if self._denied is not None:
            return f"no RSE stands for its origin {shown}, and Rucio lets us make none ({self._denied})"
        return f"no RSE stands for its origin {shown}; add it to [origins] or set origins.create"

    def is_origin_rse(self, rse: str, pfn: str) -> bool:
        """Tell whether an RSE stands for the origin of one of its PFNs (and is no site of the lake)."""
        origin = origin_of(pfn)
        return origin is not None and rse in (self._named.get(origin), rse_name(origin))

    def _check(self, rse: str, origin: str) -> None:
        """Refuse an operator's RSE that would take replicas and give back other URLs."""
        where = f'[origins] "{without_default_port(origin)}" = "{rse}"'
        properties = self._properties(rse)
        if properties is None:
            raise FatalError(f"{where}: there is no RSE of that name in Rucio")
        if properties["deterministic"]:
            raise FatalError(f"{where}: the RSE is deterministic, so it cannot hold files under the names of others")
        protocol = _protocol_for(properties, origin)
        if protocol is None:
            raise FatalError(f"{where}: the RSE has no protocol that reads from {origin}")
        if protocol["domains"]["wan"].get("write") is None:
            raise FatalError(
                f"{where}: its protocol for {origin} has no wan write priority, and Rucio registers replicas by the "
                "protocol for writing; close the RSE for writing by its availability instead"
            )

    def _made(self, origin: str) -> str | None:
        rse = rse_name(origin)
        refusal: RefusedError | None = None
        # Rucio answers two who make the same at the same time with HTTP 500: look again.
        for _ in range(_TRIES):
            properties = self._properties(rse)
            if properties is not None and _protocol_for(properties, origin) is not None:
                return rse
            try:
                self._make(rse, origin)
            except DeniedError as error:
                self._denied = str(error)
                return None
            except RefusedError as error:
                refusal = error
            else:
                return rse
        raise FatalError(f"the RSE {rse} for {origin} could not be made: {refusal}") from refusal

    def _properties(self, rse: str) -> Mapping[str, Any] | None:
        try:
            properties: Mapping[str, Any] = self._calls.send("get_rse", rse)
        except MissingError:
            return None
        return properties

    def _make(self, rse: str, origin: str) -> None:
        """Make an origin's RSE. The protocol comes last: without one an RSE is not yet made, and is made again."""
        # No rule chooses an RSE that is closed for writing; nothing is deleted at somebody else's server.
        closed = {"availability_write": False, "availability_delete": False}
        self._add("add_rse", rse, deterministic=False, availability_read=True, **closed)
        attributes = {ORIGIN_ATTRIBUTE: origin}
        if origin.startswith(("http:", "https:")):
            # Set and empty: Rucio's http protocol then reads without an X.509 proxy, and no URL is ever signed.
            attributes["sign_url"] = ""
        for key, value in attributes.items():
            self._add("add_rse_attribute", rse, key, value)
        for other in self._calls.send("list_rses"):
            # Distances are needed to where rules may copy: without one no rule finds its source.
            if other["rse"] != rse and other["availability_write"]:
                self._add("add_distance", rse, other["rse"], {"distance": ORIGIN_DISTANCE})
        self._add("add_protocol", rse, _protocol(origin))

    def _add(self, verb: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as Rucio's client has it
        try:
            self._calls.send(verb, *arguments, **options)
        except ExistsError:
            return  # by an earlier try, or by another process at the same time


def _protocol(origin: str) -> dict[str, Any]:
    parts = urlsplit(origin)
    # The priority for writing is asked for when replicas are registered. There is none for deleting.
    domains = {"read": 1, "write": 1, "delete": None}
    return {
        "scheme": parts.scheme,
        "hostname": parts.hostname,
        "port": parts.port,
        "prefix": "/",
        "impl": _IMPLEMENTATIONS.get(parts.scheme, _OTHER_IMPLEMENTATION),
        "domains": {
            "lan": domains,
            "wan": {**domains, "third_party_copy_read": 1, "third_party_copy_write": None},
        },
    }


def _protocol_for(properties: Mapping[str, Any], origin: str) -> Mapping[str, Any] | None:
    """Return the protocol of an RSE that reads from an origin."""
    parts = urlsplit(origin)
    for protocol in properties["protocols"]:
        port = protocol["port"] or DEFAULT_PORTS.get(protocol["scheme"])
        if (protocol["scheme"], protocol["hostname"].lower(), port) == (parts.scheme, parts.hostname, parts.port) and (
            protocol["domains"]["wan"].get("read") is not None
        ):
            return dict(protocol)
    return None
