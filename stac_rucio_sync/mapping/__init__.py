"""From a STAC item to all that Rucio and the tables should hold for it: pure functions, no input or output."""

from __future__ import annotations

from collections.abc import Mapping

from stac_rucio_sync.mapping.assets import map_assets
from stac_rucio_sync.mapping.epn import epn_row
from stac_rucio_sync.mapping.identifiers import container_did, dataset_did
from stac_rucio_sync.mapping.metadata import did_metadata
from stac_rucio_sync.mapping.obscore import obscore_row
from stac_rucio_sync.mapping.observed import observe
from stac_rucio_sync.mapping.science import science_assets
from stac_rucio_sync.model import EpnRow, Item, Measured, Wanted
from stac_rucio_sync.settings import Settings


def map_item(item: Item, settings: Settings, measured: Mapping[str, Measured], fingerprint: str) -> Wanted:
    """Return what should be held for an item.

    Parameters
    ----------
    item
        What `stac_rucio_sync.mapping.item.parse_item` returned.
    settings
        Names, collections, services.
    measured
        Sizes and checksums that were asked or read, by href.
    fingerprint
        What `stac_rucio_sync.mapping.fingerprint.fingerprint` returned for the item as it was read.

    Returns
    -------
    Wanted
        ``remarks`` tells what had to be left out, ``defaulted`` which columns hold a documented default.

    Raises
    ------
    ItemError
        The item has to be quarantined; the text says why.
    UsageError
        A fixed column in the settings is wrong.
    """
    did = dataset_did(item.key, settings)
    files, links = map_assets(item, settings, measured)
    science = science_assets(item, settings)
    observed = observe(item, settings, science)
    obscore = obscore_row(item, observed, did, files, science, settings)
    epn: EpnRow | None = None
    epn_defaulted: tuple[str, ...] = ()
    if observed.frame == "body":
        epn, epn_defaulted = epn_row(item, observed, obscore, files, links, science, settings)
    return Wanted(
        key=item.key,
        did=did,
        container=container_did(item.key.collection, settings),
        files=files,
        links=links,
        obscore=obscore,
        epn=epn,
        metadata=did_metadata(item, obscore, files, fingerprint),
        fingerprint=fingerprint,
        defaulted=(*observed.defaulted, *epn_defaulted),
        remarks=observed.remarks,
    )
