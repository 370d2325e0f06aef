"""Cutting what comes one by one into parts, so that memory and calls are bounded however much there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_parts(things: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yield the things in order, at most so many at a time; no more are taken before the next part is asked for."""
    rest = iter(things)
    while part := list(islice(rest, most)):
        yield part
