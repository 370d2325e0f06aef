"""The trigger route on a lake of its own: Rucio's client writes metadata, ObsCore follows, and no call ever fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from benchmarks.items import items
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead, Registered, Report, Settled
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, Source, open_source
from stac_rucio_sync.stores.postgres import PostgresStore
from stac_rucio_sync.stores.rucio import RucioStore
from stac_rucio_sync.stores.rucio_client import make_client
from stac_rucio_sync.stores.tables import OBSCORE, loaded_columns
from stac_rucio_sync.sync import SyncJob, SyncOptions
from tests.conftest import RunningLake

COLUMNS = ", ".join(loaded_columns(OBSCORE))
ITEMS = 60


@pytest.fixture
def settings(trigger_lake: RunningLake, scope: str) -> Settings:
    return trigger_lake.settings_with(
        identity={"scope": scope}, collections={scope: {"frame": "sky"}}, sync={"batch_items": 20}
    )


@pytest.fixture
def query(settings: Settings) -> Callable[..., list[tuple[Any, ...]]]:
    def ask(sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(settings.database_url()) as connection:
            return connection.execute(sql, values).fetchall()

    return ask


@pytest.fixture
def client(settings: Settings, scope: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RUCIO_CONFIG", str(settings.rucio.config))
    made = make_client(settings.rucio, lambda: None)
    made.add_scope(settings.rucio.account or "", scope)
    return made


def run(settings: Settings, made: list[dict[str, Any]], folder: Path, name: str) -> tuple[Report, int]:
    path = folder / "items.ndjson"
    path.write_text("".join(json.dumps(item) + "\n" for item in made))
    return run_over(open_source(str(path), name=name, options=ReadOptions()), settings)


def run_over(source: Source, settings: Settings, **options: Any) -> tuple[Report, int]:
    tables, lake = PostgresStore.open(settings.database_url()), RucioStore(settings)
    try:
        return SyncJob(source, settings, tables, lake, SyncOptions(**options)).run(), lake.requests
    finally:
        tables.close()
        lake.close()


def described(scope: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "obs_publisher_did": f"ivo://example.org/x?{scope}:{name}",
        "obs_collection": scope,
        "obs_id": name,
        "calib_level": 2,
        "s_ra": 10.0,
        "s_dec": 20.0,
    } | changes


def test_a_sync_ends_in_the_rows_of_the_json_route(
    settings: Settings, scope: str, query: Callable[..., list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    made = list(items(ITEMS, collection=scope, assets=1))
    report, _ = run(settings, made, tmp_path, scope)
    assert (report.added, report.rows, report.failed, report.quarantined) == (ITEMS, ITEMS, 0, 0)
    select = f"SELECT {COLUMNS} FROM lake.obscore WHERE obs_collection = %s ORDER BY obs_id"  # noqa: S608 - names of columns
    by_trigger = query(select, scope)
    assert query("SELECT count(*) FROM lake.obscore WHERE obs_collection = %s AND did IS NOT NULL", scope) == [(ITEMS,)]

    query("DELETE FROM lake.obscore WHERE obs_collection = %s RETURNING 1", scope)
    wanted = [map_item(parse_item(ItemRead(item, None, "made"), settings), settings, {}, "f") for item in made]
    tables = PostgresStore.open(settings.database_url())
    tables.commit(scope, [Settled(one, Registered(one.key)) for one in wanted], [])
    tables.close()
    assert query(select, scope) == by_trigger
    assert len(by_trigger) == ITEMS


def test_a_second_sync_sends_nothing_and_a_changed_item_changes_its_row(
    settings: Settings, scope: str, query: Callable[..., list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    made = list(items(25, collection=scope, assets=1))
    made[3]["properties"]["title"] = "before"
    run(settings, made, tmp_path, scope)
    report, requests = run(settings, made, tmp_path, scope)
    assert (report.unchanged, requests) == (25, 0)
    del made[3]["properties"]["title"]
    made[4]["properties"]["title"] = "after"
    report, _ = run(settings, made, tmp_path, scope)
    assert (report.unchanged, report.changed, report.failed) == (23, 2, 0)
    titles = query("SELECT obs_title FROM lake.obscore WHERE obs_collection = %s AND obs_title IS NOT NULL", scope)
    assert titles == [("after",)]


def test_commits_of_a_versioned_catalogue_become_rows_and_take_them_away(
    settings: Settings, scope: str, query: Callable[..., list[tuple[Any, ...]]], client: Any, tmp_path: Path
) -> None:
    made = list(items(3, collection=scope, assets=1))
    with Repository.create(tmp_path / "survey.git") as repository:
        for message in ("before", "after"):
            with transaction(repository) as changes:
                for item in made:
                    changes.put_item(item)
                if message == "after":
                    changes.remove(repository.head().find(made[2]["id"])[0])
                last = changes.commit(message)
            source = open_source(str(repository.place), name=scope, options=ReadOptions(delete=True))
            report, _ = run_over(source, settings, delete=True)
            made[0]["properties"]["title"] = "after"
    assert (report.read, report.changed, report.removed, report.failed) == (1, 1, 1, 0)
    rows = query("SELECT obs_id, obs_title FROM lake.obscore WHERE obs_collection = %s ORDER BY obs_id", scope)
    assert rows == [(made[0]["id"], "after"), (made[1]["id"], None)]
    ((name,),) = query("SELECT name FROM lake.item WHERE (collection, id) = (%s, %s)", scope, made[0]["id"])
    assert last is not None
    assert client.get_metadata(scope, name, plugin="ALL")["stac:commit"] == last.oid


def test_an_item_whose_row_is_not_what_is_wanted_is_counted_and_told(
    settings: Settings, scope: str, query: Callable[..., list[tuple[Any, ...]]], client: Any, tmp_path: Path
) -> None:
    made = list(items(3, collection=scope, assets=1))
    run(settings, made, tmp_path, scope)
    names = [name for (name,) in query("SELECT name FROM lake.item WHERE collection = %s ORDER BY id", scope)]
    client.set_metadata(scope, names[0], "proposal_id", "somebody's")
    client.set_metadata(scope, names[1], "o_ucd", ["a", "list"])
    for item in made:
        item["properties"]["title"] = "changed"
    report, _ = run(settings, made, tmp_path, scope)
    assert (report.changed, report.failed, report.quarantined) == (1, 1, 1)
    assert any("proposal_id" in remark for remark in report.remarks)
    assert any("o_ucd is" in remark for remark in report.remarks)
    client.delete_metadata(scope, names[0], "proposal_id")
    client.delete_metadata(scope, names[1], "o_ucd")
    made[1]["properties"]["title"] = "changed again"
    report, _ = run(settings, made, tmp_path, scope)
    assert (report.unchanged, report.changed, report.failed, report.quarantined) == (1, 2, 0, 0)


def test_what_other_users_write_becomes_rows_and_never_fails(
    client: Any, scope: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    for name in ("a", "b", "c"):
        client.add_dataset(scope, name)
    client.set_metadata_bulk(scope, "a", described(scope, "a"))
    client.set_dids_metadata_bulk(
        [{"scope": scope, "name": name, "meta": described(scope, name)} for name in ("b", "c")]
    )
    rows = "SELECT obs_id, s_ra FROM lake.obscore WHERE obs_collection = %s ORDER BY obs_id"
    aside = "SELECT reason FROM lake.quarantine WHERE source = 'rucio:metadata' AND position = %s"
    assert query(rows, scope) == [("a", 10.0), ("b", 10.0), ("c", 10.0)]

    assert client.set_metadata(scope, "a", "s_ra", "abc")
    assert client.get_metadata(scope, "a", plugin="POSTGRES_JSON")["s_ra"] == "abc"
    ((reason,),) = query(aside, f"{scope}:a")
    assert reason.startswith('s_ra is "abc"')
    client.set_metadata(scope, "a", "s_ra", "11.5")
    assert query(aside, f"{scope}:a") == []

    client.delete_metadata(scope, "b", "calib_level")
    assert query(rows, scope) == [("a", 11.5), ("c", 10.0)]
    assert query(aside, f"{scope}:b") == [("calib_level is missing: a row of ObsCore needs it",)]
    client.set_metadata(scope, "b", "calib_level", 1)

    client.set_metadata(scope, "c", "obs_publisher_did", f"ivo://example.org/x?{scope}:a")
    assert query(rows, scope) == [("a", 11.5), ("b", 10.0)]
    client.set_metadata(scope, "c", "obs_publisher_did", f"ivo://example.org/x?{scope}:new")
    assert [row[0] for row in query(rows, scope)] == ["a", "b", "c"]
    assert query(aside, f"{scope}:c") == []


def test_two_clients_at_once(
    client: Any, settings: Settings, scope: str, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    names = [f"d{uuid4().hex[:6]}{number}" for number in range(40)]
    client.add_dids([{"scope": scope, "name": name, "type": "DATASET"} for name in names])

    def write(turn: int) -> None:
        mine = make_client(settings.rucio, lambda: None)
        for name in names if turn else reversed(names):
            mine.set_metadata_bulk(scope, name, described(scope, name, obs_title=f"by {turn}"))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert query("SELECT count(*) FROM lake.obscore WHERE obs_collection = %s", scope) == [(len(names),)]
