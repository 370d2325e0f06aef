"""The life of an entry in the quarantine: in, counted again, out; and the end of a read that did not meet it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stac_rucio_sync.model import ItemKey, Quarantined, ReadEnd
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.examples import settled_item, wanted_item

KEY = ItemKey("survey", "tile-1")


def set_aside(**fields: Any) -> Quarantined:
    told: dict[str, Any] = {
        "key": KEY, "position": "items.ndjson:7", "reason": "no datetime", "fingerprint": "bad1",
        "stac": {"id": "tile-1", "properties": {"text": "a\x00b"}}, "href": "https://example.org/items.ndjson",
    }  # fmt: skip
    return Quarantined(**told | fields)


def end(*, complete: bool = True) -> ReadEnd:
    return ReadEnd(None, complete=complete, started=datetime.now(UTC))


def test_an_entry_comes_back_with_its_item(store: PostgresStore) -> None:
    store.commit("s", [], [set_aside()])
    (entry,) = store.quarantine("s")
    assert (entry.key, entry.position, entry.reason, entry.attempts) == (KEY, "items.ndjson:7", "no datetime", 1)
    assert entry.stac == {"id": "tile-1", "properties": {"text": "a\x00b"}}
    assert entry.title == "survey/tile-1"
    assert store.fingerprints([KEY]) == ({}, {KEY: "bad1"})
    assert store.found([KEY]).quarantined == {KEY: "bad1"}
    assert list(store.quarantine("another")) == []


def test_what_a_source_no_longer_has_leaves_and_another_sources_entry_stays(store: PostgresStore) -> None:
    store.commit("s", [], [set_aside(commit="c0ffee")])
    assert [entry.commit for entry in store.quarantine("s")] == ["c0ffee"]
    store.removals.release("another", [KEY])
    assert [entry.key for entry in store.quarantine()] == [KEY]
    store.removals.release("s", [KEY])
    assert list(store.quarantine()) == []


def test_another_attempt_is_counted_on_the_same_entry(store: PostgresStore) -> None:
    store.commit("s", [], [set_aside()])
    store.commit("s", [], [set_aside(reason="datetime is no instant", fingerprint="bad2")])
    (entry,) = store.quarantine()
    assert (entry.attempts, entry.reason, entry.fingerprint) == (2, "datetime is no instant", "bad2")
    assert entry.first_seen < entry.last_seen


def test_what_has_no_name_is_known_by_its_place(store: PostgresStore) -> None:
    nameless = [set_aside(key=None, position=f"items.ndjson:{line}", stac=None) for line in (1, 2)]
    store.commit("s", [], nameless)
    store.commit("s", [], nameless[:1])
    assert [(entry.title, entry.attempts) for entry in store.quarantine("s")] == [
        ("items.ndjson:1", 2), ("items.ndjson:2", 1),
    ]  # fmt: skip


def test_an_item_that_settles_leaves_and_one_that_fails_keeps_its_rows(store: PostgresStore) -> None:
    store.commit("s", [settled_item(wanted_item(1))], [])
    store.commit("s", [], [set_aside()])
    assert store.fingerprints([KEY]) == ({KEY: "f1"}, {KEY: "bad1"})
    store.commit("s", [settled_item(wanted_item(1))], [])
    assert store.fingerprints([KEY]) == ({KEY: "f1"}, {})


def test_a_complete_read_forgets_what_it_did_not_meet(store: PostgresStore) -> None:
    entries = [set_aside(key=ItemKey("survey", name)) for name in ("gone", "met", "again")]
    store.commit("s", [], [*entries, set_aside(key=None, position="old line")])
    store.commit("another", [], [set_aside(key=ItemKey("other", "one"))])
    with store.lock_source("s"):
        store.keep_in_quarantine([ItemKey("survey", "met")])
        store.commit("s", [], [entries[2]], end())
    assert [entry.title for entry in store.quarantine()] == ["other/one", "survey/again", "survey/met"]


def test_a_read_that_was_cut_short_forgets_nothing(store: PostgresStore) -> None:
    store.commit("s", [], [set_aside()])
    with store.lock_source("s"):
        store.commit("s", [], [], end(complete=False))
    assert [state.quarantined for state in store.status()] == [1]


@pytest.mark.parametrize(
    "stac", [{"big": 2**80}, {"half": "\ud83d"}, {"nan": float("nan")}, {"big": 2**80, "nan": float("nan")}]
)
def test_any_item_that_a_parser_gives_can_be_kept(store: PostgresStore, stac: dict[str, Any]) -> None:
    store.commit("s", [], [set_aside(stac=stac, reason="NUL \x00 and \ud83d")])
    (entry,) = store.quarantine()
    assert entry.reason == "NUL  and \ufffd"
    assert (entry.stac or {}).get("big") == stac.get("big")
    assert (entry.stac or {}).get("half") == stac.get("half")
