"""A version of the catalogue in the making, by paths: what lies where now, what it is a member of, what waits."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Protocol

import orjson

from stac_rucio_sync.catalog.index import PAGE, ObjectKey, key_of, may_be_object, same
from stac_rucio_sync.catalog.late import Late
from stac_rucio_sync.catalog.objects import Entry, Writing
from stac_rucio_sync.catalog.pages import HOMES, Member, Pages, json_file, record_path
from stac_rucio_sync.catalog.paths import folder_of, has_own_folder, joined, path_of_href
from stac_rucio_sync.catalog.repository import ROOT, Located, Version
from stac_rucio_sync.catalog.trees import TreeEdits
from stac_rucio_sync.catalog.weaving import SUMMED_UP, with_links_to_members, with_links_upward, with_sums, without_sums
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import JsonObject

_STATED = ".stated"
"""Ends the name of the file that keeps what a collection said of itself when it came."""


class Unindexed(Protocol):
    """The objects of a tree that came whole, as long as the index does not know it."""

    def paths(self, key: ObjectKey) -> list[str]:
        """Return the paths of the objects with a key."""

    def items_of(self, collection: str) -> Iterator[tuple[str, ObjectKey]]:
        """Yield the items of a collection with their paths."""

    def close(self) -> None:
        """Forget them."""


class Draft:
    """A version in the making.

    Objects that change wait until `save`, when it is sure what links they have.

    Parameters
    ----------
    base
        The version that it begins with.
    writing
        Where its objects go.
    """

    def __init__(self, base: Version, writing: Writing) -> None:
        self._base = base
        self._writing = writing
        self.edits = TreeEdits(writing, base.commit.tree)
        self._pages: dict[str, Pages] = {}
        self._paths: dict[ObjectKey, str | None] = {}
        """Where objects lie that were put here (None: removed)."""
        self._unindexed: list[Unindexed] = []
        self._late = Late()
        self._relinked: dict[str, str] = {}
        """Path of an object whose links upward must be written again, with its home."""

    def close(self) -> None:
        """Forget all."""
        self._late.close()
        for tree in self._unindexed:
            tree.close()

    @property
    def base_tree(self) -> str:
        """The root folder that it began with."""
        return self._base.commit.tree

    # ------------------------------------------------------------------------------------------------ reading

    def find(self, key: ObjectKey) -> str | None:
        """Return where an object lies now; None: it is not there.

        Raises
        ------
        ItemError
            Several objects of the catalogue have that name.
        """
        if key in self._paths:
            return self._paths[key]
        found = {one.path for one in self._base.find(key.id, key.collection) if one.key == key}
        if self._unindexed:  # a tree may have come in the place of another
            found.update(path for tree in self._unindexed for path in tree.paths(key))
            found = {path for path in found if key_of(self.stac(path)) == key}
        if len(found) > 1:
            raise ItemError(f"{key.kind} {key.id} lies at {len(found)} places: {', '.join(sorted(found)[:3])}")
        return next(iter(found), None)

    def stac(self, path: str) -> JsonObject | None:
        """Return the object at a path as it stands now, its made links still those of the last commit."""
        content = self._late.get(path) or self.edits.read(path)
        if content is None:
            return None
        said: JsonObject = orjson.loads(content)
        return said

    def items_of(self, collection: str) -> dict[str, ObjectKey]:
        """Return the items of a collection, wherever they lie, by path."""
        found = {path: key for key, path in self._base.items_of(collection) if key not in self._paths}
        for tree in self._unindexed:
            found |= {path: key for path, key in tree.items_of(collection) if key not in self._paths}
        if self._unindexed:
            found = {path: key for path, key in found.items() if key_of(self.stac(path)) == key}
        here = {path: key for key, path in self._paths.items() if path and key.collection == collection}
        return found | here

    def is_free(self, folder: str) -> bool:
        """Tell whether a folder holds nothing yet, and nothing waits to be written there."""
        waiting = (joined(folder, f"{kind}.json") for kind in ("catalog", "collection"))
        return not self.edits.names(folder) and all(self._late.get(path) is None for path in waiting)

    def home_of(self, path: str) -> str:
        """Return the home that an object is a member of; pages in between are passed."""
        if path in self._relinked:
            return self._relinked[path]
        at = path
        while True:
            above = next(iter(self._linked_from(at)), None)
            if above is None or above == at:
                return ROOT
            at = above
            if PAGE not in (self.stac(at) or {}):
                return at

    def _linked_from(self, path: str) -> list[str]:
        """Return who links down to an object of a tree that came whole, or whom its own link names as its parent."""
        kept = self.edits.read(joined(folder_of(path), HOMES))
        hrefs = orjson.loads(kept).get(path.rpartition("/")[2]) if kept is not None else None
        if hrefs is None:
            stac = self.stac(path)
            links = stac.get("links", []) if stac else []
            hrefs = [
                link["href"] for link in links if link.get("rel") == "parent" and isinstance(link.get("href"), str)
            ]
        return [above for href in hrefs if (above := path_of_href(href, path)) is not None]

    def members(self, home: str) -> Pages:
        """Return the members of the object at a path.

        Raises
        ------
        UsageError
            There is no catalogue or collection.
        """
        if home not in self._pages:
            key = key_of(self.stac(home))
            if key is None or key.kind == "item":
                raise UsageError(f"there is no catalogue or collection at {home}")
            self._pages[home] = Pages(self.edits, home)
        return self._pages[home]

    def files_beside(self, located: Located) -> dict[str, Entry]:
        """Return the files that lie beside an item and are its own, by path relative to its folder."""
        if not has_own_folder(located.path, located.key.id):
            return {}  # an ingested tree keeps its own order: what lies beside may be others'
        folder = folder_of(located.path)
        files = dict(self._entries_below(folder))
        files.pop(located.path[len(folder) + 1 :], None)
        return files

    def below(self, located: Located) -> Iterator[tuple[ObjectKey | None, str]]:
        """Yield an object and all that its links lead down to, with their paths; pages have no key."""
        waiting, met = [located.path], {located.path}
        while waiting:
            path = waiting.pop()
            stac = self.stac(path)
            if stac is None or (key_of(stac) is None and PAGE not in stac):
                continue  # a link to nothing, or to what is no STAC object
            under = [member.path for member in self._pages[path].members()] if path in self._pages else []
            for link in stac.get("links", []):
                below = path_of_href(link.get("href", ""), path) if link.get("rel") in {"item", "child"} else None
                under += [below] if below is not None else []
            yield key_of(stac), path
            fresh = dict.fromkeys(one for one in under if one not in met)
            met |= fresh.keys()
            waiting += fresh

    def orphans(self, folder: str, reached: Container[str]) -> Iterator[tuple[ObjectKey, str]]:
        """Yield the objects below a folder that are not among those that links lead to."""
        for name, _ in self._entries_below(folder):
            path = joined(folder, name)
            if path not in reached and may_be_object(path) and (key := key_of(self.stac(path))) is not None:
                yield key, path

    # ------------------------------------------------------------------------------------------------ changing

    def write(self, path: str, stac: JsonObject, key: ObjectKey | None = None) -> None:
        """Have an object at a path; its links follow at the end."""
        self._late.put(path, orjson.dumps(stac))
        if key is not None:
            self._paths[key] = path

    def grafted(self, tree: Unindexed) -> None:
        """Have the objects of a tree found that came whole; it is closed with this."""
        self._unindexed.append(tree)

    def relink(self, path: str, home: str) -> None:
        """Have the links upward of a member of a home written again."""
        self._relinked[path] = home

    def put_member(self, home: str, member: Member) -> None:
        """Make an object a member of a home, or renew what is known of it there."""
        for moved in self.members(home).put(member):
            self._relinked[moved.path] = home

    def remove_member(self, home: str, located: Located) -> None:
        """Take an object out of the members of a home, or out of the links of all that came with a tree and have it."""
        rel = "item" if located.key.kind == "item" else "child"
        member = self.members(home).get(rel, located.key.id)
        if member is not None and member.path == located.path:
            self.members(home).remove(rel, located.key.id)
            return
        for above in self._linked_from(located.path):
            self._without_link(above, located.path)

    def unlink(self, path: str, going: Container[str]) -> None:
        """Take an object that goes out of the links of those that have it and stay."""
        kept = self.edits.read(joined(folder_of(path), HOMES))
        if kept is not None and path.rpartition("/")[2] in orjson.loads(kept):
            for above in self._linked_from(path):
                if above not in going:
                    self._without_link(above, path)

    def forget(self, key: ObjectKey | None, path: str) -> None:
        """Take an object away, or (without a key) a page."""
        self._late.drop(path)
        self._relinked.pop(path, None)
        self._pages.pop(path, None)
        if key is not None:
            self._paths[key] = None
        if key is None or (key.kind == "item" and has_own_folder(path, key.id)):
            self.edits.remove(folder_of(path))
            return
        for one in (path, record_path(path), _stated_path(path)):
            self.edits.remove(one)

    def keep_stated(self, path: str, stac: JsonObject) -> None:
        """Keep what a collection says of itself, to which its items' sums are added."""
        self.edits.write(_stated_path(path), _stated(stac))

    def is_as_stated(self, path: str, stac: JsonObject, before: JsonObject) -> bool:
        """Tell whether an object that is put says what it said before, or what it has become by its members."""
        if same(before, stac):
            return True
        return self.edits.read(_stated_path(path)) == _stated(stac) and same(without_sums(before), without_sums(stac))

    def with_sums(self, path: str, stac: JsonObject) -> JsonObject:
        """Return a collection with extents and summaries of what it stated and of its members."""
        if stac.get("type") != "Collection":
            return stac
        kept = self.edits.read(_stated_path(path))
        if kept is None:  # it came with a whole tree
            self.keep_stated(path, stac)
        said: JsonObject = stac if kept is None else orjson.loads(kept)
        return with_sums(stac, said, self.members(path).home.summed())

    # ------------------------------------------------------------------------------------------------ the end

    def save(self) -> str:
        """Write what waits (objects with their links, pages, and the homes of both), and return the root folder."""
        for pages in self._pages.values():
            pages.save(ROOT)
        homes = {home for home, pages in self._pages.items() if pages.home.is_changed}
        for path in sorted(homes | self._late.paths() | set(self._relinked)):
            stac = self.stac(path)
            if stac is not None:
                self.edits.write(path, json_file(self._woven(path, stac)))
                if stac.get("type") == "Feature" and has_own_folder(path, stac["id"]):
                    self.edits.settle(folder_of(path))
        self._late.clear()
        self._relinked.clear()
        self._pages.clear()
        return self.edits.save()

    def go_on(self, base: Version) -> None:
        """Begin anew with the version that this has become."""
        self._base = base
        self._paths.clear()
        self.edits = TreeEdits(self._writing, base.commit.tree)

    def _without_link(self, home: str, path: str) -> None:
        stac = self.stac(home)
        links = stac.get("links", []) if stac else []
        left = [link for link in links if not _leads_to(link, home, path)]
        if stac is not None and left != links:
            self.write(home, stac | {"links": left})

    def _woven(self, path: str, stac: JsonObject) -> JsonObject:
        if path in self._pages:
            stac = self.with_sums(path, with_links_to_members(stac, self._pages[path].home))
        home = self._relinked.get(path)
        if home is None:
            return stac
        key = key_of(stac)
        collection = self.find(ObjectKey("collection", "", key.collection)) if key and key.collection else None
        return with_links_upward(stac, path, self.members(home).parent_path(stac["id"]), collection)

    def _entries_below(self, folder: str, name: str = "") -> Iterator[tuple[str, Entry]]:
        for one in sorted(self.edits.names(joined(folder, name) if name else folder)):
            path = f"{name}/{one}" if name else one
            entry = self.edits.entry(joined(folder, path))
            if entry is None or entry.is_folder:
                yield from self._entries_below(folder, path)
            else:
                yield path, entry


def _leads_to(link: JsonObject, start: str, path: str) -> bool:
    is_down = link.get("rel") in {"item", "child"}
    return is_down and path_of_href(link.get("href", ""), start) == path


def _stated(stac: JsonObject) -> bytes:
    said = {name: stac.get(name) for name in SUMMED_UP}
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def _stated_path(path: str) -> str:
    return record_path(path) + _STATED
