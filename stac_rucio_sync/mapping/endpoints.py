"""Where an ``s3://bucket/key`` lies and who may read it: storage, authentication and alternate-assets extensions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from stac_rucio_sync.addresses import DEFAULT_PORTS
from stac_rucio_sync.settings import Settings

_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_VARIABLE = re.compile(r"\{([A-Za-z0-9_]+)\}", re.ASCII)


class Endpoint(NamedTuple):
    """An S3 server that holds a bucket."""

    host: str
    """``host:port``."""
    needs_login: bool


def s3_endpoint(
    bucket: str, stac: Mapping[str, Any], properties: Mapping[str, Any], settings: Settings
) -> Endpoint | None:
    """Find the server of a bucket.

    In this order: the settings' line for the bucket; the first of ``storage:refs`` whose scheme names a server
    (storage 2.0: the platform, a URI template, is the endpoint URL once its variables are filled in); AWS by
    ``storage:platform`` and ``storage:region`` (storage 1.0, in the asset or the item's properties); the settings'
    line for ``*``. None: nothing says it. A region is never guessed.
    """
    login = needs_login(stac, properties, "s3")
    endpoints = settings.s3.endpoints
    if bucket in endpoints:
        host = _host_of(endpoints[bucket])
        return Endpoint(host, login) if host else None
    for scheme in _referred(stac, properties):
        host = _host_of_scheme(scheme)
        if host:
            return Endpoint(host, _has_auth(stac) or scheme.get("requester_pays") is True)
    host = _host_at_aws(stac, properties) or _host_of(endpoints.get("*"))
    return Endpoint(host, login) if host else None


def needs_login(stac: Mapping[str, Any], properties: Mapping[str, Any], scheme: str) -> bool:
    """Whether the item says that a place is not open to everybody.

    ``auth:refs`` of the asset or alternate itself (an alternate does not inherit the asset's: it is another server),
    ``requester_pays`` of it, or, for ``s3``, of the item's properties or of all the schemes that it refers to.
    """
    if _has_auth(stac):
        return True
    pays = stac.get("storage:requester_pays")
    if pays is None and scheme == "s3":
        pays = properties.get("storage:requester_pays")
    if pays is not None:
        return pays is True
    referred = _referred(stac, properties)
    return bool(referred) and all(one.get("requester_pays") is True for one in referred)


def _has_auth(stac: Mapping[str, Any]) -> bool:
    refs = stac.get("auth:refs")
    return isinstance(refs, list) and bool(refs)


def _referred(stac: Mapping[str, Any], properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    refs = stac.get("storage:refs")
    if not refs or not isinstance(refs, list):
        return []
    schemes = properties.get("storage:schemes")
    if not isinstance(schemes, Mapping):
        return []
    return [schemes[ref] for ref in refs if isinstance(ref, str) and isinstance(schemes.get(ref), Mapping)]


def _host_of_scheme(scheme: Mapping[str, Any]) -> str | None:
    """Fill in the platform's template; a bucket in it is left out, as ``s3://host:port/bucket/key`` has it behind."""
    platform = scheme.get("platform")
    if not isinstance(platform, str):
        return None
    platform = platform.replace("://{bucket}.", "://").removesuffix("/").removesuffix("/{bucket}")
    return _host_of(_VARIABLE.sub(lambda variable: str(scheme.get(variable[1], variable.group())), platform))


def _host_at_aws(stac: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    says = stac if "storage:platform" in stac else properties
    platform, region = says.get("storage:platform"), says.get("storage:region")
    if not isinstance(platform, str) or platform.upper() != "AWS":
        return None
    if not isinstance(region, str) or not _REGION.fullmatch(region):
        return None
    return f"s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}:443"


def _host_of(url: str | None) -> str | None:
    """Return ``host:port`` of an endpoint URL; None where it is none, or has a path, a template or a password."""
    if url is None or "{" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or (DEFAULT_PORTS[parts.scheme] if parts.scheme in ("http", "https") else None)
    except ValueError:
        return None
    if port is None or not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        return None
    return f"{parts.hostname}:{port}"
