"""What is served: the services of the Virtual Observatory, their limits, and what they say of themselves."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from stac_rucio_sync.settings.section import Section


class Services(Section):
    """Where the services listen, and what the addresses in the tables point to."""

    base_url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[!-~]+$")
    """Public base URL of the services; DataLink lies at ``{base_url}/datalink/links``."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default=2, ge=1, le=64)
    """Processes."""
    threads: int = Field(default=8, ge=1, le=256)
    """Requests that one process answers at a time."""
    title: str = Field(default="stac-rucio-sync", min_length=1, max_length=200)
    """Name of the archive, on the front page and in the descriptions of the services."""

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")


class Tap(Section):
    """TAP, and the limits of all queries."""

    maxrec: int = Field(default=20_000, ge=0)
    """Rows of a result where the query says nothing of MAXREC."""
    max_maxrec: int = Field(default=20_000_000, ge=1)
    """The most that MAXREC may be."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds that a synchronous query may take."""
    duration: int = Field(default=3600, ge=1)
    """Seconds that a job may take, unless its owner says otherwise."""
    max_duration: int = Field(default=14_400, ge=1)
    """The most that the owner of a job may say."""
    retention: int = Field(default=604_800, ge=60)
    """Seconds after which a job is destroyed, unless its owner says otherwise."""
    max_retention: int = Field(default=2_592_000, ge=60)
    """The most that the owner of a job may say."""
    jobs: int = Field(default=3, ge=1, le=64)
    """Jobs that one process runs at a time; where there are several, one client's are at most one less."""
    max_jobs: int = Field(default=10_000, ge=1)
    """Jobs that are kept at a time; those of one client are never more than there are places left."""
    show_jobs: bool = False
    """Whether the list of jobs shows everybody's."""
    query_bytes: int = Field(default=1_000_000, ge=1000)
    """The longest query."""
    upload_bytes: int = Field(default=100_000_000, ge=0)
    """The most that all tables uploaded with one query may hold."""
    upload_rows: int = Field(default=1_000_000, ge=0)
    """The most rows that one uploaded table may have."""
    upload_timeout: float = Field(default=60.0, gt=0)
    """Seconds that fetching an uploaded table by its URI may take."""
    allow_private_addresses: bool = False
    """Whether tables may be uploaded from loopback, private and link-local addresses."""
    results_folder: Path | None = None
    """Where results of jobs are kept; unset: below the user's folder of state."""
    results_bytes: int = Field(default=10_000_000_000, ge=1_000_000)
    """The most that all results of jobs may hold together; those of one client are never more than what is left."""

    @model_validator(mode="after")
    def _defaults_within_limits(self) -> Tap:
        for name, most in (("maxrec", "max_maxrec"), ("duration", "max_duration"), ("retention", "max_retention")):
            if getattr(self, name) > getattr(self, most):
                raise ValueError(f"{name} is above {most}")
        return self


class Coordinates(Section):
    """A point on Earth."""

    latitude: float = Field(ge=-90, le=90)
    """Degrees north."""
    longitude: float = Field(ge=-180, le=180)
    """Degrees east."""


class Locality(Section):
    """Where clients are, and which links they can open."""

    networks: dict[str, str] = Field(default_factory=dict)
    """CIDR to site: clients with an address there are at that site."""
    sites: dict[str, Coordinates] = Field(default_factory=dict)
    """Where sites lie whose RSEs do not say it, or that have none."""
    maxmind: Path | None = None
    """A file in MaxMind's format with locations of addresses."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDRs of our own proxies: only what they add to ``X-Forwarded-For`` is believed."""
    schemes: tuple[str, ...] = ("https", "http")
    """Schemes that clients open, the preferred first; ``davs`` is opened as ``https``, ``dav`` as ``http``."""
    gateways: dict[str, str] = Field(default_factory=dict)
    """RSE, or ``scheme://host[:port]`` of its links, to the URL prefix where HTTP clients find the same paths."""


class Datalink(Section):
    """The DataLink service."""

    max_ids: int = Field(default=10_000, ge=1)
    """IDs that one request may ask for; the first ones are answered."""
    body_bytes: int = Field(default=4_000_000, ge=1000)
    """The largest request."""


class Soda(Section):
    """Cut-outs: SODA, and the service of body-fixed maps."""

    site: str | None = None
    rse: str | None = None
    """Where the services are, by a site or by the RSE beside them: they read the copy that is nearest."""
    folders: dict[str, Path] = Field(default_factory=dict)
    """Beginning of the addresses of copies to the folder of this machine where the same paths lie."""
    allow_private_addresses: bool = False
    """Whether copies may be read from loopback, private and link-local addresses."""
    at_a_time: int = Field(default=6, ge=1)
    jobs: int = Field(default=1, ge=1, le=64)
    """What one process does at a time: cut-outs that clients wait for, and jobs."""
    output_bytes: int = Field(default=2_000_000_000, ge=1000)
    read_bytes: int = Field(default=4_000_000_000, ge=1000)
    timeout: float = Field(default=300.0, gt=0)
    """The most that one cut-out may have, may read of its file, and may take (seconds)."""
    max_cutouts: int = Field(default=1000, ge=1)
    """Cut-outs that one job may ask for."""


class Registry(Section):
    """What the records of the services say to the registries of the Virtual Observatory."""

    publisher: str | None = None
    """Who offers the services: the organisation's name."""
    publisher_id: str | None = Field(default=None, pattern=r"^ivo://[A-Za-z0-9][A-Za-z0-9._~-]{2,}(/[!-~]*)?$")
    """Its IVOA identifier, where it has one."""
    creators: tuple[str, ...] = ()
    """Who made what is offered."""
    contact_name: str | None = None
    contact_email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$")
    """Whom users and the registry write to."""
    subjects: tuple[str, ...] = ()
    """Concepts of the Unified Astronomy Thesaurus, e.g. ``sky-surveys``."""
    description: str | None = None
    """What is offered, in some sentences."""
    reference_url: str | None = Field(default=None, pattern=r"^https?://[!-~]+$")
    """A page about the archive; unset: the front page of the services."""
    created: date | None = None
    """Day of the first publication; unset: the day that a record is written."""
