"""User defined functions: those of the IVOA's catalogue 1.2, and a few that are widely used beside them.

``ivo_simbadpoint`` is left out: it asks a service in the network. The SQL of the others stands in ``110_adql.sql``.
"""

from __future__ import annotations

from collections.abc import Sequence

from obscore_tap.adql import geometry
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.frames import FRAMES
from obscore_tap.adql.functions import Builder, Function, Kind
from obscore_tap.adql.nodes import FunctionCall
from obscore_tap.adql.types import NO_META, Meta, Typed
from obscore_tap.adql.units import UnitError, spectral
from obscore_tap.schema import Datatype

_ORDERS = range(30)


def _index(template: str) -> Builder:
    def build(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
        _check_order(arguments[0], node)
        sql = template.format(*(one.sql for one in arguments))
        return Typed(sql, Datatype.BIGINT, node.position, Meta(ucd="pos.healpix"))

    return build


def _center(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    _check_order(arguments[0], node)
    sql = "adql.ivo_healpix_center({}, {})".format(*(one.sql for one in arguments))
    return geometry.made(sql, Datatype.POINT, node)


def _check_order(order: Typed, node: FunctionCall) -> None:
    if isinstance(order.constant, int) and order.constant not in _ORDERS:
        raise AdqlError(f"{node.spelling}: the order {order.constant} lies outside of 0 to 29", *order.position)


def _moved(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    sql = f"adql.ivo_epoch_prop_pos({', '.join(one.sql for one in arguments)})"
    return geometry.made(sql, Datatype.POINT, node)


def _spectral_from_column(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    number, target = arguments
    if not number.meta.unit:
        raise AdqlError(f"{node.spelling}: the value has no unit that is known here; give it", *number.position)
    return _spectral(number, number.meta.unit, target, node)


def _spectral_from_unit(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    number, source, target = arguments
    return _spectral(number, str(source.constant), target, node)


def _spectral(number: Typed, source: str, target: Typed, node: FunctionCall) -> Typed:
    wanted = str(target.constant)
    try:
        factor, is_inverse = spectral(source, wanted)
    except UnitError as error:
        raise AdqlError(f"{node.spelling}: {error}", *target.position) from error
    operator = "/" if is_inverse else "*"
    sql = f"('{factor!r}'::float8 {operator} {number.sql})"
    return Typed(sql, Datatype.DOUBLE, node.position, Meta(unit=wanted))


_TEXTS = (("value", Kind.TEXT), ("pattern", Kind.TEXT))
_DAY = Meta(unit="d", ucd="time.epoch")
_ANGLE = Meta(unit="deg")
_EPOCH_PARAMETERS = tuple(
    (name, Kind.DOUBLE)
    for name in ("ra", "dec", "parallax", "pmra", "pmdec", "radial_velocity", "ref_epoch", "out_epoch")
)
_LIMITS = tuple((name, Kind.DOUBLE) for name in ("a1", "b1", "a2", "b2"))


def _simple(
    name: str, parameters: tuple[tuple[str, Kind], ...], returns: Datatype, description: str, meta: Meta = NO_META
) -> Function:
    """Return a function whose SQL has its own name."""
    places = ", ".join(f"{{{number}}}" for number in range(len(parameters)))
    return Function(name, parameters, returns, f"adql.{name.lower()}({places})", description, meta=meta)


_JULIAN = "Converts a timestamp, or a string that DALI takes for one, into a {} without a thought for time scales."

IVOA: tuple[Function, ...] = (
    Function(
        "IVO_HEALPIX_INDEX",
        (("hpxOrder", Kind.INTEGER), ("long", Kind.DOUBLE), ("lat", Kind.DOUBLE)),
        Datatype.BIGINT,
        description="Returns the index of the HEALPix cell of order hpxOrder (0 to 29) that holds the position given "
        "in degrees, in nested numbering.",
        build=_index("adql.ivo_healpix_index({0}, {1}, {2})"),
    ),
    Function(
        "IVO_HEALPIX_INDEX",
        (("hpxOrder", Kind.INTEGER), ("point", Kind.POINT)),
        Datatype.BIGINT,
        description="Returns the index of the HEALPix cell of order hpxOrder (0 to 29) that holds the point, in "
        "nested numbering.",
        build=_index("adql.ivo_healpix_index({0}, {1})"),
    ),
    Function(
        "IVO_HEALPIX_CENTER",
        (("hpxOrder", Kind.INTEGER), ("hpxIndex", Kind.BIGINT)),
        Datatype.POINT,
        description="Returns the centre of the HEALPix cell hpxIndex of order hpxOrder, in nested numbering.",
        build=_center,
    ),
    Function(
        "IVO_EPOCH_PROP_POS",
        _EPOCH_PARAMETERS,
        Datatype.POINT,
        description="Returns the position at out_epoch of an object that moves in a straight line. Positions are in "
        "degrees, the parallax in mas, proper motions in mas/yr (pmra with cos(dec)), the radial velocity in km/s, "
        "epochs in Julian years. A null parallax means infinitely remote, null motions are 0.",
        build=_moved,
    ),
    Function(
        "IVO_GEOM_TRANSFORM",
        (("from_sys", Kind.LITERAL), ("to_sys", Kind.LITERAL), ("geo", Kind.GEOMETRY)),
        Datatype.POINT,
        description="Rotates a point, circle or polygon from one reference frame into another; frames are "
        f"{', '.join(FRAMES)} (FK4 is B1950; FK5 and ECLIPTIC are J2000).",
        build=geometry.geometry_transform,
        signature="ivo_geom_transform(from_sys VARCHAR, to_sys VARCHAR, geo GEOMETRY) -> GEOMETRY",
    ),
    _simple("IVO_TO_JD", (("d", Kind.TIMESTAMP),), Datatype.DOUBLE, _JULIAN.format("Julian date"), _DAY),
    _simple("IVO_TO_MJD", (("d", Kind.TIMESTAMP),), Datatype.DOUBLE, _JULIAN.format("modified Julian date"), _DAY),
    _simple(
        "IVO_NOCASEMATCH", _TEXTS, Datatype.INTEGER, "Returns 1 if value matches pattern as ILIKE has it, 0 if not."
    ),
    _simple(
        "IVO_HASWORD",
        (("haystack", Kind.TEXT), ("needle", Kind.TEXT)),
        Datatype.INTEGER,
        "Returns 1 if all words of needle are words of haystack, whatever their case, 0 if not. A word is a run of "
        "letters and digits; there is no stemming.",
    ),
    _simple(
        "IVO_HASHLIST_HAS",
        (("hashlist", Kind.TEXT), ("item", Kind.TEXT)),
        Datatype.INTEGER,
        "Returns 1 if item is one of the words of hashlist, which are separated by #, whatever its case, 0 if not.",
    ),
    _simple(
        "IVO_NORMAL_RANDOM",
        (("mu", Kind.DOUBLE), ("sigma", Kind.DOUBLE)),
        Datatype.DOUBLE,
        "Returns a random number of the normal distribution of mean mu and standard deviation sigma.",
    ),
    _simple(
        "IVO_INTERVAL_OVERLAPS",
        _LIMITS,
        Datatype.INTEGER,
        "Returns 1 if the intervals from a1 to b1 and from a2 to b2, limits included, overlap, 0 if not.",
    ),
    _simple(
        "IVO_INTERVAL_HAS",
        (("val", Kind.DOUBLE), ("iv", Kind.INTERVAL)),
        Datatype.INTEGER,
        "Returns 1 if the interval holds the value, limits included, 0 if not.",
    ),
    _simple(
        "IVO_HMS_TO_DEGREES",
        (("hms", Kind.TEXT),),
        Datatype.DOUBLE,
        "Converts hours, minutes and seconds (h:m:s, hhmmss or hHmMsS) into degrees; NULL where they are none.",
        _ANGLE,
    ),
    _simple(
        "IVO_DMS_TO_DEGREES",
        (("dms", Kind.TEXT),),
        Datatype.DOUBLE,
        "Converts degrees, minutes and seconds (d:m:s, ddmmss or dDmMsS, with or without sign) into degrees; NULL "
        "where they are none.",
        _ANGLE,
    ),
    Function(
        "GAVO_TO_JD",
        (("d", Kind.TIMESTAMP),),
        Datatype.DOUBLE,
        "adql.ivo_to_jd({0})",
        "The older name of ivo_to_jd.",
        meta=_DAY,
    ),
    Function(
        "GAVO_TO_MJD",
        (("d", Kind.TIMESTAMP),),
        Datatype.DOUBLE,
        "adql.ivo_to_mjd({0})",
        "The older name of ivo_to_mjd.",
        meta=_DAY,
    ),
    Function(
        "GAVO_SPECCONV",
        (("expr", Kind.DOUBLE), ("dest_unit", Kind.LITERAL)),
        Datatype.DOUBLE,
        description="Converts a wavelength, frequency or energy into dest_unit, a spectral unit of VOUnit.",
        build=_spectral_from_column,
    ),
    Function(
        "GAVO_SPECCONV",
        (("expr", Kind.DOUBLE), ("expr_unit", Kind.LITERAL), ("dest_unit", Kind.LITERAL)),
        Datatype.DOUBLE,
        description="Converts a wavelength, frequency or energy from expr_unit into dest_unit, spectral units of "
        "VOUnit.",
        build=_spectral_from_unit,
    ),
)
