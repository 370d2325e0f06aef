"""Removal and audit on the trigger route: what the sync takes away, the trigger follows; what differs is found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import RunningLake
from tests.e2e.test_removal import Removing, calls_as
from tests.e2e.test_verify import (
    BREAKS,
    ITEMS,
    Checked,
    add_foreign_row,
    alter_metadata,
    alter_mirror,
    alter_row,
    delete_row,
    detach_file,
    remove_replica,
    two_places,
)

HERE = [
    (wreck, lines)
    for wreck, lines in BREAKS
    if wreck in (delete_row, alter_row, alter_mirror, remove_replica, alter_metadata, detach_file, add_foreign_row)
]
"""What may go another way than on the JSON route, and what a user of it will break."""
BREAK_OFF_SECONDS = 8.0
"""All repetitions of a call that breaks off take more than this."""


def as_admin(lake: RunningLake, statement: str, *values: Any) -> int:
    assert lake.settings.database.admin_url is not None
    with psycopg.connect(lake.settings.database.admin_url.get_secret_value()) as connection:
        return connection.execute(statement.encode(), values).rowcount


@pytest.fixture
def checked(trigger_lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Checked]:
    one = Checked(trigger_lake, scope, tmp_path / "items.ndjson")
    one.write([two_places(number, one.collection) for number in range(ITEMS)])
    one.sync()
    yield one
    one.calls.close()


@pytest.fixture
def bench(trigger_lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Removing]:
    settings = trigger_lake.settings_with(identity={"scope": scope}, sync={"batch_items": 10})
    with closing(calls_as(trigger_lake, "ingest")) as ingest:
        yield Removing(settings, tmp_path, f"c-{scope}", trigger_lake, ingest)


# ------------------------------------------------------------------------------------------------------------- verify


def test_nothing_differs_after_a_sync(checked: Checked) -> None:
    report = checked.verify()
    assert checked.lines == []
    assert (report.read, report.differences, report.clean, report.complete) == (ITEMS, 0, True, True)


@pytest.mark.parametrize(("wreck", "lines"), HERE, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_broken_is_found_once_and_repaired(
    checked: Checked, wreck: Callable[[Checked], None], lines: set[str]
) -> None:
    wreck(checked)
    report = checked.verify()
    assert checked.found() == lines
    assert (report.differences, report.clean) == (1, False)
    report = checked.verify(repair=True)
    assert (report.differences, report.remaining, report.clean) == (1, 0, True)
    report = checked.verify()
    assert (checked.lines, report.clean) == ([], True)


def test_an_altered_key_of_obscore_is_found_in_rucio_and_in_the_row_that_followed(checked: Checked) -> None:
    checked.calls.send("set_metadata", *checked.dataset(6), "obs_id", "somebody else's")
    checked.verify()
    assert checked.found() == {"* metadata", "* obscore"}
    assert checked.verify(repair=True).remaining == 0
    assert checked.verify().differences == 0


def test_a_required_key_that_went_takes_the_row_and_the_repair_brings_both_back(checked: Checked) -> None:
    checked.calls.send("delete_metadata", *checked.dataset(6), "obs_id")
    checked.verify()
    assert checked.found() == {"+ metadata", "+ obscore"}
    assert checked.verify(repair=True).remaining == 0
    assert checked.verify().differences == 0
    assert checked.query("SELECT 1 FROM lake.quarantine WHERE position LIKE %s", f"{checked.scope}:%") == []


def test_a_key_that_another_user_added_is_told_and_left(checked: Checked) -> None:
    checked.calls.send("set_metadata", *checked.dataset(6), "proposal_id", "another user's")
    report = checked.verify()
    assert checked.found() == {"! obscore"}
    assert (report.differences, "proposal_id" in checked.lines[0]) == (1, True)
    assert checked.verify(repair=True).remaining == 1
    checked.calls.send("delete_metadata", *checked.dataset(6), "proposal_id")
    assert checked.verify().differences == 0


def test_rows_of_what_other_users_describe_are_no_leftovers(checked: Checked) -> None:
    checked.calls.send("add_dataset", checked.scope, "theirs")
    theirs = {"obs_publisher_did": f"ivo://x/y?{checked.scope}:theirs", "obs_id": "o", "obs_collection": "c"}
    checked.calls.send("set_metadata_bulk", checked.scope, "theirs", theirs | {"calib_level": 1})
    assert checked.sql("SELECT 1 FROM lake.obscore WHERE did = %s", f"{checked.scope}:theirs") == 1
    assert checked.verify().differences == 0


def test_datasets_without_any_metadata_are_found_without_all_repetitions(checked: Checked) -> None:
    checked.calls.send("set_metadata", checked.scope, checked.collection, "platform", "of the container")
    for number in (0, 7, 8):
        statement = "DELETE FROM rucio.dids WHERE (scope, name) = (%s, %s)"
        assert as_admin(checked.lake, statement, *checked.dataset(number)) == 1
    started = time.monotonic()
    checked.verify()
    assert time.monotonic() - started < BREAK_OFF_SECONDS
    assert checked.found() == {"+ metadata", "+ obscore"}
    platforms = [line for line in checked.lines if line.startswith("+ metadata") and line.endswith(" platform")]
    assert len(platforms) == 3, "what the container says is not the dataset's"
    assert checked.verify(repair=True).remaining == 0
    assert checked.verify().differences == 0


# ------------------------------------------------------------------------------------------------------------ removal


def test_a_removed_item_takes_its_row_with_it_and_comes_back_as_it_was(bench: Removing) -> None:
    items = bench.items(0, 1, 2)
    bench.sync(items)
    before = bench.state()
    dataset, file = bench.dataset(1), bench.file(1)
    report, _ = bench.sync([items[0], items[2]], delete=True)
    assert (report.removed, report.kept, report.failed) == (1, 0, 0)
    assert bench.ids() == {"tile-00000", "tile-00002"}
    rows = "SELECT obs_id FROM lake.obscore WHERE obs_collection = %s ORDER BY obs_id"
    assert bench.query(rows, bench.collection) == [("tile-00000",), ("tile-00002",)]
    for table in ("lake.file", "lake.link"):
        assert bench.query(f"SELECT 1 FROM {table} WHERE (collection, id) = (%s, 'tile-00001')", bench.collection) == []  # noqa: S608 - names above
    assert (bench.content(dataset), bench.places(file)) == (set(), set())
    assert bench.query("SELECT 1 FROM lake.quarantine WHERE position = %s", f"{bench.scope}:{dataset}") == []

    report, _ = bench.sync(items, delete=True)
    assert (report.added, report.unchanged, report.failed, report.quarantined) == (1, 2, 0, 0)
    assert bench.state() == before


def test_what_an_item_had_before_it_went_is_not_in_the_row_with_which_it_comes_back(bench: Removing) -> None:
    items = bench.items(0, 1)
    items[1]["properties"]["title"] = "before it went"
    bench.sync(items)
    bench.sync(items[:1], delete=True)
    del items[1]["properties"]["title"]
    report, _ = bench.sync(items)
    assert (report.added, report.failed, report.quarantined) == (1, 0, 0)
    titles = "SELECT obs_title FROM lake.obscore WHERE obs_collection = %s"
    assert bench.query(titles, bench.collection) == [(None,), (None,)]
