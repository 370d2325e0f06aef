"""Alternate assets as the extension writes them (alternate-assets 1.2, with file 2.1 and storage 2.0)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stac_rucio_sync.alternates.choice import Choice, Shown
from stac_rucio_sync.alternates.seen import SeenAsset, SeenItem
from stac_rucio_sync.locality import Ranked
from stac_rucio_sync.mapping.checksums import md5_multihash, stated_checksums
from stac_rucio_sync.mapping.hrefs import Location, replica_url
from stac_rucio_sync.mapping.lake_assets import ACCESS_PREFIXES, ORIGIN_MARK, REPLICA_MARK
from stac_rucio_sync.model import Did, HeldFile, HeldItem, JsonObject
from stac_rucio_sync.settings import Settings

LOG = logging.getLogger(__name__)

_HOME: Final = "https://stac-extensions.github.io/"
ALTERNATE_ASSETS: Final = _HOME + "alternate-assets/v1.2.0/schema.json"
FILE: Final = _HOME + "file/v2.1.0/schema.json"
STORAGE: Final = _HOME + "storage/v2.0.0/schema.json"
STATE: Final = "rucio:state"
NAME: Final = "alternate:name"
ORIGIN: Final = "origin"
"""Key and name of an asset's own place where the nearest replica took it."""

_WRITTEN: Final = frozenset({"href", NAME, REPLICA_MARK, STATE, "file:size", "file:checksum"})

Order = Mapping[Did, Sequence[Ranked]]
"""The replicas of files, nearest first."""


def write_alternates(item: SeenItem, held: HeldItem, order: Order, choice: Choice, settings: Settings) -> bool:
    """Write the replicas of an item's files into its assets, nearest first.

    Every shown replica has an entry in ``alternate``, that at the asset's own address too: so the order is whole.
    Entries that are the item's own stay behind them.

    Parameters
    ----------
    item
        The item, changed in place.
    held
        What the lake holds of it.
    order
        The order of the replicas of each file.
    choice
        Which of them are shown.
    settings
        By them the item's own addresses are compared with those of replicas.

    Returns
    -------
    bool
        Whether anything was written.
    """
    files = {file.asset: file for file in held.files}
    schemes = _StorageSchemes(item)
    written = False
    for asset in item.assets:
        file = files.get(asset.key)
        if file is not None and _is_sound(asset, file, item):
            written |= _Alternates(asset, file, item, settings).write(order[file.did], choice, schemes)
    if written:
        item.declare(ALTERNATE_ASSETS, instead_of=_HOME + "alternate-assets/")
        if not item.declared(_HOME + "file/"):
            item.declare(FILE)
        if schemes.used:
            item.declare(STORAGE)
    return written


def _is_sound(asset: SeenAsset, file: HeldFile, item: SeenItem) -> bool:
    """Tell whether the asset's bytes are the lake's, by what it states of them; alternates are of the same bytes."""
    size, stated = asset.fields.get("file:size"), stated_checksums(asset.fields)
    if not isinstance(size, int | float):
        size = None
    pairs = ((size, file.bytes), (stated.md5, file.md5), (stated.adler32, file.adler32))
    if any(one is not None and other is not None and one != other for one, other in pairs):
        LOG.warning(
            "asset %s of item %s in %s states another size or checksum than %s in the lake: no alternates are written",
            asset.key,
            item.key.id,
            item.key.collection,
            file.did,
        )
        return False
    return isinstance(asset.fields.get("alternate", {}), dict)


class _Alternates:
    """The alternates of one asset: what stands there, and what is written."""

    def __init__(self, asset: SeenAsset, file: HeldFile, item: SeenItem, settings: Settings) -> None:
        self._asset, self._file, self._item, self._settings = asset, file, item, settings
        _move_back(asset)
        self._rses = {replica.pfn: replica.rse for replica in file.replicas}
        self._own: JsonObject = {}
        """Entries of the item's own, which stay."""
        self._ours: dict[str, JsonObject] = {}
        """Entries that were written here before, by RSE."""
        self._fields: dict[str, Mapping[str, Any]] = {}
        """What the item says of places that are replicas, by RSE."""
        self._primary = self._rse_at(asset.href, asset.fields)
        if self._primary is not None:
            self._fields[self._primary] = asset.fields
        for key, entry in asset.fields.get("alternate", {}).items():
            self._sort(key, entry)

    def _sort(self, key: str, entry: Any) -> None:  # noqa: ANN401 - whatever JSON holds
        # stac-rucio writes the bare address where the extension wants an object.
        fields = {"href": entry} if isinstance(entry, str) else entry
        if not isinstance(fields, dict):
            self._own[key] = fields
            return
        marked = fields.get(REPLICA_MARK)
        rse = marked if isinstance(marked, str) else self._rse_at(fields.get("href"), fields)
        if rse is not None:
            self._fields.setdefault(rse, fields)
        is_ours = marked is not None or rse == key or (isinstance(entry, str) and key in self._rses.values())
        if is_ours:
            self._ours[rse or key] = fields
        else:
            self._own[key] = fields

    def _rse_at(self, href: Any, fields: Mapping[str, Any]) -> str | None:  # noqa: ANN401 - whatever JSON holds
        """Return the RSE whose replica lies at an address of the item."""
        if not isinstance(href, str) or not href:
            return None
        if href in self._rses:
            return self._rses[href]
        found = replica_url(href, fields, self._asset.media_type, self._item.as_item(), self._settings)
        return self._rses.get(found.pfn) if isinstance(found, Location) else None

    def write(self, ranked: Sequence[Ranked], choice: Choice, schemes: _StorageSchemes) -> bool:
        """Write; return whether anything was to be written."""
        shown = choice.shown(ranked)
        if not shown and not self._ours:
            return False
        entries = {one.ranked.replica.rse: self._entry(one, schemes) for one in shown}
        nearest = choice.nearest(shown) if choice.prefer == "nearest" else None
        if self._primary in entries:
            self._asset.fields.setdefault(NAME, self._primary)
        if nearest is not None:
            self._move_to(nearest.ranked.replica.rse, entries)
        alternates = {self._free(rse): entry for rse, entry in entries.items()} | self._own
        if alternates:
            self._asset.fields["alternate"] = alternates
        else:
            del self._asset.fields["alternate"]
        return bool(entries)

    def _entry(self, shown: Shown, schemes: _StorageSchemes) -> JsonObject:
        replica, file = shown.ranked.replica, self._file
        there = self._fields.get(replica.rse)
        href, access = shown.href, _access(there or {})
        if href.startswith("s3:"):
            if there is None:
                href, access = schemes.address(href, replica.rse)
            elif isinstance(there.get("href"), str):
                href = there["href"]
            elif self._asset.href is not None:
                href = self._asset.href
        kept = {key: value for key, value in self._ours.get(replica.rse, {}).items() if key not in _WRITTEN}
        entry = {**kept, "href": href, NAME: replica.rse, **access, "file:size": file.bytes}
        if file.md5 is not None:
            entry["file:checksum"] = md5_multihash(file.md5)
        return entry | {REPLICA_MARK: replica.rse, STATE: replica.state}

    def _move_to(self, rse: str, entries: Mapping[str, JsonObject]) -> None:
        """Make a replica the asset's own place; the place that it had becomes an alternate."""
        asset, entry = self._asset, entries[rse]
        if self._primary == rse and _scheme(asset.href) == _scheme(entry["href"]):
            return
        if asset.href is not None:
            origin = {"href": asset.href, NAME: asset.fields.get(NAME, ORIGIN), **_access(asset.fields)}
            # An asset whose own place is in the lake says at which RSE, and is to say so again.
            self._own[_free(ORIGIN, self._own)] = origin | {ORIGIN_MARK: asset.fields.get(REPLICA_MARK, True)}
        for field in _access(asset.fields):
            del asset.fields[field]
        asset.href = entry["href"]
        asset.fields |= {NAME: rse, REPLICA_MARK: rse, **_access(entry)}

    def _free(self, rse: str) -> str:
        return _free(rse, self._own)


def _move_back(asset: SeenAsset) -> None:
    """Give an asset its own place again that a replica took."""
    alternates = asset.fields.get("alternate", {})
    for key, entry in alternates.items() if REPLICA_MARK in asset.fields else ():
        if isinstance(entry, dict) and ORIGIN_MARK in entry and isinstance(entry.get("href"), str):
            for field in (NAME, REPLICA_MARK, *_access(asset.fields)):
                asset.fields.pop(field, None)
            asset.href = entry["href"]
            asset.fields |= _access(entry)
            if isinstance(entry[ORIGIN_MARK], str):
                asset.fields[REPLICA_MARK] = entry[ORIGIN_MARK]
            if entry.get(NAME, ORIGIN) != ORIGIN:
                asset.fields[NAME] = entry[NAME]
            del alternates[key]
            return


class _StorageSchemes:
    """Says where ``s3://`` addresses lie: a scheme of the storage extension for each RSE."""

    def __init__(self, item: SeenItem) -> None:
        self._item = item
        self.used = False

    def address(self, pfn: str, rse: str) -> tuple[str, JsonObject]:
        """Return ``s3://bucket/key`` and its fields for Rucio's ``s3://host:port/bucket/key``.

        An item that speaks an older storage extension cannot hold such fields: it gets the address as Rucio has it.
        """
        server, _, path = pfn.removeprefix("s3://").partition("/")
        older = [uri for uri in self._item.declared(_HOME + "storage/") if uri != STORAGE]
        known = self._item.properties.get("storage:schemes", {})
        if older or not path or not isinstance(known, dict):
            return pfn, {}
        protocol = "http" if server.endswith(":80") else "https"
        platform = f"{protocol}://{server.removesuffix(':443').removesuffix(':80')}"
        scheme = {"type": "custom-s3", "platform": platform, "title": rse}
        name = rse if known.get(rse, scheme) == scheme else _free(rse, known)
        known[name] = scheme
        self._item.properties["storage:schemes"] = known
        self.used = True
        return f"s3://{path}", {"storage:refs": [name]}


def _free(key: str, taken: Mapping[str, Any]) -> str:
    """Return a key that nothing else has."""
    free, count = key, 1
    while free in taken:
        count += 1
        free = f"{key}-{count}"
    return free


def _access(fields: Mapping[str, Any]) -> JsonObject:
    return {field: value for field, value in fields.items() if field.startswith(ACCESS_PREFIXES)}


def _scheme(href: str | None) -> str:
    return (href or "").partition(":")[0].lower()
