"""What the tables tell about sources, items that were set aside, and where a DID belongs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stac_rucio_sync.model import Cursor, ItemKey, JsonObject


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of one source. Times are UTC; None: never."""

    name: str
    kind: str | None
    location: str | None
    cursor: Cursor | None
    last_started: datetime | None
    last_ended: datetime | None
    last_complete: datetime | None
    """End of the last read that met every item of the source."""
    items: int
    """Items that this source wrote last."""
    links_only: int
    untold: int
    """Items with an asset that is a link because neither they nor its origin tell its size."""
    quarantined: int
    last_outcome: str
    """An `Outcome`: how the last run ended, or that it has not."""
    last_finished: datetime | None
    """When it said so."""
    last_error: str | None
    """What ended it before its time."""
    last_report: JsonObject | None
    """What it did."""

    def as_json(self) -> JsonObject:
        """Return the object that ``--json`` prints."""
        return {name: _json_value(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """An item that was set aside."""

    source: str
    key: ItemKey | None
    position: str
    reason: str
    fingerprint: str | None
    stac: JsonObject | None
    href: str | None
    attempts: int
    first_seen: datetime
    last_seen: datetime
    commit: str | None
    """Of a source with a history: the commit that made the item what it is."""

    @property
    def title(self) -> str:
        """Its name for people: ``collection/id``, or where it stands."""
        return f"{self.key.collection}/{self.key.id}" if self.key else self.position

    def as_json(self) -> JsonObject:
        """Return the object that ``--json`` prints; the item itself is left out."""
        return {
            "source": self.source,
            "collection": self.key.collection if self.key else None,
            "id": self.key.id if self.key else None,
            "position": self.position,
            "reason": self.reason,
            "href": self.href,
            "attempts": self.attempts,
            "first_seen": self.first_seen.isoformat(),
            "last_seen": self.last_seen.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class RowDifference:
    """How an ObsCore row that a trigger made differs from the one that is wanted."""

    missing: bool
    columns: tuple[str, ...]
    """The columns with other values; empty where the row is missing."""
    reason: str | None
    """Why the trigger could not make the row, in its words; None: it set nothing aside."""

    def __str__(self) -> str:
        if self.reason:
            return f"the metadata give no ObsCore row: {self.reason}"
        if self.missing:
            return "the metadata gave no ObsCore row"
        return f"the ObsCore row has other values than are wanted in {', '.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class Place:
    """The STAC item, and its asset unless the DID is the item's dataset, that a DID stands for."""

    collection: str
    id: str
    asset: str | None


def _json_value(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
