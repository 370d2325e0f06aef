"""The footprint of an item: one simple spherical polygon, and a circle that holds it.

A footprint that cannot be one is left out with the reason; no geometry makes an item be lost. In detail:

- Unwrapped at the antimeridian, never split: the parts of a MultiPolygon that meet there are joined; parts that do
  not join are published by their convex hull.
- Edges of body-fixed footprints are straight in longitude and latitude (RFC 7946), so that long ones get vertices;
  edges on the sky are great circles.
- Larger than a hemisphere: no polygon, for neither ADQL's geometry nor pgSphere has any; longitude and latitude
  ranges remain.
- Lines, several points and what is thinner than a millimetre of arc: a circle. One point: a circle of radius 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import degrees, radians, sin
from typing import Any, Literal, NamedTuple

from stac_rucio_sync.mapping import rings, sphere
from stac_rucio_sync.mapping.rings import NoPositionError, Position, Ring

Frame = Literal["sky", "body"]

MOST_VERTICES = 250
"""pgSphere takes 1,024 but checks each edge against each other: 250 vertices cost it 40 ms, 1,000 a second."""
_MOST_POSITIONS = 1_000_000
_DEEPEST = 4
_TOLERANCES = (1e-5, 1e-4, 1e-3)
"""How far vertices may be from a straight edge, in parts of the footprint's radius, to be left out: tried in turn."""

STC_FRAME: dict[Frame, str] = {"sky": "ICRS", "body": "UNKNOWNFRAME"}

HOLES = "the footprint has holes: they are filled"
HULL = "the footprint has parts that do not join: their convex hull is published"
TOUCHES = "the outline of the footprint touches itself: its convex hull is published"
CROSSES = "the outline of the footprint crosses itself: no position is published"
LARGE = "the footprint is larger than a hemisphere: no region is published"
THIN = "the footprint has no area: a circle around it is published"
NO_AREA = "the footprint is of lines or several points: a circle around it is published"
SIMPLIFIED = "the outline of the footprint is too fine: it is simplified"
NO_GEOMETRY = "the item has no geometry: no position is published"


class Ranges(NamedTuple):
    """Longitude (eastward 0 to 360, west > east across the meridian) and latitude ranges in degrees."""

    west: float
    east: float
    south: float
    north: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where an item lies, in degrees; every part may be missing."""

    polygon: tuple[float, ...] | None = None
    """lon, lat, ...: sky counter-clockwise seen from inside, body counter-clockwise seen from outside."""
    bound: tuple[float, float, float] | None = None
    """Centre and radius (at most 90) of a circle that holds the polygon with its great-circle edges."""
    region: str | None = None
    """The same as STC-S: POLYGON, or CIRCLE where there is no polygon."""
    ranges: Ranges | None = None
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Parts:
    """A geometry taken apart: rings of polygons, or bare positions."""

    rings: list[Ring] = field(default_factory=list)
    positions: Ring = field(default_factory=list)
    holes: bool = False


def footprint(geometry: Mapping[str, Any] | None, bbox: Sequence[float] | None, frame: Frame) -> Footprint:
    """Return the footprint of a GeoJSON geometry.

    Parameters
    ----------
    geometry
        GeoJSON, degrees; on the sky longitude is right ascension and latitude declination.
    bbox
        Gives the ranges where the geometry cannot.
    frame
        ``sky`` or ``body``: which way polygons run and what their edges are.
    """
    if geometry is None:
        return Footprint(ranges=_ranges_of_bbox(bbox), remarks=(NO_GEOMETRY,))
    parts = _Parts()
    try:
        _take_apart(geometry, parts, 0)
    except NoPositionError as error:
        return Footprint(ranges=_ranges_of_bbox(bbox), remarks=(f"the geometry is left out: {error}",))
    remarks = [HOLES] if parts.holes else []
    made = _of_polygons(parts, frame, remarks) if parts.rings else _of_positions(parts.positions, frame, remarks)
    if made.ranges is None:
        return Footprint(made.polygon, made.bound, made.region, _ranges_of_bbox(bbox), made.remarks)
    return made


def polygon_footprint(vertices: Ring) -> Footprint:
    """Return the footprint of a polygon on the sky with great-circle edges, as STC-S and DALI have them."""
    ring, winding = rings.unwrapped(vertices)
    return _of_ring(rings.densified(ring, winding, along_parallels=False), "sky", [], None)


def circle_footprint(lon: float, lat: float, radius: float, frame: Frame = "sky") -> Footprint:
    """Return the footprint that is a circle; degrees. Beyond 90 degrees there is none."""
    lon = _wrapped(lon)
    if radius > 90.0:
        return Footprint(remarks=(LARGE,))
    region = f"CIRCLE {STC_FRAME[frame]} {lon!r} {lat!r} {radius!r}" if radius > 0.0 else None
    return Footprint(None, (lon, lat, radius), region)


def _take_apart(geometry: object, parts: _Parts, depth: int) -> None:
    kind, coordinates = (geometry.get("type"), geometry.get("coordinates")) if isinstance(geometry, dict) else (0, 0)
    if kind == "Polygon":
        _take_polygon(coordinates, parts)
    elif kind == "Point":
        parts.positions += rings.positions([coordinates])
    elif kind in ("MultiPoint", "LineString"):
        parts.positions += rings.positions(coordinates)
    elif kind in ("MultiPolygon", "MultiLineString") and isinstance(coordinates, list):
        for part in filter(None, coordinates):
            if kind == "MultiPolygon":
                _take_polygon(part, parts)
            else:
                parts.positions += rings.positions(part)
    elif kind == "GeometryCollection" and isinstance(geometry, dict) and depth < _DEEPEST:
        members = geometry.get("geometries")
        for member in members if isinstance(members, list) else [None]:
            _take_apart(member, parts, depth + 1)
    else:
        raise NoPositionError("it is no GeoJSON geometry")
    if len(parts.positions) + sum(map(len, parts.rings)) > _MOST_POSITIONS or not (parts.positions or parts.rings):
        raise NoPositionError("it has no position or more than a million")


def _take_polygon(coordinates: object, parts: _Parts) -> None:
    if not isinstance(coordinates, list) or not coordinates:
        raise NoPositionError("its coordinates are not lists of positions")
    parts.rings.append(rings.positions(coordinates[0]))
    parts.holes = parts.holes or len(coordinates) > 1


def _of_polygons(parts: _Parts, frame: Frame, remarks: list[str]) -> Footprint:
    outlines = [rings.unwrapped(ring) for ring in parts.rings]
    if len(outlines) == 1 and not parts.positions:
        ring, winding = outlines[0]
    else:
        first = outlines[0][0]
        pieces = [rings.beside(outline, first) for outline, _ in outlines]
        whole = rings.joined(pieces) if len(pieces) > 1 and not parts.positions else None
        if whole is None:
            every = [position for piece in pieces for position in piece] + rings.beside(parts.positions, first)
            winding = max((abs(winding) for _, winding in outlines), default=0)
            return _hull(every, frame, [*remarks, HULL], _ranges(every, winding))
        ring, winding = whole, 0
    return _of_ring(rings.densified(ring, winding, frame == "body"), frame, remarks, _ranges(ring, winding))


def _of_positions(positions: Ring, frame: Frame, remarks: list[str]) -> Footprint:
    line, _ = rings.unwrapped(positions)
    ranges = _ranges(line, 0)
    if len(line) == 1:
        lon, lat = line[0]
        return Footprint(None, (_wrapped(lon), lat, 0.0), None, ranges, tuple(remarks))
    return _circle([sphere.to_vector(*position) for position in line], frame, [*remarks, NO_AREA], ranges)


def _of_ring(ring: Ring, frame: Frame, remarks: list[str], ranges: Ranges | None) -> Footprint:
    if ranges is not None and _is_half_the_sphere(ranges):
        return Footprint(ranges=ranges, remarks=(*remarks, LARGE))
    ring, vectors = _distinct(ring)
    if len(ring) < 3:
        return _circle(vectors, frame, [*remarks, THIN], ranges)
    outline = _outline(ring, vectors)
    centre = outline.centre
    radius = sphere.bounding_radius(vectors, centre) if centre is not None else None
    if outline.fault is sphere.Fault.TOUCHING:
        return _hull(ring, frame, [*remarks, TOUCHES], ranges)
    if outline.fault is sphere.Fault.THIN:
        return _circle(vectors, frame, [*remarks, THIN], ranges)
    if outline.fault is not None or centre is None or radius is None:
        reason = CROSSES if outline.fault is sphere.Fault.CROSSING else LARGE
        return Footprint(ranges=ranges, remarks=(*remarks, reason))
    if outline.simplified:
        remarks = [*remarks, SIMPLIFIED]
    positions = outline.ring
    if (sphere.signed_area(outline.vectors, centre) > 0.0) == (frame == "sky"):
        positions = positions[::-1]
    lon, lat = sphere.to_degrees(centre)
    polygon = tuple(value for position in positions for value in (_wrapped(position[0]), position[1]))
    region = f"POLYGON {STC_FRAME[frame]} {' '.join(map(repr, polygon))}"
    return Footprint(polygon, (lon, lat, degrees(radius)), region, ranges, tuple(remarks))


class _Outline(NamedTuple):
    """A ring, thinned out where it had to be, and what is wrong with it."""

    ring: Ring
    vectors: list[sphere.Vector]
    centre: sphere.Vector | None
    fault: sphere.Fault | None
    simplified: bool = False


def _outline(ring: Ring, vectors: list[sphere.Vector]) -> _Outline:
    """Check a ring; thin it out if it has too many vertices, or nearly straight ones that pgSphere stumbles over."""
    centre = sphere.middle(vectors)
    if len(ring) <= MOST_VERTICES:
        fault = sphere.fault(vectors, centre)
        if fault is not sphere.Fault.TOUCHING or centre is None:
            return _Outline(ring, vectors, centre, fault)
    if centre is None:
        return _Outline(ring, vectors, None, sphere.Fault.TOO_LARGE)
    radius = max(sphere.distance(vector, centre) for vector in vectors)
    for tolerance in _TOLERANCES:
        kept, moved = sphere.simplify(vectors, MOST_VERTICES, tolerance * radius)
        thinned, thinned_vectors = _distinct([ring[index] for index in kept])
        if len(thinned) < 3:
            return _Outline(ring, vectors, centre, sphere.Fault.THIN)
        centre = sphere.middle(thinned_vectors)
        fault = sphere.fault(thinned_vectors, centre)
        simplified = moved > _TOLERANCES[1] * radius
        if fault is sphere.Fault.CROSSING and simplified:
            fault = sphere.Fault.TOUCHING  # it may be the thinning that made it cross
        if fault is not sphere.Fault.TOUCHING:
            break
    return _Outline(thinned, thinned_vectors, centre, fault, simplified)


def _hull(every: Ring, frame: Frame, remarks: list[str], ranges: Ranges | None) -> Footprint:
    ring, vectors = _distinct(every)
    centre = sphere.middle(vectors)
    hull = sphere.convex_hull(vectors, centre) if centre is not None else None
    if hull is None or len(hull) < 3:
        return _circle(vectors, frame, remarks, ranges)
    outline = [ring[index] for index in hull]
    if sphere.fault(*_vectors_and_middle(outline)) is not None:
        return _circle(vectors, frame, remarks, ranges)
    return _of_ring(outline, frame, remarks, ranges)


def _vectors_and_middle(ring: Ring) -> tuple[list[sphere.Vector], sphere.Vector | None]:
    vectors = [sphere.to_vector(lon, lat) for lon, lat in ring]
    return vectors, sphere.middle(vectors)


def _circle(vectors: list[sphere.Vector], frame: Frame, remarks: list[str], ranges: Ranges | None) -> Footprint:
    centre = sphere.middle(vectors)
    radius = sphere.bounding_radius(vectors, centre) if centre is not None else None
    if centre is None or radius is None:
        kept = (remark for remark in remarks if remark not in {THIN, NO_AREA, HULL, TOUCHES})
        return Footprint(ranges=ranges, remarks=(*kept, LARGE))
    lon, lat = sphere.to_degrees(centre)
    made = circle_footprint(lon, lat, degrees(radius), frame)
    return Footprint(None, made.bound, made.region, ranges, tuple(remarks))


def _distinct(ring: Ring) -> tuple[Ring, list[sphere.Vector]]:
    """Drop vertices that are their neighbour on the sphere, and cuts that go somewhere and straight back.

    So a ring that follows a parallel round the Earth and runs to the pole and back on the antimeridian becomes the
    polar cap that it means.
    """
    vertices: list[tuple[Position, sphere.Vector]] = []
    for position in ring:
        vector = sphere.to_vector(*position)
        if vertices and sphere.same(vertices[-1][1], vector):
            continue
        vertices.append((position, vector))
        while len(vertices) >= 3 and sphere.same(vertices[-1][1], vertices[-3][1]):
            del vertices[-2:]
    while len(vertices) > 1:
        if sphere.same(vertices[0][1], vertices[-1][1]):
            del vertices[-1]
        elif len(vertices) > 2 and sphere.same(vertices[0][1], vertices[-2][1]):
            del vertices[-2:]
        elif len(vertices) > 2 and sphere.same(vertices[1][1], vertices[-1][1]):
            del vertices[0], vertices[-1]
        else:
            break
    return [position for position, _ in vertices], [vector for _, vector in vertices]


def _wrapped(lon: float) -> float:
    """Return a longitude from 0 to below 360, without the noise that the remainder brings."""
    wrapped = lon if 0.0 <= lon < 360.0 else round(lon % 360.0, 12)
    return 0.0 if wrapped in {0.0, 360.0} else wrapped


def _is_half_the_sphere(ranges: Ranges) -> bool:
    """Tell whether a belt of all longitudes has the area of a hemisphere or more; its outline may be no ring at all."""
    west, east, south, north = ranges
    return (west, east) == (0.0, 360.0) and sin(radians(north)) - sin(radians(south)) >= 1.0


def _ranges(ring: Ring, winding: int) -> Ranges:
    lons, lats = [lon for lon, _ in ring], [lat for _, lat in ring]
    west, east, south, north = min(lons), max(lons), min(lats), max(lats)
    if winding:
        west, east = 0.0, 360.0
        if south + north > 0.0:
            north = 90.0
        else:
            south = -90.0
    return _of_edges(west, south, east, north)


def _of_edges(west: float, south: float, east: float, north: float) -> Ranges:
    if east - west >= 360.0:
        return Ranges(0.0, 360.0, south, north)
    eastern = _wrapped(east)
    return Ranges(_wrapped(west), 360.0 if eastern == 0.0 and east > west else eastern, south, north)


def _ranges_of_bbox(bbox: Sequence[float] | None) -> Ranges | None:
    """Return the ranges of a bbox; its west is greater than its east across the antimeridian (RFC 7946, 5.2)."""
    if bbox is None:
        return None
    half = len(bbox) // 2
    west, south, east, north = bbox[0], bbox[1], bbox[half], bbox[half + 1]
    if not (-540.0 <= west <= 540.0 and -540.0 <= east <= 540.0 and -90.0 <= south <= north <= 90.0):
        return None
    return _of_edges(west, south, east + 360.0 if east < west else east, north)
