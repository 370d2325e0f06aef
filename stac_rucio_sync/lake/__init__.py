"""The embedded one-machine lake: PostgreSQL with pgSphere, a Rucio server, its daemons, a transfer agent."""

from stac_rucio_sync.lake.lake import Lake, running_settings

__all__ = ["Lake", "running_settings"]
