"""Where sources stand, and how their last runs ended: a run says that it begins, and how it ended.

One that is killed says no more; that it holds the lock on its source no longer tells it from one that goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.model import RunEnd
from stac_rucio_sync.stores.tables.rows import plain_text
from stac_rucio_sync.stores.tables.session import Sessions
from stac_rucio_sync.stores.tables.state import SourceState

LOG = logging.getLogger(__name__)

DESCRIBED: Final = "rucio:metadata"
"""What stands for the source of what users of Rucio describe themselves, which no run reads."""
SOURCE_LOCKS: Final = 0x57AC0002
"""First half of the advisory lock of a source; the second is the hash of its name."""

_STATES = """
    SELECT s.name, s.kind, s.location, s.cursor, s.last_started, s.last_ended, s.last_complete,
        i.items, i.links_only, u.untold, q.quarantined,
        CASE WHEN s.last_outcome <> 'begun' THEN s.last_outcome
            WHEN EXISTS (
                SELECT FROM pg_locks l
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid::bigint = %(locks)s
                    AND l.objid::bigint = hashtext(s.name)::bigint & 4294967295
                    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            ) THEN 'running'
            ELSE 'unfinished'
        END,
        s.last_finished, s.last_error, s.last_report
    FROM lake.source s
        CROSS JOIN LATERAL (SELECT count(*) AS items, count(*) FILTER (WHERE links_only) AS links_only
                            FROM lake.item WHERE source = s.name) i
        CROSS JOIN LATERAL (SELECT count(*) AS untold FROM lake.untold u
                                JOIN lake.item i ON (i.collection, i.id) = (u.collection, u.id)
                            WHERE i.source = s.name) u
        CROSS JOIN LATERAL (SELECT count(*) AS quarantined FROM lake.quarantine WHERE source = s.name) q
    WHERE %(name)s::text IS NULL OR s.name = %(name)s
    ORDER BY s.name
"""
_BEGIN = """
    INSERT INTO lake.source AS s (name, kind, location, last_started, last_outcome)
    VALUES (%s, %s, %s, clock_timestamp(), 'begun')
    ON CONFLICT (name) DO UPDATE SET last_started = EXCLUDED.last_started, last_outcome = EXCLUDED.last_outcome,
        last_finished = NULL, last_error = NULL, last_report = NULL,
        kind = coalesce(EXCLUDED.kind, s.kind), location = coalesce(EXCLUDED.location, s.location)
"""
_END = """
    UPDATE lake.source SET last_finished = clock_timestamp(), last_outcome = %s, last_error = %s, last_report = %s
    WHERE name = %s
"""
_NOT_BEGUN = """
    UPDATE lake.source SET last_started = clock_timestamp(), last_finished = clock_timestamp(),
        last_outcome = 'failed', last_error = %s, last_report = NULL
    WHERE name = ANY (%s) AND pg_try_advisory_xact_lock(%s, hashtext(name))
"""
_REMEMBERED = """
    SELECT (SELECT count(*) FROM lake.source WHERE name = %(name)s),
        (SELECT count(*) FROM lake.item WHERE source = %(name)s),
        (SELECT count(*) FROM lake.quarantine WHERE source = %(name)s),
        (SELECT count(*) FROM lake.removal WHERE source = %(name)s)
"""
_FORGET = """
    WITH dropped AS (DELETE FROM lake.quarantine WHERE source = %(name)s)
    DELETE FROM lake.source WHERE name = %(name)s
"""


class Remembered(NamedTuple):
    """How much is remembered under the name of a source."""

    sources: int
    """0 or 1: its state."""
    items: int
    quarantined: int
    removals: int
    """Items whose removal was cut short: what is still to be taken out of Rucio."""


class Runs:
    """The tables' part of runs.

    Parameters
    ----------
    sessions
        The pool.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def states(self, name: str | None = None) -> list[SourceState]:
        """Return where a source stands, or all, by name."""
        return [SourceState(*row) for row in self._sessions.rows(_STATES, {"name": name, "locks": SOURCE_LOCKS})]

    def begin(self, source: str, kind: str | None = None, location: str | None = None) -> None:
        """Note that a run begins; the caller holds the lock on the source. None: what is known stays."""
        self._sessions.execute(_BEGIN, [source, kind, location])

    def end(self, source: str, end: RunEnd) -> None:
        """Note how a run ended. What the run did stands, whether this can be noted or not."""
        report = plain_text(json.dumps(end.report, ensure_ascii=False))
        error = None if end.error is None else plain_text(end.error)
        try:
            # A run that was stopped, or that a database that is away has ended, does not wait for it again.
            patience = None if end.error is None else 0.0
            self._sessions.execute(_END, [end.outcome, error, report, source], patience=patience)
        except SyncError as raised:
            LOG.warning("how the run over %s ended could not be noted: %s", source, raised)

    def not_begun(self, names: Sequence[str], error: str) -> None:
        """Note that a source could not even be opened, if it was synced before, under one of some names."""
        self._sessions.execute(_NOT_BEGUN, [plain_text(error), list(names), SOURCE_LOCKS], patience=0.0)

    def remembered(self, source: str) -> Remembered:
        """Return how much is remembered under a name."""
        return Remembered(*self._sessions.rows(_REMEMBERED, {"name": source})[0])

    def forget(self, source: str) -> None:
        """Drop the state of a source and its quarantine; items, and notes of removals that have begun, stay."""
        self._sessions.execute(_FORGET, {"name": source})
