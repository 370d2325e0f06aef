"""What mapping yields: all that Rucio and the tables should hold for one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stac_rucio_sync.model.identity import Did, ItemKey
from stac_rucio_sync.model.rows import EpnRow, ObsCoreRow


@dataclass(frozen=True, slots=True)
class Measured:
    """What reading a replica (or its HTTP header) told: never a guess."""

    bytes: int
    adler32: str | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class WantedReplica:
    """One place where the bytes of a file lie."""

    pfn: str
    """The URL that Rucio will give back, normalised as Rucio normalises it."""
    origin: str
    """``scheme://host:port`` with the scheme's default port written out: the key of its RSE."""
    needs_login: bool
    alternate: str | None
    """Key of the alternate-assets entry that it stands in; None for the asset's own href."""


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where a file lies in the lake, by the item's own word."""

    rse: str
    address: str | None
    """Where readers found it when the item was made; the lake may have moved it since."""


@dataclass(frozen=True, slots=True)
class File:
    """An asset whose bytes can be registered, or are in the lake: one file DID, and where its replicas are to be."""

    asset: str
    did: Did
    bytes: int
    adler32: str | None
    """8 hexadecimal digits, lower case."""
    md5: str | None
    """32 hexadecimal digits, lower case."""
    replicas: tuple[WantedReplica, ...]
    """The places that are to be registered: one or more, or none of a file in the lake."""
    media_type: str | None
    roles: tuple[str, ...]
    title: str | None
    unverified_checksum: str | None = None
    """A checksum that the item states in a form that Rucio cannot hold or that proves nothing: kept as text."""
    science: bool = True
    """It is the data themselves (DataLink ``#this``), not a preview, a calibration or other company."""
    in_lake: LakePlace | None = None
    """The lake holds it already under this DID: nothing is registered, and Rucio's replicas are taken as they are."""


@dataclass(frozen=True, slots=True)
class Link:
    """An asset, or a link of the item, that stays a link; ``reason`` says why an asset cannot be a file."""

    name: str
    """The asset's key, or ``link:N`` for the item's own links (N counts from 0)."""
    href: str | None
    """Absolute; None where the item gives none."""
    rel: str | None
    """The relation of an item's link; None for an asset."""
    media_type: str | None
    roles: tuple[str, ...]
    title: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that Rucio and the tables should hold for one item."""

    key: ItemKey
    did: Did
    """The item's dataset."""
    container: Did
    """The collection's container."""
    files: tuple[File, ...]
    links: tuple[Link, ...]
    obscore: ObsCoreRow
    epn: EpnRow | None
    """None for a sky item."""
    metadata: Mapping[str, Any]
    """Keys and JSON values of the item's DID, escaped for Rucio."""
    fingerprint: str
    defaulted: tuple[str, ...] = ()
    """Columns whose value is a documented default, not something that the item says."""
    remarks: tuple[str, ...] = ()
    """Sentences on what was left out and why (a footprint that is no polygon ...): reported, not fatal."""
