"""COPY → temporary table → upsert that skips what is unchanged: the way rows get into the tables.

The temporary tables live as long as their connection and are emptied by each commit, so that a batch makes no
catalogue entries. All statements here are made of the table definitions and constants, never of what an item says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Table
from sqlalchemy.pool import PoolProxiedConnection

from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.tables.definitions import EPN, FILE, ITEM, LINK, OBSCORE, REPLICA, RSE, loaded_columns
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges, write_replicas
from stac_rucio_sync.stores.tables.rows import Row, Rows

_STAMPS: Mapping[str, str] = {"item": "last_synced"}
"""The column of a table that tells when a row was last written."""
_ALWAYS_WRITTEN = frozenset({"item"})
"""Tables whose rows are stamped even when nothing else changed."""

# LATERAL with OFFSET 0 is a look-up by key for each key, whatever the planner believes of the tables.
_KNOWN_ITEMS = """
    SELECT t.collection, t.id, t.obs_publisher_did FROM unnest(%s::text[], %s::text[]) AS k(collection, id),
        LATERAL (SELECT * FROM lake.item WHERE (collection, id) = (k.collection, k.id) OFFSET 0) t
"""
_KNOWN_LINKS = """
    SELECT t.collection, t.id, t.name FROM unnest(%s::text[], %s::text[]) AS k(collection, id),
        LATERAL (SELECT * FROM lake.link WHERE (collection, id) = (k.collection, k.id) OFFSET 0) t
"""
_KNOWN_FILES = """
    SELECT t.collection, t.id, t.asset, t.scope, t.name FROM unnest(%s::text[], %s::text[]) AS k(collection, id),
        LATERAL (SELECT * FROM lake.file WHERE (collection, id) = (k.collection, k.id) OFFSET 0) t
"""
_DROP_LINKS = """
    DELETE FROM lake.link t USING unnest(%s::text[], %s::text[], %s::text[]) AS k(collection, id, name)
    WHERE (t.collection, t.id, t.name) = (k.collection, k.id, k.name)
"""
_DROP_FILES = """
    DELETE FROM lake.file t USING unnest(%s::text[], %s::text[], %s::text[]) AS k(collection, id, asset)
    WHERE (t.collection, t.id, t.asset) = (k.collection, k.id, k.asset)
"""
_DROP_REPLICAS_OF_NO_FILE = """
    DELETE FROM lake.replica t USING unnest(%s::text[], %s::text[]) AS k(scope, name)
    WHERE (t.scope, t.name) = (k.scope, k.name)
        AND NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (t.scope, t.name))
"""
_WRITE_DISTANCES = """
    INSERT INTO lake.rse_distance AS t (source, destination, distance)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[])
    ON CONFLICT (source, destination) DO UPDATE SET distance = EXCLUDED.distance
    WHERE t.distance <> EXCLUDED.distance
"""
# A DID that its owner described before it came to a sync: the sync's item takes its place.
_DROP_DESCRIBED = "DELETE FROM lake.item WHERE collection = '' AND id = ANY(%s)"
_DROP_OBSCORE = "DELETE FROM lake.obscore WHERE obs_publisher_did = ANY(%s)"
_DROP_EPN = "DELETE FROM lake.epn WHERE obs_publisher_did = ANY(%s)"

_ITEM_PUBLISHER_DID = loaded_columns(ITEM).index("obs_publisher_did")
_ITEM_DID = (loaded_columns(ITEM).index("scope"), loaded_columns(ITEM).index("name"))
_EPN_PUBLISHER_DID = loaded_columns(EPN).index("obs_publisher_did")


class Load:
    """The writing part of one transaction.

    Parameters
    ----------
    connection, pooled
        As `Sessions.transaction` lends them.
    """

    def __init__(self, connection: psycopg.Connection[Any], pooled: PoolProxiedConnection) -> None:
        self._connection = connection
        self._staged: set[str] = pooled.info.setdefault("staged", set())

    def _stage(self, tables: Iterable[Table]) -> None:
        """Make the temporary tables that this connection has not yet.

        Each costs at every commit, when it is emptied, so there are none that were never needed.
        """
        missing = [table for table in tables if table.name not in self._staged]
        if missing:
            for table in missing:
                self._connection.execute(stage_statement(table))
            self._connection.commit()
            self._staged.update(table.name for table in missing)

    def write_batch(self, rows: Rows, *, write_rows: bool, asked: datetime | None = None) -> int:
        """Make the tables hold exactly this of a batch of items.

        Parameters
        ----------
        rows
            What `rows_of` gives. The replicas of each file named in them are taken to be all that it has.
        write_rows
            False where a trigger writes the ObsCore rows.
        asked
            When Rucio was asked for the replicas, by the database's clock; None: now.

        Returns
        -------
        int
            ObsCore and EPN rows that were written (unchanged ones are not).
        """
        wanted = {table: these for table, these in rows.items() if these and (table is not OBSCORE or write_rows)}
        self._stage(wanted)
        orphans = self._drop_what_is_not_wanted(rows, write_rows=write_rows)
        written = {table: self._write(table, these) for table, these in wanted.items() if table is not REPLICA}
        if REPLICA in wanted:
            write_replicas(self._connection, {Did(*row[:2]) for row in rows[REPLICA]}, rows[REPLICA], asked)
        if orphans:
            self._connection.execute(_DROP_REPLICAS_OF_NO_FILE, _columns(orphans, 2))
        return written.get(OBSCORE, 0) + written.get(EPN, 0)

    def _drop_what_is_not_wanted(self, rows: Rows, *, write_rows: bool) -> set[tuple[str, ...]]:
        """Delete what earlier runs wrote of these items and this one does not; return the DIDs of dropped files.

        An item that turned from body to sky loses its EPN row; one whose identifier changed loses the rows of the old.
        A file whose DID changed goes, too.
        """
        execute = self._connection.execute
        execute(_DROP_DESCRIBED, [[":".join(row[place] for place in _ITEM_DID) for row in rows[ITEM]]])
        known = {row[:2]: row[2] for row in execute(_KNOWN_ITEMS, _columns({row[:2] for row in rows[ITEM]}, 2))}
        if not known:
            return set()
        old = set(known.values())
        if (moved := old - {row[_ITEM_PUBLISHER_DID] for row in rows[ITEM]}) and write_rows:
            execute(_DROP_OBSCORE, [list(moved)])
        if no_epn := old - {row[_EPN_PUBLISHER_DID] for row in rows[EPN]}:
            execute(_DROP_EPN, [list(no_epn)])
        keys = _columns(known, 2)
        if links := set(execute(_KNOWN_LINKS, keys)) - {row[:3] for row in rows[LINK]}:
            execute(_DROP_LINKS, _columns(links, 3))
        if files := set(execute(_KNOWN_FILES, keys)) - {row[:5] for row in rows[FILE]}:
            execute(_DROP_FILES, _columns(files, 3))
        return {file[3:] for file in files}

    def prepare_replicas(self) -> None:
        """Make what `write_replicas` needs; it ends the transaction, so it comes first."""
        self._stage([REPLICA])

    def write_replicas(self, dids: Iterable[Did], rows: Sequence[Row], asked: datetime | None) -> MirrorChanges:
        """Make the mirror hold exactly these replicas of files; see `stac_rucio_sync.stores.tables.replica_rows`."""
        return write_replicas(self._connection, dids, rows, asked)

    def differing(self, rows: Rows) -> list[tuple[Any, ...]]:
        """Return of each ObsCore row that is not there in the same words: its key, if it is missing, else where."""
        self._stage([OBSCORE])
        with self._connection.cursor() as cursor:
            with cursor.copy(copy_statement(OBSCORE)) as copy:
                for row in rows[OBSCORE]:
                    copy.write_row(row)
            return cursor.execute(difference_statement(OBSCORE)).fetchall()

    def write_rses(self, rows: Rows) -> None:
        """Add or bring up to date RSEs."""
        self._stage([RSE])
        self._write(RSE, rows[RSE])

    def _write(self, table: Table, rows: Sequence[Row]) -> int:
        """Load rows of one table; return how many were written."""
        with self._connection.cursor() as cursor:
            with cursor.copy(copy_statement(table)) as copy:
                for row in rows:
                    copy.write_row(row)
            return cursor.execute(upsert_statement(table)).rowcount


def write_distances(connection: psycopg.Connection[Any], distances: Mapping[tuple[str, str], int]) -> int:
    """Add or bring up to date distances by (source, destination); return how many were not there already."""
    ordered = sorted(distances)
    values = [*_columns(ordered, 2), [distances[way] for way in ordered]]
    return connection.execute(_WRITE_DISTANCES, values).rowcount


def stage_statement(table: Table) -> str:
    """Return the statement that makes a table's temporary one."""
    columns = ", ".join(loaded_columns(table))
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS load_{table.name} ON COMMIT DELETE ROWS "  # noqa: S608 - names of our own tables
        f"AS SELECT {columns} FROM {table.fullname} WITH NO DATA"
    )


@cache
def copy_statement(table: Table) -> str:
    """Return the statement that fills the temporary table."""
    return f"COPY pg_temp.load_{table.name} ({', '.join(loaded_columns(table))}) FROM STDIN"


@cache
def upsert_statement(table: Table) -> str:
    """Return the upsert of what was staged; a row that is there already in the same words is not touched."""
    columns = loaded_columns(table)
    key = [column.name for column in table.primary_key]
    others = [name for name in columns if name not in key]
    changes = [f"{name} = EXCLUDED.{name}" for name in others]
    if table.name in _STAMPS:
        changes.append(f"{_STAMPS[table.name]} = now()")
    told = ", ".join(f"l.{name}" for name in columns)
    new = ", ".join(f"l.{name}" for name in others)
    old = ", ".join(f"t.{name}" for name in others)
    same_key = " AND ".join(f"{name} = l.{name}" for name in key)
    there = f"LEFT JOIN LATERAL (SELECT * FROM {table.fullname} WHERE {same_key} OFFSET 0) t ON true"  # noqa: S608 - names of our own tables
    changed = f"WHERE t.{key[0]} IS NULL OR ({old}) IS DISTINCT FROM ({new})"
    only = "" if table.name in _ALWAYS_WRITTEN else f"{there} {changed}"
    return (
        f"INSERT INTO {table.fullname} ({', '.join(columns)}) "  # noqa: S608 - names of our own tables
        f"SELECT {told} FROM pg_temp.load_{table.name} l {only} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    )


@cache
def difference_statement(table: Table) -> str:
    """Return the query for what was staged and is missing or different in the table."""
    columns = loaded_columns(table)
    key = [column.name for column in table.primary_key]
    same_key = " AND ".join(f"{name} = l.{name}" for name in key)
    told = ", ".join(f"CASE WHEN t.{name} IS DISTINCT FROM l.{name} THEN '{name}' END" for name in columns)
    old, new = (", ".join(f"{row}.{name}" for name in columns) for row in "tl")
    return (
        f"SELECT l.{key[0]}, t.{key[0]} IS NULL, "  # noqa: S608 - names of our own tables
        f"CASE WHEN t.{key[0]} IS NULL THEN '{{}}' ELSE array_remove(ARRAY[{told}], NULL) END "
        f"FROM pg_temp.load_{table.name} l "
        f"LEFT JOIN LATERAL (SELECT * FROM {table.fullname} WHERE {same_key} OFFSET 0) t ON true "
        f"WHERE t.{key[0]} IS NULL OR ({old}) IS DISTINCT FROM ({new})"
    )


def _columns(rows: Iterable[Row], count: int) -> list[list[str]]:
    """Return the first columns of rows as arrays, sorted."""
    ordered = sorted(rows)
    return [[row[place] for row in ordered] for place in range(count)]
