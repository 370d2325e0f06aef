"""What an item says of its observation, gathered once for the ObsCore row and the EPN-TAP row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import radians
from typing import Any

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.mapping import sphere
from stac_rucio_sync.mapping.bands import Spectrum, number, polarisations, spectral_range
from stac_rucio_sync.mapping.footprint import Footprint, Frame, circle_footprint, footprint
from stac_rucio_sync.mapping.regions import region_footprint
from stac_rucio_sync.mapping.stated import DATAPRODUCT_TYPES, clean, fixed_columns, stated_columns
from stac_rucio_sync.mapping.times import TimeRange, item_times
from stac_rucio_sync.model import Asset, Item
from stac_rucio_sync.settings import Settings

DEFAULT_CALIB_LEVEL = 2
"""Calibrated, science-ready data: what most catalogues hold and hardly any item says; listed as defaulted."""

NO_LEVEL = "processing:level is none of the levels 0 to 4: it is left out"
OFF_FOOTPRINT = "s_ra and s_dec lie outside the geometry: the geometry is left out"
NOT_ICRS = "property s_region is no polygon or circle in ICRS: it is left out"

_LEVEL = re.compile(r"(?:processing[ _-]?)?(?:level|l)?[ _-]*([0-4])(?!\d).*", re.ASCII | re.IGNORECASE | re.DOTALL)
_IMAGE_TYPE = re.compile(r"image/(?:tiff|jp2|fits|x-fits|x\.geotiff|vnd\.stac\.geotiff|png|jpeg)", re.IGNORECASE)
_IMAGE_FIELDS = ("eo:", "sar:product_type", "sar:instrument_mode", "raster:", "bands")


@dataclass(frozen=True, slots=True)
class Observed:
    """The facts of one item; `columns` are final ObsCore values that win over what is derived from the rest."""

    frame: Frame
    columns: Mapping[str, Any]
    footprint: Footprint
    times: TimeRange
    spectrum: Spectrum
    pol_states: str | None
    pol_xel: int | None
    dataproduct_type: str | None
    calib_level: int
    defaulted: tuple[str, ...]
    remarks: tuple[str, ...]


def observe(item: Item, settings: Settings, science: frozenset[str]) -> Observed:
    """Gather what an item says.

    Parameters
    ----------
    item
        The item.
    settings
        Frame, calibration level, product type and fixed columns of its collection.
    science
        Keys of the assets that are the data themselves.

    Raises
    ------
    ItemError
        A stated column that may not be null is wrong.
    UsageError
        A fixed column of the settings is wrong.
    """
    section = settings.collection(item.key.collection)
    columns, remarks = stated_columns(item.properties)
    frame: Frame = section.frame or ("sky" if "s_ra" in columns and "s_dec" in columns else "body")
    if section.columns:
        columns |= fixed_columns(item.key.collection, section.columns)
    place = _sky_footprint(item, columns, remarks) if frame == "sky" else footprint(item.geometry, item.bbox, "body")
    times = item_times(item.properties) if "t_min" not in columns or "t_max" not in columns else _NO_TIMES
    spectrum = spectral_range(item)
    states, states_number, state_remarks = polarisations(item.properties)
    level, defaulted = _calib_level(item.properties, section.calib_level, columns, remarks)
    return Observed(
        frame=frame,
        columns=columns,
        footprint=place,
        times=times,
        spectrum=spectrum,
        pol_states=states,
        pol_xel=states_number,
        dataproduct_type=columns.get("dataproduct_type") or _dataproduct_type(item, settings, science),
        calib_level=level,
        defaulted=defaulted,
        remarks=tuple(dict.fromkeys((*remarks, *place.remarks, *times.remarks, *spectrum.remarks, *state_remarks))),
    )


_NO_TIMES = TimeRange(None, None, ())


def _sky_footprint(item: Item, columns: Mapping[str, Any], remarks: list[str]) -> Footprint:
    """Return the footprint on the sky: s_region if it is stated, else the geometry, else s_fov round the position."""
    place: Footprint | None = None
    if "s_region" in columns:
        place = region_footprint(columns["s_region"])
        if place is None:
            remarks.append(NOT_ICRS)
    if place is None:
        place = footprint(item.geometry, None, "sky")
    lon, lat = columns.get("s_ra"), columns.get("s_dec")
    if lon is None or lat is None:
        return place
    if place.bound is not None:
        away = sphere.distance(sphere.to_vector(lon, lat), sphere.to_vector(place.bound[0], place.bound[1]))
        if away <= radians(place.bound[2]) + 1e-5:
            return place
        remarks.append(OFF_FOOTPRINT)
        place = Footprint()
    around = circle_footprint(lon, lat, columns.get("s_fov", 0.0) / 2.0)
    kept = place.remarks if item.geometry is not None else ()
    return Footprint(around.polygon, around.bound, around.region, None, (*kept, *around.remarks))


def _calib_level(
    properties: Mapping[str, Any], of_collection: int | None, columns: Mapping[str, Any], remarks: list[str]
) -> tuple[int, tuple[str, ...]]:
    """Return the level and what was defaulted: stated, ``processing:level``, the collection's, the default."""
    if "calib_level" in columns:
        return columns["calib_level"], ()
    stated = properties.get("processing:level")
    if stated is not None:
        match = _LEVEL.fullmatch(str(stated).strip()) if isinstance(stated, str | int) else None
        if match is not None:
            return int(match[1]), ()
        remarks.append(NO_LEVEL)
    if of_collection is not None:
        return of_collection, ()
    return DEFAULT_CALIB_LEVEL, ("calib_level",)


def _dataproduct_type(item: Item, settings: Settings, science: frozenset[str]) -> str | None:
    """Return a word of ObsCore 1.1 section 4.1: the collection's, from the cube's axes, or image; else None."""
    configured = settings.collection(item.key.collection).dataproduct_type
    if configured is not None:
        if configured not in DATAPRODUCT_TYPES:
            raise UsageError(f"setting collections.{item.key.collection}.dataproduct_type is wrong: {configured!r}")
        return configured
    dimensions = item.properties.get("cube:dimensions")
    if isinstance(dimensions, dict) and dimensions:
        return _type_of_axes(dimensions)
    assets = [asset for asset in item.assets if asset.key in science]
    if any(_is_image(asset) for asset in assets):
        return "image"
    return None


def _type_of_axes(dimensions: Mapping[str, Any]) -> str | None:
    """Tell image, cube and time series apart by the axes of a data cube; other shapes have no word of their own."""
    kinds = [
        (dimension.get("type"), dimension.get("axis"))
        for dimension in dimensions.values()
        if isinstance(dimension, dict)
    ]
    plane = sum(kind == "spatial" and axis in ("x", "y") for kind, axis in kinds)
    if plane == 2:
        return "cube" if len(kinds) > 2 else "image"
    return "timeseries" if [kind for kind, _ in kinds] == ["temporal"] else None


def _is_image(asset: Asset) -> bool:
    if asset.media_type is not None and _IMAGE_TYPE.match(asset.media_type):
        return True
    return any(field.startswith(_IMAGE_FIELDS) for field in asset.stac)


def text_or_list(value: object) -> str | None:
    """Return a text, or the texts of a list with commas between them; None where there is none."""
    if isinstance(value, list):
        return ",".join(filter(None, map(clean, value))) or None
    return clean(value)


def axis_lengths(item: Item, science: frozenset[str]) -> tuple[int | None, int | None]:
    """Return pixels along (x, y) from ``proj:shape``, which is (y, x): the item's, else its first science asset's."""
    for holder in (item.properties, *(asset.stac for asset in item.assets if asset.key in science)):
        shape = holder.get("proj:shape")
        if isinstance(shape, list) and len(shape) == 2:
            height, width = map(number, shape)
            if height is not None and width is not None and 0 < height < 2**53 and 0 < width < 2**53:
                return int(width), int(height)
    return None, None


def axis_values(item: Item, *kinds: str) -> int | None:
    """Return how many values the one data cube axis of a kind has, where it lists them."""
    dimensions = item.properties.get("cube:dimensions")
    if not isinstance(dimensions, dict):
        return None
    found = [
        dimension.get("values")
        for dimension in dimensions.values()
        if isinstance(dimension, dict) and dimension.get("type") in kinds
    ]
    return len(found[0]) if len(found) == 1 and isinstance(found[0], list) and found[0] else None
