"""From an href to the place where Rucio will find the bytes, or the reason why it cannot.

A non-deterministic RSE keeps the path only and rebuilds the address from its protocol (scheme, host, port): query and
fragment are lost, ``//`` becomes ``/``, a port in brackets or a password breaks it. So what is registered is what
comes back exactly, or nothing is registered and the asset stays a link with a reason.

The address is written as its users know it, in the one form that RFC 3986 section 6.2 calls normal: scheme and host
in lower case, an IDN in its ASCII form, what a URL cannot hold percent-encoded, no default port for ``http`` and
``https``. Other schemes have their port, because Rucio's own protocols write it. ``s3://bucket/key`` becomes
``s3://host:port/bucket/key``, the key as it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from stac_rucio_sync.addresses import DEFAULT_PORTS, origin_at, without_default_port
from stac_rucio_sync.mapping.endpoints import needs_login, s3_endpoint
from stac_rucio_sync.model import Item
from stac_rucio_sync.settings import Settings

LONGEST_PATH: Final = 1024
"""Characters that Rucio keeps of a replica's path."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~!$&'()*+,=:@-]*", re.ASCII)
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OGC_SERVICE = re.compile(r"[?&]service=(?:wms|wmts|wfs|wcs|csw)\b", re.ASCII | re.IGNORECASE)
_OGC_TYPE = re.compile(r"(?:\bogc[:.]|vnd\.ogc\.)(?:wms|wmts|wfs|wcs|csw)", re.ASCII | re.IGNORECASE)
_ABSOLUTE_PATH_IS_DOUBLE: Final = ("root", "xroot")
"""Schemes whose absolute paths begin with two slashes."""
_WITH_PARAMETERS: Final = ("http", "https", "ftp")
"""Schemes in which urllib splits ``;parameters`` off the last segment, and so does Rucio."""
_GDAL_PATH = re.compile(r"/vsi[a-z0-9_]+/", re.ASCII)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_CLOUD: Final = ("gs", "gcs", "abfs", "abfss", "az", "azure", "adl", "wasb", "wasbs")


class Location(NamedTuple):
    """A place that Rucio can hold as a replica."""

    pfn: str
    origin: str
    """``scheme://host:port``, the port always written."""
    needs_login: bool


class NotAFile(NamedTuple):
    """Why an href cannot be a replica: a sentence for people, the same for all hrefs of its kind."""

    reason: str


def absolute_href(href: str | None, base_href: str | None) -> str | None:
    """Resolve an href against the item's own (RFC 3986 section 5); None: it is missing, or relative to nothing."""
    if not isinstance(href, str) or not (href := href.strip()):
        return None
    if _SCHEME.match(href):
        return href
    if base_href is None or _GDAL_PATH.match(href):
        return href if href.startswith("/") and not href.startswith("//") else None
    scheme = _SCHEME.match(base_href)
    if scheme is None:
        return _joined_path(base_href, href) if base_href.startswith("/") else None
    # urljoin knows few schemes; all that can be bases here are hierarchical.
    try:
        return scheme[1] + urljoin("http:" + base_href[scheme.end() :], href).removeprefix("http")
    except ValueError:
        return None


def replica_url(
    href: str | None, stac: Mapping[str, Any], media_type: str | None, item: Item, settings: Settings
) -> Location | NotAFile:
    """Say where the bytes behind an href lie for Rucio, or why it cannot hold them.

    Parameters
    ----------
    href
        As the asset, or an entry of its ``alternate``, gives it.
    stac
        That asset or entry itself: its ``storage:`` and ``auth:`` fields.
    media_type
        The asset's.
    item
        Its base for relative hrefs, and its properties.
    settings
        S3 endpoints, and the origins that the operator maps to RSEs.
    """
    absolute = absolute_href(href, item.base_href)
    if absolute is None:
        missing = not isinstance(href, str) or not href.strip()
        return NotAFile("it has no href" if missing else "its href is relative, and the item has no self link")
    reason = _not_one_file(absolute, media_type)
    if reason is not None:
        return NotAFile(reason)
    matched = _SCHEME.match(absolute)
    scheme = matched[1].lower() if matched else "file"
    if scheme == "file":
        is_virtual = _GDAL_PATH.match(absolute)
        return NotAFile(f"its href is a {'GDAL virtual' if is_virtual else 'local'} path, which no other machine reads")
    if scheme not in DEFAULT_PORTS:
        return NotAFile(_unreachable(scheme))
    return _remote(scheme, absolute, stac, item, settings)


# ------------------------------------------------------------------------------------------------------- reasons


def _not_one_file(href: str, media_type: str | None) -> str | None:
    """Say why an href stands for more than one file, or for a service."""
    if "{" in href or "}" in href:
        return "its href is a template (of tiles, or of other variables), not a file"
    if (media_type and _OGC_TYPE.search(media_type)) or _OGC_SERVICE.search(href):
        return "its href is an OGC service (WMS, WMTS ...), not a file"
    path = href.split("#", 1)[0].split("?", 1)[0]
    is_zarr_type = media_type is not None and "zarr" in media_type.lower()
    if path.rstrip("/").lower().endswith(".zarr") or (is_zarr_type and not path.lower().endswith(".zip")):
        return "it is a Zarr store, a folder of many files"
    if path.endswith("/"):
        return "its href is a folder"
    return None


def _unreachable(scheme: str) -> str:
    if scheme in _CLOUD:
        return f"Rucio has no access to {scheme}:// addresses: an https alternate would do"
    return f"{scheme}: addresses are no files that Rucio can hold"


def _changed_by_rucio(href: str, netloc: str, path: str, scheme: str) -> str | None:
    """Say what of an address would not come back from Rucio."""
    if scheme in _ABSOLUTE_PATH_IS_DOUBLE:
        path = path.removeprefix("/")
    for changed, reason in (
        ("?" in href, "its href has a query, which Rucio does not keep"),
        ("#" in href, "its href has a fragment, which Rucio does not keep"),
        ("@" in netloc, "its href holds a user name or password"),
        ("[" in netloc, "its href has an IPv6 address for a host, which Rucio cuts at the colon"),
        (_UNPRINTABLE.search(href), "its href holds control characters"),
        ("//" in path, "the path of its href holds //, of which Rucio makes one /"),
        (
            ";" in path and scheme in _WITH_PARAMETERS and ";" in path.rpartition("/")[2],
            "its href has parameters after ;, which Rucio does not keep",
        ),
        (path in ("", "/"), "its href has no path"),
    ):
        if changed:
            return reason
    return None


# ---------------------------------------------------------------------------------------------------- addresses


def _remote(scheme: str, href: str, stac: Mapping[str, Any], item: Item, settings: Settings) -> Location | NotAFile:
    try:
        parts = urlsplit(href)
    except ValueError:
        return NotAFile("its href is no valid URL")
    reason = _changed_by_rucio(href, parts.netloc, parts.path, scheme)
    if reason is not None:
        return NotAFile(reason)
    if scheme == "s3" and ":" not in parts.netloc:
        return _at_endpoint(parts.netloc, parts.path, stac, item, settings)
    origin = origin_at(scheme, parts.netloc)
    if origin is None:
        return NotAFile("its href names no valid host and port")
    path = parts.path if scheme == "s3" else _encoded(parts.path)
    return _located(scheme, origin, path, login=needs_login(stac, item.properties, scheme))


def _encoded(path: str) -> str:
    """Percent-encode what a URL's path cannot hold; escapes that are there stay (RFC 3986 section 2.4)."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(_BARE_PERCENT.sub("%25", path), safe="/%!$&'()*+,;=:@~")


def _located(scheme: str, origin: str, path: str, *, login: bool) -> Location | NotAFile:
    if len(path) > LONGEST_PATH:
        return NotAFile(f"the path of its href is longer than the {LONGEST_PATH} characters that Rucio keeps")
    if scheme in ("http", "https"):
        return Location(without_default_port(origin + path), origin, login)
    if scheme in _ABSOLUTE_PATH_IS_DOUBLE and not path.startswith("//"):
        path = "/" + path
    return Location(origin + path, origin, login)


def _at_endpoint(bucket: str, key: str, stac: Mapping[str, Any], item: Item, settings: Settings) -> Location | NotAFile:
    endpoint = s3_endpoint(bucket, stac, item.properties, settings)
    if endpoint is None:
        return NotAFile("nothing says where its s3:// bucket lies: [s3.endpoints] of the settings can")
    origin = origin_at("s3", endpoint.host)
    if origin is None or not _BUCKET.fullmatch(bucket):
        return NotAFile("its s3:// address has no valid bucket or endpoint")
    return _located("s3", origin, f"/{bucket}{key}", login=endpoint.needs_login)


def _joined_path(base: str, href: str) -> str:
    """Join a relative href to the absolute path of the item, and take ``.`` and ``..`` out of it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), href)) + ("/" if href.endswith("/") else "")
