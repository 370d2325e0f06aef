"""What an audit of one RSE found, counted: each replica and each file has one fate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stac_rucio_sync.consistency.findings import DIFFERENCES, FILE_FATES, REPLICA_FATES, Fate
from stac_rucio_sync.model import JsonObject


@dataclass(slots=True)
class RseReport:
    """The counts of one RSE."""

    rse: str
    storage: str
    """What it was compared with, in words for people."""
    counts: Counter[Fate] = field(default_factory=Counter)
    listed: bool = False
    """All its files were listed, so that dark ones can be told."""
    read: int = 0
    """Files whose bytes were read."""
    bytes_read: int = 0
    repair: bool = False
    """A repair was asked for."""
    repaired: int = 0
    remarks: Counter[str] = field(default_factory=Counter)
    """Sentences for the operator."""

    @property
    def replicas(self) -> int:
        """Replicas that Rucio told."""
        return sum(self.counts[fate] for fate in REPLICA_FATES)

    @property
    def files(self) -> int:
        """Files that were listed."""
        return sum(self.counts[fate] for fate in FILE_FATES)

    @property
    def differences(self) -> int:
        """Replicas and files that are not as they should be."""
        return sum(self.counts[fate] for fate in DIFFERENCES)

    @property
    def remaining(self) -> int:
        """Differences that a repair left."""
        return self.differences - self.repaired

    @property
    def clean(self) -> bool:
        """Whether nothing differs now."""
        return self.remaining == 0

    @property
    def promised(self) -> int:
        """Replicas that Rucio counts on."""
        counted = (Fate.SAME, Fate.MISSING, Fate.WRONG_SIZE, Fate.WRONG_CHECKSUM, Fate.LAST, Fate.UNCHECKED)
        return sum(self.counts[fate] for fate in counted)

    def as_json(self) -> JsonObject:
        """Return the line of ``--json`` that ends an RSE."""
        return {
            "rse": self.rse,
            "storage": self.storage,
            "listed": self.listed,
            "replicas": self.replicas,
            "files": self.files,
            "counts": {fate.value: self.counts[fate] for fate in Fate if self.counts[fate]},
            "read": self.read,
            "bytes_read": self.bytes_read,
            "differences": self.differences,
            "repair": self.repair,
            "repaired": self.repaired,
            "remaining": self.remaining,
            "remarks": dict(sorted(self.remarks.items())),
        }

    def summary(self) -> str:
        """Return the lines that end an RSE."""
        told = ", ".join(f"{self.counts[fate]} {fate.value}" for fate in Fate if self.counts[fate])
        files = f", {self.files} files listed" if self.listed else ""
        read = f", {self.read} read" if self.read else ""
        repaired = f"; {self.repaired} repaired, {self.remaining} remain" if self.repair else ""
        remarks = "".join(f"\n  {count} × {sentence}" for sentence, count in sorted(self.remarks.items()))
        return (
            f"{self.rse} at {self.storage}: {self.replicas} replicas{files}{read} ({told or 'nothing'}); "
            f"{self.differences} differences{repaired}{remarks}"
        )
