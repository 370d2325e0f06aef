"""The trigger on Rucio's external metadata table: what a write does to the ObsCore rows, and that none ever fails."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemKey, ItemRead, ObsCoreRow, Registered, Settled
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.definitions import OBSCORE, loaded_columns
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.conftest import Database, Server
from tests.postgres.examples import obscore_row, settled_item, wanted_item

AS_RUCIO_MAKES_IT = """
    CREATE TABLE rucio.dids (id bigint NOT NULL GENERATED ALWAYS AS IDENTITY, vo varchar NOT NULL,
        scope varchar NOT NULL, name varchar NOT NULL, data jsonb DEFAULT '{}'::jsonb, UNIQUE (scope, name))
"""
AS_RUCIO_WRITES = """
    INSERT INTO rucio.dids (scope, name, vo, data) VALUES (%s, %s, 'def', %s)
    ON CONFLICT (scope, name) DO UPDATE SET data = dids.data || EXCLUDED.data
"""
ITEMS_OF_NO_SYNC = "SELECT id, obs_publisher_did FROM lake.item WHERE collection = '' ORDER BY id"
DESCRIBED = """
    SELECT did, obs_publisher_did FROM lake.obscore o JOIN rucio.dids d ON o.did = d.scope || ':' || d.name
    WHERE d.data ->> 'stac:fingerprint' IS NULL
        AND NOT EXISTS (SELECT FROM lake.item WHERE (scope, name) = (d.scope, d.name) AND collection <> '')
    ORDER BY did
"""
"""The same, whatever a test did: each DID that has its row without a sync is an item of no collection."""
COLUMNS = ", ".join(loaded_columns(OBSCORE))


class Rucio:
    """A session of Rucio's server: its role, its search path, its statements."""

    def __init__(self, url: str, *, autocommit: bool = True) -> None:
        self.connection = psycopg.connect(url, autocommit=autocommit)
        self.connection.execute("SET search_path TO rucio")
        self.connection.commit()

    def set(self, name: str, **metadata: Any) -> None:
        self.connection.execute(AS_RUCIO_WRITES, ["stac", name, Jsonb(metadata)])

    def forget(self, name: str, key: str) -> None:
        self.connection.execute("UPDATE dids SET data = data - %s WHERE scope = 'stac' AND name = %s", [key, name])


@pytest.fixture
def open_rucio(database: Database, server: Server, admin: psycopg.Connection) -> Iterator[Callable[..., Rucio]]:
    admin.execute("CREATE SCHEMA rucio AUTHORIZATION rucio")
    admin.execute("SET ROLE rucio")
    admin.execute(AS_RUCIO_MAKES_IT)
    admin.execute("RESET ROLE")
    attached = admin.execute("SELECT lake.attach_metadata_trigger(), lake.attach_metadata_trigger()").fetchone()
    assert attached == (True, False)
    opened: list[Rucio] = []

    def make(**options: Any) -> Rucio:
        opened.append(Rucio(server.url("rucio", database.admin_url.rsplit("/", 1)[1]), **options))
        return opened[-1]

    yield make
    for rucio in opened:
        rucio.connection.close()
    assert admin.execute(ITEMS_OF_NO_SYNC).fetchall() == admin.execute(DESCRIBED).fetchall()


@pytest.fixture
def rucio(open_rucio: Callable[..., Rucio]) -> Rucio:
    return open_rucio()


def metadata_of(number: int, **changes: Any) -> dict[str, Any]:
    """The metadata of the row of `obscore_row`; keys that change to None are left out."""
    columns = obscore_row(number)._asdict() | changes
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in columns.items() if value is not None
    }


def rows(admin: psycopg.Connection, what: str = "obs_id") -> list[Any]:
    return [row[0] for row in admin.execute(f"SELECT {what} FROM lake.obscore ORDER BY obs_publisher_did").fetchall()]  # noqa: S608 - names of columns


def aside(admin: psycopg.Connection) -> dict[str, str]:
    found = admin.execute("SELECT position, reason FROM lake.quarantine WHERE source = 'rucio:metadata'").fetchall()
    return dict(found)


def test_metadata_become_the_row_that_the_sync_would_write(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", unknown={"deep": [1]}, **metadata_of(1))
    trigger = admin.execute(f"SELECT {COLUMNS}, position, footprint::text, bound FROM lake.obscore").fetchall()  # noqa: S608 - names of columns
    admin.execute("DELETE FROM lake.obscore; DELETE FROM lake.item")
    store = PostgresStore.open(admin.info.dsn + f" password={admin.info.password}")
    store.commit("s", [settled_item(wanted_item(1))], [])
    store.close()
    assert trigger == admin.execute(f"SELECT {COLUMNS}, position, footprint::text, bound FROM lake.obscore").fetchall()  # noqa: S608 - names of columns
    assert aside(admin) == {}


def test_dids_without_a_required_key_are_nobodys_matter(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", project="x", s_ra="abc")
    rucio.set("a", other=1)
    rucio.connection.execute(
        "INSERT INTO dids (scope, name, vo, data) VALUES ('s', 'n', 'def', NULL), ('s', 'm', 'def', '[1]')"
    )
    assert rows(admin) == []
    assert aside(admin) == {}


def test_keys_set_one_by_one_give_a_row_when_the_last_required_one_is_there(
    rucio: Rucio, admin: psycopg.Connection
) -> None:
    for key, value in {"obs_id": "o", "obs_collection": "c", "calib_level": "1", "s_ra": "12.5", "s_dec": "-3"}.items():
        rucio.set("a", **{key: value})
        assert rows(admin) == []
    assert aside(admin) == {"stac:a": "obs_publisher_did is missing: a row of ObsCore needs it"}
    rucio.set("a", obs_publisher_did="ivo://x/y?stac:a b")
    assert aside(admin) == {}
    assert admin.execute(
        "SELECT calib_level, s_ra, s_bound, access_url, access_format FROM lake.obscore"
    ).fetchall() == [
        (
            1,
            12.5,
            [12.5, -3.0, 0.0],
            "http://127.0.0.1:8080/datalink/links?ID=ivo%3A%2F%2Fx%2Fy%3Fstac%3Aa%20b",
            "application/x-votable+xml;content=datalink",
        )
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("s_ra", "abc", 's_ra is "abc"'),
        ("s_ra", 400, "s_ra is 400, not a right ascension of 0 to 360 degrees"),
        ("s_ra", True, "s_ra is true"),
        ("s_ra", {"deg": 1}, "s_ra is {"),
        ("s_dec", "NaN", 's_dec is "NaN"'),
        ("t_min", "NaN", 't_min is "NaN", not a finite number'),
        ("em_max", "-inf", 'em_max is "-inf", not a finite number'),
        ("t_exptime", "1e999", 't_exptime is "1e999"'),
        ("calib_level", 9, "calib_level is 9, not a level of 0 to 4"),
        ("dataproduct_type", "Übersicht", 'dataproduct_type is "Übersicht", not a text of ASCII'),
        ("o_ucd", "phot.flux;em.μ", 'o_ucd is "phot.flux;em.μ", not a text of ASCII'),
        ("pol_states", "/Ⅰ/", 'pol_states is "/Ⅰ/", not a text of ASCII'),
        ("data_rights", "öffentlich", 'data_rights is "öffentlich", not a text of ASCII'),
        ("s_region", "POLYGON ICRS é", 's_region is "POLYGON ICRS é", not a text of ASCII'),
        ("calib_level", 2.5, "calib_level is 2.5"),
        ("s_xel1", 10**30, "s_xel1 is 1000000000000000000000000000000"),
        ("target_name", "x" * 9_000_000, None),
        ("obs_id", "".join(map(str, range(3000))), "obs_id is "),
        ("dataproduct_type", ["image"], 'dataproduct_type is ["image"], not a text'),
        ("obs_release_date", "yesterday", 'obs_release_date is "yesterday", not a DALI timestamp'),
        ("obs_release_date", "2020-13-41", 'obs_release_date is "2020-13-41"'),
        ("obs_release_date", "2020-01-01T00:00:00+02:00", "obs_release_date is"),
        ("s_polygon", [0, 0, 1, 1, 0, 1, 1, 0], "s_polygon is [0, 0, 1, 1, 0, 1, 1, 0]"),
        ("s_polygon", [[0, 0], [1, 0], [1, 1]], "s_polygon is [[0, 0], [1, 0], [1, 1]], not a flat list"),
        ("s_polygon", [0, 0, 1, None, 1, 1], "s_polygon is [0, 0, 1, null, 1, 1], not a flat list"),
        ("s_polygon", "POLYGON", 's_polygon is "POLYGON"'),
        ("s_bound", [0, 0, 120], "s_bound is [0, 0, 120], not a longitude"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_that_a_column_cannot_hold_is_set_aside_and_mended(
    rucio: Rucio, admin: psycopg.Connection, key: str, value: object, said: str | None
) -> None:
    rucio.set("a", **metadata_of(1))
    rucio.set("a", **{key: value})
    rucio.set("b", **metadata_of(2, **{key: value}))
    if said is None:
        assert aside(admin) == {}
        return
    assert set(aside(admin)) == {"stac:a", "stac:b"}
    for reason in aside(admin).values():
        assert reason.startswith(said)
        assert "\n" not in reason
    assert rows(admin) == ["tile-1"], "the last good row stays"
    rucio.set("a", **metadata_of(1))
    rucio.set("b", **metadata_of(2))
    if key not in metadata_of(1):
        rucio.forget("a", key)
        rucio.forget("b", key)
    assert aside(admin) == {}
    assert rows(admin) == ["tile-1", "tile-2"]


WRONG_FOR: dict[str, tuple[Any, ...]] = {
    "finite": ("NaN", "inf", "-Infinity"),
    "said": (["a"], {"a": 1}),
    "code": (["a"], {"a": 1}, "ö"),
}


def test_every_column_is_held_to_its_rule_by_statements_of_one_did_and_of_many(
    rucio: Rucio, admin: psycopg.Connection
) -> None:
    columns = admin.execute("""
        SELECT attname, typname FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
        WHERE attrelid = 'lake.obscore_metadata'::regclass AND typname = ANY (%s)
    """, [list(WRONG_FOR)]).fetchall()  # fmt: skip
    wrong = [(column, value) for column, rule in columns for value in WRONG_FOR[rule]]
    assert len(wrong) > 60
    for number, (column, value) in enumerate(wrong):
        rucio.set(f"n{number}", **metadata_of(number, **{column: value}))
    assert rows(admin) == []
    by_one = aside(admin)
    assert len(by_one) == len(wrong)
    rucio.connection.execute("UPDATE dids SET data = data")
    assert aside(admin) == by_one
    assert rows(admin) == []


def test_brackets_within_a_text_are_text(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1, proposal_id="one\n[two]", obs_creator_did="x{1}", bib_reference=""))
    assert rows(admin, "(proposal_id, obs_creator_did, bib_reference)") == [("one\n[two]", "x{1}", "")]
    assert aside(admin) == {}


@pytest.mark.parametrize("key", ["calib_level", "obs_collection", "obs_id", "obs_publisher_did"])
@pytest.mark.parametrize("how", ["removed", "null", "empty"])
def test_a_required_key_that_goes_takes_the_row_with_it(
    rucio: Rucio, admin: psycopg.Connection, key: str, how: str
) -> None:
    rucio.set("a", **metadata_of(1))
    rucio.set("b", **metadata_of(2))
    if how == "removed":
        rucio.forget("a", key)
    else:
        rucio.set("a", **{key: None if how == "null" else ""})
    assert rows(admin) == ["tile-2"]
    assert aside(admin) == {"stac:a": f"{key} is missing: a row of ObsCore needs it"}
    rucio.set("a", **metadata_of(1))
    assert rows(admin) == ["tile-1", "tile-2"]
    assert aside(admin) == {}


def test_all_required_keys_gone_leaves_nothing(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    for key in ("calib_level", "obs_collection", "obs_id", "obs_publisher_did"):
        rucio.forget("a", key)
    assert rows(admin) == []
    assert aside(admin) == {}


def test_a_deleted_did_takes_row_links_and_entry_with_it(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1), datalinks=[{"access_url": "https://x.example/1"}])
    rucio.set("b", **metadata_of(2))
    rucio.set("c", obs_id="c")
    rucio.connection.execute("DELETE FROM dids WHERE name IN ('a', 'c')")
    assert rows(admin) == ["tile-2"]
    assert aside(admin) == {}
    assert admin.execute("SELECT count(*) FROM lake.did_link").fetchone() == (0,)
    rucio.connection.execute("TRUNCATE dids")
    assert rows(admin) == []


def test_an_item_of_no_sync_takes_its_files_and_their_replicas_with_it(
    rucio: Rucio, admin: psycopg.Connection, store: PostgresStore
) -> None:
    store.commit("s", [settled_item(wanted_item(9))], [])
    shared = wanted_item(9).files[0].did
    replicas = admin.execute("SELECT count(*) FROM lake.replica").fetchone()
    rucio.set("a", **metadata_of(1))
    for scope, name in (shared, ("stac", "own.fits")):
        file = ["stac:a", f"{scope}:{name}", scope, name]
        admin.execute(
            "INSERT INTO lake.file VALUES ('', %s, %s, %s, %s, 4, NULL, NULL, NULL, NULL, '{}', NULL, true)", file
        )
    admin.execute("INSERT INTO lake.replica VALUES ('stac', 'own.fits', 'R', 'https://x/y', 'AVAILABLE', false)")
    rucio.forget("a", "calib_level")
    assert admin.execute("SELECT count(*) FROM lake.file WHERE collection = ''").fetchone() == (0,)
    assert admin.execute("SELECT count(*) FROM lake.replica").fetchone() == replicas, "those of the synced item stay"


def test_items_of_no_sync_are_matched_with_rows_that_came_and_went_unseen(
    rucio: Rucio, admin: psycopg.Connection
) -> None:
    for number in (1, 2):
        rucio.set(f"d{number}", **metadata_of(number))
    admin.execute("UPDATE lake.item SET id = 'stac:nobody', name = 'nobody' WHERE id = 'stac:d1'")
    admin.execute("SELECT lake.match_described()")
    assert [item for item, _ in admin.execute(ITEMS_OF_NO_SYNC)] == ["stac:d1", "stac:d2"]


def test_a_renamed_did_keeps_its_row(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    rucio.connection.execute("UPDATE dids SET scope = 'other', name = 'b' WHERE name = 'a'")
    assert rows(admin, "did") == ["other:b"]
    rucio.connection.execute('UPDATE dids SET data = data || \'{"obs_publisher_did": "ivo://x?new"}\'')
    assert rows(admin, "obs_publisher_did") == ["ivo://x?new"]
    rucio.set("c", **metadata_of(3))
    rucio.connection.execute("UPDATE dids SET name = CASE name WHEN 'b' THEN 'c' ELSE 'b' END, scope = 'z'")
    assert sorted(rows(admin, "did")) == ["z:b", "z:c"]
    assert aside(admin) == {}


def test_two_dids_that_swap_their_identifiers_in_one_statement(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    rucio.set("b", **metadata_of(2))
    rucio.connection.execute("UPDATE dids d SET data = o.data FROM dids o WHERE o.name <> d.name")
    assert rows(admin, "(did, obs_id)") == [("stac:b", "tile-1"), ("stac:a", "tile-2")]
    assert aside(admin) == {}


def test_the_second_claim_to_an_identifier_waits_until_it_is_free(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    rucio.set("b", **metadata_of(1, obs_id="second"))
    assert rows(admin, "did") == ["stac:a"]
    publisher_did = metadata_of(1)["obs_publisher_did"]
    assert aside(admin) == {"stac:b": f'obs_publisher_did is "{publisher_did}", which the row of stac:a has already'}
    rucio.connection.execute("DELETE FROM dids WHERE name = 'b'")
    assert rows(admin, "did") == ["stac:a"]
    rucio.set("b", **metadata_of(1, obs_id="second"))
    rucio.connection.execute("DELETE FROM dids WHERE name = 'a'")
    assert rows(admin) == ["second"]
    assert aside(admin) == {}


def test_the_did_that_an_identifier_names_has_the_better_claim(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("squatter", **metadata_of(1))
    named = metadata_of(1)["obs_publisher_did"].split("?stac:")[1]
    rucio.set(named, **metadata_of(1))
    assert rows(admin, "did") == [f"stac:{named}"]
    assert list(aside(admin)) == ["stac:squatter"]


def test_a_row_of_the_sync_is_handed_over_to_its_own_did_only(
    rucio: Rucio, admin: psycopg.Connection, store: PostgresStore
) -> None:
    store.commit("s", [settled_item(wanted_item(1))], [])
    rucio.set("squatter", **metadata_of(1, obs_title="stolen"))
    assert rows(admin, "obs_title") == [None]
    assert list(aside(admin)) == ["stac:squatter"]
    rucio.set("survey..tile-1", **metadata_of(1, obs_title="own"))
    assert rows(admin, "(did, obs_title)") == [("stac:survey..tile-1", "own")]


def test_one_bad_row_among_many_does_not_keep_the_others(rucio: Rucio, admin: psycopg.Connection) -> None:
    many = [("stac", f"n{number}", Jsonb(metadata_of(number))) for number in range(300)]
    many[77] = ("stac", "n77", Jsonb(metadata_of(77, s_ra="abc")))
    many[200] = ("stac", "n200", Jsonb(metadata_of(200, obs_publisher_did=many[3][2].obj["obs_publisher_did"])))
    names, datas = [row[1] for row in many], [orjson.dumps(row[2].obj).decode() for row in many]
    rucio.connection.execute(
        "INSERT INTO dids (scope, name, vo, data) "
        "SELECT 'stac', n, 'def', d FROM unnest(%s::text[], %s::jsonb[]) AS u(n, d)",
        [names, datas],
    )
    assert len(rows(admin)) == 298
    assert set(aside(admin)) in ({"stac:n77", "stac:n200"}, {"stac:n77", "stac:n3"})


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_updates_in_one_statement(rucio: Rucio, admin: psycopg.Connection, count: int) -> None:
    rucio.connection.execute(
        "INSERT INTO dids (scope, name, vo, data) SELECT 'stac', 'n' || i, 'def', %s || jsonb_build_object("
        "'obs_id', 'o' || i, 'obs_publisher_did', 'ivo://x?' || i) FROM generate_series(1, %s) i",
        [Jsonb(metadata_of(1)), count],
    )
    rucio.connection.execute('UPDATE dids SET data = data || \'{"obs_title": "changed"}\'')
    assert rows(admin, "count(*) FILTER (WHERE obs_title = 'changed') OVER ()")[:1] == [count]
    rucio.connection.execute('UPDATE dids SET data = data || \'{"s_ra": "abc"}\' WHERE id % 2 = 0')
    assert len(aside(admin)) == count // 2
    assert len(rows(admin)) == count
    rucio.connection.execute("UPDATE dids SET data = data - 'obs_id'")
    assert rows(admin) == []
    assert len(aside(admin)) == count
    rucio.connection.execute("DELETE FROM dids")
    assert aside(admin) == {}


def test_two_writers_at_once_lose_nothing_and_do_not_lock_each_other_out(
    open_rucio: Callable[..., Rucio], admin: psycopg.Connection
) -> None:
    failures: list[Exception] = []

    def write(first: int, step: int) -> None:
        session = open_rucio()
        try:
            for turn in range(6):
                order = range(200) if step > 0 else reversed(range(200))
                many = [orjson.dumps(metadata_of(n, obs_title=f"{first}/{turn}")).decode() for n in order]
                # Each has DIDs of its own, and both claim the same identifiers, in opposite orders.
                session.connection.execute(
                    "INSERT INTO dids (scope, name, vo, data) SELECT 'stac', %s || (d ->> 'obs_id'), 'def', d "
                    "FROM unnest(%s::jsonb[]) d "
                    "ON CONFLICT (scope, name) DO UPDATE SET data = dids.data || EXCLUDED.data",
                    [f"w{first}", many],
                )
        except Exception as error:  # noqa: BLE001 - told to the test, which fails by it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(0, 1)), threading.Thread(target=write, args=(1, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(rows(admin)) == 200
    assert len(aside(admin)) == 200
    assert set(rows(admin, "obs_title")) <= {"0/5", "1/5"}


def test_a_claim_waits_for_a_deletion_that_is_not_committed(
    open_rucio: Callable[..., Rucio], admin: psycopg.Connection
) -> None:
    first, second = open_rucio(autocommit=False), open_rucio()
    first.set("a", **metadata_of(1))
    first.connection.commit()
    first.connection.execute("DELETE FROM dids WHERE name = 'a'")
    claim = threading.Thread(target=lambda: second.set("b", **metadata_of(1, obs_id="second")))
    claim.start()
    claim.join(0.5)
    assert claim.is_alive(), "it waits to learn whether the row goes"
    first.connection.commit()
    claim.join(60)
    assert rows(admin, "(did, obs_id)") == [("stac:b", "second")]
    assert aside(admin) == {}


def test_unchanged_columns_do_not_touch_the_row(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    before = admin.execute("SELECT ctid, xmin FROM lake.obscore").fetchall()
    rucio.set("a", comment="nothing that ObsCore knows")
    assert admin.execute("SELECT ctid, xmin FROM lake.obscore").fetchall() == before


def test_a_position_that_changes_takes_its_geometry_with_it(rucio: Rucio, admin: psycopg.Connection) -> None:
    what = "(position::text, footprint::text, bound::text, obs_title)"
    elsewhere = {
        "s_ra": 100.5,
        "s_dec": -9.5,
        "s_polygon": [100, -10, 101, -10, 101, -9],
        "s_bound": [100.5, -9.5, 0.8],
    }
    rucio.set("a", **metadata_of(1, **elsewhere))
    wanted = rows(admin, what)
    rucio.set("a", **metadata_of(1))
    assert rows(admin, what) != wanted
    rucio.set("a", **elsewhere)
    assert rows(admin, what) == wanted


def test_a_write_that_changes_nothing_gives_a_lost_row_back(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    admin.execute("DELETE FROM lake.obscore")
    rucio.connection.execute("UPDATE dids SET data = data")
    assert rows(admin) == ["tile-1"]


@pytest.mark.parametrize("written", ['"obs_id"', '["obs_id"]', "7", "null", None])
def test_metadata_that_are_no_object_never_fail(rucio: Rucio, admin: psycopg.Connection, written: str | None) -> None:
    rucio.set("a", **metadata_of(1))
    rucio.connection.execute("UPDATE dids SET data = %s", [written])
    assert rows(admin) == []
    rucio.connection.execute("INSERT INTO dids (scope, name, vo, data) VALUES ('stac', 'b', 'def', %s)", [written])
    rucio.connection.execute("UPDATE dids SET data = %s", [written])
    assert rows(admin) == []
    assert set(aside(admin).values()) <= {"the metadata are no JSON object"}
    rucio.connection.execute("UPDATE dids SET data = '{}'")
    assert aside(admin) == {}


def test_links_of_the_ska_convention_are_kept(rucio: Rucio, admin: psycopg.Connection) -> None:
    link = {"access_url": "https://x.example/1", "semantics": "#preview", "description": "A picture"}
    rucio.set("a", datalinks=[link, {"access_url": "https://x.example/2"}])
    query = "SELECT scope, name, number, access_url, semantics, description FROM lake.did_link ORDER BY number"
    assert admin.execute(query).fetchall() == [
        ("stac", "a", 1, "https://x.example/1", "#preview", "A picture"),
        ("stac", "a", 2, "https://x.example/2", None, None),
    ]
    rucio.set("a", datalinks=[link, {"href": "no"}, 7])
    assert len(admin.execute(query).fetchall()) == 1
    assert list(aside(admin)) == ["stac:a datalinks"]
    rucio.forget("a", "datalinks")
    assert admin.execute(query).fetchall() == []
    assert aside(admin) == {}


@pytest.mark.parametrize(
    ("region", "bound"),
    [
        ("POLYGON ICRS 10 10 12 10 12 12 10 12", True),
        ("Circle ICRS GEOCENTER 10 10 0.5", True),
        ("BOX ICRS 1 2 3 4", False),
    ],
)
def test_a_region_of_others_can_be_searched(
    rucio: Rucio, admin: psycopg.Connection, region: str, *, bound: bool
) -> None:
    rucio.set("a", **metadata_of(1, s_region=region, s_polygon=None, s_bound=None, s_ra=None, s_dec=None))
    assert rows(admin, "bound IS NOT NULL") == [bound]
    if bound:
        assert rows(admin, "bound ~ spoint(radians(10.1), radians(10.1))") == [True]


def test_rucios_role_needs_and_has_no_rights_on_our_tables(rucio: Rucio, admin: psycopg.Connection) -> None:
    rucio.set("a", **metadata_of(1))
    assert rows(admin) == ["tile-1"]
    for statement in (
        "SELECT * FROM lake.obscore",
        "SELECT lake.write_rows('{}', '{}')",
        "DELETE FROM lake.quarantine",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            rucio.connection.execute(statement)


def test_a_table_that_was_filled_before_gets_its_rows_by_db_apply(
    database: Database, admin: psycopg.Connection
) -> None:
    admin.execute("CREATE SCHEMA rucio")
    admin.execute(AS_RUCIO_MAKES_IT)
    admin.execute(AS_RUCIO_WRITES, ["stac", "a", Jsonb(metadata_of(1))])
    assert rows(admin) == []
    apply_schema(database.admin_url, base_url="https://vo.example.org")
    assert rows(admin) == ["tile-1"]
    admin.execute(AS_RUCIO_WRITES, ["stac", "b", Jsonb(metadata_of(2, access_url=None))])
    assert rows(admin, "left(access_url, 43)")[1] == "https://vo.example.org/datalink/links?ID=iv"


def test_a_trouble_of_our_own_never_reaches_rucio(rucio: Rucio, admin: psycopg.Connection) -> None:
    admin.execute("ALTER TABLE lake.quarantine RENAME TO gone")
    rucio.set("a", **metadata_of(1))
    rucio.set("b", obs_id="only")
    admin.execute("ALTER TABLE lake.gone RENAME TO quarantine")
    assert admin.execute("SELECT lake.read_metadata_again()").fetchone() == (2,)
    assert rows(admin) == ["tile-1"]
    assert list(aside(admin)) == ["stac:b"]


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_both_routes_give_every_real_item_the_same_row(
    rucio: Rucio, admin: psycopg.Connection, store: PostgresStore, real_items: Path, step: int
) -> None:
    settings = Settings()
    settled: dict[ItemKey, Settled] = {}
    with gzip.open(real_items / "items.ndjson.gz") as lines:
        for number, line in islice(enumerate(lines), 0, None, step):
            try:
                item = parse_item(ItemRead(orjson.loads(line), None, f"line {number}"), settings)
                wanted = map_item(item, settings, {}, str(number))
            except ItemError:
                continue
            settled[wanted.key] = Settled(wanted, Registered(wanted.key))
    assert len(settled) > 6000 // step
    for start in range(0, len(settled), 500):
        store.commit("s", list(settled.values())[start : start + 500], [])
    select = f"SELECT {COLUMNS}, position::text, footprint::text, bound::text FROM lake.obscore"  # noqa: S608 - names of columns
    by_sync = set(map(str, admin.execute(select).fetchall()))
    admin.execute("TRUNCATE lake.obscore")
    for one in settled.values():
        rucio.connection.execute(AS_RUCIO_WRITES, [*one.wanted.did, orjson.dumps(one.wanted.metadata).decode()])
    by_trigger = set(map(str, admin.execute(select).fetchall()))
    assert len(by_sync) == len(settled)
    assert by_trigger - by_sync == set()
    assert by_sync - by_trigger == set()
    assert aside(admin) == {}
    assert ObsCoreRow._fields == tuple(loaded_columns(OBSCORE))
