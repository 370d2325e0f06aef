"""Items of STAC 0.6 to 0.9 that leave properties to their collection (the commons extension)."""

from __future__ import annotations

import re

from pystac.cache import CollectionCache
from pystac.serialization import merge_common_properties

from stac_rucio_sync.model import JsonObject

_COMMONS = re.compile(r"0\.[6-9]\.\d+")


def may_have_commons(item: JsonObject) -> bool:
    """Tell whether an item may leave properties to its collection."""
    return _COMMONS.fullmatch(str(item.get("stac_version", "0.6.0"))) is not None


def with_commons(item: JsonObject, collection: JsonObject | None) -> JsonObject:
    """Fill in properties that an item leaves to its collection."""
    if collection is None or not may_have_commons(item):
        return item
    if isinstance(collection.get("properties"), dict) and isinstance(item.get("properties"), dict):
        named = item.setdefault("collection", collection.get("id"))
        if isinstance(named, str) and named == collection.get("id"):
            merge_common_properties(item, CollectionCache(cached_ids={named: collection}))
    return item
