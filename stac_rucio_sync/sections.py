"""What every section of the settings is, and those that only operators need."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section: unknown keys are refused, so that a typing error cannot pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


class Log(Section):
    """What is said on stderr while commands and services run."""

    format: Literal["text", "json"] = "text"
    """``json``: each line is one object, with the run or the request that it belongs to."""
    level: Literal["debug", "info", "warning", "error"] = "warning"


class Metrics(Section):
    """Figures of the services for Prometheus."""

    host: str = "127.0.0.1"
    """Address that they are shown at, below ``/metrics``."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port; unset: none are kept. It is never that of the services: what is public and what is not stays apart."""


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
