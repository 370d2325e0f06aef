"""A catalogue in the simplest way: dictionaries. What the repository holds must be the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.catalog.examples import Json

HOLDING_TOGETHER = {"root", "parent", "child", "item", "collection", "self"}
Key = tuple[str, str, str]
"""Kind, collection and id, as the repository names its objects."""


@dataclass
class Kept:
    """One object."""

    stac: Json | None
    """As it was put; None: a collection that came with its first item."""
    home: Key | None
    """None: the root."""
    files: dict[str, bytes] = field(default_factory=dict)


class Model:
    """What a catalogue holds."""

    def __init__(self) -> None:
        self.objects: dict[Key, Kept] = {}

    def copy(self) -> Model:
        return copy.deepcopy(self)

    def homes(self) -> list[Key]:
        return sorted(key for key in self.objects if key[0] != "item")

    def items(self) -> list[Key]:
        return sorted(key for key in self.objects if key[0] == "item")

    def members(self, home: Key | None) -> Iterator[tuple[Key, Kept]]:
        return ((key, kept) for key, kept in self.objects.items() if kept.home == home)

    def has_item_called(self, identifier: str, home: Key | None) -> bool:
        return any(key[0] == "item" and key[2] == identifier for key, _ in self.members(home))

    def below(self, key: Key) -> set[Key]:
        found = {key}
        for member, _ in self.members(key):
            found |= self.below(member)
        return found

    def left_without(self, gone: set[Key]) -> set[Key]:
        """Return the items elsewhere whose collection would be gone."""
        collections = {key[2] for key in gone if key[0] == "collection"}
        return {key for key in self.items() if key not in gone and key[1] in collections}

    def put(self, key: Key, stac: Json, home: Key | None, files: dict[str, bytes] | None) -> str:
        """Put an object; return what became of it."""
        before = self.objects.get(key)
        if before is None:
            self.objects[key] = Kept(stac, home, files or {})
            return "added"
        wanted = before.files if files is None else files
        fate = "unchanged" if (before.stac, before.files) == (stac, wanted) else "modified"
        self.objects[key] = Kept(stac, before.home, wanted)
        return fate

    def bbox(self, key: Key) -> list[float] | None:
        """Return the extent of a collection: what it stated, and its members."""
        stac = self.objects[key].stac
        boxes = [stac["extent"]["spatial"]["bbox"][0]] if stac else []
        boxes += [kept.stac["bbox"] for one, kept in self.members(key) if one[0] == "item" and kept.stac]
        if not boxes:
            return None
        west, south, east, north = zip(*boxes, strict=True)
        return [min(west), min(south), max(east), max(north)]


def own(stac: Json) -> Json:
    """Return an object without the links that hold the catalogue together."""
    links = [link for link in stac["links"] if link["rel"] not in HOLDING_TOGETHER]
    return {**stac, "links": links}


def what_it_says(key: Key, stac: Json) -> Any:
    """Return of an object what no member changes."""
    return {name: value for name, value in own(stac).items() if key[0] == "item" or name not in {"extent", "summaries"}}
