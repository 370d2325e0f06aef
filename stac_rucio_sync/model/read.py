"""What sources yield, and an item once it is read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stac_rucio_sync.model.identity import ItemKey, JsonObject


@dataclass(frozen=True, slots=True)
class ItemRead:
    """An item as it stands in the source, of any STAC version, not yet looked at."""

    stac: JsonObject
    href: str | None
    """Where the item itself was read, an absolute URL or path: relative hrefs start here. None: only its self link."""
    position: str
    """Where it stands, for people: ``file:line``, a URL."""
    commit: str | None = None
    """In a source with a history: the commit that made the item what it is."""


@dataclass(frozen=True, slots=True)
class ItemBroken:
    """Something that should have been an item and cannot be read; it is counted, and quarantined by its position."""

    position: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemRemoved:
    """The source itself says that this item is gone."""

    key: ItemKey


Change = ItemRead | ItemBroken | ItemRemoved
Cursor = JsonObject
"""Where a source stands, in its own words; stored as JSON, given back at the next run."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset of an item, defaults filled in; ``stac`` holds the object itself."""

    key: str
    href: str | None
    media_type: str | None
    roles: tuple[str, ...]
    title: str | None
    stac: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A STAC item migrated to STAC 1.1 and checked for what everything else relies on."""

    key: ItemKey
    properties: Mapping[str, Any]
    geometry: Mapping[str, Any] | None
    bbox: tuple[float, ...] | None
    assets: tuple[Asset, ...]
    links: tuple[Mapping[str, Any], ...]
    base_href: str | None
    """What relative hrefs are relative to (the self link, else where the item was read)."""
    extensions: tuple[str, ...]
    commit: str | None = None
    """As in `ItemRead`."""
