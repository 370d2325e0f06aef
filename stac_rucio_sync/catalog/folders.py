"""The folders of a whole tree, put one after the other from below: memory holds what lies on one path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge

import orjson

from stac_rucio_sync.catalog.asset_files import TAKES_IN, AssetsMode, put
from stac_rucio_sync.catalog.fitting import Fitting
from stac_rucio_sync.catalog.objects import Entry, Folder, Writing
from stac_rucio_sync.catalog.pages import HOMES
from stac_rucio_sync.catalog.paths import relative_href
from stac_rucio_sync.catalog.source_tree import Node, SourceTree


@dataclass(slots=True)
class _Open:
    name: str
    entries: dict[str, Entry] = field(default_factory=dict)
    homes: dict[str, list[str]] = field(default_factory=dict)
    """Of files here: who links to them, as hrefs, where their ``parent`` links do not say so."""


class Folders:
    """Folders in the making, filled in the order of paths.

    Parameters
    ----------
    writing
        Where they are put.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._open = [_Open("")]

    def add(self, path: str, entry: Entry, homes: list[str] | None = None) -> None:
        """Take a file; all files below a folder come one after the other.

        Parameters
        ----------
        homes
            The hrefs of those that link to it; None: its ``parent`` link says that.
        """
        *folders, name = path.split("/")
        depth = 0
        while depth < min(len(folders), len(self._open) - 1) and self._open[depth + 1].name == folders[depth]:
            depth += 1
        self._close(depth)
        self._open += [_Open(folder) for folder in folders[depth:]]
        self._open[-1].entries[name] = entry
        if homes is not None:
            self._open[-1].homes[name] = homes

    def finish(self) -> Folder:
        """Return the entries of the folder of all, which itself is not put."""
        self._close(0)
        return self._entries(self._open[0])

    def _close(self, depth: int) -> None:
        while len(self._open) > depth + 1:
            done = self._open.pop()
            self._open[-1].entries[done.name] = self._writing.put_folder(self._entries(done))

    def _entries(self, done: _Open) -> Folder:
        if done.homes:
            said = orjson.dumps(done.homes, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS)
            done.entries[HOMES] = self._writing.put_file(said)
        return done.entries


def built(
    tree: SourceTree, fitting: Fitting, writing: Writing, assets: AssetsMode, *, made: Mapping[str, bytes],
    left_out: str | None,
) -> Folder:  # fmt: skip
    """Return the entries of the folder of a whole tree as it is to lie in the catalogue.

    Parameters
    ----------
    tree, fitting
        Its nodes, and what must change in them.
    writing
        Where files and folders are put.
    assets
        What becomes of the files that its assets name by relative hrefs.
    made
        Documents that it is given beside its own, by path.
    left_out
        The path of a node that is put otherwise.
    """
    folders = Folders(writing)
    files: Iterator[tuple[str, Node | None]] = ((path, None) for path in tree.assets() if assets in TAKES_IN)
    nodes: Iterator[tuple[str, Node | None]] = ((node.path, node) for node in tree.nodes() if node.path != left_out)
    own: Iterator[tuple[str, Node | None]] = ((path, None) for path in sorted(made))
    roots = set(tree.roots)
    for path, node in merge(nodes, files, own, key=lambda one: one[0]):
        if node is not None:
            entry = writing.put_file(fitting.fitted(path, (tree.folder / path).read_bytes()))
            said = path in roots or node.homes == (node.parent,)
            folders.add(path, entry, None if said else [relative_href(home, path) for home in node.homes])
        elif path in made:
            folders.add(path, writing.put_file(made[path]))
        else:
            folders.add(path, put(writing, tree.folder / path, assets))
    return folders.finish()
