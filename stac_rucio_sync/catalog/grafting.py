"""A whole static catalogue put below a parent, or in place of an empty root, with the layout that it has.

Its documents keep their bytes but for links that would lead elsewhere. What its links get wrong (nodes that nothing
leads to, links that lead to nothing) comes along and is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from stac_rucio_sync.catalog.asset_files import TAKES_IN, AssetsMode
from stac_rucio_sync.catalog.draft import Draft
from stac_rucio_sync.catalog.fitting import Fitting
from stac_rucio_sync.catalog.folders import built
from stac_rucio_sync.catalog.index import ObjectKey, key_of, same
from stac_rucio_sync.catalog.objects import Entry, Folder, Writing
from stac_rucio_sync.catalog.pages import STAC_VERSION, Member, Pages, json_file, record_path
from stac_rucio_sync.catalog.paths import child_path, folder_of, is_hidden, joined, relative_href
from stac_rucio_sync.catalog.repository import ROOT
from stac_rucio_sync.catalog.source_tree import Problems, SourceTree
from stac_rucio_sync.catalog.transaction import Transaction
from stac_rucio_sync.catalog.trees import Tree, differences, files_below
from stac_rucio_sync.catalog.uploaded_assets import UploadOf
from stac_rucio_sync.catalog.weaving import title_of
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.model import JsonObject


@dataclass(frozen=True, slots=True)
class Grafted:
    """What became of a tree."""

    path: str
    """Of its root in the catalogue."""
    key: ObjectKey
    """Of its root."""
    fate: str
    """``added``, ``modified`` or ``unchanged``."""
    nodes: int
    dangling: Problems
    """Links to children and items that lead to nothing."""
    parentless: Problems
    """Links to parents that lead to nothing."""
    orphans: Problems
    repeated: Problems
    """Keys that several of its nodes have: such objects are found by their paths only."""
    unreadable: tuple[str, ...]
    left: int
    """Files of its folder that are neither nodes nor taken in as assets."""

    def remarks(self) -> tuple[str, ...]:
        """Return what is wrong with it, in sentences."""
        said = [
            f"{problems.total} {what}, such as {problems.examples[0]}"
            for problems, what in (
                (self.dangling, "links to children and items lead to nothing"),
                (self.parentless, "links to a parent lead to nothing"),
                (self.orphans, "nodes are orphans, to which no link leads"),
                (self.repeated, "names are those of several nodes, which are found by their paths only"),
            )
            if problems.total
        ]
        if self.unreadable:
            said.append(f"{len(self.unreadable)} documents were not taken in, such as {self.unreadable[0]}")
        if self.left:
            said.append(f"{self.left} files are no part of the catalogue and were not taken in")
        return tuple(said)


def graft(
    changes: Transaction, place: Path, *, parent: str | None = None, at: str | None = None,
    assets: AssetsMode = "link", in_lake: UploadOf | None = None,
) -> Grafted:  # fmt: skip
    """Put a static catalogue into the catalogue, or in place of what it was there before.

    Objects that were put below it since stay; where the tree no longer has their parent, nothing is changed.

    Parameters
    ----------
    place
        The file of its root, then it is what links reach from there; or its folder, then it is all of that. A folder
        of several trees without a root above them gets one.
    parent
        Path of the catalogue or collection that its root goes below; None: the root of the catalogue, in place of
        which it is put where the catalogue holds nothing yet.
    at
        Path of the root that an earlier version of the tree has in the catalogue, where that is known.
    assets
        What becomes of the files that its assets name by relative hrefs.
    in_lake
        Tells what became of the files, where they were uploaded.

    Raises
    ------
    ItemError
        It cannot be put there; the text says why.
    UsageError
        The catalogue does not allow it.
    """
    tree = SourceTree(place)
    try:
        grafted = _Graft(changes, tree, parent, at, assets, in_lake).run()
        if grafted.fate != "unchanged":
            changes.require("ingest" if grafted.fate == "added" else "update")
    except BaseException:
        tree.close()
        raise
    return grafted


class _Graft:
    """One tree on its way."""

    def __init__(
        self, changes: Transaction, tree: SourceTree, parent: str | None, at: str | None, assets: AssetsMode,
        in_lake: UploadOf | None,
    ) -> None:  # fmt: skip
        self._draft: Draft = changes.draft
        self._writing: Writing = changes.writing
        self._tree = tree
        self._assets = assets
        self._in_lake = in_lake
        self._home = self._draft.home_of(at) if at is not None and at != ROOT else parent or ROOT
        self._draft.members(self._home)  # it is there
        if at is not None and at.rpartition("/")[2] != (tree.root or ROOT):
            raise ItemError(f"its root lies at {at} and has another name now, {tree.root or ROOT}: prune it first")
        self._may_be_root = parent is None and tree.root in {None, ROOT}
        is_empty = self._may_be_root and self._is_empty()
        takes_root = is_empty if at is None else at == ROOT
        self._root = self._read(tree.root) if tree.root is not None else self._made_root(takes_root=takes_root)
        key = key_of(self._root)
        if key is None:
            raise ItemError(f"{tree.folder}: its root is a page of another catalogue")
        self._key = key
        takes_root = takes_root and key.kind == "catalog"
        self._path = at or (ROOT if takes_root else self._place(tree.root or ROOT))
        self._is_new = is_empty if self._path == ROOT else self._draft.stac(self._path) is None

    def run(self) -> Grafted:
        """Take the tree in."""
        folder = folder_of(self._path)
        before = self._entries(folder)
        old_root = self._draft.stac(self._path)
        kept = {} if self._is_new else self._put_since(folder)
        after = self._built(folder)
        self._put(folder, before, after)
        for path, entry in kept.items():
            if self._draft.edits.entry(path) is not None:
                raise ItemError(f"{path} was put below the tree before, and now comes with it: prune it first")
            self._draft.edits.put(path, entry)
        if self._path != ROOT:
            member = Member("child", self._key.id, self._path, title_of(self._root))
            self._draft.put_member(self._home, member)
            self._draft.relink(self._path, self._home)
        fate = "added" if self._is_new else "unchanged"
        if fate == "unchanged" and self._differs(before, after, set(kept), old_root):
            fate = "modified"
        grafted = self._report(fate)
        self._draft.grafted(_Unindexed(self._tree, folder))
        return grafted

    def _report(self, fate: str) -> Grafted:
        tree = self._tree
        taken = sum(1 for _ in tree.assets()) if self._assets in TAKES_IN else 0
        return Grafted(
            self._path, self._key, fate, tree.count(), tree.dangling(), tree.parentless(), tree.orphans(),
            tree.repeated(), tuple(tree.unreadable), max(0, tree.left - taken),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ the place

    def _place(self, name: str) -> str:
        """Return where the root is to lie."""
        folder = folder_of(child_path(folder_of(self._home), self._key.id, self._key.kind))
        path, old = joined(folder, name), self._draft.find(self._key)
        if old == ROOT and self._may_be_root and self._tree.root == ROOT:
            return ROOT
        if old is not None and old != path:
            raise ItemError(
                f"the {self._key.kind} {self._key.id} is in the catalogue already, at {old}: prune it first, or name "
                "the parent that it lies below"
            )
        if old is None and not self._draft.is_free(folder):
            raise ItemError(f"{self._key.id} cannot be put at {folder}: something else lies there")
        return path

    def _is_empty(self) -> bool:
        """Tell whether the catalogue is nothing but its root."""
        has_members = next(self._draft.members(ROOT).members(), None) is not None
        return not has_members and {name for name in self._draft.edits.names("") if not is_hidden(name)} == {ROOT}

    def _read(self, path: str) -> JsonObject:
        stac: JsonObject = orjson.loads((self._tree.folder / path).read_bytes())
        return stac

    def _made_root(self, *, takes_root: bool) -> JsonObject:
        """Return a catalogue of the topmost trees of a folder that has none above them."""
        name = self._tree.folder.resolve().name
        root: JsonObject = {
            "type": "Catalog", "stac_version": STAC_VERSION, "id": name, "description": f"The catalogues of {name}."
        }  # fmt: skip
        if takes_root:
            root = {key: value for key, value in (self._draft.stac(ROOT) or root).items() if key != "links"}
        links: list[JsonObject] = []
        for path in self._tree.roots:
            link = {"rel": "child", "href": relative_href(path, ROOT), "type": "application/json"}
            title = title_of(self._read(path))
            links.append(link | {"title": title} if title else link)
        if takes_root:
            links.insert(0, {"rel": "root", "href": f"./{ROOT}", "type": "application/json"})
        return root | {"links": links}

    # ------------------------------------------------------------------------------------------------ the files

    def _built(self, folder: str) -> Folder:
        """Put all files but the root below a parent, which waits for its links; return the entries of the folder."""
        tree = self._tree
        fitting = Fitting(
            folder=folder,
            source=tree.folder,
            base=tree.base,
            is_root=self._path == ROOT and tree.root is not None,
            below_made=frozenset() if tree.root is not None else frozenset(tree.roots),
            links_assets=self._assets not in TAKES_IN,
            in_lake=self._in_lake,
        )
        made: dict[str, bytes] = {}
        if self._path != ROOT:
            name = tree.root or ROOT
            content = json_file(self._root) if tree.root is None else (tree.folder / name).read_bytes()
            self._root = orjson.loads(fitting.fitted(name, content))
        elif tree.root is None:
            made[ROOT] = json_file(self._root)
        left_out = tree.root if self._path != ROOT else None
        return built(tree, fitting, self._writing, self._assets, made=made, left_out=left_out)

    def _put(self, folder: str, before: Folder, after: Folder) -> None:
        edits = self._draft.edits
        if folder:
            edits.remove(folder)
            self._draft.write(self._path, self._root, self._key)
        for name in before if not folder else ():
            if name not in after and not is_hidden(name):
                edits.remove(name)
        for name, entry in after.items():
            edits.put(joined(folder, name), entry)

    def _entries(self, folder: str) -> Folder:
        entry = self._draft.edits.entry(folder) if folder else Entry(self._draft.base_tree, is_folder=True)
        return self._writing.folder(entry.oid) if entry is not None and entry.is_folder else {}

    def _put_since(self, folder: str) -> dict[str, Entry]:
        """Return what was put below the tree after it came, by path, and have its homes link to it again.

        Raises
        ------
        ItemError
            The tree no longer has the home of some of it.
        """
        edits = self._draft.edits
        kept: dict[str, Entry] = {}
        entry = edits.entry(folder) if folder else Entry(self._draft.base_tree, is_folder=True)
        records = [] if entry is None else list(_records(Tree(self._writing, entry.oid)))
        for home in (joined(folder, path) for path in records):
            if any(home.startswith(f"{path}/") for path in kept):
                continue
            pages = self._draft.members(home)
            members = list(pages.members())
            if members and home != self._path and not self._tree.has(home[len(folder) :].lstrip("/")):
                raise ItemError(
                    f"the tree no longer has {home}, below which {len(members)} objects were put, such as "
                    f"{members[0].id}: move or prune these first"
                )
            paths = [folder_of(member.path) for member in members]
            for path in [*paths, *_files_of(pages)]:
                below = edits.entry(path)
                if below is not None:
                    kept[path] = below
            pages.home.is_changed = bool(members)
        return kept

    def _differs(self, before: Folder, after: Folder, kept: set[str], old_root: JsonObject | None) -> bool:
        """Tell whether the tree brought anything else than it did before."""
        name = self._path.rpartition("/")[2]
        folder = folder_of(self._path)
        if old_root is None or not same(old_root, self._root):
            return True
        for changed in _changed(self._writing, before, after):
            path = joined(folder, changed)
            if changed != name and not is_hidden(path) and not any(path.startswith(f"{one}/") for one in kept):
                return True
        return False


class _Unindexed:
    """The objects of a tree by where they lie in the catalogue, before the commit."""

    def __init__(self, tree: SourceTree, folder: str) -> None:
        self._tree = tree
        self._folder = folder

    def paths(self, key: ObjectKey) -> list[str]:
        """Return where the objects with a key lie."""
        return [joined(self._folder, path) for path in self._tree.paths(key)]

    def items_of(self, collection: str) -> Iterator[tuple[str, ObjectKey]]:
        """Yield the items of a collection with their paths."""
        for path, key in self._tree.items_of(collection):
            yield joined(self._folder, path), key

    def close(self) -> None:
        """Forget them."""
        self._tree.close()


def _changed(objects: Writing, before: Folder, after: Folder) -> Iterator[str]:
    """Yield the paths of the files that differ between two folders."""
    for name in before.keys() | after.keys():
        was, is_ = before.get(name), after.get(name)
        if was is not None and is_ is not None and was.is_folder and is_.is_folder:
            yield from (path.path for path in differences(objects, was.oid, is_.oid, name))
        elif was != is_:
            for entry in (was, is_):
                yield from (path for path, _ in files_below(objects, entry, name)) if entry is not None else ()


def _records(tree: Tree) -> Iterator[str]:
    """Yield the paths of the homes that have members of their own, the topmost first."""
    found = []
    for path, _ in tree.files():
        folder, name = folder_of(path), path.rpartition("/")[2]
        if name.startswith(".") and name.endswith(".json") and tree.entry(joined(folder, name[1:])) is not None:
            found.append(joined(folder, name[1:]))
    yield from sorted(found, key=lambda path: path.count("/"))


def _files_of(pages: Pages) -> Iterator[str]:
    """Yield the paths of what is kept of a home beside its members: its record, and the folder of its pages."""
    yield record_path(pages.home.path)
    for digit in pages.home.pages or ():
        yield folder_of(pages.home.page_path(digit))
