"""The words that sources, mapping, stores and jobs share. Nothing here does input or output.

An **Item** is what the catalogue says; **Wanted** is what Rucio and the tables should hold for it, computed by pure
functions; **Found** is what the last run recorded; the difference of the two is the plan.
"""

from stac_rucio_sync.model.found import (
    Found,
    FoundFile,
    FoundState,
    Quarantined,
    ReadEnd,
    Registered,
    Replica,
    Rse,
    Settled,
)
from stac_rucio_sync.model.held import DidLink, Extent, Held, HeldFile, HeldItem, MirrorState, Place, Topology
from stac_rucio_sync.model.identity import Did, ItemKey, JsonObject
from stac_rucio_sync.model.read import Asset, Change, Cursor, Item, ItemBroken, ItemRead, ItemRemoved
from stac_rucio_sync.model.removal import Gone, Kept, Removable
from stac_rucio_sync.model.report import Fate, Report
from stac_rucio_sync.model.rows import EpnRow, ObsCoreRow
from stac_rucio_sync.model.run import Outcome, RunEnd, run_end
from stac_rucio_sync.model.uploads import Hashed, Uploaded, UploadFate
from stac_rucio_sync.model.wanted import File, LakePlace, Link, Measured, Wanted, WantedReplica

__all__ = [
    "Asset",
    "Change",
    "Cursor",
    "Did",
    "DidLink",
    "EpnRow",
    "Extent",
    "Fate",
    "File",
    "Found",
    "FoundFile",
    "FoundState",
    "Gone",
    "Hashed",
    "Held",
    "HeldFile",
    "HeldItem",
    "Item",
    "ItemBroken",
    "ItemKey",
    "ItemRead",
    "ItemRemoved",
    "JsonObject",
    "Kept",
    "LakePlace",
    "Link",
    "Measured",
    "MirrorState",
    "ObsCoreRow",
    "Outcome",
    "Place",
    "Quarantined",
    "ReadEnd",
    "Registered",
    "Removable",
    "Replica",
    "Report",
    "Rse",
    "RunEnd",
    "Settled",
    "Topology",
    "UploadFate",
    "Uploaded",
    "Wanted",
    "WantedReplica",
    "run_end",
]
