"""What the headers of a FITS image say: where, when and at which wavelengths it was taken (FITS 4.0, sections 8, 9)."""

from __future__ import annotations

import math
import re
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.time import Time
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.geojson import Point

_WIDE = 1.0
"""Degrees; the edges of a wider picture are no longer straight between its corners."""
_POINTS = 8
"""Of each edge of a wide picture."""
_OLD_DATE = re.compile(r"(\d\d)/(\d\d)/(\d\d)")
_SCALES = {"UTC": "utc", "TAI": "tai", "TT": "tt", "TDT": "tt", "TDB": "tdb", "TCB": "tcb", "TCG": "tcg", "UT1": "ut1"}
_DURATIONS = ("TELAPSE", "EXPTIME", "EXPOSURE", "XPOSURE")


class Field(NamedTuple):
    """Where a picture lies."""

    ring: tuple[Point, ...]
    """ICRS degrees, counter-clockwise in (RA, Dec), RA unwrapped."""
    centre: Point
    """ICRS degrees, RA 0 to 360."""
    diameter: float
    """Of the circle around its corners, degrees."""
    pixels: tuple[int, int]
    """Along its celestial axes."""


class Picture(NamedTuple):
    """The picture in a file that its item is about."""

    header: fits.Header
    """With the cards of the primary header that it does not have itself."""
    wcs: WCS
    shape: tuple[int, ...]
    """As numpy has it."""


class Times(NamedTuple):
    """When a picture was taken, UTC."""

    start: datetime
    end: datetime
    exposure: float | None
    """Seconds, where the header says it."""


def picture_of(file: Path) -> Picture:
    """Return the first picture of a file that has celestial coordinates; pixels are not read.

    Raises
    ------
    ItemError
        There is none, or the file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VerifyWarning)  # files of others are as they are
            with fits.open(file, memmap=True, lazy_load_hdus=True) as units:
                primary = units[0].header
                for unit in units:
                    wcs = _celestial(unit.header) if unit.is_image else None
                    if wcs is not None:
                        header = primary.copy()
                        header.update(unit.header)
                        return Picture(header, wcs, unit.shape)
    except OSError as error:
        raise ItemError(f"it cannot be read as FITS: {error}") from error
    raise ItemError("it has no picture with celestial coordinates")


def _celestial(header: fits.Header) -> WCS | None:
    if header.get("NAXIS", 0) < 2 and header.get("ZNAXIS", 0) < 2:
        return None
    with warnings.catch_warnings():
        # What astropy mends in old headers is mended; the owner of the file cannot be told here.
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header)
        except Exception as error:  # whatever wcslib finds in a broken header
            raise ItemError(f"its world coordinates cannot be read: {' '.join(str(error).split())}") from error
    return wcs if wcs.has_celestial else None


def field_of(picture: Picture) -> Field:
    """Return where a picture lies.

    Raises
    ------
    ItemError
        It does not lie on the sky, some of it has no place there, or it is too large for one polygon.
    """
    _, wcs, shape = picture
    flat = wcs.celestial
    axes = [len(shape) - 1 - wcs.wcs.lng, len(shape) - 1 - wcs.wcs.lat]
    height, width = (shape[axis] for axis in sorted(axes))
    try:
        frame = wcs_to_celestial_frame(flat)
    except ValueError as error:
        raise ItemError(f"its coordinates are not those of the sky: {', '.join(wcs.wcs.ctype)}") from error
    scales = proj_plane_pixel_scales(flat)
    scale = float(math.sqrt(abs(scales[0] * scales[1])))
    count = 1 if max(width, height) * scale <= _WIDE else _POINTS
    x, y = _edge(width, height, count)
    place = flat.wcs_pix2world(np.append(x, (width - 1) / 2.0), np.append(y, (height - 1) / 2.0), 0)
    if not np.isfinite(place).all():
        raise ItemError("parts of its edge are not on the sky: its footprint cannot be told")
    sky = SkyCoord(place[0], place[1], unit="deg", frame=frame).icrs
    centre = sky[-1]
    radius = float(sky[:-1].separation(centre).deg.max())
    if radius >= 60.0:
        raise ItemError(f"its field is {2 * radius:.0f} degrees wide: its footprint cannot be one polygon")
    if radius + abs(float(centre.dec.deg)) >= 90.0 and _holds_pole(sky[:-1]):
        raise ItemError("its field holds a pole: its footprint cannot be a polygon in GeoJSON")
    ra = float(centre.ra.deg)
    ring = [(ra + (float(one.ra.deg) - ra + 180.0) % 360.0 - 180.0, float(one.dec.deg)) for one in sky[:-1]]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))
    return Field(
        ring=tuple(ring if area > 0 else ring[::-1]),
        centre=(ra, float(centre.dec.deg)),
        diameter=2 * radius,
        pixels=(width, height),
    )


def times_of(header: fits.Header) -> Times:
    """Return when a picture was taken (FITS 4.0, section 9; old dates as section 4.4.2.1 has them).

    Raises
    ------
    ItemError
        The header does not say so.
    """
    scale = _SCALES.get(str(header.get("TIMESYS", "UTC")).strip().upper(), "utc")
    start = _instant(header, ("BEG", "OBS"), scale)
    end = _instant(header, ("END",), scale)
    exposure = next((float(header[name]) for name in _DURATIONS if _is_number(header.get(name))), None)
    if exposure is not None and not 0.0 <= exposure < 1e10:
        exposure = None
    if start is None:
        raise ItemError("its header does not say when it was taken: no DATE-BEG, DATE-OBS, MJD-BEG or MJD-OBS")
    if end is None or end < start:
        end = start + timedelta(seconds=exposure or 0.0)
    return Times(start, end, exposure)


def wavelengths_of(picture: Picture) -> tuple[float, float] | None:
    """Return the shortest and longest wavelength of a cube in metres; None: it has no spectral axis."""
    _, wcs, shape = picture
    if wcs.wcs.spec < 0:
        return None
    spectral = wcs.spectral
    count = shape[len(shape) - 1 - wcs.wcs.spec]
    ends = spectral.wcs_pix2world([-0.5, count - 0.5], 0)[0] * units.Unit(spectral.wcs.cunit[0])
    try:
        metres = ends.to(units.m, equivalencies=units.spectral()).value
    except units.UnitConversionError:
        return None  # a velocity, without the line that it belongs to
    low, high = float(min(metres)), float(max(metres))
    return (low, high) if low > 0.0 and math.isfinite(high) else None


def _edge(width: int, height: int, count: int) -> tuple[Any, Any]:
    """Return points along the outer edge of the edge pixels, ``count`` a side."""
    left, right, bottom, top = -0.5, width - 0.5, -0.5, height - 0.5
    along = np.arange(count) / count
    x = np.concatenate([left + along * width, np.full(count, right), right - along * width, np.full(count, left)])
    y = np.concatenate([np.full(count, bottom), bottom + along * height, np.full(count, top), top - along * height])
    return x, y


def _holds_pole(ring: SkyCoord) -> bool:
    """Tell whether the longitudes of a ring go all the way round."""
    longitudes = np.append(ring.ra.deg, ring.ra.deg[0])
    return bool(abs(np.sum((np.diff(longitudes) + 180.0) % 360.0 - 180.0)) > 180.0)


def _instant(header: fits.Header, names: tuple[str, ...], scale: str) -> datetime | None:
    for name in names:
        for text, form in ((_date(header, f"DATE-{name}"), "isot"), (header.get(f"MJD-{name}"), "mjd")):
            if text is None or text == "" or (form == "mjd" and not _is_number(text)):
                continue
            try:
                moment: datetime = Time(text, format=form, scale=scale).utc.to_datetime(timezone=UTC)
            except ValueError:
                continue  # the next one may be right
            return moment
    return None


def _date(header: fits.Header, name: str) -> str | None:
    said = header.get(name)
    if not isinstance(said, str) or not said.strip():
        return None
    said = said.strip()
    old = _OLD_DATE.fullmatch(said)
    if old:
        said = f"19{old[3]}-{old[2]}-{old[1]}"
    clock = header.get(name.replace("DATE", "TIME"))
    if "T" not in said and isinstance(clock, str) and re.fullmatch(r"\d\d:\d\d:\d\d(\.\d+)?", clock.strip()):
        said = f"{said}T{clock.strip()}"
    return said.rstrip("Z")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
