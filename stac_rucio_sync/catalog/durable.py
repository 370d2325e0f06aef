"""Files written once and for all, and on the disk: all those of a commit together, before anything leads to them."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path


def sync_all_below(place: Path) -> None:
    """Have the filesystem of a folder write down all that it was given, which for many files is one call.

    Raises
    ------
    OSError
        The disk failed.
    """
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = _libc()
        if library is None:
            os.sync()
        elif library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(place))
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Have one file, or the names in one folder, written down."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: str | Path, content: bytes) -> None:
    """Write a file that nobody may change; what a killed writer left at the path goes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o444)
    except FileExistsError:
        Path(path).unlink()
        descriptor = os.open(path, flags, 0o444)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


@cache
def _libc() -> ctypes.CDLL | None:
    """Return the C library where it has syncfs(2), which Python does not offer."""
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "syncfs") else None
