"""Locks, several writers at once, and a server that goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.lake.cluster import DATABASE
from stac_rucio_sync.model import ItemKey, Replica
from stac_rucio_sync.stores.tables import session
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import ROLES, Database, Server, make_server
from tests.postgres.examples import file_of, settled_item, wanted_item


def test_a_second_sync_of_one_source_is_told_so(database: Database, store: PostgresStore) -> None:
    other = PostgresStore.open(database.ingest_url)
    with store.lock_source("s"):
        with pytest.raises(UsageError, match="another sync of 's' is running"), other.lock_source("s"):
            pytest.fail("it got the lock, too")
        with other.lock_source("another source"):
            pass
    with other.lock_source("s"):
        pass
    other.close()


def test_batches_that_share_files_do_not_stop_each_other(store: PostgresStore, admin: psycopg.Connection) -> None:
    shared = [file_of(number, f"dark{number}") for number in range(20)]

    def commit(worker: int) -> int:
        written = 0
        for turn in range(10):
            files = tuple(shared if (worker + turn) % 2 else reversed(shared))
            wanted = wanted_item(1000 * worker + turn, files=files)
            extra = [Replica(file.did, f"RSE-{worker}", "x", "AVAILABLE") for file in files]
            written += store.commit("s", [settled_item(wanted, *extra)], [])
        return written

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(commit, range(4))) == 40
    assert admin.execute("SELECT count(*) FROM lake.item").fetchone() == (40,)


def test_keys_are_looked_up_by_the_index_also_when_the_tables_grew_from_nothing(
    store: PostgresStore, admin: psycopg.Connection
) -> None:
    items = [settled_item(wanted_item(number)) for number in range(1010)]
    store.commit("s", items[:1], [])
    admin.execute("VACUUM ANALYZE")  # now the planner knows: each table has one row
    for one in items[1:10]:  # plans are kept from here on
        store.commit("s", [one], [])
    for start in range(10, 1010, 250):
        store.commit("s", items[start : start + 250], [])
    store.close()
    time.sleep(0.5)  # the statistics of a connection are told when it ends
    read = "SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'lake' AND relname = ANY(%s)"
    rows: dict[str, int] = dict(admin.execute(read, [["item", "file", "link", "replica", "obscore"]]).fetchall())
    assert set(rows.values()) == {0}


@pytest.fixture
def own_server() -> Iterator[Server]:
    yield from make_server()


@pytest.fixture
def own_database(own_server: Server) -> Database:
    """A database that goes with its server: no test connection stands in the way of a restart."""
    database = Database(*(own_server.url(role, DATABASE) for role in ROLES))
    apply_schema(database.admin_url)
    return database


def test_a_server_that_restarts_in_the_middle_is_survived(own_server: Server, own_database: Database) -> None:
    store = PostgresStore.open(own_database.ingest_url)
    went_on = threading.Event()

    def restart() -> None:
        went_on.wait(30)
        own_server.stop()
        time.sleep(1)
        own_server.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    with store.lock_source("s"):
        for start in range(0, 3000, 50):
            batch = [settled_item(wanted_item(number)) for number in range(start, start + 50)]
            store.fingerprints([one.wanted.key for one in batch])
            store.commit("s", batch, [])
            if start == 500:
                went_on.set()
            time.sleep(0.02)
    restarting.join()
    keys = [ItemKey("survey", f"tile-{number}") for number in range(3000)]
    assert len(store.fingerprints(keys)[0]) == 3000
    with psycopg.connect(own_database.admin_url) as connection:
        counted = "SELECT (SELECT count(*) FROM lake.obscore), (SELECT count(*) FROM lake.file)"
        assert connection.execute(counted).fetchone() == (3000, 6000)
    store.close()


def test_a_server_that_stays_away_is_a_transient_error(
    own_server: Server, own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore.open(own_database.ingest_url)
    monkeypatch.setattr(session, "RETRY_SECONDS", 1.0)
    own_server.stop()
    with pytest.raises(TransientError, match="does not answer"):
        store.commit("s", [settled_item(wanted_item(1))], [])
    store.close()


def test_a_role_that_may_not_write_is_fatal_at_once(database: Database) -> None:
    apply_schema(database.admin_url)
    store = PostgresStore.open(database.reader_url)
    started = time.monotonic()
    with pytest.raises(FatalError, match="permission denied"):
        store.commit("s", [settled_item(wanted_item(1))], [])
    assert time.monotonic() - started < 30
    store.close()
