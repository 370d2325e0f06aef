"""Objects of Rucio's protocol classes: which an RSE has, made for it, held to check certificates and checksums."""

from __future__ import annotations

import base64
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import requests

# Rucio decides at its import whether it is a client, by a configuration file that a worker on a cluster does not have.
os.environ.setdefault("RUCIO_CLIENT_MODE", "1")

from rucio.common import exception as rucio_errors
from rucio.common.config import get_config
from rucio.rse import rsemanager
from rucio.rse.translation import RSEDeterministicTranslation

from stac_rucio_sync.model import Did

LOG = logging.getLogger(__name__)

Protocol: TypeAlias = Any
"""A protocol class's object; Rucio types its classes in part."""

_ADLER32: Final = re.compile("[0-9A-Fa-f]{1,8}")
_DIGITS: Final = {"adler32": 8, "md5": 32}


def protocols_for(settings: Mapping[str, Any], operation: str, domain: str = "wan") -> list[dict[str, Any]]:
    """Return the protocols of an RSE for an operation (``read``, ``write``, ``delete``), in the RSE's order."""
    said: Any = settings
    kind: Any = operation
    try:
        return [dict(one) for one in rsemanager.get_protocols_ordered(said, kind, domain=domain)]
    except rucio_errors.RSEProtocolNotSupported:
        return []


def make_protocol(
    settings: Mapping[str, Any], operation: str, attributes: dict[str, Any], domain: str = "wan", *,
    token: str | None = None, certificates: str | None = None,
) -> Protocol:  # fmt: skip
    """Return an object of a protocol class, not connected yet, whose HTTP session checks certificates.

    Its ``stat`` tells checksums where the storage keeps them.

    Parameters
    ----------
    settings, attributes
        What Rucio says of the RSE, and one of its `protocols_for` the operation.
    operation, domain, token, certificates
        As of `rucio_protocols.StorageElement`.
    """
    _need_no_configuration()
    said: Any = settings
    protocol = rsemanager.create_protocol(
        said, operation, domain=domain, auth_token=token, protocol_attr=cast("Any", attributes), logger=LOG.log
    )
    _made_careful(protocol, certificates)
    return protocol


def _need_no_configuration() -> None:
    """Let protocol classes work where Rucio's client is not configured, as on the workers of a cluster."""
    try:
        get_config()
    except rucio_errors.ConfigNotFound:
        os.environ["RUCIO_CONFIG"] = os.devnull


def pfn_at(protocol: Protocol, path: str) -> str:
    """Return the address of a place; built by the class, for objects may have it replaced by a call to the server."""
    built = type(protocol).lfns2pfns(protocol, [{"scope": "", "name": "", "path": path or "/"}])
    return str(next(iter(built.values())))


def path_by_rule(settings: Mapping[str, Any], did: Did) -> str | None:
    """Return the place of a file below an RSE's prefix by its name alone; None: the RSE's rule is not known here."""
    said: Any = settings
    if not said["deterministic"] or not RSEDeterministicTranslation.supports(said.get("lfn2pfn_algorithm")):
        return None
    return str(RSEDeterministicTranslation(settings["rse"], said, {}, "").path(did.scope, did.name))


def _made_careful(protocol: Protocol, certificates: str | None) -> None:
    """Have a WebDAV class check certificates, which it switches off, and ask for checksums, which it does not."""
    from rucio.rse.protocols import webdav  # noqa: PLC0415 - not before a protocol is needed

    if not isinstance(protocol, webdav.Default):
        return

    def session_of(self: Protocol) -> requests.Session:
        session: requests.Session = self.checking
        return session

    def set_session(self: Protocol, session: requests.Session) -> None:
        self.checking = session
        session.request = partial(_request_checked, session.request, certificates or True)  # type: ignore[method-assign] # one session's

    def stat(self: Protocol, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = original(self, path)
        if not self.tells_no_checksums:
            checksums = _checksums_of(self, path)
            self.tells_no_checksums = checksums == {}
            shown |= checksums or {}
        return shown

    kind = type(protocol)
    original: Any = kind.stat
    more = {"session": property(session_of, set_session), "stat": stat, "tells_no_checksums": False}
    protocol.__class__ = type(kind.__name__, (kind,), more)


def _request_checked(
    send: Callable[..., requests.Response],
    verify: str | bool,
    /,  # the caller has a `verify` of its own
    *arguments: Any,  # noqa: ANN401 - as of requests
    **options: Any,  # noqa: ANN401
) -> requests.Response:
    return send(*arguments, **(options | {"verify": verify}))


def _checksums_of(protocol: Protocol, pfn: str) -> dict[str, str] | None:
    """Ask an HTTP storage for the checksums that it keeps (RFC 3230); None: it does not answer just now."""
    try:
        answer = protocol.session.request(
            "HEAD",
            protocol.path2pfn(pfn),
            headers={"Want-Digest": "adler32,md5"},
            timeout=protocol.timeout,
            cert=protocol.cert,
        )
    except requests.RequestException:
        return None
    return digests(answer.headers.get("Digest", "")) if answer.status_code == HTTPStatus.OK else None


def digests(header: str) -> dict[str, str]:
    """Return the checksums that a ``Digest`` header tells, in the digits that Rucio writes them in.

    Parameters
    ----------
    header
        As of RFC 3230, section 4.3.2: MD5 in Base64, Adler-32 in hexadecimal, of which storages drop zeros in front.
    """
    told = {}
    for instance in header.split(","):
        kind, _, value = instance.strip().partition("=")
        if kind.lower() == "adler32" and _ADLER32.fullmatch(value):
            told["adler32"] = value.lower().zfill(8)
        elif kind.lower() == "md5":
            with suppress(ValueError):
                told["md5"] = base64.b64decode(value, validate=True).hex()
    return {kind: value for kind, value in told.items() if len(value) == _DIGITS[kind]}
