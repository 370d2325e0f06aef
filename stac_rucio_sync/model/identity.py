"""What names things: items in STAC, data identifiers in Rucio."""

from __future__ import annotations

from typing import Any, NamedTuple

JsonObject = dict[str, Any]
"""A JSON object as the parser gives it."""


class ItemKey(NamedTuple):
    """What names an item: an id alone does not, it repeats across collections."""

    collection: str
    id: str


class Did(NamedTuple):
    """A Rucio data identifier."""

    scope: str
    name: str

    def __str__(self) -> str:
        return f"{self.scope}:{self.name}"
