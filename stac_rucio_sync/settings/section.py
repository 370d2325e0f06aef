"""What every section of the settings is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section: unknown keys are refused, so that a typing error cannot pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")
