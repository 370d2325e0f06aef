"""One frozen settings object, made once: flags over environment over settings file over a running lake over defaults.

The environment's prefix is ``STAC_RUCIO_SYNC_`` and ``__`` goes one level down
(``STAC_RUCIO_SYNC_DATABASE__URL``); the file is TOML. Nothing is read at import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.sections import Dask, Log, Metrics, Registry, Section

ENVIRONMENT_PREFIX = "STAC_RUCIO_SYNC_"


class Database(Section):
    """The PostgreSQL database with pgSphere."""

    url: SecretStr | None = None
    """``postgresql://`` URL of the role that the sync writes as."""
    admin_url: SecretStr | None = None
    """URL of a role that may create schemas and roles: for ``db apply`` only."""
    reader_url: SecretStr | None = None
    """URL of the role that the services read as."""
    query_url: SecretStr | None = None
    """URL of the role that users' queries run as: it can only read what is published."""
    jobs_url: SecretStr | None = None
    """URL of the role that the services keep jobs and uploaded tables with."""


class Rucio(Section):
    """The Rucio server, by the client's own configuration file."""

    config: Path | None = None
    """A rucio.cfg with any ``auth_type`` of Rucio's client; unset: what ``RUCIO_CONFIG`` names."""
    account: str | None = None
    metadata: Literal["json", "postgres"] = "json"
    """The server's metadata plugin: Rucio's own JSON one, or the external PostgreSQL one."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds that one request may take."""
    attempts: int = Field(default=6, ge=1)
    """How often a transient failure is met with another try."""


class Origins(Section):
    """Which RSE stands for which origin of files.

    In the file, ``[origins]`` holds ``create`` and, beside it, one line an origin:
    ``"https://host" = "RSE"``.
    """

    create: bool = False
    """Make an RSE for an origin that no line names, where the account may."""
    rses: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_origins(cls, section: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if not isinstance(section, dict):
            return section
        rses = dict(section.get("rses", {}))
        rses.update({key: value for key, value in section.items() if "://" in key})
        return {key: value for key, value in section.items() if "://" not in key} | {"rses": rses}


class Identity(Section):
    """How items and assets are named outside STAC."""

    authority: str = Field(default="stac-rucio-sync.invalid", pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{2,}$")
    """The IVOA naming authority of the archive. The default says by its name that none is registered."""
    path: str = Field(default="lake", pattern=r"^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$")
    scope: str = Field(default="stac", pattern=r"^[a-zA-Z_\-.0-9]{1,25}$")
    """Rucio scope of collections that name none of their own."""
    template: str | None = None
    """File names by a template (``{collection}``, ``{item}``, ``{asset}``), e.g. stac-rucio's ``{item}_{asset}``."""
    default_collection: str = "items"
    """The collection of items that have none."""


class Collection(Section):
    """What the settings say of one collection; whatever is unset follows the item."""

    scope: str | None = Field(default=None, pattern=r"^[a-zA-Z_\-.0-9]{1,25}$")
    frame: Literal["sky", "body"] | None = None
    """``sky``: the geometry is ICRS (longitude = RA). Unset: body-fixed unless the item has s_ra and s_dec."""
    target_name: str | None = None
    calib_level: int | None = Field(default=None, ge=0, le=4)
    dataproduct_type: str | None = None
    science_roles: tuple[str, ...] | None = None
    """Asset roles that make an asset the data themselves."""
    template: str | None = None
    columns: dict[str, str | int | float] = Field(default_factory=dict)
    """Fixed ObsCore columns."""
    epn_columns: dict[str, str | int | float] = Field(default_factory=dict)
    """Fixed EPN-TAP columns."""


class S3(Section):
    """Where ``s3://bucket/key`` lies when the item does not say."""

    endpoints: dict[str, str] = Field(default_factory=dict)
    """Bucket (or ``*``) to ``https://host[:port]``."""


class Sync(Section):
    """The job."""

    sizes: Literal["item", "head", "stream"] = "item"
    batch_items: int = Field(default=500, ge=1, le=500)
    workers: int = Field(default=1, ge=1, le=32)
    on_changed_content: Literal["new", "quarantine"] = "new"
    connections_per_host: int = Field(default=4, ge=1, le=64)
    """How many requests for sizes one host gets at a time."""
    allow_private_addresses: bool = False
    """Whether sizes may be asked from loopback, private and link-local addresses."""


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


class Watch(Section):
    """The mirror of Rucio's replicas, as ``watch`` keeps it."""

    poll: float = Field(default=5.0, gt=0)
    """Seconds between two looks at Rucio."""
    files: int = Field(default=2_000, ge=1)
    """Files that one look compares of those that nothing was heard of."""
    host: str = "127.0.0.1"
    """Address that Hermes sends its events to."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port for the events of Hermes; unset: none are taken, and deletions show when their files' turn comes."""
    token: SecretStr | None = None
    """What the events' sender must present, when set."""


class Epn(Section):
    """The EPN-TAP table."""

    schema_name: str = Field(default="epn", alias="schema", pattern=r"^[a-z_][a-z0-9_]*$")
    """Its schema, which is also every row's ``service_title``."""


class Settings(BaseSettings):
    """All settings of the library and the command line."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    database: Database = Database()
    rucio: Rucio = Rucio()
    origins: Origins = Origins()
    identity: Identity = Identity()
    collections: dict[str, Collection] = Field(default_factory=dict)
    s3: S3 = S3()
    sync: Sync = Sync()
    services: Services = Services()
    epn: Epn = Epn()
    tap: Tap = Tap()
    locality: Locality = Locality()
    datalink: Datalink = Datalink()
    soda: Soda = Soda()
    watch: Watch = Watch()
    dask: Dask = Dask()
    log: Log = Log()
    metrics: Metrics = Metrics()
    registry: Registry = Registry()

    def collection(self, collection_id: str) -> Collection:
        """Return what the settings say of a collection (an empty section where they say nothing)."""
        return self.collections.get(collection_id, _NO_COLLECTION)

    def database_url(self) -> str:
        """Return the sync's database URL.

        Raises
        ------
        UsageError
            None is configured and no lake is running.
        """
        if self.database.url is None:
            raise UsageError(
                "no database: start the embedded lake (stac-rucio-sync lake up), or set [database] url in the "
                f"settings file or {ENVIRONMENT_PREFIX}DATABASE__URL"
            )
        return self.database.url.get_secret_value()


_NO_COLLECTION = Collection()


def load_settings(
    file: Path | None = None, lake_settings: Path | None = None, flags: dict[str, Any] | None = None
) -> Settings:
    """Read the settings once.

    Parameters
    ----------
    file
        The operator's TOML file; default: what ``STAC_RUCIO_SYNC_SETTINGS`` names, if anything.
    lake_settings
        The file that a running lake wrote; it is asked last, so that real servers win over it.
    flags
        Nested values from the command line; they win over everything.

    Raises
    ------
    UsageError
        A file is missing or a field is wrong; the text names the field.
    """
    named = file or (
        Path(os.environ[ENVIRONMENT_PREFIX + "SETTINGS"]) if ENVIRONMENT_PREFIX + "SETTINGS" in os.environ else None
    )
    if named is not None and not named.is_file():
        raise UsageError(f"settings file {named} does not exist")
    files = [path for path in (named, lake_settings) if path is not None and path.is_file()]

    class _Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return (
                init_settings,
                env_settings,
                *(TomlConfigSettingsSource(settings_cls, toml_file=path) for path in files),
            )

    _refuse_misspelt_variables()
    try:
        return _Layered(**(flags or {}))
    except ValidationError as error:
        raise UsageError("; ".join(_sentence(dict(one)) for one in error.errors())) from None  # it holds what was given
    except (OSError, ValueError) as error:
        raise UsageError(f"settings ({' and '.join(map(str, files))}): {error}") from error


def _sentence(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    says = "there is no such setting (docs/settings.md has all)" if error["type"] == "extra_forbidden" else error["msg"]
    return f"setting {where}: {says}"


def _refuse_misspelt_variables() -> None:
    """Refuse variables that look like settings and name no section: nothing would come of them, without a word."""
    for name in os.environ:
        section, level, _ = name.removeprefix(ENVIRONMENT_PREFIX).partition("__")
        if name.startswith(ENVIRONMENT_PREFIX) and level and section.lower() not in Settings.model_fields:
            raise UsageError(f"{name} in the environment: there is no section {section.lower()} of the settings")
