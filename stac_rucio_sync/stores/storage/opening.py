"""Which of an RSE's protocols lets us look at all of its files: a folder of this machine, or a WebDAV server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stac_rucio_sync.errors import RefusedError, SyncError, UsageError
from stac_rucio_sync.stores.storage.folder import FolderStorage, Storage
from stac_rucio_sync.stores.storage.protocol_objects import Protocol, make_protocol, protocols_for
from stac_rucio_sync.stores.storage.webdav import WebDavStorage

OPERATIONS: Final = ("read", "write", "delete")
_HTTP: Final = {"http": "http", "https": "https", "dav": "http", "davs": "https"}
_WEBDAV: Final = "rucio.rse.protocols.webdav.Default"
"""Speaks to servers that are declared for other classes, too: gfal's do not list folders."""


def open_storage(
    settings: Mapping[str, Any],
    *,
    token: str | None = None,
    certificates: str | None = None,
    scheme: str | None = None,
) -> Storage:
    """Return the storage of an RSE by the first protocol that lists folders from here; folders of this machine first.

    Parameters
    ----------
    settings
        What Rucio says of the RSE (its ``get_rse``).
    token
        A token of OIDC that the storage wants, if any.
    certificates
        File or folder of the authorities that vouch for the storage; None: the usual ones.
    scheme
        Only protocols of this scheme.

    Raises
    ------
    UsageError
        None does; the text has the reason of each.
    """
    reasons = []
    found = [one for one in all_protocols(settings) if scheme in (None, one["scheme"])]
    for attributes in sorted(found, key=lambda one: one["scheme"] != "file"):
        try:
            return _opened(settings, attributes, token, certificates)
        except SyncError as error:
            reasons.append(f"{attributes['scheme']}: {error}")
    said = "; ".join(reasons) or f"it has no protocol{f' of scheme {scheme}' if scheme else ''}"
    raise UsageError(
        f"the files of {settings['rse']} cannot be listed from here ({said}): run the audit where one of its protocols "
        f"can, or give a list of its files by --dump"
    )


def all_protocols(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the protocols of an RSE, those for reading first, each in the RSE's order."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for domain in ("wan", "lan"):
        for operation in OPERATIONS:
            for one in protocols_for(settings, operation, domain):
                found.setdefault((one["scheme"], one["hostname"], one["port"], one["prefix"]), one)
    return list(found.values())


def _opened(
    settings: Mapping[str, Any], attributes: dict[str, Any], token: str | None, certificates: str | None
) -> Storage:
    if attributes["scheme"] == "file":
        folder = Path(attributes["prefix"])
        if not folder.is_dir():
            raise RefusedError(f"there is no folder {folder} on this machine")
        return FolderStorage(folder)
    if attributes["scheme"] not in _HTTP:
        raise RefusedError("no folders are listed by it")
    if settings.get("sign_url"):
        raise RefusedError(f"it takes signed addresses only ({settings['sign_url']})")
    spoken = attributes | {"scheme": _HTTP[attributes["scheme"]], "impl": _WEBDAV}
    address = f"{spoken['scheme']}://{spoken['hostname']}:{spoken['port']}/{spoken['prefix'].strip('/')}"

    def connected() -> Protocol:
        operation, domain = _use_of(spoken)
        protocol = make_protocol(
            {**settings, "protocols": [spoken]}, operation, dict(spoken), domain, token=token, certificates=certificates
        )
        try:
            protocol.connect()
        except Exception as error:
            raise RefusedError(f"{address} does not let us in: {' '.join(str(error).split())}") from error
        return protocol

    storage = WebDavStorage(address, connected)
    try:
        storage.probe()
    except SyncError:
        storage.close()
        raise
    return storage


def _use_of(attributes: Mapping[str, Any]) -> tuple[str, str]:
    """Return an operation and a domain that a protocol is declared for: Rucio makes no object for others."""
    for domain in ("wan", "lan"):
        for operation in OPERATIONS:
            if attributes["domains"].get(domain, {}).get(operation) is not None:
                return operation, domain
    raise RefusedError("it is declared for nothing")
