"""What the stores hold, and what passes between the job and them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stac_rucio_sync.model.identity import Did, ItemKey, JsonObject
from stac_rucio_sync.model.read import Cursor
from stac_rucio_sync.model.wanted import Link, Wanted


@dataclass(frozen=True, slots=True)
class Rse:
    """A Rucio storage element as locality sees it. Degrees; None where the RSE does not say."""

    rse: str
    deterministic: bool
    rse_type: str
    """``DISK`` or ``TAPE``."""
    available_read: bool
    site: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    origin: str | None = None
    """``scheme://host:port`` for an origin RSE."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as Rucio tells it: the row of our mirror."""

    did: Did
    rse: str
    pfn: str
    state: str
    """Rucio's word: AVAILABLE, UNAVAILABLE, COPYING, BEING_DELETED, BAD, TEMPORARY_UNAVAILABLE."""
    needs_login: bool = False


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that the last run recorded for an asset."""

    asset: str
    did: Did
    bytes: int
    adler32: str | None
    md5: str | None
    pfns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the last run recorded for one item."""

    key: ItemKey
    source: str
    fingerprint: str
    did: Did
    metadata_keys: tuple[str, ...]
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class FoundState:
    """What the last runs recorded for a batch of keys."""

    items: Mapping[ItemKey, Found]
    quarantined: Mapping[ItemKey, str]
    """Fingerprint with which an item went to quarantine: the same again needs no second try."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What Rucio answered for one item: the replicas as read back, or the reason why it was refused."""

    key: ItemKey
    replicas: tuple[Replica, ...] = ()
    refused: str | None = None
    """The sentence that says why Rucio does not hold what is wanted; the item goes to quarantine with it."""
    links: tuple[Link, ...] = ()
    """What Rucio cannot hold, with the reason: under the asset's key a file without any RSE, which stays a link; under
    ``asset#alternate`` (``asset#href``) one place of a file that is registered elsewhere."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An item that was set aside, with a reason that a person understands."""

    key: ItemKey | None
    """None: it could not even be named; then ``position`` tells it."""
    position: str
    reason: str
    fingerprint: str | None = None
    stac: JsonObject | None = None
    """The item itself, so that it can be tried again without its source."""
    href: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One item whose effects in Rucio are done: what was wanted and what Rucio answered."""

    wanted: Wanted
    registered: Registered


@dataclass(frozen=True, slots=True)
class ReadEnd:
    """The end of a read, committed with its last batch."""

    cursor: Cursor | None
    complete: bool
    """Read to the end, unfiltered: what was not met is gone from the source."""
    started: datetime
    """When the run began (UTC): what it did not touch since is older."""
