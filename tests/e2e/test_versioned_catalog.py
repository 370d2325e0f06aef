"""A versioned catalogue synced into the real lake: the commits are the change feed, removals and ways back included."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.history import rollback
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.cli import main
from stac_rucio_sync.mapping.metadata import COMMIT_KEY
from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.audit import RucioAudit
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.audit_rows import AuditRows
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.verify import VerifyJob, VerifyOptions
from tests.conftest import RunningLake
from tests.e2e.chosen.found import ask_rucio
from tests.e2e.test_removal import Removing, calls_as
from tests.e2e.test_sync import an_item

WITH_FILES = 20
GONE = "gone, by the source's own word, and kept: sync with --delete to remove it"


@dataclass
class Versioned(Removing):
    """A catalogue, and short ways to change it, sync it and look at what became of it."""

    backend: str = "git"
    repository: Repository = field(init=False)

    def __post_init__(self) -> None:
        self.repository = Repository.create(self.folder / "survey.git", backend=self.backend)

    def item(self, number: int, **properties: Any) -> dict[str, Any]:
        """An item, the first ones with a file and the others with a link."""
        item = an_item(number, collection=self.collection, **properties)
        if number >= WITH_FILES:
            item["assets"]["image"].pop("file:size")
        return item

    def commit(self, *items: Mapping[str, Any], without: Iterable[int] = ()) -> str:
        """Put items and take others away in one commit; return its name."""
        with transaction(self.repository) as changes:
            for item in items:
                changes.put_item(item)
            for number in without:
                changes.remove(self.repository.head().find(f"tile-{number:05}")[0])
            made = changes.commit("Change some items")
        assert made is not None
        return made.oid

    def catch_up(self, at: str | None = None, **options: Any) -> Report:
        read = ReadOptions(at=at, delete=options.get("delete", False), full=options.get("full", False))
        return self.run(open_source(str(self.repository.place), name=self.collection, options=read), **options)

    def commits(self, *numbers: int) -> list[str | None]:
        """What the metadata in Rucio say of items."""
        names = [self.dataset(number) for number in numbers]
        return [ask_rucio(self.settings, self.scope, [name]).metadata[name].get(COMMIT_KEY) for name in names]

    def rows(self) -> dict[str, Any]:
        """Rows of items and of ObsCore by id, with the transaction that wrote them."""
        sql = """
            SELECT i.id, i.fingerprint, i.xmin::text, o.xmin::text, o.obs_title, o.access_estsize
            FROM lake.item i LEFT JOIN lake.obscore o ON o.obs_publisher_did = i.obs_publisher_did
            WHERE i.collection = %s
        """
        return {row[0]: row[1:] for row in self.query(sql, self.collection)}

    def differences(self, at: str | None = None) -> list[str]:
        """What an audit finds in this scope."""
        source = open_source(str(self.repository.place), name=self.collection, options=ReadOptions(full=True, at=at))
        tables, rows = PostgresStore.open(self.settings.database_url()), AuditRows(self.settings.database_url())
        lake, audit = RucioStore(self.settings), RucioAudit(self.settings)
        lines: list[str] = []
        try:
            options = VerifyOptions(on_action=lambda action: lines.append(str(action)))
            VerifyJob(source, self.settings, tables, rows, lake, audit, options).run()
        finally:
            for store in (tables, rows, lake, audit):
                store.close()
        return [line for line in lines if self.scope in line]


@pytest.fixture
def make_bench(lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Callable[..., Versioned]]:
    with closing(calls_as(lake, "ingest")) as ingest:

        def make(backend: str = "git", **flags: Any) -> Versioned:
            settings = lake.settings_with(identity={"scope": scope}, **flags)
            return Versioned(settings, tmp_path, f"c-{scope}", lake, ingest, backend)

        yield make


@pytest.fixture
def bench(make_bench: Callable[..., Versioned]) -> Versioned:
    return make_bench(sync={"batch_items": 10})


@pytest.mark.parametrize("items", [80, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_eighteen_changes_are_eighteen_objects_and_exactly_these_differences(
    make_bench: Callable[..., Versioned], monkeypatch: pytest.MonkeyPatch, items: int
) -> None:
    bench = make_bench()
    bench.commit(*map(bench.item, range(items)))
    first = bench.catch_up()
    assert (first.read, first.added, first.complete) == (items, items, True)
    before = bench.rows()
    changed, removed = [*range(5), *range(items // 2, items // 2 + 5)], [10, 11, items - 1]
    new = range(items, items + 5)
    last = bench.commit(*(bench.item(number, title="second") for number in [*changed, *new]), without=removed)

    asked: list[str] = []
    answer = GitObjects.file

    def counted(objects: GitObjects, oid: str) -> bytes:
        asked.append(oid)
        return answer(objects, oid)

    with monkeypatch.context() as patched:
        patched.setattr(GitObjects, "file", counted)
        report = bench.catch_up(delete=True)

    assert (report.read, report.changed, report.added, report.removed) == (15, 10, 5, 3)
    assert len(asked) <= 18
    after = bench.rows()

    def names(*numbers: int) -> set[str]:
        return {f"tile-{number:05}" for number in numbers}

    assert before.keys() - after.keys() == names(*removed)
    assert after.keys() - before.keys() == names(*new)
    assert {name for name in before.keys() & after.keys() if before[name] != after[name]} == names(*changed)
    assert {name for name, row in after.items() if row[3] == "second"} == names(*changed, *new)
    assert bench.commits(0, items, items - 2) == [last, last, bench.repository.version(2).commit.oid]
    assert len(bench.content(bench.container)) == items + 2
    assert bench.differences() == []


@pytest.mark.parametrize("backend", ["git", "filesystem"])
def test_what_is_gone_waits_for_a_run_that_deletes(make_bench: Callable[..., Versioned], backend: str) -> None:
    bench = make_bench(backend)
    bench.commit(*map(bench.item, range(4)))
    bench.catch_up()
    bench.commit(without=[1])
    report = bench.catch_up()
    assert (report.read, report.removed, report.remarks[GONE]) == (0, 0, 1)
    bench.commit(bench.item(4), without=[2])
    report = bench.catch_up()
    assert (report.added, report.removed, report.remarks[GONE]) == (1, 0, 1)
    assert len(bench.ids()) == 5
    report = bench.catch_up(delete=True, dry_run=True)
    assert (report.read, report.removed, len(bench.ids())) == (0, 2, 5)
    report = bench.catch_up(delete=True)
    assert (report.read, report.removed, report.remarks) == (0, 2, {})
    assert bench.ids() == {"tile-00000", "tile-00003", "tile-00004"}
    assert bench.differences() == []


def test_an_earlier_version_is_restored_and_left_again(bench: Versioned) -> None:
    bench.commit(*map(bench.item, range(4)))
    bench.catch_up()
    early = bench.state()
    bench.commit(bench.item(0, title="second"), bench.item(30), without=[1, 2])
    bench.catch_up(delete=True)
    late = bench.state()
    report = bench.catch_up(at="2", delete=True)
    assert (report.read, report.changed, report.added, report.removed) == (3, 1, 2, 1)
    assert bench.state() == early
    assert bench.differences(at="2") == []
    assert bench.differences() != []
    report = bench.catch_up(delete=True)
    assert (report.read, report.changed, report.added, report.removed) == (2, 1, 1, 2)
    assert bench.state() == late
    assert bench.catch_up(delete=True).read == 0


def test_metadata_name_the_commit_that_made_the_item_and_no_other_commit_touches_them(bench: Versioned) -> None:
    first = bench.commit(bench.item(0), bench.item(1))
    bench.catch_up()
    second = bench.commit(bench.item(0, title="second"))
    third = bench.commit(bench.item(2))
    bench.catch_up()
    assert bench.commits(0, 1, 2) == [second, first, third]
    before = bench.rows()
    bench.commit(bench.item(1, title="never synced"))
    bench.commit(bench.item(1))
    report = bench.catch_up()
    assert (report.read, report.unchanged) == (1, 1)
    assert bench.rows() == before
    assert bench.commits(1) == [first]
    assert bench.differences() == []  # the item is what it was in its commit, although later ones say the same
    bench.rucio("set_metadata_bulk", bench.scope, bench.dataset(1), {COMMIT_KEY: None})
    assert [line.split()[:2] for line in bench.differences()] in ([["+", "metadata"]], [["*", "metadata"]])


class CutOffError(Exception):
    """Stands for a kill."""


def test_what_a_killed_run_did_of_a_version_that_was_taken_back_is_undone(
    make_bench: Callable[..., Versioned], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(sync={"batch_items": 3})
    bench.commit(*map(bench.item, range(9)))
    bench.catch_up()
    good, before = bench.repository.head(), bench.state()
    bench.commit(*(bench.item(number, title="a mistake") for number in range(9)), bench.item(40))
    send, calls = RucioCalls.send, 0

    def cut(edge: RucioCalls, verb: str, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += verb == "set_dids_metadata_bulk"
        if calls > 2:
            raise CutOffError
        return send(edge, verb, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(RucioCalls, "send", cut)
        with pytest.raises(CutOffError):
            bench.catch_up()
    assert sum(row[3] == "a mistake" for row in bench.rows().values()) == 6
    rollback(bench.repository, good)
    report = bench.catch_up(delete=True)
    assert (report.read, report.unchanged, report.changed) == (9, 3, 6)
    assert [one for one in bench.rows().values() if one[3] == "a mistake"] == []
    assert bench.state()[6:8] == before[6:8]


def test_an_item_in_quarantine_keeps_its_commit_and_leaves_with_the_item(bench: Versioned) -> None:
    bad, worse = bench.item(0), bench.item(1)
    bad["assets"]["image"]["href"] = worse["assets"]["image"]["href"] = 7
    first = bench.commit(bad, worse)
    assert bench.catch_up().quarantined == 2

    def aside() -> list[tuple[Any, ...]]:
        return bench.query("SELECT id, commit FROM lake.quarantine WHERE source = %s ORDER BY id", bench.collection)

    assert aside() == [("tile-00000", first), ("tile-00001", first)]
    bench.commit(bench.item(2), without=[1])
    assert bench.catch_up().remarks.keys().isdisjoint({GONE})  # nothing of it was ever kept
    assert aside() == [("tile-00000", first)]


def test_other_settings_read_everything_once(make_bench: Callable[..., Versioned]) -> None:
    bench = make_bench()
    bench.commit(*map(bench.item, range(3)))
    bench.catch_up()
    assert bench.catch_up().read == 0
    bench.settings = bench.lake.settings_with(
        identity={"scope": bench.scope}, collections={bench.collection: {"calib_level": 3}}
    )
    report = bench.catch_up()
    assert (report.read, report.changed) == (3, 3)
    assert any("settings have changed" in remark for remark in report.remarks)
    assert bench.catch_up().read == 0


def test_from_the_command_line(
    bench: Versioned, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}IDENTITY__SCOPE", bench.scope)
    bench.commit(bench.item(0), bench.item(1))
    bench.commit(bench.item(0, title="second"), without=[1])
    place = str(bench.repository.place)

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as left:
            main(["--home", str(bench.lake.home), *arguments, "--json"])
        return int(left.value.code or 0), json.loads(capsys.readouterr().out)

    code, report = run("sync", place, "--at", "2")
    assert (code, report["added"], report["complete"]) == (0, 2, True)
    code, report = run("sync", place, "--kind", "catalog", "--delete")
    assert (code, report["read"], report["changed"], report["removed"]) == (0, 1, 1, 1)
    code, listed = run("status")
    (state,) = [one for one in listed["sources"] if one["name"] == place]
    assert (state["kind"], state["cursor"]["commit"]) == ("catalog", bench.repository.head().commit.oid)
