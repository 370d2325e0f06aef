"""A static catalogue in a folder, looked over before it is taken in: its nodes, its links, and what is wrong with both.

What is found is kept in a private file of SQLite's, so that memory stays small however large the tree is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stac_rucio_sync.catalog.asset_files import is_below
from stac_rucio_sync.catalog.index import ObjectKey, key_of
from stac_rucio_sync.catalog.paths import HIDDEN, folder_of, joined, path_of_href
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.model import JsonObject

ROOTS = ("catalog.json", "collection.json")
"""Names by which the root of a static catalogue is known in its folder."""
DOWNWARD = frozenset({"child", "item"})
EXAMPLES = 20
"""Nodes and links named in a report, of each kind; all are counted."""
_TABLES = """
CREATE TABLE node (
    path TEXT PRIMARY KEY, kind TEXT, collection TEXT, id TEXT, parent TEXT, is_page INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX node_id ON node (id);
CREATE TABLE link (target TEXT, home TEXT, PRIMARY KEY (target, home)) WITHOUT ROWID;
CREATE INDEX link_home ON link (home);
CREATE TABLE asset (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE reached (path TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Problems(NamedTuple):
    """Nodes or links of one kind that are not as they should be."""

    total: int
    examples: tuple[str, ...]


class Node(NamedTuple):
    """A file that belongs to a tree."""

    path: str
    """Below the folder of the tree."""
    key: ObjectKey | None
    """None: a page, which only divides a list of links."""
    parent: str | None
    """Where its own ``parent`` link leads."""
    homes: tuple[str, ...]
    """Who links down to it."""


class SourceTree:
    """A static catalogue on the local disk.

    Parameters
    ----------
    place
        The file of its root, and the tree is what its links reach; or a folder, and the tree is all of it. A folder
        without a ``catalog.json`` or ``collection.json`` of its own has the topmost ones below it as its roots.

    Raises
    ------
    ItemError
        There is no catalogue or collection.
    """

    def __init__(self, place: Path) -> None:
        is_whole = place.is_dir()
        self.folder = place if is_whole else place.parent
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(_TABLES)
        self.unreadable: list[str] = []
        """Files that should be nodes and are none, with the reason."""
        self.left = 0
        """Files of the folder that belong to no node."""
        self.base: str | None = None
        """Where the tree was published, by the ``self`` link of its root: links that begin so are its own."""
        self.roots = self._roots(place)
        self._table.execute("BEGIN")
        if is_whole:
            self._walk(self.folder, "")
        else:
            self._crawl(self.roots[0])
        self._reach()

    def close(self) -> None:
        """Forget all."""
        self._table.close()

    @property
    def root(self) -> str | None:
        """The path of its one root; None: it has several, and none above them."""
        return self.roots[0] if len(self.roots) == 1 and "/" not in self.roots[0] else None

    # ------------------------------------------------------------------------------------------------ what there is

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes in the order of paths."""
        rows = self._table.execute("SELECT path, kind, collection, id, parent, is_page FROM node ORDER BY path")
        for path, kind, collection, identifier, parent, is_page in rows:
            key = None if is_page else ObjectKey(kind, collection, identifier)
            homes = self._table.execute("SELECT home FROM link WHERE target = ? ORDER BY home", (path,))
            yield Node(path, key, parent, tuple(home for (home,) in homes))

    def has(self, path: str) -> bool:
        """Tell whether a node lies at a path."""
        return self._table.execute("SELECT 1 FROM node WHERE path = ?", (path,)).fetchone() is not None

    def assets(self) -> Iterator[str]:
        """Yield the paths of the files that assets name by relative hrefs, in the order of paths."""
        yield from (path for (path,) in self._table.execute("SELECT path FROM asset ORDER BY path"))

    def paths(self, key: ObjectKey) -> list[str]:
        """Return where the objects with a key lie."""
        rows = self._table.execute(
            "SELECT path FROM node WHERE id = ? AND collection = ? AND kind = ? AND NOT is_page ORDER BY path",
            (key.id, key.collection, key.kind),
        )
        return [path for (path,) in rows]

    def items_of(self, collection: str) -> Iterator[tuple[str, ObjectKey]]:
        """Yield the items of a collection with their paths."""
        rows = self._table.execute(
            "SELECT path, id FROM node WHERE collection = ? AND kind = 'item' ORDER BY path", (collection,)
        )
        yield from ((path, ObjectKey("item", collection, identifier)) for path, identifier in rows)

    def count(self) -> int:
        """Return how many nodes there are."""
        return int(self._table.execute("SELECT count(*) FROM node").fetchone()[0])

    def dangling(self) -> Problems:
        """Return the links down that lead to no node."""
        return self._problems(
            "SELECT home || ' -> ' || target FROM link WHERE NOT EXISTS (SELECT 1 FROM node WHERE path = target)"
        )

    def parentless(self) -> Problems:
        """Return the nodes whose link to their parent leads to no node."""
        return self._problems(
            "SELECT path || ' -> ' || parent FROM node n "
            "WHERE parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM node WHERE path = n.parent)"
        )

    def orphans(self) -> Problems:
        """Return the nodes that no link from a root leads down to."""
        return self._problems(
            "SELECT path FROM node WHERE NOT EXISTS (SELECT 1 FROM reached r WHERE r.path = node.path)"
        )

    def repeated(self) -> Problems:
        """Return the keys that several nodes have."""
        return self._problems(
            "SELECT min(kind || ' ' || id) FROM node WHERE NOT is_page "
            "GROUP BY kind, collection, id HAVING count(*) > 1"
        )

    # ------------------------------------------------------------------------------------------------ looking

    def _roots(self, place: Path) -> list[str]:
        if not place.is_dir():
            stac = _read(place)
            key = key_of(stac)
            if key is None or key.kind == "item":
                raise ItemError(f"{place} is neither a STAC catalogue nor a collection")
            self._take_base(stac)
            return [place.name]
        found = list(_topmost(place, ""))
        if not found:
            raise ItemError(f"{place} holds no STAC catalogue: neither {' nor '.join(ROOTS)} is in it or below it")
        if len(found) == 1:
            self.folder = self.folder / folder_of(found[0])
            found = [found[0].rpartition("/")[2]]
        if "/" not in found[0]:
            self._take_base(_read(self.folder / found[0]))
        return found

    def _take_base(self, root: JsonObject) -> None:
        for link in _links(root):
            if link.get("rel") == "self" and "://" in link["href"]:
                self.base = link["href"].rpartition("/")[0] + "/"

    def _walk(self, folder: Path, path: str) -> None:
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            here = joined(path, entry.name)
            if entry.name.startswith(HIDDEN):
                self.left += 1
            elif entry.is_dir(follow_symlinks=False):
                self._walk(Path(entry.path), here)
            elif not entry.name.endswith(".json") or self._leads_out(entry) or not self._take(here):
                self.left += 1

    def _leads_out(self, entry: os.DirEntry[str]) -> bool:
        return entry.is_symlink() and not is_below(Path(entry.path), [self.folder])

    def _crawl(self, root: str) -> None:
        waiting, met = [root], {root}
        while waiting:
            path = waiting.pop()
            file = self.folder / path
            if not file.is_file() or not is_below(file, [self.folder]) or not self._take(path, must=True):
                continue
            for (target,) in self._table.execute("SELECT target FROM link WHERE home = ?", (path,)).fetchall():
                if target not in met:
                    met.add(target)
                    waiting.append(target)

    def _take(self, path: str, *, must: bool = False) -> bool:
        """Look at one file; tell whether it is a node."""
        try:
            stac = _read(self.folder / path)
        except ItemError as error:
            self.unreadable.append(str(error))
            return False
        kind = _kind(stac)
        if kind is None:
            if must:
                self.unreadable.append(f"{self.folder / path} is no STAC object")
            return False
        key = key_of(stac)
        parent = None
        for link in _links(stac):
            target = self.path_of(link["href"], path)
            if link.get("rel") in DOWNWARD and target is not None and target != path:
                self._table.execute("INSERT OR IGNORE INTO link VALUES (?, ?)", (target, path))
            elif link.get("rel") == "parent":
                parent = target
        self._table.execute(
            "INSERT INTO node VALUES (?, ?, ?, ?, ?, ?)",
            (path, *(key or ObjectKey(kind, "", str(stac.get("id")))), parent, key is None),
        )
        self._take_assets(path, stac)
        return True

    def _take_assets(self, path: str, stac: JsonObject) -> None:
        assets = stac.get("assets")
        for asset in assets.values() if isinstance(assets, dict) else ():
            href = asset.get("href") if isinstance(asset, dict) else None
            named = self.path_of(href, path) if isinstance(href, str) and href else None
            # A tree may come from anybody: links of the file system that lead out of it are not followed.
            if named is not None and (file := self.folder / named).is_file() and is_below(file, [self.folder]):
                self._table.execute("INSERT OR IGNORE INTO asset VALUES (?)", (named,))

    def path_of(self, href: str, start: str) -> str | None:
        """Return the path below the folder that an href in the file at ``start`` names; None: it leads outside.

        What was published beside the tree and is not in the folder is outside.
        """
        if self.base is None or not href.startswith(self.base):
            return path_of_href(href, start)
        path = path_of_href(href[len(self.base) :], "")
        return path if path is not None and (self.folder / path).is_file() else None

    def _reach(self) -> None:
        self._table.executemany("INSERT INTO reached VALUES (?)", ((root,) for root in self.roots))
        self._table.execute(
            "WITH RECURSIVE down(path) AS (SELECT path FROM reached UNION "
            "SELECT link.target FROM link JOIN down ON link.home = down.path) "
            "INSERT OR IGNORE INTO reached SELECT path FROM down"
        )
        self._table.execute("DELETE FROM asset WHERE path IN (SELECT path FROM node)")
        self._table.execute("COMMIT")

    def _problems(self, query: str) -> Problems:
        count = self._table.execute(f"SELECT count(*) FROM ({query})").fetchone()[0]  # noqa: S608 - our own texts
        examples = self._table.execute(f"{query} ORDER BY 1 LIMIT {EXAMPLES}")
        return Problems(int(count), tuple(text for (text,) in examples))


def _topmost(folder: Path, path: str) -> Iterator[str]:
    """Yield the roots that have no other above them."""
    for name in ROOTS:
        if (folder / name).is_file() and _kind_of_file(folder / name) in {"catalog", "collection"}:
            yield joined(path, name)
            return
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(HIDDEN):
            yield from _topmost(Path(entry.path), joined(path, entry.name))


def is_whole_catalogue(folder: Path) -> bool:
    """Tell whether a folder holds a static catalogue: it has a root, or some have below it."""
    return next(_topmost(folder, ""), None) is not None


def _kind_of_file(file: Path) -> str | None:
    try:
        return _kind(_read(file))
    except ItemError:
        return None


def _kind(stac: JsonObject) -> str | None:
    """Return what a document is, pages among catalogues; None: it is no STAC object."""
    key = key_of(stac)
    if key is not None:
        return key.kind
    return "catalog" if stac.get("type") == "Catalog" and isinstance(stac.get("id"), str) else None


def _read(file: Path) -> JsonObject:
    try:
        said: Any = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ItemError(f"{file} cannot be read as JSON: {error}") from error
    return said if isinstance(said, dict) else {}


def _links(stac: JsonObject) -> Iterator[dict[str, Any]]:
    links = stac.get("links")
    if isinstance(links, list):
        yield from (link for link in links if isinstance(link, dict) and isinstance(link.get("href"), str))
