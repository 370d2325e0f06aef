"""What became of every asset that was to be downloaded: the lines of the manifest, and their sum."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from stac_rucio_sync.model import Did, ItemKey, JsonObject


class FileFate(StrEnum):
    """What became of one asset that was asked for. Every one has exactly one."""

    FETCHED = "fetched"
    PLANNED = "planned"
    """It would be fetched (dry run)."""
    PRESENT = "present"
    """It lay there already, whole."""
    UNAVAILABLE = "unavailable"
    """No replica can be read now."""
    LINK_ONLY = "link_only"
    """The lake has no file for the asset."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the manifest."""

    item: ItemKey
    asset: str
    fate: FileFate
    did: Did | None = None
    path: Path | None = None
    bytes: int | None = None
    verified_by: str | None = None
    rse: str | None = None
    reason: str | None = None

    def of(self, item: ItemKey) -> Line:
        """Return the line for another item that has the same file."""
        return replace(self, item=item)

    def as_json(self) -> JsonObject:
        """Return the line."""
        return {
            "collection": self.item.collection,
            "item": self.item.id,
            "asset": self.asset,
            "did": str(self.did) if self.did else None,
            "path": str(self.path) if self.path else None,
            "fate": self.fate.value,
            "bytes": self.bytes,
            "verified_by": self.verified_by,
            "rse": self.rse,
            "reason": self.reason,
        }


@dataclass(slots=True)
class FetchReport:
    """What was downloaded. ``assets`` is the sum of the fates, always."""

    source: str
    items: int = 0
    unreadable: int = 0
    """Of the source's items: those that are no items."""
    not_registered: dict[str, None] = field(default_factory=dict)
    """Items without any file in the lake."""
    fates: dict[FileFate, int] = field(default_factory=lambda: dict.fromkeys(FileFate, 0))
    bytes: int = 0
    """Bytes that came over the network, those of copies that were damaged included; of a dry run those that would."""

    @property
    def assets(self) -> int:
        """Assets that were asked for."""
        return sum(self.fates.values())

    @property
    def clean(self) -> bool:
        """There is a file, and nothing that was asked for is missing but what is a link anyway."""
        here = self.fates[FileFate.FETCHED] + self.fates[FileFate.PLANNED] + self.fates[FileFate.PRESENT]
        lost = self.fates[FileFate.FAILED] + self.fates[FileFate.UNAVAILABLE]
        return here > 0 and not (lost or self.not_registered or self.unreadable)

    def as_json(self) -> JsonObject:
        """Return the one object that ``--json`` prints."""
        return {
            "source": self.source,
            "items": self.items,
            "unreadable": self.unreadable,
            "not_registered": list(self.not_registered),
            "assets": self.assets,
            **{fate.value: count for fate, count in self.fates.items()},
            "bytes": self.bytes,
        }
