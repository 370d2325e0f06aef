"""The filesystem backend: plain files and folders, named by their content, that any program can read.

::

    files/ab/abcd...          the content of a file, read only
    folders/12/1234.../       a folder: its files are hard links, its folders symbolic links to other folders
    commits/5678.../          commit.json, and catalog, a symbolic link to the root folder
    current                   a symbolic link to the latest commit: current/catalog/catalog.json is the catalogue

A folder that did not change is the same folder in all versions, so that a version costs what it changed; the head moves
by renaming one symbolic link over another, so that a reader always sees one commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stac_rucio_sync.catalog.objects import Commit, Entry, Folder, HeadMovedError, MissingObjectError
from stac_rucio_sync.errors import FatalError, UsageError

_CHUNK = 1 << 20
_NAME = re.compile(r"[0-9a-f]{64}")
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
            said = json.loads((self._place / "commits" / _checked(oid) / "commit.json").read_bytes())
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
        if not re.fullmatch("[0-9a-f]{4,64}", prefix):
            raise MissingObjectError(f"there is no commit {prefix} in {self._place}")
        found = [path.name for path in (self._place / "commits").glob(f"{prefix}*")]
        if len(found) != 1:
            raise MissingObjectError(f"{prefix} names {len(found) or 'no'} commits in {self._place}")
        return found[0]

    def file(self, oid: str) -> bytes:
        """Return the content of a file."""
        try:
            return self.file_path(oid).read_bytes()
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self._place} holds no file {oid}") from error

    def folder(self, oid: str) -> Folder:
        """Return a folder."""
        try:
            listed = (self.folder_path(oid) / _LISTING).read_bytes()
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self._place} holds no folder {oid}") from error
        return _entries(listed)

    def large(self, oid: str) -> Path | None:
        """Return where the bytes of a file lie: here, large files are files like others."""
        path = self.file_path(oid)
        return path if path.is_file() else None

    def file_path(self, oid: str) -> Path:
        """Return where the content of a file lies."""
        return self._place / "files" / _checked(oid)[:2] / oid

    def folder_path(self, oid: str) -> Path:
        """Return where a folder lies."""
        return self._place / "folders" / _checked(oid)[:2] / oid

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


_LISTING = ".entries"
"""In each folder: names, kinds and objects of its entries; a name with a dot in front is none of the catalogue's."""


class PlainWriting:
    """Objects in the making in a folder of plain files: they lie there already, and nothing leads to them."""

    def __init__(self, objects: PlainObjects) -> None:
        self._objects = objects
        self._head = objects.head()
        self._made: list[Path] = []

    def put_file(self, content: bytes) -> Entry:
        """Take a file's content."""
        oid = hashlib.sha256(content).hexdigest()
        final = self._objects.file_path(oid)
        if not final.exists():
            incoming = self._incoming()
            incoming.write_bytes(content)
            self._place_file(incoming, final)
        return Entry(oid, is_folder=False)

    def put_large(self, path: Path) -> Entry:
        """Take a large file."""
        incoming = self._incoming()
        digest = hashlib.sha256()
        with path.open("rb") as source, incoming.open("wb") as target:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
        final = self._objects.file_path(digest.hexdigest())
        if final.exists():
            incoming.unlink()
        else:
            self._place_file(incoming, final)
        return Entry(digest.hexdigest(), is_folder=False)

    def put_folder(self, entries: Folder) -> Entry:
        """Take a folder."""
        listing = _listing(entries)
        oid = hashlib.sha256(b"folder\0" + listing).hexdigest()
        final = self._objects.folder_path(oid)
        if not final.exists():
            folder = Path(tempfile.mkdtemp(dir=self._objects.place / "incoming"))
            (folder / _LISTING).write_bytes(listing)
            for name, entry in entries.items():
                if entry.is_folder:
                    (folder / name).symlink_to(Path("../..") / entry.oid[:2] / entry.oid)
                else:
                    _link(self._objects.file_path(entry.oid), folder / name)
            final.parent.mkdir(exist_ok=True)
            folder.chmod(0o755)
            folder.rename(final)
            self._made.append(final)
        return Entry(oid, is_folder=True)

    def file(self, oid: str) -> bytes:
        """Return a file's content."""
        return self._objects.file(oid)

    def folder(self, oid: str) -> Folder:
        """Return a folder."""
        return self._objects.folder(oid)

    def save(self, tree: str, message: str, author: str, when: datetime) -> Commit:
        """Make all that was put permanent with one more commit."""
        place = self._objects.place
        seconds = int(when.timestamp())
        parent = self._head
        said = {"tree": tree, "parent": parent, "when": seconds, "author": author, "message": message}
        text = json.dumps(said, ensure_ascii=False, indent=1).encode()
        oid = hashlib.sha256(b"commit\0" + text).hexdigest()
        final = place / "commits" / oid
        if not final.exists():
            folder = Path(tempfile.mkdtemp(dir=place / "incoming"))
            (folder / "commit.json").write_bytes(text)
            (folder / "catalog").symlink_to(Path("../..") / "folders" / tree[:2] / tree)
            folder.chmod(0o755)
            folder.rename(final)
            self._made.append(final)
        if self._objects.head() != self._head:
            raise HeadMovedError(f"{place}: somebody else committed in between")
        current = place / "incoming" / f"current-{oid}"
        current.unlink(missing_ok=True)
        current.symlink_to(Path("commits") / oid)
        current.replace(place / "current")
        self._head = oid
        self._made.clear()
        return Commit(oid, tree, parent, datetime.fromtimestamp(seconds, UTC), author, message)

    def discard(self) -> None:
        """Take away what was not saved."""
        for path in reversed(self._made):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self._made.clear()
        for left in (
            self._objects.place / "incoming"
        ).iterdir():  # ours, or of a writer that was killed: we hold the lock
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()

    def _incoming(self) -> Path:
        descriptor, name = tempfile.mkstemp(dir=self._objects.place / "incoming")
        os.close(descriptor)
        return Path(name)

    def _place_file(self, incoming: Path, final: Path) -> None:
        incoming.chmod(0o444)
        final.parent.mkdir(exist_ok=True)
        incoming.rename(final)
        self._made.append(final)


def _link(file: Path, name: Path) -> None:
    """Link a file into a folder; where the filesystem has no more links for it, copy it."""
    try:
        name.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, name)
        name.chmod(0o444)


def _listing(entries: Folder) -> bytes:
    named = {name: f"{'d' if entry.is_folder else 'f'} {entry.oid}" for name, entry in sorted(entries.items())}
    return json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogateescape")


def _entries(listing: bytes) -> dict[str, Entry]:
    named: dict[str, str] = json.loads(listing.decode(errors="surrogateescape"))
    return {name: Entry(said[2:], said[0] == "d") for name, said in named.items()}


def _checked(oid: str) -> str:
    if not _NAME.fullmatch(oid):
        raise MissingObjectError(f"{oid[:100]!r} names no object")
    return oid
