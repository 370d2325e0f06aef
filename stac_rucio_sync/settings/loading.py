"""One frozen settings object, made once: flags over environment over settings file over a running lake over defaults.

The environment's prefix is ``STAC_RUCIO_SYNC_`` and ``__`` goes one level down
(``STAC_RUCIO_SYNC_DATABASE__URL``); the file is TOML. Nothing is read at import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings.items import Collection, Epn, Identity, Sync
from stac_rucio_sync.settings.operating import Log, Metrics, Watch
from stac_rucio_sync.settings.servers import S3, Dask, Database, Origins, Rucio
from stac_rucio_sync.settings.services import Datalink, Locality, Registry, Services, Soda, Tap

ENVIRONMENT_PREFIX = "STAC_RUCIO_SYNC_"


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
