"""What is used: the database, Rucio, the origins of files, clusters of workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from stac_rucio_sync.settings.section import Section


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


class S3(Section):
    """Where ``s3://bucket/key`` lies when the item does not say."""

    endpoints: dict[str, str] = Field(default_factory=dict)
    """Bucket (or ``*``) to ``https://host[:port]``."""


class Dask(Section):
    """Dask clusters, and the jobs of ``--dask slurm``; what is unset there is as in dask-jobqueue's own settings."""

    wait: float = Field(default=300.0, gt=0)
    """Seconds that the first worker may take to come, and that a cluster may be without any."""
    jobs: int = Field(default=2, ge=1, le=10_000)
    """Jobs of workers."""
    cores: int | None = Field(default=None, ge=1)
    """Threads of one job."""
    memory: str | None = None
    """Memory of one job, e.g. ``8GiB``."""
    processes: int | None = Field(default=None, ge=1)
    """Processes that share the threads of one job."""
    walltime: str | None = None
    """The longest that one job may take, e.g. ``12:00:00``."""
    queue: str | None = None
    """Partition."""
    account: str | None = None
    interface: str | None = None
    """Network interface between the client and the workers, e.g. ``ib0``."""
    python: str | None = None
    """The workers' Python, e.g. one in a container; unset: the client's, at the same path."""
    directives: tuple[str, ...] = ()
    """Further ``#SBATCH`` lines."""
    prologue: tuple[str, ...] = ()
    """Lines of shell before a worker starts."""
    shared_folder: Path | None = None
    """A folder that client and workers share, for the keys of the run; unset: the home folder."""
