"""Connections to the database that break: between calls and in the middle of answers, heard of by the server or not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from stac_rucio_sync.errors import TransientError, UsageError
from stac_rucio_sync.stores.tables import session
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database, Server
from tests.postgres.examples import settled_item, wanted_item
from tests.relay import Relay, relay_before

ITEMS = 300
CUTS = 40


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with relay_before("127.0.0.1", server.port) as running:
        yield running


@pytest.fixture
def mirror(server: Server, database: Database, relay: Relay) -> Iterator[MirrorWrites]:
    """The mirror, by the relay."""
    opened = MirrorWrites.open(database.ingest_url.replace(f":{server.port}/", f":{relay.port}/"))
    yield opened
    opened.close()


def test_the_watcher_takes_its_lock_back_from_a_session_that_the_server_still_believes_in(
    mirror: MirrorWrites, relay: Relay, database: Database
) -> None:
    other = MirrorWrites.open(database.ingest_url)
    with mirror.state.alone() as lock:
        for _ in range(2):
            relay.sever()
            with pytest.raises(UsageError, match="another watcher"), other.state.alone():
                pytest.fail("the server has noticed")
            lock.hold()
        with pytest.raises(UsageError, match="another watcher"), other.state.alone():
            pytest.fail("the lock is free")
    other.close()


def test_a_watcher_that_came_meanwhile_keeps_the_lock(
    mirror: MirrorWrites, relay: Relay, database: Database, admin: psycopg.Connection
) -> None:
    other = MirrorWrites.open(database.ingest_url)
    with mirror.state.alone() as lock:
        relay.sever()
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        with other.state.alone() as others:
            with pytest.raises(UsageError, match="another watcher"):
                lock.hold()
            others.hold()
    other.close()


def test_a_connection_cut_anywhere_in_an_answer_is_a_database_that_does_not_answer(
    mirror: MirrorWrites, relay: Relay, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [settled_item(wanted_item(number)) for number in range(ITEMS)]
    store.commit("s", items, [])
    replicas = {replica.did: [replica] for item in items for replica in item.registered.replicas}
    files = list(replicas)
    monkeypatch.setattr(session, "RETRY_SECONDS", 0.0)
    chance = random.Random(6)  # noqa: S311 - to be repeated, not to be secret
    cut = 0
    for _ in range(CUTS):
        relay.room = int(10 ** chance.uniform(1.5, 5.0))
        try:
            assert len(mirror.held(files)) == len(files)
            mirror.write(replicas, mirror.clock())
        except TransientError:
            cut += 1
        relay.room = None
        relay.sever()
    assert cut > CUTS / 2
    with suppress(TransientError):
        mirror.clock()  # the last connection of the pool is cut, too
    assert len(mirror.held(files)) == len(files)
