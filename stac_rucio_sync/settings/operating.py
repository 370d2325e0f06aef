"""What operators look at: the mirror that is kept, logs, metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from stac_rucio_sync.settings.section import Section


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
