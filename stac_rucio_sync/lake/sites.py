"""What the lake's Rucio holds from the start: accounts, RSEs, their attributes and protocols, distances, limits.

This is the wanted state, as plain values; a script in the server's environment makes it so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stac_rucio_sync.locality import great_circle_km
from stac_rucio_sync.stores.origins import ORIGIN_ATTRIBUTE, ORIGIN_DISTANCE

#: The account attribute that the policy package asks for before it lets an account keep origin RSEs.
INGEST_ATTRIBUTE = "stac_ingest"
_LIMIT_BYTES = 10**13


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
    distances = [
        {"source": here.rse, "destination": there.rse, "distance": distance_km(here, there)}
        for here in SITES
        for there in SITES
        if here is not there
    ]
    return {
        "accounts": [
            {"account": "root", "type": "SERVICE", "password": passwords["account:root"], "attributes": {}},
            {
                "account": "ingest",
                "type": "SERVICE",
                "password": passwords["account:ingest"],
                "attributes": {INGEST_ATTRIBUTE: True},
            },
            {"account": "alice", "type": "USER", "password": passwords["account:alice"], "attributes": {}},
        ],
        "rses": rses,
        "distances": distances,
        "origins": {"attribute": ORIGIN_ATTRIBUTE, "distance": ORIGIN_DISTANCE},
        "limits": [
            {"account": account, "rse": site.rse, "bytes": _LIMIT_BYTES}
            for account in ("root", "ingest", "alice")
            for site in SITES
        ],
    }


def _rse(site: Site, port: int, rse_folder: Path) -> dict[str, Any]:
    return {
        "rse": site.rse,
        "attributes": {
            "site": site.site,
            "country": site.country,
            "latitude": str(site.latitude),
            "longitude": str(site.longitude),
            "lake": True,
            # Rucio's http protocol refuses to read without an X.509 proxy unless the RSE says that its URLs carry
            # their own permission. An empty value says so, and names no service that would have to sign them.
            "sign_url": "",
            "greedyDeletion": True,
        },
        "protocols": [
            {
                "scheme": "file",
                "hostname": "localhost",
                "port": 0,
                "prefix": f"{rse_folder / site.site}/",
                "impl": "rucio.rse.protocols.posix.Default",
                # A missing operation is one that the protocol does not have; 0 would make it the first choice.
                "domains": {
                    "lan": {"write": 1, "delete": 1},
                    "wan": {"write": 1, "delete": 1, "third_party_copy_write": 1},
                },
            },
            {
                "scheme": "http",
                "hostname": "127.0.0.1",
                "port": port,
                "prefix": "/",
                "impl": "rucio.rse.protocols.webdav.Default",
                "domains": {"lan": {"read": 1}, "wan": {"read": 1, "third_party_copy_read": 1}},
            },
        ],
    }
