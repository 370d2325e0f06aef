"""What may come of a request beside its answer: asking again would not help, or it may."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests

from stac_rucio_sync.errors import FatalError, TransientError

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which another try may go well."""
_AWAY_STATUS = frozenset({502, 503, 504})
"""Those of them that stand for a server that is not there now."""


class RefusedAnswer(FatalError):  # noqa: N818 - it is an answer
    """What was asked cannot be had, and another try would not help: a 4xx status, a private address, no JSON."""

    def __init__(self, text: str, status: int | None = None, content_range: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.content_range = content_range
        """The header of that name: with status 416 it tells the length."""


class PrivateAddress(RefusedAnswer):
    """The host, or one that it redirects to, is not of the public internet."""


class Unanswered(TransientError):  # noqa: N818 - as above
    """One failed try; ``wait`` holds the seconds that the server asked for."""

    def __init__(self, text: str, wait: float | None = None, *, away: bool = True) -> None:
        super().__init__(text)
        self.wait = wait
        self.away = away
        """The server itself seems not to be there, whatever was asked for."""


def parse_json(text: bytes, position: str) -> Any:  # noqa: ANN401 - any JSON
    """Parse JSON, a byte-order mark allowed.

    Raises
    ------
    RefusedAnswer
        It is not JSON; the text names ``position``.
    """
    try:
        return orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise RefusedAnswer(f"{position} is not JSON: {error}") from error


def check_status(response: requests.Response, shown: str) -> None:
    """Raise unless an answer is one; ``shown`` is the URL for people."""
    status = response.status_code
    if status < 300:
        return
    text = f"{shown} answers {status} {response.reason or ''}".rstrip()
    if status in TRANSIENT_STATUS or (status > 505 and status < 600):
        wait = _retry_after(response.headers.get("Retry-After"))
        raise Unanswered(text, wait, away=status in _AWAY_STATUS)
    raise RefusedAnswer(text, status, response.headers.get("Content-Range"))


def _retry_after(value: str | None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date (RFC 9110 section 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until.tzinfo else None


def root_of(error: BaseException) -> str:
    """Say in few words what lies at the bottom of a chain of exceptions, without URLs."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
