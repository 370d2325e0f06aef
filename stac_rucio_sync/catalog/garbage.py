"""What no version holds any more, or never came to hold: taken away, and the rest packed.

Aborted transactions leave nothing behind; killed writers may, and so may very large transactions that changed their
mind. Every version stays whole: readers need not know of this.
"""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from stat import S_ISREG
from typing import NamedTuple

from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.git_program import run_git
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.objects import Objects
from stac_rucio_sync.catalog.plain_objects import PlainObjects
from stac_rucio_sync.catalog.pointers import LONGEST, pointer_in
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.errors import FatalError

_GRACE = "1.hour.ago"
"""What is younger may belong to a push that comes in just now, past our lock."""


class Collected(NamedTuple):
    """What a clean-up did."""

    removed: int
    """Files that are gone because no version holds them; not those that were packed."""
    bytes_before: int
    bytes_after: int


def collect(repository: Repository, *, wait: float = 600.0) -> Collected:
    """Take away what no version holds, and pack the rest (git).

    Writers wait meanwhile, readers do not.

    Raises
    ------
    TransientError
        Another writer goes on for longer than ``wait`` seconds.
    FatalError
        Git reports a fault of the repository.
    """
    place = repository.place
    with writer_lock(place, wait):
        before = _bytes_in(place)
        removed = _collect(repository.objects)
        return Collected(removed, before, _bytes_in(place))


def _collect(objects: Objects) -> int:
    if isinstance(objects, GitObjects):
        return _collect_git(objects)
    if isinstance(objects, PlainObjects):
        with objects.writing():  # takes away what killed writers left on the way in
            return _collect_plain(objects)
    raise FatalError(f"there is no clean-up for {type(objects).__name__}")


def _collect_git(objects: GitObjects) -> int:
    place = objects.place
    unreachable = _git(place, "prune", "--verbose", f"--expire={_GRACE}").count(b"\n")
    # What is unreachable inside packs comes out of them, and goes at the next time.
    _git(place, "repack", "-a", "-d", "-q", f"--unpack-unreachable={_GRACE}")
    large = place / "lfs" / "objects"
    wanted = _large_wanted(objects)
    gone = [path for path in large.glob("*/*/*") if path.name not in wanted] + list(large.glob("incoming-*"))
    for path in gone:
        path.unlink()
    return unreachable + len(gone)


def _large_wanted(objects: GitObjects) -> set[str]:
    """Return the digests of all large files of all versions."""
    listed = _git(objects.place, "cat-file", "--batch-check", "--batch-all-objects", "--unordered")
    wanted = set()
    for line in listed.splitlines():
        oid, kind, size = line.split()
        if kind == b"blob" and int(size) < LONGEST:
            pointer = pointer_in(objects.file(oid.decode()))
            if pointer is not None:
                wanted.add(pointer.sha256)
    return wanted


def _collect_plain(objects: PlainObjects) -> int:
    commits, folders, files = _reached(objects)
    place, removed = objects.place, 0
    for kind, wanted in (("commits/*", commits), ("folders/*/*", folders), ("files/*/*", files)):
        for path in place.glob(kind):
            if path.name not in wanted:
                rmtree(path) if path.is_dir() else path.unlink()
                removed += 1
    return removed


def _reached(objects: PlainObjects) -> tuple[set[str], set[str], set[str]]:
    """Return the names of all commits, folders and files of the history."""
    commits: set[str] = set()
    folders: set[str] = set()
    files: set[str] = set()
    head = objects.head()
    for commit in objects.commits(head) if head else ():
        commits.add(commit.oid)
        waiting = [commit.tree]
        while waiting:
            folder = waiting.pop()
            if folder not in folders:
                folders.add(folder)
                for entry in objects.folder(folder).values():
                    if entry.is_folder:
                        waiting.append(entry.oid)
                    else:
                        files.add(entry.oid)
    return commits, folders, files


def _bytes_in(place: Path) -> int:
    """Return what the files below a folder take, each counted once however many names it has."""
    sizes = {}
    for path in place.rglob("*"):
        status = path.lstat()
        if S_ISREG(status.st_mode):
            sizes[status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def _git(place: Path, *command: str) -> bytes:
    done = run_git("--git-dir", str(place), *command)
    if done.returncode != 0:
        raise FatalError(f"git {command[0]} in {place} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout
