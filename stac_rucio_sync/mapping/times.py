"""STAC's times as numbers: RFC 3339 to MJD and JD, by exact proleptic Gregorian arithmetic.

UTC days have 86,400 s here. A leap second reads as the midnight after it; on a day that ends with one the result
differs from a clock that stretches the day by less than a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

_MJD_ORDINAL = date(1858, 11, 17).toordinal()
_LAST_ORDINAL = date.max.toordinal()
_MJD_TO_JD = 2400000.5
_DAY = 86400.0
_TIME = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*([Zz]|[+-]\d\d(?::?\d\d)?)?)?\s*",
    re.ASCII,
)
_ZONES_OF_UTC = frozenset({"Z", "z", "+00:00", "-00:00", "+0000", "+00"})

NO_ZONE = "a time without a zone is read as UTC"
DATE_ONLY = "a date without a time of day is read as midnight UTC"
UNREADABLE = "a datetime is not in RFC 3339 and left out"
UNKNOWN = "neither a datetime nor a range: the row has no time"
REVERSED = "end_datetime is before start_datetime: the two are exchanged"
OUTSIDE = "datetime lies outside start_datetime and end_datetime: the range counts"
HALF_RANGE = "only one of start_datetime and end_datetime is given: datetime stands for the other"


class Instant(NamedTuple):
    """A point in time: whole days since MJD 0 (UTC) and seconds of that day, with the fraction's own digits."""

    day: int
    second: int
    fraction: str
    remark: str | None = None

    @property
    def seconds(self) -> float:
        """Seconds of the day with their fraction."""
        return self.second + float(f"0.{self.fraction}") if self.fraction else float(self.second)

    @property
    def mjd(self) -> float:
        """Modified Julian date, UTC, days."""
        return self.day + self.seconds / _DAY

    @property
    def jd(self) -> float:
        """Julian date, UTC, days."""
        return (self.day + _MJD_TO_JD) + self.seconds / _DAY


class TimeRange(NamedTuple):
    """When the data were taken; None where the item does not say."""

    start: Instant | None
    end: Instant | None
    remarks: tuple[str, ...]


def parse_time(text: object) -> Instant | None:
    """Read an RFC 3339 time of the years 1 to 9999; also a bare date, a comma, a space, or no zone.

    Returns
    -------
    Instant or None
        None where the text is no such time. ``remark`` says what had to be assumed.
    """
    match = _TIME.fullmatch(text) if isinstance(text, str) and len(text) < 100 else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _MJD_ORDINAL
    except ValueError:
        return None
    if hour is None:
        return Instant(days, 0, "", DATE_ONLY)
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    offset = _offset(zone)
    if hours > 23 or minutes > 59 or seconds > 60 or offset is None:
        return None
    if seconds == 60:
        fraction = None  # the midnight after the leap second, not a part of the next day's first second
    shift, total = divmod((hours * 60 + minutes - offset) * 60 + seconds, 86400)
    days += shift
    if not 1 <= days + _MJD_ORDINAL <= _LAST_ORDINAL:
        return None
    return Instant(days, total, fraction or "", NO_ZONE if zone is None else None)


def _offset(zone: str | None) -> int | None:
    """Return a zone's minutes east of UTC; None where it is no zone."""
    if zone is None or zone in _ZONES_OF_UTC:
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        return None
    return (1 if zone[0] == "+" else -1) * (hours * 60 + minutes)


def iso_utc(instant: Instant) -> str:
    """Write a time as DALI's timestamp: ISO 8601 in UTC without a zone designator, at most microseconds."""
    day = date.fromordinal(instant.day + _MJD_ORDINAL)
    minutes, second = divmod(instant.second, 60)
    hour, minute = divmod(minutes, 60)
    fraction = instant.fraction[:6].rstrip("0")
    return f"{day.isoformat()}T{hour:02}:{minute:02}:{second:02}{'.' + fraction if fraction else ''}"


def item_times(properties: Mapping[str, Any]) -> TimeRange:
    """Return when an item's data were taken, from ``start_datetime`` and ``end_datetime``, else ``datetime``.

    A range wins over a ``datetime`` outside it; a reversed range is turned round; both are remarked on.
    """
    remarks: list[str] = []

    def read(name: str) -> Instant | None:
        text = properties.get(name)
        if text is None:
            return None
        instant = parse_time(text)
        if instant is None:
            remarks.append(UNREADABLE)
        elif instant.remark is not None:
            remarks.append(instant.remark)
        return instant

    at, start, end = read("datetime"), read("start_datetime"), read("end_datetime")
    if start is None and end is None:
        if at is None:
            remarks.append(UNKNOWN)
        return TimeRange(at, at, tuple(dict.fromkeys(remarks)))
    if start is None or end is None:
        remarks.append(HALF_RANGE)
        start, end = start or at or end, end or at or start
        at = None
    if start is not None and end is not None and end.mjd < start.mjd:
        remarks.append(REVERSED)
        start, end = end, start
    if at is not None and start is not None and end is not None and not start.mjd <= at.mjd <= end.mjd:
        remarks.append(OUTSIDE)
    return TimeRange(start, end, tuple(dict.fromkeys(remarks)))
