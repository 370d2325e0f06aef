"""Reference frames: what they are called, and the rotations between them.

All transformations are plain rotations, as the catalogue of user defined functions 1.2 wants of ivo_geom_transform.
The default equinoxes are those of the catalogue: FK5 and ECLIPTIC J2000, FK4 B1950. The angles are Euler angles about
the axes Z, X and Z, which is how pgSphere's ``strans`` takes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

Row: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Row, Row, Row]

ICRS = ""
"""The frame of all that is published, and of a geometry that names none."""


def _about_x(angle: float) -> Matrix:
    s, c = math.sin(angle), math.cos(angle)
    return ((1.0, 0.0, 0.0), (0.0, c, s), (0.0, -s, c))


def _about_y(angle: float) -> Matrix:
    s, c = math.sin(angle), math.cos(angle)
    return ((c, 0.0, -s), (0.0, 1.0, 0.0), (s, 0.0, c))


def _about_z(angle: float) -> Matrix:
    s, c = math.sin(angle), math.cos(angle)
    return ((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0))


def _times(first: Matrix, *others: Matrix) -> Matrix:
    for other in others:
        columns = _transposed(other)
        first = (_row(first[0], columns), _row(first[1], columns), _row(first[2], columns))
    return first


def _row(row: Row, columns: Matrix) -> Row:
    return (_product(row, columns[0]), _product(row, columns[1]), _product(row, columns[2]))


def _product(a: Row, b: Row) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _transposed(m: Matrix) -> Matrix:
    return ((m[0][0], m[1][0], m[2][0]), (m[0][1], m[1][1], m[2][1]), (m[0][2], m[1][2], m[2][2]))


_MAS = math.radians(1 / 3_600_000)
_J2000_FROM_ICRS = _times(_about_x(19.9 * _MAS), _about_y(9.1 * _MAS), _about_z(-22.9 * _MAS))
"""FK5 against ICRS: the frame offsets of IAU 2000 (Mignard and Froeschle 2000)."""

_B1950_FROM_J2000 = _transposed(
    (
        (0.9999256794956877, -0.0111814832204662, -0.0048590038153592),
        (0.0111814832391717, 0.9999374848933135, -0.0000271625947142),
        (0.0048590037723143, -0.0000271702937440, 0.9999881946023742),
    )
)
"""FK4 against FK5: the rotation of Standish (1982) and Murray (1989), without E-terms and proper motions."""

_GALACTIC_FROM_B1950 = _times(
    _about_z(math.radians(180.0 - 123.0)), _about_y(math.radians(90.0 - 27.4)), _about_z(math.radians(192.25))
)
"""By definition (Blaauw and others 1960)."""

_GALACTIC_FROM_J2000 = _times(
    _about_z(math.radians(180.0 - 122.9319185680026)),
    _about_y(math.radians(90.0 - 27.12825118085622)),
    _about_z(math.radians(192.8594812065348)),
)
"""The pole and the position angle of the B1950 definition, moved to J2000 (Reid and Brunthaler 2004)."""

_SUPERGALACTIC_FROM_GALACTIC = _times(
    _about_z(math.radians(90.0)), _about_y(math.radians(90.0 - 6.32)), _about_z(math.radians(47.37))
)
"""By definition (de Vaucouleurs and others 1991)."""

_ECLIPTIC_FROM_ICRS = _times(
    _about_x(math.radians(84381.406 / 3600)),
    _about_x(6.819 * _MAS),
    _about_y(-16.617 * _MAS),
    _about_z(-14.6 * _MAS),
)
"""The mean obliquity of J2000 and the bias of the frame (IAU 2006)."""

_IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

_FROM_ICRS: Mapping[str, Matrix] = MappingProxyType(
    {
        "ICRS": _IDENTITY,
        "FK5": _J2000_FROM_ICRS,
        "FK4": _times(_B1950_FROM_J2000, _J2000_FROM_ICRS),
        "GALACTIC": _times(_GALACTIC_FROM_J2000, _J2000_FROM_ICRS),
        "SUPER_GALACTIC": _times(_SUPERGALACTIC_FROM_GALACTIC, _GALACTIC_FROM_J2000, _J2000_FROM_ICRS),
        "ECLIPTIC": _ECLIPTIC_FROM_ICRS,
    }
)

FRAMES = tuple(_FROM_ICRS)
"""Identifiers of the IVOA vocabulary ``refframe``."""

_ALIASES: Mapping[str, str] = MappingProxyType(
    {name: name for name in _FROM_ICRS}
    | {"": "ICRS", "J2000": "FK5", "EQ_FK5": "FK5", "B1950": "FK4", "EQ_FK4": "FK4", "GALACTIC_II": "GALACTIC"}
    | {"GAL": "GALACTIC", "ECL": "ECLIPTIC", "SUPERGALACTIC": "SUPER_GALACTIC", "UNKNOWNFRAME": "ICRS"}
)
_DETAILS = frozenset(
    {"GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "LSR", "GALACTIC_CENTER", "UNKNOWNREFPOS", "RELOCATABLE"}
    | {"LOCAL_GROUP_CENTER", "EMBARYCENTER", "SPHERICAL2", "UNITSPHERE", "SPHER2"}
)


def is_detail(word: str) -> bool:
    """Say whether a word of STC-S names a reference position or a flavour, which change nothing here."""
    return word.upper() in _DETAILS


def frame_of(word: str) -> str | None:
    """Return the frame that a word of STC-S names, `ICRS` for that one, or None; case does not matter."""
    name = _ALIASES.get(word.upper())
    return ICRS if name == "ICRS" else name


def coordinate_system(text: str) -> str | None:
    """Return the frame of the coordinate system argument of ADQL 2.0, ``ICRS GEOCENTER``; None: it is not known."""
    words = text.split()
    if not words:
        return ICRS
    frame = frame_of(words[0])
    return frame if all(map(is_detail, words[1:])) else None


def rotation(source: str, target: str) -> tuple[float, float, float]:
    """Return the Euler angles phi, theta, psi of ``strans(phi, theta, psi, 'ZXZ')``, in radians.

    Parameters
    ----------
    source, target
        Of `FRAMES`, or `ICRS`.
    """
    if source == target:
        return 0.0, 0.0, 0.0
    matrix = _times(_FROM_ICRS[target or "ICRS"], _transposed(_FROM_ICRS[source or "ICRS"]))
    # pgSphere turns vectors about Z by phi, then about X by theta, then about Z by psi.
    theta = math.atan2(math.hypot(matrix[2][0], matrix[2][1]), matrix[2][2])
    return math.atan2(matrix[2][0], matrix[2][1]), theta, math.atan2(matrix[0][2], -matrix[1][2])
