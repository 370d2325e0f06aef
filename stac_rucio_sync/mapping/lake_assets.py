"""Assets whose bytes lie in the lake already, and assets whose place a replica of the lake took for a reader.

``rucio:rse`` beside ``rucio:scope`` and ``rucio:name`` says of an asset's own href that it is where readers find a file
of the lake: an upload writes it so. What annotates items with replicas may put one in place of the href, too, with the
same mark; the place that the asset had is an alternate then, marked ``rucio:origin``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stac_rucio_sync.mapping.hrefs import NotAFile, absolute_href
from stac_rucio_sync.model import Asset, Did, LakePlace

REPLICA_MARK: Final = "rucio:rse"
"""Names the RSE in an alternate that stands for a replica in the lake, and in an asset whose href is a replica's."""
ORIGIN_MARK: Final = "rucio:origin"
"""Marks the alternate with an asset's own place where a replica took it; a text is the RSE that it lies at itself."""
ACCESS_PREFIXES: Final = ("auth:", "storage:")
"""Of fields that are of a place, not of the bytes."""
_NO_RSE: Final = "its rucio:rse is no name of an RSE"
_NO_NAME: Final = "it lies in the lake, by its rucio:rse, and no rucio:name says as which file"


def lake_place(asset: Asset, did: Did | NotAFile | None, base_href: str | None) -> LakePlace | NotAFile | None:
    """Return where an asset lies in the lake, by its own word; None: it does not say that it does.

    Parameters
    ----------
    asset
        With its own place, as `as_it_was` returns it.
    did
        What the asset says of its DID.
    base_href
        What a relative href is relative to.
    """
    if REPLICA_MARK not in asset.stac:
        return None
    rse = asset.stac[REPLICA_MARK]
    if not isinstance(rse, str) or not rse:
        return NotAFile(_NO_RSE)
    if isinstance(did, NotAFile):
        return did
    return NotAFile(_NO_NAME) if did is None else LakePlace(rse, absolute_href(asset.href, base_href))


def as_it_was(asset: Asset) -> Asset:
    """Return an asset with its own place, where a replica was put in place of it."""
    alternates = asset.stac.get("alternate")
    if REPLICA_MARK not in asset.stac or not isinstance(alternates, Mapping):
        return asset
    for key, entry in alternates.items():
        if isinstance(entry, Mapping) and ORIGIN_MARK in entry and isinstance(entry.get("href"), str):
            others = {name: other for name, other in alternates.items() if name != key}
            return replace(asset, href=entry["href"], stac=_moved_back(asset.stac, entry) | {"alternate": others})
    return asset


def _moved_back(fields: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if not name.startswith((REPLICA_MARK, *ACCESS_PREFIXES))}
    access = {name: value for name, value in entry.items() if name.startswith(ACCESS_PREFIXES)}
    mark = {REPLICA_MARK: entry[ORIGIN_MARK]} if isinstance(entry[ORIGIN_MARK], str) else {}
    return {**kept, "href": entry["href"], **access, **mark}
