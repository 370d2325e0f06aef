"""The spectral range of an item, as vacuum wavelength in metres, and its polarisation.

From STAC 1.1 ``bands`` and the older ``eo:bands`` (electro-optical extension, micrometres), from the SAR extension
(GHz) and from spectral axes of the datacube extension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

from stac_rucio_sync.model import Item

SPEED_OF_LIGHT = 299792458.0
"""m/s; EPN-TAP 2.0 section 2.6 and SI."""

CONTRADICTION = "a band's wavelength is not in micrometres or contradicts its common name: it is left out"
POLARISATION = "the polarisations are none that ObsCore has a name for: pol_states is empty"

COMMON_BANDS: Mapping[str, tuple[float, float]] = {
    "pan": (0.40, 1.00), "coastal": (0.40, 0.45), "blue": (0.45, 0.53), "green": (0.51, 0.60),
    "green05": (0.51, 0.55), "yellow": (0.58, 0.62), "red": (0.62, 0.69), "rededge": (0.69, 0.79),
    "rededge071": (0.69, 0.73), "rededge075": (0.73, 0.76), "rededge078": (0.76, 0.79), "nir": (0.76, 1.00),
    "nir08": (0.80, 0.90), "nir09": (0.90, 1.00), "cirrus": (1.35, 1.40), "swir16": (1.55, 1.75),
    "swir22": (2.08, 2.35), "lwir": (10.4, 12.5), "lwir11": (10.5, 11.5), "lwir12": (11.5, 12.5),
}  # fmt: skip
"""Ranges in micrometres that the electro-optical extension gives for its common names."""

RADAR_BANDS: Mapping[str, tuple[float, float]] = {
    "P": (0.30, 1.00), "L": (0.15, 0.30), "S": (0.075, 0.15), "C": (0.038, 0.075), "X": (0.024, 0.038),
    "Ku": (0.017, 0.024), "K": (0.011, 0.017), "Ka": (0.0075, 0.011),
}  # fmt: skip
"""Wavelength ranges in metres that the SAR extension gives for its frequency bands."""

_POL_ORDER = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
"""ObsCore 1.1 section B.6.5.1: the labels, in their order."""
_MICROMETRE = 1e-6
_LONGEST_MICROMETRES = 200.0
_SHORTEST, _LONGEST = 1e-21, 1e12
"""Metres: beyond all that anybody observes, so that no frequency made of it overflows."""
_PER_METRE = {
    "m": 1.0,
    "mm": 1e-3,
    "um": 1e-6,
    "µm": 1e-6,
    "μm": 1e-6,
    "micrometer": 1e-6,
    "micrometre": 1e-6,
    "micron": 1e-6,
    "nm": 1e-9,
    "nanometer": 1e-9,
    "nanometre": 1e-9,
    "angstrom": 1e-10,
    "Angstrom": 1e-10,
}
_PER_HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}


class Spectrum(NamedTuple):
    """What an item says of its spectral axis."""

    em_min: float | None
    em_max: float | None
    remarks: tuple[str, ...] = ()


def spectral_range(item: Item) -> Spectrum:
    """Return the shortest and the longest wavelength in metres of all bands of the item and its assets."""
    lows: list[float] = []
    highs: list[float] = []
    remarks: list[str] = []
    for holder in (item.properties, *(asset.stac for asset in item.assets)):
        for low, high in _ranges_of(holder, remarks):
            if _SHORTEST <= low <= high <= _LONGEST:
                lows.append(low)
                highs.append(high)
    if not lows:
        return Spectrum(None, None, tuple(dict.fromkeys(remarks)))
    return Spectrum(min(lows), max(highs), tuple(dict.fromkeys(remarks)))


def polarisations(properties: Mapping[str, Any]) -> tuple[str | None, int | None, tuple[str, ...]]:
    """Return (pol_states, pol_xel, remarks) from ``sar:polarizations``.

    ObsCore has names for Stokes, circular and linear correlations as a receiver on the sky sees them; a radar's
    transmitted and received HH, HV ... are none of those, so that only their number can be told.
    """
    stated = properties.get("sar:polarizations")
    if not isinstance(stated, list) or not stated or not all(isinstance(state, str) for state in stated):
        return None, None, ()
    states = pol_states(stated)
    return states, len(set(stated)), (() if states else (POLARISATION,))


def pol_states(states: Iterable[str]) -> str | None:
    """Write polarisation states as ObsCore 1.1 section B.6.5.1 has them, ``/I/Q/``; None if one has no such name."""
    found = set(states)
    if not found or not found <= set(_POL_ORDER):
        return None
    return f"/{'/'.join(state for state in _POL_ORDER if state in found)}/"


def number(value: object) -> float | None:
    """Return a JSON number as a finite float; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            converted = float(value)
        except OverflowError:
            return None
        return converted if isfinite(converted) else None
    return None


def _ranges_of(holder: Mapping[str, Any], remarks: list[str]) -> Iterator[tuple[float, float]]:
    for field in ("bands", "eo:bands"):
        bands = holder.get(field)
        if isinstance(bands, list):
            for band in bands:
                if isinstance(band, dict):
                    yield from _band(band, remarks)
    if "eo:center_wavelength" in holder or "eo:common_name" in holder:
        yield from _band(holder, remarks)
    yield from _radar(holder)
    dimensions = holder.get("cube:dimensions")
    if isinstance(dimensions, dict):
        for name, dimension in dimensions.items():
            if isinstance(dimension, dict):
                yield from _axis(name, dimension)


def _band(band: Mapping[str, Any], remarks: list[str]) -> Iterator[tuple[float, float]]:
    """Yield the range of one band: centre and width as stated, else what its common name stands for."""
    name = band.get("eo:common_name", band.get("common_name"))
    usual = COMMON_BANDS.get(name) if isinstance(name, str) else None
    centre = number(band.get("eo:center_wavelength", band.get("center_wavelength")))
    if centre is not None:
        if _plausible(centre, usual):
            width = number(band.get("eo:full_width_half_max", band.get("full_width_half_max"))) or 0.0
            half = width / 2.0 if 0.0 < width < 2.0 * centre else 0.0
            yield (centre - half) * _MICROMETRE, (centre + half) * _MICROMETRE
            return
        remarks.append(CONTRADICTION)
    if usual is not None:
        yield usual[0] * _MICROMETRE, usual[1] * _MICROMETRE
    yield from _radar(band)


def _plausible(centre: float, usual: tuple[float, float] | None) -> bool:
    """Tell nanometres from micrometres: within a factor of 1.5 of the common name's range, below 200 without one."""
    if usual is not None:
        return usual[0] / 1.5 <= centre <= usual[1] * 1.5
    return 0.0 < centre < _LONGEST_MICROMETRES


def _radar(holder: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    frequency = number(holder.get("sar:center_frequency"))
    if frequency is not None and frequency > 0.0:
        wavelength = SPEED_OF_LIGHT / (frequency * 1e9)
        yield wavelength, wavelength
        return
    band = holder.get("sar:frequency_band")
    if isinstance(band, str) and band in RADAR_BANDS:
        yield RADAR_BANDS[band]


def _axis(name: str, dimension: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Yield the range of a spectral axis of a data cube, if its unit is one of length or of frequency."""
    kind = f"{name} {dimension.get('type')}".lower()
    unit = dimension.get("unit")
    if not isinstance(unit, str) or not any(word in kind for word in ("wavelength", "frequency", "spectral")):
        return
    extent = dimension.get("extent") or dimension.get("values")
    if not isinstance(extent, list):
        return
    ends = [end for end in map(number, extent) if end is not None and end > 0.0]
    if not ends:
        return
    if unit in _PER_METRE:
        yield min(ends) * _PER_METRE[unit], max(ends) * _PER_METRE[unit]
    elif unit in _PER_HERTZ:
        yield SPEED_OF_LIGHT / (max(ends) * _PER_HERTZ[unit]), SPEED_OF_LIGHT / (min(ends) * _PER_HERTZ[unit])
