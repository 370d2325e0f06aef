"""Sizes that an origin does not tell: asked again by later runs, seldom, and the file is registered when it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stac_rucio_sync import asking, sizes
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Report
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from tests.e2e.test_sync import Bench, an_item, make_bench
from tests.unit.loopback import Answer, Loopback, serving

__all__ = ["make_bench"]


class Origin:
    """Tells sizes, or answers with another status."""

    server: Loopback
    status = 403

    @property
    def asked(self) -> int:
        """Requests so far; a HEAD that is refused is followed by a GET."""
        return len(self.server.asked)


@pytest.fixture
def origin() -> Iterator[Origin]:
    origin = Origin()
    with serving(lambda _: Answer(origin.status, b"12345")) as origin.server:
        yield origin


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(sync={"batch_items": 2, "sizes": "head", "allow_private_addresses": True})


def unsized(bench: Bench, origin: Origin, *numbers: int) -> list[dict[str, Any]]:
    """Items with one file of a stated size, and one whose origin has to be asked."""
    items = [an_item(number, collection=bench.collection) for number in numbers]
    for item in items:
        item["assets"]["asked"] = {"href": f"{origin.server.url}/{item['id']}.dat", "roles": ["data"]}
    return items


def let_time_pass(bench: Bench) -> None:
    with psycopg.connect(bench.settings.database_url()) as connection:
        connection.execute(
            "UPDATE lake.untold SET ask_again = now() - interval '1 minute' WHERE collection = %s", [bench.collection]
        )


def files(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.query(
        "SELECT id, bytes FROM lake.file WHERE collection = %s AND asset = 'asked' ORDER BY id", bench.collection
    )


def untold(bench: Bench) -> int:
    with closing(PostgresStore.open(bench.settings.database_url())) as tables:
        return next(state.untold for state in tables.status() if state.name == bench.collection)


def test_an_origin_is_asked_again_when_it_is_time_and_the_file_is_registered(bench: Bench, origin: Origin) -> None:
    items = unsized(bench, origin, 0, 1, 2)
    report, _ = bench.sync(items)
    assert (report.added, report.failed, report.untold, report.files, origin.asked) == (3, 0, 3, 3, 6)
    assert report.as_json()["untold"] == 3
    assert untold(bench) == 3
    # It is not time yet.
    report, requests = bench.sync(items)
    assert (report.unchanged, report.untold, requests, origin.asked) == (3, 3, 0, 6)
    # It is time, and in vain: nothing is done but asking.
    let_time_pass(bench)
    report, requests = bench.sync(items)
    assert (report.unchanged, report.untold, requests, origin.asked) == (3, 3, 0, 12)
    assert bench.sync(items)[0].untold == 3
    assert origin.asked == 12
    # It is time, and the origin tells.
    origin.status = 200
    let_time_pass(bench)
    report, _ = bench.sync(items)
    assert (report.changed, report.unchanged, report.untold, origin.asked) == (3, 0, 0, 15)
    assert files(bench) == [(f"tile-0000{number}", 5) for number in range(3)]
    assert untold(bench) == 0
    report, requests = bench.sync(items)
    assert (report.unchanged, requests, origin.asked) == (3, 0, 15)


def test_an_operator_who_has_mended_the_origin_need_not_wait(bench: Bench, origin: Origin) -> None:
    items = unsized(bench, origin, 0)
    bench.sync(items)
    origin.status = 200
    assert bench.sync(items)[0].changed == 0
    assert bench.sync(items, ask_again=True)[0].changed == 1
    assert files(bench) == [("tile-00000", 5)]


def test_an_origin_that_does_not_answer_when_it_is_asked_again_makes_nothing_fail(
    bench: Bench, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "PATIENCE", Patience(attempts=1))
    items = unsized(bench, origin, 0)
    bench.sync(items)
    origin.status = 503
    report, _ = bench.sync(items, ask_again=True)
    assert (report.failed, report.unchanged, report.untold) == (0, 1, 1)
    # But one that is to be done for another reason has failed: what is recorded of it is not what it says now.
    items[0]["properties"]["title"] = "changed"
    assert bench.sync(items)[0].failed == 1


def test_a_run_asks_again_for_a_bounded_number_of_items(
    bench: Bench, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASKED_AGAIN", 2)
    items = unsized(bench, origin, 0, 1, 2)
    bench.sync(items)
    origin.status = 200
    let_time_pass(bench)
    assert bench.sync(items)[0].changed == 2
    assert bench.sync(items)[0].changed == 1


def test_items_that_no_commit_touches_are_asked_for_again_too(bench: Bench, origin: Origin, tmp_path: Path) -> None:
    def commit(items: list[dict[str, Any]]) -> None:
        with transaction(repository) as changes:
            for item in items:
                changes.put_item(item)
            changes.commit("Change items")

    def sync() -> Report:
        source = open_source(str(repository.place), name=bench.collection, options=ReadOptions())
        with (
            closing(PostgresStore.open(bench.settings.database_url())) as tables,
            closing(RucioStore(bench.settings)) as lake,
        ):
            return SyncJob(source, bench.settings, tables, lake, SyncOptions()).run()

    with Repository.create(tmp_path / "catalogue.git") as repository:
        commit(unsized(bench, origin, 0, 1, 2))
        report = sync()
        assert (report.added, report.untold) == (3, 3)
        origin.status = 200
        assert sync().read == 0
        let_time_pass(bench)
        commit([an_item(7, collection=bench.collection)])
        report = sync()
        assert (report.added, report.changed, report.untold) == (1, 3, 0)
        assert len(files(bench)) == 3
        assert sync().read == 0
