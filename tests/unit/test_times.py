from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from stac_rucio_sync.mapping import times
from stac_rucio_sync.mapping.times import iso_utc, item_times, parse_time


@pytest.mark.parametrize(
    ("text", "mjd"),
    [
        ("1858-11-17T00:00:00Z", 0.0),
        ("2000-01-01T12:00:00Z", 51544.5),
        ("2000-01-01t12:00:00z", 51544.5),
        ("2000-01-01 12:00:00Z", 51544.5),
        ("2000-01-01T12:00:00,000Z", 51544.5),
        ("2000-01-01T14:00:00+02:00", 51544.5),
        ("2000-01-01T06:30:00-05:30", 51544.5),
        ("1999-12-31T23:00:00-13:00", 51544.5),
        ("2000-01-01T12:00Z", 51544.5),
        ("1854-06-01T00:00:00Z", -1630.0),
        ("0001-01-01T00:00:00Z", -678575.0),
        ("9999-12-31T00:00:00Z", 2973483.0),
        ("2016-12-31T23:59:60Z", 57754.0),  # the leap second reads as the midnight after it
        ("2016-12-31T23:59:60.999Z", 57754.0),
        ("2000-01-01T00:00:00.0000000000000000000000000000Z", 51544.0),
    ],
)
def test_rfc_3339_reads_as_utc_mjd(text: str, mjd: float) -> None:
    instant = parse_time(text)
    assert instant is not None
    assert instant.mjd == mjd
    assert instant.jd == mjd + 2400000.5
    assert instant.remark is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "yesterday",
        "2000-13-01T00:00:00Z",
        "2001-02-29T00:00:00Z",
        "2000-01-01T24:00:00Z",
        "2000-01-01T00:60:00Z",
        "2000-01-01T00:00:61Z",
        "0000-01-01T00:00:00Z",
        "2000-01-01T00:00:00+25:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2000-01-01T00:00:00Z/2001-01-01T00:00:00Z",
        "9" * 1000,
    ],
)
def test_what_is_no_time_is_none(text: object) -> None:
    assert parse_time(text) is None


def test_what_had_to_be_assumed_is_remarked_on() -> None:
    assert parse_time("2000-01-01") == (51544, 0, "", times.DATE_ONLY)
    assert parse_time("2000-01-01T06:00:00") == (51544, 21600, "", times.NO_ZONE)


@settings(max_examples=60, deadline=None)
@given(
    moment=st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9000, 1, 1)),
    offset=st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_agrees_with_astropy_to_a_microsecond(moment: datetime, offset: int) -> None:
    # The arithmetic of days: astropy's TAI has days of 86,400 s as UTC has them here.
    expected = Time(moment, scale="tai").mjd
    local = (moment + timedelta(minutes=offset)).isoformat()
    zone = f"{'+' if offset >= 0 else '-'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    instant = parse_time(local + zone)
    assert instant is not None
    assert instant.mjd == pytest.approx(expected, abs=2e-11, rel=0)


@given(moment=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_dali_timestamps_read_back(moment: datetime) -> None:
    instant = parse_time(moment.isoformat() + "Z")
    assert instant is not None
    assert datetime.fromisoformat(iso_utc(instant)).replace(tzinfo=UTC) == moment.replace(tzinfo=UTC)


def test_a_datetime_alone_is_start_and_end() -> None:
    found = item_times({"datetime": "2000-01-01T12:00:00Z"})
    assert found.start is not None
    assert found.end is not None
    assert (found.start.mjd, found.end.mjd, found.remarks) == (51544.5, 51544.5, ())


@pytest.mark.parametrize(
    ("properties", "expected", "remarks"),
    [
        (
            {"datetime": None, "start_datetime": "2000-01-01T00:00:00Z", "end_datetime": "2000-01-02T00:00:00Z"},
            (51544.0, 51545.0),
            (),
        ),
        (
            {
                "datetime": "2000-01-01T12:00:00Z",
                "start_datetime": "2000-01-01T00:00:00Z",
                "end_datetime": "2000-01-02T00:00:00Z",
            },
            (51544.0, 51545.0),
            (),
        ),
        (
            {
                "datetime": "1990-01-01T12:00:00Z",
                "start_datetime": "2000-01-01T00:00:00Z",
                "end_datetime": "2000-01-02T00:00:00Z",
            },
            (51544.0, 51545.0),
            (times.OUTSIDE,),
        ),
        (
            {"datetime": None, "start_datetime": "2000-01-02T00:00:00Z", "end_datetime": "2000-01-01T00:00:00Z"},
            (51544.0, 51545.0),
            (times.REVERSED,),
        ),
        (
            {"datetime": "2000-01-02T00:00:00Z", "start_datetime": "2000-01-01T00:00:00Z"},
            (51544.0, 51545.0),
            (times.HALF_RANGE,),
        ),
        ({"datetime": None, "end_datetime": "2000-01-01T00:00:00Z"}, (51544.0, 51544.0), (times.HALF_RANGE,)),
        ({"datetime": None}, (None, None), (times.UNKNOWN,)),
        ({}, (None, None), (times.UNKNOWN,)),
        ({"datetime": "soon"}, (None, None), (times.UNREADABLE, times.UNKNOWN)),
        ({"datetime": 5}, (None, None), (times.UNREADABLE, times.UNKNOWN)),
    ],
)
def test_ranges(
    properties: dict[str, object], expected: tuple[float | None, float | None], remarks: tuple[str, ...]
) -> None:
    found = item_times(properties)
    assert (found.start and found.start.mjd, found.end and found.end.mjd) == expected
    assert found.remarks == remarks
