"""What the lake holds of an item, and where: what DataLink, SODA and the alternate assets are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stac_rucio_sync.model.found import Replica, Rse
from stac_rucio_sync.model.identity import Did, ItemKey
from stac_rucio_sync.model.wanted import Link


@dataclass(frozen=True, slots=True)
class Held:
    """What Rucio holds of one file."""

    bytes: int | None = None
    adler32: str | None = None
    md5: str | None = None
    pfns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By RSE, without default ports."""
    states: Mapping[str, str] = field(default_factory=dict)
    """By RSE."""
    parents: tuple[str, ...] = ()
    """``scope:name`` of all collections above, when asked for."""


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of an item with all its replicas, in no order."""

    asset: str
    """Its key in the item; of no collection: its DID."""
    did: Did
    bytes: int
    adler32: str | None
    md5: str | None
    media_type: str | None
    roles: tuple[str, ...]
    title: str | None
    science: bool
    replicas: tuple[Replica, ...]


@dataclass(frozen=True, slots=True)
class DidLink:
    """A link that the metadata of a DID name under ``datalinks``."""

    access_url: str
    semantics: str | None
    description: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Extent:
    """What a data product covers, as its row of ObsCore or EPN-TAP has it; None where that does not say."""

    is_sky: bool
    """ICRS; else longitude and latitude of a body."""
    polygon: tuple[float, ...] | None = None
    """The footprint: longitude, latitude, longitude … in degrees."""
    circle: tuple[float, float, float] | None = None
    """One around the footprint: longitude, latitude, radius in degrees."""
    box: tuple[float, float, float, float] | None = None
    """Of a body: west, south, east, north in degrees; it crosses the antimeridian where west is above east."""
    band: tuple[float, float] | None = None
    """Wavelengths in metres."""
    channels: int | None = None
    time: tuple[float, float] | None = None
    """Modified Julian Dates."""
    moments: int | None = None
    states: tuple[str, ...] = ()
    """Of polarization, in the words of ObsCore."""


@dataclass(frozen=True, slots=True)
class HeldItem:
    """An item as the last run left it: its files, and the assets and links that are no files."""

    key: ItemKey
    """No collection: a user of Rucio described the DID, which is the id. Both are empty where nothing but its
    ``did_links`` is known."""
    did: Did
    """Its dataset; of no collection: the DID that was described, maybe a file."""
    obs_publisher_did: str
    dataproduct_type: str | None
    """The term of ObsCore; None where the item has no row."""
    files: tuple[HeldFile, ...]
    """In the order of their asset keys; only the file asked for, when a file was asked for."""
    links: tuple[Link, ...] = ()
    did_links: tuple[DidLink, ...] = ()
    extent: Extent | None = None
    """What it covers; None where it has no row, or that was not asked for."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The RSEs and how far Rucio declares them from each other."""

    rses: Mapping[str, Rse]
    distances: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (source RSE, destination RSE), in the unit of whoever declared them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client is, as far as it can be told. Degrees north and east; None: not known."""

    site: str | None = None
    rse: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    told_by: str = "nothing"
    """How we know, in words for people: ``SITE``, ``LAT and LON``, ``the network 192.0.2.0/24`` ..."""


@dataclass(frozen=True, slots=True)
class MirrorState:
    """How far the mirror of replicas follows Rucio; all None where nobody watches."""

    last_poll: datetime | None = None
    """When Rucio answered last (UTC)."""
    last_full: datetime | None = None
    """When the whole mirror was compared last (UTC)."""
    rucio_ok: bool | None = None
    """Whether Rucio answered when it was asked last."""
    rucio_said: str | None = None
    """What it said, or failed to say, where it did not answer."""
    since: datetime | None = None
    """Since when ``rucio_ok`` is what it is (UTC)."""
    polled_to: datetime | None = None
    """By Rucio's clock: what changed before is in the mirror (UTC)."""
