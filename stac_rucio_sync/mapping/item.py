"""From the JSON of an item, of any STAC version and any quality, to an `Item` that everything else can rely on.

Nothing is trusted: what is not JSON, not an item or of the wrong type in a field that the mapping reads ends in an
`ItemError` with a sentence, never in another exception.
"""

from __future__ import annotations

import re
import threading
import warnings
from typing import Any

import orjson
from pystac.serialization import identify_stac_object, migrate_to_latest

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.hrefs import absolute_href
from stac_rucio_sync.model import Asset, Item, ItemKey, ItemRead, JsonObject
from stac_rucio_sync.settings import Settings

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?([-.+].*)?", re.ASCII)
_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    type(None): "null",
}


_ONE_AT_A_TIME = threading.Lock()
"""Around pystac's migration, which warns of fields that it leaves as they are: warning filters are the process's."""


class _Owned(dict[str, Any]):
    """An object that is ours already: pystac's migration deep-copies what it is given, at half the time of a sync."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Owned:
        return self


def item_key(stac: JsonObject, settings: Settings) -> ItemKey:
    """Return what names an item; cheap, on the raw JSON.

    Parameters
    ----------
    stac
        The item as its source gives it.
    settings
        ``identity.default_collection`` is the collection of an item that names none.

    Raises
    ------
    ItemError
        The id or the collection is no usable text.
    """
    if not isinstance(stac, dict):
        raise ItemError(f"it is {_kind(stac)}, not a STAC item")
    collection = stac.get("collection")
    if collection is None or collection == "":
        collection = settings.identity.default_collection
    return ItemKey(_name("collection", collection), _name("id", stac.get("id")))


def parse_item(read: ItemRead, settings: Settings) -> Item:
    """Migrate an item to STAC 1.1 and check the types of what the mapping reads.

    An asset may lack its href. A ``bbox`` that is not four or six numbers counts as absent, since it only stands in
    for a missing geometry. ``read`` is left as it is.

    Raises
    ------
    ItemError
        It is not a STAC item, or a field has the wrong type; the text names the field.
    """
    key = item_key(read.stac, settings)
    stac = _migrated(_own_copy(read.stac))
    geometry = stac.get("geometry")
    if geometry is not None and not isinstance(geometry, dict):
        raise ItemError(f"geometry is {_kind(geometry)}, not an object or null")
    links = _links(stac["links"])
    return Item(
        key=key,
        properties=stac["properties"],
        geometry=geometry,
        bbox=_bbox(stac.get("bbox")),
        assets=tuple(_asset(name, asset) for name, asset in stac["assets"].items()),
        links=links,
        base_href=_base_href(links, read.href),
        extensions=tuple(extension for extension in stac["stac_extensions"] if isinstance(extension, str)),
        commit=read.commit,
    )


def _kind(value: object) -> str:
    return _JSON_NAMES.get(type(value), f"a {type(value).__name__}")


_NAMELESS = "without it the item has no name"


def _name(field: str, value: object) -> str:
    if not isinstance(value, str):
        what = f"missing: {_NAMELESS}" if value is None else f"{_kind(value)} ({str(value)[:40]}), not a text"
        raise ItemError(f"{field} is {what}")
    if not value.strip():
        raise ItemError(f"{field} is empty: {_NAMELESS}")
    if "\0" in value:
        raise ItemError(f"{field} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ItemError(f"{field} holds half a surrogate pair, which is no character") from error
    return value


def _own_copy(stac: JsonObject) -> _Owned:
    """Copy through canonical JSON: five times as quick as a deep copy, and what is no JSON is found here."""
    try:
        copy: JsonObject = orjson.loads(orjson.dumps(stac))
    except (TypeError, ValueError, RecursionError) as error:
        raise ItemError(f"it cannot be written as JSON: {error}") from error
    return _Owned(copy)


def _migrated(stac: _Owned) -> JsonObject:
    if stac.get("type") != "Feature":
        raise ItemError(f"type is {_shown(stac.get('type'))}, not 'Feature': it is no STAC item")
    version = stac.get("stac_version")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ItemError(f"stac_version is {_shown(version)}: it is no STAC item")
    for field, expected in (("properties", dict), ("assets", dict), ("links", list), ("stac_extensions", list)):
        if stac.get(field) is None and field != "properties":
            stac[field] = expected()
        if not isinstance(stac.get(field), expected):
            raise ItemError(f"{field} is {_kind(stac.get(field))}, not {_JSON_NAMES[expected]}")
    for name, asset in stac["assets"].items():
        if not isinstance(asset, dict):
            raise ItemError(f"asset '{name}' is {_kind(asset)}, not an object")
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            migrated: JsonObject = migrate_to_latest(stac, identify_stac_object(stac))
    except Exception as error:  # pystac's migrations raise whatever odd old JSON makes them raise
        raise ItemError(f"it cannot be migrated from STAC {version} ({type(error).__name__}: {error})") from error
    return migrated


def _shown(value: object) -> str:
    return f"'{value[:40]}'" if isinstance(value, str) else _kind(value)


def _asset(name: str, asset: JsonObject) -> Asset:
    href = asset.get("href")
    if href is not None and not isinstance(href, str):
        raise ItemError(f"asset '{name}' has {_kind(href)} as its href, not a text")
    roles = asset.get("roles")
    if isinstance(roles, str):
        roles = [roles]
    elif roles is None:
        roles = []
    elif not isinstance(roles, list):
        raise ItemError(f"asset '{name}' has {_kind(roles)} as its roles, not a list")
    media_type, title = asset.get("type"), asset.get("title")
    return Asset(
        key=name,
        href=href or None,
        media_type=media_type if isinstance(media_type, str) and media_type else None,
        roles=tuple(role for role in roles if isinstance(role, str)),
        title=title if isinstance(title, str) and title else None,
        stac=asset,
    )


def _links(links: list[Any]) -> tuple[JsonObject, ...]:
    for number, link in enumerate(links):
        if not isinstance(link, dict):
            raise ItemError(f"link {number} is {_kind(link)}, not an object")
        for field in ("href", "rel"):
            if not isinstance(link.get(field, ""), str | None):
                raise ItemError(f"link {number} has {_kind(link[field])} as its {field}, not a text")
    return tuple(links)


def _base_href(links: tuple[JsonObject, ...], read_href: str | None) -> str | None:
    """Return the self link, itself resolved against where the item was read, else that place."""
    for link in links:
        if link.get("rel") == "self" and link.get("href"):
            return absolute_href(link["href"], read_href) or read_href
    return read_href


def _bbox(bbox: object) -> tuple[float, ...] | None:
    if not isinstance(bbox, list) or len(bbox) not in {4, 6}:
        return None
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in bbox):
        return None
    return tuple(float(edge) for edge in bbox)
