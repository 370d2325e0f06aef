"""What a backend of the versioned catalogue is: objects that never change, named by their content, and one head.

A version of the catalogue is a tree of folders and files; equal folders have equal names in all versions, so that a
commit costs what it changed and a comparison costs what differs. Everything else (nodes, transactions, history) is
built on this contract alone and is the same for all backends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from stac_rucio_sync.catalog.pointers import Pointer
from stac_rucio_sync.errors import FatalError


class MissingObjectError(FatalError):
    """An object, a commit or a path that is not there."""


class HeadMovedError(FatalError):
    """Somebody else committed in between, past the lock."""


class Entry(NamedTuple):
    """What a name in a folder stands for."""

    oid: str
    """Hexadecimal; the backend's own digest of the content."""
    is_folder: bool


Folder = Mapping[str, Entry]
"""The entries of a folder by name; a name holds no slash and is neither ``.`` nor ``..``."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A version of the whole catalogue."""

    oid: str
    tree: str
    """Its root folder."""
    parent: str | None
    when: datetime
    """UTC, to the second."""
    author: str
    message: str


class Writing(Protocol):
    """Objects in the making: nobody else sees them before `save`, and nothing of them stays after `discard`."""

    def put_file(self, content: bytes) -> Entry:
        """Take a file's content."""

    def put_large(self, path: Path) -> Entry:
        """Take a large file from outside, without reading it into memory; `path` stays where it is."""

    def put_pointer(self, pointer: Pointer) -> Entry:
        """Take a file whose bytes lie elsewhere."""

    def put_folder(self, entries: Folder) -> Entry:
        """Take a folder of entries that are there already or in the making."""

    def file(self, oid: str) -> bytes:
        """Return a file's content, as `Objects.file`, those in the making too."""

    def folder(self, oid: str) -> Folder:
        """Return a folder, as `Objects.folder`, those in the making too."""

    def save(self, tree: str, message: str, author: str, when: datetime) -> Commit:
        """Make all that was put permanent, and the folder ``tree`` the new head, at once.

        May be called several times: each time, what was put since is saved with one more commit.

        Raises
        ------
        HeadMovedError
            The head is not the one that this began with.
        """


class Objects(Protocol):
    """The versions of one repository. Reading needs no lock and is never blocked."""

    warnings: list[str]
    """What went wrong with it although the commits stand, since it was opened."""

    @property
    def place(self) -> Path:
        """The folder of the repository, where its lock and its index lie, too."""

    def head(self) -> str | None:
        """Return the latest commit; None: there is none yet."""

    def commit(self, oid: str) -> Commit:
        """Return a commit by its full name.

        Raises
        ------
        MissingObjectError
            There is none.
        """

    def commits(self, start: str) -> Iterator[Commit]:
        """Yield a commit and all before it, the newest first."""

    def named(self, prefix: str) -> str:
        """Return the one commit whose name begins so.

        Raises
        ------
        MissingObjectError
            There is none, or more than one.
        """

    def file(self, oid: str) -> bytes:
        """Return the content of a file (of a large one in Git LFS: its pointer).

        Raises
        ------
        MissingObjectError
            There is none.
        """

    def folder(self, oid: str) -> Folder:
        """Return a folder.

        Raises
        ------
        MissingObjectError
            There is none.
        """

    def large(self, oid: str) -> Path | None:
        """Return where the bytes of a large file lie; None: the file is not a large one, or its bytes are not here."""

    def writing(self) -> AbstractContextManager[Writing]:
        """Begin to write; what is not saved at the end of the context is discarded. The caller holds the lock."""

    def close(self) -> None:
        """Give back what is held open."""
