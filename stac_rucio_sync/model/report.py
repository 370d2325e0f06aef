"""What a run reports: one fate for every item."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from stac_rucio_sync.model.identity import JsonObject


class Fate(StrEnum):
    """What became of one item that was read. Every item has exactly one."""

    UNCHANGED = "unchanged"
    ADDED = "added"
    CHANGED = "changed"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"
    FAILED = "failed"


@dataclass(slots=True)
class Report:
    """What a run did. ``read`` is the sum of the six fates, always; the rest is counted apart."""

    source: str
    unchanged: int = 0
    added: int = 0
    changed: int = 0
    superseded: int = 0
    quarantined: int = 0
    failed: int = 0
    removed: int = 0
    kept: int = 0
    links_only: int = 0
    untold: int = 0
    """Items with an asset whose size neither they state nor its origin tells; later runs ask again."""
    defaulted: int = 0
    files: int = 0
    replicas: int = 0
    rows: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    complete: bool = False
    """The source was read to its end."""
    remarks: dict[str, int] = field(default_factory=dict)
    """Sentences for the operator (an origin without an RSE, a position left out ...) with how many items each met."""

    @property
    def read(self) -> int:
        """Items read: the sum of the fates."""
        return self.unchanged + self.added + self.changed + self.superseded + self.quarantined + self.failed

    def count(self, fate: Fate, by: int = 1) -> None:
        """Give ``by`` items the fate ``fate`` (negative when a later line of the same read takes one back)."""
        setattr(self, fate.value, getattr(self, fate.value) + by)

    def remark(self, sentence: str, by: int = 1) -> None:
        """Count a sentence for the operator."""
        self.remarks[sentence] = self.remarks.get(sentence, 0) + by

    def as_json(self) -> JsonObject:
        """Return the one object that ``--json`` prints."""
        return {
            "source": self.source,
            "read": self.read,
            **{fate.value: getattr(self, fate.value) for fate in Fate},
            "removed": self.removed,
            "kept": self.kept,
            "links_only": self.links_only,
            "untold": self.untold,
            "defaulted": self.defaulted,
            "files": self.files,
            "replicas": self.replicas,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
            "complete": self.complete,
            "remarks": dict(sorted(self.remarks.items())),
        }
