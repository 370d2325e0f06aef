"""Copies of a whole repository, history included: what is not there yet goes over, and comes back by `restore`.

A git repository goes to a folder or to any URL that git can push to; one of plain files to a folder. A backup is a
repository by itself: of the same backend, with the same commits.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from stac_rucio_sync.catalog.durable import sync_all_below
from stac_rucio_sync.catalog.git_format import BRANCH
from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.git_program import run_git
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.objects import Commit, MissingObjectError, Objects, Writing
from stac_rucio_sync.catalog.plain_objects import PlainObjects
from stac_rucio_sync.catalog.repository import BACKENDS, Repository
from stac_rucio_sync.errors import FatalError, UsageError

Progress = Callable[[int, int | None], None]
"""Told of commits done, and of all (None: not known)."""
_CHUNK = 1 << 20
_LFS_OBJECT = "[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"


class Copied(NamedTuple):
    """What went over."""

    commits: int
    large_files: int
    """Of Git LFS."""
    head: str
    """The latest commit, there as here."""


def backup(repository: Repository, uri: str, on_progress: Progress = lambda done, total: None) -> Copied:
    """Bring a backup in step with a repository; the first time it is made.

    Nobody is kept waiting meanwhile, neither readers nor writers of the repository.

    Parameters
    ----------
    repository
        What is copied.
    uri
        A folder, or (git) a URL that git can push to.

    Raises
    ------
    UsageError
        What is there is no backup of this repository: it has commits that this one has not.
    FatalError
        It cannot be written.
    """
    head, folder = repository.head(), _folder(uri)
    if folder is None and isinstance(repository.objects, PlainObjects):
        raise UsageError(f"a repository of plain files is backed up to a folder; {_shown(uri)} is none")
    if folder is not None:
        if folder.resolve() == repository.place.resolve():
            raise UsageError(f"{uri} is the catalogue itself")
        if not folder.exists() or not any(folder.iterdir()):
            folder.mkdir(parents=True, exist_ok=True)
            BACKENDS[repository.backend].create(folder).close()
            if isinstance(repository.objects, GitObjects):  # else the few objects of a small push are not written down
                _git(folder, "config", "core.fsync", "committed")
    held = _held(repository, folder, uri)
    if isinstance(repository.objects, PlainObjects) and folder is not None:
        return _replayed(repository.objects, head.commit, PlainObjects(folder), on_progress)
    on_progress(0, head.number - held)
    large = _push_large(repository.place, folder, uri)
    target = str(folder.resolve()) if folder is not None else uri
    _git(repository.place, "push", "--quiet", "--", target, f"{head.commit.oid}:{BRANCH}")
    on_progress(head.number - held, head.number - held)
    return Copied(head.number - held, large, head.commit.oid)


def commits_to_copy(repository: Repository, uri: str) -> int:
    """Return how many commits a backup lacks, which may not be there yet.

    Raises
    ------
    UsageError
        What is there is no backup of this repository.
    """
    head, folder = repository.head(), _folder(uri)
    if folder is not None and (not folder.exists() or not any(folder.iterdir())):
        return head.number
    return head.number - _held(repository, folder, uri)


def restore(uri: str, place: Path, on_progress: Progress = lambda done, total: None) -> Copied:
    """Make a repository of a backup; what is not whole in the end is not left behind.

    Parameters
    ----------
    uri
        The backup: a folder, or a URL that git can fetch from.
    place
        Where the repository is to be; there must be nothing yet, or an empty folder.

    Raises
    ------
    UsageError
        There is something, or no backup.
    FatalError
        It cannot be read.
    """
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{place} is not empty: a repository is restored to a place of its own")
    folder = _folder(uri)
    place.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        if folder is None:
            copied = _fetched(uri, None, making)
        else:
            with Repository(folder) as source:
                if isinstance(source.objects, PlainObjects):
                    target = PlainObjects.create(making)
                    copied = _replayed(source.objects, source.head().commit, target, on_progress)
                else:
                    copied = _fetched(str(folder.resolve()), folder, making)
        making.chmod(0o755)
        sync_all_below(making)
        making.replace(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    with Repository(place) as restored:
        return copied._replace(commits=restored.head().number)


# ------------------------------------------------------------------------------------------------ git


def _held(repository: Repository, folder: Path | None, uri: str) -> int:
    """Return how many of the commits a backup has that is there."""
    if folder is None:
        answer = _git(repository.place, "ls-remote", "--", uri, BRANCH).split()
        oid = answer[0] if answer else None
    else:
        with Repository(folder) as there:
            if there.backend != repository.backend:
                raise UsageError(f"{uri} is kept by the backend {there.backend}, this one by {repository.backend}")
            oid = there.objects.head()
    held = 0 if oid is None else repository.index.number(oid)
    if held is None:
        raise UsageError(f"{_shown(uri)} holds commit {oid[:10] if oid else ''}, which {repository.place} has not")
    return held


def _fetched(uri: str, folder: Path | None, making: Path) -> Copied:
    """Fill an empty folder with a git backup."""
    objects = GitObjects.create(making)
    with closing(objects):
        _git(making, "fetch", "--quiet", "--", uri, f"{BRANCH}:{BRANCH}")
        head = objects.head()
    if head is None:
        raise UsageError(f"{_shown(uri)} holds no catalogue: it has no branch main")
    if folder is not None:
        return Copied(0, _copy_large(folder, making), head)
    if shutil.which("git-lfs") is not None:
        _git(making, "lfs", "fetch", "--all", "--", uri)
    return Copied(0, sum(1 for _ in _large_files(making)), head)


def _push_large(git_dir: Path, folder: Path | None, uri: str) -> int:
    """Have the bytes of large files there before the commits that name them."""
    if folder is not None:
        return _copy_large(git_dir, folder)
    count = sum(1 for _ in _large_files(git_dir))
    if count:
        if shutil.which("git-lfs") is None:
            raise FatalError("git-lfs is needed to push large files to a server: install it, or back up to a folder")
        _git(git_dir, "lfs", "push", "--all", "--", uri, BRANCH)
    return count


def _copy_large(source: Path, target: Path) -> int:
    """Copy the bytes of large files that are not there yet; each must be what its name says."""
    copied = 0
    for path in _large_files(source):
        final = target / "lfs" / "objects" / path.name[:2] / path.name[2:4] / path.name
        if final.exists():
            continue
        final.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target / "lfs" / "objects", prefix="incoming-")
        copy = Path(name)
        try:
            digest = hashlib.sha256()
            with path.open("rb") as one, os.fdopen(descriptor, "wb") as other:
                while chunk := one.read(_CHUNK):
                    digest.update(chunk)
                    other.write(chunk)
                other.flush()
                os.fsync(other.fileno())
            if digest.hexdigest() != path.name:
                raise FatalError(f"{path} is damaged: its SHA-256 is {digest.hexdigest()}")
            copy.chmod(0o444)
            copy.rename(final)
        finally:
            copy.unlink(missing_ok=True)
        copied += 1
    return copied


def _large_files(git_dir: Path) -> Iterator[Path]:
    for path in sorted((git_dir / "lfs" / "objects").glob(_LFS_OBJECT)):
        if re.fullmatch("[0-9a-f]{64}", path.name):
            yield path


def _git(git_dir: Path, *arguments: str) -> str:
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_DIR": str(git_dir)}
    done = run_git("-c", "fetch.fsckObjects=true", *arguments, environment=environment)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise FatalError(f"git {arguments[0]} failed: {_without_secrets(said)}")
    return done.stdout.decode(errors="replace")


# ------------------------------------------------------------------------------------------------ plain files


def _replayed(source: Objects, head: Commit, target: PlainObjects, on_progress: Progress) -> Copied:
    """Write the commits that a repository of plain files has not yet, the oldest first."""
    with closing(target), writer_lock(target.place), target.writing() as writing:
        there = target.head()
        missing: list[Commit] = []
        for commit in source.commits(head.oid):
            if commit.oid == there:
                break
            missing.append(commit)
        else:
            if there is not None:
                raise UsageError(f"{target.place} holds commit {there[:10]}, which {source.place} has not")
        for number, commit in enumerate(reversed(missing)):
            on_progress(number, len(missing))
            _copy_folder(source, commit.tree, target, writing)
            made = writing.save(commit.tree, commit.message, commit.author, commit.when)
            if made.oid != commit.oid:
                raise FatalError(f"{target.place}: commit {commit.oid[:10]} became {made.oid[:10]}: it is damaged")
        on_progress(len(missing), len(missing))
    return Copied(len(missing), 0, head.oid)


def _copy_folder(source: Objects, oid: str, target: PlainObjects, writing: Writing) -> None:
    """Copy a folder with all below it; one that is there is there with all below it."""
    if _has_folder(target, oid):
        return
    entries = source.folder(oid)
    for entry in entries.values():
        if entry.is_folder:
            _copy_folder(source, entry.oid, target, writing)
        else:
            path = source.large(entry.oid)
            copied = writing.put_large(path) if path is not None else writing.put_file(source.file(entry.oid))
            if copied.oid != entry.oid:
                raise FatalError(f"file {entry.oid} in {source.place} is damaged")
    writing.put_folder(entries)


def _has_folder(objects: Objects, oid: str) -> bool:
    try:
        objects.folder(oid)
    except MissingObjectError:
        return False
    return True


# ------------------------------------------------------------------------------------------------ places


def _folder(uri: str) -> Path | None:
    """Return the folder that a URI names; None: it is on another machine."""
    if uri.startswith("file://"):
        return Path(unquote(urlsplit(uri).path))
    if "://" in uri or re.match(r"[^/]*:", uri):  # a URL, or git's host:path
        return None
    return Path(uri)


def _shown(uri: str) -> str:
    return _without_secrets(uri)


def _without_secrets(text: str) -> str:
    """Leave user and password out of the URLs in a text."""
    return re.sub(r"://[^/@\s]+@", "://", text)
