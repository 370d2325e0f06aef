"""How much of an item is at an RSE: six states, from the replicas of its files alone. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stac_rucio_sync.model import Did, ItemKey, JsonObject
from stac_rucio_sync.model.rules import LakeFile

_COPYING: Final = frozenset({"COPYING"})
_FAILED: Final = frozenset({"UNAVAILABLE", "TEMPORARY_UNAVAILABLE", "BAD"})


class State(StrEnum):
    """How much of an item is at an RSE."""

    COMPLETE = "COMPLETE"
    """All registered files that are asked for are available there."""
    PARTIAL = "PARTIAL"
    """Some are, and nothing is on its way."""
    COPYING = "COPYING"
    """Some are on their way, and none is stuck."""
    STUCK = "STUCK"
    """Some should be there and are not, and Rucio has given up for now."""
    NONE = "NONE"
    """None is there or on its way."""
    NOT_REGISTERED = "NOT REGISTERED"
    """The lake has no file of the item at all (of those that are asked for)."""


@dataclass(frozen=True, slots=True)
class ItemState:
    """One item at an RSE, or at the RSEs of an expression taken as one place."""

    key: ItemKey
    did: Did
    state: State
    available: int
    """Files that are there."""
    files: int
    """Registered files that are asked for."""
    links: int
    """Assets that are asked for and are no files: links only."""
    reasons: Mapping[Did, str] = field(default_factory=dict)
    """For every file that is stuck: why."""

    def __str__(self) -> str:
        """Say it in one line."""
        said = self.state.value
        if self.state is State.PARTIAL:
            said += f" ({self.available} of {self.files})"
        elif self.state in (State.COPYING, State.STUCK):
            said += f" ({self.available} of {self.files} are there)"
        return said + (f", {self.links} assets are links only" if self.links else "")

    def as_json(self) -> JsonObject:
        """Return what ``--json`` prints of it."""
        return {
            "collection": self.key.collection,
            "item": self.key.id,
            "did": str(self.did),
            "state": self.state.value,
            "available": self.available,
            "files": self.files,
            "links_only": self.links,
            "reasons": {str(did): reason for did, reason in self.reasons.items()},
        }


def state_of(
    key: ItemKey,
    did: Did,
    files: Sequence[LakeFile],
    assets: int,
    rses: frozenset[str],
    reasons: Mapping[Did, str] = {},
) -> ItemState:
    """Return how much of an item is at some RSEs.

    Parameters
    ----------
    key, did
        The item and its dataset.
    files
        Its registered files that are asked for.
    assets
        How many assets are asked for.
    rses
        The RSEs; a file is there if one of them has it.
    reasons
        What is known of files that are stuck.
    """
    stuck = {
        file.did: reasons.get(file.did) or f"Rucio says {_word(file, rses)}, and no rule that we may see says why"
        for file in files
        if is_stuck(file, rses)
    }
    available = sum(file.available_at(rses) for file in files)
    if not files:
        state = State.NOT_REGISTERED
    elif available == len(files):
        state = State.COMPLETE
    elif stuck:
        state = State.STUCK
    elif any(is_copying(file, rses) for file in files):
        state = State.COPYING
    else:
        state = State.PARTIAL if available else State.NONE
    return ItemState(key, did, state, available, len(files), max(0, assets - len(files)), stuck)


def is_stuck(file: LakeFile, rses: frozenset[str]) -> bool:
    """Tell whether a file should be at one of some RSEs, is at none, and is not on its way."""
    return not file.available_at(rses) and _has(file, rses, _FAILED) and not is_copying(file, rses)


def is_copying(file: LakeFile, rses: frozenset[str]) -> bool:
    """Tell whether a file is on its way to one of some RSEs."""
    return _has(file, rses, _COPYING)


def _has(file: LakeFile, rses: frozenset[str], states: Collection[str]) -> bool:
    return any(replica.rse in rses and replica.state in states for replica in file.replicas)


def _word(file: LakeFile, rses: frozenset[str]) -> str:
    return ", ".join(sorted({f"{one.state} at {one.rse}" for one in file.replicas if one.rse in rses}))
