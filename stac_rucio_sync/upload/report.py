"""What an upload came to: the sum of the fates of its files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stac_rucio_sync.model import Did, JsonObject, Uploaded, UploadFate


@dataclass(slots=True)
class UploadReport:
    """The sum of an upload. ``files`` is the sum of the fates when it has come to its end."""

    rse: str
    scope: str
    dataset: Did | None = None
    dry_run: bool = False
    files: int = 0
    """Files that are to be uploaded."""
    bytes: int = 0
    """Their bytes, as they were when they were found."""
    left_out: int = 0
    """Links, pipes, sockets and devices among what was found; they are no files."""
    fates: Counter[UploadFate] = field(default_factory=Counter)
    done_bytes: int = 0
    """Bytes of the files whose fate is sure."""
    sent_bytes: int = 0
    """Bytes that went to the storage."""
    sent_again: int = 0
    """How often files that arrived were sent again, after failures that pass."""
    remarks: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Files whose fate is sure."""
        return sum(self.fates.values())

    @property
    def is_clean(self) -> bool:
        """Whether every file is in the lake (or would be, in a dry run)."""
        good = (UploadFate.UPLOADED, UploadFate.PRESENT, UploadFate.PLANNED)
        return self.done == self.files and all(fate in good for fate, count in self.fates.items() if count)

    def take(self, file: Uploaded) -> None:
        """Count a file."""
        self.fates[file.fate] += 1
        self.done_bytes += file.bytes or 0
        if file.fate is UploadFate.UPLOADED:
            self.sent_bytes += file.bytes or 0
            self.sent_again += file.sent_again
            if file.reason is not None:
                self.remarks[f"sent by another protocol than the first ({file.reason[:200]})"] += 1

    def as_json(self) -> JsonObject:
        """Return the one object that ``--json`` prints."""
        return {
            "rse": self.rse,
            "scope": self.scope,
            "dataset": None if self.dataset is None else str(self.dataset),
            "dry_run": self.dry_run,
            "files": self.files,
            "bytes": self.bytes,
            "left_out": self.left_out,
            **{fate.value: self.fates[fate] for fate in UploadFate},
            "sent_bytes": self.sent_bytes,
            "sent_again": self.sent_again,
            "remarks": dict(self.remarks),
            "seconds": round(self.seconds, 3),
        }
