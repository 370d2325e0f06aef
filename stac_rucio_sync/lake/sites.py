"""What the lake's Rucio holds from the start: accounts, RSEs, their attributes and protocols, distances, limits.

This is the wanted state, as plain values; a script in the server's environment makes it so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rucio_policy.paths import PARENT_DATASET
from stac_rucio_sync.locality import great_circle_km
from stac_rucio_sync.stores.rucio.origins import ORIGIN_ATTRIBUTE, ORIGIN_DISTANCE

#: The account attribute that the policy package asks for before it lets an account keep origin RSEs.
INGEST_ATTRIBUTE = "stac_ingest"
_LIMIT_BYTES = 10**13
_ACCOUNTS: dict[str, dict[str, Any]] = {
    "root": {"type": "SERVICE", "attributes": {}, "scopes": []},
    "ingest": {"type": "SERVICE", "attributes": {INGEST_ATTRIBUTE: True}, "scopes": []},
    # A user has a scope from the start, as on most Rucio servers.
    "alice": {"type": "USER", "attributes": {}, "scopes": ["user.alice"]},
}


@dataclass(frozen=True)
class Site:
    """A place with one POSIX RSE.

    Attributes
    ----------
    rse, site, country : str
        Name of the RSE, of its site, and the ISO 3166 code of the country.
    latitude, longitude : float
        Degrees north and east.
    port : str
        Name of the port that its files are read from.
    """

    rse: str
    site: str
    country: str
    latitude: float
    longitude: float
    port: str


SITES = (
    Site("VIENNA-DISK", "vienna", "AT", 48.2082, 16.3738, "vienna"),
    Site("SYDNEY-DISK", "sydney", "AU", -33.8688, 151.2093, "sydney"),
    Site("SANFRANCISCO-DISK", "san-francisco", "US", 37.7749, -122.4194, "sanfrancisco"),
)


@dataclass(frozen=True)
class UploadRse:
    """An RSE that users upload to: a folder that is reached by WebDAV and by path.

    Attributes
    ----------
    rse : str
        Its name: Rucio's generic permissions let every account register replicas at a ``LOCALGROUPDISK``.
    share : str
        Name of its folder, and first part of the paths of its URLs.
    deterministic : bool
        Whether Rucio computes the path of a file from its name; else whoever registers the file says where it is,
        files are written by path, and WebDAV only reads.
    place : Site
        Where it stands, beside that site's own RSE.
    """

    rse: str
    share: str
    deterministic: bool
    place: Site


UPLOAD_RSES = (
    UploadRse("VIENNA-LOCALGROUPDISK", "localgroupdisk", deterministic=True, place=SITES[0]),
    UploadRse("VIENNA-ARCHIVE-LOCALGROUPDISK", "archive", deterministic=False, place=SITES[0]),
)


def distance_km(here: Site, there: Site) -> int:
    """Return the great-circle distance of two sites in km, at least 1."""
    kilometres = great_circle_km((here.latitude, here.longitude), (there.latitude, there.longitude))
    return max(1, round(kilometres))


def wanted_state(passwords: Mapping[str, str], ports: Mapping[str, int], rse_folder: Path) -> dict[str, Any]:
    """Return what the lake's Rucio shall hold.

    Parameters
    ----------
    passwords : mapping
        Passwords, ``account:NAME`` for each account.
    ports : mapping
        Ports by name.
    rse_folder : Path
        Folder with one folder per site.

    Returns
    -------
    dict
        ``accounts``, ``rses`` (with ``attributes`` and ``protocols``), ``distances``, ``origins`` (how origin RSEs are
        known, and how far they are from all others) and ``limits``; JSON values only.
    """
    rses = [_rse(site, ports[site.port], rse_folder) for site in SITES]
    rses += [_upload_rse(upload, ports["webdav"], rse_folder) for upload in UPLOAD_RSES]
    places = {site.rse: site for site in SITES} | {upload.rse: upload.place for upload in UPLOAD_RSES}
    distances = [
        {"source": source, "destination": destination, "distance": distance_km(here, there)}
        for source, here in places.items()
        for destination, there in places.items()
        if source != destination
    ]
    return {
        "accounts": [
            {"account": name, "password": passwords[f"account:{name}"], **about} for name, about in _ACCOUNTS.items()
        ],
        "rses": rses,
        "distances": distances,
        "origins": {"attribute": ORIGIN_ATTRIBUTE, "distance": ORIGIN_DISTANCE},
        "limits": [{"account": account, "rse": rse, "bytes": _LIMIT_BYTES} for account in _ACCOUNTS for rse in places],
    }


def _attributes(site: Site) -> dict[str, Any]:
    return {
        "site": site.site,
        "country": site.country,
        "latitude": str(site.latitude),
        "longitude": str(site.longitude),
        # Rucio's http protocol refuses to read without an X.509 proxy unless the RSE says that its URLs carry
        # their own permission. An empty value says so, and names no service that would have to sign them.
        "sign_url": "",
        "greedyDeletion": True,
    }


def _file_protocol(folder: Path, priority: int, **more: int) -> dict[str, Any]:
    # A missing operation is one that the protocol does not have; 0 would make it the first choice.
    own = {"write": priority, "delete": priority}
    return {
        "scheme": "file",
        "hostname": "localhost",
        "port": 0,
        "prefix": f"{folder}/",
        "impl": "rucio.rse.protocols.posix.Default",
        "domains": {"lan": {**own, **more}, "wan": {**own, **more, "third_party_copy_write": 1}},
    }


def _http_protocol(port: int, prefix: str, **own: int) -> dict[str, Any]:
    return {
        "scheme": "http",
        "hostname": "127.0.0.1",
        "port": port,
        "prefix": prefix,
        "impl": "rucio.rse.protocols.webdav.Default",
        "domains": {"lan": {"read": 1, **own}, "wan": {"read": 1, **own, "third_party_copy_read": 1}},
    }


def _rse(site: Site, port: int, rse_folder: Path) -> dict[str, Any]:
    return {
        "rse": site.rse,
        "deterministic": True,
        "attributes": {**_attributes(site), "lake": True},
        "protocols": [_file_protocol(rse_folder / site.site, 1), _http_protocol(port, "/")],
    }


def _upload_rse(upload: UploadRse, port: int, rse_folder: Path) -> dict[str, Any]:
    folder, prefix = rse_folder / upload.share, f"/{upload.share}/"
    attributes = _attributes(upload.place)
    if upload.deterministic:
        protocols = [_http_protocol(port, prefix, write=1, delete=1), _file_protocol(folder, 2, read=2)]
    else:
        protocols = [_http_protocol(port, prefix), _file_protocol(folder, 1)]
        attributes["naming_convention"] = PARENT_DATASET  # where transfers put files
    return {
        "rse": upload.rse,
        "deterministic": upload.deterministic,
        # Without the attribute `lake`: rules that ask for it shall not fill what users keep for themselves.
        "attributes": attributes,
        "protocols": protocols,
    }
