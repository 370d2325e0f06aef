"""ObsCore rows written per second, against the bare COPY and upsert statements."""

from __future__ import annotations
