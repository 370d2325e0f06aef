"""Constructors and measures of geometry (ADQL 2.1 section 4.2), for pgSphere.

A geometry knows its frame. Published positions and regions are ICRS, and so is what names no frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from obscore_tap.adql import shapes
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.frames import FRAMES, ICRS, coordinate_system, rotation
from obscore_tap.adql.functions import Kind, as_geometry, as_point, taken
from obscore_tap.adql.literals import region_literal
from obscore_tap.adql.nodes import FunctionCall
from obscore_tap.adql.shapes import Circle, Point, Polygon, Shape, ShapeError
from obscore_tap.adql.types import Meta, Typed
from obscore_tap.schema import Datatype

_DEGREES = Meta(unit="deg")
_XTYPES = {Datatype.POINT: "point", Datatype.CIRCLE: "circle", Datatype.POLYGON: "polygon"}
_TYPES = {Point: Datatype.POINT, Circle: Datatype.CIRCLE, Polygon: Datatype.POLYGON}
_SQUARE_DEGREES = 3282.806350011744
"""In a steradian."""


def made(sql: str, datatype: Datatype, node: FunctionCall, frame: str = ICRS, shape: Shape | None = None) -> Typed:
    """Return a geometry that is no column."""
    return Typed(
        sql,
        datatype,
        node.position,
        Meta(unit="deg", xtype=_XTYPES[datatype]),
        frame=frame,
        shape=shape,
        name=node.spelling.lower(),
    )


def constant(shape: Shape, node: FunctionCall, frame: str) -> Typed:
    """Return a geometry that is known when the query is translated."""
    return made(shape.sql, _TYPES[type(shape)], node, frame, shape)


def _split(arguments: Sequence[Typed], node: FunctionCall) -> tuple[str, Sequence[Typed]]:
    """Return the frame and the arguments that follow the deprecated coordinate system (section 4.2.5)."""
    first = arguments[0]
    if first.datatype is None:
        return ICRS, arguments[1:]
    if not isinstance(first.constant, str):
        return ICRS, arguments
    frame = coordinate_system(first.constant)
    if frame is None:
        raise AdqlError(
            f"{node.spelling}: the coordinate system '{first.constant[:40]}' is not known", *first.position, FRAMES
        )
    return frame, arguments[1:]


def _number(argument: Typed, node: FunctionCall, what: str) -> Typed:
    return taken(Kind.DOUBLE, argument, f"{what} of {node.spelling}")


def _known(values: Sequence[Typed]) -> list[float] | None:
    found = [one.constant for one in values]
    return [float(one) for one in found] if all(isinstance(one, int | float) for one in found) else None  # type: ignore[arg-type]  # they are numbers


def _shaped(make: Callable[[], Shape], node: FunctionCall, frame: str) -> Typed:
    try:
        return constant(make(), node, frame)
    except ShapeError as error:
        raise AdqlError(f"{node.spelling}: {error}", *node.position) from error


def point(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``POINT([coosys,] longitude, latitude)``: the hidden column of that position, if it has one."""
    frame, rest = _split(arguments, node)
    return _position(rest[0], rest[1], node, frame)


def _position(longitude: Typed, latitude: Typed, node: FunctionCall, frame: str) -> Typed:
    first = _number(longitude, node, "the longitude")
    second = _number(latitude, node, "the latitude")
    values = _known([first, second])
    if values:
        typed = _shaped(lambda: shapes.point(*values), node, frame)
    else:
        sql = None
        here, there = longitude.origin, latitude.origin
        if here and there and here[0] is there[0]:
            sql = here[0].point(here[1], there[1])
        is_indexed = sql is not None
        typed = made(sql or f"spoint(radians({first.sql}), radians({second.sql}))", Datatype.POINT, node, frame)
        typed.origin = here if is_indexed else None
    typed.coordinates = (first, second)
    return typed


def _centre(arguments: Sequence[Typed], node: FunctionCall, sizes: int) -> tuple[Typed, Sequence[Typed], str]:
    frame, rest = _split(arguments, node)
    if len(rest) == sizes + 2:
        return _position(rest[0], rest[1], node, frame), rest[2:], frame
    centre = as_point(rest[0], f"{node.spelling}, its centre,")
    if frame != ICRS and centre.frame not in (ICRS, frame):
        raise AdqlError(f"{node.spelling} and its centre are of different frames", *node.position)
    return centre, rest[1:], frame or centre.frame


def circle(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``CIRCLE([coosys,] longitude, latitude | point, radius)``."""
    centre, sizes, frame = _centre(arguments, node, 1)
    radius = _number(sizes[0], node, "the radius")
    values, shape = _known([radius]), centre.shape
    if values and isinstance(shape, Point):
        return _shaped(lambda: shapes.circle(shape, values[0]), node, frame)
    if values and not 0 <= values[0] <= 90:
        raise AdqlError(f"{node.spelling}: the radius {values[0]:g} lies outside of 0 to 90 degrees", *radius.position)
    return made(f"scircle({centre.sql}, radians({radius.sql}))", Datatype.CIRCLE, node, frame)


def box(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``BOX([coosys,] longitude, latitude | point, width, height)``, a polygon."""
    centre, sizes, frame = _centre(arguments, node, 2)
    width, height = _number(sizes[0], node, "the width"), _number(sizes[1], node, "the height")
    values, shape = _known([width, height]), centre.shape
    if values and isinstance(shape, Point):
        return _shaped(lambda: shapes.box(shape, *values), node, frame)
    return made(f"adql.box({centre.sql}, {width.sql}, {height.sql})", Datatype.POLYGON, node, frame)


def polygon(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``POLYGON([coosys,] …)`` of pairs of coordinates or of points, never of both."""
    frame, rest = _split(arguments, node)
    if any(one.datatype in (Datatype.POINT, Datatype.DOUBLES) for one in rest):
        corners = [as_point(one, f"{node.spelling}, vertex {number},") for number, one in enumerate(rest, 1)]
        frames = {one.frame for one in corners}
        if len(frames) > 1 or (frame != ICRS and not frames <= {frame, ICRS}):
            raise AdqlError(f"the vertices of {node.spelling} are of different frames", *node.position)
        frame = frame or frames.pop()
    elif len(rest) < 6 or len(rest) % 2:
        raise AdqlError(f"{node.spelling} takes three pairs of coordinates or more, or three points", *node.position)
    else:
        pairs = zip(rest[::2], rest[1::2], strict=True)
        corners = [_position(longitude, latitude, node, frame) for longitude, latitude in pairs]
    known = [one.shape for one in corners if isinstance(one.shape, Point)]
    if len(known) == len(corners):
        return _shaped(lambda: shapes.polygon(known), node, frame)
    listed = ", ".join(corner.sql for corner in corners)
    return made(f"adql.polygon(ARRAY[{listed}])", Datatype.POLYGON, node, frame)


def region(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``REGION('…')``."""
    try:
        shape, frame = region_literal(str(arguments[0].constant))
    except ShapeError as error:
        raise AdqlError(f"{node.spelling}: {error}", *arguments[0].position) from error
    return constant(shape, node, frame)


def coordinate(number: int) -> Callable[[Sequence[Typed], FunctionCall], Typed]:
    """Return COORD1 or COORD2: exactly what a point was made of, where that is known."""

    def build(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
        argument = as_point(arguments[0], node.spelling)
        ucd = f"pos.eq.{'dec' if number else 'ra'}" if argument.frame == ICRS else ""
        meta = Meta(unit="deg", ucd=ucd)
        if argument.coordinates:
            return Typed(argument.coordinates[number].sql, Datatype.DOUBLE, node.position, meta)
        function = "lat" if number else "long"
        return Typed(f"degrees({function}({argument.sql}))", Datatype.DOUBLE, node.position, meta)

    return build


def distance(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``DISTANCE(point, point)`` or ``DISTANCE(longitude, latitude, longitude, latitude)`` in degrees."""
    first, second = ends(arguments, node)
    meta = Meta(unit="deg", ucd="pos.angDistance")
    return Typed(f"degrees({first.sql} <-> {second.sql})", Datatype.DOUBLE, node.position, meta)


def ends(arguments: Sequence[Typed], node: FunctionCall) -> tuple[Typed, Typed]:
    """Return the two points of a DISTANCE, in one frame."""
    if len(arguments) == 4:
        first = _position(arguments[0], arguments[1], node, ICRS)
        second = _position(arguments[2], arguments[3], node, ICRS)
    else:
        first = as_point(arguments[0], f"{node.spelling}, its first argument,")
        second = as_point(arguments[1], f"{node.spelling}, its second argument,")
    return in_one_frame(first, second)


def in_one_frame(first: Typed, second: Typed) -> tuple[Typed, Typed]:
    """Return two geometries in one frame; what is ICRS stays as it is, since that has the index."""
    if first.frame == second.frame:
        return first, second
    if second.frame == ICRS:
        return transformed(first, ICRS), second
    return first, transformed(second, first.frame)


def transformed(geometry: Typed, frame: str) -> Typed:
    """Return a geometry in another frame, by a rotation."""
    if geometry.frame == frame:
        return geometry
    phi, theta, psi = rotation(geometry.frame, frame)
    turned = f"({geometry.sql} + strans({phi!r}, {theta!r}, {psi!r}, 'ZXZ'))"
    return Typed(turned, geometry.datatype, geometry.position, geometry.meta, loose=geometry.loose, frame=frame)


def geometry_transform(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``ivo_geom_transform(from, to, geometry)``; frame names are case-sensitive (catalogue 1.2)."""
    source, target, geometry = arguments
    frames = []
    for name in (source, target):
        if name.constant not in FRAMES:
            raise AdqlError(f"{node.spelling}: the frame '{name.constant}' is not known", *name.position, FRAMES)
        frames.append(ICRS if name.constant == "ICRS" else str(name.constant))
    if geometry.frame not in (ICRS, frames[0]):
        raise AdqlError(f"{node.spelling}: the geometry is {geometry.frame}, not {source.constant}", *node.position)
    given = Typed(geometry.sql, geometry.datatype, geometry.position, geometry.meta, frame=frames[0])
    turned = transformed(given, frames[1])
    assert turned.datatype is not None  # noqa: S101 - a geometry has a type
    return made(turned.sql, turned.datatype, node, frames[1])


def system(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``COORDSYS(geometry)``, which is known when the query is translated."""
    argument = arguments[0]
    known = argument.origin[0].region(argument.origin[1]) if argument.origin else None
    if known is None:
        argument = as_geometry(argument, node.spelling)
    return Typed(f"'{argument.frame or 'ICRS'}'::text", Datatype.TEXT, node.position)


def area(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``AREA(geometry)`` in square degrees."""
    sql = _of_region(arguments[0], node, "adql.area({})")
    return Typed(sql, Datatype.DOUBLE, node.position, Meta(unit="deg**2", ucd="phys.angArea"))


def centroid(arguments: Sequence[Typed], node: FunctionCall) -> Typed:
    """Return ``CENTROID(geometry)``."""
    if arguments[0].datatype is Datatype.POINT:
        return arguments[0]
    return made(_of_region(arguments[0], node, "adql.centroid({})"), Datatype.POINT, node, arguments[0].frame)


def _of_region(argument: Typed, node: FunctionCall, template: str) -> str:
    hidden = argument.origin[0].region(argument.origin[1]) if argument.origin else None
    if hidden and argument.datatype is not Datatype.POINT:
        measured = f"COALESCE({template.format(hidden.polygon)}, {template.format(hidden.bound)})"
        return f"CASE WHEN {argument.sql} IS NOT NULL THEN {measured} END"
    return template.format(as_geometry(argument, node.spelling).sql)
