"""ObsCore columns that an item states itself, in properties of the same names, and fixed columns of the settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.bands import number, pol_states
from stac_rucio_sync.mapping.times import iso_utc, parse_time
from stac_rucio_sync.model import EpnRow

DATAPRODUCT_TYPES = frozenset({"image", "cube", "spectrum", "sed", "timeseries", "visibility", "event", "measurements"})
"""ObsCore 1.1 section 4.1."""
_DATA_RIGHTS = frozenset({"public", "secure", "proprietary"})
_UCD = re.compile(r"[A-Za-z0-9._:;-]+", re.ASCII)
"""UCD1+ section 3.1: words with their namespace, separated by semicolons."""
_PREFIX = "obscore:"
_MANDATORY = frozenset({"calib_level", "obs_collection", "obs_id"})
"""Columns that may not be null: a wrong value cannot be left out."""
_LARGEST = 2**63 - 1

Reading = Callable[[object], Any]


def clean(value: object) -> str | None:
    """Return a text that a database takes (without NUL and outer spaces), None for an empty one or no text."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").strip() or None


def _between(low: float, high: float) -> Reading:
    def read(value: object) -> float | None:
        read_number = number(value)
        return read_number if read_number is not None and low <= read_number <= high else None

    return read


def _whole(low: int, high: int) -> Reading:
    def read(value: object) -> int | None:
        read_number = number(value)
        if read_number is None or not read_number.is_integer() or not low <= read_number <= high:
            return None
        return int(value) if isinstance(value, int) else int(read_number)

    return read


def _one_of(words: frozenset[str]) -> Reading:
    return lambda value: value if isinstance(value, str) and value in words else None


def _right_ascension(value: object) -> float | None:
    read_number = _between(-180.0, 360.0)(value)
    return None if read_number is None else float(read_number) % 360.0


def _timestamp(value: object) -> str | None:
    instant = parse_time(value)
    return iso_utc(instant) if instant is not None else None


def _states(value: object) -> str | None:
    return pol_states(state for state in value.split("/") if state) if isinstance(value, str) else None


def _ucd(value: object) -> str | None:
    text = clean(value)
    return text if text is not None and _UCD.fullmatch(text) else None


_POSITIVE = _between(5e-324, 1.7e308)
_WAVELENGTH = _between(1e-21, 1e12)
_NOT_NEGATIVE = _between(0.0, 1.7e308)
_ANY = _between(-1.7e308, 1.7e308)
_LENGTH = _whole(-1, _LARGEST)

OBSCORE_READINGS: Mapping[str, Reading] = MappingProxyType({
    "dataproduct_type": _one_of(DATAPRODUCT_TYPES), "dataproduct_subtype": clean, "calib_level": _whole(0, 4),
    "obs_collection": clean, "obs_id": clean, "obs_title": clean, "obs_creator_did": clean, "target_name": clean,
    "access_estsize": _whole(0, _LARGEST),
    "s_ra": _right_ascension, "s_dec": _between(-90.0, 90.0), "s_fov": _between(0.0, 360.0), "s_region": clean,
    "s_resolution": _POSITIVE, "s_xel1": _LENGTH, "s_xel2": _LENGTH,
    "t_min": _ANY, "t_max": _ANY, "t_exptime": _NOT_NEGATIVE, "t_resolution": _NOT_NEGATIVE, "t_xel": _LENGTH,
    "em_min": _WAVELENGTH, "em_max": _WAVELENGTH, "em_res_power": _POSITIVE, "em_xel": _LENGTH, "o_ucd": _ucd,
    "pol_states": _states, "pol_xel": _LENGTH, "facility_name": clean, "instrument_name": clean, "proposal_id": clean,
    "bib_reference": clean, "data_rights": _one_of(_DATA_RIGHTS), "obs_release_date": _timestamp,
})  # fmt: skip
"""How each column that an item may state is read; None: it is not what ObsCore has there.

Not among them are what only the publisher knows: ``obs_publisher_did``, ``access_url``, ``access_format``,
``publisher_id``, and the columns made from ``s_region``.
"""

_PAIRS = (("t_min", "t_max"), ("em_min", "em_max"))


def stated_columns(properties: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the ObsCore columns among an item's properties (bare or with ``obscore:``), and remarks.

    A value of the wrong type or range is left out with a remark.

    Raises
    ------
    ItemError
        A column that may not be null has a wrong value.
    """
    columns: dict[str, Any] = {}
    remarks: list[str] = []
    for name, value in properties.items():
        column = name.removeprefix(_PREFIX)
        reading = OBSCORE_READINGS.get(column)
        if reading is None or value is None or (column != name and column in columns):
            continue
        read = reading(value)
        if read is not None:
            columns[column] = read
        elif column in _MANDATORY:
            raise ItemError(f"property {name} is {str(value)[:40]!r}, which ObsCore's {column} cannot be")
        else:
            remarks.append(f"property {name} is not what ObsCore has under this name: it is left out")
    for low, high in _PAIRS:
        if low in columns and high in columns and columns[low] > columns[high]:
            remarks.append(f"property {low} is greater than {high}: both are left out")
            del columns[low], columns[high]
    return columns, remarks


def fixed_columns(collection: str, columns: Mapping[str, str | int | float]) -> dict[str, Any]:
    """Return the fixed ObsCore columns of a collection's settings.

    Raises
    ------
    UsageError
        A name is no ObsCore column that may be fixed, or a value is wrong for it.
    """
    fixed = {}
    for column, value in columns.items():
        reading = OBSCORE_READINGS.get(column)
        read = reading(value) if reading is not None else None
        if read is None:
            what = "not a column of ObsCore that can be fixed" if reading is None else f"wrong: {value!r}"
            raise UsageError(f"setting collections.{collection}.columns.{column} is {what}")
        fixed[column] = read
    return fixed


_EPN_OWN = frozenset({"granule_uid", "service_title", "obs_publisher_did", "datalink_url", "s_polygon", "s_bound"})


def fixed_epn_columns(collection: str, columns: Mapping[str, str | int | float]) -> dict[str, Any]:
    """Return the fixed EPN-TAP columns of a collection's settings.

    Raises
    ------
    UsageError
        A name is no EPN-TAP column that may be fixed, or a value is wrong for it.
    """
    fixed: dict[str, Any] = {}
    for column, value in columns.items():
        where = f"setting collections.{collection}.epn_columns.{column}"
        if column not in EpnRow._fields or column in _EPN_OWN:
            raise UsageError(f"{where} is not a column of EPN-TAP that can be fixed")
        kind = str(EpnRow.__annotations__[column])
        read = clean(value) if "str" in kind else _LENGTH(value) if "int" in kind else number(value)
        if read is None:
            raise UsageError(f"{where} is wrong: {value!r}")
        fixed[column] = read
    return fixed
