"""Metadata turned into ObsCore rows: a row trigger that deletes and inserts, as prototypes have it, against ours."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median

import orjson
import psycopg
from psycopg import sql

from benchmarks.figures import Figure, Way, in_turns, ratio_of
from benchmarks.items import items
from benchmarks.processors import precise_processor_seconds
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.settings import Collection, Settings

DIDS, SINGLY, BLOCK, ROUNDS = 2_000, 500, 20, 5

# What both routes write to is one table with one set of indexes; what differs is the trigger on the table of metadata.
_METADATA_TABLE = """
    CREATE TABLE {table} (id bigint NOT NULL GENERATED ALWAYS AS IDENTITY, vo varchar NOT NULL, scope varchar NOT NULL,
        name varchar NOT NULL, data jsonb DEFAULT '{{}}'::jsonb, UNIQUE (scope, name))
"""
_ROW_TRIGGER = """
    CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            DELETE FROM lake.obscore WHERE obs_publisher_did = OLD.data ->> 'obs_publisher_did';
        END IF;
        INSERT INTO lake.obscore ({columns}) SELECT * FROM jsonb_populate_record(NULL::{row}, NEW.data);
        RETURN NEW;
    EXCEPTION WHEN not_null_violation THEN
        RETURN OLD;
    END
    $$;
    CREATE TRIGGER row_by_row AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()
"""
_INSERT = """
    INSERT INTO {table} (scope, name, vo, data) SELECT 'bench', d ->> 'obs_id', 'def', d FROM unnest(%s::jsonb[]) d
    ON CONFLICT (scope, name) DO UPDATE SET data = {table}.data || EXCLUDED.data
"""


# As Rucio's plugin writes: one DID a statement, its values as literals, each in a transaction of its own.
_INSERT_ONE = """
    INSERT INTO {table} (scope, name, vo, data) VALUES ('bench', {name}, 'def', {metadata})
    ON CONFLICT (scope, name) DO UPDATE SET data = {table}.data || EXCLUDED.data
"""


def trigger(settings: Settings) -> list[Figure]:
    """Time inserts, updates of a column and of keys unknown to ObsCore, by statements of many DIDs and of one.

    Times are those of the processor in the server's process: the client and other work on the machine are not in them.
    """
    if settings.database.admin_url is None:
        raise AssertionError("the lake's settings name no admin")
    url = settings.database.admin_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection, _tables(connection) as (ours, theirs):
        connection.execute("SET synchronous_commit = off")  # the disk is the same for both
        return list(_figures(connection, settings, ours, theirs))


@dataclass(frozen=True)
class _Route:
    """One of the two triggers: its table, and metadata for it."""

    connection: psycopg.Connection
    table: sql.Composable
    metadata: list[str]

    def clear(self) -> None:
        self.connection.execute(sql.SQL("TRUNCATE {}").format(self.table))
        self.connection.execute("TRUNCATE lake.obscore")
        self.connection.execute("VACUUM ANALYZE lake.obscore")

    def insert(self) -> None:
        self.connection.execute(sql.SQL(_INSERT).format(table=self.table), [self.metadata])

    def change_all(self, key: str, number: int) -> None:
        self.connection.execute(
            sql.SQL("UPDATE {} SET data = data || jsonb_build_object({}, {}::text)").format(
                self.table, sql.Literal(key), sql.Literal(number)
            )
        )

    def statements(self, change: str | None, number: int) -> Iterator[sql.Composed]:
        """Yield statements of one DID each: of all its metadata, or of one key that changes."""
        for metadata in self.metadata[:SINGLY]:
            name = str(orjson.loads(metadata)["obs_id"])
            written = metadata if change is None else orjson.dumps({change: str(number)}).decode()
            yield sql.SQL(_INSERT_ONE).format(table=self.table, name=sql.Literal(name), metadata=sql.Literal(written))

    def taken(self, work: Callable[[], object]) -> float:
        """Return the seconds of processor that the session's server process takes for a work."""
        before = precise_processor_seconds(self.connection.info.backend_pid)
        work()
        return precise_processor_seconds(self.connection.info.backend_pid) - before

    def run(self, statements: Iterable[sql.Composed]) -> None:
        for statement in statements:
            self.connection.execute(statement, prepare=False)


def _figures(connection: psycopg.Connection, settings: Settings, *tables: sql.Composable) -> Iterator[Figure]:
    ours, theirs = (
        _Route(connection, table, _metadata(settings, f"bench-{place}"))
        for place, table in zip(("ours", "theirs"), tables, strict=True)
    )
    note, title = "note", "obs_title"
    share = f"; the rows alone, by one INSERT, {DIDS / _bare(ours):,.0f}/s"
    yield _figure("inserts", 1.0, DIDS, in_turns(ROUNDS, _inserts(ours), _inserts(theirs)), share)
    yield _figure("updates", 1.0, DIDS, in_turns(ROUNDS, _updates(ours, title), _updates(theirs, title)))
    yield _figure("updates of other keys", 1.0, DIDS, in_turns(ROUNDS, _updates(ours, note), _updates(theirs, note)))
    # Below 1: what a statement trigger costs before it does anything. docs/trigger.md has the parts.
    for name, wanted, change in (("inserts", 0.7, None), ("updates", 0.8, title), ("of other keys", 1.0, note)):
        yield _figure(f"{name}, one DID a statement", wanted, SINGLY, _singly(ours, theirs, change))


def _figure(name: str, wanted: float, count: int, times: tuple[list[float], list[float]], share: str = "") -> Figure:
    our_rate, their_rate = (count / median(taken) for taken in times)
    return Figure(
        f"trigger: {name}",
        ratio_of(*times),
        wanted,
        "× the row trigger",
        f"{our_rate:,.0f} DIDs a second of processor, row trigger {their_rate:,.0f}{share}",
    )


def _inserts(route: _Route) -> Way:
    def way(_: int) -> float:
        route.clear()
        return route.taken(route.insert)

    return way


def _updates(route: _Route, change: str) -> Way:
    def way(number: int) -> float:
        route.clear()
        route.insert()
        return route.taken(lambda: route.change_all(change, number))

    return way


def _bare(route: _Route) -> float:
    """Time the rows alone, by one INSERT from ready tuples: indexes and generated columns, nothing else."""
    route.clear()
    route.insert()
    route.connection.execute("CREATE TEMPORARY TABLE ready AS SELECT * FROM lake.obscore")
    columns = sql.SQL(", ").join(_columns(route.connection))
    statement = sql.SQL("INSERT INTO lake.obscore ({0}) SELECT {0} FROM ready").format(columns)
    times = []
    for _ in range(ROUNDS):
        route.clear()
        times.append(route.taken(lambda: route.connection.execute(statement)))
    return median(times)


def _singly(ours: _Route, theirs: _Route, change: str | None) -> tuple[list[float], list[float]]:
    """Time statements of one DID each; the two routes change every few milliseconds, so both meet the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for route in (ours, theirs):
            route.clear()
        if change is not None:
            for route in (ours, theirs):
                route.insert()
        sums = [0.0, 0.0]
        turns = [(0, ours, ours.statements(change, number)), (1, theirs, theirs.statements(change, number))]
        for _ in range(0, SINGLY, BLOCK):
            for index, route, statements in turns:
                block = list(islice(statements, BLOCK))
                sums[index] += route.taken(partial(route.run, block))
            turns.reverse()
        if number:  # the first round warms up
            for taken, added in zip(times, sums, strict=True):
                taken.append(added)
    return times


def _metadata(settings: Settings, collection: str) -> list[str]:
    sky = settings.model_copy(update={"collections": {collection: Collection(frame="sky")}})
    reads = (ItemRead(item, None, "made") for item in items(DIDS, collection=collection))
    return [orjson.dumps(map_item(parse_item(read, sky), sky, {}, "f").metadata).decode() for read in reads]


def _columns(connection: psycopg.Connection) -> list[sql.Composable]:
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'lake.obscore_metadata'::regclass ORDER BY attnum"
    )
    return [sql.Identifier(name) for (name,) in found.fetchall()]


@contextmanager
def _tables(connection: psycopg.Connection) -> Iterator[tuple[sql.Composable, sql.Composable]]:
    """Make two tables of metadata, one with our triggers and one with the row trigger."""
    schema = f"bench_{uuid.uuid4().hex[:8]}"
    ours, theirs, function, row = (sql.Identifier(schema, name) for name in ("ours", "theirs", "keep_row", "row"))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    try:
        for table in (ours, theirs):
            connection.execute(sql.SQL(_METADATA_TABLE).format(table=table))
        connection.execute("SELECT lake.attach_metadata_trigger(%s)", [f"{schema}.ours"])
        columns = sql.SQL(", ").join(_columns(connection))
        connection.execute(sql.SQL("CREATE VIEW {} AS SELECT {} FROM lake.obscore").format(row, columns))
        connection.execute(sql.SQL(_ROW_TRIGGER).format(function=function, table=theirs, columns=columns, row=row))
        yield ours, theirs
    finally:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute("TRUNCATE lake.obscore")
