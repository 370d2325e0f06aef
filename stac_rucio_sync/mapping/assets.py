"""The assets of an item as files with replicas, and as links with the reason why they cannot be files.

An asset is a file where its size is known and one of its places, the primary href or an entry of ``alternate``
(alternate-assets extension 1.0 to 1.2), can be held by Rucio. Every place that Rucio cannot hold stays a link: the
primary href under the asset's key, an alternate under ``asset#alternate``. An asset that says where it lies in the lake
is a file there, and its href no place of origin (`lake_assets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.checksums import Checksums, stated_checksums
from stac_rucio_sync.mapping.hrefs import Location, NotAFile, absolute_href, replica_url
from stac_rucio_sync.mapping.identifiers import file_did, is_rucio_name, is_rucio_scope, suffix_of
from stac_rucio_sync.mapping.lake_assets import REPLICA_MARK, as_it_was, lake_place
from stac_rucio_sync.mapping.science import science_assets
from stac_rucio_sync.model import Asset, Did, File, Item, LakePlace, Link, Measured, WantedReplica
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS
from stac_rucio_sync.settings import Settings

_LARGEST_SIZE: Final = 2**63 - 1
_SIZE_UNKNOWN: Final = "its size is unknown: --sizes head or --sizes stream asks for it"
_SIZE_NOT_TOLD: Final = "its size is unknown: neither the item tells it, nor its origin where that was asked"
_SIZE_NOT_ASKED: Final = "its size is unknown, and it has no open http address that could be asked for it"
_SIZE_IN_LAKE: Final = "it lies in the lake, and its file:size does not say how large it is"
_SIZE_WRONG: Final = "its file:size is no whole number of bytes, and --sizes item asks for no other"
_SAME_ORIGIN: Final = "another replica of the file lies at the same origin, and Rucio holds one for each RSE"
_OTHER_BYTES: Final = "it states another size or checksum than the asset: these are not the same bytes"


class Place(NamedTuple):
    """One of an asset's hrefs, and what became of it."""

    alternate: str | None
    href: str | None
    """As the item gives it."""
    stac: Mapping[str, Any]
    found: Location | LakePlace | NotAFile


@dataclass(frozen=True, slots=True)
class _Looked:
    """An asset looked at: its places, and what the item states of its bytes."""

    asset: Asset
    places: list[Place]
    locations: list[tuple[Place, Location]]
    """The places that Rucio can hold, one for each origin, primary first."""
    bytes: int | None
    checksums: Checksums
    own_did: Did | NotAFile | None
    """The DID that the asset names itself, or why it cannot be that one."""


def map_assets(
    item: Item, settings: Settings, measured: Mapping[str, Measured]
) -> tuple[tuple[File, ...], tuple[Link, ...]]:
    """Return the files and the links of an item.

    Parameters
    ----------
    item
        The item, migrated.
    settings
        Scope, template, roles, origins and endpoints.
    measured
        What asking told, by the hrefs of `hrefs_to_measure`: it fills in what the item does not state.

    Raises
    ------
    ItemError
        Two assets would be one file, or the template of the settings gives a name that is none.
    """
    files: list[File] = []
    links: list[Link] = []
    science = science_assets(item, settings)
    for asset in map(as_it_was, item.assets):
        if "\0" in asset.key:
            raise ItemError(f"the asset key {asset.key!r} holds a NUL character")
        looked = _look(asset, item, settings)
        file = _file(looked, item, settings, measured, science=asset.key in science)
        if isinstance(file, File):
            files.append(file)
            links.extend(_places_left(looked, item, None))
        else:
            links.extend(_places_left(looked, item, file))
    _refuse_twins(files)
    links.extend(_own_links(item))
    return tuple(files), _with_unique_names(links)


def hrefs_to_measure(item: Item, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return (asset key, href) of what ``--sizes head`` or ``--sizes stream`` has to ask.

    These are assets whose size the item does not state and that could be files: for each the first http(s) place that
    needs no login, as its PFN.
    """
    asked = []
    for asset in map(as_it_was, item.assets):
        looked = _look(asset, item, settings)
        if looked.bytes is None and not isinstance(looked.own_did, NotAFile):
            href = _askable(looked)
            if href is not None:
                asked.append((asset.key, href))
    return tuple(asked)


# ------------------------------------------------------------------------------------------------------- files


def _look(asset: Asset, item: Item, settings: Settings) -> _Looked:
    stac, own = asset.stac, _own_did(asset, item, settings)
    first = lake_place(asset, own, item.base_href) or replica_url(asset.href, stac, asset.media_type, item, settings)
    places = [Place(None, asset.href, stac, first)]
    size, checksums = _stated_size(stac), stated_checksums(stac)
    for key, href, fields in _alternates(stac):
        own_size, own_checksums = _stated_size(fields), stated_checksums(fields)
        if _differ(size, own_size) or any(map(_differ, checksums, own_checksums)):
            places.append(Place(key, href, fields, NotAFile(_OTHER_BYTES)))
            continue
        size = own_size if size is None else size
        checksums = Checksums(*(ours or theirs for ours, theirs in zip(checksums, own_checksums, strict=True)))
        found = replica_url(href, fields, asset.media_type, item, settings)
        places.append(Place(key, href, fields, found))
    return _Looked(asset, places, _one_an_origin(places), size, checksums, own)


def _alternates(stac: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
    """Yield key, href and fields of an asset's own alternates: what the lake showed of itself is no place of origin."""
    alternates = stac.get("alternate")
    for key, entry in alternates.items() if isinstance(alternates, Mapping) else ():
        # stac-rucio writes the bare address where the extension wants an object.
        fields: Any = {"href": entry} if isinstance(entry, str) else entry
        if isinstance(fields, Mapping) and REPLICA_MARK not in fields:
            href = fields.get("href")
            yield str(key), href if isinstance(href, str) else None, fields


def _one_an_origin(places: Iterable[Place]) -> list[tuple[Place, Location]]:
    first: dict[str, tuple[Place, Location]] = {}
    for place in places:
        if isinstance(place.found, Location):
            first.setdefault(place.found.origin, (place, place.found))
    return list(first.values())


def _file(
    looked: _Looked, item: Item, settings: Settings, measured: Mapping[str, Measured], *, science: bool
) -> File | NotAFile:
    """Make the file, or say why there is none."""
    primary = looked.places[0].found
    if not looked.locations and isinstance(primary, NotAFile):
        return primary
    if isinstance(looked.own_did, NotAFile):
        return looked.own_did
    size, (md5, adler32, unverified) = looked.bytes, looked.checksums
    if size is None and measured:
        told = measured.get(_askable(looked) or "")
        if told is not None:
            size, md5, adler32 = told.bytes, md5 or told.md5, adler32 or told.adler32
    if size is None:
        return NotAFile(_why_no_size(looked, settings))
    asset = looked.asset
    return File(
        asset=asset.key,
        did=looked.own_did or _did_by_rule(asset, item, [place.href for place in looked.places], settings),
        bytes=size,
        adler32=adler32,
        md5=md5,
        replicas=tuple(
            WantedReplica(location.pfn, location.origin, location.needs_login, place.alternate)
            for place, location in looked.locations
        ),
        media_type=_text(asset.media_type),
        roles=asset.roles,
        title=_text(asset.title),
        unverified_checksum=None if md5 == looked.checksums.md5 and md5 else unverified,
        science=science,
        in_lake=primary if isinstance(primary, LakePlace) else None,
    )


def asset_did(asset: Asset, item: Item, settings: Settings) -> Did | None:
    """Return the DID of the file that an asset stands for, before any change of its content gave it another.

    None: the asset names a DID of its own that is none.

    Raises
    ------
    ItemError
        The template of the settings gives a name that is none.
    """
    own = _own_did(asset, item, settings)
    if isinstance(own, NotAFile):
        return None
    return own or _did_by_rule(asset, item, [asset.href, *(href for _, href, _ in _alternates(asset.stac))], settings)


def own_did(asset: Asset, item: Item, settings: Settings) -> Did | None:
    """Return the DID that an asset names itself; None: it names none, or none that Rucio takes."""
    own = _own_did(asset, item, settings)
    return own if isinstance(own, Did) else None


def _did_by_rule(asset: Asset, item: Item, hrefs: Iterable[str | None], settings: Settings) -> Did:
    suffix = next(filter(None, map(suffix_of, hrefs)), "")
    return file_did(item.key, asset.key, suffix, settings)


def _own_did(asset: Asset, item: Item, settings: Settings) -> Did | NotAFile | None:
    config = asset.stac.get("rucio:config")
    says = config if isinstance(config, Mapping) and "rucio:name" in config else asset.stac
    name = says.get("rucio:name")
    if name is None:
        return None
    scope = says.get("rucio:scope") or settings.collection(item.key.collection).scope or settings.identity.scope
    if not is_rucio_name(name) or not is_rucio_scope(scope):
        return NotAFile("its rucio:scope and rucio:name are no DID that Rucio takes")
    return Did(scope, name)


def _stated_size(stac: Mapping[str, Any]) -> int | None:
    """Return the bytes that ``rucio:size`` or ``file:size`` states; 0 is a size, an empty file is a file."""
    config = stac.get("rucio:config")
    if isinstance(config, Mapping) or "rucio:size" in stac:
        size = _whole(config.get("rucio:size") if isinstance(config, Mapping) else stac.get("rucio:size"))
        if size is not None:
            return size
    return _whole(stac.get("file:size"))


def _whole(size: object) -> int | None:
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _LARGEST_SIZE:
        return size
    return None


def _differ(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other


def _askable(looked: _Looked) -> str | None:
    for _, location in looked.locations:
        if not location.needs_login and location.pfn.startswith("http"):
            return location.pfn
    return None


def _why_no_size(looked: _Looked, settings: Settings) -> str:
    if isinstance(looked.places[0].found, LakePlace):
        return _SIZE_IN_LAKE
    if _askable(looked) is None:
        return _SIZE_NOT_ASKED
    if settings.sync.sizes != "item":
        return _SIZE_NOT_TOLD
    return _SIZE_WRONG if looked.asset.stac.get("file:size") is not None else _SIZE_UNKNOWN


def _refuse_twins(files: Iterable[File]) -> None:
    assets: dict[Did, str] = {}
    for file in files:
        twin = assets.setdefault(file.did, file.asset)
        if twin != file.asset:
            raise ItemError(
                f"assets {twin!r} and {file.asset!r} would be one file, {file.did}: their rucio:name, or the name "
                "template of the settings, has to tell them apart"
            )


# ------------------------------------------------------------------------------------------------------- links


def _places_left(looked: _Looked, item: Item, no_file: NotAFile | None) -> Iterator[Link]:
    """Yield the places that are no replicas, each with its reason; ``no_file`` is why there is no file at all."""
    kept = {location.pfn for _, location in looked.locations} if no_file is None else set()
    for place in looked.places:
        if isinstance(place.found, NotAFile):
            reason = place.found.reason
        elif no_file is None and (isinstance(place.found, LakePlace) or place.found.pfn in kept):
            continue
        else:
            reason = no_file.reason if no_file is not None else _SAME_ORIGIN
        asset = looked.asset
        yield Link(
            name=asset.key if place.alternate is None else f"{asset.key}#{_text(place.alternate)}",
            href=_text(absolute_href(place.href, item.base_href)),
            rel=None,
            media_type=_text(asset.media_type),
            roles=asset.roles,
            title=_text(asset.title),
            reason=reason,
        )


def _own_links(item: Item) -> Iterator[Link]:
    number = 0
    for link in item.links:
        rel = link.get("rel")
        if rel in STRUCTURAL_RELATIONS or not isinstance(rel, str):
            continue
        yield Link(
            name=f"link:{number}",
            href=_text(absolute_href(link.get("href"), item.base_href)),
            rel=_text(rel),
            media_type=_text(link.get("type")),
            roles=(),
            title=_text(link.get("title")),
            reason=None,
        )
        number += 1


def _with_unique_names(links: list[Link]) -> tuple[Link, ...]:
    """Give a number to links whose names an asset key imitates, so that a name is one link of the item."""
    names: set[str] = set()
    unique = []
    for link in links:
        name, count = link.name, 1
        while name in names:
            count += 1
            name = f"{link.name}#{count}"
        names.add(name)
        unique.append(
            link
            if name == link.name
            else Link(name, link.href, link.rel, link.media_type, link.roles, link.title, link.reason)
        )
    return tuple(unique)


def _text(value: object) -> str | None:
    """Return a text without NUL, which no table can hold; None for anything else."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "") if "\0" in value else value
