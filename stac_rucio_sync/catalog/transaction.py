"""Changes of a catalogue that become visible together, or not at all.

Objects are put, removed and moved by what names them. Links, extents and summaries follow by themselves, and only what
is touched is read and written. Nothing is seen by others before `Transaction.commit`; without it nothing stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from stac_rucio_sync.catalog import extents
from stac_rucio_sync.catalog.draft import Draft
from stac_rucio_sync.catalog.index import ObjectKey, key_of, same
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.objects import Commit, Entry, Writing
from stac_rucio_sync.catalog.pages import Member
from stac_rucio_sync.catalog.paths import child_path, folder_of, is_hidden, item_path, joined
from stac_rucio_sync.catalog.repository import AUTHOR, ROOT, Located, Repository
from stac_rucio_sync.catalog.restrictions import restrictions
from stac_rucio_sync.catalog.weaving import title_of, with_moved_hrefs, with_own_links
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import JsonObject

_OPERATIONS = {"added": "ingest", "modified": "update"}
"""What the fate of an object asks for."""


@contextmanager
def transaction(
    repository: Repository, *, author: str = AUTHOR, wait: float = 600.0, processor: str | None = None
) -> Iterator[Transaction]:
    """Begin a transaction on the latest version; writers queue.

    Parameters
    ----------
    author
        Of its commits.
    wait
        Seconds to wait for other writers.
    processor
        Whose products are put: it may be restricted to some operations.

    Raises
    ------
    TransientError
        Another writer goes on for longer than ``wait`` seconds.
    """
    with writer_lock(repository.place, wait), repository.objects.writing() as writing:
        repository.index.catch_up()
        changes = Transaction(repository, writing, author, processor)
        try:
            yield changes
        finally:
            changes.close()


class Transaction:
    """A version in the making; `transaction` makes one."""

    def __init__(self, repository: Repository, writing: Writing, author: str, processor: str | None = None) -> None:
        self._repository = repository
        self._writing = writing
        self._author = author
        self._processor = processor
        self._restrictions = restrictions(repository.place)
        self._refused: UsageError | None = None
        self._base = repository.head()
        self._draft = Draft(self._base, writing)

    def close(self) -> None:
        """Forget what was not committed."""
        self._draft.close()

    @property
    def draft(self) -> Draft:
        """The version in the making, by paths."""
        return self._draft

    @property
    def writing(self) -> Writing:
        """Where the files go that are to lie beside items: `Writing.put_file`, `Writing.put_large`."""
        return self._writing

    def require(self, operation: str) -> None:
        """Refuse an operation that the catalogue does not allow; nothing can be committed after that.

        Parameters
        ----------
        operation
            One of `restrictions.OPERATIONS`.

        Raises
        ------
        UsageError
            It is not allowed.
        """
        try:
            self._restrictions.check(operation, self._processor)
        except UsageError as error:
            self._refused = error
            raise

    def find(self, key: ObjectKey) -> str | None:
        """Return where an object lies now; None: it is not there.

        Raises
        ------
        ItemError
            Several objects of the catalogue have that name.
        """
        return self._draft.find(key)

    def stac(self, path: str) -> JsonObject | None:
        """Return the object at a path as it stands now, its made links still those of the last commit."""
        return self._draft.stac(path)

    def put_item(
        self, stac: Mapping[str, Any], *, parent: str | None = None, assets: Mapping[str, Entry] | None = None
    ) -> str:
        """Add an item, or replace what is there under its collection and id.

        Parameters
        ----------
        stac
            The item, STAC 1.1; links that hold a catalogue together are made anew, hrefs of all others are absolute.
        parent
            Path of the catalogue or collection that a new item goes below; without one, that of its ``collection``
            (which is made where it is not there yet), or the root.
        assets
            The files beside the item, by path relative to it; its assets' hrefs name them so. None: those that lie
            there stay.

        Returns
        -------
        str
            ``added``, ``modified`` or ``unchanged``.

        Raises
        ------
        ItemError
            It is no item with an id, its place is taken, or a file cannot lie beside it.
        UsageError
            There is no such parent, or the catalogue does not allow it.
        """
        if assets:
            _check_assets(assets)
        return self._put_item(stac, parent, assets)

    def _put_item(
        self, stac: Mapping[str, Any], parent: str | None, assets: Mapping[str, Entry] | None, *, is_move: bool = False
    ) -> str:
        key = key_of(stac)
        if key is None or key.kind != "item" or not key.id:
            raise ItemError("it is no STAC item: type must be Feature, and id a text")
        old_path = self.find(key)
        home = self._draft.home_of(old_path) if old_path else self._home_of_new(key, parent)
        path = old_path or item_path(folder_of(home), key.id)
        before = self.stac(path)
        if before is not None and old_path is None:
            raise ItemError(f"{key.id} cannot be put at {path}: another item lies there")
        kept = with_own_links(stac, before)
        files = self._changed_files(Located(key, path), assets, is_new=before is None)
        if before is None:
            self._make_collection_of(key)
        members = self._draft.members(home)
        fate = "added" if before is None else "modified" if files or not same(before, kept) else "unchanged"
        if fate != "unchanged":
            if not is_move:
                self.require(_OPERATIONS[fate])
            self._put_files(path, files)
            self._draft.write(path, kept, key)
        if fate == "added" or members.get("item", key.id) is not None:
            member = Member("item", key.id, path, title_of(kept), extents.of_item(kept))
            self._draft.put_member(home, member)
        return fate

    def put_collection(self, stac: Mapping[str, Any], *, parent: str | None = None) -> str:
        """Add a collection or catalogue, or replace what is there under its id; its members stay.

        Returns
        -------
        str
            ``added``, ``modified`` or ``unchanged``.

        Raises
        ------
        ItemError
            It has no id or is an item, or its place is taken.
        UsageError
            There is no such parent, or the catalogue does not allow it.
        """
        key = key_of(stac)
        if key is None or key.kind == "item" or not key.id:
            raise ItemError("it is neither a STAC collection nor a catalogue")
        old_path = self.find(key)
        home = self._draft.home_of(old_path) if old_path else (parent or ROOT)
        path = old_path or child_path(folder_of(home), key.id, key.kind)
        if old_path is None and not self._draft.is_free(folder_of(path)):
            raise ItemError(f"{key.id} cannot be put at {path}: something else lies there")
        before = self.stac(old_path) if old_path else None
        if before is None:
            self.require("ingest")
        kept = with_own_links(stac, before)
        if before is not None and self._draft.is_as_stated(path, kept, before):
            return "unchanged"
        if before is not None:
            self.require("update")
        if key.kind == "collection":
            self._draft.keep_stated(path, kept)
        self._draft.write(path, kept, key)
        self._draft.members(path)
        if before is None or self._draft.members(home).get("child", key.id) is not None:
            self._draft.put_member(home, Member("child", key.id, path, title_of(kept)))
        return "added" if old_path is None else "modified"

    def remove(self, located: Located) -> None:
        """Take an object away with all that lies below it, and its files.

        Raises
        ------
        UsageError
            It is the root, it is not there, or a collection whose items lie elsewhere; or the catalogue does not
            allow it.
        """
        if located.path == ROOT:
            raise UsageError("the root of the catalogue cannot be removed")
        if key_of(self.stac(located.path)) != located.key:
            raise UsageError(f"there is no {located.key.kind} {located.key.id} at {located.path}")
        self.require("prune")
        self._remove(located)

    def _remove(self, located: Located) -> None:
        home = self._draft.home_of(located.path)
        below = {path: key for key, path in self._draft.below(located)}
        if has_made_folder(located, home):
            below |= {path: key for key, path in self._draft.orphans(folder_of(located.path), below)}
        self._check_none_left(below)
        self._draft.remove_member(home, located)
        for path in below:
            self._draft.unlink(path, below)
        for path, key in below.items():
            self._draft.forget(key, path)
        if has_made_folder(located, home):
            self._draft.edits.remove(folder_of(located.path))

    def _check_none_left(self, below: Mapping[str, ObjectKey | None]) -> None:
        """Refuse to remove a collection whose items lie elsewhere: they would be items of nothing."""
        for key in below.values():
            if key is not None and key.kind == "collection":
                left = [path for path in self._draft.items_of(key.id) if path not in below]
                if left:
                    raise UsageError(
                        f"{len(left)} items of the collection {key.id} lie elsewhere, such as {left[0]}: "
                        "remove or move these first"
                    )

    def move(self, located: Located, parent: str) -> None:
        """Put an item below another catalogue or collection.

        Its id and its collection stay; where it lies changes.

        Raises
        ------
        UsageError
            It is no item, it or the parent is not there, its new place is taken, or the catalogue does not allow it.
        """
        if located.key.kind != "item":
            raise UsageError("only items can be moved")
        stac = self.stac(located.path)
        if stac is None or key_of(stac) != located.key:
            raise UsageError(f"there is no item {located.key.id} at {located.path}")
        self._draft.members(parent)
        target = item_path(folder_of(parent), located.key.id)
        if target == located.path:
            return
        if self.stac(target) is not None:
            raise UsageError(f"{target} is there already")
        self.require("move")
        files = self._draft.files_beside(located)
        self._remove(located)
        self._put_item(with_moved_hrefs(stac, located.path, target, files), parent, files, is_move=True)

    def commit(self, message: str, *, when: datetime | None = None) -> Commit | None:
        """Make the changes so far visible, all at once.

        Returns
        -------
        Commit or None
            None: nothing has changed.

        Raises
        ------
        UsageError
            Something was refused before that the catalogue does not allow.
        """
        if self._refused is not None:
            raise self._refused
        tree = self._draft.save()
        if tree != self._base.commit.tree:
            moment = max(when or datetime.now(UTC), self._base.commit.when)
            commit = self._writing.save(tree, message, self._author, moment)
            self._repository.index.catch_up()
            self._base = self._repository.version(commit.oid)
            self._draft.go_on(self._base)
            return commit
        self._draft.go_on(self._base)
        return None

    def _home_of_new(self, key: ObjectKey, parent: str | None) -> str:
        """Return what a new item is to be a member of; its collection may have to be made yet."""
        if parent is not None:
            self._draft.members(parent)
            return parent
        if not key.collection:
            return ROOT
        there = self.find(ObjectKey("collection", "", key.collection))
        return there or child_path(folder_of(ROOT), key.collection, "collection")

    def _make_collection_of(self, key: ObjectKey) -> None:
        if key.collection and self.find(ObjectKey("collection", "", key.collection)) is None:
            self.put_collection(new_collection(key.collection))

    def _changed_files(
        self, located: Located, assets: Mapping[str, Entry] | None, *, is_new: bool
    ) -> dict[str, Entry | None]:
        """Return the files beside an item that are to be put, and (None) to be removed."""
        if assets is None:
            return {}
        draft, folder = self._draft, folder_of(located.path)
        there = {} if is_new else draft.files_beside(located)
        changed: dict[str, Entry | None] = {name: None for name in there if name not in assets and not is_hidden(name)}
        for name, entry in assets.items():
            beside = joined(folder, name)
            if f"{beside}/".startswith(f"{located.path}/"):
                raise ItemError(f"asset file {name}: this is where the item itself lies")
            if draft.edits.entry(beside) != entry:
                changed[name] = entry
        return changed

    def _put_files(self, path: str, files: Mapping[str, Entry | None]) -> None:
        for name, entry in files.items():
            beside = joined(folder_of(path), name)
            if entry is None:
                self._draft.edits.remove(beside)
            else:
                self._draft.edits.put(beside, entry)


def has_made_folder(located: Located, home: str) -> bool:
    """Tell whether a collection or catalogue has a folder that was made for it: then all in it goes with it."""
    key, folder = located.key, folder_of(located.path)
    return key.kind != "item" and folder == folder_of(child_path(folder_of(home), key.id, key.kind))


def _check_assets(assets: Mapping[str, Entry]) -> None:
    """Refuse paths that cannot lie beside an item together, before anything is changed."""
    folders = {name[: at.start()] for name in assets for at in re.finditer("/", name)}
    for name in assets:
        if any(part in {"", ".", ".."} or "\0" in part for part in name.split("/")):
            raise ItemError(f"asset file {name!r}: it is no path below the item")
        if is_hidden(name):
            raise ItemError(f"asset file {name}: names that begin with a dot are the repository's own")
        if name in folders:
            raise ItemError(f"asset file {name}: it is a folder of other files, too")


def new_collection(identifier: str) -> JsonObject:
    """Return a collection of which nothing is known but its id."""
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": identifier,
        "description": f"Items of the collection {identifier}.",
        "license": "other",
    }
