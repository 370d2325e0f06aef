"""Pictures of cut-outs, to be looked at: PNG, at most `LONGEST` pixels each way, the brightness stretched.

Nothing is turned or resampled to north: a picture shows the pixels in the order of the file. Rows of a FITS image run
from the bottom upward, as all its viewers show them; those of a GeoTIFF file from the top downward.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.windows import Window as Pixels

from datalink.cutouts.areas import Numbers, Truths
from datalink.cutouts.contract import Cutout, Limits
from datalink.cutouts.errors import RequestError
from datalink.cutouts.parts import Part, check_limits, part_of
from datalink.cutouts.reading import RangeFile
from datalink.cutouts.region import Cutting
from datalink.cutouts.virtual import opened

MEDIA_TYPE: Final = "image/png"
LONGEST: Final = 1024
"""Pixels of the longer side of a picture."""
_COLOURS: Final = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_NAMES: Final = ("red", "green", "blue")
_IN_MEMORY: Final = 32 * 2**20
_BRIGHT: Final = 99.8
"""Per cent of the values of a FITS image that are not white."""
_EVEN: Final = (1e-4, 0.1)
"""Part of the range from black to white over which the brightness of a FITS image grows evenly: least and most."""
_MIDDLE: Final = (2.0, 98.0)
"""Per cent of the values of a GeoTIFF file that are black, and that are not white."""
_SAMPLE: Final = 100_000
"""Pixels that the stretch is found from."""

Picture = NDArray[np.uint8]
"""Shape (channels, rows, columns); the last of two or four channels is how opaque a pixel is."""


def png_of_geotiff(file: RangeFile, wanted: Cutting, limits: Limits) -> Cutout:
    """Make a picture of what is wanted of a GeoTIFF file, from its overviews where those are enough.

    Three bands that are called red, green and blue are shown as colours, and as they are if they are bytes; of other
    bands only the first is shown, with its palette if it has one. Other values are stretched over their middle 96 %.

    Parameters
    ----------
    file
        Open; what is needed of it is read before this returns.
    wanted
        A region in longitude and latitude of the body, or nothing for the whole file.
    limits
        What it may cost.

    Raises
    ------
    CutError
        As `cut_geotiff` does.
    """
    with opened(file) as dataset:
        part = part_of(dataset, wanted)
        fewer = max(1.0, max(part.window.width, part.window.height) / LONGEST)
        check_limits(part, limits, max((step for step in dataset.overviews(1) if 1 <= step <= fewer), default=1))
        picture = _picture_of(part, fewer)
    return _png(picture)


def png_of_fits(cutout: Cutout) -> Cutout:
    """Make a picture of a FITS cut-out: of its first image, in grey, brightness by an arsinh.

    A cube is shown as the mean of its planes; of polarization states the first is taken.

    Parameters
    ----------
    cutout
        Of `cut_fits`; it is used up.

    Raises
    ------
    RequestError
        It has no image of two axes or more.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        for piece in cutout.pieces:
            spool.write(piece)
        spool.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(spool, memmap=False, lazy_load_hdus=True) as hdus:
                values = _brightness(hdus)
    valid = np.isfinite(values)
    grey = _levels(values, *_sky_range(values[valid]))
    return _png(_opaque_where(valid[::-1], grey[None, ::-1]))


# ---------------------------------------------------------------------------------------------------------- GeoTIFF


def _picture_of(part: Part, fewer: float) -> Picture:
    dataset = part.dataset
    height, width = (max(1, round(side / fewer)) for side in (part.window.height, part.window.width))
    bands, alpha = _shown_bands(dataset)
    is_palette = dataset.colorinterp[bands[0] - 1] == ColorInterp.palette
    how = Resampling.nearest if is_palette else Resampling.average
    values = _shrunk(part, width, height, bands, how)
    if alpha is None:
        opaque = _shrunk(part, width, height, None, Resampling.nearest)[0] > 0
    else:
        opaque = _shrunk(part, width, height, [alpha], Resampling.nearest)[0] > 0
    if part.has_holes:
        across = (np.arange(width) + 0.5) * part.window.width / width
        down = (np.arange(height) + 0.5) * part.window.height / height
        opaque &= ~part.unwanted(across, down)
    if is_palette:
        return _coloured(values[0], dataset.colormap(bands[0]), opaque)
    if len(bands) == 1 or values.dtype != np.uint8:
        with np.errstate(invalid="ignore"):  # signalling NaN
            values = (np.abs(values) if np.iscomplexobj(values) else values).astype(np.float64)
        opaque &= np.isfinite(values).all(axis=0)
        low, high = _ground_range(values[:, opaque].ravel(), has_nodata=not opaque.all())
        values = _levels(values, low, high)
    return _opaque_where(opaque, values)


def _ground_range(values: Numbers, *, has_nodata: bool) -> tuple[float, float]:
    """Return which values are black and white.

    Where nothing is marked as no data, zeros are not counted: scenes stand askew in a frame of them.
    """
    counted = values if has_nodata else values[values != 0.0]
    if not len(counted):
        return 0.0, 0.0
    low, high = np.percentile(_some(counted), _MIDDLE)
    return float(low), float(high)


def _shown_bands(dataset: Any) -> tuple[list[int], int | None]:  # noqa: ANN401 - rasterio ships no types
    """Return the bands that are shown, three or one, and the one that says how opaque pixels are."""
    colours = list(dataset.colorinterp)
    names = [(name or "").strip().lower() for name in dataset.descriptions]
    alpha = colours.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in colours else None
    if all(colour in colours for colour in _COLOURS):
        return [colours.index(colour) + 1 for colour in _COLOURS], alpha
    if all(name in names for name in _NAMES):
        return [names.index(name) + 1 for name in _NAMES], alpha
    return [next((band for band in dataset.indexes if band != alpha), 1)], alpha


def _shrunk(part: Part, width: int, height: int, bands: list[int] | None, how: Resampling) -> NDArray[Any]:
    """Read bands, or the mask, in fewer pixels; what the file does not have is 0."""
    window, dataset = part.window, part.dataset
    made: NDArray[Any] | None = None
    for piece in window.pieces:
        place = Pixels(piece.column, window.row, piece.width, window.height)
        left, right = (round(edge * width / window.width) for edge in (piece.offset, piece.offset + piece.width))
        right = max(right, left + 1)
        if bands is None:
            read = dataset.read_masks(1, window=place, out_shape=(height, right - left))[None]
        else:
            shape = (len(bands), height, right - left)
            read = dataset.read(bands, window=place, out_shape=shape, resampling=how)
        if made is None:
            made = np.zeros((len(read), height, width), dtype=read.dtype)
        made[:, :, left:right] = read[:, :, : width - left]
    assert made is not None  # noqa: S101 - a window has a piece
    return made


def _coloured(values: NDArray[Any], colours: dict[int, tuple[int, int, int, int]], opaque: Truths) -> Picture:
    table = np.zeros((max(int(values.max()), *colours) + 1, 4), dtype=np.uint8)
    for value, colour in colours.items():
        table[value] = colour
    picture = np.moveaxis(table[values], -1, 0)
    return _opaque_where(opaque & (picture[3] > 0), picture[:3])


# ------------------------------------------------------------------------------------------------------------- FITS


def _brightness(hdus: Any) -> Numbers:  # noqa: ANN401 - astropy ships no types
    """Return the first image, in blocks that make it no larger than a picture, as means of their pixels."""
    hdu = next((hdu for hdu in hdus if hdu.is_image and len(hdu.shape) >= 2 and all(hdu.shape)), None)
    if hdu is None:
        raise RequestError("the cut-out holds no image of two axes, so no picture can be made of it")
    *above, height, width = hdu.shape
    step = max(1, math.ceil(max(height, width) / LONGEST))
    total = np.zeros((math.ceil(height / step), math.ceil(width / step)))
    count = np.zeros(total.shape)
    for plane in np.ndindex(*_planes(hdu.header, above)):
        for top in range(0, len(total), max(1, LONGEST // step)):
            rows = slice(top * step, min((top + max(1, LONGEST // step)) * step, height))
            values = _blocks(np.asarray(hdu.section[(*plane, rows, slice(None))], dtype=np.float64), step)
            known = np.isfinite(values)
            here = slice(top, top + len(values))
            total[here] += np.where(known, values, 0.0)
            count[here] += known
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _planes(header: Any, above: list[int]) -> list[int]:  # noqa: ANN401 - as above
    """Return the lengths of the axes above the second, polarization cut to its first state."""
    axes = range(len(above) + 2, 2, -1)
    return [
        1 if str(header.get(f"CTYPE{axis}", "")).strip() == "STOKES" else length
        for axis, length in zip(axes, above, strict=True)
    ]


def _blocks(values: Numbers, step: int) -> Numbers:
    """Return the means of blocks of pixels, of those that have a value."""
    if step == 1:
        return values
    height, width = (-(-side // step) * step for side in values.shape)
    padded = np.full((height, width), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(height // step, step, width // step, step)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    with np.errstate(invalid="ignore"):
        sums = np.where(known, blocks, 0.0).sum(axis=(1, 3))
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _sky_range(values: Numbers) -> tuple[float, float, float]:
    """Return which values are black and white, and up to which brightness grows evenly: the range of the noise."""
    if not len(values):
        return 0.0, 0.0, 0.0
    # Late: it loads much of astropy, and few who read FITS files look at pictures.
    from astropy.visualization import ZScaleInterval  # noqa: PLC0415

    some = _some(values)
    low, noise = ZScaleInterval().get_limits(some)
    return float(low), max(float(noise), float(np.percentile(some, _BRIGHT))), float(noise)


# ---------------------------------------------------------------------------------------------------------- pixels


def _some(values: Numbers) -> Numbers:
    return values[:: max(1, len(values) // _SAMPLE)]


def _levels(values: Numbers, low: float, high: float, even: float | None = None) -> Picture:
    """Return grey levels from 0 to 255; without a range, the one in the middle.

    Parameters
    ----------
    values
        What is shown.
    low, high
        Which values are black and white.
    even
        From here on brightness grows by an arsinh, ever slower; None where it grows evenly to its end.
    """
    if not high > low:
        return np.full(values.shape, 128, dtype=np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        part = np.clip((values - low) / (high - low), 0.0, 1.0)
        if even is not None:
            softening = np.clip((even - low) / (high - low), *_EVEN)
            part = np.arcsinh(part / softening) / np.arcsinh(1.0 / softening)
    return np.nan_to_num(part * 255.0).round().astype(np.uint8)


def _opaque_where(opaque: Truths, channels: NDArray[np.uint8]) -> Picture:
    """Add how opaque pixels are, unless all are."""
    if opaque.all():
        return channels
    return np.concatenate([np.where(opaque, channels, 0), np.where(opaque, 255, 0)[None]]).astype(np.uint8)


def _png(picture: Picture) -> Cutout:
    channels, height, width = picture.shape
    profile = {"driver": "PNG", "width": width, "height": height, "count": channels, "dtype": "uint8"}
    with MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture lies nowhere
        with memory.open(**profile) as made:
            made.write(picture)
        written = memory.read()
    return Cutout(MEDIA_TYPE, len(written), iter((written,)))
