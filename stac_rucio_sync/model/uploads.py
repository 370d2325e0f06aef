"""The words of an upload: files on disk, what reading them told, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from os import fsencode
from pathlib import Path

from stac_rucio_sync.model.identity import Did, JsonObject


def readable(path: Path) -> str:
    r"""Return a path as text that JSON can hold: bytes that are no UTF-8 become ``\\xHH``."""
    return fsencode(path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Hashed:
    """What reading a file from its first byte to its last told."""

    bytes: int
    adler32: str
    """8 hexadecimal digits, lower case."""
    md5: str
    """32 hexadecimal digits, lower case."""


class UploadFate(StrEnum):
    """What became of a file: each has one fate."""

    UPLOADED = "uploaded"
    """Its bytes were sent; Rucio shows its replica as available."""
    PRESENT = "present"
    """The lake held it before, with the same bytes."""
    PLANNED = "planned"
    """A dry run: it would be sent."""
    CONFLICT = "conflict"
    """Its name stands for other bytes in Rucio."""
    CHANGED = "changed"
    """It changed while it was read."""
    UNREADABLE = "unreadable"
    """It cannot be read here."""
    REFUSED = "refused"
    """Rucio does not take it: its name, its metadata, a permission."""
    FAILED = "failed"
    """No protocol of the RSE took it."""

    @property
    def in_lake(self) -> bool:
        """Whether the lake holds the file now."""
        return self in (UploadFate.UPLOADED, UploadFate.PRESENT)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file and its fate."""

    path: Path
    """Absolute."""
    did: Did | None
    """None: it was given no name."""
    rse: str
    fate: UploadFate
    reason: str | None = None
    """Of an uploaded file: why the RSE's first protocols did not take it, where it was another one that did."""
    bytes: int | None = None
    adler32: str | None = None
    md5: str | None = None
    pfn: str | None = None
    """The address that clients of the lake read; None where it is not in the lake, or where the RSE is read by none."""
    dataset: Did | None = None
    """The dataset that it was attached to."""
    sent_again: int = 0
    """How often it was sent again after a failure that passes."""

    def as_json(self) -> JsonObject:
        """Return its line of the report."""
        return {
            "path": readable(self.path),
            "did": None if self.did is None else str(self.did),
            "rse": self.rse,
            "fate": self.fate.value,
            "reason": self.reason,
            "bytes": self.bytes,
            "adler32": self.adler32,
            "md5": self.md5,
            "pfn": self.pfn,
            "dataset": None if self.dataset is None else str(self.dataset),
            "sent_again": self.sent_again,
        }
