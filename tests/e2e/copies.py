"""An item of the archive with a copy of each of its files on three continents, made by rules of Rucio."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stac_rucio_sync.mapping.identifiers import dataset_did
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.watch import Rebuild
from tests.e2e.archive import Archive
from tests.lake.rest import LAKE_RSES, Account

COLLECTION: Final = "vo-images"


@dataclass(frozen=True)
class Copies:
    """The item, and where its files are."""

    archive: Archive
    item: dict[str, Any]
    """As it was synced: assets image and thumbnail are files, log is a link."""
    did: Did
    """Its dataset."""
    origin: str
    """The RSE that stands for the origin; the files are there, too, and nobody knows where that is."""


def copied_item(archive: Archive) -> Copies:
    """Copy the files of an item to every RSE of the lake, and let the mirror know."""
    item = next(item for item in archive.items if item["collection"] == COLLECTION)
    did = dataset_did(ItemKey(COLLECTION, item["id"]), archive.settings)
    ingest = Account(Path(archive.lake.facts["accounts"]["ingest"]))
    rules = [ingest.add_rule(*did, rse) for rse in LAKE_RSES]
    for rule in rules:
        ingest.wait_for_rule(rule, "OK")
    rebuild_mirror(archive)
    ((origin,),) = archive.query("SELECT rse FROM lake.rse WHERE origin = %s", archive.lake.facts["origin_url"])
    return Copies(archive, item, did, origin)


def rebuild_mirror(archive: Archive) -> None:
    """Let the mirror know what Rucio knows now."""
    url = archive.settings.database_url()
    with closing(RucioWatch(archive.settings)) as rucio, closing(MirrorWrites.open(url)) as mirror:
        Rebuild(rucio, mirror).run()
