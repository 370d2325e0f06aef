"""The trigger route on a lake of its own: Rucio's users write metadata, ObsCore and DataLink follow, no call fails."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pyvo
import requests

from benchmarks.items import items
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import Did, ItemRead, Registered, Report, Settled
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, Source, open_source
from stac_rucio_sync.stores.rucio import watch as rucio_watch
from stac_rucio_sync.stores.rucio.client import make_client
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.definitions import OBSCORE, loaded_columns
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from stac_rucio_sync.watch import Heard, Look, Rebuild, Watcher
from tests.conftest import RunningLake
from tests.e2e.archive import served
from tests.e2e.test_datalink import rows_of
from tests.lake.rest import Account

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


# ------------------------------------------------------------------------------- what users describe without any sync


@pytest.fixture(scope="module")
def archive_url(trigger_lake: RunningLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(trigger_lake, tmp_path_factory.mktemp("trigger") / "serve.log") as url:
        yield url


@pytest.fixture
def alice(trigger_lake: RunningLake, scope: str) -> Account:
    """A user with a scope of her own, in which the storage has two files at two sites each."""
    accounts = {name: Account(Path(trigger_lake.facts["accounts"][name])) for name in ("root", "alice")}
    accounts["root"].do("POST", f"scopes/alice/{scope}")
    for rse in ("VIENNA-DISK", "SYDNEY-DISK"):
        files = [
            {"scope": scope, "name": name, "bytes": 4, "adler32": f"{zlib.adler32(name.encode()):08x}", "state": "A"}
            for name in ("map.fits", "more.fits")
        ]
        accounts["root"].do("POST", "replicas", {"rse": rse, "files": files})
    return accounts["alice"]


def describe(user: Account, scope: str, name: str, **changes: Any) -> None:
    user.do("POST", f"dids/{scope}/{name}/meta", {"meta": described(scope, name, **changes), "recursive": False})


def make_collection(user: Account, scope: str, name: str, *contents: str, type: str = "DATASET") -> None:
    user.do("POST", f"dids/{scope}/{name}", {"type": type})
    user.do("POST", f"dids/{scope}/{name}/dids", {"dids": [{"scope": scope, "name": one} for one in contents]})


def look(settings: Settings) -> Look:
    with closing(RucioWatch(settings)) as rucio, closing(MirrorWrites.open(settings.database_url())) as mirror:
        watcher = Watcher(settings, rucio, mirror)
        if mirror.state.standing().polled_to is None:
            watcher.look()  # the first look of all compares everything
        found = watcher.look()
    assert found.failed is None
    return found


def links_at(url: str, *dids: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/datalink/links", params={"ID": dids, "SITE": "sydney"}, timeout=60)
    return [row for row in rows_of(answer.content) if not row["service_def"]]


def shown(links: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["local_semantics"], row["semantics"].rpartition("/")[2], row["rse"]) for row in links]


def test_what_a_user_describes_is_found_and_leads_to_its_copies(
    settings: Settings, scope: str, alice: Account, archive_url: str
) -> None:
    look(settings)
    make_collection(alice, scope, "mosaic", "map.fits", "more.fits")
    make_collection(alice, scope, "all", "mosaic", type="CONTAINER")
    for name in ("map.fits", "mosaic", "all"):
        describe(alice, scope, name, dataproduct_type="image")
    assert look(settings).described == 3, "one look is enough"

    tap = pyvo.dal.TAPService(f"{archive_url}/tap")
    found = tap.search(
        "SELECT o.obs_id, o.obs_publisher_did, r.rse, f.bytes FROM ivoa.obscore AS o "  # noqa: S608 - a name of ours
        "JOIN lake.file AS f ON f.obs_publisher_did = o.obs_publisher_did "
        "JOIN lake.replica AS r ON r.obs_publisher_did = f.obs_publisher_did AND r.asset = f.asset "
        f"WHERE o.obs_collection = '{scope}' AND o.obs_id LIKE 'm%' ORDER BY obs_id, f.name, rse"
    ).to_table()
    assert list(found["obs_id"]) == ["map.fits"] * 2 + ["mosaic"] * 4
    assert list(found["rse"]) == ["SYDNEY-DISK", "VIENNA-DISK"] * 3
    assert set(found["bytes"]) == {4}

    file, more = f"{scope}:map.fits", f"{scope}:more.fits"
    of_file = links_at(archive_url, found["obs_publisher_did"][0])
    assert shown(of_file) == [(file, "#this", "SYDNEY-DISK"), (file, "terms#replica", "VIENNA-DISK")]
    assert (of_file[0]["content_length"], of_file[0]["content_qualifier"]) == ("4", "#image")
    assert of_file[0]["access_url"].endswith("/map.fits")
    of_more = [(more, "#this", "SYDNEY-DISK"), (more, "terms#replica", "VIENNA-DISK")]
    assert shown(links_at(archive_url, found["obs_publisher_did"][2])) == [*shown(of_file), *of_more]
    assert shown(links_at(archive_url, more)) == of_more, "a file of the mosaic, by its own ID"
    assert shown(links_at(archive_url, f"{scope}:all")) == [*shown(of_file), *of_more]

    alice.do("DELETE", f"dids/{scope}/map.fits/meta?key=calib_level")
    assert shown(links_at(archive_url, file)) == shown(of_file), "a file of the mosaic still"
    for name in ("mosaic", "all"):
        alice.do("DELETE", f"dids/{scope}/{name}/meta?key=calib_level")
    for gone in (file, f"{scope}:mosaic"):
        (fault,) = links_at(archive_url, gone)
        assert fault["error_message"].startswith("NotFoundFault"), gone


def test_files_of_a_described_dataset_come_and_go_with_it(
    settings: Settings,
    scope: str,
    alice: Account,
    trigger_lake: RunningLake,
    query: Callable[..., list[tuple[Any, ...]]],
) -> None:
    replicas = "SELECT name, rse FROM lake.replica WHERE scope = %s ORDER BY name, rse"
    make_collection(alice, scope, "mosaic", "map.fits")
    describe(alice, scope, "mosaic")
    look(settings)
    assert query(replicas, scope) == [("map.fits", "SYDNEY-DISK"), ("map.fits", "VIENNA-DISK")]

    alice.do("DELETE", f"dids/{scope}/mosaic/dids", {"dids": [{"scope": scope, "name": "map.fits"}]})
    alice.do("POST", f"dids/{scope}/mosaic/dids", {"dids": [{"scope": scope, "name": "more.fits"}]})
    assert look(settings).described == 1
    assert {name for name, _ in query(replicas, scope)} == {"more.fits"}
    again = look(settings)
    assert (again.described, again.changes.any) == (0, 0)

    root = Account(Path(trigger_lake.facts["accounts"]["root"]))
    root.do("PUT", "replicas", {"rse": "SYDNEY-DISK", "files": [{"scope": scope, "name": "more.fits", "state": "U"}]})
    with closing(RucioWatch(settings)) as rucio, closing(MirrorWrites.open(settings.database_url())) as mirror:
        Watcher(settings, rucio, mirror).hear(Heard(1, frozenset({Did(scope, "mosaic")})))
    states = query("SELECT rse, state FROM lake.replica WHERE scope = %s ORDER BY rse", scope)
    assert states == [("SYDNEY-DISK", "UNAVAILABLE"), ("VIENNA-DISK", "AVAILABLE")]

    query("DELETE FROM lake.item WHERE scope = %s RETURNING 1", scope)
    query("DELETE FROM lake.replica WHERE scope = %s RETURNING 1", scope)
    with closing(RucioWatch(settings)) as rucio, closing(MirrorWrites.open(settings.database_url())) as mirror:
        Rebuild(rucio, mirror).run()
        assert Rebuild(rucio, mirror, dry_run=True).run().described == 0
    assert {name for name, _ in query(replicas, scope)} == {"more.fits"}


def test_of_very_many_files_the_first_are_mirrored_and_the_log_says_so(
    settings: Settings,
    scope: str,
    alice: Account,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rucio_watch, "MOST_FILES", 1)
    make_collection(alice, scope, "mosaic", "more.fits", "map.fits")
    with closing(RucioWatch(settings)) as rucio:
        contents = rucio.contents([Did(scope, "mosaic"), Did(scope, "nobody's")])
    assert {did: list(files) for did, files in contents.items()} == {Did(scope, "mosaic"): [Did(scope, "map.fits")]}
    assert f"{scope}:mosaic has more than 1 files" in caplog.text


def test_a_sync_takes_on_a_dataset_that_somebody_described(
    settings: Settings, scope: str, client: Any, query: Callable[..., list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    (item,) = items(1, collection=scope, assets=1)
    dataset = map_item(parse_item(ItemRead(item, None, "made"), settings), settings, {}, "f").did
    client.add_dataset(*dataset)
    client.set_metadata_bulk(*dataset, described(*dataset))
    look(settings)
    assert query("SELECT collection FROM lake.item WHERE scope = %s", scope) == [("",)]
    report, _ = run(settings, [item], tmp_path, scope)
    assert (report.added, report.failed, report.quarantined) == (1, 0, 0), report
    assert query("SELECT collection FROM lake.item WHERE scope = %s", scope) == [(scope,)]
    assert look(settings).described == 0
