"""Items as pystac-client shows them, pystac objects and plain dicts alike: one shape to read and to write in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pystac

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.hrefs import absolute_href
from stac_rucio_sync.mapping.item import item_key
from stac_rucio_sync.model import Asset, Item, JsonObject
from stac_rucio_sync.settings import Settings


class SeenAsset:
    """An asset, to be changed in place.

    Attributes
    ----------
    key : str
        Its key in the item.
    fields : dict
        Its fields; of a pystac asset those that are no attributes.
    """

    __slots__ = ("_pystac", "fields", "key")

    def __init__(self, key: str, asset: pystac.Asset | JsonObject) -> None:
        self.key = key
        self._pystac = asset if isinstance(asset, pystac.Asset) else None
        self.fields: JsonObject = asset.extra_fields if isinstance(asset, pystac.Asset) else asset

    @property
    def href(self) -> str | None:
        """The href as it is written; None where there is none."""
        href = self._pystac.href if self._pystac is not None else self.fields.get("href")
        return href if isinstance(href, str) and href else None

    @href.setter
    def href(self, href: str) -> None:
        if self._pystac is not None:
            self._pystac.href = href
        else:
            self.fields["href"] = href

    @property
    def media_type(self) -> str | None:
        """The media type."""
        media_type = self._pystac.media_type if self._pystac is not None else self.fields.get("type")
        return media_type if isinstance(media_type, str) and media_type else None

    def as_asset(self) -> Asset:
        """Return the asset as the mapping takes it."""
        if self._pystac is not None:
            roles, title = self._pystac.roles, self._pystac.title
        else:
            roles, title = self.fields.get("roles"), self.fields.get("title")
        return Asset(
            key=self.key,
            href=self.href,
            media_type=self.media_type,
            roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
            title=title if isinstance(title, str) and title else None,
            stac=self.fields,
        )


class SeenItem:
    """An item, to be changed in place.

    Attributes
    ----------
    key : ItemKey
        What names it.
    assets : list of SeenAsset
        Its assets.
    properties : dict
        Its properties.
    """

    __slots__ = ("_item", "_mapped", "assets", "key", "properties")

    def __init__(self, item: pystac.Item | JsonObject, settings: Settings) -> None:
        self._item = item
        self._mapped: Item | None = None
        properties: Any
        assets: Any
        if isinstance(item, pystac.Item):
            self.key = item_key({"collection": item.collection_id, "id": item.id}, settings)
            properties, assets = item.properties, item.assets
        else:
            self.key = item_key(item, settings)
            properties, assets = item.get("properties"), item.get("assets")
        self.properties: JsonObject = properties if isinstance(properties, dict) else {}
        self.assets = [
            SeenAsset(key, asset)
            for key, asset in (assets.items() if isinstance(assets, dict) else ())
            if isinstance(asset, dict | pystac.Asset)
        ]

    def as_item(self) -> Item:
        """Return the item as the mapping takes it, not migrated: what the names and places of its assets need."""
        if self._mapped is None:
            self._mapped = Item(
                key=self.key,
                properties=self.properties,
                geometry=None,
                bbox=None,
                assets=tuple(asset.as_asset() for asset in self.assets),
                links=(),
                base_href=self._base_href(),
                extensions=(),
            )
        return self._mapped

    def _base_href(self) -> str | None:
        if isinstance(self._item, pystac.Item):
            return self._item.get_self_href()
        links = self._item.get("links")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str):
                return absolute_href(link["href"], None)
        return None

    def declared(self, family: str) -> list[str]:
        """Return the URIs of all versions of an extension that the item declares.

        Parameters
        ----------
        family
            What the URIs begin with.
        """
        return [uri for uri in self._extensions() if isinstance(uri, str) and uri.startswith(family)]

    def declare(self, uri: str, instead_of: str | None = None) -> None:
        """Add an extension; other versions that begin with ``instead_of`` go."""
        extensions = self._extensions()
        if instead_of is not None:
            extensions[:] = [
                one for one in extensions if one == uri or not (isinstance(one, str) and one.startswith(instead_of))
            ]
        if uri not in extensions:
            extensions.append(uri)

    def _extensions(self) -> list[Any]:
        if isinstance(self._item, pystac.Item):
            extensions: Any = self._item.stac_extensions
            if not isinstance(extensions, list):
                extensions = self._item.stac_extensions = []
        else:
            extensions = self._item.get("stac_extensions")
            if not isinstance(extensions, list):
                extensions = self._item["stac_extensions"] = []
        found: list[Any] = extensions
        return found


def items_in(found: object, settings: Settings) -> list[SeenItem]:
    """Return the items in what pystac-client hands to a modifier.

    A collection, a catalogue, a page of collections and anything else without items give none: their assets are not
    in the lake. What looks like an item and has no usable name is left out, as it cannot be in the lake either.

    Raises
    ------
    TypeError
        It is neither a dict nor an object of pystac.
    """
    return list(_items_in(found, settings))


def _items_in(found: object, settings: Settings) -> Iterator[SeenItem]:
    if isinstance(found, pystac.ItemCollection):
        candidates: list[Any] = list(found.items)
    elif isinstance(found, pystac.Item):
        candidates = [found]
    elif isinstance(found, dict):
        features = found.get("features")
        candidates = features if isinstance(features, list) else [found]
    elif isinstance(found, pystac.STACObject):
        return
    else:
        raise TypeError(f"a modifier takes objects of pystac and dicts, not {type(found).__name__}")
    for candidate in candidates:
        if isinstance(candidate, pystac.Item) or (isinstance(candidate, dict) and candidate.get("type") == "Feature"):
            try:
                yield SeenItem(candidate, settings)
            except ItemError:
                continue
