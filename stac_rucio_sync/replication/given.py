"""Items that a program holds already (the result of a search, a notebook's list) as a source like any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemRead
from stac_rucio_sync.sources import Reading


class GivenItems:
    """A source of items that are given.

    Parameters
    ----------
    items
        Objects of pystac (an ItemCollection, a search's ``items()``) or dicts; read once, as they are needed.
    name
        What reports call them.
    """

    kind = None
    location = None

    def __init__(self, items: Iterable[Any], name: str = "items") -> None:
        self._items = items
        self.name = name

    def read(self, cursor: Cursor | None) -> Reading:
        """Begin to read; there is nothing to go on from."""
        del cursor
        return Reading(changes=self._changes(), filtered=True)

    def _changes(self) -> Iterator[Change]:
        for number, item in enumerate(self._items):
            position = f"{self.name}[{number}]"
            if isinstance(item, Mapping):
                yield ItemRead(dict(item), None, position)
            elif hasattr(item, "to_dict"):
                yield ItemRead(item.to_dict(include_self_link=True), item.get_self_href(), position)
            else:
                yield ItemBroken(position, f"{type(item).__name__} is no item")
