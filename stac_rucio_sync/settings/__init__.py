"""Every setting, once: `load_settings` makes the one frozen object, and each section is a class of its own."""

from stac_rucio_sync.settings.items import Collection, Epn, Identity, Sync
from stac_rucio_sync.settings.loading import ENVIRONMENT_PREFIX, Settings, load_settings
from stac_rucio_sync.settings.operating import Log, Metrics, Watch
from stac_rucio_sync.settings.servers import S3, Dask, Database, Origins, Rucio
from stac_rucio_sync.settings.services import Coordinates, Datalink, Locality, Registry, Services, Soda, Tap

__all__ = [
    "ENVIRONMENT_PREFIX",
    "S3",
    "Collection",
    "Coordinates",
    "Dask",
    "Database",
    "Datalink",
    "Epn",
    "Identity",
    "Locality",
    "Log",
    "Metrics",
    "Origins",
    "Registry",
    "Rucio",
    "Services",
    "Settings",
    "Soda",
    "Sync",
    "Tap",
    "Watch",
    "load_settings",
]
