"""Which channels, moments and polarization planes of a cube are in what is wanted.

A plane goes half a step to either side of its place, so a number on its own finds the one plane that it lies in.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from astropy import units
from astropy.coordinates import Galactic, SkyCoord
from astropy.utils import iers
from astropy.wcs import WCS

from datalink.cutouts.areas import Numbers
from datalink.cutouts.errors import RequestError
from datalink.cutouts.region import Interval

STOKES: Final = {
    **{1: "I", 2: "Q", 3: "U", 4: "V"},
    **{-1: "RR", -2: "LL", -3: "RL", -4: "LR", -5: "XX", -6: "YY", -7: "XY", -8: "YX"},
}
"""FITS 4.0, table 29."""
_LIGHT: Final = 299_792_458.0
_SUN: Final = {
    "LSRK": (20.0e3, SkyCoord(270.9592, 30.0047, unit="deg")),
    "LSRD": (16.552945e3, SkyCoord(53.1301, 25.0191, unit="deg", frame=Galactic())),
}
"""How fast the Sun goes among its neighbours, and whereto (m/s; FITS WCS paper III, table 12)."""
_OVERLAP: Final = 1e-6
"""Of a plane's width; what reaches less far into it does not touch it."""


def channels(axis: WCS, size: int, band: Interval, towards: tuple[float, float] | None) -> slice | None:
    """Return the channels that wavelengths are in; None where they are in none.

    Parameters
    ----------
    axis
        The spectral axis alone.
    size
        Channels.
    band
        Vacuum wavelengths, metres, seen from the barycentre.
    towards
        Where the picture is (ICRS degrees): wavelengths by the local standard of rest depend on it. Those seen from
        the Earth are taken as they are.

    Raises
    ------
    RequestError
        The axis cannot be brought to wavelengths.
    """
    edges = _wavelengths(axis, np.linspace(-0.5, size - 0.5, size + 1))
    if not np.isfinite(edges).all():
        centres = _wavelengths(axis, np.arange(float(size)))
        return _within(centres, centres, band)
    edges = edges / _seen_from(axis.wcs.specsys, towards)
    return _within(edges[:-1], edges[1:], band)


def moments(axis: WCS, size: int, time: Interval) -> slice | None:
    """Return the planes along a time axis that an interval (Modified Julian Dates, UTC) is in.

    Raises
    ------
    RequestError
        The axis cannot be brought to dates.
    """
    edges = _dates(axis, np.linspace(-0.5, size - 0.5, size + 1))
    if not np.isfinite(edges).all():
        centres = _dates(axis, np.arange(float(size)))
        return _within(centres, centres, time)
    return _within(edges[:-1], edges[1:], time)


def planes(axis: WCS, size: int, states: Sequence[str]) -> slice | None:
    """Return the planes of polarization states; None where the cube has none of them.

    One WCS can only have planes at equal steps: where the states' are not, those between them come with them.
    """
    values = axis.wcs_pix2world(np.arange(float(size)), 0)[0]
    wanted = [number for number, value in enumerate(values) if STOKES.get(_whole(value)) in states]
    if not wanted:
        return None
    steps = set(np.diff(wanted).tolist())
    return slice(wanted[0], wanted[-1] + 1, steps.pop() if len(steps) == 1 else 1)


def _whole(value: float) -> int:
    return round(value) if math.isfinite(value) and abs(value - round(value)) < 1e-3 else 0


def _within(start: Numbers, stop: Numbers, wanted: Interval) -> slice | None:
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    with np.errstate(invalid="ignore"):
        touched = (low <= wanted.high) & (high >= wanted.low)
        # Two planes meet in one place: it belongs to both only where nothing else is wanted.
        deep = np.minimum(high, wanted.high) - np.maximum(low, wanted.low) > _OVERLAP * (high - low)
    found = np.flatnonzero(touched & deep if (touched & deep).any() else touched)
    if found.size == 0:
        return None
    first = int(found[0])
    return slice(first, int(found[-1]) + 1 if wanted.low < wanted.high else first + 1)


def _wavelengths(axis: WCS, places: Numbers) -> Numbers:
    """Return vacuum wavelengths in metres."""
    told = str(axis.wcs.ctype[0])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            vacuum = axis.deepcopy()
            vacuum.wcs.sptr("WAVE-???")
            found: Numbers = vacuum.wcs_pix2world(places, 0)[0]
        except ValueError:  # wcslib translates no logarithmic and no tabular axes
            found = _translated(axis, told, axis.wcs_pix2world(places, 0)[0])
    return np.where(found > 0.0, found, np.nan)


def _translated(axis: WCS, told: str, values: Numbers) -> Numbers:
    """Return wavelengths of values that wcslib did not translate."""
    refused = RequestError(f"BAND: its spectral axis ({told}) cannot be brought to wavelengths")
    rest = axis.wcs.restwav * units.m
    if axis.wcs.restfrq > 0.0:
        rest = axis.wcs.restfrq * units.Hz
    kind = told[:4]
    if kind in {"VRAD", "VOPT"} and not rest.value > 0.0:
        raise refused  # a velocity, without the line that it belongs to
    try:
        with_units = values * units.Unit(axis.wcs.cunit[0])
        if kind in {"FREQ", "WAVE", "WAVN", "ENER"}:
            metres = with_units.to(units.m, equivalencies=units.spectral())
        elif kind == "VRAD":
            metres = with_units.to(units.m, equivalencies=units.doppler_radio(rest))
        elif kind == "VOPT":
            metres = with_units.to(units.m, equivalencies=units.doppler_optical(rest))
        elif kind == "AWAV":
            metres = with_units.to(units.m)
            squared = metres.to_value(units.um) ** 2
            # FITS WCS paper III, equation 65
            metres = metres * (1.0 + 1e-6 * (287.6155 + 1.62887 / squared + 0.01360 / squared**2))
        else:
            raise refused
    except (units.UnitConversionError, ValueError) as error:
        raise refused from error
    found: Numbers = metres.value
    return found


def _seen_from(system: str, towards: tuple[float, float] | None) -> float:
    """Return by how much wavelengths in a system of rest are longer than from the barycentre."""
    if towards is None or system not in _SUN:
        return 1.0
    speed, apex = _SUN[system]
    share = speed / _LIGHT * math.cos(SkyCoord(*towards, unit="deg").separation(apex).rad)
    return math.sqrt((1.0 + share) / (1.0 - share))


def _dates(axis: WCS, places: Numbers) -> Numbers:
    # UT1 needs tables of the Earth's rotation: those that astropy brings, never ones from the internet.
    with warnings.catch_warnings(), np.errstate(all="ignore"), iers.conf.set_temp("auto_download", False):
        warnings.simplefilter("ignore")  # dates of the far future or past
        try:
            times: Any = axis.pixel_to_world(places)
            found: Numbers = np.asarray(times.utc.mjd, dtype=float)
        except Exception as error:  # whatever astropy finds in the header
            raise RequestError(f"TIME: its time axis ({axis.wcs.ctype[0]}) cannot be brought to dates") from error
    return found
