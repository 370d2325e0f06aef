"""The files that an upload is about: never folders or devices, in a stable order, whatever their names hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from stac_rucio_sync.errors import UsageError


@dataclass(frozen=True, slots=True)
class FileFound:
    """A file on disk."""

    path: Path
    """Absolute; symbolic links in it are kept."""
    relative: str
    """Below the folder in which the named PATH lies: it begins with the PATH's own name."""
    bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the files are wanted.

    Attributes
    ----------
    include, exclude
        Patterns as of a shell, on the name and on the relative path; none to include means all.
    follow_links
        Whether symbolic links count as what they lead to; otherwise they are left out.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow_links: bool = False

    def wants(self, relative: str) -> bool:
        """Tell whether a file is wanted."""
        name = relative.rpartition("/")[2]

        def matches(pattern: str) -> bool:
            return fnmatchcase(name, pattern) or fnmatchcase(relative, pattern)

        return (not self.include or any(map(matches, self.include))) and not any(map(matches, self.exclude))


def find(
    paths: Sequence[Path], choice: Choice, on_error: Callable[[Path, OSError], None], on_skipped: Callable[[Path], None]
) -> Iterator[FileFound]:
    """Yield the files below some paths, in the order of their names, each once.

    Parameters
    ----------
    paths
        Files and folders.
    choice
        Which are wanted.
    on_error
        Is told of what cannot be looked at.
    on_skipped
        Is told of links, sockets, devices and pipes, which are left out.

    Raises
    ------
    UsageError
        A path does not exist.
    """
    for path in paths:
        top = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would replace links
        if not os.path.lexists(top):
            raise UsageError(f"{path} does not exist")
        if top.is_dir():
            yield from _below(top, top.name, choice, on_error, on_skipped, frozenset())
        elif choice.wants(top.name):
            # What is named itself is meant, also when it is a link.
            yield from _file(top, top.name, choice.follow_links or top.is_symlink(), on_error, on_skipped)


def _below(
    folder: Path, relative: str, choice: Choice, on_error: Callable[[Path, OSError], None],
    on_skipped: Callable[[Path], None], above: frozenset[tuple[int, int]],
) -> Iterator[FileFound]:  # fmt: skip
    try:
        status = folder.stat()
        names = sorted(os.listdir(os.fsencode(folder)))  # noqa: PTH208 - names alone: a folder may hold millions
    except OSError as error:
        on_error(folder, error)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        on_skipped(folder)  # a link to a folder above: it would never end
        return
    for name in map(os.fsdecode, names):
        path, below = folder / name, f"{relative}/{name}" if relative else name
        if path.is_dir() and (choice.follow_links or not path.is_symlink()):
            yield from _below(path, below, choice, on_error, on_skipped, above | {here})
        elif choice.wants(below):
            yield from _file(path, below, choice.follow_links, on_error, on_skipped)


def _file(
    path: Path, relative: str, follow: bool, on_error: Callable[[Path, OSError], None],
    on_skipped: Callable[[Path], None],
) -> Iterator[FileFound]:  # fmt: skip
    try:
        status = path.stat() if follow else path.lstat()
    except OSError as error:
        on_error(path, error)
        return
    if (status.st_mode & 0o170000) != 0o100000:
        on_skipped(path)
        return
    yield FileFound(path, relative, status.st_size, status.st_mtime_ns)
