"""The PostgreSQL store: what the last runs recorded, and one transaction for each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import (
    Cursor,
    Did,
    Found,
    FoundFile,
    FoundState,
    ItemKey,
    Quarantined,
    ReadEnd,
    Rse,
    Settled,
)
from stac_rucio_sync.stores.tables.load import Load, write_distances
from stac_rucio_sync.stores.tables.quarantine import keep, release, set_aside
from stac_rucio_sync.stores.tables.removal import Removals
from stac_rucio_sync.stores.tables.rows import Rows, plain_if_refused, plain_keys, plain_text, rows_of, rse_rows
from stac_rucio_sync.stores.tables.runs import SOURCE_LOCKS, Runs
from stac_rucio_sync.stores.tables.session import Sessions, translated
from stac_rucio_sync.stores.tables.state import Place, QuarantineEntry, RowDifference, SourceState
from stac_rucio_sync.stores.tables.statements import (
    BEGIN,
    END,
    FINGERPRINTS,
    FOUND_FILES,
    FOUND_ITEMS,
    FOUND_QUARANTINED,
    RELEASE_UNMET,
    SET_ASIDE_BY_TRIGGER,
    TRIGGER_THERE,
    WITHOUT_DISTANCES,
)
from stac_rucio_sync.stores.tables.untold import Untold, note, told

T = TypeVar("T")


class PostgresStore:
    """The tables of schema ``lake``; safe to use from several threads.

    Every call may be done twice with the same effect, and is tried again for a minute while the database does not
    answer (a restart, a fail-over); after that it raises `TransientError`.

    Parameters
    ----------
    sessions
        The pool; `open` makes it.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.removals = Removals(sessions)
        self.untold = Untold(sessions)
        self.runs = Runs(sessions)
        self._rses: dict[str, Rse] = {}
        self._sources: set[str] = set()

    @classmethod
    def open(cls, url: str) -> PostgresStore:
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
            It refuses the log-in, or its schema was never applied.
        """
        lacking = "the database has no schema of stac-rucio-sync: run stac-rucio-sync db apply"
        return cls(Sessions.open(url, table="lake.item", lacking=lacking))

    def close(self) -> None:
        """Give the connections back."""
        self._sessions.close()

    # --------------------------------------------------------------------------------------------- what was recorded

    def fingerprints(self, keys: Sequence[ItemKey]) -> tuple[dict[ItemKey, str], dict[ItemKey, str]]:
        """Return the fingerprints that items have, and those with which items went to quarantine: one round trip.

        An item may have both: it was good, and what came later was not.
        """
        if not keys:
            return {}, {}
        recorded: dict[ItemKey, str] = {}
        quarantined: dict[ItemKey, str] = {}
        for n, good, bad in self._sessions.rows(FINGERPRINTS, plain_keys(keys)):
            key = keys[n - 1]
            if good is not None:
                recorded[key] = good
            if bad is not None:
                quarantined[key] = bad
        return recorded, quarantined

    def found(self, keys: Sequence[ItemKey]) -> FoundState:
        """Return all that the last runs recorded for items: what a plan needs."""
        if not keys:
            return FoundState({}, {})
        columns = plain_keys(keys)
        files: dict[int, list[FoundFile]] = {}
        for n, asset, scope, name, size, adler32, md5, pfns in self._sessions.rows(FOUND_FILES, columns):
            files.setdefault(n, []).append(FoundFile(asset, Did(scope, name), size, adler32, md5, tuple(pfns)))
        items = {
            keys[n - 1]: Found(
                keys[n - 1], source, fingerprint, Did(scope, name), tuple(metadata), tuple(files.get(n, ()))
            )
            for n, source, fingerprint, scope, name, metadata in self._sessions.rows(FOUND_ITEMS, columns)
        }
        quarantined = {keys[n - 1]: bad for n, bad in self._sessions.rows(FOUND_QUARANTINED, columns)}
        return FoundState(items, quarantined)

    def resolve(self, did: Did) -> list[Place]:
        """Return the items and assets that a file DID or a dataset DID stands for (shared files: several)."""
        rows = self._sessions.rows(
            "SELECT collection, id, asset FROM lake.file WHERE (scope, name) = (%(scope)s, %(name)s) "
            "AND collection <> '' UNION ALL SELECT collection, id, NULL FROM lake.item "
            "WHERE (scope, name) = (%(scope)s, %(name)s) AND collection <> '' ORDER BY 1, 2, 3",
            did._asdict(),
        )
        return [Place(*row) for row in rows]

    def source_state(self, name: str) -> SourceState | None:
        """Return where a source stands; None: it was never read."""
        return next(iter(self.runs.states(name)), None)

    def status(self) -> list[SourceState]:
        """Return where every source stands, by name."""
        return self.runs.states()

    def items_of_source(self, name: str) -> Iterator[ItemKey]:
        """Yield the items that a source wrote last, sorted; memory does not grow with their number."""
        statement = "SELECT collection, id FROM lake.item WHERE source = %s ORDER BY collection, id"
        return (ItemKey(*row) for row in self._sessions.stream(statement, [name]))

    def quarantine(self, source: str | None = None) -> Iterator[QuarantineEntry]:
        """Yield what was set aside, of one source or of all, oldest first."""
        statement = """
            SELECT source, collection, id, position, reason, fingerprint, item, href, attempts, first_seen, last_seen,
                commit
            FROM lake.quarantine WHERE %(source)s::text IS NULL OR source = %(source)s ORDER BY source, entry
        """
        for name, collection, item_id, *rest in self._sessions.stream(statement, {"source": source}):
            yield QuarantineEntry(name, None if item_id is None else ItemKey(collection, item_id), *rest)

    # ----------------------------------------------------------------------------------------------- what is written

    def clock(self) -> datetime:
        """Return the time by the clock that all writers share (UTC)."""
        now: datetime = self._sessions.rows("SELECT clock_timestamp()")[0][0]
        return now

    def commit(
        self,
        source: str,
        settled: Sequence[Settled],
        quarantined: Sequence[Quarantined],
        end: ReadEnd | None = None,
        *,
        write_rows: bool = True,
        asked: datetime | None = None,
        untold: Mapping[ItemKey, str] = MappingProxyType({}),
    ) -> int:
        """Write a batch in one transaction: rows, files, links, replicas, state, quarantine, and the end of a read.

        Parameters
        ----------
        source
            Name of the source.
        settled
            Items whose effects in Rucio are done. Their files and links become exactly these; the replicas that
            ``registered`` names for a file are taken to be all that it has. They leave the quarantine.
        quarantined
            Items that are set aside; what an earlier run recorded for them stays.
        end
            With the last batch: the cursor (None keeps the old one). After a complete read, entries of this source in
            the quarantine that the run did not meet are gone.
        write_rows
            False where a trigger is the only writer of ObsCore rows.
        asked
            When Rucio was asked for the replicas, by `clock`: where somebody asked later and wrote first, the mirror
            of replicas stays as it is. None: now.
        untold
            What origins said in place of sizes, of items of the batch.

        Returns
        -------
        int
            ObsCore and EPN rows written; rows that are there already in the same words are not written.

        Raises
        ------
        RefusedError
            The database refuses a row, with its message; nothing was written, smaller calls find the item.
        TransientError
            The database did not answer for a minute.
        """
        rows = rows_of(source, settled)

        def write(these: Rows) -> int:
            with self._sessions.transaction() as (connection, pooled):
                written = 0
                if settled:
                    written = Load(connection, pooled).write_batch(these, write_rows=write_rows, asked=asked)
                    keys = [one.wanted.key for one in settled]
                    release(connection, keys)
                    told(connection, [key for key in keys if key not in untold])
                    note(connection, {key: untold[key] for key in keys if key in untold})
                if source not in self._sources:
                    connection.execute("INSERT INTO lake.source (name) VALUES (%s) ON CONFLICT DO NOTHING", [source])
                set_aside(connection, source, quarantined)
                if end is not None:
                    _end(connection, source, end)
                return written

        written = self._call_with(rows, write)
        self._sources.add(source)
        return written

    def begin(self, source: str, cursor: Cursor) -> None:
        """Record, before a run has any effect, from where the next one must read if this one is cut short."""
        self._sessions.execute(BEGIN, [Jsonb(cursor), source])

    def differing_rows(self, settled: Sequence[Settled]) -> dict[ItemKey, RowDifference]:
        """Compare ObsCore rows that a trigger made with those that are wanted.

        Returns
        -------
        dict
            The items whose row is missing or another one.

        Raises
        ------
        FatalError
            Rows are missing because there is no trigger that makes them.
        """
        if not settled:
            return {}
        rows = rows_of("", settled)

        def compare(these: Rows) -> list[tuple[Any, ...]]:
            with self._sessions.transaction() as (connection, pooled):
                return Load(connection, pooled).differing(these)

        by_publisher_did = {one.wanted.obscore.obs_publisher_did: one.wanted for one in settled}
        found = self._call_with(rows, compare)
        if any(missing for _, missing, _ in found) and not self._sessions.rows(TRIGGER_THERE):
            raise FatalError(
                "the settings say that Rucio's metadata are in PostgreSQL, but no trigger of stac-rucio-sync is on its "
                "table: run stac-rucio-sync db apply after Rucio's server made rucio.dids in this database"
            )
        reasons = dict(
            self._sessions.rows(SET_ASIDE_BY_TRIGGER, [[str(by_publisher_did[one].did) for one, _, _ in found]])
        )
        return {
            by_publisher_did[publisher_did].key: RowDifference(
                missing, tuple(columns), reasons.get(str(by_publisher_did[publisher_did].did))
            )
            for publisher_did, missing, columns in found
        }

    def keep_in_quarantine(self, keys: Sequence[ItemKey]) -> None:
        """Note that a run met items that are in quarantine and stay there untried, so that its end keeps them."""

        def write() -> None:
            with self._sessions.transaction() as (connection, _):
                keep(connection, keys)

        if keys:
            self._sessions.call(write)

    def upsert_rses(self, rses: Iterable[Rse]) -> None:
        """Add RSEs, or bring them up to date; costs nothing when they are those of the last call."""
        these = {rse.rse: rse for rse in rses}
        if these.items() <= self._rses.items():
            return

        def write(rows: Rows) -> None:
            with self._sessions.transaction() as (connection, pooled):
                Load(connection, pooled).write_rses(rows)

        self._call_with(rse_rows(these.values()), write)
        self._rses |= these

    def without_distances(self, rses: Iterable[str]) -> set[str]:
        """Return those RSEs that no distance to another is known of."""
        return {rse for (rse,) in self._sessions.rows(WITHOUT_DISTANCES, [sorted(rses)])}

    def upsert_distances(self, distances: Mapping[tuple[str, str], int]) -> None:
        """Add distances between RSEs, by (source, destination), or bring them up to date."""

        def write() -> None:
            with self._sessions.transaction() as (connection, _):
                write_distances(connection, distances)

        if distances:
            self._sessions.call(write)

    @contextmanager
    def lock_source(self, name: str, *, kind: str | None = None, location: str | None = None) -> Iterator[None]:
        """Be the only one who works on a source (`hold_source`), and note that a run of it begins."""
        with self.hold_source(name):
            self.runs.begin(name, kind, location)
            yield

    @contextmanager
    def hold_source(self, name: str) -> Iterator[None]:
        """Be the only one who works on a source.

        The lock is held by a connection of its own and falls with it; a server that restarts meanwhile drops it, which
        costs nothing but double work, since every commit may be done twice.

        Raises
        ------
        UsageError
            Another sync of this source is running.
        """
        connection = self._sessions.call(self._sessions.connect)
        try:
            connection.autocommit = True
            lock = connection.execute(
                "SELECT pg_try_advisory_lock(%s, hashtext(%s))", [SOURCE_LOCKS, plain_text(name)]
            ).fetchone()
            if lock is None or not lock[0]:
                raise UsageError(f"another sync of {name!r} is running: wait for it, or give this one another --name")
        except psycopg.Error as error:
            raise translated(error) from error
        else:
            yield
        finally:
            with suppress(psycopg.Error):
                connection.close()

    def _call_with(self, rows: Rows, work: Callable[[Rows], T]) -> T:
        return plain_if_refused(lambda these: self._sessions.call(lambda: work(these)), rows)


def _end(connection: psycopg.Connection[Any], source: str, end: ReadEnd) -> None:
    cursor = None if end.cursor is None else Jsonb(end.cursor)
    connection.execute(END, [cursor, end.complete, source])
    if end.complete:
        connection.execute(RELEASE_UNMET, [source, end.started])
