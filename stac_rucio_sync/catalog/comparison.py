"""Two versions compared in terms of STAC objects, at the cost of what differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from stac_rucio_sync.catalog.fields import FieldChange, field_changes
from stac_rucio_sync.catalog.index import PAGE, ObjectKey, key_of
from stac_rucio_sync.catalog.paths import folder_of, is_hidden, item_beside
from stac_rucio_sync.catalog.trees import ChangedPath, Readable, Tree, differences

FILE = "file"
"""The kind of what is neither a STAC object nor beside an item; its id is its path."""


class FileChange(NamedTuple):
    """What became of a file beside an item."""

    path: str
    """Relative to the item's folder."""
    fate: str
    """``added``, ``modified`` or ``removed``."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of one object between two versions."""

    key: ObjectKey
    fate: str
    """``added``, ``modified``, ``moved`` (its content may differ, too) or ``removed``."""
    path: str
    """Where it lies; of a removed one, where it lay."""
    old_path: str | None = None
    """Of a moved one: where it lay."""
    fields: tuple[FieldChange, ...] = ()
    """Of an object that both versions have."""
    files: tuple[FileChange, ...] = ()
    """Beside an item."""


def compared(objects: Readable, old: str | None, new: str) -> Iterator[Difference]:
    """Yield the objects that differ between two root folders, in the order of paths.

    Links that hold the catalogue together, and the pages that divide long lists of them, are no difference.

    Parameters
    ----------
    objects
        Where the folders lie.
    old, new
        Root folders; None: an empty one.
    """
    seen = _Seen(objects, new)
    for path in differences(objects, old, new):
        seen.take(path)
    yield from seen.differences()


class _Row(NamedTuple):
    """An object as both versions have it: each its path, and its name in the repository."""

    path: str
    key: ObjectKey
    old: tuple[str, str] | None
    new: tuple[str, str] | None


@dataclass(slots=True)
class _Seen:
    """The paths that differ, put in order by the objects that they belong to. Contents are not kept."""

    objects: Readable
    tree: str
    rows: list[_Row] = field(default_factory=list)
    removed: dict[ObjectKey, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    added: dict[ObjectKey, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    beside: dict[str, dict[str, tuple[str | None, str | None]]] = field(default_factory=lambda: defaultdict(dict))
    """By path of the item: path relative to its folder, and the file's old and new object."""

    def take(self, changed: ChangedPath) -> None:
        """Take a path that differs."""
        path = changed.path
        if is_hidden(path):
            return
        if (item := item_beside(path)) is not None:
            self.beside[item][path[len(folder_of(item)) + 1 :]] = changed.old, changed.new
            return
        old, new = self._stac(path, changed.old), self._stac(path, changed.new)
        if PAGE in old or PAGE in new:
            return
        was, is_ = key_of(old), key_of(new)
        if was == is_:
            self._row(changed, was or ObjectKey(FILE, "", path))
            return
        if was is not None and changed.old is not None:
            self.removed[was].append((path, changed.old))
        if is_ is not None and changed.new is not None:
            self.added[is_].append((path, changed.new))

    def differences(self) -> Iterator[Difference]:
        """Yield what became of each object, in the order of paths."""
        self._pair_moved()
        self._add_those_with_other_files()
        for row in sorted(self.rows, key=lambda row: row[:2]):
            difference = self._difference(row)
            if difference is not None:
                yield difference

    def _row(self, changed: ChangedPath, key: ObjectKey) -> None:
        old = (changed.path, changed.old) if changed.old is not None else None
        new = (changed.path, changed.new) if changed.new is not None else None
        self.rows.append(_Row(changed.path, key, old, new))

    def _pair_moved(self) -> None:
        """Join what went at one path and came at another."""
        for key in self.removed.keys() | self.added.keys():
            gone, come = self.removed.get(key, []), self.added.get(key, [])
            moved = min(len(gone), len(come))
            self.rows += [_Row(new[0], key, old, new) for old, new in zip(gone, come, strict=False)]
            self.rows += [_Row(old[0], key, old, None) for old in gone[moved:]]
            self.rows += [_Row(new[0], key, None, new) for new in come[moved:]]

    def _add_those_with_other_files(self) -> None:
        """Add the items that are as they were, with other files beside them; files beside no item stand alone."""
        known = {side[0] for row in self.rows for side in (row.old, row.new) if side is not None}
        tree = Tree(self.objects, self.tree)
        for path in self.beside.keys() - known:
            entry = tree.entry(path)
            key = key_of(self._stac(path, entry.oid)) if entry is not None and not entry.is_folder else None
            if key is not None and entry is not None:
                self.rows.append(_Row(path, key, (path, entry.oid), (path, entry.oid)))
                continue
            for name, (old, new) in self.beside[path].items():
                alone = f"{folder_of(path)}/{name}"
                self._row(ChangedPath(alone, old, new), ObjectKey(FILE, "", alone))

    def _difference(self, row: _Row) -> Difference | None:
        files = tuple(self._files(row))
        if row.old is None or row.new is None:
            return Difference(row.key, "added" if row.old is None else "removed", row.path, files=files)
        if row.key.kind == FILE:
            return Difference(row.key, "modified", row.path)
        fields = tuple(field_changes(self._stac(*row.old), self._stac(*row.new)))
        if row.old[0] != row.new[0]:
            return Difference(row.key, "moved", row.path, row.old[0], fields, files)
        return Difference(row.key, "modified", row.path, None, fields, files) if fields or files else None

    def _files(self, row: _Row) -> Iterator[FileChange]:
        was = {name: old for name, (old, _) in self.beside.get(row.old[0], {}).items()} if row.old else {}
        is_ = {name: new for name, (_, new) in self.beside.get(row.new[0], {}).items()} if row.new else {}
        for name in sorted(was.keys() | is_.keys()):
            old, new = was.get(name), is_.get(name)
            if old != new:
                yield FileChange(name, "added" if old is None else "removed" if new is None else "modified")

    def _stac(self, path: str, oid: str | None) -> dict[str, Any]:
        if oid is None or not path.endswith(".json"):
            return {}
        try:
            said = orjson.loads(self.objects.file(oid))
        except orjson.JSONDecodeError:
            return {}
        return said if isinstance(said, dict) else {}
