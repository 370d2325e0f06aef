"""What the services read of the mirror: items, files, links and replicas, by the DIDs and keys that were asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.lake.cluster import DATABASE
from stac_rucio_sync.model import Did, DidLink, Extent, ItemKey, MirrorState, Replica
from stac_rucio_sync.stores.tables import mirror as module
from stac_rucio_sync.stores.tables.mirror import Mirror
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database, Server, make_server
from tests.postgres.examples import epn_row, file_of, link_of, obscore_row, settled_item, wanted_item

TILE = Did("stac", "survey..tile-1")
IMAGE = Did("stac", "survey..tile-1..image.fits")


@pytest.fixture
def mirror(database: Database) -> Iterator[Mirror]:
    opened = Mirror.open(database.reader_url)
    yield opened
    opened.close()


def test_an_item_is_held_with_its_files_their_replicas_and_its_links(store: PostgresStore, mirror: Mirror) -> None:
    copy = Replica(IMAGE, "VIENNA-DISK", "davs://vienna.example.org:443/x", "COPYING")
    links = tuple(link_of(f"link:{number}", rel="about") for number in range(11))
    store.commit("s", [settled_item(wanted_item(1, links=(*links, link_of("preview"))), copy)], [])
    (held,) = mirror.held([TILE]).values()
    assert (held.key, held.did) == (ItemKey("survey", "tile-1"), TILE)
    assert (held.obs_publisher_did, held.dataproduct_type) == ("ivo://example/lake?stac:survey..tile-1", "image")
    image, weight = held.files
    assert (image.asset, image.did, image.bytes, image.science) == ("image", IMAGE, 1001, True)
    assert (image.adler32, image.md5, image.media_type) == ("0123abcd", None, "application/fits")
    assert (image.roles, image.title) == (("data", 'say "this"', "back\\slash"), "An image")
    assert copy in image.replicas
    assert [len(file.replicas) for file in (image, weight)] == [2, 1]
    assert [link.name for link in held.links] == ["preview", *(f"link:{number}" for number in range(11))]
    assert held.links[0] == link_of("preview")
    assert held.did_links == ()
    assert mirror.held_items([held.key]) == {held.key: replace(held, extent=None)}


def test_a_file_is_held_alone_with_what_is_said_of_it(store: PostgresStore, mirror: Mirror) -> None:
    links = (link_of("image"), link_of("image#mirror"), link_of("images"), link_of("link:0", rel="about"))
    store.commit("s", [settled_item(wanted_item(1, links=links))], [])
    held = mirror.held([IMAGE])[IMAGE]
    assert (held.key, held.did) == (ItemKey("survey", "tile-1"), TILE)
    assert [file.did for file in held.files] == [IMAGE]
    assert [link.name for link in held.links] == ["image", "image#mirror"]


def test_what_is_unknown_is_left_out(store: PostgresStore, mirror: Mirror) -> None:
    store.commit("s", [settled_item(wanted_item(number)) for number in range(3)], [])
    asked = [Did("stac", f"survey..tile-{number}") for number in (2, 7, 0)]
    assert list(mirror.held([*asked, Did("other", "survey..tile-1"), Did("stac", "survey")])) == [asked[0], asked[2]]
    assert mirror.held_items([ItemKey("survey", "tile-7")]) == {}
    assert mirror.held([]) == {}


def test_an_item_without_files_and_links_is_held(store: PostgresStore, mirror: Mirror) -> None:
    store.commit("s", [settled_item(wanted_item(1, files=(), links=()))], [])
    held = mirror.held([TILE])[TILE]
    assert (held.files, held.links, held.did_links) == ((), (), ())


def test_a_file_without_replicas_is_held(store: PostgresStore, mirror: Mirror, admin: psycopg.Connection) -> None:
    store.commit("s", [settled_item(wanted_item(1, files=(file_of(1, "image"),)))], [])
    admin.execute("DELETE FROM lake.replica")
    assert [file.replicas for file in mirror.held([TILE])[TILE].files] == [()]


def test_a_file_of_two_items_is_held_once(store: PostgresStore, mirror: Mirror) -> None:
    shared = (file_of(1, "image"),)
    store.commit("s", [settled_item(wanted_item(number, files=shared)) for number in (1, 2)], [])
    assert mirror.held([IMAGE])[IMAGE].key == ItemKey("survey", "tile-1")


def test_a_file_that_somebody_described_too_is_held_as_its_item_has_it(
    store: PostgresStore, mirror: Mirror, admin: psycopg.Connection
) -> None:
    item = "SELECT lake.note_described(ARRAY['user.jane:set'], ARRAY['ivo://x?user.jane:set'])"
    file = "INSERT INTO lake.file VALUES ('', 'user.jane:set', %s, %s, %s, 4, NULL, NULL, NULL, NULL, '{}', NULL, true)"
    admin.execute(item)
    admin.execute(file, [str(IMAGE), *IMAGE])
    own = mirror.held([Did("user.jane", "set"), IMAGE])
    assert {did: (held.key.id, held.did) for did, held in own.items()} == {
        Did("user.jane", "set"): ("user.jane:set", Did("user.jane", "set")),
        IMAGE: ("user.jane:set", Did("user.jane", "set")),
    }
    store.commit("s", [settled_item(wanted_item(1))], [])
    assert mirror.held([IMAGE])[IMAGE].did == TILE


def test_links_of_the_metadata_are_those_of_the_did_that_was_asked_for(
    store: PostgresStore, mirror: Mirror, admin: psycopg.Connection
) -> None:
    store.commit("s", [settled_item(wanted_item(1))], [])
    for number, did in enumerate((TILE, TILE, IMAGE)):
        row = (*did, number, f"https://example.org/{number}", "#preview", "Look", "image/png")
        admin.execute("INSERT INTO lake.did_link VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
    held = mirror.held([TILE, IMAGE])
    wanted = [DidLink(f"https://example.org/{number}", "#preview", "Look", "image/png") for number in range(3)]
    assert held[TILE].did_links == tuple(wanted[:2])
    assert held[IMAGE].did_links == tuple(wanted[2:])
    assert mirror.held_items([ItemKey("survey", "tile-1")])[ItemKey("survey", "tile-1")].did_links == tuple(wanted[:2])


def test_of_a_did_that_is_no_items_the_links_of_its_metadata_are_known(
    mirror: Mirror, admin: psycopg.Connection
) -> None:
    other = Did("user.jane", "map.fits")
    admin.execute("INSERT INTO lake.did_link VALUES (%s, %s, 0, 'https://example.org/', NULL, NULL, NULL)", other)
    held = mirror.held([other])[other]
    assert (held.did, held.key, held.files, held.links) == (other, ItemKey("", ""), (), ())
    assert held.did_links == (DidLink("https://example.org/", None, None, None),)


def test_what_products_cover(store: PostgresStore, mirror: Mirror) -> None:
    sky = obscore_row(1, em_xel=16)
    body = obscore_row(2, s_ra=None, s_dec=None, s_region=None, s_polygon=None, s_bound=None, em_min=None)
    items = [wanted_item(1, obscore=sky), wanted_item(2, obscore=body, epn=epn_row(body))]
    store.commit("s", [settled_item(item) for item in items], [])
    dids = [sky.obs_publisher_did, body.obs_publisher_did]
    found = mirror.extents([*dids, "ivo://nothing"])
    assert sorted(found) == dids
    times = (58850.0, 58850.1)
    assert found[dids[0]] == Extent(True, sky.s_polygon, sky.s_bound, None, (4e-7, 7e-7), 16, times, None, ("I",))
    of_body = found[dids[1]]
    for item, extent in zip(items, (found[did] for did in dids), strict=True):
        assert mirror.held([item.did])[item.did].extent == extent  # with the first question, where that is for one
    assert of_body.polygon == (359.0, 10.0, 1.0, 10.0, 1.0, 11.0, 359.0, 11.0)
    assert (of_body.is_sky, of_body.box, of_body.band) == (False, (359.0, 10.0, 1.0, 11.0), None)


def test_the_topology_is_kept_for_a_while_and_read_again(
    mirror: Mirror, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = mirror.topology()
    assert (known.rses, known.distances) == ({}, {})
    admin.execute(
        "INSERT INTO lake.rse VALUES ('VIENNA-DISK', true, 'DISK', true, 'vienna', 48.2, 16.4, NULL);"
        "INSERT INTO lake.rse_distance VALUES ('VIENNA-DISK', 'SYDNEY-DISK', 4)"
    )
    assert mirror.topology() is known
    monkeypatch.setattr(module, "_TOPOLOGY_SECONDS", 0.0)
    fresh = mirror.topology()
    assert (fresh.rses["VIENNA-DISK"].site, fresh.rses["VIENNA-DISK"].latitude) == ("vienna", 48.2)
    assert fresh.distances == {("VIENNA-DISK", "SYDNEY-DISK"): 4}
    assert mirror.topology() is fresh


def test_freshness_is_what_the_watcher_left(mirror: Mirror, admin: psycopg.Connection) -> None:
    assert mirror.freshness() == MirrorState()
    admin.execute("UPDATE lake.mirror SET rucio_ok = false, rucio_said = 'it is down', since = now()")
    said = mirror.freshness()
    assert (said.rucio_ok, said.rucio_said) == (False, "it is down")
    assert said.since is not None


@pytest.fixture
def own_server() -> Iterator[Server]:
    yield from make_server()


def test_the_first_question_after_a_restart_of_the_database_is_answered(own_server: Server) -> None:
    apply_schema(own_server.url("postgres", DATABASE))
    mirror = Mirror.open(own_server.url("lake_reader", DATABASE))
    with ThreadPoolExecutor(4) as threads:  # several connections are kept
        assert list(threads.map(lambda _: mirror.held([TILE]), range(20))) == [{}] * 20
    own_server.stop()
    with pytest.raises(TransientError):
        mirror.held([TILE])
    own_server.start()
    assert mirror.held([TILE]) == {}
    mirror.close()


END_WAITING = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE application_name = 'stac-rucio-sync mirror' AND wait_event_type = 'Lock' AND datname = current_database()
"""


@pytest.mark.parametrize("times", [1, 2])
def test_a_question_whose_connection_is_lost_is_asked_once_more(
    mirror: Mirror, admin: psycopg.Connection, database: Database, times: int
) -> None:
    with psycopg.connect(database.admin_url) as locking, ThreadPoolExecutor(1) as thread:
        locking.execute("LOCK TABLE lake.item")
        asked = thread.submit(mirror.held, [TILE])
        for _ in range(times):
            until = time.monotonic() + 60
            while not admin.execute(END_WAITING).fetchall():
                assert time.monotonic() < until
                time.sleep(0.02)
        locking.rollback()
        if times == 1:
            assert asked.result(60) == {}
        else:
            with pytest.raises(TransientError):
                asked.result(60)
    assert mirror.held([TILE]) == {}
