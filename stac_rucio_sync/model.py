"""The words that sources, mapping, stores and jobs share. Nothing here does input or output.

An **Item** is what the catalogue says; **Wanted** is what Rucio and the tables should hold for it, computed by pure
functions; **Found** is what the last run recorded; the difference of the two is the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

JsonObject = dict[str, Any]
"""A JSON object as the parser gives it."""


class ItemKey(NamedTuple):
    """What names an item: an id alone does not, it repeats across collections."""

    collection: str
    id: str


class Did(NamedTuple):
    """A Rucio data identifier."""

    scope: str
    name: str

    def __str__(self) -> str:
        return f"{self.scope}:{self.name}"


# ---------------------------------------------------------------------------------------------- what sources yield


@dataclass(frozen=True, slots=True)
class ItemRead:
    """An item as it stands in the source, of any STAC version, not yet looked at."""

    stac: JsonObject
    href: str | None
    """Where the item itself was read, an absolute URL or path: relative hrefs start here. None: only its self link."""
    position: str
    """Where it stands, for people: ``file:line``, a URL."""


@dataclass(frozen=True, slots=True)
class ItemBroken:
    """Something that should have been an item and cannot be read; it is counted, and quarantined by its position."""

    position: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemRemoved:
    """The source itself says that this item is gone."""

    key: ItemKey


Change = ItemRead | ItemBroken | ItemRemoved
Cursor = JsonObject
"""Where a source stands, in its own words; stored as JSON, given back at the next run."""


# ------------------------------------------------------------------------------------------------ what mapping yields


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset of an item, defaults filled in; ``stac`` holds the object itself."""

    key: str
    href: str | None
    media_type: str | None
    roles: tuple[str, ...]
    title: str | None
    stac: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A STAC item migrated to STAC 1.1 and checked for what everything else relies on."""

    key: ItemKey
    properties: Mapping[str, Any]
    geometry: Mapping[str, Any] | None
    bbox: tuple[float, ...] | None
    assets: tuple[Asset, ...]
    links: tuple[Mapping[str, Any], ...]
    base_href: str | None
    """What relative hrefs are relative to (the self link, else where the item was read)."""
    extensions: tuple[str, ...]


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
class File:
    """An asset whose bytes can be registered: one file DID and one replica or more."""

    asset: str
    did: Did
    bytes: int
    adler32: str | None
    """8 hexadecimal digits, lower case."""
    md5: str | None
    """32 hexadecimal digits, lower case."""
    replicas: tuple[WantedReplica, ...]
    media_type: str | None
    roles: tuple[str, ...]
    title: str | None
    unverified_checksum: str | None = None
    """A checksum that the item states in a form that Rucio cannot hold or that proves nothing: kept as text."""
    science: bool = True
    """It is the data themselves (DataLink ``#this``), not a preview, a calibration or other company."""


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


class ObsCoreRow(NamedTuple):
    """A row of ``ivoa.obscore`` by the names, units and order of ObsCore 1.1 (tables 5 and 6), ours at the end.

    Angles in ICRS degrees, times in MJD (TT is not applied: UTC as the catalogue gives it), wavelengths in metres.
    """

    dataproduct_type: str | None
    dataproduct_subtype: str | None
    calib_level: int
    obs_collection: str
    obs_id: str
    obs_title: str | None
    obs_publisher_did: str
    obs_creator_did: str | None
    target_name: str | None
    access_url: str
    access_format: str
    access_estsize: int | None
    """kbyte."""
    s_ra: float | None
    s_dec: float | None
    s_fov: float | None
    s_region: str | None
    """STC-S, ``POLYGON ICRS ra dec ...`` or ``CIRCLE ICRS ra dec r``: xtype ``adql:REGION``."""
    s_resolution: float | None
    """arcsec."""
    s_xel1: int | None
    s_xel2: int | None
    t_min: float | None
    t_max: float | None
    t_exptime: float | None
    t_resolution: float | None
    t_xel: int | None
    em_min: float | None
    em_max: float | None
    em_res_power: float | None
    em_xel: int | None
    o_ucd: str | None
    pol_states: str | None
    """``/I/Q/`` as ObsCore 1.1 section B.6.6 writes it."""
    pol_xel: int | None
    facility_name: str | None
    instrument_name: str | None
    proposal_id: str | None
    publisher_id: str | None
    bib_reference: str | None
    data_rights: str | None
    """``public``, ``secure`` or ``proprietary``."""
    obs_release_date: str | None
    """ISO 8601, UTC, without a zone designator (DALI timestamp)."""
    s_polygon: tuple[float, ...] | None
    """DALI polygon: longitude, latitude, ... in degrees, counter-clockwise seen from the origin (inside)."""
    s_bound: tuple[float, float, float] | None
    """A circle (ra, dec, radius; degrees) that holds the whole footprint: what the index is on."""


class EpnRow(NamedTuple):
    """A row of ``epn.epn_core``: EPN-TAP 2.0 section 2, ours at the end.

    Body-fixed degrees: c1 longitude eastward 0-360 (c1min > c1max across the meridian), c2 latitude.
    Times are JD UTC, spectral ranges Hz.
    """

    granule_uid: str
    granule_gid: str
    obs_id: str
    dataproduct_type: str
    target_name: str
    target_class: str
    time_min: float | None
    time_max: float | None
    time_sampling_step_min: float | None
    time_sampling_step_max: float | None
    time_exp_min: float | None
    time_exp_max: float | None
    spectral_range_min: float | None
    spectral_range_max: float | None
    spectral_sampling_step_min: float | None
    spectral_sampling_step_max: float | None
    spectral_resolution_min: float | None
    spectral_resolution_max: float | None
    c1min: float | None
    c1max: float | None
    c2min: float | None
    c2max: float | None
    c3min: float | None
    c3max: float | None
    s_region: str | None
    """STC-S-like polygon, body-fixed degrees, counter-clockwise seen from outside."""
    c1_resol_min: float | None
    c1_resol_max: float | None
    c2_resol_min: float | None
    c2_resol_max: float | None
    c3_resol_min: float | None
    c3_resol_max: float | None
    spatial_frame_type: str
    incidence_min: float | None
    incidence_max: float | None
    emergence_min: float | None
    emergence_max: float | None
    phase_min: float | None
    phase_max: float | None
    instrument_host_name: str | None
    instrument_name: str | None
    measurement_type: str | None
    processing_level: int | None
    """1 telemetry, 2 raw, 3 calibrated, 5 derived, 6 ancillary (simplified CODMAC); None where nobody says."""
    creation_date: str
    modification_date: str
    release_date: str
    service_title: str
    access_url: str | None
    access_format: str | None
    access_estsize: int | None
    """kbyte."""
    access_md5: str | None
    datalink_url: str
    thumbnail_url: str | None
    file_name: str | None
    publisher: str | None
    bib_reference: str | None
    spatial_coordinate_description: str | None
    obs_publisher_did: str
    s_polygon: tuple[float, ...] | None
    s_bound: tuple[float, float, float] | None


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


# ------------------------------------------------------------------------------------------------ what stores hold


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
    """Files that could not be registered (no RSE for their origin) and stay links, with the reason."""


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


# ------------------------------------------------------------------------------------------------ what a run reports


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
            "defaulted": self.defaulted,
            "files": self.files,
            "replicas": self.replicas,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
            "complete": self.complete,
            "remarks": dict(sorted(self.remarks.items())),
        }
