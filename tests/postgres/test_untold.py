"""When origins are asked again for sizes that they did not tell."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from stac_rucio_sync.model import ItemKey
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.examples import settled_item, wanted_item

KEYS = [ItemKey("survey", f"tile-{number}") for number in range(1, 4)]
REASON = "no size: https://archive.example.org answers 403"


@pytest.fixture
def untold(store: PostgresStore) -> PostgresStore:
    """Three items of a source, of all of which an origin did not tell a size."""
    store.commit("s", [settled_item(wanted_item(n)) for n in (1, 2, 3)], [], untold=dict.fromkeys(KEYS, REASON))
    return store


def pauses(admin: psycopg.Connection) -> dict[str, timedelta]:
    """How long each item's origins are left alone from now on."""
    rows = admin.execute("SELECT id, ask_again - now() FROM lake.untold").fetchall()
    admin.commit()
    return {name: pause + timedelta(minutes=1) for name, pause in rows}


def let_time_pass(admin: psycopg.Connection, hours: float) -> None:
    admin.execute("UPDATE lake.untold SET ask_again = ask_again - %s", [timedelta(hours=hours)])
    admin.commit()


def test_an_origin_is_left_alone_for_an_hour_and_then_twice_as_long_each_time_up_to_16_days(
    untold: PostgresStore, admin: psycopg.Connection
) -> None:
    assert untold.untold.of(KEYS) == dict.fromkeys(KEYS, False)
    for hours in (1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 384, 384, 384):
        assert pauses(admin)["tile-1"] // timedelta(hours=1) == hours
        untold.untold.asked({KEYS[0]: REASON})
    assert admin.execute("SELECT times FROM lake.untold ORDER BY id").fetchall() == [(14,), (1,), (1,)]


def test_an_item_whose_sizes_are_all_told_is_forgotten_and_so_is_one_that_goes(
    untold: PostgresStore, admin: psycopg.Connection
) -> None:
    let_time_pass(admin, 2)
    assert untold.untold.of(KEYS) == dict.fromkeys(KEYS, True)
    untold.commit("s", [settled_item(wanted_item(n)) for n in (1, 2)], [], untold={KEYS[1]: REASON})
    assert untold.untold.of(KEYS) == {KEYS[1]: False, KEYS[2]: True}
    assert [state.untold for state in untold.status()] == [2]
    untold.removals.begin("s", [KEYS[1]])
    assert untold.untold.of(KEYS) == {KEYS[2]: True}
    untold.untold.asked({KEYS[1]: REASON})  # of an item that is not recorded nothing is kept
    assert untold.untold.of(KEYS) == {KEYS[2]: True}


def test_what_is_due_is_taken_once_the_longest_due_first(untold: PostgresStore, admin: psycopg.Connection) -> None:
    assert untold.untold.take_due("s", 10) == []
    let_time_pass(admin, 2)
    admin.execute("UPDATE lake.untold SET ask_again = ask_again - interval '1 day' WHERE id = 'tile-2'")
    admin.commit()
    assert untold.untold.take_due("another", 10) == []
    assert untold.untold.take_due("s", 1) == [KEYS[1]]
    assert set(untold.untold.take_due("s", 10)) == {KEYS[0], KEYS[2]}
    assert untold.untold.take_due("s", 10) == []
    untold.untold.hurry("another")
    assert untold.untold.take_due("s", 10) == []
    untold.untold.hurry("s")
    assert set(untold.untold.take_due("s", 10)) == set(KEYS)
