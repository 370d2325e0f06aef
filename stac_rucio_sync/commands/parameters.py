"""Values of options that are more than a word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import orjson


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


BBOX, INSTANT, CQL2 = _BBox(), _Instant(), _Cql2()
