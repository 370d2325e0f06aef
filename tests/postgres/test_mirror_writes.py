"""Who writes the mirror last need not have asked last: every order of answers ends with the newest."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did, Replica, Rse
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database
from tests.postgres.examples import settled_item, wanted_item

WANTED = wanted_item(1)
FILE = WANTED.files[0].did
ORIGIN = settled_item(WANTED).registered.replicas[0]


def at(rse: str, state: str = "AVAILABLE", did: Did = FILE) -> Replica:
    return Replica(did, rse, f"https://{rse.lower()}.example.org/{did.name}", state)


@pytest.fixture
def mirror(database: Database, store: PostgresStore) -> Iterator[MirrorWrites]:
    """The mirror of one item."""
    store.commit("s", [settled_item(WANTED)], [])
    writes = MirrorWrites.open(database.ingest_url)
    yield writes
    writes.close()


def rows(admin: psycopg.Connection, did: Did = FILE) -> set[tuple[str, str]]:
    query = "SELECT rse, state FROM lake.replica WHERE (scope, name) = (%s, %s)"
    return {(rse, state) for rse, state in admin.execute(query, did)}


def shown(*replicas: Replica) -> set[tuple[str, str]]:
    return {(replica.rse, replica.state) for replica in replicas}


ANSWERS = (
    (ORIGIN, at("VIENNA-DISK", "COPYING")),
    (ORIGIN, at("VIENNA-DISK")),
    (ORIGIN, at("VIENNA-DISK"), at("SYDNEY-DISK")),
    (ORIGIN, at("SYDNEY-DISK")),
)
"""What Rucio answers of the file as time goes by."""


def test_the_newest_answer_stays_in_whatever_order_answers_are_written(
    mirror: MirrorWrites, admin: psycopg.Connection
) -> None:
    for order in itertools.permutations(range(len(ANSWERS))):
        start = mirror.clock()
        for place in (*order, *order):  # each of them twice
            mirror.write({FILE: ANSWERS[place]}, start + timedelta(milliseconds=place))
        assert rows(admin) == shown(*ANSWERS[-1]), order


def test_a_sync_that_asked_before_does_not_set_a_replica_back(
    mirror: MirrorWrites, store: PostgresStore, admin: psycopg.Connection
) -> None:
    asked = store.clock()
    mirror.write({FILE: (ORIGIN, at("VIENNA-DISK"))}, mirror.clock())
    changed = wanted_item(1, fingerprint="f2")
    store.commit("s", [settled_item(changed)], [], asked=asked)
    assert rows(admin) == shown(ORIGIN, at("VIENNA-DISK"))
    assert store.fingerprints([WANTED.key])[0] == {WANTED.key: "f2"}, "all else of the item is written"
    store.commit("s", [settled_item(changed)], [], asked=store.clock())
    assert rows(admin) == shown(ORIGIN)


def test_a_watcher_that_asked_before_does_not_take_a_new_replica_away(
    mirror: MirrorWrites, store: PostgresStore, admin: psycopg.Connection
) -> None:
    asked = mirror.clock()
    store.commit("s", [settled_item(wanted_item(1, fingerprint="f2"), at("VIENNA-DISK"))], [], asked=store.clock())
    assert mirror.write({FILE: (ORIGIN,)}, asked) == MirrorChanges(late=1)
    assert rows(admin) == shown(ORIGIN, at("VIENNA-DISK"))


def test_changes_are_counted_and_what_is_right_is_not_written(mirror: MirrorWrites, admin: psycopg.Connection) -> None:
    first = (ORIGIN, at("VIENNA-DISK", "COPYING"), at("SYDNEY-DISK"))
    assert mirror.write({FILE: first}, mirror.clock()) == MirrorChanges(added=2)
    then = (ORIGIN, at("VIENNA-DISK"))
    assert mirror.write({FILE: then}, mirror.clock()) == MirrorChanges(changed=1, removed=1)
    before = admin.execute("SELECT xmin::text, updated FROM lake.replica ORDER BY rse").fetchall()
    assert mirror.write({FILE: then}, mirror.clock()) == MirrorChanges()
    assert admin.execute("SELECT updated FROM lake.replica ORDER BY rse").fetchall() == [(row[1],) for row in before]


def test_a_file_that_no_item_has_gets_no_rows(mirror: MirrorWrites, admin: psycopg.Connection) -> None:
    stranger = Did("stac", "nobody's")
    assert mirror.write({stranger: (at("VIENNA-DISK", did=stranger),)}, mirror.clock()) == MirrorChanges()
    assert rows(admin, stranger) == set()
    assert mirror.held([stranger, FILE]) == {FILE: {ORIGIN.rse: ORIGIN}}


def test_an_item_that_goes_while_its_file_is_written_takes_the_rows_with_it(
    database: Database, mirror: MirrorWrites, admin: psycopg.Connection
) -> None:
    """The removal waits for the watcher, or the watcher for the removal: no row is left of a file that is gone."""
    with psycopg.connect(database.ingest_url) as removal:
        removal.execute("DELETE FROM lake.item")
        removal.execute("DELETE FROM lake.replica")
        writer = threading.Thread(target=mirror.write, args=({FILE: (ORIGIN, at("X"))}, mirror.clock()))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive(), "it waits for the removal"
        removal.commit()
        writer.join(60)
    assert rows(admin) == set()


def test_writers_at_the_same_time_end_with_the_newest(
    database: Database, mirror: MirrorWrites, admin: psycopg.Connection
) -> None:
    """Threads with answers of their own, each in an order of its own: what was asked for last is what stays."""
    answers = [(ORIGIN, at(f"RSE-{number}")) for number in range(18)]
    chance = random.Random(5)  # noqa: S311 - an order, no secret
    others = [MirrorWrites.open(database.ingest_url) for _ in range(3)]

    def write(one: MirrorWrites, start: datetime, numbers: list[int]) -> None:
        for number in numbers:
            one.write({FILE: answers[number]}, start + timedelta(microseconds=number))

    try:
        for _ in range(8):
            start = mirror.clock()
            numbers = chance.sample(range(len(answers)), len(answers))
            threads = [
                threading.Thread(target=write, args=(one, start, numbers[part::3])) for part, one in enumerate(others)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert rows(admin) == shown(*answers[-1]), numbers
    finally:
        for one in others:
            one.close()


def test_files_come_in_turn_and_datasets_have_theirs(mirror: MirrorWrites, store: PostgresStore) -> None:
    store.commit("s", [settled_item(wanted_item(number)) for number in range(2, 12)], [])
    everything: list[Did] = []
    while part := mirror.files_after(everything[-1] if everything else None, 3):
        everything += part
    assert len(everything) == len(set(everything)) == mirror.count_files()
    found = mirror.files_of([WANTED.did, Did("stac", "nobody's")])
    assert {did: set(files) for did, files in found.items()} == {WANTED.did: {file.did for file in WANTED.files}}
    assert mirror.collections() == ["survey"]


def test_rows_of_files_that_no_item_has_are_found_and_dropped(mirror: MirrorWrites, admin: psycopg.Connection) -> None:
    admin.execute("INSERT INTO lake.replica VALUES ('stac', 'gone', 'R', 'https://x/y', 'AVAILABLE', false)")
    assert [mirror.of_no_file(drop=drop) for drop in (False, True, False)] == [1, 1, 0]


def test_rses_and_distances_come_change_and_go(mirror: MirrorWrites) -> None:
    vienna = Rse("VIENNA-DISK", deterministic=True, rse_type="DISK", available_read=True, site="vienna", latitude=48.2)
    tape = Rse("TAPE", deterministic=True, rse_type="TAPE", available_read=False)
    mirror.write_rses([vienna, tape], ["VIENNA-DISK", "TAPE"])
    mirror.write_distances({("TAPE", "VIENNA-DISK"): 5, ("VIENNA-DISK", "TAPE"): 6})
    mirror.write_distances({("TAPE", "VIENNA-DISK"): 7, ("VIENNA-DISK", "TAPE"): None})
    assert mirror.distances() == mirror.distances(["TAPE"]) == {("TAPE", "VIENNA-DISK"): 7}
    assert mirror.distances(["VIENNA-DISK"]) == mirror.distances([]) == {}
    mirror.write_rses([], ["VIENNA-DISK"])
    assert (mirror.rses(), mirror.distances()) == ({"VIENNA-DISK": vienna}, {})


def test_the_mirror_says_since_when_rucio_is_away(mirror: MirrorWrites, admin: psycopg.Connection) -> None:
    def told() -> tuple[datetime, bool, str | None, datetime]:
        (row,) = admin.execute("SELECT last_poll, rucio_ok, rucio_said, since FROM lake.mirror")
        return row

    mirror.state.well(mirror.clock())
    polled, ok, said, since = told()
    assert (ok, said) == (True, None)
    mirror.state.unwell("it does not answer")
    first = told()
    assert first[:3] == (polled, False, "it does not answer")
    assert first[3] > since
    mirror.state.unwell("it says nonsense")
    assert told() == (polled, False, "it says nonsense", first[3])
    mirror.state.well()
    assert told()[1:3] == (True, None)
    assert told()[3] > first[3]
    assert mirror.state.standing().polled_to is not None


def test_one_watcher_at_a_time(mirror: MirrorWrites) -> None:
    with mirror.state.alone(), pytest.raises(UsageError, match="another watcher"), mirror.state.alone():
        pass
    with mirror.state.alone():
        pass
