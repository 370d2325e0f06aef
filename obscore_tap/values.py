"""Values of the simple protocols' parameters: read as VOTable writes them, and written as ADQL literals."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from obscore_tap.refusals import Refusal

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"([-+]?)inf(?:inity)?", re.ASCII | re.IGNORECASE)


def number(name: str, text: str) -> float:
    """Read a finite number.

    Raises
    ------
    Refusal
        The text is no number, or one that a double cannot hold.
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise Refusal(f"{name}: {shown(text)} is not a number")
    return value


def limit(name: str, text: str) -> float:
    """Read a limit of an interval: a finite number, ``-Inf`` or ``+Inf`` (DALI 1.1 section 3.3.4).

    A plus sign that was not escaped in a URL has become a space, so ``Inf`` alone is taken for ``+Inf``.
    """
    match = _INFINITE.fullmatch(text)
    if match:
        return -math.inf if match[1] == "-" else math.inf
    return number(name, text)


def text_literal(name: str, text: str) -> str:
    """Write a text as an ADQL character string.

    Raises
    ------
    Refusal
        It is empty, or holds control characters, which no value of ObsCore does.
    """
    if not text:
        raise Refusal(f"{name} has no value")
    if any(character < " " or character == "\x7f" for character in text):
        raise Refusal(f"{name}: {shown(text)} holds control characters")
    return "'" + text.replace("'", "''") + "'"


def number_literal(value: float) -> str:
    """Write a finite number so that ADQL reads the same double."""
    return repr(value).replace("e", "E")


def numbers_list(values: Sequence[float]) -> str:
    """Write numbers as the arguments of an ADQL function."""
    return ", ".join(map(number_literal, values))


def shown(text: str, longest: int = 60) -> str:
    """Return a user's text as a message quotes it: printable, and no longer than a line."""
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return f"'{printable}'" if len(printable) <= longest else f"'{printable[:longest]}...'"
