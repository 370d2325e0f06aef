"""What every section of the settings is, and those that only operators need."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section: unknown keys are refused, so that a typing error cannot pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
