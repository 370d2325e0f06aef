"""Writing to the git backend: objects wait, go to the repository in packs, and a commit moves its branch."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import pygit2

from stac_rucio_sync.catalog.at_hand import MOST, AtHand
from stac_rucio_sync.catalog.durable import sync, sync_all_below
from stac_rucio_sync.catalog.git_format import BRANCH, entries_of, lfs_folder, lfs_object, moment_of, tree_of
from stac_rucio_sync.catalog.objects import Commit, Entry, Folder, HeadMovedError, Objects
from stac_rucio_sync.catalog.packs import Pending
from stac_rucio_sync.catalog.pointers import ATTRIBUTES, Pointer, attributes, is_named, large_in, pointer_in

LOG = logging.getLogger(__name__)

ABANDONED: Final = 10.0
"""Seconds after which nobody lives who locked a reference: git does so for milliseconds."""
_CHUNK = 1 << 20
_EMAIL = "catalog@stac-rucio-sync.invalid"


class GitWriting:
    """Objects in the making in a git repository."""

    def __init__(self, objects: Objects, references: pygit2.references.References, at_hand: AtHand) -> None:
        self._objects = objects
        self._references = references
        self._at_hand = at_hand
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
        folder = lfs_folder(self._objects.place)
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
            final = lfs_object(self._objects.place, digest.hexdigest())
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
        oid = self._pending.add("tree", tree_of(entries))
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
        return self._objects.folder(oid) if pending is None else entries_of(pending)

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
        self._at_hand.put(self._folders)
        self._folders.clear()
        self._large.clear()
        return Commit(
            oid, tree, parent.removeprefix("parent ").strip() or None, moment_of(when.timestamp()), author, message
        )

    def _leads_to(self, oid: str, kind: str, content: bytes) -> list[str]:
        if kind == "commit":
            return [content[5:45].decode()]  # "tree " and its name come first
        return [entry.oid for entry in self.folder(oid).values()] if kind == "tree" else []

    def _move_head(self, oid: str) -> None:
        try:
            self._compare_and_set(oid)
        except OSError:  # the reference is locked; or something else is wrong, which it will be again
            _wait_until_free(self._objects.place / f"{BRANCH}.lock")
            self._compare_and_set(oid)

    def _compare_and_set(self, oid: str) -> None:
        """Move the head by git's own lock on a reference: a push from outside may come in between."""
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


def _wait_until_free(lock: Path) -> None:
    """Wait for whoever moves the branch; a lock that nobody takes away was left by a process that was killed."""
    holder, since = _holder(lock), monotonic()
    while holder is not None:
        if monotonic() - since > ABANDONED:
            LOG.warning("%s was left by a process that was killed: it is taken away", lock)
            lock.unlink(missing_ok=True)
            return
        sleep(0.05)
        if (now := _holder(lock)) != holder:
            holder, since = now, monotonic()


def _holder(lock: Path) -> tuple[int, int] | None:
    try:
        found = lock.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _name(author: str) -> str:
    """Return an author's name as a commit can hold it."""
    return re.sub(r"[<>\n\0]", "", author).strip() or "unknown"
