"""Cut-outs of FITS files: of every picture in the file that is in what is wanted, with coordinates that hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Final

from datalink.cutouts.areas import Area, area_of
from datalink.cutouts.axes import channels, moments, planes
from datalink.cutouts.contract import Cutout, Limits
from datalink.cutouts.errors import FileError, LimitError, NoOverlapError, RequestError
from datalink.cutouts.headers import empty_header, header_of, padding, shifted_table
from datalink.cutouts.pictures import FitsFile, Picture, World, careful, corners, lengths
from datalink.cutouts.pixels import stored
from datalink.cutouts.reading import RangeFile
from datalink.cutouts.region import Circle, Cutting, Interval, Polygon, Range, Region
from datalink.cutouts.sky import box_of
from datalink.cutouts.structure import BLOCK
from datalink.cutouts.tiles import Tiles
from stac_rucio_sync import __version__

MEDIA_TYPE: Final = "application/fits"
_CHUNK: Final = 2**20


@dataclass(frozen=True, slots=True)
class _Part:
    """An HDU of the cut-out, but for its pixels."""

    header: bytes
    length: int
    """Bytes after it, without padding."""
    pixels: Callable[[], Iterator[bytes]]


def cut_fits(file: RangeFile, wanted: Cutting, did: str, limits: Limits) -> Cutout:
    """Cut what is wanted out of a FITS file.

    Each picture is cut by its own coordinates, to the smallest box of pixels that holds what is wanted; pictures
    outside of it are left out, and so are tables, but for those that coordinates need. Pixels stay as they are stored;
    compressed ones are decompressed. If nothing is to be cut away, the file comes as it is.

    Parameters
    ----------
    file
        The file; it must stay open until the last piece was taken.
    wanted
        What of it.
    did
        The name of the file, for HISTORY.
    limits
        What it may cost.

    Raises
    ------
    NoOverlapError
        Nothing of it is in what is wanted.
    RequestError
        It has no coordinates of that kind.
    LimitError
        The cut-out would be too large.
    FileError
        It is no FITS file, or is broken.
    """
    opened = FitsFile(file)
    if wanted.is_whole:
        return _whole(file, limits)
    area = None if wanted.region is None else area_of(wanted.region)
    cuts = _cuts(opened, wanted, area)
    pixels = sum(prod(lengths(slices)) for _, slices in cuts)
    if pixels > limits.pixels:
        raise LimitError(f"the cut-out would have {pixels} pixels: at most {limits.pixels} are made")
    with careful("the headers cannot be carried over"):
        parts = _parts(file, opened, cuts, _history(wanted, did), limits)
    length = sum(len(part.header) + -(-part.length // BLOCK) * BLOCK for part in parts)
    if length > limits.output_bytes:
        raise LimitError(f"the cut-out would have {length} bytes: at most {limits.output_bytes} are sent")
    return Cutout(MEDIA_TYPE, length, _pieces(parts))


def _whole(file: RangeFile, limits: Limits) -> Cutout:
    if file.size > limits.output_bytes:
        raise LimitError(f"the file has {file.size} bytes: at most {limits.output_bytes} are sent")
    ranges = ((start, min(start + _CHUNK, file.size)) for start in range(0, file.size, _CHUNK))
    return Cutout(MEDIA_TYPE, file.size, file.ranges(ranges))


# ---------------------------------------------------------------------------------------------------- which pixels


def _cuts(opened: FitsFile, wanted: Cutting, area: Area | None) -> list[tuple[Picture, list[slice]]]:
    """Return the pictures that are in what is wanted, and which pixels of them."""
    if not opened.pictures:
        raise RequestError("the file has no picture that could be cut")
    cuts: list[tuple[Picture, list[slice]]] = []
    reasons: list[str] = []
    broken: list[FileError] = []
    for picture in opened.pictures:
        with careful(f"the header of HDU {picture.number} is broken"):
            opened.check_whole(picture)
        try:
            world = opened.world(picture)
        except FileError as error:
            broken.append(error)
            continue
        missing = _missing(world, wanted)
        if missing:
            reasons.append(f"HDU {picture.number}: {missing}")
            continue
        slices = _slices(picture, world, wanted, area)
        if slices is None:
            reasons.append("")
        else:
            cuts.append((picture, slices))
    if cuts:
        return cuts
    if "" in reasons:
        raise NoOverlapError("nothing of the file is in what was asked for")
    if broken:
        raise broken[0]
    raise RequestError(f"the file cannot be cut so: {'; '.join(reasons[:5])}")


def _missing(world: World, wanted: Cutting) -> str:
    """Return which axis that is asked about a picture does not have."""
    if wanted.region is not None and world.sky is None:
        return world.why_no_sky
    if wanted.band is not None and world.spectral is None:
        return "BAND: it has no spectral axis"
    if wanted.time is not None and world.time is None:
        return "TIME: it has no time axis"
    if wanted.states and world.stokes is None:
        return "POL: it has no polarization axis"
    return ""


def _slices(picture: Picture, world: World, wanted: Cutting, area: Area | None) -> list[slice] | None:
    """Return which pixels of a picture are wanted; None where none are."""
    slices = [slice(0, length, 1) for length in picture.shape]
    towards: tuple[float, float] | None = None

    def take(number: int, found: slice | None) -> bool:
        if found is not None:
            slices[picture.axis(number)] = slice(found.start, found.stop, found.step or 1)
        return found is not None

    with careful(f"the world coordinates of HDU {picture.number} cannot be used"):
        if area is not None and world.sky is not None:
            box = box_of(world.sky, area)
            if box is None:
                return None
            take(world.sky_axes[0], slice(box.x_first, box.x_last + 1))
            take(world.sky_axes[1], slice(box.y_first, box.y_last + 1))
        if wanted.band is not None and world.spectral is not None:
            if world.sky is not None:
                towards = world.sky.middle()
            number, axis = world.spectral
            if not take(number, channels(axis, picture.shape[picture.axis(number)], wanted.band, towards)):
                return None
        if wanted.time is not None and world.time is not None:
            number, axis = world.time
            if not take(number, moments(axis, picture.shape[picture.axis(number)], wanted.time)):
                return None
        if wanted.states and world.stokes is not None:
            number, axis = world.stokes
            if not take(number, planes(axis, picture.shape[picture.axis(number)], wanted.states)):
                return None
    return slices


# ----------------------------------------------------------------------------------------------------- what is sent


def _parts(
    file: RangeFile,
    opened: FitsFile,
    cuts: Sequence[tuple[Picture, list[slice]]],
    history: Sequence[str],
    limits: Limits,
) -> list[_Part]:
    tables = _tables(opened, cuts)
    first = cuts[0][0].number == 0
    parts: list[_Part] = []
    if not first:
        parts.append(_Part(empty_header(opened.primary, len(cuts) + len(tables)), 0, lambda: iter(())))
    for picture, slices in cuts:
        told = ", ".join(f"{low}:{high}" for low, high in corners(slices))
        steps = [one.step for one in reversed(slices)]
        if any(step != 1 for step in steps):
            told += f" in steps of {', '.join(map(str, steps))}"
        of = picture.header.get("EXTNAME", "")
        lines = [*history, f"HDU {picture.number}{f' ({of})' if of else ''}, pixels {told}"]
        header = header_of(picture, slices, lines, first=picture.number == 0)
        make = _made(file, picture, slices, limits)
        parts.append(_Part(header, picture.item * prod(lengths(slices)), make))
    return parts + tables


def _made(file: RangeFile, picture: Picture, slices: Sequence[slice], limits: Limits) -> Callable[[], Iterator[bytes]]:
    if picture.tiled is None:
        return lambda: stored(file, picture, slices)
    tiles = Tiles(file, picture, limits)  # now, as it refuses what is broken
    return lambda: tiles.pixels(slices)


def _tables(opened: FitsFile, cuts: Sequence[tuple[Picture, list[slice]]]) -> list[_Part]:
    """Return the HDUs that the coordinates of the pictures need."""
    needed: dict[int, tuple[int, ...] | None] = {}
    for picture, slices in cuts:
        starts = tuple(one.start for one in reversed(slices))
        for number, by_pixel in opened.needs(picture):
            moved = starts[:2] if by_pixel else None
            if needed.setdefault(number, moved) != moved:
                raise RequestError(f"two pictures share the table in HDU {number}, and need it differently")
    parts: list[_Part] = []
    for number, moved in needed.items():
        content, begin = opened.table(number)
        header = content[:begin] if moved is None else shifted_table(opened.units[number].header, moved)
        parts.append(_Part(header, len(content) - begin, partial(iter, (content[begin:],))))
    return parts


def _pieces(parts: Sequence[_Part]) -> Iterator[bytes]:
    for part in parts:
        yield part.header
        yield from part.pixels()
        yield padding(part.length)


def _history(wanted: Cutting, did: str) -> list[str]:
    asked: list[str] = []
    if wanted.region is not None:
        asked.append(_words(wanted.region))
    asked += [
        f"{name} {_limits(one)}" for name, one in (("BAND", wanted.band), ("TIME", wanted.time)) if one is not None
    ]
    if wanted.states:
        asked.append(f"POL {' '.join(wanted.states)}")
    return [f"cut out of {did} by stac-rucio-sync {__version__}: {', '.join(asked)}"]


def _limits(interval: Interval) -> str:
    return f"{interval.low!r} {interval.high!r}"


def _words(region: Region) -> str:
    match region:
        case Circle(lon, lat, radius):
            return f"CIRCLE {lon!r} {lat!r} {radius!r}"
        case Range(west, east, south, north):
            return f"RANGE {west!r} {east!r} {south!r} {north!r}"
        case Polygon(points):
            told = " ".join(f"{lon!r} {lat!r}" for lon, lat in points[:8])
            return f"POLYGON {told}{f' and {len(points) - 8} more points' if len(points) > 8 else ''}"
