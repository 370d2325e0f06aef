"""How the mirror of replicas is written, whoever writes: all that Rucio answered of a file, unless the answer is old.

A sync, the watcher, a rebuild and an audit may ask Rucio of one file at the same time, and the one that asked first may
write last. So every answer carries the time at which it was asked for, by the database's clock, which all writers
share, and ``lake.replica.updated`` keeps it: a change of one replica stamps all rows of its file, and an answer that is
older than a stamp is late and changes nothing. The rows are locked before the stamps are compared, so that nothing
comes between. Answers that change nothing leave no stamp, which keeps a comparison of the whole mirror from writing it
anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.tables.rows import Row

# LATERAL with OFFSET 0 is a look-up by key for each key, whatever the planner believes of the tables.
_LOCKED = """
    SELECT t.scope, t.name, t.rse, t.pfn, t.state, t.needs_login, t.updated
    FROM unnest(%s::text[], %s::text[]) AS k(scope, name),
        LATERAL (SELECT * FROM lake.replica WHERE (scope, name) = (k.scope, k.name) ORDER BY rse OFFSET 0 FOR UPDATE) t
"""
_DROP = """
    DELETE FROM lake.replica t USING unnest(%s::text[], %s::text[], %s::text[]) AS k(scope, name, rse)
    WHERE (t.scope, t.name, t.rse) = (k.scope, k.name, k.rse)
"""
_STAMP = """
    UPDATE lake.replica t SET updated = %s FROM unnest(%s::text[], %s::text[]) AS k(scope, name)
    WHERE (t.scope, t.name) = (k.scope, k.name) AND t.updated < %s
"""
_COPY = "COPY pg_temp.load_replica (scope, name, rse, pfn, state, needs_login) FROM STDIN"
_WRITE = """
    INSERT INTO lake.replica AS t (scope, name, rse, pfn, state, needs_login, updated)
    SELECT scope, name, rse, pfn, state, needs_login, %s FROM pg_temp.load_replica
    ON CONFLICT (scope, name, rse) DO UPDATE
    SET pfn = EXCLUDED.pfn, state = EXCLUDED.state, needs_login = EXCLUDED.needs_login, updated = EXCLUDED.updated
    WHERE t.updated <= EXCLUDED.updated
"""
_KEY = 3
"""Columns of a row's key: scope, name, RSE."""


@dataclass(frozen=True, slots=True)
class MirrorChanges:
    """Rows of the mirror that a write changed."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    late: int = 0
    """Files of which a newer answer was there already."""

    def __add__(self, other: MirrorChanges) -> MirrorChanges:
        return MirrorChanges(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def any(self) -> int:
        """Rows that are not what they were."""
        return self.added + self.changed + self.removed


def write_replicas(
    connection: psycopg.Connection[Any], dids: Iterable[Did], rows: Sequence[Row], asked: datetime | None
) -> MirrorChanges:
    """Make the mirror hold exactly these replicas of files, in the caller's transaction.

    Parameters
    ----------
    connection
        With an empty temporary table ``load_replica``.
    dids
        The files that were asked for.
    rows
        All their replicas.
    asked
        When Rucio was asked, by the database's clock (UTC); None: now.
    """
    files = sorted(set(dids))
    if not files:
        return MirrorChanges()
    if asked is None:
        asked = connection.execute("SELECT clock_timestamp()").fetchall()[0][0]
    there, stamps = _locked(connection, files)
    late = {did for did, stamp in stamps.items() if stamp > asked}
    wanted = {row[:_KEY]: row for row in rows if row[:2] not in late}
    kept = {key: row for key, row in there.items() if key[:2] not in late}
    gone = [key for key in kept if key not in wanted]
    fresh = [row for key, row in sorted(wanted.items()) if kept.get(key) != row]
    added = sum(row[:_KEY] not in kept for row in fresh)
    if gone:
        connection.execute(_DROP, _columns(gone))
    if fresh:
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in fresh:
                copy.write_row(row)
        connection.execute(_WRITE, [asked])
    if touched := {key[:2] for key in (*gone, *(row[:_KEY] for row in fresh))} & stamps.keys():
        connection.execute(_STAMP, [asked, *_columns(sorted(touched)), asked])
    return MirrorChanges(added, len(fresh) - added, len(gone), len(late))


def _locked(
    connection: psycopg.Connection[Any], files: Collection[Did]
) -> tuple[Mapping[tuple[str, ...], Row], Mapping[tuple[str, ...], datetime]]:
    """Lock the rows of files; return them by key, and the newest stamp by file.

    Who waited for another writer's lock sees the rows that were there before, changed or gone, and not those that the
    other has added: so where there are any, they are read once more when the locks are held.
    """
    rows: dict[tuple[str, ...], Row] = {}
    stamps: dict[tuple[str, ...], list[datetime]] = defaultdict(list)
    if not connection.execute(_LOCKED, _columns(files)).rowcount:
        return {}, {}
    for *row, updated in connection.execute(_LOCKED, _columns(files)):
        rows[tuple(row[:_KEY])] = tuple(row)
        stamps[tuple(row[:2])].append(updated)
    return rows, {did: max(these) for did, these in stamps.items()}


def _columns(keys: Collection[tuple[str, ...]]) -> list[list[str]]:
    return [list(column) for column in zip(*keys, strict=True)]
