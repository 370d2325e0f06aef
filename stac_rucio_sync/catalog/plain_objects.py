"""The filesystem backend: plain files and folders, as `stac_rucio_sync.catalog.plain_format` has them.

A folder that did not change is the same folder in all versions, so that a version costs what it changed; the head moves
by renaming one symbolic link over another, so that a reader always sees one commit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stac_rucio_sync.catalog.at_hand import AtHand
from stac_rucio_sync.catalog.objects import Commit, Folder, MissingObjectError
from stac_rucio_sync.catalog.plain_format import LISTING, checked, entries_of, file_path, folder_path
from stac_rucio_sync.catalog.plain_writing import PlainWriting
from stac_rucio_sync.catalog.pointers import LONGEST, pointer_in
from stac_rucio_sync.errors import FatalError, UsageError

_MARK = "stac-catalog"
"""A file that says what the folder is."""


class PlainObjects:
    """The versions in a folder of plain files.

    Parameters
    ----------
    place
        The folder.

    Raises
    ------
    FatalError
        There is no repository.
    """

    def __init__(self, place: Path) -> None:
        if not (place / _MARK).is_file():
            raise FatalError(f"{place} is no catalogue repository")
        self._place = place
        self.at_hand = AtHand()
        self.warnings: list[str] = []

    @classmethod
    def create(cls, place: Path) -> PlainObjects:
        """Make an empty repository at a place where there is nothing yet, or an empty folder.

        Raises
        ------
        UsageError
            There is something.
        """
        if place.exists() and any(place.iterdir()):
            raise UsageError(f"{place} is not empty: a new repository needs a place of its own")
        for folder in ("files", "folders", "commits", "incoming"):
            (place / folder).mkdir(parents=True)
        (place / _MARK).write_text("filesystem 1\n")
        return cls(place)

    @property
    def place(self) -> Path:
        """The folder of the repository."""
        return self._place

    def head(self) -> str | None:
        """Return the latest commit."""
        try:
            return (self._place / "current").readlink().name
        except FileNotFoundError:
            return None

    def commit(self, oid: str) -> Commit:
        """Return a commit."""
        try:
            said = json.loads((self._place / "commits" / checked(oid) / "commit.json").read_bytes())
        except FileNotFoundError as error:
            raise MissingObjectError(f"there is no commit {oid} in {self._place}") from error
        when = datetime.fromtimestamp(said["when"], UTC)
        return Commit(oid, said["tree"], said["parent"], when, said["author"], said["message"])

    def commits(self, start: str) -> Iterator[Commit]:
        """Yield a commit and all before it."""
        oid: str | None = start
        while oid is not None:
            found = self.commit(oid)
            yield found
            oid = found.parent

    def named(self, prefix: str) -> str:
        """Return the one commit whose name begins so."""
        if not re.fullmatch("[0-9a-f]{4,40}", prefix):
            raise MissingObjectError(f"there is no commit {prefix} in {self._place}")
        found = [path.name for path in (self._place / "commits").glob(f"{prefix}*")]
        if len(found) != 1:
            raise MissingObjectError(f"{prefix} names {len(found) or 'no'} commits in {self._place}")
        return found[0]

    def file(self, oid: str) -> bytes:
        """Return the content of a file."""
        try:
            return file_path(self._place, oid).read_bytes()
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self._place} holds no file {oid}") from error

    def folder(self, oid: str) -> Folder:
        """Return a folder."""
        known = self.at_hand.get(oid)
        if known is not None:
            return known
        try:
            listed = (folder_path(self._place, oid) / LISTING).read_bytes()
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self._place} holds no folder {oid}") from error
        known = entries_of(listed)
        self.at_hand.put({oid: known})
        return known

    def large(self, oid: str) -> Path | None:
        """Return where the bytes of a file lie: here, large files are files like others, but for those of the lake."""
        path = file_path(self._place, oid)
        if not path.is_file() or (path.stat().st_size < LONGEST and pointer_in(path.read_bytes()) is not None):
            return None
        return path

    @contextmanager
    def writing(self) -> Iterator[PlainWriting]:
        """Begin to write."""
        writing = PlainWriting(self)
        try:
            yield writing
        finally:
            writing.discard()

    def close(self) -> None:
        """Do nothing: no file stays open."""
