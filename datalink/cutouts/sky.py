"""Which pixels of a picture a region on the sky touches: the smallest box of them, for any celestial WCS.

The box is found from both sides. The region's outline is followed into the picture, closer and closer, and where it
crosses the picture's edge the crossing is found by halving; and a net of the picture's own pixels is asked whether the
region holds them. Then the pixels around the box are asked, and it grows as long as the region reaches them: so maps of
the whole sky, seams and poles are no special cases. Where a region lies on both sides of a map's seam, its box is as
wide as the map.

Pixels are counted from 0, their centres are whole numbers; positions are degrees, ICRS.
"""

from __future__ import annotations

import warnings
from typing import Any, Final, NamedTuple

import numpy as np
from astropy.coordinates import ICRS, BarycentricMeanEcliptic, BaseCoordinateFrame, Galactic, SkyCoord, Supergalactic
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame

from datalink.cutouts.areas import Area, Numbers, Truths
from datalink.cutouts.errors import FileError, RequestError

_PIECES: Final = 2048
"""Into so many the outline near a picture is parted, unless they are smaller than a hundredth of a pixel before."""
_FIRST: Final = 64
_HALVINGS: Final = 14
_NET: Final = 33
_EDGE_NET: Final = 257
_BESIDE: Final = 8192
_TOUCHING: Final = 1e-3
"""Pixels: what is no farther inside a pixel does not touch it."""
_SAME: Final = 0.02
"""Pixels by which a position may miss itself on the way there and back."""
_CYLINDRICAL: Final = frozenset({"CAR", "CEA", "CYP", "MER"})
_EQUATORIAL: Final = frozenset({"", "ICRS", "FK4", "FK4-NO-E", "FK5"})
_WIDE: Final = 60.0
"""Degrees from the middle; of wider pictures no part of the sky is left out beforehand."""


class Box(NamedTuple):
    """Pixels along the first and the second celestial axis of a picture; the last ones are in it."""

    x_first: int
    x_last: int
    y_first: int
    y_last: int


class Sky:
    """The celestial part of a picture's WCS, between pixels and ICRS.

    Parameters
    ----------
    wcs
        Its two celestial axes, in the order of the picture's axes.
    width, height
        Pixels along them.

    Raises
    ------
    RequestError
        They are of no system on the sky.
    """

    def __init__(self, wcs: WCS, width: int, height: int) -> None:
        self._wcs = wcs
        self.width, self.height = width, height
        self._frame = _frame_of(wcs)
        self._is_icrs = isinstance(self._frame, ICRS)
        self._lon_first = bool(wcs.wcs.lng < wcs.wcs.lat)
        scales = np.abs(proj_plane_pixel_scales(wcs))
        self.pixel: float = float(max(scales))
        """Degrees, at the reference point."""
        if not (np.isfinite(scales).all() and self.pixel > 0.0):
            raise FileError("its world coordinates have no scale")
        self._shifts = self._turns()

    def middle(self) -> tuple[float, float] | None:
        """Return the position of the picture's middle; None where that is not on the sky."""
        lon, lat = self.positions(np.array([(self.width - 1) / 2.0]), np.array([(self.height - 1) / 2.0]))
        return (float(lon[0]), float(lat[0])) if np.isfinite(lon[0]) else None

    def positions(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Return the positions of pixels; not a number where there is no sky."""
        lon, lat = self._world(x, y)
        for shift_x, shift_y in self._shifts[1:]:  # beyond 180 degrees from its middle a map may go on
            lost = ~np.isfinite(lon)
            lon[lost], lat[lost] = self._world(x[lost] + shift_x, y[lost] + shift_y)
        known = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.0)
        if self._is_icrs:
            return np.where(known, lon % 360.0, np.nan), np.where(known, lat, np.nan)
        sky = SkyCoord(np.where(known, lon, 0.0), np.where(known, lat, 0.0), unit="deg", frame=self._frame).icrs
        return np.where(known, sky.spherical.lon.deg, np.nan), np.where(known, sky.spherical.lat.deg, np.nan)

    def pixels(self, lon: Numbers, lat: Numbers) -> tuple[Numbers, Numbers]:
        """Return where in the picture positions are; not a number where they are not in it.

        Where a map goes round the sphere more than once, the first place that is in the picture.
        """
        found_x, found_y = np.full(lon.shape, np.nan), np.full(lon.shape, np.nan)
        world = (lon, lat)
        if not self._is_icrs:
            there = SkyCoord(lon, lat, unit="deg", frame="icrs").transform_to(self._frame)
            world = (there.spherical.lon.deg, there.spherical.lat.deg)
        # Beyond the reach of a distortion's polynomial there is no answer, and so it is with what comes back wrong.
        x0, y0 = self._wcs.all_world2pix(*(world if self._lon_first else world[::-1]), 0, quiet=True)
        for shift_x, shift_y in self._shifts:
            x, y = x0 + shift_x, y0 + shift_y
            good = np.isnan(found_x) & self.inside(x, y)
            if not good.any():
                continue
            back_lon, back_lat = self.positions(x[good], y[good])
            near = _apart(back_lon, back_lat, lon[good], lat[good]) <= _SAME * self.pixel
            good[good] = near
            found_x[good], found_y[good] = x[good], y[good]
        return found_x, found_y

    def inside(self, x: Numbers, y: Numbers) -> Truths:
        """Tell which places are in the picture."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (x >= -0.5) & (x <= self.width - 0.5) & (y >= -0.5) & (y <= self.height - 0.5), dtype=np.bool_
            )

    def _world(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        first, second = self._wcs.all_pix2world(x, y, 0)
        return (first, second) if self._lon_first else (second, first)

    def _turns(self) -> list[tuple[float, float]]:
        """Return by how many pixels a cylindrical map repeats itself."""
        turns = [(0.0, 0.0)]
        if self._wcs.wcs.ctype[0][5:8] in _CYLINDRICAL:
            matrix = self._wcs.pixel_scale_matrix
            step = np.linalg.solve(matrix, [360.0, 0.0] if self._lon_first else [0.0, 360.0])
            turns += [(float(step[0]), float(step[1])), (float(-step[0]), float(-step[1]))]
        return turns


def box_of(sky: Sky, area: Area) -> Box | None:
    """Return the smallest box of pixels that holds all that the area touches; None where it touches none.

    Parameters
    ----------
    sky
        The picture's coordinates.
    area
        What is wanted of it.
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore", over="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        net_x, net_y = _net(sky, _NET)
        net_lon, net_lat = sky.positions(net_x, net_y)
        if not np.isfinite(net_lon).any():
            return None
        cap = _Cap.around(net_lon, net_lat, sky.pixel)
        if cap.radius >= 180.0:  # a map with borders of its own inside the picture, at which outlines end
            net_x, net_y = _net(sky, _EDGE_NET)
            net_lon, net_lat = sky.positions(net_x, net_y)
        held = area.holds(net_lon, net_lat)
        x, y = _outline_inside(sky, area, cap)
        x, y = np.append(x, net_x[held]), np.append(y, net_y[held])
        if x.size == 0:
            return None
        box = Box(*_touched(x, sky.width), *_touched(y, sky.height))
        return _grown(sky, area, box)


class _Cap(NamedTuple):
    """A circle on the sky that holds a picture."""

    lon: float
    lat: float
    radius: float

    @classmethod
    def around(cls, lon: Numbers, lat: Numbers, pixel: float) -> _Cap:
        """Return a cap that holds a picture of which a net of pixels is known; the whole sky where it is wide."""
        if not np.isfinite(lon).all():
            return cls(0.0, 0.0, 180.0)
        vectors = SkyCoord(lon, lat, unit="deg").cartesian.xyz.value
        x, y, z = vectors.mean(axis=1)
        centre = float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))
        radius = float(_apart(lon, lat, *centre).max())
        return cls(*centre, 180.0 if radius > _WIDE else 1.1 * radius + 2.0 * pixel)


def _net(sky: Sky, count: int) -> tuple[Numbers, Numbers]:
    """Return pixels all over a picture, so many a row and a column, and closer along its edge."""
    inner_x = np.linspace(0, sky.width - 1, min(count, sky.width)).round()
    inner_y = np.linspace(0, sky.height - 1, min(count, sky.height)).round()
    edge_x = np.linspace(0, sky.width - 1, min(_EDGE_NET, sky.width)).round()
    edge_y = np.linspace(0, sky.height - 1, min(_EDGE_NET, sky.height)).round()
    parts = [np.meshgrid(inner_x, inner_y)]
    parts += [np.meshgrid(edge_x, [0.0, sky.height - 1.0]), np.meshgrid([0.0, sky.width - 1.0], edge_y)]
    return np.concatenate([x.ravel() for x, _ in parts]), np.concatenate([y.ravel() for _, y in parts])


def _outline_inside(sky: Sky, area: Area, cap: _Cap) -> tuple[Numbers, Numbers]:
    """Return places in the picture on an area's outline: enough for its extremes, and all its crossings of the edge."""
    start, stop = _near(area, cap, sky.pixel)
    if start.size == 0:
        return np.empty(0), np.empty(0)
    along = np.unique(np.concatenate([start, stop]))
    x, y = sky.pixels(*area.outline(along))
    known = np.isfinite(x)
    crossing_x, crossing_y = _crossings(sky, area, start, stop, dict(zip(along.tolist(), known.tolist(), strict=True)))
    return np.concatenate([x[known], crossing_x]), np.concatenate([y[known], crossing_y])


def _near(area: Area, cap: _Cap, pixel: float) -> tuple[Numbers, Numbers]:
    """Return the pieces of an area's outline that may reach into a cap, cut small."""
    count = max(_FIRST // area.edges, 4) * area.edges
    cuts = np.linspace(0.0, area.edges, count + 1)
    start, stop = cuts[:-1], cuts[1:]
    while start.size:
        middle = (start + stop) / 2.0
        lon, lat = area.outline(middle)
        # An arc is no longer than a few times the chords of its halves: no piece is more than a part of an edge.
        reach = 2.0 * np.maximum(
            _apart(lon, lat, *area.outline(start)),
            _apart(lon, lat, *area.outline(stop)),
        )
        near = _apart(lon, lat, cap.lon, cap.lat) <= cap.radius + reach
        start, middle, stop, reach = start[near], middle[near], stop[near], reach[near]
        if start.size >= _PIECES or start.size == 0 or reach.max() < 0.01 * pixel:
            break
        start, stop = np.concatenate([start, middle]), np.concatenate([middle, stop])
    return start, stop


def _crossings(
    sky: Sky, area: Area, start: Numbers, stop: Numbers, inside: dict[float, bool]
) -> tuple[Numbers, Numbers]:
    """Return the last places in the picture of pieces that begin in it and end outside, or the other way round."""
    first = np.array([inside[one] for one in start.tolist()])
    last = np.array([inside[one] for one in stop.tolist()])
    crossing = first != last
    within = np.where(first, start, stop)[crossing]
    without = np.where(first, stop, start)[crossing]
    x = y = np.empty(0)
    for _ in range(_HALVINGS if within.size else 0):
        middle = (within + without) / 2.0
        known = np.isfinite(sky.pixels(*area.outline(middle))[0])
        within, without = np.where(known, middle, within), np.where(known, without, middle)
    if within.size:
        x, y = sky.pixels(*area.outline(within))
    return x, y


def _touched(places: Numbers, size: int) -> tuple[int, int]:
    """Return the first and the last pixel along an axis that places between two extremes touch."""
    low, high = float(places.min()), float(places.max())
    first = int(np.floor(low + 0.5 + _TOUCHING))
    last = int(np.ceil(high - 0.5 - _TOUCHING))
    if last < first:  # both within the same thousandth of a pixel, at the border of two
        first = last = int(np.floor((low + high) / 2.0 + 0.5))
    return min(max(first, 0), size - 1), min(max(last, 0), size - 1)


def _grown(sky: Sky, area: Area, box: Box) -> Box:
    """Return the box, larger as long as the area holds pixels right beside it."""
    step = 1
    while True:
        x, y, side = _beside(sky, box)
        reached = set(side[area.holds(*sky.positions(x, y))].tolist())
        if not reached:
            return box
        box = Box(
            max(box.x_first - step * (0 in reached), 0),
            min(box.x_last + step * (1 in reached), sky.width - 1),
            max(box.y_first - step * (2 in reached), 0),
            min(box.y_last + step * (3 in reached), sky.height - 1),
        )
        step = min(2 * step, 4096)


def _beside(sky: Sky, box: Box) -> tuple[Numbers, Numbers, Numbers]:
    """Return the pixels of the picture right outside of a box, and at which of its four sides each is."""
    tall, wide = box.y_last - box.y_first + 1, box.x_last - box.x_first + 1
    rows = np.linspace(box.y_first, box.y_last, min(tall, _BESIDE)).round()
    columns = np.linspace(box.x_first, box.x_last, min(wide, _BESIDE)).round()
    west, east = np.full(rows.shape, box.x_first - 1.0), np.full(rows.shape, box.x_last + 1.0)
    south, north = np.full(columns.shape, box.y_first - 1.0), np.full(columns.shape, box.y_last + 1.0)
    x = np.concatenate([west, east, columns, columns])
    y = np.concatenate([rows, rows, south, north])
    side = np.repeat([0.0, 1.0, 2.0, 3.0], [rows.size, rows.size, columns.size, columns.size])
    there = sky.inside(x, y)
    return x[there], y[there], side[there]


def _apart(lon: Any, lat: Any, to_lon: Any, to_lat: Any) -> Any:  # noqa: ANN401 - numbers or arrays of them
    """Return the angle between positions, degrees, exact for small ones too."""
    lon, lat, to_lon, to_lat = (np.radians(value) for value in (lon, lat, to_lon, to_lat))
    sine = np.sin((to_lat - lat) / 2.0) ** 2 + np.cos(lat) * np.cos(to_lat) * np.sin((to_lon - lon) / 2.0) ** 2
    return np.degrees(2.0 * np.arcsin(np.sqrt(np.minimum(sine, 1.0))))


def _frame_of(wcs: WCS) -> BaseCoordinateFrame:
    ctype = wcs.wcs.ctype[wcs.wcs.lng][:4]
    equinox = wcs.wcs.equinox
    match ctype:
        case "RA--" if wcs.wcs.radesys in _EQUATORIAL:
            return wcs_to_celestial_frame(wcs)
        case "GLON":
            return Galactic()
        case "SLON":
            return Supergalactic()
        case "ELON":
            return BarycentricMeanEcliptic(equinox=Time(2000.0 if np.isnan(equinox) else equinox, format="jyear"))
    raise RequestError(f"its coordinates ({', '.join(wcs.wcs.ctype)}) are not those of the sky")
