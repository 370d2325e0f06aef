"""A versioned catalogue: what its commits touched since the last read, removals included; else one version whole.

Which items commits touched is told by the index of the history, so that nothing but these is read. An item is read as
it stands in the version that is wanted, once, however many commits touched it; one that is not there is gone. So it
makes no difference whether the version is later than the last one that was read, or earlier, or whether a run between
was cut short: what that one may have done is a range of commits, too, and is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stac_rucio_sync.catalog.index import ObjectKey, key_of, may_be_object
from stac_rucio_sync.catalog.objects import MissingObjectError
from stac_rucio_sync.catalog.repository import Repository, Version
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.http import RefusedAnswer, parse_json
from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemKey, ItemRead, ItemRemoved, JsonObject
from stac_rucio_sync.sources.commons import may_have_commons, with_commons
from stac_rucio_sync.sources.protocol import Reading, ReadOptions, watched


@dataclass(frozen=True, slots=True)
class VersionedSource:
    """A repository of the versioned catalogue."""

    name: str
    location: str
    options: ReadOptions
    kind: str = "catalog"

    def read(self, cursor: Cursor | None) -> Reading:
        """Read what the commits between the cursor's and the wanted one touched; without a usable cursor, all.

        Raises
        ------
        UsageError
            There is no such version.
        FatalError
            The repository cannot be read.
        """
        reading = Reading(filtered=bool(self.options.collections))
        if self.options.since is not None:
            reading.remarks.append("--since is a question to a STAC API; a catalogue is read by its commits")
        with Repository(Path(self.location)) as repository:
            oid, target = _wanted(repository, self.options.at)
            known = self._known(repository, cursor, reading)
            progress = _Progress()
            reading.part = progress.part
            if known is None:
                begun: Cursor = {"toward": [oid]}
                progress.expected = repository.index.count_items(target)
                changes = self._whole(oid, progress)
            else:
                span = (*known.span, target)
                first, last = min(span), max(span)
                begun = {"commit": known.commit, "toward": [repository.index.oid(first), repository.index.oid(last)]}
                progress.expected = repository.index.count_touched(first, last)
                reading.filtered = True
                reading.again = lambda keys: self._again(oid, keys)
                changes = self._touched(oid, first, last, progress)
        selection = {"collections": sorted(self.options.collections)}
        reading.begun = begun | selection if progress.expected or known is None else None
        reading.cursor = {"commit": oid} | selection
        reading.lacking = lambda keys: self._lacking(oid, keys)
        reading.changes = watched(changes, reading, self.options, news=known is not None)
        return reading

    def _known(self, repository: Repository, cursor: Cursor | None, reading: Reading) -> _Known | None:
        """Return which versions the tables may hold a part of; None: that is not known, and all must be read."""
        if cursor is None or self.options.full:
            return None
        commits = [cursor.get("commit"), *cursor.get("toward", [])]
        numbers = [number for one in commits if (number := repository.index.number(one)) is not None]
        if commits[0] is None and len(commits) > 1:
            why = "the last run that did so was cut short, or an item of it failed"
        elif len(numbers) < len(commits):
            why = (
                "what the last run read is no commit of its history (it was restored or made anew, or another source "
                "had this name)"
            )
        elif cursor.get("collections") != sorted(self.options.collections):
            why = "the last run asked for other collections"
        else:
            return _Known(str(commits[0]), tuple(numbers))
        reading.remarks.append(f"the catalogue was read whole: {why}")
        return None

    # ------------------------------------------------------------------------------------------------ the passes

    def _whole(self, oid: str, progress: _Progress) -> Iterator[Change]:
        with Repository(Path(self.location)) as repository:
            items = _Items(repository.version(oid), self.location)
            for path, entry in items.version.tree.files():
                if not may_be_object(path):
                    continue
                try:
                    stac = parse_json(repository.objects.file(entry.oid), items.position(path))
                except RefusedAnswer as error:
                    yield ItemBroken(items.position(path), str(error))
                    continue
                if isinstance(stac, dict) and stac.get("type") == "Feature":
                    progress.done += 1
                    yield items.read(path, stac)

    def _touched(self, oid: str, after: int, until: int, progress: _Progress) -> Iterator[Change]:
        with Repository(Path(self.location)) as repository:
            items = _Items(repository.version(oid), self.location)
            for key in repository.index.items_touched(after, until):
                progress.done += 1
                named = ItemKey(key.collection or self.options.default_collection, key.id)
                if not self._selects(named):
                    continue
                paths = items.paths(self._keys(named))
                for path in paths:
                    yield items.read(path, items.version.stac(path))
                if not paths:
                    yield items.broken(self._keys(named)) or ItemRemoved(named)

    def _lacking(self, oid: str, keys: Iterable[ItemKey]) -> Iterator[ItemKey]:
        with Repository(Path(self.location)) as repository:
            items = _Items(repository.version(oid), self.location)
            for key in keys:
                named = self._keys(key)
                if self._selects(key) and not items.paths(named) and items.broken(named) is None:
                    yield key

    def _again(self, oid: str, keys: Iterable[ItemKey]) -> Iterator[Change]:
        with Repository(Path(self.location)) as repository:
            items = _Items(repository.version(oid), self.location)
            for key in filter(self._selects, keys):
                for path in items.paths(self._keys(key)):
                    yield items.read(path, items.version.stac(path))

    def _selects(self, key: ItemKey) -> bool:
        return not self.options.collections or key.collection in self.options.collections

    def _keys(self, key: ItemKey) -> list[ObjectKey]:
        """Return what an item may be called in the catalogue: one without a collection is of the default one."""
        bare = [ObjectKey("item", "", key.id)] if key.collection == self.options.default_collection else []
        return [ObjectKey("item", key.collection, key.id), *bare]


class _Known(NamedTuple):
    """What the cursor says of the versions that the tables may hold a part of."""

    commit: str
    """The one that a run ended with."""
    span: tuple[int, ...]
    """Its number, and those of versions that runs went for since and did not reach."""


@dataclass(slots=True)
class _Progress:
    """How far a pass is."""

    done: int = 0
    expected: int = 0

    def part(self) -> float | None:
        """Return the part that was read."""
        return self.done / self.expected if self.expected else None


@dataclass(slots=True)
class _Items:
    """The items of one version."""

    version: Version
    location: str
    _number: int = field(init=False)
    _collections: dict[str, JsonObject | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._number = self.version.number

    def position(self, path: str) -> str:
        """Say for people where an item lies, as git does."""
        return f"{self.location}:{path}"

    def paths(self, keys: Iterable[ObjectKey]) -> list[str]:
        """Return where an item lies."""
        return [path for key in keys for path in self.version.repository.index.places_of(key, self._number)]

    def broken(self, keys: Iterable[ObjectKey]) -> ItemBroken | None:
        """Return the file that was the item and is no JSON any more; None: there is no such file."""
        index = self.version.repository.index
        for path in {change.path for key in keys for change in index.changes(key.id, key.collection)}:
            entry = self.version.tree.entry(path)
            if entry is not None and not entry.is_folder:
                try:
                    parse_json(self.version.tree.read(path), self.position(path))
                except RefusedAnswer as error:
                    return ItemBroken(self.position(path), str(error))
        return None

    def read(self, path: str, stac: JsonObject) -> ItemRead:
        """Return an item with the commit that made it what it is."""
        index = self.version.repository.index
        key = key_of(stac)
        number = index.places_of(key, self._number).get(path) if key is not None else None
        if may_have_commons(stac):
            stac = with_commons(stac, self._collection(stac.get("collection")))
        return ItemRead(stac, None, self.position(path), None if number is None else index.oid(number))

    def _collection(self, identifier: object) -> JsonObject | None:
        if not isinstance(identifier, str):
            return None
        if identifier not in self._collections:
            found = [one for one in self.version.find(identifier, "") if one.key.kind == "collection"]
            self._collections[identifier] = self.version.stac(found[0].path) if found else None
        return self._collections[identifier]


def _wanted(repository: Repository, ref: str | None) -> tuple[str, int]:
    version = repository.version(ref)
    try:
        return version.commit.oid, version.number
    except MissingObjectError as error:
        raise UsageError(str(error)) from error
