"""What a request is about: the items of a source, and which of their assets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.identifiers import dataset_did
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import Asset, Did, Item, ItemBroken, ItemRead, ItemRemoved
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Source


@dataclass(frozen=True, slots=True)
class Choice:
    """Which assets of every item: those of a name or of a role; all where neither is given."""

    assets: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @property
    def all(self) -> bool:
        """Whole items are asked for."""
        return not self.assets and not self.roles

    def of(self, item: Item) -> tuple[Asset, ...]:
        """Return the assets of an item that are asked for."""
        if self.all:
            return item.assets
        return tuple(one for one in item.assets if one.key in self.assets or not self.roles.isdisjoint(one.roles))


@dataclass(frozen=True, slots=True)
class Asked:
    """An item of the request."""

    item: Item
    read: ItemRead
    did: Did
    """Its dataset, by the settings."""
    assets: tuple[Asset, ...]
    """Those that are asked for."""
    whole: bool = True
    """The whole item is asked for, whatever assets the search shows of it."""

    @property
    def name(self) -> str:
        """Collection and id, for people."""
        return f"{self.item.key.collection}/{self.item.key.id}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something of the source that is no item."""

    position: str
    reason: str


def asked_batches(source: Source, settings: Settings, choice: Choice) -> Iterator[tuple[list[Asked], list[Unreadable]]]:
    """Read a source and yield its items in batches; an item that comes twice is asked for by its last state there.

    Raises
    ------
    FatalError, TransientError
        The source cannot be read (further).
    """
    asked: dict[Did, Asked] = {}
    unreadable: list[Unreadable] = []
    for change in source.read(None):
        if isinstance(change, ItemRemoved):
            continue
        if isinstance(change, ItemBroken):
            unreadable.append(Unreadable(change.position, change.reason))
        else:
            try:
                item = parse_item(change, settings)
                did = dataset_did(item.key, settings)
            except ItemError as error:
                unreadable.append(Unreadable(change.position, str(error)))
            else:
                asked.pop(did, None)
                asked[did] = Asked(item, change, did, choice.of(item), choice.all)
        if len(asked) + len(unreadable) >= settings.sync.batch_items:
            yield list(asked.values()), unreadable
            asked, unreadable = {}, []
    if asked or unreadable:
        yield list(asked.values()), unreadable
