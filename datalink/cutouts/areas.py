"""Regions on the sphere as cutters ask about them: which points they hold, how their outlines run, how wide they are.

Longitudes and latitudes are degrees, of the sky or of a body. The edges of polygons are great circles (DALI 1.1
section 3.3.7), and a polygon is the smaller of the two areas that its ring parts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datalink.cutouts.errors import RequestError
from datalink.cutouts.region import Circle, Polygon, Range, Region
from stac_rucio_sync.mapping.sphere import Fault, fault, middle, to_vector

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]

_EDGE = 1e-9
"""Degrees; what is this near to an edge lies on it (0.1 mm on Earth)."""
_POLE = 1e-6
"""Degrees; what is this near to a pole is the pole."""
_STEPS = 64
"""Pieces of an edge by which the longitudes of a polygon are followed."""


class Area(ABC):
    """A region of the sphere.

    Attributes
    ----------
    west, width
        Where its longitudes begin, and over how many degrees eastward they go; 360 where it holds a pole.
    edges
        Number of its edges: its outline runs from 0 to this.
    """

    west: float
    width: float
    edges: int

    @abstractmethod
    def holds(self, lon: Numbers, lat: Numbers) -> Truths:
        """Tell which points lie in it or on its edge.

        Parameters
        ----------
        lon, lat
            Degrees, of one shape or of shapes that go together; what is no number lies nowhere.
        """

    @abstractmethod
    def outline(self, along: Numbers) -> tuple[Numbers, Numbers]:
        """Return points of its outline.

        Parameters
        ----------
        along
            From 0 to `edges`: the number of an edge and how much of it is behind the point. At whole numbers it is
            the vertices.

        Returns
        -------
        tuple
            Longitudes and latitudes in degrees.
        """


def area_of(region: Region) -> Area:
    """Return a region as an area.

    Raises
    ------
    RequestError
        It is a polygon that crosses itself, has no area, or does not fit into half a sphere.
    """
    match region:
        case Circle():
            return _Disc(region)
        case Range():
            return _Box(region)
        case Polygon():
            return _Ring(region)


class _Box(Area):
    def __init__(self, box: Range) -> None:
        self.edges = 4
        self.west, self.width = box.west, box.width
        self._south, self._north = box.south, box.north

    def holds(self, lon: Numbers, lat: Numbers) -> Truths:
        between = (lat >= self._south - _EDGE) & (lat <= self._north + _EDGE)
        if self.width >= 360.0 - _EDGE:
            return between & np.isfinite(lon)
        within = (lon - self.west + _EDGE) % 360.0 <= self.width + 2.0 * _EDGE
        # All longitudes meet in a pole.
        return between & (within | (np.abs(lat) >= 90.0 - _EDGE))

    def outline(self, along: Numbers) -> tuple[Numbers, Numbers]:
        corners = [0.0, 1.0, 2.0, 3.0, 4.0]
        east, north = self.west + self.width, self._north
        lon = np.interp(along, corners, [self.west, east, east, self.west, self.west])
        lat = np.interp(along, corners, [self._south, self._south, north, north, self._south])
        return lon, lat


class _Disc(Area):
    def __init__(self, circle: Circle) -> None:
        self.edges = 1
        self._centre: Numbers = np.array(to_vector(circle.lon, circle.lat))
        self._radius = circle.radius
        half = 180.0
        if abs(circle.lat) + circle.radius < 90.0:
            half = float(np.degrees(np.arcsin(np.sin(np.radians(circle.radius)) / np.cos(np.radians(circle.lat)))))
        self.west, self.width = circle.lon - half, 2.0 * half

    def holds(self, lon: Numbers, lat: Numbers) -> Truths:
        # By the chord: the arc's cosine says nothing of small distances.
        chord = np.linalg.norm(_vectors(lon, lat) - self._centre, axis=-1)
        away = np.degrees(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)))
        return np.asarray(away <= self._radius + _EDGE)

    def outline(self, along: Numbers) -> tuple[Numbers, Numbers]:
        turn = 2.0 * np.pi * np.asarray(along)[..., None]
        across, upward = _axes(self._centre)
        radius = np.radians(self._radius)
        around = np.cos(turn) * across + np.sin(turn) * upward
        return _degrees(np.cos(radius) * self._centre + np.sin(radius) * around)


class _Ring(Area):
    def __init__(self, polygon: Polygon) -> None:
        vectors = [to_vector(lon, lat) for lon, lat in polygon.points]
        centre = middle(vectors)
        wrong = fault(vectors, centre)
        if wrong in {Fault.TOO_LARGE, Fault.CROSSING, Fault.THIN} or centre is None:
            raise RequestError(f"a polygon is wanted that {_WRONG[wrong or Fault.TOO_LARGE]}")
        self.edges = len(vectors)
        self._ring: Numbers = np.array(vectors)
        self._centre: Numbers = np.array(centre)
        self._across, self._upward = _axes(self._centre)
        self._plane = self._projected(self._ring)
        self.west, self.width = self._longitudes()

    def holds(self, lon: Numbers, lat: Numbers) -> Truths:
        # Seen from the middle of the sphere great circles are straight lines in a plane.
        vectors = _vectors(lon, lat)
        with np.errstate(invalid="ignore", divide="ignore"):
            x, y = self._projected(vectors)
            inside = _in_plane(x, y, *self._plane)
        return inside & (vectors @ self._centre > 0.0)

    def outline(self, along: Numbers) -> tuple[Numbers, Numbers]:
        edge = np.minimum(np.asarray(along).astype(int), self.edges - 1)
        part = (np.asarray(along) - edge)[..., None]
        return _degrees((1.0 - part) * self._ring[edge] + part * self._ring[(edge + 1) % self.edges])

    def _projected(self, vectors: Numbers) -> tuple[Numbers, Numbers]:
        depth = vectors @ self._centre
        return vectors @ self._across / depth, vectors @ self._upward / depth

    def _longitudes(self) -> tuple[float, float]:
        """Return west and width: the outline followed, unless it holds a pole; a pole on it has no longitude."""
        lon, lat = self.outline(np.linspace(0.0, self.edges, self.edges * _STEPS + 1))
        beside = np.abs(lat) < 90.0 - _POLE
        if beside.all() and self.holds(np.zeros(2), np.array([90.0, -90.0])).any():
            return -180.0, 360.0
        running = np.unwrap(lon[beside], period=360.0)
        west, width = float(running.min()), float(running.max() - running.min())
        return (west, width) if width < 360.0 else (-180.0, 360.0)


_WRONG = {
    Fault.TOO_LARGE: "does not fit into half a sphere",
    Fault.CROSSING: "crosses itself",
    Fault.THIN: "has no area",
}


def _in_plane(x: Numbers, y: Numbers, ring_x: Numbers, ring_y: Numbers) -> Truths:
    """Tell which points a plane ring holds: a line to the right of them crosses it an odd number of times."""
    shape = np.broadcast(x, y).shape
    order = np.argsort(y, axis=None, kind="stable")
    x, y = x.ravel()[order], y.ravel()[order]
    # Of each edge only the points at its own height: rings of many short edges take no longer than those of few.
    starts = np.searchsorted(y, np.minimum(ring_y, np.roll(ring_y, -1)))
    stops = np.searchsorted(y, np.maximum(ring_y, np.roll(ring_y, -1)))
    inside = np.zeros(len(x), dtype=np.bool_)
    for edge in np.nonzero(stops > starts)[0]:
        here = slice(starts[edge], stops[edge])
        x0, y0, after = ring_x[edge], ring_y[edge], (edge + 1) % len(ring_x)
        inside[here] ^= x[here] < (ring_x[after] - x0) * (y[here] - y0) / (ring_y[after] - y0) + x0
    held = np.empty(len(x), dtype=np.bool_)
    held[order] = inside
    return held.reshape(shape)


def _axes(centre: Numbers) -> tuple[Numbers, Numbers]:
    """Return two directions at right angles to one and to each other."""
    away = np.array([0.0, 0.0, 1.0] if abs(centre[2]) < 0.9 else [1.0, 0.0, 0.0])
    across = np.cross(centre, away)
    across /= np.linalg.norm(across)
    return across, np.cross(centre, across)


def _vectors(lon: Numbers, lat: Numbers) -> Numbers:
    lon, lat = np.radians(lon), np.radians(lat)
    parts: Any = np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    return np.stack(parts, axis=-1)


def _degrees(vectors: Numbers) -> tuple[Numbers, Numbers]:
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))
