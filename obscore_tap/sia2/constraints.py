"""SIA2's query parameters (SIA 2.0 section 2.1) as one ADQL query on ``ivoa.obscore``.

The values of one parameter are OR-ed, the parameters AND-ed; what is null never satisfies a constraint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from obscore_tap.refusals import Refusal
from obscore_tap.sia2.positions import position_condition
from obscore_tap.values import limit, number_literal, shown, text_literal

Values = Sequence[str]

STATES = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
"""Polarization states (ObsCore 1.1 section B.6.5)."""
LEVELS = range(5)
"""Calibration levels (ObsCore 1.1 section 4.2)."""
KINDS = ("image", "cube")
"""What SIA2 is about: rows of other values of dataproduct_type are never returned."""

_LEVEL = re.compile(r"\+?0*(\d)", re.ASCII)


def query(wanted: Mapping[str, Values]) -> str:
    """Return the ADQL query of a request.

    Parameters
    ----------
    wanted
        The values by the name of the parameter, in upper case; other names than those of `PARAMETERS` are ignored.

    Raises
    ------
    Refusal
        A value is not what its parameter takes.
    """
    conditions = [f"dataproduct_type IN ({', '.join(text_literal('DPTYPE', kind) for kind in KINDS)})"]
    conditions += [make(name, wanted[name]) for name, make in PARAMETERS.items() if wanted.get(name)]
    return f"SELECT * FROM ivoa.obscore AS images WHERE {' AND '.join(conditions)}"  # noqa: S608 - ADQL of literals made here


def _any(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"


def _interval(name: str, text: str, lowest: float) -> tuple[float, float]:
    """Read an interval; a single value is one without length (SIA 2.0 section 2.1)."""
    limits = [limit(name, part) for part in text.split()]
    if len(limits) not in {1, 2}:
        raise Refusal(f"{name}: {shown(text)} is neither a number nor an interval of two")
    low, high = limits[0], limits[-1]
    if low > high or low == math.inf or high == -math.inf:
        raise Refusal(f"{name}: {shown(text)} is empty: its first limit is above its second")
    if high < lowest or -math.inf < low < lowest:
        raise Refusal(f"{name}: {shown(text)} is below {lowest:g}")
    return low, high


def _overlaps(low_column: str, high_column: str, lowest: float) -> Callable[[str, Values], str]:
    """Make the condition that an interval in two columns has a value in common with one that is asked for."""

    def condition(name: str, values: Values) -> str:
        return _any([one(_interval(name, value, lowest)) for value in values])

    def one(interval: tuple[float, float]) -> str:
        low, high = interval
        starts = f"<= {number_literal(high)}" if high < math.inf else "IS NOT NULL"
        ends = f">= {number_literal(low)}" if low > -math.inf else "IS NOT NULL"
        return f"({low_column} {starts} AND {high_column} {ends})"

    return condition


def _within(column: str) -> Callable[[str, Values], str]:
    """Make the condition that a column's value lies in an interval that is asked for."""

    def condition(name: str, values: Values) -> str:
        return _any([one(*_interval(name, value, lowest=0.0)) for value in values])

    def one(low: float, high: float) -> str:
        if math.isfinite(low) and math.isfinite(high):
            return f"{column} BETWEEN {number_literal(low)} AND {number_literal(high)}"
        if math.isfinite(low):
            return f"{column} >= {number_literal(low)}"
        return f"{column} <= {number_literal(high)}" if math.isfinite(high) else f"{column} IS NOT NULL"

    return condition


def _equals(column: str) -> Callable[[str, Values], str]:
    """Make the condition that a column holds one of the texts, in their case."""

    def condition(name: str, values: Values) -> str:
        return f"{column} IN ({', '.join(text_literal(name, value) for value in values)})"

    return condition


def _position(_: str, values: Values) -> str:
    return _any([position_condition(value) for value in values])


def _states(name: str, values: Values) -> str:
    for value in values:
        if value not in STATES:
            raise Refusal(f"{name}: {shown(value)} is none of {', '.join(STATES)}")
    return _any([f"pol_states LIKE '%/{value}/%'" for value in values])


def _levels(name: str, values: Values) -> str:
    levels = []
    for value in values:
        match = _LEVEL.fullmatch(value)
        if not match or int(match[1]) not in LEVELS:
            raise Refusal(f"{name}: {shown(value)} is none of {', '.join(map(str, LEVELS))}")
        levels.append(match[1])
    return f"calib_level IN ({', '.join(levels)})"


def _identifiers(name: str, values: Values) -> str:
    """Make the condition of ID: IVOIDs are compared without case (SIA 2.0 section 2.1.10).

    Names of files in a lake may differ in nothing but case, so an identifier that is there exactly as written
    excludes those that are like it.
    """
    exact = ", ".join(text_literal(name, value) for value in values)
    folded = ", ".join(f"LOWER({text_literal(name, value)})" for value in values)
    return (
        f"LOWER(obs_publisher_did) IN ({folded}) AND (obs_publisher_did IN ({exact}) OR NOT EXISTS ("  # noqa: S608 - as above
        f"SELECT exact.obs_publisher_did FROM ivoa.obscore AS exact WHERE exact.obs_publisher_did IN ({exact}) "
        "AND LOWER(exact.obs_publisher_did) = LOWER(images.obs_publisher_did)))"
    )


PARAMETERS: Mapping[str, Callable[[str, Values], str]] = {
    "POS": _position,
    "BAND": _overlaps("em_min", "em_max", lowest=0.0),
    "TIME": _overlaps("t_min", "t_max", lowest=-math.inf),
    "POL": _states,
    "FOV": _within("s_fov"),
    "SPATRES": _within("s_resolution"),
    "SPECRP": _within("em_res_power"),
    "EXPTIME": _within("t_exptime"),
    "TIMERES": _within("t_resolution"),
    "ID": _identifiers,
    "COLLECTION": _equals("obs_collection"),
    "FACILITY": _equals("facility_name"),
    "INSTRUMENT": _equals("instrument_name"),
    "DPTYPE": _equals("dataproduct_type"),
    "CALIB": _levels,
    "TARGET": _equals("target_name"),
    "FORMAT": _equals("access_format"),
}
"""The query parameters, and what makes the condition of their values."""
