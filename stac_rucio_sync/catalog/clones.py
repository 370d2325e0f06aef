"""Clones of a repository as git makes them: where the bytes of their large files come from."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pygit2

from stac_rucio_sync.catalog.git_program import run_git
from stac_rucio_sync.catalog.pointers import LAKE, did_in, lake_path
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import Did

AGENT = "stac-rucio-sync"
"""The name of our transfer agent in the configuration of Git LFS."""
_AT_ONCE = 3
"""Files under way at a time; Git LFS starts a process for each, one after the other, before the first file."""


class Clone:
    """A clone with a work tree.

    Parameters
    ----------
    folder
        The clone, or a folder in it.

    Raises
    ------
    UsageError
        It is none.
    """

    def __init__(self, folder: Path) -> None:
        found = pygit2.discover_repository(str(folder))
        if found is None:
            raise UsageError(f"{folder} is no clone of a catalogue: there is no git repository")
        self._repository = pygit2.Repository(found)
        if self._repository.is_bare:
            raise UsageError(f"{folder} is the repository itself, not a clone of it: its large files are there")

    @property
    def incoming(self) -> Path:
        """The folder for files on their way, on the filesystem of those that have come."""
        return Path(self._repository.path) / "lfs" / "tmp"

    def set_up(self, program: str, arguments: Sequence[str]) -> None:
        """Have Git LFS fetch the bytes of this clone by a program of ours."""
        self._repository.config[f"lfs.customtransfer.{AGENT}.path"] = program
        self._repository.config[f"lfs.customtransfer.{AGENT}.args"] = shlex.join(arguments)
        self._repository.config["lfs.standalonetransferagent"] = AGENT
        self._repository.config["lfs.concurrenttransfers"] = _AT_ONCE
        self._repository.config["lfs.transfer.maxretries"] = 1  # the program tries again by itself, and knows when

    def pull(self) -> None:
        """Have Git LFS bring the bytes of the version that is checked out.

        Raises
        ------
        FatalError
            Some could not be had; which, git has said on stderr.
        """
        _git(["lfs", "pull"], Path(self._repository.workdir))

    def origin_object(self, remote: str, sha256: str) -> Path | None:
        """Return where the repository that this came from keeps bytes; None: it does not, or is not on this machine.

        Parameters
        ----------
        remote
            Its name, or its URL.
        """
        known = remote in self._repository.remotes.names()
        url = str(self._repository.remotes[remote].url) if known else remote
        parts = urlsplit(url)
        if parts.scheme not in {"", "file"}:
            return None
        place = Path(unquote(parts.path) if parts.scheme else url)
        path = place / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256
        return path if path.is_file() else None

    def did(self, sha256: str) -> Did | None:
        """Return which DID holds bytes; None: no version that came with the clone says so."""
        for tree in self._trees():
            try:
                found = tree / lake_path(sha256)
            except KeyError:
                continue
            if isinstance(found, pygit2.Blob):
                return did_in(found.data)
        return None

    def dids(self) -> Iterator[Did]:
        """Yield the DIDs of all large files that lie in the lake."""
        for tree in self._trees():
            waiting: list[object] = [tree[LAKE]] if LAKE in tree else []
            while waiting:
                found = waiting.pop()
                if isinstance(found, pygit2.Tree):
                    waiting.extend(found)
                elif isinstance(found, pygit2.Blob):
                    yield did_in(found.data)

    def _trees(self) -> Iterator[pygit2.Tree]:
        """Yield the root folders of what is checked out, and of the latest versions of the origins."""
        met: set[pygit2.Oid] = set()
        names = ["HEAD", *(name for name in self._repository.references if name.startswith("refs/remotes/"))]
        for name in names:
            found = self._repository.references.get(name)
            tree = None if found is None else found.peel(pygit2.Tree)
            if tree is not None and tree.id not in met:
                met.add(tree.id)
                yield tree


def clone(source: str, folder: Path) -> Clone:
    """Clone a repository; the large files are pointers yet.

    Parameters
    ----------
    source
        A path or URL, as ``git clone`` takes it.
    folder
        Where there is nothing, or an empty folder.

    Raises
    ------
    FatalError
        Git cannot; why, it has said on stderr.
    """
    _git(["clone", "--", source, str(folder)], None)
    return Clone(folder)


def _git(command: Sequence[str], folder: Path | None) -> None:
    """Run git, whose talk goes to stderr."""
    done = run_git(*command, folder=folder, environment={**os.environ, "GIT_LFS_SKIP_SMUDGE": "1"}, talks=True)
    if done.returncode != 0:
        raise FatalError(f"git {command[0]} failed (exit {done.returncode})")
