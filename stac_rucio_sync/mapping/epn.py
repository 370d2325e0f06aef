"""A body-fixed item as a row of EPN-TAP 2.0: one granule an item, in the frame of the body that it lies on.

GeoJSON's latitudes on Earth are geodetic (WGS 84), which ``spatial_coordinate_description`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from stac_rucio_sync.addresses import without_login
from stac_rucio_sync.mapping.bands import SPEED_OF_LIGHT, number
from stac_rucio_sync.mapping.hrefs import absolute_href
from stac_rucio_sync.mapping.obscore import doi, kilobytes, reference, targets
from stac_rucio_sync.mapping.observed import Observed
from stac_rucio_sync.mapping.stated import clean, fixed_epn_columns
from stac_rucio_sync.mapping.times import iso_utc, parse_time
from stac_rucio_sync.model import EpnRow, File, Item, ItemKey, Link, ObsCoreRow
from stac_rucio_sync.settings import Settings

NO_DATE = "1970-01-01T00:00:00"
"""Creation date of a granule of which no date at all is known; listed as defaulted."""
NO_TYPE = "ci"
"""Catalogue item: the product type of a granule of which no type is known; listed as defaulted."""
NO_CLASS = "sky"
"""EPN-TAP's class for all that is none of its other classes; listed as defaulted."""

_TYPES = {
    "image": "im",
    "cube": "cu",
    "spectrum": "sp",
    "sed": "sp",
    "timeseries": "ts",
    "event": "ev",
    "visibility": "cu",
    "measurements": "ca",
}
"""ObsCore's product types by EPN-TAP 2.0 section 2.1.2."""
_TYPE_OF_MEDIA = (
    (re.compile(r"laszip|\blas\b|copc", re.IGNORECASE), "vo"),
    (re.compile(r"geo\+json|geopackage|kml|shapefile", re.IGNORECASE), "sv"),
    (re.compile(r"votable|text/csv|parquet", re.IGNORECASE), "ca"),
)
_LEVELS = {0: 1, 1: 2, 2: 3, 3: 5, 4: 5}
"""ObsCore's calibration levels to EPN-TAP's (the table of section 2.1.2)."""
_UNSAFE = re.compile(r"[#\"'\x00-\x1f]")
_PLAIN = re.compile(r"[A-Za-z0-9._:;,=+@()\[\]~!$&*-]+", re.ASCII)
_PLAIN_OCTETS = "._:;,=+@()[]~!$&*-"


def epn_row(
    item: Item,
    observed: Observed,
    obscore: ObsCoreRow,
    files: Iterable[File],
    links: Iterable[Link],
    science: frozenset[str],
    settings: Settings,
) -> tuple[EpnRow, tuple[str, ...]]:
    """Return the row of an item, and the columns that hold a documented default (``epn:`` and the name).

    Parameters
    ----------
    item, observed, obscore
        The item, what `observe` gathered of it, and its ObsCore row.
    files, links
        What became of its assets.
    science
        Keys of the assets that are the data themselves.
    settings
        Schema name, services, fixed columns.
    """
    columns: dict[str, Any] = dict.fromkeys(EpnRow._fields)
    defaulted: list[str] = []
    columns.update(_granule(item, observed, links, science, defaulted))
    columns.update(_target(item, settings, defaulted))
    columns.update(_axes(item, observed, obscore))
    columns.update(_dates(item, obscore, defaulted))
    columns.update(_access(item, obscore, files, links, science, settings))
    fixed = settings.collection(item.key.collection).epn_columns
    if fixed:
        columns.update(fixed_epn_columns(item.key.collection, fixed))
    return EpnRow(**columns), tuple(f"epn:{column}" for column in defaulted if column not in fixed)


def granule_uid(key: ItemKey) -> str:
    """Return ``collection/id`` in plain ASCII without ``#``; the first ``/`` parts the two."""
    return f"{_ascii(key.collection)}/{_ascii(key.id)}"


def _ascii(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_PLAIN_OCTETS)


def _word(value: object) -> str | None:
    """Return one value for a text column, without what EPN-TAP keeps for lists of values."""
    text = clean(value)
    return clean(_UNSAFE.sub("_", text)) if text else None


def _hash_list(values: Iterable[object]) -> str | None:
    return "#".join(dict.fromkeys(word for value in values if (word := _word(value)))) or None


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _granule(
    item: Item, observed: Observed, links: Iterable[Link], science: frozenset[str], defaulted: list[str]
) -> dict[str, Any]:
    properties = item.properties
    product = _TYPES.get(observed.dataproduct_type or "") or _type_of_media(item, science)
    if product is None:
        product = NO_TYPE
        defaulted.append("dataproduct_type")
    platforms = [*_listed(properties.get("mission")), *_listed(properties.get("platform"))]
    instruments = observed.columns.get("instrument_name")
    return {
        "granule_uid": granule_uid(item.key),
        "granule_gid": _word(item.key.collection) or "_",
        "obs_id": _word(observed.columns.get("obs_id") or item.key.id) or "_",
        "dataproduct_type": product,
        "measurement_type": _measurement(item, observed, science),
        "processing_level": None if "calib_level" in observed.defaulted else _LEVELS[observed.calib_level],
        "instrument_host_name": _word(observed.columns.get("facility_name"))
        or _hash_list(platforms)
        or _hash_list(_listed(properties.get("constellation"))),
        "instrument_name": _hash_list([instruments] if instruments else _listed(properties.get("instruments"))),
    }


def _type_of_media(item: Item, science: frozenset[str]) -> str | None:
    for asset in item.assets:
        if asset.key in science and asset.media_type is not None:
            for pattern, product in _TYPE_OF_MEDIA:
                if pattern.search(asset.media_type):
                    return product
    return None


def _measurement(item: Item, observed: Observed, science: frozenset[str]) -> str | None:
    """Return the UCDs of what was measured: stated, or by the roles that the EO extension gives to assets."""
    stated = observed.columns.get("o_ucd")
    if stated:
        return _word(stated)
    roles = {role for asset in item.assets if asset.key in science for role in asset.roles}
    return _hash_list(
        ucd for role, ucd in (("reflectance", "phys.reflectance"), ("temperature", "phys.temperature")) if role in roles
    )


def _target(item: Item, settings: Settings, defaulted: list[str]) -> dict[str, Any]:
    bodies = targets(item, settings)
    classes = [kind for _, kind in bodies if kind]
    if not classes:
        classes = [NO_CLASS]
        defaulted.append("target_class")
    return {
        "target_name": _hash_list(name for name, _ in bodies) or "Earth",
        "target_class": _hash_list(classes),
        "spatial_coordinate_description": "WGS84" if bodies == [("Earth", "planet")] else None,
    }


def _axes(item: Item, observed: Observed, obscore: ObsCoreRow) -> dict[str, Any]:
    start, end = observed.times.start, observed.times.end
    time_min = obscore.t_min + 2400000.5 if start is None and obscore.t_min is not None else start and start.jd
    time_max = obscore.t_max + 2400000.5 if end is None and obscore.t_max is not None else end and end.jd
    ranges = observed.footprint.ranges
    elevation = number(item.properties.get("view:sun_elevation"))
    incidence = 90.0 - elevation if elevation is not None and -90.0 <= elevation <= 90.0 else None
    emergence = number(item.properties.get("view:incidence_angle"))
    emergence = emergence if emergence is not None and 0.0 <= emergence <= 90.0 else None
    return {
        "time_min": time_min,
        "time_max": time_max,
        "time_exp_min": obscore.t_exptime,
        "time_exp_max": obscore.t_exptime,
        "spectral_range_min": SPEED_OF_LIGHT / obscore.em_max if obscore.em_max else None,
        "spectral_range_max": SPEED_OF_LIGHT / obscore.em_min if obscore.em_min else None,
        "spectral_resolution_min": obscore.em_res_power,
        "spectral_resolution_max": obscore.em_res_power,
        "c1min": ranges.west if ranges else None,
        "c1max": ranges.east if ranges else None,
        "c2min": ranges.south if ranges else None,
        "c2max": ranges.north if ranges else None,
        "s_region": observed.footprint.region,
        "s_polygon": observed.footprint.polygon,
        "s_bound": observed.footprint.bound,
        "spatial_frame_type": "body" if ranges else "none",
        "incidence_min": incidence,
        "incidence_max": incidence,
        "emergence_min": emergence,
        "emergence_max": emergence,
    }


def _dates(item: Item, obscore: ObsCoreRow, defaulted: list[str]) -> dict[str, Any]:
    """Return the three dates, none of which may be null: created, updated and released, else the creation date.

    Where ``created`` is missing the first of published, updated and the time of the data stands for it.
    """

    def date(name: str, properties: Mapping[str, Any] = item.properties) -> str | None:
        instant = parse_time(properties.get(name))
        return iso_utc(instant) if instant is not None else None

    updated, published = date("updated"), obscore.obs_release_date or date("published")
    created = date("created") or published or updated or date("datetime") or date("start_datetime")
    if created is None:
        created = NO_DATE
        defaulted.append("creation_date")
    return {
        "creation_date": created,
        "modification_date": updated or created,
        "release_date": published or created,
    }


def _access(
    item: Item,
    obscore: ObsCoreRow,
    files: Iterable[File],
    links: Iterable[Link],
    science: frozenset[str],
    settings: Settings,
) -> dict[str, Any]:
    """Return where the data are: the first science file or asset with an http address, else nothing.

    EPN-TAP 2.0 (Data access): access_url leads to the data themselves, never to a DataLink document.
    """
    access: dict[str, Any] = {}
    file, address = _first_file(files, science)
    if file is not None and address is not None:
        access = _of_address(address, file.media_type)
        access["access_estsize"], access["access_md5"] = kilobytes(file.bytes), file.md5
    else:
        for link in links:
            if link.rel is None and link.name in science and _is_download(link.href):
                access = _of_address(str(link.href), link.media_type)
                break
    return access | {
        "datalink_url": obscore.access_url,  # ObsCore leads to the DataLink document always
        "thumbnail_url": _thumbnail(item),
        "service_title": settings.epn.schema_name,
        "publisher": settings.identity.authority,
        "bib_reference": _word(doi(item.properties) or reference(item) or obscore.bib_reference),
        "obs_publisher_did": obscore.obs_publisher_did,
    }


def _first_file(files: Iterable[File], science: frozenset[str]) -> tuple[File | None, str | None]:
    """Return the first science file that http gives without a login, else with one, else what lies in the lake."""
    found: tuple[File | None, str | None] = (None, None)
    for file in files:
        for replica in file.replicas if file.asset in science else ():
            if _is_download(replica.pfn):
                if not replica.needs_login:
                    return file, replica.pfn
                found = (file, replica.pfn) if found[0] is None else found
    for file in files if found[0] is None else ():
        if file.in_lake is not None and file.asset in science and _is_download(file.in_lake.address):
            return file, file.in_lake.address
    return found


def _is_download(href: str | None) -> bool:
    return href is not None and href.startswith(("http://", "https://")) and "{" not in href and not href.endswith("/")


def _of_address(address: str, media_type: str | None) -> dict[str, Any]:
    try:
        address = without_login(address)[0]  # the table is everybody's
        name = unquote(urlsplit(address).path).rsplit("/", 1)[-1]
    except ValueError:  # no URL after all
        return {}
    return {
        "access_url": clean(address),
        "access_format": (clean(media_type) or "application/octet-stream").lower(),
        "file_name": _word(name),
    }


def _thumbnail(item: Item) -> str | None:
    for asset in item.assets:
        if "thumbnail" in asset.roles:
            address = absolute_href(asset.href, item.base_href)
            if address is not None and _is_download(address):
                with suppress(ValueError):  # no URL after all
                    return clean(without_login(address)[0])
    return None
