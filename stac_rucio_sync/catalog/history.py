"""The history of a repository: what became of an object, what a commit did, what differs; and going back.

History only grows: going back to an earlier version is a commit like others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import NamedTuple

from stac_rucio_sync.catalog.comparison import Difference, compared
from stac_rucio_sync.catalog.index import ChangedObject, ObjectKey
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.objects import Commit
from stac_rucio_sync.catalog.repository import AUTHOR, Repository, Version
from stac_rucio_sync.catalog.restrictions import OPERATIONS, restrictions
from stac_rucio_sync.errors import UsageError


class LoggedCommit(NamedTuple):
    """A commit, and how many objects it changed."""

    number: int
    commit: Commit
    counts: dict[str, int]
    """By fate: ``added``, ``modified``, ``moved``, ``removed``."""


class Event(NamedTuple):
    """What a commit did to an object."""

    number: int
    commit: Commit
    key: ObjectKey
    fate: str
    """``added``, ``modified``, ``moved`` or ``removed``."""
    path: str
    old_path: str | None = None
    """Of a moved object: where it lay before."""


def log(repository: Repository, limit: int | None = None) -> Iterator[LoggedCommit]:
    """Yield the commits, the latest first, with what they changed.

    Parameters
    ----------
    limit
        At most so many; None: all.
    """
    head = repository.head()
    for number, commit in zip(
        range(head.number, 0, -1), islice(repository.objects.commits(head.commit.oid), limit), strict=False
    ):
        yield LoggedCommit(number, commit, repository.index.counts_of(number))


def history_of(repository: Repository, identifier: str, limit: int | None = None) -> Iterator[Event]:
    """Yield what became of the objects that a person means, the latest first; removed ones have a history, too.

    Parameters
    ----------
    identifier
        An id, ``collection/id``, or a path.
    limit
        At most so many; None: all.

    Raises
    ------
    UsageError
        There never was such an object.
    """
    repository.index.catch_up()
    events = _events(repository, identifier)
    first = next(events, None)
    if first is None:
        raise UsageError(f"there never was a {identifier} in the catalogue {repository.place}")
    yield first
    yield from islice(events, None if limit is None else limit - 1)


def compare(repository: Repository, old: Version | None, new: Version) -> Iterator[Difference]:
    """Yield the objects that differ between two versions, field by field; None: before the first one."""
    return compared(repository.objects, None if old is None else old.commit.tree, new.commit.tree)


def changes_of(repository: Repository, version: Version) -> Iterator[Difference]:
    """Yield what a version changed in the one before it."""
    parent = version.commit.parent
    return compare(repository, None if parent is None else repository.version(parent), version)


def rollback(
    repository: Repository,
    target: Version,
    *,
    message: str | None = None,
    author: str = AUTHOR,
    wait: float = 600.0,
) -> Commit | None:
    """Make a new version that holds what an earlier one held.

    Parameters
    ----------
    target
        The earlier version.
    message
        Of the commit. Default: which version it goes back to.
    wait
        Seconds to wait for other writers.

    Returns
    -------
    Commit or None
        None: the catalogue holds this already.

    Raises
    ------
    TransientError
        Another writer goes on for longer than that.
    UsageError
        The catalogue allows some operations only: this may be any of them.
    """
    said = message or f"Go back to commit {target.number} ({target.commit.oid[:10]})"
    with writer_lock(repository.place, wait), repository.objects.writing() as writing:
        for operation in OPERATIONS:
            restrictions(repository.place).check(operation)
        head = repository.head().commit
        if head.tree == target.commit.tree:
            return None
        commit = writing.save(target.commit.tree, said, author, max(datetime.now(UTC), head.when))
    repository.index.catch_up()
    return commit


def _events(repository: Repository, identifier: str) -> Iterator[Event]:
    for number, changes in groupby(_changes(repository, identifier), lambda change: change.number):
        commit = repository.objects.commit(repository.index.oid(number))
        of_objects: dict[ObjectKey, list[ChangedObject]] = {}
        for change in changes:
            of_objects.setdefault(change.key, []).append(change)
        for key, of_object in of_objects.items():
            yield from _of_one(number, commit, key, of_object)


def _of_one(number: int, commit: Commit, key: ObjectKey, changes: list[ChangedObject]) -> Iterator[Event]:
    """Join what one commit did to one object: gone from one path and come to another, it was moved."""
    gone = [change.path for change in changes if change.fate == "removed"]
    come = [change.path for change in changes if change.fate == "added"]
    if len(gone) == len(come) == 1:
        yield Event(number, commit, key, "moved", come[0], gone[0])
        return
    for change in changes:
        yield Event(number, commit, key, change.fate, change.path)


def _changes(repository: Repository, identifier: str) -> Iterator[ChangedObject]:
    """Yield what the index knows of an id, else of a collection and an id, else of a path."""
    index = repository.index
    slashes = [at for at, character in enumerate(identifier) if character == "/"]
    for changes in (
        index.changes(identifier),
        *(index.changes(identifier[at + 1 :], identifier[:at]) for at in slashes),
        index.changes_at(identifier),
    ):
        first = next(changes, None)
        if first is not None:
            yield first
            yield from changes
            return
