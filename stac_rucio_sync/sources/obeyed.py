"""Whether a server obeys what it was asked: shown by what it answers, not believed.

Collections, bbox and datetime are core parameters of item search (STAC API 1.0), yet servers exist that ignore them.
An item outside of what was asked for proves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import JsonObject

_SLACK = 1e-6
"""Degrees; servers round."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)

Interval = tuple[datetime, datetime]
Box = tuple[float, float, float, float]


class Selection:
    """The collections, the box and the time that were asked for.

    Raises
    ------
    UsageError
        The box is not 4 or 6 numbers in order, or the time is no RFC 3339 interval.
    """

    def __init__(self, collections: tuple[str, ...], bbox: tuple[float, ...] | None, interval: str | None) -> None:
        self._collections = frozenset(collections)
        self._box = None if bbox is None else _asked_box(bbox)
        self._interval = None if interval is None else _asked_interval(interval)

    def ignored(self, item: JsonObject) -> str | None:
        """Name the parameter that an item proves to be ignored; None where it proves nothing."""
        if self._collections and item.get("collection") not in self._collections:
            return "collections"
        if self._box is not None and not _in_box(item, self._box):
            return "bbox"
        if self._interval is not None and not _in_time(item, self._interval):
            return "datetime"
        return None


def _asked_box(bbox: tuple[float, ...]) -> Box:
    if len(bbox) not in (4, 6):
        raise UsageError(f"--bbox takes 4 or 6 numbers (west, south, east, north), not {len(bbox)}")
    half = len(bbox) // 2
    west, south, east, north = bbox[0], bbox[1], bbox[half], bbox[half + 1]
    if south > north:
        raise UsageError(f"--bbox: south ({south:g}) lies north of north ({north:g})")
    return west, south, east, north


def parse_instant(text: object) -> datetime | None:
    """Read an RFC 3339 instant; without a zone it is UTC. None where it is none."""
    try:
        instant = datetime.fromisoformat(str(text).strip().upper())
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _asked_interval(interval: str) -> Interval | None:
    """Read an interval; None for a shorter form (``2024``, ``2024-06``), which pystac-client spells out."""
    ends = interval.split("/")
    if len(ends) > 2:
        raise UsageError(f"--datetime {interval}: an interval has one /")
    start, end = ends[0], ends[-1]
    times = [
        _EARLIEST if start in ("", "..") else parse_instant(start) if "T" in start.upper() else None,
        _LATEST if end in ("", "..") else parse_instant(end) if "T" in end.upper() else None,
    ]
    return None if times[0] is None or times[1] is None else (times[0], times[1])


def _in_time(item: JsonObject, asked: Interval) -> bool:
    """Tell whether an item may fall into a time: by its instant or by its range, as servers differ in that."""
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return True
    instant = parse_instant(properties.get("datetime"))
    start = parse_instant(properties.get("start_datetime"))
    end = parse_instant(properties.get("end_datetime"))
    known = [(instant, instant)] if instant else []
    if start or end:
        known.append((start or _EARLIEST, end or _LATEST))
    return not known or any(first <= asked[1] and last >= asked[0] for first, last in known)


def _in_box(item: JsonObject, asked: Box) -> bool:
    """Tell whether an item may touch a box: its own bbox does, or its geometry does, or it has neither."""
    bbox = item.get("bbox")
    if isinstance(bbox, list) and len(bbox) in (4, 6) and all(isinstance(number, int | float) for number in bbox):
        half = len(bbox) // 2
        if _touch((bbox[0], bbox[1], bbox[half], bbox[half + 1]), asked):
            return True
    geometry = item.get("geometry")
    positions = list(_positions(geometry)) if isinstance(geometry, dict) else []
    if not positions:
        return not isinstance(bbox, list)
    longitudes, latitudes = [position[0] for position in positions], [position[1] for position in positions]
    return _touch((min(longitudes), min(latitudes), max(longitudes), max(latitudes)), asked)


def _touch(one: Box, other: Box) -> bool:
    if one[1] > other[3] + _SLACK or other[1] > one[3] + _SLACK:
        return False
    return any(
        a[0] <= b[1] + _SLACK and b[0] <= a[1] + _SLACK
        for a in _spans(one[0], one[2])
        for shift in (-360.0, 0.0, 360.0)
        for b in ((low + shift, high + shift) for low, high in _spans(other[0], other[2]))
    )


def _spans(west: float, east: float) -> list[tuple[float, float]]:
    """Return the spans of longitude between two meridians; west of more than east crosses the antimeridian."""
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def _positions(node: Any) -> Iterator[list[float]]:  # noqa: ANN401 - any part of a geometry
    if isinstance(node, dict):
        yield from _positions(node.get("coordinates"))
        yield from _positions(node.get("geometries"))
    elif isinstance(node, list):
        if len(node) >= 2 and all(isinstance(number, int | float) for number in node[:2]):
            yield node
        else:
            for part in node:
                yield from _positions(part)
