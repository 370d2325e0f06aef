"""What an audit wants of a storage, and the storage that is a folder of this machine."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import Final, Protocol

from stac_rucio_sync.errors import RefusedError, TransientError
from stac_rucio_sync.model import Hashed
from stac_rucio_sync.model.storage import StoredFile

Unreadable = Callable[[str, str], None]
"""Is told of a folder that cannot be listed: its path below the prefix, and why."""

BLOCK_BYTES: Final = 1 << 20


class Storage(Protocol):
    """The files below the prefix of one RSE; may be used from several threads.

    Every method raises `RefusedError` where the storage does not let us, and `TransientError` where it does not answer.
    """

    @property
    def title(self) -> str:
        """Where it is, in words for people."""

    def files(self, folder: str, unreadable: Unreadable) -> Iterator[StoredFile]:
        """Yield the files in a folder and below, in no order; after a broken connection some come again."""

    def look(self, path: str) -> StoredFile | None:
        """Return one file; None: there is none."""

    def hash(self, path: str) -> Hashed:
        """Read one file to its end."""

    def delete(self, path: str) -> bool:
        """Delete one file; tell whether it was there."""

    def close(self) -> None:
        """Close all connections."""


class FolderStorage:
    """A folder of this machine, as Rucio's ``posix`` protocol has it.

    Links to files count as files; links to folders are not followed where files are listed.

    Parameters
    ----------
    folder
        The prefix.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def title(self) -> str:
        """As of `Storage`."""
        return f"file://{self._folder}"

    def files(self, folder: str, unreadable: Unreadable) -> Iterator[StoredFile]:
        """As of `Storage`; one folder is open at a time."""
        waiting = [folder.strip("/")]
        while waiting:
            here = waiting.pop()
            try:
                with os.scandir(self._place(here) if here else self._folder) as entries:
                    for entry in entries:
                        path = f"{here}/{entry.name}" if here else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(path)
                            continue
                        file = _stored(path, entry.stat) if entry.is_file() else None
                        if file is not None:
                            yield file
            except FileNotFoundError:
                if here == folder.strip("/") and here == "":
                    raise RefusedError(f"there is no folder {self._folder}") from None
            except OSError as error:
                if here == "":
                    raise RefusedError(f"the folder {self._folder} cannot be listed: {error.strerror}") from error
                unreadable(here, error.strerror or str(error))

    def look(self, path: str) -> StoredFile | None:
        """As of `Storage`."""
        place = self._place(path)
        try:
            return _stored(path, place.stat)
        except NotADirectoryError:
            return None
        except OSError as error:
            raise RefusedError(f"{path} cannot be looked at: {error.strerror}") from error

    def hash(self, path: str) -> Hashed:
        """As of `Storage`."""
        try:
            with self._place(path).open("rb", buffering=0) as file:
                return hashed(iter(lambda: file.read(BLOCK_BYTES), b""))
        except FileNotFoundError as error:
            raise TransientError(f"{path} is gone") from error
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error.strerror}") from error

    def delete(self, path: str) -> bool:
        """As of `Storage`; folders that become empty stay."""
        try:
            self._place(path).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RefusedError(f"{path} cannot be deleted: {error.strerror}") from error
        return True

    def close(self) -> None:
        """As of `Storage`."""

    def _place(self, path: str) -> Path:
        return self._folder / confined(path)


def confined(path: str) -> str:
    """Return a path that stays below the prefix.

    Raises
    ------
    RefusedError
        It would leave it, or is empty.
    """
    if not path or path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise RefusedError(f"the path {path!r} leaves the folder of the RSE")
    return path


def hashed(blocks: Iterable[bytes]) -> Hashed:
    """Return size and checksums of bytes that come in blocks."""
    adler32, md5, length = 1, hashlib.md5(usedforsecurity=False), 0
    for block in blocks:
        adler32 = zlib.adler32(block, adler32)
        md5.update(block)
        length += len(block)
    return Hashed(length, f"{adler32:08x}", md5.hexdigest())


def _stored(path: str, stat: Callable[[], os.stat_result]) -> StoredFile | None:
    try:
        found = stat()
    except FileNotFoundError:
        return None
    if not S_ISREG(found.st_mode):
        return None
    # A file that was sent under another name keeps the time of its bytes; the other time tells of the renaming.
    return StoredFile(path, found.st_size, max(found.st_mtime, found.st_ctime))
