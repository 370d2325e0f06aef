"""Three RSEs on three continents, what an observatory's settings say of them, and files in MaxMind's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from stac_rucio_sync.model.found import Replica, Rse
from stac_rucio_sync.model.held import Topology
from stac_rucio_sync.model.identity import Did

VIENNA = (48.2082, 16.3738)
SYDNEY = (-33.8688, 151.2093)
SAN_FRANCISCO = (37.7749, -122.4194)

DID = Did("survey", "m31")


def disk(name: str, site: str | None = None, point: tuple[float | None, float | None] = (None, None)) -> Rse:
    return Rse(name, True, "DISK", True, site, *point)


RSES = {
    rse.rse: rse
    for rse in (
        disk("VIENNA-DISK", "vienna", VIENNA),
        disk("SYDNEY-DISK", "sydney", SYDNEY),
        disk("SANFRANCISCO-DISK", "san-francisco", SAN_FRANCISCO),
    )
}
TOPOLOGY = Topology(RSES)


def replica(rse: str, pfn: str | None = None, state: str = "AVAILABLE") -> Replica:
    return Replica(DID, rse, pfn or f"https://{rse.lower()}.example.org/survey/m31.fits", state)


REPLICAS = tuple(map(replica, RSES))


def write_locations(path: Path, places: Mapping[str, Any], ip_version: int = 6) -> Path:
    """Write a file in MaxMind's format: network to record, or to (latitude, longitude)."""
    writer = MMDBWriter(
        ip_version=ip_version, database_type="Test-City", ipv4_compatible=ip_version == 6, float_type="f64"
    )
    for network, place in places.items():
        record = (
            {"location": dict(zip(("latitude", "longitude"), place, strict=True))}
            if isinstance(place, tuple)
            else place
        )
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path
