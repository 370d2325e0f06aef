"""Objects of Rucio's protocol classes: which an RSE has, made for it, and held to check certificates."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

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
    _check_certificates(protocol, certificates)
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


def _check_certificates(protocol: Protocol, certificates: str | None) -> None:
    """Have a protocol's HTTP session check certificates, which Rucio's WebDAV classes switch off."""
    from rucio.rse.protocols import webdav  # noqa: PLC0415 - not before a protocol is needed

    if not isinstance(protocol, webdav.Default):
        return

    def session_of(self: Protocol) -> requests.Session:
        session: requests.Session = self.checking
        return session

    def set_session(self: Protocol, session: requests.Session) -> None:
        self.checking = session
        session.request = partial(_request_checked, session.request, certificates or True)  # type: ignore[method-assign] # one session's

    kind = type(protocol)
    protocol.__class__ = type(kind.__name__, (kind,), {"session": property(session_of, set_session)})


def _request_checked(
    send: Callable[..., requests.Response],
    verify: str | bool,
    /,  # the caller has a `verify` of its own
    *arguments: Any,  # noqa: ANN401 - as of requests
    **options: Any,  # noqa: ANN401
) -> requests.Response:
    return send(*arguments, **(options | {"verify": verify}))
