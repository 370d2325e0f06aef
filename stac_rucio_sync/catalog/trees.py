"""Versions of a tree of files: reading paths, changing paths at the cost of what is touched, comparing two versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from stac_rucio_sync.catalog.objects import Entry, Folder, MissingObjectError, Writing


class Readable(Protocol):
    """Where files and folders are read from: a repository, or objects in the making."""

    def file(self, oid: str) -> bytes:
        """Return a file's content."""

    def folder(self, oid: str) -> Folder:
        """Return a folder."""


class ChangedPath(NamedTuple):
    """A file that two versions hold differently."""

    path: str
    old: str | None
    """Its object in the older version; None: it is new."""
    new: str | None
    """Its object in the newer version; None: it is gone."""


class Tree:
    """One version, read only.

    Parameters
    ----------
    objects
        Where it lies.
    root
        Its root folder.
    """

    def __init__(self, objects: Readable, root: str) -> None:
        self._objects = objects
        self.root = root

    def entry(self, path: str) -> Entry | None:
        """Return what lies at a path (``a/b/c``; the empty path is the root); None: nothing."""
        entry: Entry | None = Entry(self.root, is_folder=True)
        for name in path.split("/") if path else ():
            if entry is None or not entry.is_folder:
                return None
            entry = self._objects.folder(entry.oid).get(name)
        return entry

    def read(self, path: str) -> bytes:
        """Return the content of the file at a path.

        Raises
        ------
        MissingObjectError
            There is no file.
        """
        entry = self.entry(path)
        if entry is None or entry.is_folder:
            raise MissingObjectError(f"there is no file {path}")
        return self._objects.file(entry.oid)

    def folder(self, path: str) -> Folder:
        """Return the entries of the folder at a path; none where there is no folder."""
        entry = self.entry(path)
        return self._objects.folder(entry.oid) if entry is not None and entry.is_folder else {}

    def files(self, path: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield the path and entry of each file below a folder, in the order of names."""
        entry = self.entry(path)
        if entry is not None:
            yield from files_below(self._objects, entry, path)


def files_below(objects: Readable, entry: Entry, path: str) -> Iterator[tuple[str, Entry]]:
    """Yield the path and entry of a file, or of each file below a folder, in the order of names."""
    if not entry.is_folder:
        yield path, entry
        return
    for name, below in sorted(objects.folder(entry.oid).items()):
        yield from files_below(objects, below, f"{path}/{name}" if path else name)


def differences(objects: Readable, old: str | None, new: str | None, path: str = "") -> Iterator[ChangedPath]:
    """Yield the files that differ between two root folders; equal folders are not opened.

    Parameters
    ----------
    old, new
        Folders; None: an empty one.
    """
    before: Folder = objects.folder(old) if old else {}
    after: Folder = objects.folder(new) if new else {}
    for name in sorted(before.keys() | after.keys()):
        was, is_ = before.get(name), after.get(name)
        if was == is_:
            continue
        here = f"{path}/{name}" if path else name
        if was is not None and is_ is not None and was.is_folder and is_.is_folder:
            yield from differences(objects, was.oid, is_.oid, here)
        elif was is not None and is_ is not None and not was.is_folder and not is_.is_folder:
            yield ChangedPath(here, was.oid, is_.oid)
        else:
            for gone, entry in files_below(objects, was, here) if was is not None else ():
                yield ChangedPath(gone, entry.oid, None)
            for added, entry in files_below(objects, is_, here) if is_ is not None else ():
                yield ChangedPath(added, None, entry.oid)


@dataclass(slots=True)
class _Open:
    """A folder that is being changed: its entries, and those of its folders that are being changed."""

    entries: dict[str, Entry]
    below: dict[str, _Open] = field(default_factory=dict)


class TreeEdits:
    """A version in the making: paths are written and removed, then the folders that were touched are saved once.

    Parameters
    ----------
    writing
        Where the objects go.
    base
        The root folder that this begins with; None: an empty one.
    """

    def __init__(self, writing: Writing, base: str | None) -> None:
        self._writing = writing
        self._root = _Open(dict(writing.folder(base)) if base else {})

    def entry(self, path: str) -> Entry | None:
        """Return the file at a path, or the folder as it was before it was touched; None: nothing."""
        *folders, name = path.split("/")
        at = self._root
        for number, folder in enumerate(folders):
            if folder in at.below:
                at = at.below[folder]
                continue
            found = at.entries.get(folder)
            if found is None or not found.is_folder:
                return None
            return Tree(self._writing, found.oid).entry("/".join([*folders[number + 1 :], name]))
        return at.entries.get(name)

    def read(self, path: str) -> bytes | None:
        """Return the content of the file at a path as it stands now; None: there is none."""
        entry = self.entry(path)
        return None if entry is None or entry.is_folder else self._writing.file(entry.oid)

    def names(self, path: str) -> frozenset[str]:
        """Return the names in a folder as it stands now."""
        at = self._root
        for number, folder in enumerate(parts := path.split("/") if path else []):
            if folder not in at.below:
                found = at.entries.get(folder)
                if found is None or not found.is_folder:
                    return frozenset()
                return frozenset(Tree(self._writing, found.oid).folder("/".join(parts[number + 1 :])))
            at = at.below[folder]
        return frozenset(at.entries.keys() | {name for name, below in at.below.items() if _holds(below)})

    def write(self, path: str, content: bytes) -> None:
        """Put a file at a path; folders are made."""
        self.put(path, self._writing.put_file(content))

    def put(self, path: str, entry: Entry) -> None:
        """Put an object, file or folder, at a path; folders are made.

        Raises
        ------
        ValueError
            The path leads through a file, or it is no path.
        """
        *folders, name = _parts(path)
        at = self._open(folders)
        at.below.pop(name, None)
        at.entries[name] = entry

    def remove(self, path: str) -> None:
        """Take away the file or the whole folder at a path; folders that this leaves empty go, too."""
        *folders, name = _parts(path)
        if self.entry(path) is None and not self.names(path):
            return
        at = self._open(folders)
        at.below.pop(name, None)
        at.entries.pop(name, None)

    def settle(self, path: str) -> None:
        """Put a folder that was touched and is likely not to be touched again: it takes no more memory."""
        *folders, name = _parts(path)
        at = self._root
        for folder in folders:
            if folder not in at.below:
                return
            at = at.below[folder]
        below = at.below.pop(name, None)
        if below is not None:
            self._close(at, name, below)

    def save(self) -> str:
        """Put the folders that were touched, and return the new root folder."""
        return self._saved(self._root).oid

    def _open(self, folders: list[str]) -> _Open:
        at = self._root
        for folder in folders:
            if folder not in at.below:
                found = at.entries.get(folder)
                if found is not None and not found.is_folder:
                    raise ValueError(f"{folder} in {'/'.join(folders)} is a file")
                at.below[folder] = _Open(dict(self._writing.folder(found.oid)) if found is not None else {})
            at = at.below[folder]
        return at

    def _saved(self, at: _Open) -> Entry:
        for name, below in at.below.items():
            self._close(at, name, below)
        at.below.clear()
        return self._writing.put_folder(at.entries)

    def _close(self, at: _Open, name: str, below: _Open) -> None:
        if _holds(below):
            at.entries[name] = self._saved(below)
        else:
            at.entries.pop(name, None)


def _holds(at: _Open) -> bool:
    """Tell whether any file is left in an open folder."""
    untouched = any(name not in at.below for name in at.entries)
    return untouched or any(_holds(below) for below in at.below.values())


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise ValueError(f"{path!r} is no path inside a repository")
    return parts
