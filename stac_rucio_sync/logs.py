"""Logs: lines for people or for programs, each with the run of a command, or the request or job, that it belongs to.

It imports nothing but the standard library, for the command line needs it before anything else.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from datetime import UTC, datetime
from typing import IO, Any, Final

_SUBJECT: ContextVar[str] = ContextVar("subject", default="")
_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s%(told)s"
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What would end a line, or move the cursor of whoever reads it: names and paths of others may hold it."""


def new_id() -> str:
    """Return an id that no other run or request has."""
    return secrets.token_hex(8)


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Have what is logged within say which request or job it belongs to."""
    token = _SUBJECT.set(subject)
    try:
        yield
    finally:
        _SUBJECT.reset(token)


def subject() -> str:
    """Return the request or job that the present work belongs to; empty where there is none."""
    return _SUBJECT.get()


def configure(form: str, level: str, run: str = "") -> None:
    """Have the loggers of this process write to stderr; what was configured so before is replaced.

    Parameters
    ----------
    form
        ``json``: one object a line; ``text``: lines for people.
    level
        The least that is said: ``debug``, ``info``, ``warning``, ``error``.
    run
        Id of what this process does: lines that belong to no request have it.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Stderr)]:
        root.removeHandler(handler)
    handler = _Stderr()
    handler.setFormatter(JsonLines(run) if form == "json" else TextLines(run))
    root.addHandler(handler)
    root.setLevel(level.upper())


def are_json() -> bool:
    """Tell whether what goes to stderr is to be JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, run, request, and what ``extra={"told": …}`` has."""

    def __init__(self, run: str = "") -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: of for name, of in (("run", self._run), ("request", subject())) if of}
        line |= {name: value for name, value in _told(record).items() if name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """The same for people; the request or run stands in brackets at the end.

    Control characters are written as escapes, so that nobody's path or title can forge a line.
    """

    def __init__(self, run: str = "") -> None:
        super().__init__(_TEXT)
        self._run = run

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the first line of a record."""
        pairs = [f"{name}={value}" for name, value in _told(record).items()]
        whose = subject() or self._run
        # A copy, for others are given the same record.
        shown = copy(record)
        shown.told = "".join(f" {pair}" for pair in pairs) + (f" [{whose}]" if whose else "")
        return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(shown))


def _told(record: logging.LogRecord) -> Mapping[str, Any]:
    found = getattr(record, "told", None)
    return found if isinstance(found, Mapping) else {}


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what stderr is when there is something to say, as the library's own last resort does."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> IO[str]:
        return sys.stderr

    @stream.setter
    def stream(self, _given: object) -> None:
        raise AttributeError("it is stderr")
