"""What a removal is about: an item that is gone from its source, and what of it may go from Rucio."""

from __future__ import annotations

from dataclasses import dataclass, field

from stac_rucio_sync.model.identity import Did, ItemKey


@dataclass(frozen=True, slots=True)
class Gone:
    """An item that its source no longer has, as the last run recorded it."""

    key: ItemKey
    did: Did
    """Its dataset."""
    metadata_keys: tuple[str, ...]
    """Keys that the sync wrote to the dataset's metadata."""
    files: tuple[Did, ...]
    shared: frozenset[Did] = frozenset()
    """Those of the files that other items have, too."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A DID that stays in Rucio although its item is gone, and why; ``reason`` names no single DID of an item."""

    did: Did
    reason: str


@dataclass(slots=True)
class Removable:
    """What of one gone item may be taken out of Rucio, and what stays."""

    gone: Gone
    container: Did
    detach: bool = True
    """The dataset leaves its container."""
    unused: list[Did] = field(default_factory=list)
    """Files that leave the dataset, because another item goes on having them."""
    replicas: list[tuple[Did, str]] = field(default_factory=list)
    """Replicas (file, RSE) at origins that are deleted."""
    kept: list[Kept] = field(default_factory=list)
