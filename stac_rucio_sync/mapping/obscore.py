"""An item as a row of ObsCore 1.1.

What an item states in properties of ObsCore's own names wins over what is derived here, and the settings' fixed
columns win over both. Unknown is null: no value is guessed but ``calib_level``, which may not be null and is then
listed as defaulted. A body-fixed item has no position: ObsCore's is on the sky.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from stac_rucio_sync.mapping.identifiers import obs_publisher_did
from stac_rucio_sync.mapping.observed import Observed, axis_lengths, axis_values, text_or_list
from stac_rucio_sync.mapping.stated import clean
from stac_rucio_sync.mapping.times import iso_utc, parse_time
from stac_rucio_sync.model import Did, File, Item, ObsCoreRow
from stac_rucio_sync.settings import Settings

DATALINK_FORMAT = "application/x-votable+xml;content=datalink"
"""ObsCore 1.1 section 4.7."""

_SKY_COLUMNS = ("s_ra", "s_dec", "s_fov", "s_region", "s_resolution")


def obscore_row(
    item: Item, observed: Observed, did: Did, files: Iterable[File], science: frozenset[str], settings: Settings
) -> ObsCoreRow:
    """Return the row of an item.

    Parameters
    ----------
    item, observed
        The item, and what `observe` gathered of it.
    did
        Its dataset.
    files
        Its files; their sizes add up to ``access_estsize``.
    science
        Keys of the assets that are the data themselves.
    settings
        Authority and services.
    """
    publisher_did = obs_publisher_did(did, settings)
    columns: dict[str, Any] = dict.fromkeys(ObsCoreRow._fields)
    columns.update(_description(item, observed, settings))
    columns.update(_axes(item, observed, science))
    columns["access_estsize"] = science_kilobytes(files, science)
    columns["data_rights"] = _data_rights(files)
    columns.update(observed.columns)
    for column in _SKY_COLUMNS:
        columns[column] = None
    if observed.frame == "sky":
        columns.update(_position(observed))
    columns["obs_publisher_did"] = publisher_did
    columns["publisher_id"] = f"ivo://{settings.identity.authority}"
    columns["access_url"] = datalink_url(publisher_did, settings)
    columns["access_format"] = DATALINK_FORMAT
    return ObsCoreRow(**columns)


def datalink_url(publisher_did: str, settings: Settings) -> str:
    """Return the address of a data set's DataLink document."""
    return f"{settings.services.base_url}/datalink/links?ID={quote(publisher_did, safe='')}"


def kilobytes(octets: int) -> int:
    """Return a size in kbyte (1,000 octets), rounded up."""
    return -(-octets // 1000)


def science_kilobytes(files: Iterable[File], science: frozenset[str]) -> int | None:
    """Return the size of all the science assets together; None unless the size of each is known."""
    sizes = {file.asset: file.bytes for file in files if file.asset in science}
    return kilobytes(sum(sizes.values())) if science and len(sizes) == len(science) else None


def facility(properties: Mapping[str, Any]) -> str | None:
    """Return what carried the instrument: the platform, else the mission, else the constellation."""
    return (
        text_or_list(properties.get("platform"))
        or text_or_list(properties.get("mission"))
        or text_or_list(properties.get("constellation"))
    )


def doi(properties: Mapping[str, Any]) -> str | None:
    """Return the DOI of the data (scientific extension), without a resolver's address."""
    stated = clean(properties.get("sci:doi"))
    return stated.removeprefix("https://doi.org/").removeprefix("doi:") if stated else None


def reference(item: Item) -> str | None:
    """Return the link that the item asks to be cited as."""
    for link in item.links:
        if link.get("rel") == "cite-as":
            return clean(link.get("href"))
    return None


def release_date(properties: Mapping[str, Any]) -> str | None:
    """Return when the data were made public (timestamps extension: ``published``), as a DALI timestamp."""
    published = parse_time(properties.get("published"))
    return iso_utc(published) if published is not None else None


def _description(item: Item, observed: Observed, settings: Settings) -> dict[str, Any]:
    properties = item.properties
    item_doi = doi(properties)
    return {
        "dataproduct_type": observed.dataproduct_type,
        "calib_level": observed.calib_level,
        "obs_collection": item.key.collection,
        "obs_id": item.key.id,
        "obs_title": clean(properties.get("title")),
        "target_name": _target_name(item, observed, settings),
        "facility_name": facility(properties),
        "instrument_name": text_or_list(properties.get("instruments")),
        "bib_reference": f"https://doi.org/{item_doi}" if item_doi else reference(item),
        "obs_release_date": release_date(properties),
    }


def _target_name(item: Item, observed: Observed, settings: Settings) -> str | None:
    if observed.frame == "body":
        return ",".join(name for name, _ in targets(item, settings))
    configured = settings.collection(item.key.collection).target_name
    return configured or clean(item.properties.get("target")) or clean(item.properties.get("object"))


def _axes(item: Item, observed: Observed, science: frozenset[str]) -> dict[str, Any]:
    width, height = axis_lengths(item, science)
    start, end = observed.times.start, observed.times.end
    return {
        "s_xel1": width,
        "s_xel2": height,
        "t_min": start.mjd if start is not None else None,
        "t_max": end.mjd if end is not None else None,
        "t_xel": axis_values(item, "temporal"),
        "em_min": observed.spectrum.em_min,
        "em_max": observed.spectrum.em_max,
        "em_xel": axis_values(item, "spectral", "bands"),
        "pol_states": observed.pol_states,
        "pol_xel": observed.pol_xel,
    }


def _position(observed: Observed) -> dict[str, Any]:
    """Return the columns of the position on the sky: stated ones, else those of the footprint's circle."""
    place, stated = observed.footprint, observed.columns
    lon, lat, radius = place.bound or (None, None, None)
    if "s_ra" in stated and "s_dec" in stated:
        lon, lat = stated["s_ra"], stated["s_dec"]
    return {
        "s_ra": lon,
        "s_dec": lat,
        "s_fov": stated.get("s_fov") or (2.0 * radius if radius else None),
        "s_region": place.region,
        "s_resolution": stated.get("s_resolution"),
        "s_polygon": place.polygon,
        "s_bound": place.bound,
    }


def _data_rights(files: Iterable[File]) -> str | None:
    """Return ``secure`` where every replica of the data needs a login; whether others are public is not known.

    A licence says what may be done with the data, not who may fetch them.
    """
    logins = [replica.needs_login for file in files if file.science for replica in file.replicas]
    return "secure" if logins and all(logins) else None


# ------------------------------------------------------------------------------------------------------ targets

_PLANETS = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune")
_DWARF_PLANETS = ("Pluto", "Ceres", "Eris", "Haumea", "Makemake")
_SATELLITES = (
    "Moon", "Phobos", "Deimos", "Europa", "Ganymede", "Callisto", "Amalthea", "Mimas", "Enceladus", "Tethys", "Dione",
    "Rhea", "Titan", "Hyperion", "Iapetus", "Phoebe", "Miranda", "Ariel", "Umbriel", "Titania", "Oberon", "Triton",
    "Nereid", "Proteus", "Charon", "Io",
)  # fmt: skip
_ASTEROIDS = ("Vesta", "Pallas", "Eros", "Itokawa", "Bennu", "Ryugu", "Lutetia", "Steins", "Gaspra", "Ida", "Mathilde")
TARGET_CLASSES = frozenset(
    {
        "asteroid",
        "dwarf_planet",
        "planet",
        "satellite",
        "comet",
        "exoplanet",
        "interplanetary_medium",
        "sample",
        "sky",
        "spacecraft",
        "spacejunk",
        "star",
        "calibration",
    }
)
"""EPN-TAP 2.0 section 2.1.3."""
_BODIES = {
    name.lower(): (name, kind)
    for kind, names in (
        ("planet", _PLANETS), ("dwarf_planet", _DWARF_PLANETS), ("satellite", _SATELLITES), ("asteroid", _ASTEROIDS),
        ("star", ("Sun",)),
    )
    for name in names
}  # fmt: skip


def targets(item: Item, settings: Settings) -> list[tuple[str, str | None]]:
    """Return names, in IAU spelling where the body is known, and EPN-TAP classes of what an item is of.

    From the solar system extension (``ssys:targets``, ``ssys:target_class``), else from the settings, else Earth.
    The class is None where nobody says it.
    """
    stated = item.properties.get("ssys:targets")
    names = [clean(name) for name in stated] if isinstance(stated, list) else [clean(stated)]
    if not any(names):
        names = [settings.collection(item.key.collection).target_name or "Earth"]
    kind = item.properties.get("ssys:target_class")
    kind = kind if isinstance(kind, str) and kind in TARGET_CLASSES else None
    return [
        (known[0], kind or known[1]) if (known := _BODIES.get(name.lower())) else (name, kind)
        for name in dict.fromkeys(names)
        if name is not None
    ]
