"""Values of options that are more than a word."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import orjson

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.identifiers import did_of_publisher_did
from stac_rucio_sync.model import Did


class _BBox(click.ParamType[tuple[float, ...]]):
    """Four or six numbers with commas between them (RFC 7946 section 5)."""

    name = "W,S,E,N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:  # noqa: ANN401 - click's signature
        """Return the numbers, degrees."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in (4, 6):
            self.fail(f"{value!r} is not west,south,east,north", param, ctx)
        return numbers


class _Instant(click.ParamType[datetime]):
    """An instant of RFC 3339; one without a zone is UTC."""

    name = "INSTANT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 - click's signature
        """Return the instant with its zone."""
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an instant such as 2024-05-01T00:00:00Z", param, ctx)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class _Cql2(click.ParamType[str | dict[str, Any]]):
    """A CQL2 filter: JSON where it starts with a brace, else text."""

    name = "CQL2"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | dict[str, Any]:  # noqa: ANN401 - click's signature
        """Return text, or the JSON object."""
        if isinstance(value, dict) or not value.lstrip().startswith("{"):
            return value  # type: ignore[no-any-return]  # a str or a dict, see above
        try:
            filter_: dict[str, Any] = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            self.fail(f"the filter starts like JSON and is none: {error}", param, ctx)
        return filter_


class _Duration(click.ParamType[timedelta]):
    """A length of time: a number and s, m, h, d or w."""

    name = "DURATION"
    _seconds: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401 - click's signature
        """Return the length of time."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([smhdw])", value)
        if found is None:
            self.fail(f"{value!r} is no length of time such as 90m, 12h or 7d", param, ctx)
        return timedelta(seconds=float(found[1]) * self._seconds[found[2]])


class _Percent(click.ParamType[float]):
    """A part of things: none, all, or so many per cent."""

    name = "none|N%|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        """Return the part, 0 to 1."""
        if isinstance(value, float):
            return value
        if value in ("none", "all"):
            return float(value == "all")
        found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)%", value)
        if found is None or float(found[1]) > 100:
            self.fail(f"{value!r} is not none, all, or a part such as 5%", param, ctx)
        return float(found[1]) / 100


BBOX, INSTANT, CQL2, DURATION, PERCENT = _BBox(), _Instant(), _Cql2(), _Duration(), _Percent()


def did_of(text: str) -> Did:
    """Return a DID from ``scope:name``.

    Raises
    ------
    UsageError
        The text is no DID.
    """
    try:
        return did_of_publisher_did(text)
    except ItemError as error:
        raise UsageError(str(error)) from error
