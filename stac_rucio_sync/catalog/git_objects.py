"""The git backend: a bare repository, read and written without a work tree; any git client can clone it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2

from stac_rucio_sync.catalog.at_hand import AtHand
from stac_rucio_sync.catalog.git_format import BRANCH, entries_of, lfs_object, moment_of
from stac_rucio_sync.catalog.git_writing import GitWriting
from stac_rucio_sync.catalog.objects import Commit, Folder, MissingObjectError
from stac_rucio_sync.catalog.packs import pack_if_many
from stac_rucio_sync.catalog.pointers import pointer_in
from stac_rucio_sync.errors import FatalError, UsageError

LOG = logging.getLogger(__name__)

_ODB_TYPES = {"commit": pygit2.enums.ObjectType.COMMIT, "tree": pygit2.enums.ObjectType.TREE,
              "blob": pygit2.enums.ObjectType.BLOB}  # fmt: skip


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
            known = entries_of(self._read("tree", oid))
            self.at_hand.put({oid: known})
        return known

    def large(self, oid: str) -> Path | None:
        """Return where the bytes behind a pointer lie."""
        pointer = pointer_in(self.file(oid))
        path = None if pointer is None else lfs_object(self._place, pointer.sha256)
        return path if path is not None and path.is_file() else None

    @contextmanager
    def writing(self) -> Iterator[GitWriting]:
        """Begin to write."""
        writing = GitWriting(self, self._repository.references, self.at_hand)
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


def _commit(found: pygit2.Commit) -> Commit:
    return Commit(
        str(found.id),
        str(found.tree_id),
        str(found.parent_ids[0]) if found.parent_ids else None,
        moment_of(found.commit_time),
        found.author.name,
        found.message,
    )
