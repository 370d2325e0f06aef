"""The index of a repository's history: which object changed in which commit, and where it lay.

It is made from the commits alone, in SQLite beside them, and catches up whenever it is behind: whoever loses it loses
nothing. The number of a commit counts from 1.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from stac_rucio_sync.catalog.fields import equal
from stac_rucio_sync.catalog.index_file import INDEX, instead, is_denied, opened
from stac_rucio_sync.catalog.objects import Commit, MissingObjectError, Objects
from stac_rucio_sync.catalog.paths import is_hidden, item_beside
from stac_rucio_sync.catalog.trees import ChangedPath, Tree, differences
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS

LOG = logging.getLogger(__name__)

PAGE = "stac_rucio_sync:page"
"""Marks a catalogue that only divides a long list of links: it is none of the objects that people ask for."""


class ObjectKey(NamedTuple):
    """What names a STAC object of a repository."""

    kind: str
    """``item``, ``collection`` or ``catalog``."""
    collection: str
    """Of an item; else empty, and of an item without one."""
    id: str


class ChangedObject(NamedTuple):
    """What became of one STAC object in one commit."""

    number: int
    key: ObjectKey
    path: str
    fate: str
    """``added``, ``modified`` or ``removed``."""


class HistoryIndex:
    """The index of one repository, in step with its head when it is opened.

    Parameters
    ----------
    objects
        The repository.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._file = objects.place / INDEX
        self._connection = opened(self._file)
        self.catch_up()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def catch_up(self) -> None:
        """Take in the commits that are not in the index yet.

        Where its file cannot be written or is damaged, one in memory takes its place, and the next who opens the
        repository makes the file again: whatever becomes of it, the commits stand.
        """
        try:
            self._catch_up()
        except sqlite3.DatabaseError as error:
            if self._is_in_memory:
                raise
            if not is_denied(error):
                self._warn(error)
            self._connection = instead(self._connection, self._file, error)
            self._catch_up()

    def _warn(self, error: sqlite3.DatabaseError) -> None:
        sentence = f"the commits stand, but their index {self._file} cannot be kept ({error}): it is made again later"
        self._objects.warnings.append(sentence)
        LOG.warning("%s", sentence)

    @property
    def _is_in_memory(self) -> bool:
        return not self._one("SELECT file FROM pragma_database_list WHERE name = 'main'")[0]

    def _catch_up(self) -> None:
        head = self._objects.head()
        if head is None or self.number(head) is not None:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            missing: list[Commit] = []
            for commit in self._objects.commits(head):
                if self.number(commit.oid) is not None:
                    break
                missing.append(commit)
            before = self.number(missing[-1].parent) if missing and missing[-1].parent else None
            if before is None or before != self.latest():
                # Not the repository that this index was made of: begin anew.
                self._connection.execute('DELETE FROM "commit"')
                self._connection.execute("DELETE FROM change")
                self._connection.execute("DELETE FROM present")
                missing = list(self._objects.commits(head))
                before = 0
            for number, commit in enumerate(reversed(missing), start=before + 1):
                self._take_in(number, commit)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # else SQLite has rolled back itself
                self._connection.execute("ROLLBACK")
            raise

    def latest(self) -> int:
        """Return the number of the latest commit, which is how many there are."""
        (number,) = self._one('SELECT coalesce(max(number), 0) FROM "commit"')
        return int(number)

    def number(self, oid: str | None) -> int | None:
        """Return the number of a commit; None: it is not in the index."""
        found = self._connection.execute('SELECT number FROM "commit" WHERE oid = ?', (oid,)).fetchone()
        return None if found is None else int(found[0])

    def oid(self, number: int) -> str:
        """Return the commit with a number.

        Raises
        ------
        MissingObjectError
            There is none.
        """
        found = self._connection.execute('SELECT oid FROM "commit" WHERE number = ?', (number,)).fetchone()
        if found is None:
            raise MissingObjectError(f"there is no commit {number}: the latest is {self.latest()}")
        return str(found[0])

    def oid_at(self, when: datetime) -> str:
        """Return the latest commit at or before an instant; one without a zone is UTC.

        Raises
        ------
        MissingObjectError
            There was none yet.
        """
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        found = self._connection.execute(
            'SELECT oid FROM "commit" WHERE seconds <= ? ORDER BY number DESC LIMIT 1', (when.timestamp(),)
        ).fetchone()
        if found is None:
            raise MissingObjectError(f"at {when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} there was no commit yet")
        return str(found[0])

    def changes(self, identifier: str, collection: str | None = None) -> Iterator[ChangedObject]:
        """Yield what became of the objects with an id, the latest first."""
        rows = self._connection.execute(
            "SELECT number, kind, collection, id, path, fate FROM change WHERE id = ? AND (? IS NULL OR collection = ?)"
            " ORDER BY number DESC, path",
            (identifier, collection, collection),
        )
        yield from map(_changed_object, rows)

    def changes_at(self, path: str) -> Iterator[ChangedObject]:
        """Yield what became of the objects at a path, the latest first."""
        rows = self._connection.execute(
            "SELECT number, kind, collection, id, path, fate FROM change WHERE path = ? ORDER BY number DESC, id",
            (path,),
        )
        yield from map(_changed_object, rows)

    def changes_of(self, number: int) -> Iterator[ChangedObject]:
        """Yield what a commit did, in the order of paths."""
        rows = self._connection.execute(
            "SELECT number, kind, collection, id, path, fate FROM change WHERE number = ? ORDER BY path", (number,)
        )
        yield from map(_changed_object, rows)

    def counts_of(self, number: int) -> dict[str, int]:
        """Return how many objects a commit added, modified, moved (from one path to another) and removed, by fate."""
        rows = self._connection.execute(
            "SELECT fate, count(*) FROM ("
            "  SELECT CASE WHEN min(fate) = 'added' AND max(fate) = 'removed' THEN 'moved' ELSE min(fate) END AS fate"
            "  FROM change WHERE number = ? GROUP BY kind, collection, id"
            ") GROUP BY fate",
            (number,),
        )
        return {str(fate): int(count) for fate, count in rows}

    def located(self, identifier: str, number: int, collection: str | None = None) -> list[tuple[ObjectKey, str]]:
        """Return the objects with an id as they lay in a version, with their paths."""
        which, values = "id = ? AND (? IS NULL OR collection = ?)", (identifier, collection, collection)
        held = self._held_now(number, which, values)
        return list(self._held_then(number, which, values)) if held is None else held

    def items_of(self, collection: str, number: int) -> Iterator[tuple[ObjectKey, str]]:
        """Yield the items of a collection in a version, wherever they lie, with their paths."""
        which, values = "collection = ? AND kind = 'item'", (collection,)
        held = self._held_now(number, which, values)
        yield from self._held_then(number, which, values) if held is None else held

    def _held_then(self, number: int, which: str, values: tuple[str | None, ...]) -> Iterator[tuple[ObjectKey, str]]:
        """Yield what a version held, in the order of paths."""
        statement = (
            "SELECT kind, collection, id, path, fate, max(number) FROM change"  # noqa: S608 - the condition is ours
            f" WHERE {which} AND number <= ? GROUP BY id, collection, kind, path ORDER BY path"
        )
        for row in self._connection.execute(statement, (*values, number)):
            if row[4] != "removed":
                yield ObjectKey(*row[:3]), row[3]

    def _held_now(self, number: int, which: str, values: tuple[str | None, ...]) -> list[tuple[ObjectKey, str]] | None:
        """Return what the latest version holds, in the order of paths; None: the number is not the latest one's."""
        self._connection.execute("BEGIN")  # another process may take a commit in just now
        try:
            if number != self.latest():
                return None
            statement = f"SELECT kind, collection, id, path FROM present WHERE {which} ORDER BY path"  # noqa: S608 - ours
            rows = self._connection.execute(statement, values)
            return [(ObjectKey(*row[:3]), row[3]) for row in rows]
        finally:
            self._connection.execute("COMMIT")

    def places_of(self, key: ObjectKey, number: int) -> dict[str, int]:
        """Return where an object lay in a version: each path, with the commit that changed the object there last."""
        latest: dict[str, ChangedObject] = {}
        for change in self.changes(key.id, key.collection):
            if change.key == key and change.number <= number:
                latest.setdefault(change.path, change)
        return {path: change.number for path, change in sorted(latest.items()) if change.fate != "removed"}

    def count_items(self, number: int) -> int:
        """Return how many items a version holds; one that lies at two places counts twice."""
        (count,) = self._one(
            "SELECT coalesce(sum(CASE fate WHEN 'added' THEN 1 WHEN 'removed' THEN -1 ELSE 0 END), 0) FROM change"
            " WHERE kind = 'item' AND number <= ?",
            (number,),
        )
        return int(count)

    def items_touched(self, after: int, until: int) -> Iterator[ObjectKey]:
        """Yield the items that commits changed, added or removed, each once, in the order of collections and ids.

        Parameters
        ----------
        after, until
            The commits with numbers above ``after``, to ``until``.
        """
        rows = self._connection.execute(
            "SELECT DISTINCT kind, collection, id FROM change WHERE kind = 'item' AND number > ? AND number <= ?"
            " ORDER BY collection, id",
            (after, until),
        )
        yield from (ObjectKey(*row) for row in rows)

    def count_touched(self, after: int, until: int) -> int:
        """Return how many items `items_touched` yields."""
        (count,) = self._one(
            "SELECT count(*) FROM (SELECT DISTINCT collection, id FROM change"
            " WHERE kind = 'item' AND number > ? AND number <= ?)",
            (after, until),
        )
        return int(count)

    def _take_in(self, number: int, commit: Commit) -> None:
        before = self._objects.commit(commit.parent).tree if commit.parent else None
        rows, items, told = [], set(), set()
        for path in differences(self._objects, before, commit.tree):
            if (item := item_beside(path.path)) is not None:
                items.add(item)
            for (kind, collection, identifier), fate in self._changes(path):
                rows.append((identifier, collection, kind, path.path, number, fate))
                told.add(path.path)
        tree = Tree(self._objects, commit.tree)
        for item in sorted(items - told):  # only a file beside it is another one
            entry = tree.entry(item)
            key = key_of(self._stac(entry.oid)) if entry is not None and not entry.is_folder else None
            if key is not None:
                rows.append((key.id, key.collection, key.kind, item, number, "modified"))
        self._connection.execute('INSERT INTO "commit" VALUES (?, ?, ?)', (number, commit.oid, commit.when.timestamp()))
        self._connection.executemany("INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?, ?, ?)", rows)
        gone = (row[:4] for row in rows if row[5] == "removed")
        come = (row[:4] for row in rows if row[5] == "added")
        self._connection.executemany(
            "DELETE FROM present WHERE id = ? AND collection = ? AND kind = ? AND path = ?", gone
        )
        self._connection.executemany("INSERT OR REPLACE INTO present VALUES (?, ?, ?, ?)", come)

    def _changes(self, path: ChangedPath) -> Iterator[tuple[ObjectKey, str]]:
        if not may_be_object(path.path):
            return
        old, new = self._stac(path.old), self._stac(path.new)
        was, is_ = key_of(old), key_of(new)
        if was is not None and was != is_:
            yield was, "removed"
        if is_ is not None and was != is_:
            yield is_, "added"
        elif is_ is not None and old is not None and new is not None and not same(old, new):
            yield is_, "modified"

    def _stac(self, oid: str | None) -> dict[str, Any] | None:
        if oid is None:
            return None
        try:
            said = orjson.loads(self._objects.file(oid))
        except orjson.JSONDecodeError:
            return None
        return said if isinstance(said, dict) else None

    def _one(self, statement: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._connection.execute(statement, values).fetchone()
        return found


def may_be_object(path: str) -> bool:
    """Tell whether a file may be a STAC object: a JSON file that is neither hidden nor an asset."""
    return path.endswith(".json") and not is_hidden(path) and item_beside(path) is None


def key_of(stac: Mapping[str, Any] | None) -> ObjectKey | None:
    """Return what names a STAC object; None: it is none, or only a page."""
    if stac is None or PAGE in stac or not isinstance(stac.get("id"), str):
        return None
    kind = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}.get(str(stac.get("type")))
    if kind is None and isinstance(stac.get("links"), list):  # STAC before 1.0 had no type in catalogues
        kind = "collection" if "extent" in stac else "catalog" if "description" in stac else None
    collection = stac.get("collection") if kind == "item" else None
    return None if kind is None else ObjectKey(kind, collection if isinstance(collection, str) else "", stac["id"])


def same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether two states of an object differ in nothing but the links that hold the catalogue together."""
    return old.keys() == new.keys() and all(
        equal(old[name], new[name]) or (name == "links" and equal(_own_links(old), _own_links(new))) for name in old
    )


def _own_links(stac: Mapping[str, Any]) -> list[Any]:
    links = stac.get("links")
    return [link for link in links if not _structural(link)] if isinstance(links, list) else []


def _structural(link: object) -> bool:
    return isinstance(link, Mapping) and link.get("rel") in STRUCTURAL_RELATIONS


def _changed_object(row: tuple[Any, ...]) -> ChangedObject:
    number, kind, collection, identifier, path, fate = row
    return ChangedObject(number, ObjectKey(kind, collection, identifier), path, fate)
