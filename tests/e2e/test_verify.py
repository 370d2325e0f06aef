"""The audit on the real lake: it finds exactly what was broken by hand, repairs it, and leaves Rucio's states alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.audit import RucioAudit
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.audit_rows import AuditRows
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob
from stac_rucio_sync.verdict import VerifyReport
from stac_rucio_sync.verify import VerifyJob, VerifyOptions
from tests.conftest import RunningLake
from tests.e2e.test_sync import an_item

MIRROR = "https://mirror.example.org"
ITEMS = 12


def two_places(number: int, collection: str) -> dict[str, Any]:
    """An item whose image lies at two origins."""
    item = an_item(number, collection=collection, platform="example-1")
    href = f"{MIRROR}/{collection}/{number:05}/first.fits"
    item["assets"]["image"]["alternate"] = {"mirror": {"href": href}}
    item["stac_extensions"].append("https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json")
    return item


@dataclass
class Checked:
    """A synced source, and short ways to break it and look at it."""

    lake: RunningLake
    scope: str
    path: Path
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = self.lake.settings_with(identity={"scope": self.scope}, sync={"batch_items": 6})
        self.calls = RucioCalls(self.settings.rucio)
        self.collection = f"c-{self.scope}"

    def write(self, items: list[dict[str, Any]]) -> None:
        self.path.write_text("".join(json.dumps(item) + "\n" for item in items))

    def sync(self) -> None:
        source = open_source(str(self.path), name=self.collection, options=ReadOptions())
        tables, lake = PostgresStore.open(self.settings.database_url()), RucioStore(self.settings)
        try:
            report = SyncJob(source, self.settings, tables, lake).run()
        finally:
            tables.close()
            lake.close()
        assert report.quarantined == report.failed == 0

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Verify; the lines of this scope are kept (other tests' leftovers are none of ours)."""
        source = open_source(str(self.path), name=self.collection, options=ReadOptions(full=True))
        settings = self.settings
        tables, rows = PostgresStore.open(settings.database_url()), AuditRows(settings.database_url())
        lake, audit = RucioStore(settings), RucioAudit(settings)
        self.lines.clear()
        options = VerifyOptions(repair=repair, on_action=lambda action: self.lines.append(str(action)))
        try:
            return VerifyJob(source, settings, tables, rows, lake, audit, options).run()
        finally:
            for store in (tables, rows, lake, audit):
                store.close()

    def found(self) -> set[str]:
        """Return signs and kinds of the lines about this scope."""
        return {" ".join(line.split()[:2]) for line in self.lines if self.scope in line}

    def sql(self, statement: str, *values: Any) -> int:
        with psycopg.connect(self.settings.database_url()) as connection:
            return connection.execute(statement.encode(), values).rowcount

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.database_url()) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def everything(self) -> list[list[tuple[Any, ...]]]:
        """Return all rows of this scope as they stand, time stamps and row versions included."""
        return [
            self.query(f"SELECT xmin, t.* FROM lake.{table} t WHERE {column} = %s ORDER BY 2, 3, 4", value)  # noqa: S608 - names below
            for table, column, value in (
                ("item", "collection", self.collection),
                ("file", "collection", self.collection),
                ("replica", "scope", self.scope),
                ("source", "name", self.collection),
            )
        ] + [self.query("SELECT xmin, obs_id FROM lake.obscore WHERE obs_collection = %s ORDER BY 2", self.collection)]

    def file(self, number: int) -> tuple[str, str]:
        row = self.query(
            "SELECT scope, name FROM lake.file WHERE collection = %s AND id = %s", self.collection, f"tile-{number:05}"
        )[0]
        return str(row[0]), str(row[1])

    def dataset(self, number: int) -> tuple[str, str]:
        row = self.query(
            "SELECT scope, name FROM lake.item WHERE collection = %s AND id = %s", self.collection, f"tile-{number:05}"
        )[0]
        return str(row[0]), str(row[1])

    def rse(self, origin: str) -> str:
        return next(str(row[0]) for row in self.query("SELECT rse FROM lake.rse WHERE origin LIKE %s", origin + "%"))

    def state(self, file: tuple[str, str], rse: str) -> str:
        dids = [{"scope": file[0], "name": file[1]}]
        answer = self.calls.send("list_replicas", dids, all_states=True)
        return str(answer[0]["states"][rse])


@pytest.fixture
def checked(lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Checked]:
    one = Checked(lake, scope, tmp_path / "items.ndjson")
    one.write([two_places(number, one.collection) for number in range(ITEMS)])
    one.sync()
    yield one
    one.calls.close()


def delete_row(checked: Checked) -> None:
    assert checked.sql(
        "DELETE FROM lake.obscore WHERE obs_collection = %s AND obs_id = 'tile-00003'", checked.collection
    )


def alter_row(checked: Checked) -> None:
    assert checked.sql(
        "UPDATE lake.obscore SET t_min = 1 WHERE obs_collection = %s AND obs_id = 'tile-00010'", checked.collection
    )


def alter_mirror(checked: Checked) -> None:
    assert checked.sql(
        "UPDATE lake.replica SET state = 'BAD' WHERE (scope, name) = (%s, %s) AND pfn LIKE %s",
        *checked.file(4),
        MIRROR + "%",
    )


def remove_replica(checked: Checked) -> None:
    scope, name = checked.file(5)
    checked.calls.send("delete_replicas", checked.rse(MIRROR), [{"scope": scope, "name": name}])


def alter_metadata(checked: Checked) -> None:
    checked.calls.send("set_metadata", *checked.dataset(6), "platform", "somebody else's")


def detach_file(checked: Checked) -> None:
    scope, name = checked.file(7)
    checked.calls.send("detach_dids", *checked.dataset(7), [{"scope": scope, "name": name}])


def detach_dataset(checked: Checked) -> None:
    scope, name = checked.dataset(7)
    checked.calls.send("detach_dids", checked.scope, checked.collection, [{"scope": scope, "name": name}])


def attach_strange_file(checked: Checked) -> None:
    scope, name = checked.file(8)
    checked.calls.send("attach_dids", *checked.dataset(9), [{"scope": scope, "name": name}])


def attach_strange_dataset(checked: Checked) -> None:
    checked.calls.send("add_dataset", checked.scope, "strange")
    checked.calls.send("attach_dids", checked.scope, checked.collection, [{"scope": checked.scope, "name": "strange"}])


def leave_own_key(checked: Checked) -> None:
    checked.calls.send("set_metadata", *checked.dataset(6), "stac:former", "left by a run that was cut short")


def add_foreign_row(checked: Checked) -> None:
    assert checked.sql(
        "INSERT INTO lake.obscore (calib_level, obs_collection, obs_id, obs_publisher_did, access_url, access_format) "
        "VALUES (2, %s, 'nobody', 'ivo://nobody/' || %s, 'https://a.example.org', 'text/html')",
        checked.collection,
        checked.scope,
    )


def drop_file_row(checked: Checked) -> None:
    assert checked.sql("DELETE FROM lake.file WHERE collection = %s AND id = 'tile-00001'", checked.collection)


def add_orphan_mirror(checked: Checked) -> None:
    assert checked.sql(
        "INSERT INTO lake.replica VALUES (%s, 'nobody', 'NOWHERE', 'https://a.example.org/x', 'AVAILABLE', false)",
        checked.scope,
    )


BREAKS: list[tuple[Callable[[Checked], None], set[str]]] = [
    (delete_row, {"+ obscore"}),
    (alter_row, {"* obscore"}),
    (alter_mirror, {"* mirror"}),
    (remove_replica, {"+ replica"}),
    (alter_metadata, {"* metadata"}),
    (detach_file, {"+ attachment"}),
    (detach_dataset, {"+ attachment"}),
    (attach_strange_file, {"- attachment"}),
    (attach_strange_dataset, {"- attachment"}),
    (leave_own_key, {"- metadata"}),
    (add_foreign_row, {"- obscore"}),
    (drop_file_row, {"+ file", "- mirror"}),
    (add_orphan_mirror, {"- mirror"}),
]


def test_nothing_differs_after_a_sync(checked: Checked) -> None:
    report = checked.verify()
    assert checked.lines == []
    assert report.complete
    assert (report.read, report.differences, report.clean) == (ITEMS, 0, True)


@pytest.mark.parametrize(("wreck", "lines"), BREAKS[:-2] + BREAKS[-1:], ids=lambda one: getattr(one, "__name__", ""))
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


def test_everything_broken_at_once_is_repaired_at_once(checked: Checked) -> None:
    for wreck, _ in BREAKS:
        wreck(checked)
    report = checked.verify(repair=True)
    assert checked.found() == set().union(*(lines for _, lines in BREAKS))
    assert report.remaining == 0
    assert checked.verify().differences == 0


def test_a_replica_that_an_operator_declared_bad_stays_bad(checked: Checked) -> None:
    file, rse = checked.file(2), checked.rse(MIRROR)
    (pfn,) = checked.query("SELECT pfn FROM lake.replica WHERE (scope, name, rse) = (%s, %s, %s)", *file, rse)[0]
    operator = RucioCalls(
        checked.settings.rucio.model_copy(update={"config": admin_config(checked), "account": "root"})
    )
    operator.send("declare_bad_file_replicas", [pfn.replace("example.org/", "example.org:443/")], "disk lost")
    operator.close()
    assert checked.state(file, rse) == "BAD"
    report = checked.verify()
    assert (checked.found(), report.differences) == ({"* mirror"}, 1)
    assert checked.verify(repair=True).remaining == 0
    assert checked.state(file, rse) == "BAD"
    assert checked.query("SELECT state FROM lake.replica WHERE (scope, name, rse) = (%s, %s, %s)", *file, rse) == [
        ("BAD",)
    ]
    assert checked.verify().differences == 0


def admin_config(checked: Checked) -> Path:
    return Path(checked.lake.home) / "client" / "root" / "rucio.cfg"


def test_a_file_that_rucio_forgot_comes_back_with_its_attachments(checked: Checked) -> None:
    scope, name = checked.file(5)
    for origin in (MIRROR, "https://archive.example.org"):
        checked.calls.send("delete_replicas", checked.rse(origin), [{"scope": scope, "name": name}])
    checked.verify()
    assert checked.found() == {"+ file", "+ attachment"}
    assert checked.verify(repair=True).remaining == 0
    assert checked.verify().differences == 0


def test_items_of_the_source_that_were_never_synced_or_changed_since_are_told_and_synced_by_the_repair(
    checked: Checked,
) -> None:
    items = [two_places(number, checked.collection) for number in range(ITEMS + 1)]
    items[0]["properties"]["title"] = "changed since"
    checked.write(items)
    report = checked.verify()
    assert checked.found() == {"+ item", "* item"}
    assert report.differences == 2
    assert checked.verify(repair=True).remaining == 0
    assert checked.verify().differences == 0


def test_the_last_line_of_an_item_counts(checked: Checked) -> None:
    items = [two_places(number, checked.collection) for number in range(ITEMS)]
    former = two_places(0, checked.collection)
    former["properties"]["title"] = "superseded later"
    checked.write([former, *items])
    report = checked.verify()
    assert (report.read, report.superseded, report.differences) == (ITEMS + 1, 1, 0)


def test_items_that_the_source_no_longer_has_are_told_and_kept(checked: Checked) -> None:
    checked.write([two_places(number, checked.collection) for number in range(1, ITEMS)])
    report = checked.verify(repair=True)
    assert checked.found() == {"- item"}
    assert (report.differences, report.remaining) == (1, 1)
    assert checked.query("SELECT count(*) FROM lake.item WHERE collection = %s", checked.collection) == [(ITEMS,)]


def test_verify_without_repair_writes_nothing(checked: Checked) -> None:
    for wreck, _ in BREAKS:
        wreck(checked)
    before = checked.everything()
    report = checked.verify()
    assert report.differences > len(BREAKS)
    assert checked.everything() == before
    assert checked.verify().counts == report.counts
    # Rows of nobody's are told to whoever verifies a source by the same tables: other tests do.
    assert checked.verify(repair=True).remaining == 0
