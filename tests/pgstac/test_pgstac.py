"""Items through stac-fastapi.pgstac, which declares the filter extension: what is obeyed, what is only said."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Cursor, ItemRead, Report
from stac_rucio_sync.sources import Reading, ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from tests.conftest import RunningLake
from tests.pgstac.catalogue import COUNT, an_item, everything
from tests.pgstac.server import PgstacServer

PATIENCE = Patience(attempts=7, backoff=0.1)
NEWEST = COUNT - 1


def _read(server: PgstacServer, cursor: Cursor | None = None, **options: Any) -> tuple[set[int], Reading]:
    """Read by pages of 40; no item comes twice."""
    reading = open_source(server.url, options=ReadOptions(page_size=40, patience=PATIENCE, **options)).read(cursor)
    changes = [change for change in reading if isinstance(change, ItemRead)]
    numbers = [int(change.stac["id"].removeprefix("tile-")) for change in changes]
    assert len(numbers) == len(set(numbers))
    return set(numbers), reading


def _where(fulfilled: Any) -> set[int]:
    return {number for number in everything() if fulfilled(number)}


def test_everything_is_read_over_many_pages_and_the_read_is_complete(server: PgstacServer) -> None:
    page = requests.post(f"{server.url}/search", json={"limit": 1}, timeout=60).json()
    assert "numberMatched" not in page  # pgstac does not count unless told to
    numbers, reading = _read(server)
    assert numbers == set(everything())
    assert reading.complete
    assert not reading.remarks


def test_the_content_is_what_was_loaded(server: PgstacServer) -> None:
    for change in open_source(server.url).read(None):
        assert isinstance(change, ItemRead)
        number = int(change.stac["id"].removeprefix("tile-"))
        loaded = an_item(number)
        for field in ("collection", "geometry", "bbox", "properties", "assets"):
            assert change.stac[field] == loaded[field]
        assert change.href == f"{server.url}/collections/{loaded['collection']}/items/{loaded['id']}"


@pytest.mark.parametrize(
    ("options", "fulfilled"),
    [
        ({"collections": ("odd",)}, lambda number: number % 2 == 1),
        ({"bbox": (20.25, 0.0, 40.25, 20.0)}, lambda number: 20.25 <= number / 2 <= 40.25),
        ({"datetime": "2010-01-01T00:00:00Z/2012-12-31T00:00:00Z"}, lambda number: number % 25 in (10, 11, 12)),
        ({"filter": "gsd = 3"}, lambda number: number % 7 == 3),
        ({"filter": {"op": "=", "args": [{"property": "gsd"}, 3]}}, lambda number: number % 7 == 3),
        ({"filter": '{"op": "<", "args": [{"property": "gsd"}, 2]}'}, lambda number: number % 7 < 2),
        ({"filter": "gsd = 3 OR gsd = 5", "collections": ("even",)}, lambda n: n % 7 in (3, 5) and n % 2 == 0),
    ],
)
def test_what_is_asked_for_is_what_comes(server: PgstacServer, options: dict[str, Any], fulfilled: Any) -> None:
    numbers, reading = _read(server, **options)
    assert numbers == _where(fulfilled)
    assert reading.filtered
    assert not reading.complete


def test_a_filter_that_is_no_cql2_is_an_error_of_usage(server: PgstacServer) -> None:
    with pytest.raises(UsageError, match="not this --filter: .*/search answers 400"):
        _read(server, filter="gsd = = 3")


# -------------------------------------------------------------------------------------------------------- cursor


def test_the_second_read_gets_only_what_changed(dated_server: PgstacServer) -> None:
    _, first = _read(dated_server)
    assert first.cursor is not None
    now = datetime.now(UTC)
    dated_server.load("items", [an_item(7, updated=now), an_item(COUNT, updated=now)])
    numbers, second = _read(dated_server, first.cursor)
    assert numbers == {7, COUNT, NEWEST}  # the newest of before lies within the overlap
    assert second.filtered
    assert not second.complete
    assert not second.remarks
    assert second.cursor is not None
    assert second.cursor["updated"] > first.cursor["updated"]
    numbers, third = _read(dated_server, second.cursor)
    assert numbers == {7, COUNT}
    assert third.cursor == second.cursor


def test_the_cursor_and_a_filter_hold_together(dated_server: PgstacServer) -> None:
    _, first = _read(dated_server, filter="gsd = 3 OR gsd = 5")
    now = datetime.now(UTC)
    dated_server.load("items", [an_item(number, updated=now) for number in range(14)])
    numbers, second = _read(dated_server, first.cursor, filter="gsd = 3 OR gsd = 5")
    newest = max(_where(lambda number: number % 7 in (3, 5)))
    assert numbers == {3, 5, 10, 12, newest}
    assert second.filtered


def test_since_reads_what_is_newer(dated_server: PgstacServer) -> None:
    numbers, reading = _read(dated_server, since=datetime(2024, 1, 11, tzinfo=UTC))
    assert numbers == _where(lambda number: number >= 240)
    assert not reading.complete


def test_without_a_queryable_updated_everything_is_read_soon(server: PgstacServer) -> None:
    """Out of the box pgstac takes `updated` for text and fails to compare it with an instant."""
    _, first = _read(server)
    asked = datetime.now(UTC)
    numbers, second = _read(server, first.cursor)
    assert numbers == set(everything())
    assert second.complete
    assert "refuses a filter by 'updated'" in second.remarks[0]
    assert (datetime.now(UTC) - asked).total_seconds() < 4  # PATIENCE would wait 6 s for a server that is ill


def test_an_item_without_updated_makes_the_server_read_whole(dated_server: PgstacServer) -> None:
    _, first = _read(dated_server)
    undated = an_item(COUNT)
    del undated["properties"]["updated"]
    dated_server.load("items", [undated])
    numbers, second = _read(dated_server, first.cursor)
    assert numbers == {*everything(), COUNT}
    assert second.complete
    assert "items without 'updated'" in second.remarks[0]


# -------------------------------------------------------------------------------------------------------- counts


def test_a_true_count_makes_the_read_complete(server: PgstacServer) -> None:
    server.execute("UPDATE pgstac_settings SET value = 'on' WHERE name = 'context'")
    server.execute("DELETE FROM search_wheres")
    _, reading = _read(server)
    assert reading.expected == COUNT
    assert reading.complete


def test_a_count_that_is_too_high_leaves_the_read_incomplete(server: PgstacServer) -> None:
    """pgstac keeps a count for a day; what it still counts and no longer has could as well be hidden."""
    server.execute("UPDATE pgstac_settings SET value = 'on' WHERE name = 'context'")
    server.execute("DELETE FROM search_wheres")
    _read(server)
    server.execute("DELETE FROM items WHERE id = 'tile-000'")
    numbers, reading = _read(server)
    assert len(numbers) == COUNT - 1
    assert not reading.complete
    assert "counts 300 items and delivered only 299" in reading.remarks[0]


# -------------------------------------------------------------------------------------------------------- faults


def test_a_server_that_is_killed_in_the_middle_is_read_on_when_it_is_back(server: PgstacServer) -> None:
    reading = open_source(server.url, options=ReadOptions(page_size=20, patience=PATIENCE)).read(None)
    ids: list[str] = []
    back = threading.Timer(0.5, server.start)
    try:
        for change in reading:
            assert isinstance(change, ItemRead)
            ids.append(change.stac["id"])
            if len(ids) == 50:
                server.stop(signal.SIGKILL)
                back.start()
    finally:
        back.join()
    assert len(ids) == len(set(ids)) == COUNT
    assert reading.complete


# ----------------------------------------------------------------------------------------------- the whole road


def test_the_second_sync_reads_and_does_only_what_is_new(
    dated_server: PgstacServer, lake: RunningLake, scope: str
) -> None:
    settings = lake.settings_with(identity={"scope": scope})

    def sync() -> Report:
        source = open_source(dated_server.url, name=scope, options=ReadOptions(page_size=100, patience=PATIENCE))
        tables = PostgresStore.open(settings.database_url())
        try:
            state = tables.source_state(scope)
            assert state is None or state.cursor
            return SyncJob(source, settings, tables, RucioStore(settings), SyncOptions()).run()
        finally:
            tables.close()

    first = sync()
    assert (first.read, first.added, first.files, first.complete) == (COUNT, COUNT, COUNT, True)
    now = datetime.now(UTC)
    dated_server.load("items", [an_item(4, updated=now, title="seen anew"), an_item(COUNT, updated=now)])
    second = sync()
    assert (second.read, second.added, second.changed, second.unchanged) == (3, 1, 1, 1)
    assert not second.complete
    third = sync()
    assert (third.read, third.unchanged) == (2, 2)
