"""What an audit of storage can find, what each finding means, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stac_rucio_sync.model import Did, JsonObject
from stac_rucio_sync.plan import Action, Sign


class Fate(StrEnum):
    """What became of one replica of Rucio's, or of one file of the storage's. Each has exactly one."""

    SAME = "same"
    """Replica: it is where Rucio says, with the size and the checksums that were compared."""
    MISSING = "missing"
    """Replica: Rucio calls it available, and the storage does not have it."""
    WRONG_SIZE = "wrong size"
    WRONG_CHECKSUM = "wrong checksum"
    LAST = "last copy"
    """Replica: it is missing, or its file is another one, and there is none that Rucio could copy it from."""
    UNFINISHED = "unfinished"
    """Replica: COPYING for long."""
    UNCHECKED = "unchecked"
    """Replica: it cannot be looked at."""
    UNDER_WAY = "under way"
    """Replica: COPYING since lately, or registered or sent while the audit ran."""
    BAD = "bad"
    """Replica: declared bad already."""
    UNAVAILABLE = "unavailable"
    """Replica: Rucio waits for no bytes and counts on none."""
    LEAVING = "being deleted"
    AWAY = "temporarily unavailable"
    """Replica: somebody declared it so."""

    KNOWN = "known"
    """File: a replica accounts for it."""
    DARK = "dark"
    """File: no replica accounts for it."""
    LEFTOVER = "leftover"
    """File: an upload began it and did not end."""
    YOUNG = "young"
    """File: no replica accounts for it, and it changed lately."""
    IGNORED = "ignored"
    """File: as the options wish."""
    GONE = "gone"
    """File: it left while the audit ran."""


REPLICA_FATES = tuple(Fate)[: tuple(Fate).index(Fate.KNOWN)]
FILE_FATES = tuple(Fate)[tuple(Fate).index(Fate.KNOWN) :]

DIFFERENCES = frozenset(
    {
        Fate.MISSING,
        Fate.WRONG_SIZE,
        Fate.WRONG_CHECKSUM,
        Fate.LAST,
        Fate.UNFINISHED,
        Fate.UNCHECKED,
        Fate.DARK,
        Fate.LEFTOVER,
    }
)
"""The fates that are told, each by a line."""


class Remedy(StrEnum):
    """What a repair does about a finding."""

    DECLARE_BAD = "declare it bad"
    WITHDRAW = "withdraw it"
    WITHDRAW_AND_DELETE = "withdraw it, and delete what is there of it"
    MAKE_AVAILABLE = "make it available"
    DELETE = "delete the file"


_SIGNS = {
    Fate.MISSING: Sign.ADD,
    Fate.WRONG_SIZE: Sign.CHANGE,
    Fate.WRONG_CHECKSUM: Sign.CHANGE,
    Fate.UNCHECKED: Sign.ERROR,
    Fate.DARK: Sign.REMOVE,
    Fate.LEFTOVER: Sign.REMOVE,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between Rucio and a storage."""

    fate: Fate
    rse: str
    path: str | None
    why: str
    did: Did | None = None
    remedy: Remedy | None = None
    """None: it cannot be repaired from here."""
    then: str = ""
    """What follows from the repair."""

    @property
    def sign(self) -> Sign:
        """The sign of its line: ``+`` is missing, ``-`` too many, ``*`` something else, ``!`` not to be repaired."""
        if self.fate in (Fate.UNFINISHED, Fate.LAST):
            if self.remedy is None:
                return Sign.ERROR
            return Sign.CHANGE if self.remedy in (Remedy.MAKE_AVAILABLE, Remedy.DECLARE_BAD) else Sign.REMOVE
        return _SIGNS[self.fate]

    @property
    def plan(self) -> str:
        """What a repair does, in words."""
        if self.remedy is None:
            return ""
        return f"{self.remedy.value}{f', {self.then}' if self.then else ''}"

    @property
    def action(self) -> Action:
        """The line of the plan."""
        what = "replica" if self.did is not None else "file"
        name = f"{self.did or shown(self.path or '')} at {self.rse}"
        return Action(self.sign, what, name, f"{self.why}; repair: {self.plan}" if self.plan else self.why)

    def as_json(self) -> JsonObject:
        """Return the line of ``--json``."""
        return {
            "sign": self.sign.value,
            "fate": self.fate.value,
            "rse": self.rse,
            "did": None if self.did is None else str(self.did),
            "path": None if self.path is None else shown(self.path),
            "why": self.why,
            "repair": self.plan or None,
        }


def shown(path: str) -> str:
    r"""Return a path as text of one line: bytes that are no UTF-8, and control characters, become ``\\xHH``."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
