"""The git backend: a bare repository, written without a work tree; any git client can clone it.

Large files are Git LFS pointers, and their bytes lie in the repository's ``lfs/objects``, where a clone finds them
without any configuration.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pygit2

from stac_rucio_sync.catalog.at_hand import MOST, AtHand
from stac_rucio_sync.catalog.durable import sync, sync_all_below
from stac_rucio_sync.catalog.objects import Commit, Entry, Folder, HeadMovedError, MissingObjectError
from stac_rucio_sync.catalog.packs import Pending, pack_if_many
from stac_rucio_sync.catalog.pointers import ATTRIBUTES, Pointer, attributes, is_named, large_in, pointer_in
from stac_rucio_sync.errors import FatalError, UsageError

LOG = logging.getLogger(__name__)

BRANCH = "refs/heads/main"
_FILE, _FOLDER = b"100644", b"40000"
_ODB_TYPES = {"commit": pygit2.enums.ObjectType.COMMIT, "tree": pygit2.enums.ObjectType.TREE,
              "blob": pygit2.enums.ObjectType.BLOB}  # fmt: skip
_CHUNK = 1 << 20
_EMAIL = "catalog@stac-rucio-sync.invalid"


class GitObjects:
    """The versions in a bare git repository.

    Parameters
    ----------
    place
        Its folder.

    Raises
    ------
    FatalError
        There is no bare git repository.
    """

    def __init__(self, place: Path) -> None:
        try:
            self._repository = pygit2.Repository(str(place), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        except pygit2.GitError as error:
            raise FatalError(f"{place} is no git repository: {error}") from error
        if not self._repository.is_bare:
            raise UsageError(f"{place} is a git work tree; the catalogue is kept in a bare repository")
        self._place = place
        self._can_pack = True
        self.at_hand = AtHand()
        self.warnings: list[str] = []

    @classmethod
    def create(cls, place: Path) -> GitObjects:
        """Make an empty repository at a place where there is nothing yet, or an empty folder.

        Raises
        ------
        UsageError
            There is something.
        FatalError
            The disk takes no repository.
        """
        if place.exists() and any(place.iterdir()):
            raise UsageError(f"{place} is not empty: a new repository needs a place of its own")
        try:
            repository = pygit2.init_repository(str(place), bare=True, initial_head=BRANCH)
            # Whoever reads a version must never be kept waiting for, or find objects gone by, somebody else's clean-up.
            repository.config["gc.auto"] = 0
            repository.config["receive.denyNonFastForwards"] = True
            repository.config["receive.denyDeletes"] = True
        except pygit2.GitError as error:
            raise FatalError(f"no repository can be made in {place}: {error}") from error
        return cls(place)

    @property
    def place(self) -> Path:
        """The folder of the repository."""
        return self._place

    def head(self) -> str | None:
        """Return the latest commit."""
        reference = self._repository.references.get(BRANCH)
        return None if reference is None else str(reference.target)

    def commit(self, oid: str) -> Commit:
        """Return a commit."""
        found: object = self._repository.get(oid) if re.fullmatch("[0-9a-f]{40}", oid) else None
        if not isinstance(found, pygit2.Commit):
            raise MissingObjectError(f"there is no commit {oid} in {self._place}")
        return _commit(found)

    def commits(self, start: str) -> Iterator[Commit]:
        """Yield a commit and all before it."""
        oid: str | None = start
        while oid is not None:
            found = self.commit(oid)
            yield found
            oid = found.parent

    def named(self, prefix: str) -> str:
        """Return the one commit whose name begins so."""
        try:
            found: object = self._repository.get(prefix) if re.fullmatch("[0-9a-f]{4,40}", prefix) else None
        except (ValueError, pygit2.GitError) as error:
            raise MissingObjectError(f"{prefix} names more than one commit, or none: {error}") from error
        if not isinstance(found, pygit2.Commit):
            raise MissingObjectError(f"there is no commit {prefix} in {self._place}")
        return str(found.id)

    def file(self, oid: str) -> bytes:
        """Return the content of a file."""
        return self._read("blob", oid)

    def folder(self, oid: str) -> Folder:
        """Return a folder."""
        known = self.at_hand.get(oid)
        if known is None:
            known = _entries(self._read("tree", oid))
            self.at_hand.put({oid: known})
        return known

    def large(self, oid: str) -> Path | None:
        """Return where the bytes behind a pointer lie."""
        pointer = pointer_in(self.file(oid))
        path = None if pointer is None else self.lfs_object(pointer.sha256)
        return path if path is not None and path.is_file() else None

    def lfs_object(self, sha256: str) -> Path:
        """Return where Git LFS keeps the bytes with a digest."""
        return self._place / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256

    @contextmanager
    def writing(self) -> Iterator[GitWriting]:
        """Begin to write."""
        writing = GitWriting(self, self._repository)
        try:
            yield writing
        finally:
            writing.discard()
        self._pack()

    def _pack(self) -> None:
        """Put objects together where they are many; what was committed stands, whatever comes of it."""
        if not self._can_pack:
            return
        try:
            pack_if_many(self._place)
        except (FatalError, OSError) as error:
            self._can_pack = False  # the next who opens the repository tries again
            self.warnings.append(f"the commits stand, but their objects stay as many files as they are: {error}")
            LOG.warning("%s", self.warnings[-1])

    def close(self) -> None:
        """Give back what is held open."""
        self._repository.free()

    def _read(self, kind: str, oid: str) -> bytes:
        try:
            found, content = self._repository.odb.read(oid)
        except (KeyError, ValueError) as error:
            raise MissingObjectError(f"{self._place} holds no {kind} {oid}") from error
        if found != _ODB_TYPES[kind]:
            raise MissingObjectError(f"{oid} in {self._place} is no {kind}")
        return content


class GitWriting:
    """Objects in the making in a git repository."""

    def __init__(self, objects: GitObjects, repository: pygit2.Repository) -> None:
        self._objects = objects
        self._references = repository.references
        self._head = objects.head()
        self._pending = Pending(objects.place)
        self._folders: dict[str, Folder] = {}
        self._pointers: set[str] = set()
        """Objects of pointers that were put here."""
        self._large: list[Path] = []

    def put_file(self, content: bytes) -> Entry:
        """Take a file's content."""
        return Entry(self._pending.add("blob", content), is_folder=False)

    def put_large(self, path: Path) -> Entry:
        """Take a large file: its bytes into ``lfs/objects``, a pointer into the tree."""
        folder = self._objects.place / "lfs" / "objects"
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="incoming-")
        copy = Path(name)
        try:
            with path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            final = self._objects.lfs_object(digest.hexdigest())
            if not final.exists():
                final.parent.mkdir(parents=True, exist_ok=True)
                copy.chmod(0o444)
                copy.rename(final)
                self._large.append(final)
            return self.put_pointer(Pointer(digest.hexdigest(), final.stat().st_size))
        finally:
            copy.unlink(missing_ok=True)

    def put_pointer(self, pointer: Pointer) -> Entry:
        """Take a file whose bytes lie elsewhere."""
        entry = self.put_file(pointer.text())
        self._pointers.add(entry.oid)
        return entry

    def put_folder(self, entries: Folder) -> Entry:
        """Take a folder; large files in it are named in a hidden file beside, as git wants it."""
        entries = self._with_attributes(entries)
        oid = self._pending.add("tree", _tree(entries))
        if len(self._folders) < MOST:
            self._folders[oid] = dict(entries)
        return Entry(oid, is_folder=True)

    def _with_attributes(self, entries: Folder) -> Folder:
        there = entries.get(ATTRIBUTES)
        before = self.file(there.oid) if there is not None and not there.is_folder else b""
        known = large_in(before)
        if not known and self._pointers.isdisjoint(entry.oid for entry in entries.values()):
            return entries
        large = [
            name
            for name, entry in entries.items()
            if entry.oid in self._pointers or (is_named(name, known) and pointer_in(self.file(entry.oid)) is not None)
        ]
        others = b"".join(line for line in before.splitlines(keepends=True) if not large_in(line))
        kept = {name: entry for name, entry in entries.items() if name != ATTRIBUTES}
        text = others + attributes(large)
        return kept | ({ATTRIBUTES: self.put_file(text)} if text else {})

    def file(self, oid: str) -> bytes:
        """Return a file's content."""
        pending = self._pending.get("blob", oid)
        return self._objects.file(oid) if pending is None else pending

    def folder(self, oid: str) -> Folder:
        """Return a folder."""
        if oid in self._folders:
            return self._folders[oid]
        pending = self._pending.get("tree", oid)
        return self._objects.folder(oid) if pending is None else _entries(pending)

    def save(self, tree: str, message: str, author: str, when: datetime) -> Commit:
        """Make all that was put permanent with one more commit."""
        message = message.replace("\0", "\\0")  # git takes no commit with a NUL from a push or a clone
        stamp = f"{_name(author)} <{_EMAIL}> {int(when.timestamp())} +0000"
        parent = f"parent {self._head}\n" if self._head else ""
        text = f"tree {tree}\n{parent}author {stamp}\ncommitter {stamp}\n\n{message}"
        oid = self._pending.add("commit", text.encode())
        self._pending.flush(oid, self._leads_to)
        sync_all_below(self._objects.place)
        self._move_head(oid)
        sync(self._objects.place / BRANCH)
        sync((self._objects.place / BRANCH).parent)
        self._head = oid
        self._objects.at_hand.put(self._folders)
        self._folders.clear()
        self._large.clear()
        return Commit(oid, tree, parent.removeprefix("parent ").strip() or None, _to_second(when), author, message)

    def _leads_to(self, oid: str, kind: str, content: bytes) -> list[str]:
        if kind == "commit":
            return [content[5:45].decode()]  # "tree " and its name come first
        return [entry.oid for entry in self.folder(oid).values()] if kind == "tree" else []

    def _move_head(self, oid: str) -> None:
        """Compare and set in one, by git's own lock on a reference: a push from outside may come in between."""
        references = self._references
        try:
            if self._head is None:
                references.create(BRANCH, oid)
                return
            reference = references[BRANCH]
            if str(reference.target) == self._head:
                reference.set_target(oid)  # refuses when the reference is not the one that was looked up
                return
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise HeadMovedError(f"{self._objects.place}: somebody else committed in between ({error})") from error
        raise HeadMovedError(f"{self._objects.place}: somebody else committed in between")

    def discard(self) -> None:
        """Forget what was not saved."""
        self._pending.discard()
        self._folders.clear()
        for path in self._large:
            path.unlink(missing_ok=True)
        self._large.clear()


def _entries(tree: bytes) -> dict[str, Entry]:
    """Read a tree object (gitformat: mode, space, name, NUL, 20 bytes)."""
    entries = {}
    start = 0
    while start < len(tree):
        space = tree.index(b" ", start)
        end = tree.index(b"\0", space)
        name = tree[space + 1 : end].decode(errors="surrogateescape")
        entries[name] = Entry(tree[end + 1 : end + 21].hex(), tree[start:space] == _FOLDER)
        start = end + 21
    return entries


def _tree(entries: Folder) -> bytes:
    """Write a tree object; git sorts folders as if their names ended in a slash."""
    named = sorted(
        (name.encode(errors="surrogateescape") + (b"/" if entry.is_folder else b""), entry)
        for name, entry in entries.items()
    )
    return b"".join(
        (_FOLDER if entry.is_folder else _FILE) + b" " + name.rstrip(b"/") + b"\0" + bytes.fromhex(entry.oid)
        for name, entry in named
    )


def _commit(found: pygit2.Commit) -> Commit:
    return Commit(
        str(found.id),
        str(found.tree_id),
        str(found.parent_ids[0]) if found.parent_ids else None,
        datetime.fromtimestamp(found.commit_time, UTC),
        found.author.name,
        found.message,
    )


def _to_second(when: datetime) -> datetime:
    return datetime.fromtimestamp(int(when.timestamp()), UTC)


def _name(author: str) -> str:
    """Return an author's name as a commit can hold it."""
    return re.sub(r"[<>\n\0]", "", author).strip() or "unknown"
