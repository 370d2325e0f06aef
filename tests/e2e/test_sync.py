"""The job on the real lake: what a run does, counts and says, and that a second run does nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from tests.conftest import RunningLake

ORIGIN = "https://archive.example.org"


def an_item(number: int, *, collection: str, content: str = "first", **properties: Any) -> dict[str, Any]:
    """A small valid item with one image of stated size and checksum."""
    md5 = hashlib.md5(f"{content} {number}".encode()).hexdigest()  # noqa: S324 - the checksum that STAC items carry
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": f"tile-{number:05}",
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [[[10, 20], [11, 20], [11, 21], [10, 21], [10, 20]]]},
        "bbox": [10, 20, 11, 21],
        "properties": {"datetime": "2020-01-01T00:00:00Z", **properties},
        "links": [],
        "assets": {
            "image": {
                "href": f"{ORIGIN}/{collection}/{number:05}/{content}.fits",
                "type": "application/fits",
                "roles": ["data"],
                "file:size": 1000 + number,
                "file:checksum": "d50110" + md5,
            }
        },
    }


@dataclass
class Bench:
    """One scope of the lake, its settings, and short ways to sync files into it."""

    settings: Settings
    folder: Path
    collection: str

    def write(self, items: Iterable[dict[str, Any] | str]) -> Path:
        path = self.folder / "items.ndjson"
        path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in items))
        return path

    def sync(
        self, items: Iterable[dict[str, Any] | str], *, name: str | None = None, **options: Any
    ) -> tuple[Report, int]:
        """Sync items; return the report and how many requests went to Rucio."""
        source = open_source(str(self.write(items)), name=name or self.collection, options=ReadOptions())
        tables = PostgresStore.open(self.settings.database_url())
        lake = RucioStore(self.settings)
        try:
            return SyncJob(source, self.settings, tables, lake, SyncOptions(**options)).run(), lake.requests
        finally:
            lake.close()
            tables.close()

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.database_url()) as connection:
            return connection.execute(sql, arguments).fetchall()


@pytest.fixture
def make_bench(lake: RunningLake, scope: str, tmp_path: Path) -> Callable[..., Bench]:
    def make(**flags: Any) -> Bench:
        return Bench(lake.settings_with(identity={"scope": scope}, **flags), tmp_path, f"c-{scope}")

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(sync={"batch_items": 10})


def test_new_items_are_added_and_a_second_run_sends_nothing(bench: Bench) -> None:
    items = [an_item(number, collection=bench.collection) for number in range(25)]
    report, _ = bench.sync(items)
    assert (report.read, report.added, report.files, report.replicas) == (25, 25, 25, 25)
    assert report.complete
    rows = bench.query("SELECT obs_id, access_estsize FROM ivoa.obscore WHERE obs_collection = %s", bench.collection)
    assert sorted(rows) == [(f"tile-{number:05}", 2 if number else 1) for number in range(25)]
    report, requests = bench.sync(items)
    assert (report.read, report.unchanged, requests) == (25, 25, 0)


def test_several_workers_end_in_the_same_state(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(sync={"batch_items": 10, "workers": 4})
    items = [an_item(number, collection=bench.collection) for number in range(60)]
    report, _ = bench.sync([*items, *items[:5]])
    assert (report.read, report.added, report.superseded) == (65, 60, 5)
    assert bench.sync(items)[0].unchanged == 60


def test_the_last_line_of_an_item_wins_within_a_batch_and_across_batches(bench: Bench) -> None:
    first = [an_item(number, collection=bench.collection) for number in range(15)]
    bench.sync(first)
    near = an_item(0, collection=bench.collection, title="superseded near")
    far = an_item(1, collection=bench.collection, title="superseded far")
    changed = an_item(2, collection=bench.collection, title="changed for good")
    report, _ = bench.sync(
        [near, first[0], far, changed, *first[3:12], an_item(99, collection=bench.collection), first[1]]
    )
    assert (report.read, report.unchanged, report.changed, report.added, report.superseded) == (15, 11, 1, 1, 2)
    titles = bench.query(
        "SELECT obs_title FROM ivoa.obscore WHERE obs_collection = %s AND obs_title LIKE '%%super%%'", bench.collection
    )
    assert titles == []


def test_an_item_that_cannot_be_mapped_is_set_aside_and_the_batch_goes_on(bench: Bench) -> None:
    bad = an_item(1, collection=bench.collection)
    bad["assets"] = "none"
    lines: list[dict[str, Any] | str] = [an_item(0, collection=bench.collection), bad, '{"broken', {"id": 7}]
    report, _ = bench.sync(lines)
    assert (report.read, report.added, report.quarantined) == (4, 1, 3)
    reasons = bench.query("SELECT reason FROM lake.quarantine WHERE source = %s", bench.collection)
    assert len(reasons) == 3
    assert any("assets" in reason for (reason,) in reasons)
    report, requests = bench.sync(lines)
    assert (report.unchanged, report.quarantined, requests) == (1, 3, 0)
    assert len(bench.query("SELECT reason FROM lake.quarantine WHERE source = %s", bench.collection)) == 3
    report, _ = bench.sync([an_item(0, collection=bench.collection), an_item(1, collection=bench.collection)])
    assert (report.unchanged, report.added) == (1, 1)
    assert bench.query("SELECT reason FROM lake.quarantine WHERE source = %s", bench.collection) == []


def test_changed_bytes_take_the_old_files_place_in_the_dataset(bench: Bench) -> None:
    bench.sync([an_item(0, collection=bench.collection)])
    report, _ = bench.sync([an_item(0, collection=bench.collection, content="second")])
    assert report.changed == 1
    files = bench.query("SELECT name FROM lake.file WHERE collection = %s", bench.collection)
    assert len(files) == 1
    assert files[0][0] != f"{bench.collection}..tile-00000..image.fits"
    report, requests = bench.sync([an_item(0, collection=bench.collection, content="second")])
    assert (report.unchanged, requests) == (1, 0)


def test_changed_bytes_are_an_error_of_the_item_where_asked(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(sync={"on_changed_content": "quarantine"})
    bench.sync([an_item(0, collection=bench.collection)])
    report, _ = bench.sync([an_item(0, collection=bench.collection, content="second")])
    assert (report.quarantined, report.changed) == (1, 0)


def test_dry_run_shows_the_plan_and_writes_nothing(bench: Bench) -> None:
    shown: list[str] = []
    items = [an_item(0, collection=bench.collection)]
    report, requests = bench.sync(items, dry_run=True, on_action=lambda action: shown.append(str(action)))
    assert (report.added, requests) == (1, 0)
    assert shown[0] == f"+ item {bench.collection}/tile-00000"
    for table in ("lake.item", "lake.file", "lake.link"):
        assert bench.query(f"SELECT 1 FROM {table} WHERE collection = %s", bench.collection) == []  # noqa: S608 - names above
    assert bench.query("SELECT 1 FROM lake.source WHERE name = %s", bench.collection) == []
    written, _ = bench.sync(items)
    assert (report.files, report.replicas, report.rows) == (written.files, written.replicas, written.rows)
    assert written.rows > 0


def test_two_syncs_of_one_source_at_once_the_second_says_so(bench: Bench) -> None:
    tables = PostgresStore.open(bench.settings.database_url())
    with tables.lock_source(bench.collection), pytest.raises(UsageError, match="running"):
        bench.sync([])
    tables.close()


def test_an_empty_answer_where_items_were_is_an_error(bench: Bench) -> None:
    bench.sync([an_item(0, collection=bench.collection)])
    with pytest.raises(FatalError, match="no item"):
        bench.sync([])
    assert bench.query("SELECT count(*) FROM lake.item WHERE collection = %s", bench.collection) == [(1,)]


def test_an_origin_that_no_rse_stands_for_leaves_links(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(origins={"create": False})
    item = an_item(0, collection=bench.collection)
    item["assets"]["image"]["href"] = "https://nobody.example.net/x.fits"
    report, _ = bench.sync([item])
    assert (report.added, report.files, report.links_only) == (1, 0, 1)
    assert any("https://nobody.example.net" in remark for remark in report.remarks)
    (reason,) = bench.query("SELECT reason FROM lake.link WHERE collection = %s AND name = 'image'", bench.collection)[
        0
    ]
    assert "origin" in reason
