"""What a collection says of all its items together: extents and summaries, kept by parts so that one change is cheap.

Each page of items keeps one `Summed` an item, each page of pages one a page, a collection the sum of its pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stac_rucio_sync.model import JsonObject

SUMMARIZED = ("constellation", "gsd", "instruments", "mission", "platform", "processing:level")
"""What is summarized of the items of a collection that states no summaries of its own."""
MOST_VALUES = 50
"""A summary of more values than these says nothing."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Summed:
    """What is known of a number of items together."""

    items: int = 0
    bbox: Box | None = None
    """West, south, east, north in degrees; a box across the antimeridian counts as one around the Earth."""
    time: tuple[str, str] | None = None
    """The first and the last instant, RFC 3339."""
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By property: the values, sorted; cut after more than `MOST_VALUES`."""
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By property: the smallest and the largest."""

    def as_json(self) -> JsonObject:
        """Return what a page keeps."""
        kept: JsonObject = {"items": self.items}
        if self.bbox:
            kept["bbox"] = list(self.bbox)
        if self.time:
            kept["time"] = list(self.time)
        if self.texts:
            kept["texts"] = {name: list(values) for name, values in self.texts.items()}
        if self.numbers:
            kept["numbers"] = {name: list(ends) for name, ends in self.numbers.items()}
        return kept


NOTHING = Summed()


def summed_from_json(kept: Mapping[str, Any]) -> Summed:
    """Return what a page kept."""
    return Summed(
        kept["items"],
        tuple(kept["bbox"]) if "bbox" in kept else None,
        tuple(kept["time"]) if "time" in kept else None,
        {name: tuple(values) for name, values in kept.get("texts", {}).items()},
        {name: (ends[0], ends[1]) for name, ends in kept.get("numbers", {}).items()},
    )


def of_item(stac: Mapping[str, Any], properties: Iterable[str] = SUMMARIZED) -> Summed:
    """Return what one item contributes; what it says wrongly it does not contribute."""
    said = stac.get("properties")
    said = said if isinstance(said, Mapping) else {}
    texts: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for name in properties:
        value = said.get(name)
        if isinstance(value, str):
            texts[name] = (value,)
        elif isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            texts[name] = tuple(sorted(set(value)))[: MOST_VALUES + 1]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[name] = (value, value)
    return Summed(1, _box(stac.get("bbox")), _time(said), texts, numbers)


def total(parts: Iterable[Summed]) -> Summed:
    """Return the sum of parts; the order does not matter."""
    items = 0
    boxes: list[Box] = []
    times: list[tuple[str, str]] = []
    texts: dict[str, set[str]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for part in parts:
        items += part.items
        if part.bbox:
            boxes.append(part.bbox)
        if part.time:
            times.append(part.time)
        for name, values in part.texts.items():
            texts.setdefault(name, set()).update(values)
        for name, (low, high) in part.numbers.items():
            least, most = numbers.get(name, (low, high))
            numbers[name] = (min(least, low), max(most, high))
    return Summed(
        items,
        (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
        if boxes
        else None,
        (min(first for first, _ in times), max(last for _, last in times)) if times else None,
        {name: tuple(sorted(values))[: MOST_VALUES + 1] for name, values in sorted(texts.items())},
        dict(sorted(numbers.items())),
    )


def stated(collection: Mapping[str, Any]) -> Summed:
    """Return what a collection said of itself when it came: it holds on beside what its items say."""
    extent = collection.get("extent")
    extent = extent if isinstance(extent, Mapping) else {}
    spatial, temporal = extent.get("spatial"), extent.get("temporal")
    boxes = spatial.get("bbox") if isinstance(spatial, Mapping) else None
    intervals = temporal.get("interval") if isinstance(temporal, Mapping) else None
    box = _box(boxes[0]) if isinstance(boxes, list) and boxes else None
    time = None
    if isinstance(intervals, list) and intervals and isinstance(intervals[0], list) and len(intervals[0]) == 2:
        start, end = intervals[0]
        if isinstance(start, str) and isinstance(end, str):
            time = (start, end)
    return Summed(0, box, time)


def extent(summed: Summed) -> JsonObject:
    """Return the extent object of a collection (STAC 1.1, Collection, extent); nothing known is the whole."""
    box = list(summed.bbox) if summed.bbox else [-180.0, -90.0, 180.0, 90.0]
    return {"spatial": {"bbox": [box]}, "temporal": {"interval": [list(summed.time) if summed.time else [None, None]]}}


def summaries(summed: Summed) -> JsonObject:
    """Return the summaries object of a collection."""
    said: JsonObject = {name: list(values) for name, values in summed.texts.items() if len(values) <= MOST_VALUES}
    for name, (low, high) in summed.numbers.items():
        said[name] = {"minimum": low, "maximum": high}
    return dict(sorted(said.items()))


def _box(bbox: object) -> Box | None:
    if not isinstance(bbox, list) or len(bbox) not in {4, 6}:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in bbox):
        return None
    half = len(bbox) // 2
    west, south, east, north = bbox[0], bbox[1], bbox[half], bbox[half + 1]
    return (west, south, east, north) if west <= east else (-180.0, south, 180.0, north)


def _time(properties: Mapping[str, Any]) -> tuple[str, str] | None:
    at = properties.get("datetime")
    start, end = properties.get("start_datetime") or at, properties.get("end_datetime") or at
    return (start, end) if isinstance(start, str) and isinstance(end, str) else None
