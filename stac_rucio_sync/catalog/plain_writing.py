"""Writing to the filesystem backend: what is put lies there at once, and a commit leads to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from stac_rucio_sync.catalog.durable import sync, sync_all_below, write_new
from stac_rucio_sync.catalog.objects import Commit, Entry, Folder, HeadMovedError, Objects
from stac_rucio_sync.catalog.plain_format import DIGITS, LISTING, file_path, listing_of, name_of
from stac_rucio_sync.catalog.pointers import Pointer

_CHUNK = 1 << 20


class PlainWriting:
    """Objects in the making in a folder of plain files: they lie there already, and nothing leads to them."""

    def __init__(self, objects: Objects) -> None:
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
        oid = name_of(content)
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
        oid = digest.hexdigest()[:DIGITS]
        final = file_path(self._objects.place, oid)
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
        listing = listing_of(entries)
        oid = name_of(b"folder\0" + listing)
        final = f"{self._place}/folders/{oid[:2]}/{oid}"
        if oid not in self._there and not _is_file_of(f"{final}/{LISTING}", listing):
            incoming = f"{self._incoming}/{oid}"
            os.mkdir(incoming)  # noqa: PTH102 - strings are half the time of paths here, where folders come by thousands
            for name, entry in entries.items():
                if entry.is_folder:
                    os.symlink(f"../../{entry.oid[:2]}/{entry.oid}", f"{incoming}/{name}")  # noqa: PTH211 - as above
                else:
                    _link(f"{self._place}/files/{entry.oid[:2]}/{entry.oid}", f"{incoming}/{name}")
            write_new(f"{incoming}/{LISTING}", listing)
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
        oid = name_of(b"commit\0" + text)
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
