"""COPY → temporary table → upsert that skips what is unchanged: the way rows get into the tables.

The temporary tables live as long as their connection and are emptied by each commit, so that a batch makes no
catalogue entries. All statements here are made of the table definitions and constants, never of what an item says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Table
from sqlalchemy.pool import PoolProxiedConnection

from stac_rucio_sync.stores.rows import Row, Rows
from stac_rucio_sync.stores.tables import EPN, FILE, ITEM, LINK, OBSCORE, REPLICA, RSE, loaded_columns

_STAGED = (ITEM, FILE, LINK, OBSCORE, EPN, REPLICA, RSE)
_STAMPS: Mapping[str, str] = {"item": "last_synced", "replica": "updated"}
"""The column of a table that tells when a row was last written."""
_ALWAYS_WRITTEN = frozenset({"item"})
"""Tables whose rows are stamped even when nothing else changed."""

_GONE = "CREATE TEMPORARY TABLE IF NOT EXISTS load_gone (scope text, name text) ON COMMIT DELETE ROWS"

_KNOWN = (
    "SELECT EXISTS (SELECT FROM pg_temp.load_item l JOIN lake.item i ON (i.collection, i.id) = (l.collection, l.id))"
)

# An item that turned from body to sky loses its EPN row; one whose identifier changed loses the rows of the old one.
_DROP_OBSCORE = """
    DELETE FROM lake.obscore o USING pg_temp.load_item l JOIN lake.item i ON (i.collection, i.id) = (l.collection, l.id)
    WHERE o.obs_publisher_did = i.obs_publisher_did AND i.obs_publisher_did <> l.obs_publisher_did
"""
_DROP_EPN = """
    DELETE FROM lake.epn e USING pg_temp.load_item l JOIN lake.item i ON (i.collection, i.id) = (l.collection, l.id)
    WHERE e.obs_publisher_did = i.obs_publisher_did
        AND NOT EXISTS (SELECT FROM pg_temp.load_epn n WHERE n.obs_publisher_did = e.obs_publisher_did)
"""
_DROP_LINKS = """
    DELETE FROM lake.link k USING pg_temp.load_item l
    WHERE (k.collection, k.id) = (l.collection, l.id) AND NOT EXISTS (
        SELECT FROM pg_temp.load_link n WHERE (n.collection, n.id, n.name) = (k.collection, k.id, k.name))
"""
# Also a file whose DID changed goes, so that the replicas of the old DID are looked at below.
_DROP_FILES = """
    WITH gone AS (
        DELETE FROM lake.file f USING pg_temp.load_item l
        WHERE (f.collection, f.id) = (l.collection, l.id) AND NOT EXISTS (
            SELECT FROM pg_temp.load_file n
            WHERE (n.collection, n.id, n.asset, n.scope, n.name) = (f.collection, f.id, f.asset, f.scope, f.name))
        RETURNING f.scope, f.name
    )
    INSERT INTO pg_temp.load_gone SELECT DISTINCT scope, name FROM gone
"""
_DROP_REPLICAS_OF_GONE_FILES = """
    DELETE FROM lake.replica r USING pg_temp.load_gone g
    WHERE (r.scope, r.name) = (g.scope, g.name) AND NOT EXISTS (
        SELECT FROM lake.file f WHERE (f.scope, f.name) = (r.scope, r.name))
"""
_DROP_REPLICAS = """
    DELETE FROM lake.replica r USING (SELECT DISTINCT scope, name FROM pg_temp.load_replica) l
    WHERE (r.scope, r.name) = (l.scope, l.name) AND NOT EXISTS (
        SELECT FROM pg_temp.load_replica n WHERE (n.scope, n.name, n.rse) = (r.scope, r.name, r.rse))
"""


class Load:
    """The writing part of one transaction.

    Parameters
    ----------
    connection, pooled
        As `Sessions.transaction` lends them.
    """

    def __init__(self, connection: psycopg.Connection[Any], pooled: PoolProxiedConnection) -> None:
        self._connection = connection
        if not pooled.info.get("staged"):
            for table in _STAGED:
                connection.execute(_stage_statement(table))
            connection.execute(_GONE)
            connection.commit()
            pooled.info["staged"] = True

    def write_batch(self, rows: Rows, *, write_rows: bool) -> int:
        """Make the tables hold exactly this of a batch of items.

        Parameters
        ----------
        rows
            What `rows_of` gives. The replicas of each file named in them are taken to be all that it has.
        write_rows
            False where a trigger writes the ObsCore rows.

        Returns
        -------
        int
            ObsCore and EPN rows that were written (unchanged ones are not).
        """
        wanted = {table: these for table, these in rows.items() if these and (table is not OBSCORE or write_rows)}
        for table, these in wanted.items():
            self._copy(table, these)
        known = self._connection.execute(_KNOWN).fetchone()
        gone = 0
        if known and known[0]:
            if write_rows:
                self._connection.execute(_DROP_OBSCORE)
            self._connection.execute(_DROP_EPN)
            self._connection.execute(_DROP_LINKS)
            gone = self._connection.execute(_DROP_FILES).rowcount
        if REPLICA in wanted:
            self._connection.execute(_DROP_REPLICAS)
        written = {table: self._upsert(table) for table in wanted}
        if gone:
            self._connection.execute(_DROP_REPLICAS_OF_GONE_FILES)
        return written.get(OBSCORE, 0) + written.get(EPN, 0)

    def write_rses(self, rows: Rows) -> None:
        """Add or bring up to date RSEs."""
        self._copy(RSE, rows[RSE])
        self._upsert(RSE)

    def _copy(self, table: Table, rows: Sequence[Row]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(_copy_statement(table)) as copy:
            for row in rows:
                copy.write_row(row)

    def _upsert(self, table: Table) -> int:
        return self._connection.execute(_upsert_statement(table)).rowcount


def _stage_statement(table: Table) -> str:
    columns = ", ".join(loaded_columns(table))
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS load_{table.name} ON COMMIT DELETE ROWS "  # noqa: S608 - names of our own tables
        f"AS SELECT {columns} FROM {table.fullname} WITH NO DATA"
    )


@cache
def _copy_statement(table: Table) -> str:
    return f"COPY pg_temp.load_{table.name} ({', '.join(loaded_columns(table))}) FROM STDIN"


@cache
def _upsert_statement(table: Table) -> str:
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
    joined = " AND ".join(f"t.{name} = l.{name}" for name in key)
    only = "" if table.name in _ALWAYS_WRITTEN else f"WHERE t.{key[0]} IS NULL OR ({old}) IS DISTINCT FROM ({new})"
    return (
        f"INSERT INTO {table.fullname} ({', '.join(columns)}) "  # noqa: S608 - names of our own tables
        f"SELECT {told} FROM pg_temp.load_{table.name} l LEFT JOIN {table.fullname} t ON {joined} {only} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    )
