"""What one commit leaves in the tables: rows, files, links, replicas and state of a batch, all or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.model import Did, ItemKey, ReadEnd, Replica, Rse
from stac_rucio_sync.stores.tables.state import Place
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.examples import epn_row, file_of, link_of, obscore_row, settled_item, wanted_item

CONTENT = ("obscore", "epn", "file", "link", "replica", "item")
STAMPS = {"first_synced", "last_synced", "updated"}


def content(admin: psycopg.Connection) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, without time stamps."""
    everything = {}
    for table in CONTENT:
        cursor = admin.execute(f"SELECT * FROM lake.{table} t ORDER BY t::text")  # noqa: S608 - names above
        names = [column.name for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        everything[table] = [{name: value for name, value in row.items() if name not in STAMPS} for row in rows]
    return everything


def body_item(number: int, **fields: Any) -> Any:
    wanted = wanted_item(number, **fields)
    body = wanted.obscore._replace(s_ra=None, s_dec=None, s_region=None, s_polygon=None, s_bound=None)
    return replace(wanted, obscore=body, epn=epn_row(body))


def test_a_row_comes_back_as_it_was_written(store: PostgresStore, admin: psycopg.Connection) -> None:
    wanted = body_item(7)
    sky = wanted_item(8, obscore=obscore_row(8, obs_title='tab\there, newline\nthere, "quotes" \\N back\\slash ö🛰'))
    assert store.commit("s", [settled_item(wanted), settled_item(sky)], []) == 3
    told = content(admin)
    there = {row["obs_publisher_did"]: row for row in told["obscore"]}[sky.obscore.obs_publisher_did]
    for name, value in sky.obscore._asdict().items():
        read = there[name]
        if name == "obs_release_date":
            assert read == datetime(2020, 1, 1, 0, 0, 0, 500000)  # UTC without a zone, as DALI has it
        else:
            assert read == (list(value) if isinstance(value, tuple) else value), name
    assert wanted.epn is not None
    for name, value in wanted.epn._asdict().items():
        if not name.endswith("_date"):
            assert told["epn"][0][name] == (list(value) if isinstance(value, tuple) else value), name


def test_files_links_and_replicas_come_back(store: PostgresStore, admin: psycopg.Connection) -> None:
    wanted = wanted_item(1)
    elsewhere = Replica(wanted.files[0].did, "VIENNA-DISK", "http://127.0.0.1/x", "COPYING", needs_login=True)
    store.commit("s", [settled_item(wanted, elsewhere)], [])
    told = content(admin)
    image = next(row for row in told["file"] if row["asset"] == "image")
    assert image["roles"] == ["data", 'say "this"', "back\\slash"]
    assert (image["bytes"], image["adler32"], image["md5"], image["science"]) == (1001, "0123abcd", None, True)
    assert [row["name"] for row in told["link"]] == ["link:0", "preview"]
    assert {(row["rse"], row["state"], row["needs_login"]) for row in told["replica"]} == {
        ("HTTPS-ARCHIVE-EXAMPLE-ORG", "AVAILABLE", False),
        ("VIENNA-DISK", "COPYING", True),
    }
    found = store.found([wanted.key]).items[wanted.key]
    assert (found.source, found.fingerprint, found.did) == ("s", "f1", wanted.did)
    assert found.metadata_keys == ("obs_id", "stac:id")
    assert [(file.asset, file.did, file.bytes) for file in found.files] == [
        (file.asset, file.did, file.bytes) for file in wanted.files
    ]
    assert found.files[0].pfns == (wanted.files[0].replicas[0].pfn, "http://127.0.0.1/x")


def test_the_same_again_writes_no_row_and_leaves_all_as_it_was(store: PostgresStore, admin: psycopg.Connection) -> None:
    batch = [settled_item(body_item(1)), settled_item(wanted_item(2))]
    assert store.commit("s", batch, []) == 3
    before = content(admin)
    versions = "SELECT xmin FROM lake.obscore UNION ALL SELECT xmin FROM lake.epn UNION ALL SELECT xmin FROM lake.file"
    touched = admin.execute(versions).fetchall()
    assert store.commit("s", batch, []) == 0
    assert content(admin) == before
    assert admin.execute(versions).fetchall() == touched


def test_only_rows_that_changed_are_written(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.commit("s", [settled_item(wanted_item(number)) for number in range(5)], [])
    changed = wanted_item(3, obscore=obscore_row(3, s_polygon=None, t_exptime=30.0), fingerprint="new")
    batch = [settled_item(changed if number == 3 else wanted_item(number)) for number in range(5)]
    assert store.commit("s", batch, []) == 1
    assert admin.execute("SELECT obs_id, footprint FROM lake.obscore WHERE t_exptime = 30").fetchall() == [
        ("tile-3", None)
    ]
    assert store.fingerprints([changed.key]) == ({changed.key: "new"}, {})


def test_an_item_that_turns_from_body_to_sky_loses_its_epn_row(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.commit("s", [settled_item(body_item(1)), settled_item(body_item(2))], [])
    store.commit("s", [settled_item(wanted_item(1))], [])
    assert [row["obs_id"] for row in content(admin)["epn"]] == ["tile-2"]
    assert len(content(admin)["obscore"]) == 2


def test_files_and_links_become_exactly_those_wanted(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.commit("s", [settled_item(wanted_item(1)), settled_item(wanted_item(2))], [])
    fewer = wanted_item(1, files=(file_of(1, "image"),), links=(link_of("other"),))
    store.commit("s", [settled_item(fewer)], [])
    told = content(admin)
    assert [(row["id"], row["asset"]) for row in told["file"]] == [
        ("tile-1", "image"), ("tile-2", "image"), ("tile-2", "weight"),
    ]  # fmt: skip
    assert [(row["id"], row["name"]) for row in told["link"]] == [
        ("tile-1", "other"), ("tile-2", "link:0"), ("tile-2", "preview"),
    ]  # fmt: skip
    assert {row["name"] for row in told["replica"]} == {row["name"] for row in told["file"]}


def test_a_replica_of_a_shared_file_stays_while_one_item_has_it(
    store: PostgresStore, admin: psycopg.Connection
) -> None:
    shared = file_of(9, "dark")
    store.commit("s", [settled_item(wanted_item(number, files=(shared,))) for number in (1, 2)], [])
    store.commit("s", [settled_item(wanted_item(1, files=()))], [])
    assert [row["name"] for row in content(admin)["replica"]] == [shared.did.name]
    assert store.resolve(shared.did) == [Place("survey", "tile-2", "dark")]
    store.commit("s", [settled_item(wanted_item(2, files=()))], [])
    assert content(admin)["replica"] == []


def test_changed_content_takes_the_replicas_of_the_old_did_along(
    store: PostgresStore, admin: psycopg.Connection
) -> None:
    store.commit("s", [settled_item(wanted_item(1, files=(file_of(1, "image"),)))], [])
    new = file_of(1, "image", did=Did("stac", "survey..tile-1..image..v-abc.fits"), bytes=5)
    store.commit("s", [settled_item(wanted_item(1, files=(new,)))], [])
    told = content(admin)
    assert [(row["asset"], row["name"], row["bytes"]) for row in told["file"]] == [("image", new.did.name, 5)]
    assert [row["name"] for row in told["replica"]] == [new.did.name]


def test_replicas_that_rucio_no_longer_names_go(store: PostgresStore, admin: psycopg.Connection) -> None:
    wanted = wanted_item(1, files=(file_of(1, "image"),))
    gone = Replica(wanted.files[0].did, "VIENNA-DISK", "http://127.0.0.1/x", "AVAILABLE")
    store.commit("s", [settled_item(wanted, gone)], [])
    store.commit("s", [settled_item(wanted)], [])
    assert [row["rse"] for row in content(admin)["replica"]] == ["HTTPS-ARCHIVE-EXAMPLE-ORG"]


def test_files_without_a_place_in_rucio_are_links(store: PostgresStore, admin: psycopg.Connection) -> None:
    wanted = wanted_item(1, links=())
    links = tuple(link_of(file.asset, reason="no RSE for https://archive.example.org") for file in wanted.files)
    store.commit("s", [settled_item(wanted, links=links)], [])
    told = content(admin)
    assert told["file"] == []
    assert [row["name"] for row in told["link"]] == ["image", "weight"]
    assert told["item"][0]["links_only"]


def test_an_item_with_another_publisher_did_leaves_no_old_row(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.commit("s", [settled_item(body_item(1))], [])
    row = obscore_row(1, obs_publisher_did="ivo://other/lake?stac:survey..tile-1")
    store.commit("s", [settled_item(wanted_item(1, obscore=row))], [])
    told = content(admin)
    assert [row["obs_publisher_did"] for row in told["obscore"]] == [row.obs_publisher_did]
    assert told["epn"] == []


def test_where_a_trigger_writes_the_rows_all_else_is_written(store: PostgresStore, admin: psycopg.Connection) -> None:
    assert store.commit("s", [settled_item(body_item(1))], [], write_rows=False) == 1
    told = content(admin)
    assert told["obscore"] == []
    assert len(told["item"]) == len(told["epn"]) == 1
    assert len(told["file"]) == 2


def test_of_one_item_twice_in_a_batch_the_later_wins(store: PostgresStore) -> None:
    store.commit("s", [settled_item(wanted_item(1)), settled_item(wanted_item(1, fingerprint="later"))], [])
    assert store.fingerprints([ItemKey("survey", "tile-1")])[0] == {ItemKey("survey", "tile-1"): "later"}


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"s_polygon": (0.0, 0.0, 10.0, 10.0, 10.0, 0.0, 0.0, 10.0)}, "line segment overlaps"),
        ({"s_polygon": (0.0, 0.0, 10.0)}, "pairs of finite"),
        ({"s_polygon": (0.0, 0.0, float("nan"), 0.0, 10.0, 10.0)}, "pairs of finite"),
        ({"s_ra": -1.0}, "s_ra"),
        ({"s_dec": float("nan")}, "s_dec"),
        ({"calib_level": 9}, "calib_level"),
        ({"obs_release_date": "soon"}, "timestamp"),
        ({"obs_collection": None}, "obs_collection"),
        ({"access_estsize": 2**70}, "out of range"),
    ],
)
def test_a_row_that_is_refused_takes_the_call_with_it_and_nothing_else(
    store: PostgresStore, admin: psycopg.Connection, bad: dict[str, Any], told: str
) -> None:
    good = settled_item(wanted_item(1))
    store.commit("s", [good], [])
    before = content(admin)
    with pytest.raises(RefusedError, match=told):
        store.commit(
            "s", [settled_item(wanted_item(2)), settled_item(wanted_item(3, obscore=obscore_row(3, **bad)))], []
        )
    assert content(admin) == before
    assert store.commit("s", [settled_item(wanted_item(2))], []) == 1


def test_two_items_that_claim_one_dataset_are_refused(store: PostgresStore) -> None:
    store.commit("s", [settled_item(wanted_item(1))], [])
    with pytest.raises(RefusedError, match=r"item_dataset_is_unique.*survey\.\.tile-1"):
        store.commit("s", [settled_item(wanted_item(2, did=wanted_item(1).did))], [])


def test_text_that_postgresql_cannot_hold_is_cleaned(store: PostgresStore, admin: psycopg.Connection) -> None:
    row = obscore_row(1, obs_title="a\x00b", target_name="half \ud83d pair")
    wanted = wanted_item(1, obscore=row, files=(file_of(1, "image", title="N\x00GC"),))
    assert store.commit("s", [settled_item(wanted)], []) == 1
    assert admin.execute("SELECT obs_title, target_name FROM lake.obscore").fetchall() == [("ab", "half \ufffd pair")]
    assert admin.execute("SELECT title FROM lake.file").fetchall() == [("NGC",)]


def test_a_key_with_a_nul_is_found_again(store: PostgresStore) -> None:
    key = ItemKey("survey", "a\x00b")
    store.commit("s", [settled_item(wanted_item(1, key=key))], [])
    assert store.fingerprints([ItemKey("survey", "none"), key]) == ({key: "f1"}, {})
    assert set(store.found([key]).items) == {key}


def test_the_end_of_a_read_keeps_the_cursor_and_says_when(store: PostgresStore) -> None:
    with store.lock_source("s", kind="api", location="https://stac.example.org"):
        store.commit("s", [settled_item(wanted_item(1)), settled_item(wanted_item(2, files=()))], [])
        assert (store.source_state("s") or pytest.fail("no state")).last_ended is None
        store.commit(
            "s", [], [], ReadEnd({"updated": "2020-01-01T00:00:00Z"}, complete=True, started=datetime.now(UTC))
        )
    state = store.source_state("s")
    assert state is not None
    assert (state.kind, state.location, state.items, state.links_only) == ("api", "https://stac.example.org", 2, 1)
    assert state.cursor == {"updated": "2020-01-01T00:00:00Z"}
    assert state.last_started is not None
    assert state.last_complete is not None
    assert state.last_started < state.last_complete

    with store.lock_source("s"):
        store.commit("s", [], [], ReadEnd(None, complete=False, started=datetime.now(UTC)))
    later = store.source_state("s")
    assert later is not None
    assert (later.cursor, later.last_complete, later.kind) == (state.cursor, state.last_complete, "api")
    assert later.last_ended is not None
    assert later.last_ended > state.last_complete
    assert store.source_state("another") is None


def test_an_item_belongs_to_the_source_that_wrote_it_last(store: PostgresStore) -> None:
    store.commit("first", [settled_item(wanted_item(number)) for number in range(3)], [])
    store.commit("second", [settled_item(wanted_item(1))], [])
    assert list(store.items_of_source("first")) == [ItemKey("survey", "tile-0"), ItemKey("survey", "tile-2")]
    assert [(state.name, state.items) for state in store.status()] == [("first", 2), ("second", 1)]


def test_datasets_and_files_are_resolved_by_their_dids(store: PostgresStore) -> None:
    wanted = wanted_item(1)
    store.commit("s", [settled_item(wanted)], [])
    assert store.resolve(wanted.did) == [Place("survey", "tile-1", None)]
    assert store.resolve(wanted.files[1].did) == [Place("survey", "tile-1", "weight")]
    assert store.resolve(Did("stac", "unknown")) == []


def test_rses_are_brought_up_to_date(store: PostgresStore, admin: psycopg.Connection) -> None:
    disk = Rse("VIENNA-DISK", deterministic=True, rse_type="DISK", available_read=True, site="vienna", latitude=48.2)
    tape = Rse("TAPE", deterministic=True, rse_type="TAPE", available_read=True)
    store.upsert_rses([disk, tape])
    store.upsert_rses([disk])
    store.upsert_rses([replace(tape, available_read=False)])
    rows = admin.execute("SELECT rse, available_read, site, latitude, longitude FROM lake.rse ORDER BY rse").fetchall()
    assert rows == [("TAPE", False, None, None, None), ("VIENNA-DISK", True, "vienna", 48.2, None)]
