"""Wanted rows against the rows that the tables hold, compared where they lie, by the words of the upsert itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Table
from sqlalchemy.pool import PoolProxiedConnection

from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.tables.definitions import EPN, FILE, ITEM, LINK, OBSCORE, REPLICA, loaded_columns
from stac_rucio_sync.stores.tables.load import copy_statement, stage_statement
from stac_rucio_sync.stores.tables.rows import Row, Rows, plain_if_refused
from stac_rucio_sync.stores.tables.session import Sessions

#: Rows that no item of any source accounts for: table, key, and the condition that there is none.
_FOREIGN = {
    OBSCORE: "NOT EXISTS (SELECT FROM lake.item i WHERE i.obs_publisher_did = t.obs_publisher_did)",
    EPN: "NOT EXISTS (SELECT FROM lake.item i WHERE i.obs_publisher_did = t.obs_publisher_did)",
    REPLICA: "NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (t.scope, t.name))",
}
_KNOWN_DATASETS = """
    SELECT t.scope, t.name FROM unnest(%s::text[], %s::text[]) AS k(scope, name),
        LATERAL (SELECT scope, name FROM lake.item WHERE (scope, name) = (k.scope, k.name) OFFSET 0) t
"""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that is missing, too many, or says something else."""

    table: str
    """Its name in schema ``lake``."""
    key: tuple[str, ...]
    wanted: bool
    there: bool
    columns: tuple[str, ...] = ()
    """Columns that differ, where it is wanted and there."""


class AuditRows:
    """Reads the tables for an audit.

    Parameters
    ----------
    url
        ``postgresql://`` URL of a role that has ``lake_ingest``.
    """

    def __init__(self, url: str) -> None:
        self._sessions = Sessions(url, size=1)

    def close(self) -> None:
        """Give the connections back."""
        self._sessions.close()

    def differences(self, rows: Rows) -> list[RowDifference]:
        """Compare the rows of a batch with what the tables hold of its items and files.

        Parameters
        ----------
        rows
            As `rows_of` gives them. The replicas of each file named in them are taken to be all that it has.

        Returns
        -------
        list of RowDifference
            Table by table, by key. Nothing is written, but temporary tables.
        """
        return plain_if_refused(lambda these: self._sessions.call(lambda: self._differences(these)), rows)

    def _differences(self, rows: Rows) -> list[RowDifference]:
        found: list[RowDifference] = []
        with self._sessions.transaction() as (connection, pooled):
            _stage(connection, pooled, [table for table, these in rows.items() if these])
            for table, these in rows.items():
                if these:
                    found.extend(_compared(connection, table, these))
            found.extend(_too_many(connection, rows))
        return found

    def foreign(self, *, by_trigger: bool) -> Iterator[RowDifference]:
        """Yield rows that no item of any source accounts for; memory does not grow with their number.

        Parameters
        ----------
        by_trigger
            A trigger makes ObsCore rows of what other users of Rucio describe: rows of a DID are no leftovers then.
        """
        for table, condition in _FOREIGN.items():
            keys = ", ".join(f"t.{name}" for name in _key(table))
            statement = f"SELECT {keys} FROM {table.fullname} t WHERE {condition}"  # noqa: S608 - constants above
            if table is OBSCORE and by_trigger:
                statement += " AND t.did IS NULL"
            for row in self._sessions.stream(statement, whole_tables=True):
                yield RowDifference(table.name, row, wanted=False, there=True)

    def delete_foreign(self, rows: Sequence[RowDifference]) -> int:
        """Delete rows that `foreign` found, if no item has claimed them meanwhile; return how many went."""

        def delete() -> int:
            gone = 0
            with self._sessions.transaction() as (connection, _):
                for table in _FOREIGN:
                    if keys := [row.key for row in rows if row.table == table.name]:
                        gone += connection.execute(_delete_statement(table).encode(), _arrays(keys)).rowcount
            return gone

        return self._sessions.call(delete)

    def known_datasets(self, dids: Sequence[Did]) -> set[Did]:
        """Return those of the DIDs that are datasets of items, of any source."""
        return {Did(*row) for row in self._sessions.rows(_KNOWN_DATASETS, _arrays(dids))} if dids else set()


def _stage(connection: psycopg.Connection[Any], pooled: PoolProxiedConnection, tables: Sequence[Table]) -> None:
    staged: set[str] = pooled.info.setdefault("staged", set())
    missing = [table for table in tables if table.name not in staged]
    if missing:
        for table in missing:
            connection.execute(stage_statement(table).encode())
        connection.commit()
        staged.update(table.name for table in missing)


def _compared(connection: psycopg.Connection[Any], table: Table, rows: Sequence[Row]) -> Iterator[RowDifference]:
    """Yield the wanted rows that are not there, or not in the same words."""
    with connection.cursor() as cursor:
        with cursor.copy(copy_statement(table).encode()) as copy:
            for row in rows:
                copy.write_row(row)
        for *key, there, columns in cursor.execute(_comparison(table).encode()):
            yield RowDifference(table.name, tuple(key), True, there, tuple(columns) if there else ())


@cache
def _comparison(table: Table) -> str:
    key = _key(table)
    others = [name for name in loaded_columns(table) if name not in key]
    keys = ", ".join(f"l.{name}" for name in key)
    same_key = " AND ".join(f"{name} = l.{name}" for name in key)
    new, old = (", ".join(f"{side}.{name}" for name in others) for side in "lt")
    named = ", ".join(f"CASE WHEN t.{name} IS DISTINCT FROM l.{name} THEN '{name}' END" for name in others)
    return (
        f"SELECT {keys}, t.{key[0]} IS NOT NULL, array_remove(ARRAY[{named}], NULL) "  # noqa: S608 - names of our own tables
        f"FROM pg_temp.load_{table.name} l "
        f"LEFT JOIN LATERAL (SELECT * FROM {table.fullname} WHERE {same_key} OFFSET 0) t ON true "
        f"WHERE t.{key[0]} IS NULL OR ({old}) IS DISTINCT FROM ({new}) ORDER BY {keys}"
    )


def _too_many(connection: psycopg.Connection[Any], rows: Rows) -> Iterator[RowDifference]:
    """Yield rows of the batch's items and files that are not wanted."""
    items = {row[:2] for row in rows[ITEM]}
    publisher_dids = {(row[loaded_columns(ITEM).index("obs_publisher_did")],) for row in rows[ITEM]}
    place = len(_key(FILE))
    files = {row[place : place + 2] for row in rows[FILE]}
    for table, columns, keys in (
        (FILE, ("collection", "id"), items),
        (LINK, ("collection", "id"), items),
        (EPN, ("obs_publisher_did",), publisher_dids),
        (REPLICA, ("scope", "name"), files),
    ):
        if not keys:
            continue
        there = {tuple(row) for row in connection.execute(_known(table, columns).encode(), _arrays(sorted(keys)))}
        places = [loaded_columns(table).index(name) for name in _key(table)]
        wanted = {tuple(row[at] for at in places) for row in rows[table]}
        for key in sorted(there - wanted):
            yield RowDifference(table.name, key, wanted=False, there=True)


@cache
def _known(table: Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join("%s::text[]" for _ in columns)
    names = ", ".join(columns)
    sought = ", ".join(f"k.{name}" for name in columns)
    keys = ", ".join(f"t.{name}" for name in _key(table))
    return (
        f"SELECT {keys} FROM unnest({arrays}) AS k({names}), "  # noqa: S608 - names of our own tables
        f"LATERAL (SELECT * FROM {table.fullname} WHERE ({names}) = ({sought}) OFFSET 0) t"
    )


@cache
def _delete_statement(table: Table) -> str:
    key = _key(table)
    arrays = ", ".join("%s::text[]" for _ in key)
    same = " AND ".join(f"t.{name} = k.{name}" for name in key)
    return f"DELETE FROM {table.fullname} t USING unnest({arrays}) AS k({', '.join(key)}) WHERE {same} AND {_FOREIGN[table]}"  # noqa: S608, E501 - names of our own tables


def _key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _arrays(keys: Sequence[tuple[str, ...]]) -> list[list[str]]:
    return [list(column) for column in zip(*keys, strict=True)]
