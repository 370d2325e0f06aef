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
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stac_rucio_sync.catalog.at_hand import AtHand
from stac_rucio_sync.catalog.durable import sync, sync_all_below, write_new
from stac_rucio_sync.catalog.objects import Commit, Entry, Folder, HeadMovedError, MissingObjectError
from stac_rucio_sync.catalog.pointers import LONGEST, Pointer, pointer_in
from stac_rucio_sync.errors import FatalError, UsageError

_CHUNK = 1 << 20
_DIGITS = 40
"""Of SHA-256 in a name: so many that no two contents ever share one, so few that a link fits into its inode."""
_NAME = re.compile(f"[0-9a-f]{{{_DIGITS}}}")
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
        if not re.fullmatch("[0-9a-f]{4,40}", prefix):
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
        known = self.at_hand.get(oid)
        if known is not None:
            return known
        try:
            listed = (self.folder_path(oid) / _LISTING).read_bytes()
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self._place} holds no folder {oid}") from error
        known = _entries(listed)
        self.at_hand.put({oid: known})
        return known

    def large(self, oid: str) -> Path | None:
        """Return where the bytes of a file lie: here, large files are files like others, but for those of the lake."""
        path = self.file_path(oid)
        if not path.is_file() or (path.stat().st_size < LONGEST and pointer_in(path.read_bytes()) is not None):
            return None
        return path

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
        self._place = os.fspath(objects.place)
        self._incoming = f"{self._place}/incoming"
        self._head = objects.head()
        self._made: list[str] = []
        self._there: set[str] = set()
        """What was put, by name."""
        self._clear_incoming()  # of a writer that was killed

    def put_file(self, content: bytes) -> Entry:
        """Take a file's content."""
        oid = _name(content)
        if oid not in self._there:
            final = f"{self._place}/files/{oid[:2]}/{oid}"
            if not _is_file_of(final, content):
                incoming = f"{self._incoming}/{oid}"
                write_new(incoming, content)
                self._place_at(incoming, final)
            self._there.add(oid)
        return Entry(oid, is_folder=False)

    def put_large(self, path: Path) -> Entry:
        """Take a large file."""
        incoming = Path(self._incoming) / "large"
        digest = hashlib.sha256()
        with path.open("rb") as source, incoming.open("wb") as target:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
        incoming.chmod(0o444)
        oid = digest.hexdigest()[:_DIGITS]
        final = self._objects.file_path(oid)
        if final.exists() and final.stat().st_size == incoming.stat().st_size:
            incoming.unlink()
        else:
            self._place_at(os.fspath(incoming), os.fspath(final))
        return Entry(oid, is_folder=False)

    def put_pointer(self, pointer: Pointer) -> Entry:
        """Take a file whose bytes lie elsewhere."""
        return self.put_file(pointer.text())

    def put_folder(self, entries: Folder) -> Entry:
        """Take a folder."""
        listing = _listing(entries)
        oid = _name(b"folder\0" + listing)
        final = f"{self._place}/folders/{oid[:2]}/{oid}"
        if oid not in self._there and not _is_file_of(f"{final}/{_LISTING}", listing):
            incoming = f"{self._incoming}/{oid}"
            os.mkdir(incoming)  # noqa: PTH102 - strings are half the time of paths here, where folders come by thousands
            for name, entry in entries.items():
                if entry.is_folder:
                    os.symlink(f"../../{entry.oid[:2]}/{entry.oid}", f"{incoming}/{name}")  # noqa: PTH211 - as above
                else:
                    _link(f"{self._place}/files/{entry.oid[:2]}/{entry.oid}", f"{incoming}/{name}")
            write_new(f"{incoming}/{_LISTING}", listing)
            self._place_at(incoming, final)
        self._there.add(oid)
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
        oid = _name(b"commit\0" + text)
        final = place / "commits" / oid
        incoming = Path(self._incoming)
        if not _is_file_of(f"{final}/commit.json", text):
            (incoming / oid).mkdir()
            write_new(f"{self._incoming}/{oid}/commit.json", text)
            (incoming / oid / "catalog").symlink_to(Path("../..") / "folders" / tree[:2] / tree)
            self._place_at(f"{self._incoming}/{oid}", os.fspath(final))
        if self._objects.head() != parent:
            raise HeadMovedError(f"{place}: somebody else committed in between")
        current = incoming / f"current-{oid}"
        current.symlink_to(Path("commits") / oid)
        sync_all_below(place)
        current.replace(place / "current")
        sync(place)
        self._head = oid
        self._made.clear()
        return Commit(oid, tree, parent, datetime.fromtimestamp(seconds, UTC), author, message)

    def discard(self) -> None:
        """Take away what was not saved."""
        for path in reversed(self._made):
            _take_away(Path(path))
        self._made.clear()
        self._there.clear()
        self._clear_incoming()

    def _clear_incoming(self) -> None:
        for left in Path(self._incoming).iterdir():  # we hold the lock: nobody else puts anything there
            _take_away(left)

    def _place_at(self, incoming: str, final: str) -> None:
        try:
            os.rename(incoming, final)  # noqa: PTH104 - as above
        except FileNotFoundError:
            Path(final).parent.mkdir(exist_ok=True)
            Path(incoming).rename(final)
        except OSError:  # a folder that a power cut emptied, or that was half removed
            _take_away(Path(final))
            Path(incoming).rename(final)
        self._made.append(final)


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _is_file_of(path: str, content: bytes) -> bool:
    """Tell whether a file is there and whole: a power cut may have emptied what an earlier writer left."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read() == content
    except (FileNotFoundError, NotADirectoryError):
        return False


def _take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link(file: str, name: str) -> None:
    """Link a file into a folder; where the filesystem has no more links for it, copy it."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copyfile(file, name)
        Path(name).chmod(0o444)


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
