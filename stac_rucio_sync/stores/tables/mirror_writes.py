"""The mirror of Rucio as its watcher writes it: replicas, RSEs and distances, and links that metadata name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from stac_rucio_sync.model import Did, Replica, Rse
from stac_rucio_sync.stores.tables.described import DescribedRows
from stac_rucio_sync.stores.tables.load import Load, write_distances
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges
from stac_rucio_sync.stores.tables.rows import rse_rows
from stac_rucio_sync.stores.tables.session import Sessions
from stac_rucio_sync.stores.tables.watch_state import WatchState

# LATERAL with OFFSET 0 or LIMIT is a look-up by key for each key, whatever the planner believes of the tables.
_HELD = """
    SELECT k.n, r.rse, r.pfn, r.state, r.needs_login
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(scope, name, n)
        CROSS JOIN LATERAL (SELECT FROM lake.file WHERE (scope, name) = (k.scope, k.name) LIMIT 1) f
        LEFT JOIN LATERAL (SELECT * FROM lake.replica WHERE (scope, name) = (k.scope, k.name) OFFSET 0) r ON true
"""
_FILES_OF = """
    SELECT k.n, f.scope, f.name
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(scope, name, n)
        CROSS JOIN LATERAL (SELECT collection, id FROM lake.item WHERE (scope, name) = (k.scope, k.name) OFFSET 0) i
        LEFT JOIN LATERAL
            (SELECT scope, name FROM lake.file WHERE (collection, id) = (i.collection, i.id) OFFSET 0) f ON true
"""
_AFTER = """
    SELECT DISTINCT scope, name FROM lake.file WHERE (scope, name) > (%s, %s) ORDER BY scope, name LIMIT %s
"""
# A file that goes meanwhile takes its rows of the mirror with it: it cannot go before these are written.
_STILL_THERE = """
    SELECT f.scope, f.name FROM unnest(%s::text[], %s::text[]) AS k(scope, name),
        LATERAL (SELECT scope, name FROM lake.file WHERE (scope, name) = (k.scope, k.name) OFFSET 0 FOR KEY SHARE) f
"""
_COUNT_OF_NO_FILE = """
    SELECT count(*) FROM lake.replica t
    WHERE NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (t.scope, t.name))
"""
_DROP_OF_NO_FILE = """
    DELETE FROM lake.replica t
    WHERE NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (t.scope, t.name))
"""
_DIDS_AFTER = """
    (SELECT scope, name FROM lake.item WHERE (scope, name) > (%(scope)s, %(name)s) ORDER BY scope, name LIMIT %(most)s)
    UNION
    (SELECT DISTINCT scope, name FROM lake.file WHERE (scope, name) > (%(scope)s, %(name)s)
        ORDER BY scope, name LIMIT %(most)s)
    ORDER BY scope, name LIMIT %(most)s
"""
_WITH_LINKS = """
    SELECT DISTINCT l.scope, l.name FROM unnest(%s::text[], %s::text[]) AS k(scope, name),
        LATERAL (SELECT scope, name FROM lake.did_link WHERE (scope, name) = (k.scope, k.name) OFFSET 0) l
"""
_MIRROR_LINKS = "SELECT lake.mirror_links(%s::text[], %s::text[], %s::jsonb[])"
_DROP_RSES = """
    WITH gone AS (DELETE FROM lake.rse WHERE rse <> ALL(%(rses)s))
    DELETE FROM lake.rse_distance WHERE source <> ALL(%(rses)s) OR destination <> ALL(%(rses)s)
"""
_DISTANCES_FROM = "SELECT source, destination, distance FROM lake.rse_distance WHERE source = ANY(%s::text[])"
_DROP_DISTANCES = """
    DELETE FROM lake.rse_distance t USING unnest(%s::text[], %s::text[]) AS k(source, destination)
    WHERE (t.source, t.destination) = (k.source, k.destination)
"""


class MirrorWrites:
    """The write side of the mirror; may be used from several threads, and every call may be done twice.

    Parameters
    ----------
    sessions
        The pool; `open` makes it.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.state = WatchState(sessions)
        self.described = DescribedRows(sessions)

    @classmethod
    def open(cls, url: str) -> MirrorWrites:
        """Open the database.

        Parameters
        ----------
        url
            ``postgresql://`` URL of a role that has ``lake_ingest``.

        Raises
        ------
        TransientError
            The database does not answer.
        FatalError
            It refuses the log-in, or has no mirror yet.
        """
        lacking = "the database has no mirror of replicas yet: run stac-rucio-sync db apply"
        return cls(Sessions.open(url, table="lake.mirror", lacking=lacking))

    def close(self) -> None:
        """Give the connections back."""
        self._sessions.close()

    # --------------------------------------------------------------------------------------------------- replicas

    def clock(self) -> datetime:
        """Return the time by the clock that all writers share (UTC)."""
        now: datetime = self._sessions.rows("SELECT clock_timestamp()")[0][0]
        return now

    def held(self, dids: Sequence[Did]) -> dict[Did, dict[str, Replica]]:
        """Return what the mirror says of files, by RSE; files that no item has are left out."""
        found: dict[Did, dict[str, Replica]] = {}
        for n, rse, *row in self._sessions.rows(_HELD, _columns(dids)) if dids else ():
            did = dids[n - 1]
            replicas = found.setdefault(did, {})
            if rse is not None:
                replicas[rse] = Replica(did, rse, *row)
        return found

    def files_of(self, datasets: Sequence[Did]) -> dict[Did, list[Did]]:
        """Return the files of items by their datasets; what is no item's dataset is left out."""
        files: dict[Did, list[Did]] = {}
        for n, scope, name in self._sessions.rows(_FILES_OF, _columns(datasets)) if datasets else ():
            of_dataset = files.setdefault(datasets[n - 1], [])
            if name is not None:
                of_dataset.append(Did(scope, name))
        return files

    def files_after(self, last: Did | None, most: int) -> list[Did]:
        """Return the files that come after one, in the order of their DIDs."""
        return [Did(*row) for row in self._sessions.rows(_AFTER, [*(last or ("", "")), most])]

    def count_files(self) -> int:
        """Return how many files all items have together."""
        return int(self._sessions.rows("SELECT count(*) FROM (SELECT DISTINCT scope, name FROM lake.file) f")[0][0])

    def collections(self) -> list[str]:
        """Return the collections that items are of."""
        rows = self._sessions.rows("SELECT DISTINCT collection FROM lake.item WHERE collection <> '' ORDER BY 1")
        return [collection for (collection,) in rows]

    def write(self, answers: Mapping[Did, Sequence[Replica]], asked: datetime) -> MirrorChanges:
        """Make the mirror hold what Rucio answered of files, unless it holds the answer to a later question.

        Parameters
        ----------
        answers
            By file, all its replicas. Files that no item has any more are passed over.
        asked
            When Rucio was asked, by `clock`.
        """

        def write() -> MirrorChanges:
            with self._sessions.transaction() as (connection, pooled):
                load = Load(connection, pooled)
                load.prepare_replicas()
                there = {Did(*row) for row in connection.execute(_STILL_THERE, _columns(sorted(answers)))}
                rows = [
                    (*did, replica.rse, replica.pfn, replica.state, replica.needs_login)
                    for did in sorted(there)
                    for replica in answers[did]
                ]
                return load.write_replicas(there, rows, asked)

        return self._sessions.call(write) if answers else MirrorChanges()

    def of_no_file(self, *, drop: bool) -> int:
        """Return how many rows of the mirror are of files that no item has; drop them where that is asked for."""

        def clear() -> int:
            with self._sessions.transaction() as (connection, _):
                connection.execute("SET LOCAL enable_seqscan = on")  # this reads whole tables
                if drop:
                    return connection.execute(_DROP_OF_NO_FILE).rowcount
                return int(connection.execute(_COUNT_OF_NO_FILE).fetchall()[0][0])

        return self._sessions.call(clear)

    # ------------------------------------------------------------------------------------------------------ links

    def dids_after(self, last: Did | None, most: int) -> list[Did]:
        """Return the datasets and files of items that come after one, in the order of their DIDs."""
        place = {"scope": last.scope if last else "", "name": last.name if last else "", "most": most}
        return [Did(*row) for row in self._sessions.rows(_DIDS_AFTER, place)]

    def write_links(self, dids: Sequence[Did], links: Mapping[Did, Any]) -> int:
        """Make the tables say what the metadata of DIDs name under ``datalinks``; return of how many DIDs it differed.

        Parameters
        ----------
        dids
            Those that were asked for.
        links
            What they say, whatever it is; what is no list of links goes to quarantine with its reason.
        """

        def write() -> int:
            with self._sessions.transaction() as (connection, _):
                there = {Did(*row) for row in connection.execute(_WITH_LINKS, _columns(dids))}
                concerned = sorted(there | links.keys())
                if not concerned:
                    return 0
                lists = [Jsonb(links[did]) if did in links else None for did in concerned]
                values = [*_columns(concerned), lists]
                return int(connection.execute(_MIRROR_LINKS, values).fetchall()[0][0])

        return self._sessions.call(write) if dids else 0

    # ------------------------------------------------------------------------------------------------------- RSEs

    def rses(self) -> dict[str, Rse]:
        """Return what the tables say of RSEs."""
        columns = "rse, deterministic, rse_type, available_read, site, latitude, longitude, origin"
        return {row[0]: Rse(*row) for row in self._sessions.rows(f"SELECT {columns} FROM lake.rse")}  # noqa: S608 - constants above

    def distances(self, sources: Collection[str] | None = None) -> dict[tuple[str, str], int]:
        """Return what the tables say of distances: of those from some RSEs, or of all."""
        if sources is None:
            rows = self._sessions.rows("SELECT source, destination, distance FROM lake.rse_distance")
        else:
            rows = self._sessions.rows(_DISTANCES_FROM, [sorted(sources)]) if sources else []
        return {(source, destination): distance for source, destination, distance in rows}

    def write_rses(self, rses: Iterable[Rse], names: Collection[str]) -> None:
        """Add RSEs, or bring them up to date, and take away those that are not among all the names."""
        rows = rse_rows(rses)

        def write() -> None:
            with self._sessions.transaction() as (connection, pooled):
                Load(connection, pooled).write_rses(rows)
                connection.execute(_DROP_RSES, {"rses": sorted(names)})

        self._sessions.call(write)

    def write_distances(self, distances: Mapping[tuple[str, str], int | None]) -> None:
        """Make the tables say these distances; None: there is none."""
        declared = {way: distance for way, distance in distances.items() if distance is not None}
        others = sorted(distances.keys() - declared.keys())

        def write() -> None:
            with self._sessions.transaction() as (connection, _):
                if declared:
                    write_distances(connection, declared)
                if others:
                    connection.execute(_DROP_DISTANCES, _columns(others))

        self._sessions.call(write)


def _columns(keys: Collection[tuple[str, ...]]) -> list[list[str]]:
    """Return keys as columns; there is at least one."""
    return [list(column) for column in zip(*keys, strict=True)]
