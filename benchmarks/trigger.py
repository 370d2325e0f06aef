"""Metadata turned into ObsCore rows: a row trigger that deletes and inserts, as prototypes have it, against ours."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import orjson
import psycopg
from psycopg import sql

from benchmarks.figures import Figure, in_turns, ratio_of, seconds
from benchmarks.items import items
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import ItemRead
from stac_rucio_sync.settings import Collection, Settings

DIDS, SINGLY, ROUNDS = 2_000, 500, 5

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
    """Time inserts, updates of a column and of keys unknown to ObsCore, by statements of many DIDs and of one."""
    if settings.database.admin_url is None:
        raise AssertionError("the lake's settings name no admin")
    url = settings.database.admin_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection, _tables(connection) as (ours, theirs):
        connection.execute("SET synchronous_commit = off")  # the disk is the same for both
        return list(_figures(connection, settings, ours, theirs))


def _figures(
    connection: psycopg.Connection, settings: Settings, ours: sql.Composable, theirs: sql.Composable
) -> Iterator[Figure]:
    made = {place: _metadata(settings, f"bench-{place}") for place in ("ours", "theirs")}

    def clear(table: sql.Composable) -> None:
        connection.execute(sql.SQL("TRUNCATE {}").format(table))
        connection.execute("TRUNCATE lake.obscore")
        connection.execute("VACUUM ANALYZE lake.obscore")

    def insert(table: sql.Composable, metadata: list[str]) -> None:
        connection.execute(sql.SQL(_INSERT).format(table=table), [metadata])

    def write_singly(table: sql.Composable, written: Mapping[str, str]) -> None:
        statement = sql.SQL(_INSERT_ONE)
        for name, metadata in written.items():
            connection.execute(
                statement.format(table=table, name=sql.Literal(name), metadata=sql.Literal(metadata)), prepare=False
            )

    def bulk(table: sql.Composable, metadata: list[str]) -> Callable[[int], float]:
        def way(_: int) -> float:
            clear(table)
            return seconds(lambda: insert(table, metadata))

        return way

    def single(table: sql.Composable, metadata: list[str], change: str | None = None) -> Callable[[int], float]:
        named = {str(orjson.loads(one)["obs_id"]): one for one in metadata[:SINGLY]}

        def way(number: int) -> float:
            clear(table)
            written = named
            if change is not None:
                insert(table, metadata)
                written = {name: orjson.dumps({change: str(number)}).decode() for name in named}
            return seconds(lambda: write_singly(table, written))

        return way

    def update(table: sql.Composable, metadata: list[str], change: str) -> Callable[[int], float]:
        def way(number: int) -> float:
            clear(table)
            insert(table, metadata)
            statement = sql.SQL("UPDATE {} SET data = data || jsonb_build_object({}, {}::text)").format(
                table, sql.Literal(change), sql.Literal(number)
            )
            return seconds(lambda: connection.execute(statement))

        return way

    def bare(_: int) -> float:
        """Write the rows alone, by one INSERT from ready tuples: indexes and generated columns, nothing else."""
        clear(ours)
        insert(ours, made["ours"])
        connection.execute("CREATE TEMPORARY TABLE IF NOT EXISTS ready AS SELECT * FROM lake.obscore")
        columns = _columns(connection)
        clear(ours)
        return seconds(
            lambda: connection.execute(
                sql.SQL("INSERT INTO lake.obscore ({0}) SELECT {0} FROM ready").format(sql.SQL(", ").join(columns))
            )
        )

    index_time = median([bare(number) for number in range(3)])
    note, title = "note", "obs_title"
    # Below 1: what a statement trigger costs before it does anything. docs/trigger.md has the parts.
    works = (
        ("inserts", 1.0, DIDS, bulk(ours, made["ours"]), bulk(theirs, made["theirs"])),
        ("updates", 1.0, DIDS, update(ours, made["ours"], title), update(theirs, made["theirs"], title)),
        ("updates of other keys", 1.0, DIDS, update(ours, made["ours"], note), update(theirs, made["theirs"], note)),
        ("inserts, one DID a statement", 0.7, SINGLY, single(ours, made["ours"]), single(theirs, made["theirs"])),
        (
            "updates, one DID a statement",
            0.8,
            SINGLY,
            single(ours, made["ours"], title),
            single(theirs, made["theirs"], title),
        ),
        (
            "of other keys, one DID a statement",
            1.0,
            SINGLY,
            single(ours, made["ours"], note),
            single(theirs, made["theirs"], note),
        ),
    )
    for name, wanted, count, our_way, their_way in works:
        our_times, their_times = in_turns(ROUNDS, our_way, their_way)
        share = f"; the rows alone, by one INSERT, {DIDS / index_time:,.0f}/s" if name == "inserts" else ""
        yield Figure(
            f"trigger: {name}",
            ratio_of(our_times, their_times),
            wanted,
            "× the row trigger",
            f"{count / median(our_times):,.0f} DIDs/s, row trigger {count / median(their_times):,.0f}{share}",
        )


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
