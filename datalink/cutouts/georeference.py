"""Where the pixels of a raster lie on its body: eastward longitude and latitude in degrees, both ways.

Columns and rows are counted from the outer corner of the first pixel: its centre is (0.5, 0.5). On Earth positions
are WGS 84; elsewhere they are on the ellipsoid of the file's own reference system, from the body's prime meridian.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer

from datalink.cutouts.areas import Area, Numbers
from datalink.cutouts.errors import LimitError, RequestError

_EARTH = (6.3e6, 6.45e6)
"""Metres; an ellipsoid whose radius lies between is one of Earth's."""
_MOST_POINTS = 1000
"""Ground control points: the time to solve a spline grows with their third power."""
_STEP = 8.0
"""Pixels between the points at which a spline is asked for many of them."""
_MOST_TURNS = 1.5
"""Times that a map may go round its body."""
_STRAY = 0.01
"""How far, of the extent of all control points, a position may come back from where it was taken to."""
_SAME = 0.1
"""Pixels between a point and itself, taken to the body and back."""
_EXACT = 1e-3
"""Pixels that a projection may leave a straight line by, and still count as a cylinder's."""


class Georeference(ABC):
    """Where the pixels of a raster lie.

    Attributes
    ----------
    size
        Columns and rows of the raster.
    turn
        Columns of 360 degrees of longitude, where each column is a meridian; None where it is none.
    """

    size: tuple[int, int]
    turn: float | None = None

    @abstractmethod
    def pixels(self, lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
        """Return columns and rows of positions; infinite or no number where they have none.

        Where columns are meridians, ``lon`` may run on beyond a whole turn, and the columns with it.
        """

    @abstractmethod
    def positions(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Return longitudes and latitudes of points of the raster; infinite or no number off the body.

        Columns and rows are of shapes that go together, and so are the results.
        """

    def grid(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Return longitudes and latitudes where columns and rows meet, in two arrays of shape (rows, columns)."""
        return self.positions(columns[None, :], rows[:, None])

    def seam(self, area: Area) -> float:
        """Return the longitude at which those of an area begin to be counted."""
        return area.west - (360.0 - area.width) / 2.0


class _Projected(Georeference):
    """Any reference system, by PROJ."""

    def __init__(self, transform: Affine, projection: pyproj.Transformer, size: tuple[int, int]) -> None:
        self.size = size
        self._transform = transform
        self._inverse = ~transform
        self._projection = projection
        self._circle = _circle_of(projection)
        self._middle, _ = transform @ (size[0] / 2.0, size[1] / 2.0)

    def pixels(self, lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
        x, y = self._projection.transform(lon, lat)
        if self._circle is not None:
            x = x - self._circle * np.round((x - self._middle) / self._circle)
        return _applied(self._inverse, x, y)

    def positions(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        columns, rows = np.broadcast_arrays(columns, rows)
        x, y = _applied(self._transform, columns, rows)
        lon, lat = self._projection.transform(x, y, direction="INVERSE")
        # Beside the outline of a map PROJ goes on counting: such points are others when they are taken back.
        again = self.pixels(lon, lat)
        with np.errstate(invalid="ignore"):
            off = ~(np.hypot(again[0] - columns, again[1] - rows) < _SAME)
        return np.where(off, np.nan, lon), np.where(off, np.nan, lat)


class _Cylinder(Georeference):
    """Columns are meridians and rows are parallels, as in maps of whole bodies, wherever those are cut open."""

    def __init__(self, flat: _Projected, lon: float, per_degree: float) -> None:
        self.size = flat.size
        self.turn = abs(360.0 * per_degree)
        self._flat = flat
        self._middle = self.size[0] / 2.0
        self._lon = lon
        self._per_degree = per_degree

    def pixels(self, lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
        _, rows = self._flat.pixels(np.full_like(lat, self._lon), lat)
        return self._middle + (lon - self._lon) * self._per_degree, rows

    def positions(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        _, lat = self._flat.positions(np.full_like(rows, self._middle), rows)
        return self._lon + (columns - self._middle) / self._per_degree, lat

    def seam(self, area: Area) -> float:
        """Of all longitudes at once, those of the raster's own edge."""
        if area.width < 360.0:
            return super().seam(area)
        edges, _ = self.positions(np.array([0.0, self.turn or 0.0]), np.zeros(2) + self.size[1] / 2.0)
        return float(edges.min())


class _Spline(Georeference):
    """Ground control points: a thin-plate spline, which goes through each of them."""

    def __init__(self, points: list[Any], projection: pyproj.Transformer, size: tuple[int, int]) -> None:
        self.size = size
        self._spline = GCPTransformer(points, tps=True)
        self._projection = projection
        self._far = _STRAY * max(np.ptp([point.x for point in points]), np.ptp([point.y for point in points]))

    def pixels(self, lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
        x, y = self._projection.transform(lon, lat)
        rows, columns = self._spline.rowcol(x, y, op=np.positive)
        back_x, back_y = self._spline.xy(rows, columns, offset="ul")
        # Far from its points a spline folds over; what it puts onto the raster from there does not belong to it.
        with np.errstate(invalid="ignore", over="ignore"):
            stray = ~(np.hypot(back_x - x, back_y - y) < self._far)
        return np.where(stray, np.nan, columns), np.where(stray, np.nan, rows)

    def positions(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        lon, lat = self._projection.transform(*self._coordinates(columns, rows), direction="INVERSE")
        return lon, lat

    def grid(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Between every `_STEP`-th pixel straight: a spline takes its time for each point, and bends slowly."""
        across, down = (np.arange(side[0], side[-1] + _STEP, _STEP) for side in (columns, rows))
        coarse = self._coordinates(across[None, :], down[:, None])
        x, y = (_between(_between(part, down, rows).T, across, columns).T for part in coarse)
        lon, lat = self._projection.transform(x, y, direction="INVERSE")
        return lon, lat

    def _coordinates(self, columns: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        columns, rows = np.broadcast_arrays(columns, rows)
        x, y = self._spline.xy(rows.ravel(), columns.ravel(), offset="ul")
        return np.reshape(x, rows.shape), np.reshape(y, rows.shape)


def _between(values: Numbers, at: Numbers, wanted: Numbers) -> Numbers:
    """Interpolate along the first axis, whose places are `_STEP` apart."""
    place = (wanted - at[0]) / _STEP
    first = np.minimum(place.astype(int), len(at) - 2)
    part = (place - first)[:, None]
    between: Numbers = (1.0 - part) * values[first] + part * values[first + 1]
    return between


def georeference_of(dataset: Any) -> Georeference:  # noqa: ANN401 - rasterio ships no types
    """Return where the pixels of an open raster lie.

    Parameters
    ----------
    dataset
        rasterio's.

    Raises
    ------
    RequestError
        It does not say where it lies, or not in a way that longitudes and latitudes follow from.
    """
    size = (dataset.width, dataset.height)
    points, system = dataset.gcps
    if points:
        if len(points) > _MOST_POINTS:
            raise LimitError(f"the file has {len(points)} ground control points; at most {_MOST_POINTS} are used")
        return _Spline(points, _projection(system), size)
    if dataset.transform.is_identity or dataset.transform.is_degenerate:
        raise RequestError("the file does not say where its pixels lie, so no region of it can be told")
    flat = _Projected(dataset.transform, _projection(dataset.crs), size)
    return _cylinder(flat) if dataset.transform.is_rectilinear else flat


def _projection(system: CRS | None) -> pyproj.Transformer:
    """Return what takes longitudes and latitudes of the body to coordinates of a reference system."""
    if system is None:
        raise RequestError("the file does not say in which reference system its pixels lie")
    with _translated():
        flat = pyproj.CRS.from_wkt(system.to_wkt(version=WktVersion.WKT2_2019))
        if len(flat.axis_info) > 2 or flat.is_compound:
            flat = flat.to_2d()  # heights say nothing of where a pixel is
        return pyproj.Transformer.from_crs(_of_body(flat), flat, always_xy=True)


def _of_body(system: pyproj.CRS) -> pyproj.CRS:
    shape = system.ellipsoid
    if shape is None:
        raise RequestError(f"the reference system of the file, {system.name}, is not that of a body")
    if _EARTH[0] < shape.semi_major_metre < _EARTH[1]:
        return pyproj.CRS.from_epsg(4326)
    # Eastward and from the prime meridian, whatever the system itself counts by.
    return pyproj.CRS.from_dict({"proj": "longlat", "a": shape.semi_major_metre, "b": shape.semi_minor_metre})


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ProjError, RasterioError) as error:
        raise RequestError(f"the reference system of the file is not known: {error}") from error


def _circle_of(projection: pyproj.Transformer) -> float | None:
    """Return a whole turn in the units of a reference system of longitudes; None for any other."""
    system = projection.target_crs
    if system is None or not system.is_geographic:
        return None
    return 2.0 * math.pi / float(system.axis_info[0].unit_conversion_factor)


def _cylinder(flat: _Projected) -> Georeference:
    """Return a raster as a cylinder if it is one: columns go with longitude alone, rows with latitude alone."""
    centre = np.array([flat.size[0] / 2.0]), np.array([flat.size[1] / 2.0])
    (lon,), (lat,) = flat.positions(*centre)
    if not np.isfinite([lon, lat]).all():
        return flat
    aside = np.array([-60.0, -30.0, -1.0, -0.5, 0.0, 0.5, 1.0, 30.0, 60.0])
    columns, rows = flat.pixels(lon + aside, np.full_like(aside, lat))
    # Where the map is cut open between two of the points, the step between two others is the right one.
    slope = min(np.diff(columns[3:6]) / 0.5, key=abs)
    lats = np.array([lat / 2.0, max(lat - 20.0, -80.0), min(lat + 20.0, 80.0)])
    aloft, _ = flat.pixels(np.full_like(lats, lon), lats)
    off = columns - columns[4] - slope * aside
    with np.errstate(invalid="ignore", divide="ignore"):
        off -= 360.0 * slope * np.round(off / (360.0 * slope))
    gone = np.concatenate([off, rows - rows[4], aloft - columns[4]])
    if not np.isfinite(gone).all() or np.abs(gone).max() > _EXACT:
        return flat
    if flat.size[0] > _MOST_TURNS * abs(360.0 * slope):
        raise RequestError(
            "the file's columns go round the body more than once, so its pixels have no place of their own"
        )
    return _Cylinder(flat, float(lon), float(slope))


def _applied(transform: Affine, x: Numbers, y: Numbers) -> tuple[Numbers, NDArray[np.float64]]:
    with np.errstate(invalid="ignore", over="ignore"):  # infinite times nothing, off the body
        return (
            transform.a * x + transform.b * y + transform.c,
            transform.d * x + transform.e * y + transform.f,
        )
