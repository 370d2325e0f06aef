"""What every command starts from: the settings, and the stores that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stac_rucio_sync.lake import running_settings
from stac_rucio_sync.settings import Settings, load_settings
from stac_rucio_sync.stores.postgres import PostgresStore


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before the command's name."""

    settings_file: Path | None
    lake_home: Path | None

    def settings(self, flags: dict[str, Any] | None = None) -> Settings:
        """Load the settings: flags, environment, file, then the lake that is running, if one is."""
        return load_settings(self.settings_file, running_settings(self.lake_home), flags)


@contextmanager
def open_tables(settings: Settings) -> Iterator[PostgresStore]:
    """Open the database for one command."""
    store = PostgresStore.open(settings.database_url())
    try:
        yield store
    finally:
        store.close()
