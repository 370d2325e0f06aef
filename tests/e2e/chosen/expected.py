"""The words that expectations are written in, and how each is compared with what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

JD_OF_MJD_0 = 2_400_000.5
SPEED_OF_LIGHT = 299_792_458.0


@dataclass(frozen=True)
class Near:
    """A number within an absolute tolerance."""

    value: float
    tolerance: float

    def meets(self, found: Any) -> bool:
        return found is not None and math.isclose(float(found), self.value, rel_tol=0, abs_tol=self.tolerance)


@dataclass(frozen=True)
class Within:
    """A number in a closed range."""

    low: float
    high: float

    def meets(self, found: Any) -> bool:
        return found is not None and self.low <= found <= self.high


@dataclass(frozen=True)
class OneOf:
    """One of several values that the standard allows alike; members may be matchers themselves."""

    values: tuple[Any, ...]

    def meets(self, found: Any) -> bool:
        return any(meets(value, found) for value in self.values)


@dataclass(frozen=True)
class Holds:
    """A text that holds every one of these words, in any case."""

    words: tuple[str, ...]

    def meets(self, found: Any) -> bool:
        return isinstance(found, str) and all(word.lower() in found.lower() for word in self.words)


@dataclass(frozen=True)
class At:
    """An instant (ISO 8601, UTC), to the millisecond."""

    instant: str

    def meets(self, found: Any) -> bool:
        moment = found if isinstance(found, datetime) else datetime.fromisoformat(str(found))
        wanted = datetime.fromisoformat(self.instant).replace(tzinfo=UTC)
        return abs((moment.replace(tzinfo=UTC) - wanted).total_seconds()) <= 1e-3


class Present:
    """Anything but null."""

    def meets(self, found: Any) -> bool:
        return found is not None


def mjd(value: float) -> Near:
    """A time in days; 1e-9 d is 0.1 ms, finer than any of the items and coarser than a double's steps."""
    return Near(value, 1e-9)


def degrees(value: float) -> Near:
    """An angle to a tenth of a milliarcsecond: only the rounding of adding 360 is forgiven."""
    return Near(value, 3e-8)


def micrometres(value: float) -> Near:
    """A wavelength that the item gives in micrometres, in metres."""
    return Near(value * 1e-6, 1e-15)


def kilobytes(*total: int) -> Any:
    """A size in kbyte; ObsCore does not say how to round, so any neighbouring whole number is right."""
    whole = tuple(Near(one / 1000, 1.0) for one in total)
    return whole[0] if len(whole) == 1 else OneOf(whole)


def meets(expected: Any, found: Any) -> bool:
    """Whether ``found`` is what is expected: a value, or one of the matchers above."""
    return bool(expected.meets(found)) if hasattr(expected, "meets") else bool(expected == found)


@dataclass(frozen=True)
class File:
    """An asset whose size the item states and whose bytes lie where Rucio can name them."""

    bytes: int
    suffix: str | None
    """What the DID's name ends in; None: the href has no suffix of its own, any readable one is right."""
    places: Mapping[str, bool]
    """URL -> whether it needs a login. ``s3://host:port/bucket/key`` for S3."""
    md5: str | None = None
    stated: str | None = None
    """A checksum that Rucio cannot hold (or that is malformed): kept as text, never as a checksum."""
    also: tuple[str, ...] = ()
    """Places that may be replicas too: the second of several ``storage:refs``."""


@dataclass(frozen=True)
class Footprint:
    """Body-fixed ranges in degrees (c1 eastward 0-360), and the outline where it is small enough to write down."""

    west: Any
    east: Any
    south: Any
    north: Any
    vertices: tuple[tuple[float, float], ...] = ()
    """The corners that the polygon must have (longitude modulo 360); empty: not written down."""
    on_edges: tuple[tuple[float, float], ...] = ()
    """Points that may be vertices as well, for they lie on an edge."""
    polygon: bool | None = True
    """Whether there is a polygon; None: the standard leaves it open."""


NO_POSITION = Footprint(None, None, None, None, polygon=False)


@dataclass(frozen=True)
class Chosen:
    """One item and what should become of it."""

    line: int
    id: str
    collection: str | None
    dataset: str
    """Name of the item's DID."""
    footprint: Footprint | None = None
    times: tuple[Any, Any] | None = None
    """t_min, t_max in MJD."""
    wavelengths: tuple[Any, Any] | None = (None, None)
    """em_min, em_max in metres; None: open."""
    files: Mapping[str, File] = field(default_factory=dict)
    more_files: int = 0
    """How many files there are beside those written down."""
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Assets that stay links -> words of which the reason must hold one."""
    more_links: int = 0
    hrefs: Mapping[str, str] = field(default_factory=dict)
    """Absolute hrefs of links."""
    obscore: Mapping[str, Any] = field(default_factory=dict)
    epn: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """(collection, id) as the lake has them; items without a collection are in the default one."""
        return self.collection or "items", self.id
