"""Which failures of a storage pass, and how often it is asked again after one."""

from __future__ import annotations

import errno
import random
import re
from collections.abc import Iterator
from typing import Final

import requests
from rucio.common import exception as rucio_errors
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.http import TRANSIENT_STATUS

FIRST_PAUSE = 0.5
"""Seconds before the second attempt, doubled before each further one."""
_PASSING: Final = frozenset(
    (errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH,
     errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ESTALE)
)  # fmt: skip
_LASTING: Final = re.compile(
    "no space|quota|denied|forbidden|unauthori[sz]ed|not permitted|not authori[sz]ed|read-only|certificate",
    re.IGNORECASE,
)
"""What tells a failure that stays, where a protocol class has only the words of a program and calls all one thing."""


def repeating(attempts: int) -> Retrying:
    """Return what repeats a call after failures that pass, with pauses that grow, and raises the last one."""
    return Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(attempts),
        wait=wait_exponential(multiplier=FIRST_PAUSE, max=10) + wait_random(0, FIRST_PAUSE),
        reraise=True,
    )


def pauses() -> Iterator[float]:
    """Yield growing pauses, without an end, in seconds: for a storage that is waited for."""
    pause = FIRST_PAUSE
    while True:
        yield pause + random.uniform(0, FIRST_PAUSE)  # noqa: S311 - so that workers do not ask all at once
        pause = min(2 * pause, 10.0)


def is_transient(error: BaseException) -> bool:
    """Tell whether a failure of a storage may pass: a broken connection, a server that is busy.

    No permission, no space and a wrong checksum stay, and so does what nobody knows.
    """
    if isinstance(error, requests.RequestException):
        passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
        return isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError)
    if isinstance(error, OSError):
        return error.errno in _PASSING or isinstance(error, TimeoutError | ConnectionError)
    if isinstance(error, rucio_errors.RucioException):
        return _may_pass(error)
    return isinstance(error, TransientError)


def _may_pass(error: rucio_errors.RucioException) -> bool:
    """Tell it of what a protocol class raised: it hands its driver's error on, or the status of an answer, or words."""
    first = error.args[0] if error.args else None
    if isinstance(first, OSError):
        return is_transient(first)
    if _LASTING.search(" ".join(str(part) for part in error.args)):
        return False
    busy = (rucio_errors.ServiceUnavailable, rucio_errors.ResourceTemporaryUnavailable)
    return isinstance(error, busy) or first in TRANSIENT_STATUS
