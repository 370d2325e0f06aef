"""Units of VOUnit 1.1: conversion factors, and conversions between wavelength, frequency and energy."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

_SPEED_OF_LIGHT = 299_792_458.0
_PLANCK = 6.62607015e-34


class UnitError(ValueError):
    """A unit is none, or cannot be converted; the message says why."""


@lru_cache(maxsize=512)
def _parsed(text: str) -> Any:  # noqa: ANN401 - astropy has no types
    # Takes 0.3 s, and few queries convert units.
    from astropy import units  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Deprecated units, such as Angstrom, are units.
            warnings.simplefilter("ignore", units.UnitsWarning)
            return units.Unit(text, format="vounit", parse_strict="raise")
    except (ValueError, TypeError) as error:
        raise UnitError(f"'{text[:40]}' is no unit of VOUnit") from error


@lru_cache(maxsize=512)
def factor(source: str, target: str) -> float:
    """Return by what a number in one unit is multiplied to be in another one.

    Raises
    ------
    UnitError
        One of them is no unit, is empty, or they measure different things (ADQL 2.1 section 4.8.1).
    """
    if not target.strip():
        raise UnitError("nothing can be converted into a number without unit")
    wanted = _parsed(target)
    if not source:
        raise UnitError("the value has no unit that is known here, and cannot be converted")
    given = _parsed(source)
    if not given.is_equivalent(wanted):
        raise UnitError(f"{source} cannot be converted into {target}{_way_out(given, wanted)}")
    return _neat(float(given.to(wanted)))


def _way_out(given: Any, wanted: Any) -> str:  # noqa: ANN401 - as above
    from astropy import units  # noqa: PLC0415

    told = "; gavo_specconv converts between wavelength, frequency and energy"
    return told if given.is_equivalent(wanted, units.spectral()) else ""


def _neat(ratio: float) -> float:
    """Return the short decimal number that a ratio is but for its last bits: 1e9, not 999999999.9999999."""
    short = float(f"{ratio:.12g}")
    return short if abs(short - ratio) <= 1e-15 * abs(ratio) else ratio


@lru_cache(maxsize=512)
def spectral(source: str, target: str) -> tuple[float, bool]:
    """Return a factor, and whether the number is divided by instead of multiplied with.

    The result is ``factor * number`` where both are wavelengths, or both are not; else ``factor / number``.

    Raises
    ------
    UnitError
        One of them is no unit of wavelength, frequency, energy or wave number.
    """
    if source.strip() and target.strip() and _parsed(source).is_equivalent(_parsed(target)):
        _frequency_or_length(source)
        return factor(source, target), False
    from_size, from_is_length = _frequency_or_length(source)
    to_size, to_is_length = _frequency_or_length(target)
    if from_is_length == to_is_length:
        return from_size / to_size, False
    return _SPEED_OF_LIGHT / (from_size * to_size), True


@lru_cache(maxsize=512)
def _frequency_or_length(text: str) -> tuple[float, bool]:
    """Return how many hertz a unit is, or how many metres, and whether it is a length."""
    if not text.strip():
        raise UnitError("a spectral unit is needed")
    for base, scale, is_length in (("m", 1.0, True), ("Hz", 1.0, False), ("J", 1 / _PLANCK, False)):
        try:
            return factor(text, base) * scale, is_length
        except UnitError:
            _parsed(text)
    try:
        return factor(text, "m**-1") * _SPEED_OF_LIGHT, False
    except UnitError as error:
        raise UnitError(f"{text} is no unit of wavelength, frequency or energy") from error
