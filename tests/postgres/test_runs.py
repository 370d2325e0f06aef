"""The tables tell of the last run of a source: how it ended, why, and that it was killed where nobody says so."""

from __future__ import annotations

import psycopg
import pytest

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import Fate, Outcome, Report, run_end
from stac_rucio_sync.stores.tables.state import SourceState
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database


def state_of(store: PostgresStore, name: str = "s") -> SourceState:
    state = store.source_state(name)
    assert state is not None
    return state


@pytest.mark.parametrize(
    ("fates", "error", "outcome", "said"),
    [
        ([Fate.ADDED], None, Outcome.CLEAN, None),
        ([Fate.ADDED, Fate.FAILED], None, Outcome.SOME_FAILED, None),
        ([Fate.QUARANTINED], None, Outcome.SOME_FAILED, None),
        ([], KeyboardInterrupt(), Outcome.STOPPED, "stopped"),
        ([Fate.FAILED], FatalError("Rucio says no\x00\ud83d"), Outcome.FAILED, "Rucio says no\ufffd"),
        ([], ValueError("a mistake"), Outcome.FAILED, "ValueError: a mistake"),
    ],
)
def test_a_run_ends_as_it_says(
    store: PostgresStore, fates: list[Fate], error: BaseException | None, outcome: Outcome, said: str | None
) -> None:
    report = Report("s", seconds=1.5)
    for fate in fates:
        report.count(fate)
    report.remark("a name \x00 with \ud83d")
    with store.lock_source("s"):
        assert state_of(store).last_outcome == Outcome.RUNNING
        store.runs.end("s", run_end(report, error))
    state = state_of(store)
    assert (state.last_outcome, state.last_error) == (outcome, said)
    assert state.last_report is not None
    assert (state.last_report["read"], state.last_report["seconds"]) == (len(fates), 1.5)
    assert state.last_started is not None
    assert state.last_finished is not None
    assert state.last_started < state.last_finished


def test_a_run_that_says_nothing_of_its_end_was_killed_and_the_next_takes_its_place(store: PostgresStore) -> None:
    with store.lock_source("s"):
        store.runs.end("s", run_end(Report("s"), FatalError("yesterday")))
    with store.lock_source("s"):
        pass
    state = state_of(store)
    assert (state.last_outcome, state.last_error, state.last_report) == (Outcome.UNFINISHED, None, None)
    with store.lock_source("another"):
        assert state_of(store).last_outcome == Outcome.UNFINISHED
        assert state_of(store, "another").last_outcome == Outcome.RUNNING


def test_who_only_holds_a_source_begins_no_run(store: PostgresStore) -> None:
    with store.hold_source("s"):
        assert store.source_state("s") is None


def test_a_source_that_cannot_be_opened_is_told_of_unless_it_runs(database: Database, store: PostgresStore) -> None:
    store.runs.not_begun(["s"], "it is gone")
    assert store.status() == []
    with store.lock_source("s"):
        store.runs.end("s", run_end(Report("s"), None))
        store.runs.not_begun(["t", "s"], "it is gone")
        assert state_of(store).last_outcome == Outcome.CLEAN
    store.runs.not_begun(["t", "s"], "it is gone\x00")
    assert (state_of(store).last_outcome, state_of(store).last_error) == (Outcome.FAILED, "it is gone")


def test_what_was_synced_before_outcomes_were_kept_is_no_failure(store: PostgresStore) -> None:
    store.commit("s", [], [])
    assert state_of(store).last_outcome == Outcome.NOT_RECORDED


def test_readers_see_how_runs_ended_and_no_cursor(database: Database, store: PostgresStore) -> None:
    with store.lock_source("s"):
        store.runs.end("s", run_end(Report("s"), None))
    with psycopg.connect(database.reader_url) as reader:
        rows = reader.execute("SELECT name, last_outcome, last_ended FROM lake.source").fetchall()
        assert rows == [("s", "clean", None)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT cursor FROM lake.source")
