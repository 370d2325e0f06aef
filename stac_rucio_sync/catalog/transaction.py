"""Changes of a catalogue that become visible together, or not at all.

Objects are put, removed and moved by what names them. Links, extents and summaries follow by themselves, and only what
is touched is read and written. Nothing is seen by others before `Transaction.commit`; without it nothing stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson

from stac_rucio_sync.catalog import extents
from stac_rucio_sync.catalog.index import PAGE, ObjectKey, key_of, same
from stac_rucio_sync.catalog.late import Late
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.objects import Commit, Entry, Writing
from stac_rucio_sync.catalog.pages import Member, Pages, json_file, record_path
from stac_rucio_sync.catalog.paths import (
    child_path,
    folder_of,
    has_own_folder,
    item_path,
    joined,
    path_of_href,
    relative_href,
)
from stac_rucio_sync.catalog.repository import AUTHOR, ROOT, Located, Repository
from stac_rucio_sync.catalog.trees import TreeEdits
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.item import STRUCTURAL_RELATIONS
from stac_rucio_sync.model import JsonObject

_JSON = "application/json"
_STATED = ".stated"
"""Ends the name of the file that keeps what a collection said of itself when it came."""


@contextmanager
def transaction(repository: Repository, *, author: str = AUTHOR, wait: float = 600.0) -> Iterator[Transaction]:
    """Begin a transaction on the latest version; writers queue.

    Raises
    ------
    TransientError
        Another writer goes on for longer than ``wait`` seconds.
    """
    with writer_lock(repository.place, wait), repository.objects.writing() as writing:
        repository.index.catch_up()
        changes = Transaction(repository, writing, author)
        try:
            yield changes
        finally:
            changes.close()


class Transaction:
    """A version in the making; `transaction` makes one."""

    def __init__(self, repository: Repository, writing: Writing, author: str) -> None:
        self._repository = repository
        self._writing = writing
        self._author = author
        self._base = repository.head()
        self._edits = TreeEdits(writing, self._base.commit.tree)
        self._pages: dict[str, Pages] = {}
        self._paths: dict[ObjectKey, str | None] = {}
        """Where objects lie that this transaction put (None: removed)."""
        self._late = Late()
        self._relinked: dict[str, str] = {}
        """Path of an object whose parent link must be written again, with its home."""

    def close(self) -> None:
        """Forget what was not committed."""
        self._late.close()

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
        found = [one for one in self._base.find(key.id, key.collection) if one.key == key]
        if len(found) > 1:
            raise ItemError(f"{key.kind} {key.id} lies at {len(found)} places: {', '.join(o.path for o in found[:3])}")
        return found[0].path if found else None

    def stac(self, path: str) -> JsonObject | None:
        """Return the object at a path as it stands now, its made links still those of the last commit."""
        content = self._late.get(path) or self._edits.read(path)
        if content is None:
            return None
        said: JsonObject = orjson.loads(content)
        return said

    # ------------------------------------------------------------------------------------------------ changing

    def put_item(
        self, stac: Mapping[str, Any], *, parent: str | None = None, assets: Mapping[str, Entry] | None = None
    ) -> str:
        """Add an item, or replace what is there under its collection and id.

        Parameters
        ----------
        stac
            The item, STAC 1.1; links that hold a catalogue together are made anew, hrefs of all others are absolute.
        parent
            Path of the catalogue or collection to put it below; default: the collection that it names, which is made
            where it does not exist, or the root.
        assets
            Files to lie beside the item, by path relative to it; its assets' hrefs name them so.

        Returns
        -------
        str
            ``added``, ``modified`` or ``unchanged``.

        Raises
        ------
        ItemError
            It is no item with an id.
        """
        key = key_of(stac)
        if key is None or key.kind != "item" or not key.id:
            raise ItemError("it is no STAC item: type must be Feature, and id a text")
        old_path = self.find(key)
        home = self._home_of_new(key, old_path, parent)
        path = old_path or item_path(folder_of(home), key.id)
        kept = {name: value for name, value in stac.items() if name != "links"} | {"links": _own_links(stac)}
        before = self.stac(path) if old_path else None
        if before is not None:
            kept["links"] = _structural_links(before) + kept["links"]
        fate = self._fate(before, kept, path, assets)
        if fate != "unchanged":
            self._write_late(path, kept)
            self._put_assets(folder_of(path), assets or {})
            self._paths[key] = path
        if fate == "added" or self._members(home).get("item", key.id) is not None:
            member = Member("item", key.id, path, _title(kept), extents.of_item(kept))
            self._relink(home, self._members(home).put(member))
        return fate

    def put_collection(self, stac: Mapping[str, Any], *, parent: str | None = None) -> str:
        """Add a collection or catalogue, or replace what is there under its id; its members stay.

        Returns
        -------
        str
            ``added``, ``modified`` or ``unchanged``.
        """
        key = key_of(stac)
        if key is None or key.kind == "item" or not key.id:
            raise ItemError("it is neither a STAC collection nor a catalogue")
        old_path = self.find(key)
        home = self._parent_home(old_path) if old_path else (parent or ROOT)
        path = old_path or child_path(folder_of(home), key.id, key.kind)
        if old_path is None and self._edits.entry(path) is not None:
            raise ItemError(f"{key.id} cannot be put at {path}: something else lies there")
        kept = {name: value for name, value in stac.items() if name != "links"} | {"links": _own_links(stac)}
        if key.kind == "collection":
            self._keep_stated(path, kept)
        before = self.stac(old_path) if old_path else None
        if before is not None:
            kept["links"] = _structural_links(before) + kept["links"]
            if same(before, self._with_sums(path, kept)):
                return "unchanged"
        self._write_late(path, kept)
        self._paths[key] = path
        self._members(path)
        if before is None or self._members(home).get("child", key.id) is not None:
            self._relink(home, self._members(home).put(Member("child", key.id, path, _title(kept))))
        return "added" if old_path is None else "modified"

    def remove(self, located: Located) -> None:
        """Take an object away with all that lies below it, and its files.

        Raises
        ------
        UsageError
            It is the root.
        """
        if located.path == ROOT:
            raise UsageError("the root of the catalogue cannot be removed")
        home = self._parent_home(located.path)
        rel = "item" if located.key.kind == "item" else "child"
        if not self._members(home).remove(rel, located.key.id):
            self._unlink(home, located.path)
        for key, path in self._below(located):
            self._forget(key, path)

    def move(self, located: Located, parent: str) -> None:
        """Put an item below another catalogue or collection.

        Its id and its collection stay; where it lies changes.
        """
        if located.key.kind != "item":
            raise UsageError("only items can be moved")
        stac = self.stac(located.path)
        if stac is None:
            raise UsageError(f"there is no {located.path}")
        old_folder, files = folder_of(located.path), self._files_beside(located)
        target = item_path(folder_of(parent), located.key.id)
        if target == located.path:
            return
        if self._edits.entry(target) is not None:
            raise UsageError(f"{target} is there already")
        self.remove(located)
        self.put_item(
            stac, parent=parent, assets={path[len(old_folder) :].lstrip("/"): entry for path, entry in files.items()}
        )

    def commit(self, message: str, *, when: datetime | None = None) -> Commit | None:
        """Make the changes so far visible, all at once.

        Returns
        -------
        Commit or None
            None: nothing has changed.
        """
        self._flush()
        tree = self._edits.save()
        if tree == self._base.commit.tree:
            return None
        moment = max(when or datetime.now(UTC), self._base.commit.when)
        commit = self._writing.save(tree, message, self._author, moment)
        self._repository.index.catch_up()
        self._base = self._repository.version(commit.oid)
        self._edits = TreeEdits(self._writing, tree)
        return commit

    # ------------------------------------------------------------------------------------------------ inside

    def _members(self, home: str) -> Pages:
        if home not in self._pages:
            self._pages[home] = Pages(self._edits, home)
        return self._pages[home]

    def _home_of_new(self, key: ObjectKey, old_path: str | None, parent: str | None) -> str:
        if old_path is not None:
            return self._parent_home(old_path)
        if parent is not None:
            return parent
        if not key.collection:
            return ROOT
        collection = ObjectKey("collection", "", key.collection)
        path = self.find(collection)
        if path is None:
            self.put_collection(_new_collection(key.collection))
            path = self.find(collection)
        return path or ROOT

    def _parent_home(self, path: str) -> str:
        """Return the home that an object is a member of; pages in between are passed."""
        if path in self._relinked:
            return self._relinked[path]
        at = path
        while True:
            stac = self.stac(at)
            links = stac.get("links", []) if stac else []
            href = next((link["href"] for link in links if link.get("rel") == "parent" and "href" in link), None)
            above = path_of_href(href, at) if isinstance(href, str) else None
            if above is None or above == at:
                return ROOT
            at = above
            if PAGE not in (self.stac(at) or {}):
                return at

    def _fate(self, before: JsonObject | None, kept: JsonObject, path: str, assets: Mapping[str, Entry] | None) -> str:
        if before is None:
            return "added"
        folder = folder_of(path)
        same_files = all(self._edits.entry(joined(folder, name)) == entry for name, entry in (assets or {}).items())
        return "unchanged" if same_files and same(before, kept) else "modified"

    def _put_assets(self, folder: str, assets: Mapping[str, Entry]) -> None:
        for name, entry in assets.items():
            try:
                self._edits.put(joined(folder, name), entry)
            except ValueError as error:
                raise ItemError(f"asset file {name}: {error}") from error

    def _write_late(self, path: str, stac: JsonObject) -> None:
        self._late.put(path, orjson.dumps(stac))

    def _relink(self, home: str, moved: list[Member]) -> None:
        for member in moved:
            self._relinked[member.path] = home

    def _files_beside(self, located: Located) -> dict[str, Entry]:
        """Return the files that lie beside an item and are its own, by path."""
        folder = folder_of(located.path)
        if not has_own_folder(located.path, located.key.id):
            return {}  # an ingested tree keeps its own order: what lies beside may be others'
        files = {joined(folder, name): entry for name, entry in self._entries_below(folder)}
        files.pop(located.path, None)
        return files

    def _entries_below(self, folder: str, name: str = "") -> Iterator[tuple[str, Entry]]:
        for one in sorted(self._edits.names(joined(folder, name) if name else folder)):
            path = f"{name}/{one}" if name else one
            entry = self._edits.entry(joined(folder, path))
            if entry is None or entry.is_folder:
                yield from self._entries_below(folder, path)
            else:
                yield path, entry

    def _below(self, located: Located) -> list[tuple[ObjectKey, str]]:
        """Return an object and all that its links lead down to."""
        found: list[tuple[ObjectKey, str]] = []
        waiting, met = [located.path], {located.path}
        while waiting:
            path = waiting.pop()
            stac = self.stac(path)
            key = key_of(stac)
            if key is not None:
                found.append((key, path))
            elif stac is None:
                continue
            for member in self._pages[path].members() if path in self._pages else ():
                if member.path not in met:
                    met.add(member.path)
                    waiting.append(member.path)
            for link in (stac or {}).get("links", []):
                below = path_of_href(link.get("href", ""), path) if link.get("rel") in {"item", "child"} else None
                if below is not None and below not in met:
                    met.add(below)
                    waiting.append(below)
            if key is None:
                self._edits.remove(folder_of(path))
        return found

    def _forget(self, key: ObjectKey, path: str) -> None:
        self._late.drop(path)
        self._relinked.pop(path, None)
        self._pages.pop(path, None)
        self._paths[key] = None
        if key.kind == "item" and has_own_folder(path, key.id):
            self._edits.remove(folder_of(path))
            return
        for one in (path, record_path(path), _stated_path(path)):
            self._edits.remove(one)

    def _unlink(self, home: str, path: str) -> None:
        """Take the link to an object out of the own links of an ingested catalogue."""
        stac = self.stac(home)
        if stac is None:
            return
        links = [
            link
            for link in stac["links"]
            if link.get("rel") not in {"item", "child"} or path_of_href(link.get("href", ""), home) != path
        ]
        self._write_late(home, stac | {"links": links})

    def _flush(self) -> None:
        """Write what waits: objects with their links, pages, and the homes of both."""
        for pages in self._pages.values():
            pages.save(ROOT)
        homes = {home for home, pages in self._pages.items() if pages.home.is_changed}
        for path in sorted(homes | self._late.paths() | set(self._relinked)):
            stac = self.stac(path)
            if stac is None:
                continue
            if path in self._pages:
                stac = self._with_links_to_members(path, stac)
                stac = self._with_sums(path, stac)
            home = self._relinked.get(path)
            if home is not None:
                stac = self._with_links_upward(path, stac, home)
            self._edits.write(path, json_file(stac))
        self._late.clear()
        self._relinked.clear()
        self._pages.clear()
        self._paths.clear()

    def _with_links_to_members(self, path: str, stac: JsonObject) -> JsonObject:
        page = self._pages[path].home
        made = page.links()
        hrefs = page.linked | {link["href"] for link in made}
        own = [link for link in stac["links"] if link.get("rel") not in {"item", "child"} or link["href"] not in hrefs]
        return stac | {"links": own + made}

    def _with_links_upward(self, path: str, stac: JsonObject, home: str) -> JsonObject:
        parent = self._members(home).parent_path(stac["id"])
        upward = [
            {"rel": "root", "href": relative_href(ROOT, path), "type": _JSON},
            {"rel": "parent", "href": relative_href(parent, path), "type": _JSON},
        ]
        key = key_of(stac)
        if key is not None and key.collection:
            collection = self.find(ObjectKey("collection", "", key.collection))
            if collection is not None:
                upward.append({"rel": "collection", "href": relative_href(collection, path), "type": _JSON})
        others = [link for link in stac["links"] if link.get("rel") not in {"root", "parent", "collection", "self"}]
        return stac | {"links": upward + others}

    def _keep_stated(self, path: str, stac: JsonObject) -> None:
        """Keep what a collection says of itself, to which its items' sums are added."""
        said = {name: stac.get(name) for name in ("extent", "summaries")}
        self._edits.write(_stated_path(path), orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))

    def _with_sums(self, path: str, stac: JsonObject) -> JsonObject:
        """Return a collection with extents and summaries of what it stated and of its members."""
        if stac.get("type") != "Collection":
            return stac
        kept = self._edits.read(_stated_path(path))
        if kept is None:  # it came with a whole tree
            self._keep_stated(path, stac)
        said: JsonObject = stac if kept is None else orjson.loads(kept)
        summed = extents.total([extents.stated(said), self._members(path).home.summed()])
        if not summed.items:
            return stac | {"extent": said.get("extent") or extents.extent(summed)}
        made = stac | {"extent": extents.extent(summed)}
        summaries = extents.summaries(summed)
        if said.get("summaries") or summaries:
            made["summaries"] = (said.get("summaries") or {}) | summaries
        return made


def _stated_path(path: str) -> str:
    return record_path(path) + _STATED


def _own_links(stac: Mapping[str, Any]) -> list[JsonObject]:
    links = stac.get("links")
    return [
        dict(link)
        for link in (links if isinstance(links, list) else ())
        if isinstance(link, Mapping) and link.get("rel") not in STRUCTURAL_RELATIONS and "href" in link
    ]


def _structural_links(stac: Mapping[str, Any]) -> list[JsonObject]:
    return [link for link in stac.get("links", ()) if link.get("rel") in STRUCTURAL_RELATIONS]


def _title(stac: Mapping[str, Any]) -> str | None:
    title = stac.get("title") or (stac.get("properties") or {}).get("title")
    return title if isinstance(title, str) else None


def _new_collection(identifier: str) -> JsonObject:
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": identifier,
        "description": f"Items of the collection {identifier}.",
        "license": "other",
    }
