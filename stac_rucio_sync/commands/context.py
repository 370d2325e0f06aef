"""What every command starts from: the settings, and the stores that they lead to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click

from stac_rucio_sync.lake import running_settings
from stac_rucio_sync.logs import configure, new_id
from stac_rucio_sync.settings import Settings, load_settings
from stac_rucio_sync.stores.tables.store import PostgresStore


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before the command's name."""

    settings_file: Path | None
    lake_home: Path | None

    def settings(self, flags: dict[str, Any] | None = None) -> Settings:
        """Load the settings: flags, environment, file, then the lake that is running, if one is; log as they say."""
        settings = load_settings(self.settings_file, running_settings(self.lake_home), flags)
        configure(settings.log.format, settings.log.level, _run(os.getpid()))
        return settings


@cache
def _run(_process: int) -> str:
    """Return the id of what a process does: the command's name, and what tells its runs apart."""
    context = click.get_current_context(silent=True)
    command = context.info_name if context is not None else None
    return f"{command or 'run'}-{new_id()[:8]}"


@contextmanager
def open_tables(settings: Settings) -> Iterator[PostgresStore]:
    """Open the database for one command."""
    store = PostgresStore.open(settings.database_url())
    try:
        yield store
    finally:
        store.close()
