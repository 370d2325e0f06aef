"""A made-up lake for the tests of alternates: three sites, tape, one RSE that is closed, an origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stac_rucio_sync.alternates.seen import SeenItem
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.model import Did, HeldFile, HeldItem, ItemKey, Replica, Rse, Topology
from stac_rucio_sync.settings import Settings

ORIGIN = "https://archive.example.org"
SITES = {
    "VIENNA-DISK": ("vienna", 48.2, 16.4),
    "SYDNEY-DISK": ("sydney", -33.9, 151.2),
    "SANFRANCISCO-DISK": ("san-francisco", 37.8, -122.4),
}
MD5 = "0123456789abcdef0123456789abcdef"


def rse(name: str, **fields: Any) -> Rse:
    site, latitude, longitude = SITES.get(name, (None, None, None))
    given: dict[str, Any] = {"rse_type": "DISK", "available_read": True, "deterministic": True} | fields
    return Rse(rse=name, site=site, latitude=latitude, longitude=longitude, **given)


TOPOLOGY = Topology(
    {
        one.rse: one
        for one in (
            *map(rse, SITES),
            rse("ARCHIVE", deterministic=False, origin="https://archive.example.org:443"),
            rse("BUCKETS", deterministic=False),
            rse("VIENNA-TAPE", rse_type="TAPE"),
            rse("CLOSED-DISK", available_read=False),
        )
    }
)


def address(name: str, file: str, scheme: str = "https") -> str:
    """Return where a file lies at an RSE."""
    if name == "ARCHIVE":
        return f"{ORIGIN}/{file}"
    port = "" if scheme == "https" else ":443"
    return f"{scheme}://{name.lower()}.example.org{port}/{file}"


def held_file(asset: str, rses: Sequence[str], item: str = "i", **fields: Any) -> HeldFile:
    did = Did("stac", f"c..{item}..{asset}.tif")
    replicas = tuple(Replica(did, name, address(name, f"{item}/{asset}.tif"), "AVAILABLE") for name in rses)
    file = HeldFile(asset, did, 100, None, MD5, None, (), None, science=True, replicas=replicas)
    return replace(file, **fields)


def held_item(*files: HeldFile, item: str = "i") -> HeldItem:
    did = Did("stac", f"c..{item}")
    return HeldItem(ItemKey("c", item), did, f"ivo://example/lake?{did}", None, files)


def stac_item(item: str = "i", assets: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    """Return an item; without ``assets`` with one, ``image``, at the archive."""
    given = {"image": {}} if assets is None else assets
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": item,
        "collection": "c",
        "geometry": None,
        "properties": {"datetime": "2024-01-01T00:00:00Z"},
        "links": [],
        "assets": {key: {"href": f"{ORIGIN}/{item}/{key}.tif"} | dict(asset) for key, asset in given.items()},
    } | fields


@dataclass
class HeldLake:
    """Answers from what it was given, and counts the questions."""

    items: Sequence[HeldItem] = ()
    error: SyncError | None = None
    settings: Settings = field(default_factory=Settings)
    known: Topology = TOPOLOGY
    questions: list[list[ItemKey]] = field(default_factory=list)

    def held(self, items: Sequence[SeenItem]) -> Mapping[ItemKey, HeldItem]:
        keys = [item.key for item in items]
        self.questions.append(keys)
        if self.error is not None:
            raise self.error
        return {item.key: item for item in self.items if item.key in keys}

    def topology(self) -> Topology:
        return self.known

    def close(self) -> None:
        """Nothing is open."""
