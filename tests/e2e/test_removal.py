"""Removal on the real lake: exactly what is gone, only after a whole read, and nothing that others rely on."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError, SyncError, TransientError
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Change, Cursor, ItemKey, ItemRead, ItemRemoved, Report
from stac_rucio_sync.settings import Rucio, Settings
from stac_rucio_sync.sources import Reading, ReadOptions, Source, open_source
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions
from tests.conftest import RunningLake
from tests.e2e.chosen.found import ask_rucio, ask_tables
from tests.e2e.test_sync import Bench, an_item
from tests.unit.loopback import Answer, as_json, serving

REAL_ITEMS, SIZED, MOST_ASSETS = 150, 40, 12


@dataclass
class Removing(Bench):
    """A bench that also looks into Rucio, as the ingest account or as another one."""

    lake: RunningLake
    ingest: RucioCalls

    def as_account(self, account: str) -> RucioCalls:
        return calls_as(self.lake, account)

    def rucio(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return self.ingest.send(verb, *arguments, **options)

    @property
    def scope(self) -> str:
        return self.settings.identity.scope

    @property
    def container(self) -> str:
        (name,) = self.rucio("list_dids", self.scope, [{}], did_type="container")
        return str(name)

    def content(self, name: str) -> set[str]:
        return {did["name"] for did in self.rucio("list_content", self.scope, name)}

    def places(self, name: str) -> set[str]:
        """The RSEs at which a file is."""
        rows = self.rucio("list_replicas", [{"scope": self.scope, "name": name}], all_states=True)
        return {rse for row in rows for rse in row["states"]}

    def dataset(self, number: int) -> str:
        sql = "SELECT name FROM lake.item WHERE (collection, id) = (%s, %s)"
        ((name,),) = self.query(sql, self.collection, f"tile-{number:05}")
        return str(name)

    def file(self, number: int) -> str:
        sql = "SELECT name FROM lake.file WHERE (collection, id) = (%s, %s)"
        ((name,),) = self.query(sql, self.collection, f"tile-{number:05}")
        return str(name)

    def ids(self) -> set[str]:
        return {row[0] for row in self.query("SELECT id FROM lake.item WHERE scope = %s", self.scope)}

    def items(self, *numbers: int) -> list[dict[str, Any]]:
        return [an_item(number, collection=self.collection) for number in numbers]

    def rule(self, account: str, name: str, rse: str = "VIENNA-DISK") -> str:
        calls = self.as_account(account)
        try:
            (rule,) = calls.send("add_replication_rule", [{"scope": self.scope, "name": name}], 1, rse)
        finally:
            calls.close()
        return str(rule)

    def run(self, source: Source, settings: Settings | None = None, **options: Any) -> Report:
        tables = PostgresStore.open(self.settings.database_url())
        lake = RucioStore(settings or self.settings)
        try:
            return SyncJob(source, settings or self.settings, tables, lake, SyncOptions(**options)).run()
        finally:
            lake.close()
            tables.close()

    def state(self) -> tuple[Any, ...]:
        """All that a removal takes away and a later sync restores, without instants."""
        tables = ask_tables(self.settings, self.scope, self.collection)
        instants = {"first_synced", "last_synced"}
        items = {key: {k: v for k, v in row.items() if k not in instants} for key, row in tables.items.items()}
        with_files = [row["name"] for key, row in sorted(tables.items.items()) if tables.files[key]]
        there = ask_rucio(self.settings, self.scope, with_files)
        containers = {
            name: self.content(name) for name in self.rucio("list_dids", self.scope, [{}], did_type="container")
        }
        mirror = self.query("SELECT scope, name, rse, pfn, state FROM lake.replica WHERE scope = %s", self.scope)
        rows = (items, tables.obscore, tables.epn, tables.files, tables.links, sorted(mirror))
        return (*rows, containers, there.files, there.content, there.metadata)


def calls_as(lake: RunningLake, account: str) -> RucioCalls:
    return RucioCalls(Rucio(config=Path(lake.facts["accounts"][account]), account=account))


@pytest.fixture
def make_bench(lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Callable[..., Removing]]:
    with closing(calls_as(lake, "ingest")) as ingest:

        def make(**flags: Any) -> Removing:
            settings = lake.settings_with(identity={"scope": scope}, **flags)
            return Removing(settings, tmp_path, f"c-{scope}", lake, ingest)

        yield make


@pytest.fixture
def bench(make_bench: Callable[..., Removing]) -> Removing:
    return make_bench(sync={"batch_items": 10})


@pytest.fixture
def some_real_items(real_items: Path) -> list[dict[str, Any]]:
    """Real items, some with files and many with links only."""
    sized: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    with gzip.open(real_items / "items.ndjson.gz", "rt") as lines:
        for item in map(json.loads, lines):
            assets = item.get("assets") or {}
            if len(assets) <= MOST_ASSETS:
                (sized if any("file:size" in asset for asset in assets.values()) else others).append(item)
    return [*islice(sized, SIZED), *islice(others, REAL_ITEMS - SIZED)]


# ------------------------------------------------------------------------------------------------ exactly what is gone


def test_a_shortened_copy_removes_exactly_the_missing_and_the_whole_one_restores_all(
    make_bench: Callable[..., Removing], some_real_items: list[dict[str, Any]]
) -> None:
    bench = make_bench()
    first, _ = bench.sync(some_real_items)
    before = bench.state()
    gone, left = some_real_items[::5], [item for number, item in enumerate(some_real_items) if number % 5]
    recorded = set(before[0])
    missing = {(item.get("collection") or "items", item["id"]) for item in gone} & recorded

    report, _ = bench.sync(left, delete=True)

    assert report.complete
    assert report.read == report.unchanged + report.quarantined == len(left)
    assert (report.removed, report.kept) == (len(missing), 0)
    after = bench.state()
    assert set(after[0]) == recorded - missing
    for was, now in zip(before[:5], after[:5], strict=True):
        assert now == {key: value for key, value in was.items() if key not in missing}
    names = {(row["scope"], row["name"]) for key, row in before[0].items() if key in missing}
    for container, datasets in before[6].items():
        assert after[6][container] == datasets - {name for _, name in names}
    still = {name for name, content in before[8].items() if name in after[8] for name in content}
    assert set(after[7]) == still < set(before[7])
    assert bench.query("SELECT count(*) FROM lake.removal WHERE source = %s", bench.collection) == [(0,)]

    again, requests = bench.sync(left, delete=True)
    assert (again.removed, again.kept, requests) == (0, 0, 0)

    back, _ = bench.sync(some_real_items)
    assert back.added == len(missing)
    assert back.quarantined == first.quarantined
    assert bench.state() == before


def test_a_removed_item_leaves_nothing_that_a_search_finds(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    dataset, file = bench.dataset(1), bench.file(1)
    key = {"obs_id": "tile-00001"}
    assert bench.rucio("list_dids", bench.scope, [key], did_type="dataset") == [dataset]
    bench.sync(bench.items(0), delete=True)
    assert bench.content(bench.container) == {bench.dataset(0)}
    assert bench.rucio("list_dids", bench.scope, [key], did_type="dataset") == []
    assert bench.content(dataset) == set()
    assert bench.places(file) == set()
    for table in ("lake.file", "lake.link"):
        assert bench.query(f"SELECT 1 FROM {table} WHERE (collection, id) = (%s, 'tile-00001')", bench.collection) == []  # noqa: S608 - names above


def test_dry_run_shows_what_would_go_and_takes_nothing_away(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    before = bench.state()
    shown: list[str] = []
    report, _ = bench.sync(
        bench.items(0), delete=True, dry_run=True, on_action=lambda action: shown.append(str(action))
    )
    assert (report.removed, report.kept) == (1, 0)
    assert shown[0] == f"- item {bench.collection}/tile-00001"
    assert [line for line in shown if line.startswith("- replica")] == [
        f"- replica {bench.scope}:{bench.file(1)} at HTTPS-ARCHIVE_EXAMPLE_ORG"
    ]
    assert bench.state() == before


def test_without_delete_nothing_goes(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    report, _ = bench.sync(bench.items(0))
    assert report.removed == 0
    assert bench.ids() == {"tile-00000", "tile-00001"}


def test_a_lifetime_that_somebody_set_meanwhile_is_cleared_when_the_item_comes_back(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    dataset = bench.dataset(1)
    bench.sync(bench.items(0), delete=True)
    bench.rucio("set_metadata", bench.scope, dataset, "lifetime", 86400)
    bench.sync(bench.items(0, 1))
    (row,) = bench.rucio("get_metadata_bulk", [{"scope": bench.scope, "name": dataset}])
    assert row["expired_at"] is None


# ------------------------------------------------------------------------------------------ what must remove nothing


def test_an_empty_file_removes_nothing(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    before = bench.state()
    with pytest.raises(FatalError, match="no item"):
        bench.sync([], delete=True)
    assert bench.state() == before


def test_a_file_with_an_unreadable_line_removes_nothing(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    report, _ = bench.sync([*bench.items(0), '{"broken'], delete=True)
    assert (report.removed, bench.ids()) == (0, {"tile-00000", "tile-00001"})
    assert any("not removed" in remark for remark in report.remarks)


def test_an_item_that_lost_its_name_may_be_any_of_the_missing(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    nameless = bench.items(1)[0] | {"id": 7}
    report, _ = bench.sync([*bench.items(0), nameless], delete=True)
    assert (report.quarantined, report.removed, bench.ids()) == (1, 0, {"tile-00000", "tile-00001"})


def test_an_item_that_went_to_quarantine_is_not_gone(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    bad = bench.items(1)[0] | {"assets": "none"}
    report, _ = bench.sync([bench.items(0)[0], bad], delete=True)
    assert (report.quarantined, report.removed, bench.ids()) == (1, 0, {"tile-00000", "tile-00001"})


def test_a_failing_api_removes_nothing(bench: Removing) -> None:
    bench.sync(bench.items(0, 1), name="api")
    page = {"type": "FeatureCollection", "features": bench.items(0), "links": []}

    def answer(asked: Any) -> Answer:
        if asked.path.startswith("/search"):
            if "token" in asked.query:
                return as_json({}, 500)
            link = {"rel": "next", "href": f"{server.url}/search?token=2"}
            return as_json(page | {"links": [link]})
        return as_json(
            {
                "stac_version": "1.0.0",
                "type": "Catalog",
                "id": "x",
                "description": "x",
                "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
                "links": [{"rel": "search", "href": f"{server.url}/search", "method": "GET"}],
            }
        )

    with serving(answer) as server:
        hasty = Patience(attempts=2, backoff=0.01)
        options = ReadOptions(full=True, kind="api", allow_private=True, patience=hasty)
        source = open_source(server.url, name="api", options=options)
        with pytest.raises(SyncError):
            bench.run(source, delete=True)
        assert any("token" in one.query for one in server.asked)
    assert bench.ids() == {"tile-00000", "tile-00001"}


def test_a_filtered_read_removes_nothing(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    path = bench.write(bench.items(0))
    source = open_source(str(path), name=bench.collection, options=ReadOptions(collections=(bench.collection,)))
    report = bench.run(source, delete=True)
    assert (report.read, report.removed, bench.ids()) == (1, 0, {"tile-00000", "tile-00001"})


def test_another_sources_items_are_left_alone(bench: Removing) -> None:
    bench.sync(bench.items(0, 1), name=bench.collection)
    report, _ = bench.sync(bench.items(2), name=f"{bench.collection}-other", delete=True)
    assert (report.added, report.removed) == (1, 0)
    assert bench.ids() == {"tile-00000", "tile-00001", "tile-00002"}
    # An item belongs to the source that wrote it last.
    bench.sync(bench.items(1), name=f"{bench.collection}-other", full=True)
    report, _ = bench.sync(bench.items(0), delete=True)
    assert (report.removed, bench.ids()) == (0, {"tile-00000", "tile-00001", "tile-00002"})


def test_a_run_in_which_an_item_failed_removes_nothing(make_bench: Callable[..., Removing]) -> None:
    bench = make_bench(sync={"sizes": "head", "connections_per_host": 1, "allow_private_addresses": True})
    bench.sync(bench.items(0, 1))
    unsized = bench.items(2, 3)
    with serving(lambda _: Answer(500)) as server:
        for item in unsized:  # both name the same file
            item["assets"]["image"].pop("file:size")
            item["assets"]["image"]["href"] = f"{server.url}/x.fits"
    report, _ = bench.sync([*bench.items(0), *unsized], delete=True)
    assert (report.failed, report.removed, bench.ids()) == (2, 0, {"tile-00000", "tile-00001"})


# ----------------------------------------------------------------------------------------------- what others rely on


def shared_items(bench: Removing, *numbers: int) -> list[dict[str, Any]]:
    """Items that all name one and the same file."""
    items = bench.items(*numbers)
    for item in items:
        item["assets"]["image"] = bench.items(7)[0]["assets"]["image"] | {
            "rucio:config": {"rucio:scope": bench.scope, "rucio:name": "shared.fits"}
        }
    return items


@pytest.mark.parametrize("batch_items", [1, 10])
def test_a_file_of_two_items_stays_until_both_are_gone(make_bench: Callable[..., Removing], batch_items: int) -> None:
    bench = make_bench(sync={"batch_items": batch_items})
    two = shared_items(bench, 1, 2)
    bench.sync([*bench.items(0), *two])
    assert bench.query(
        "SELECT DISTINCT name FROM lake.file WHERE collection = %s AND id <> 'tile-00000'", bench.collection
    ) == [("shared.fits",)]
    first, second = bench.dataset(1), bench.dataset(2)
    report, _ = bench.sync([*bench.items(0), two[1]], delete=True)
    assert (report.removed, report.kept) == (1, 1)
    assert any("another item" in remark for remark in report.remarks)
    assert bench.content(second) == {"shared.fits"}
    assert bench.content(first) == set()
    assert bench.places("shared.fits") == {"HTTPS-ARCHIVE_EXAMPLE_ORG"}
    assert len(bench.query("SELECT 1 FROM lake.replica WHERE (scope, name) = (%s, 'shared.fits')", bench.scope)) == 1
    report, _ = bench.sync(bench.items(0), delete=True)
    assert (report.removed, report.kept) == (1, 0)
    assert bench.places("shared.fits") == set()


@pytest.mark.parametrize("batch_items", [1, 10])
def test_a_file_of_two_items_goes_with_both(make_bench: Callable[..., Removing], batch_items: int) -> None:
    bench = make_bench(sync={"batch_items": batch_items})
    bench.sync([*bench.items(0), *shared_items(bench, 1, 2)])
    report, _ = bench.sync(bench.items(0), delete=True)
    assert report.removed == 2
    assert bench.places("shared.fits") == set()
    assert bench.content(bench.container) == {bench.dataset(0)}


def at_the_origin(bench: Removing, *numbers: int) -> list[dict[str, Any]]:
    """Items whose bytes really lie on the lake's origin server."""
    items = bench.items(*numbers)
    for number, item in zip(numbers, items, strict=True):
        body = f"content {number}".encode()
        path = Path(bench.lake.facts["origin_dir"]) / bench.collection / f"{number}.fits"
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_bytes(body)
        path.chmod(0o644)
        asset = item["assets"]["image"]
        asset.pop("file:checksum")
        asset["href"] = f"{bench.lake.facts['origin_url']}/{bench.collection}/{number}.fits"
        asset["file:size"] = len(body)
    return items


def wait_for(rule: str, bench: Removing) -> None:
    deadline = time.monotonic() + 100
    while (state := bench.rucio("get_replication_rule", rule)["state"]) != "OK":
        assert time.monotonic() < deadline, state
        time.sleep(0.5)


def test_rules_of_another_account_and_their_copies_survive(bench: Removing) -> None:
    items = at_the_origin(bench, 0, 1, 2, 3)
    bench.sync(items)
    on_dataset, on_file, free = bench.dataset(1), bench.file(2), bench.file(3)
    file_of_dataset = bench.file(1)
    rules = [bench.rule("alice", on_dataset), bench.rule("alice", on_file)]
    for rule in rules:
        wait_for(rule, bench)
    origin = bench.places(free)

    report, _ = bench.sync(items[:1], delete=True)

    assert (report.removed, bench.ids()) == (3, {"tile-00000"})
    assert report.kept == 3  # the dataset with its file, and the file
    assert any("alice" in remark for remark in report.remarks)
    for file in (file_of_dataset, on_file):
        assert bench.places(file) == origin | {"VIENNA-DISK"}
    assert bench.content(on_dataset) == {file_of_dataset}
    assert bench.places(free) == set()
    for rule in rules:
        assert bench.rucio("get_replication_rule", rule)["locks_ok_cnt"] == 1
    back, _ = bench.sync(items)
    assert (back.added, back.quarantined) == (3, 0)
    mirrored = bench.query("SELECT rse FROM lake.replica WHERE (scope, name) = (%s, %s)", bench.scope, on_file)
    assert {rse for (rse,) in mirrored} == origin | {"VIENNA-DISK"}


def test_what_a_rule_on_the_container_covers_stays_attached(bench: Removing) -> None:
    items = at_the_origin(bench, 0, 1)
    bench.sync(items)
    container, dataset, file = bench.container, bench.dataset(1), bench.file(1)
    rule = bench.rule("alice", container)
    wait_for(rule, bench)
    report, _ = bench.sync(items[:1], delete=True)
    assert (report.removed, report.kept, bench.ids()) == (1, 2, {"tile-00000"})
    assert dataset in bench.content(container)
    assert "VIENNA-DISK" in bench.places(file)
    assert bench.rucio("get_replication_rule", rule)["locks_ok_cnt"] == 2


def test_a_copy_without_a_rule_stays_where_it_is(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    file = bench.file(1)
    root = bench.as_account("root")
    (row,) = bench.rucio("list_replicas", [{"scope": bench.scope, "name": file}])
    root.send(
        "add_replicas", "SYDNEY-DISK", [{"scope": bench.scope, "name": file, "bytes": row["bytes"], "md5": row["md5"]}]
    )
    root.close()
    report, _ = bench.sync(bench.items(0), delete=True)
    assert (report.removed, report.kept) == (1, 1)
    assert bench.places(file) == {"SYDNEY-DISK"}
    back, _ = bench.sync(bench.items(0, 1))
    assert (back.added, back.quarantined) == (1, 0)
    assert bench.places(file) == {"SYDNEY-DISK", "HTTPS-ARCHIVE_EXAMPLE_ORG"}


def test_a_file_in_somebody_elses_dataset_stays_in_it(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    file = bench.file(1)
    root, alice = bench.as_account("root"), bench.as_account("alice")
    theirs = f"user.{bench.scope}"
    root.send("add_scope", "alice", theirs)
    root.close()
    alice.send("add_dataset", theirs, "mine")
    alice.send("attach_dids", theirs, "mine", [{"scope": bench.scope, "name": file}])
    report, _ = bench.sync(bench.items(0), delete=True)
    assert (report.removed, report.kept) == (1, 1)
    assert [did["name"] for did in alice.send("list_content", theirs, "mine")] == [file]
    alice.close()
    assert bench.places(file) == {"HTTPS-ARCHIVE_EXAMPLE_ORG"}


# ------------------------------------------------------------------------------------- crashes, and servers that refuse


class CutOffError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("verb", ["list_replication_rules", "set_dids_metadata_bulk", "detach_dids", "delete_replicas"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_removal_that_was_cut_short_is_finished_by_the_next(
    make_bench: Callable[..., Removing], monkeypatch: pytest.MonkeyPatch, verb: str, after: bool
) -> None:
    bench = make_bench(sync={"batch_items": 4})
    bench.sync(bench.items(*range(6)))
    datasets, files = [bench.dataset(n) for n in range(6)], [bench.file(n) for n in range(6)]
    send = RucioCalls.send

    def cut(calls: RucioCalls, this: str, *arguments: Any, **options: Any) -> Any:
        if this == verb:
            if after:
                send(calls, this, *arguments, **options)
            raise CutOffError
        return send(calls, this, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(RucioCalls, "send", cut)
        with pytest.raises(CutOffError):
            bench.sync(bench.items(0), delete=True)
    assert len(bench.ids()) == 2  # four of five are gone from the tables: nothing of them is found any more
    assert bench.query("SELECT count(*) FROM lake.removal WHERE source = %s", bench.collection) == [(4,)]
    report, _ = bench.sync(bench.items(0), delete=True)
    assert report.removed == 5
    assert bench.query("SELECT count(*) FROM lake.removal WHERE source = %s", bench.collection) == [(0,)]
    assert bench.content(bench.container) == {datasets[0]}
    assert [file for file in files if bench.places(file)] == files[:1]


def test_an_item_that_comes_back_before_its_removal_was_finished_is_whole(
    bench: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.sync(bench.items(0, 1))
    before = bench.state()
    send = RucioCalls.send

    def cut(calls: RucioCalls, verb: str, *arguments: Any, **options: Any) -> Any:
        answer = send(calls, verb, *arguments, **options)
        if verb == "detach_dids":
            raise TransientError("the line is cut")
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(RucioCalls, "send", cut)
        with pytest.raises(TransientError):
            bench.sync(bench.items(0), delete=True)
    report, _ = bench.sync(bench.items(0, 1), delete=True)
    assert (report.added, report.removed) == (1, 0)
    assert bench.state() == before
    assert bench.query("SELECT count(*) FROM lake.removal WHERE source = %s", bench.collection) == [(0,)]


def test_what_rucio_does_not_let_us_delete_is_said_and_the_rest_done(bench: Removing) -> None:
    bench.sync(bench.items(0, 1))
    dataset, file = bench.dataset(1), bench.file(1)
    root = bench.as_account("root")
    root.send("delete_account_attribute", "ingest", "stac_ingest")
    try:
        report, _ = bench.sync(bench.items(0), delete=True)
    finally:
        root.send("add_account_attribute", "ingest", "stac_ingest", "true")
        root.close()
    assert (report.removed, report.kept, bench.ids()) == (1, 1, {"tile-00000"})
    assert any("let the account delete replicas" in remark for remark in report.remarks)
    assert dataset not in bench.content(bench.container)
    assert bench.places(file) == {"HTTPS-ARCHIVE_EXAMPLE_ORG"}
    again, requests = bench.sync(bench.items(0), delete=True)
    assert (again.removed, requests) == (0, 0)
    back, _ = bench.sync(bench.items(0, 1))
    assert (back.added, back.quarantined) == (1, 0)


# ---------------------------------------------------------------------------------------------- the source's own word


@dataclass
class Told:
    """A source that says itself what is gone, as one with a history does."""

    name: str
    changes: list[Change]
    kind: str | None = None
    location: str | None = None

    def read(self, cursor: Cursor | None) -> Reading:
        del cursor
        return Reading(changes=self._all(), filtered=True, cursor={"at": "later"})

    def _all(self) -> Iterator[Change]:
        yield from self.changes


def test_what_the_source_itself_calls_gone_goes_with_delete_only(bench: Removing) -> None:
    bench.sync(bench.items(0, 1, 2))
    gone = [ItemRemoved(ItemKey(bench.collection, f"tile-{number:05}")) for number in (1, 2)]
    back = ItemRead(bench.items(2)[0], None, "later")
    report = bench.run(Told(bench.collection, [*gone, back]))
    assert (report.removed, bench.ids()) == (0, {"tile-00000", "tile-00001", "tile-00002"})
    assert [count for remark, count in report.remarks.items() if "--delete" in remark] == [1]
    report = bench.run(Told(bench.collection, [*gone, back]), delete=True)
    assert (report.removed, bench.ids()) == (1, {"tile-00000", "tile-00002"})
    assert bench.query("SELECT cursor ->> 'at' FROM lake.source WHERE name = %s", bench.collection) == [("later",)]
