"""Rows of items that are gone: taken away in one transaction, with a note of what is still to be done in Rucio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from stac_rucio_sync.model import Did, Gone, ItemKey
from stac_rucio_sync.stores.tables.rows import plain_keys
from stac_rucio_sync.stores.tables.session import Sessions

_KEYS = "unnest(%(collections)s::text[], %(ids)s::text[]) AS k(collection, id)"
_RECORDED = f"""
    SELECT i.collection, i.id, i.source, i.scope, i.name, i.metadata_keys,
        ARRAY(SELECT f.scope FROM lake.file f WHERE (f.collection, f.id) = (i.collection, i.id) ORDER BY f.asset),
        ARRAY(SELECT f.name FROM lake.file f WHERE (f.collection, f.id) = (i.collection, i.id) ORDER BY f.asset)
    FROM {_KEYS} JOIN lake.item i ON (i.collection, i.id) = (k.collection, k.id)
    WHERE i.source = %(source)s
"""  # noqa: S608 - only the text above
_BEGIN = f"""
    INSERT INTO lake.removal (collection, id, source, scope, name, metadata_keys, file_scopes, file_names)
    {_RECORDED}
    ON CONFLICT (collection, id) DO UPDATE SET source = EXCLUDED.source, scope = EXCLUDED.scope, name = EXCLUDED.name,
        metadata_keys = EXCLUDED.metadata_keys, file_scopes = EXCLUDED.file_scopes, file_names = EXCLUDED.file_names
"""
_BEGUN = f"""
    SELECT r.collection, r.id, r.source, r.scope, r.name, r.metadata_keys, r.file_scopes, r.file_names
    FROM {_KEYS} JOIN lake.removal r ON (r.collection, r.id) = (k.collection, k.id)
    WHERE r.source = %(source)s AND NOT EXISTS (
        SELECT FROM lake.item i WHERE (i.collection, i.id) = (r.collection, r.id))
"""  # noqa: S608 - only the text above
_DROP_ROWS = """
    DELETE FROM lake.{table} t USING lake.item i, unnest(%(collections)s::text[], %(ids)s::text[]) AS k(collection, id)
    WHERE t.obs_publisher_did = i.obs_publisher_did AND (i.collection, i.id) = (k.collection, k.id)
        AND i.source = %(source)s
"""
# Files and links go with their item.
_DROP_ITEMS = """
    DELETE FROM lake.item i USING unnest(%(collections)s::text[], %(ids)s::text[]) AS k(collection, id)
    WHERE (i.collection, i.id) = (k.collection, k.id) AND i.source = %(source)s
"""
_DROP_MIRROR = """
    DELETE FROM lake.replica t USING unnest(%s::text[], %s::text[]) AS k(scope, name)
    WHERE (t.scope, t.name) = (k.scope, k.name)
        AND NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (t.scope, t.name))
"""
# An item that has these files and is not among the keys.
_SHARED = """
    SELECT DISTINCT f.scope, f.name
    FROM unnest(%s::text[], %s::text[]) AS d(scope, name) JOIN lake.file f ON (f.scope, f.name) = (d.scope, d.name)
    WHERE NOT EXISTS (
        SELECT FROM unnest(%s::text[], %s::text[]) AS k(collection, id)
        WHERE (k.collection, k.id) = (f.collection, f.id))
"""
_FINISH = """
    DELETE FROM lake.removal r USING unnest(%s::text[], %s::text[]) AS k(collection, id)
    WHERE (r.collection, r.id) = (k.collection, k.id)
"""
_FORGET_RETURNED = """
    DELETE FROM lake.removal r USING lake.item i
    WHERE r.source = %s AND (i.collection, i.id) = (r.collection, r.id)
"""
_RELEASE = """
    DELETE FROM lake.quarantine q USING unnest(%(collections)s::text[], %(ids)s::text[]) AS k(collection, id)
    WHERE (q.collection, q.id) = (k.collection, k.id) AND q.source = %(source)s
"""
_PENDING = "SELECT collection, id FROM lake.removal WHERE source = %s ORDER BY collection, id"


class Removals:
    """The tables' part of a removal; every call may be done twice with the same effect.

    Parameters
    ----------
    sessions
        The pool.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def look(self, source: str, keys: Sequence[ItemKey]) -> list[Gone]:
        """Return what is recorded of those of the items that this source wrote last; nothing is changed."""

        def read() -> list[Gone]:
            with self._sessions.transaction() as (connection, _):
                return _gone(connection, _RECORDED, source, keys)

        return self._sessions.call(read)

    def begin(self, source: str, keys: Sequence[ItemKey]) -> list[Gone]:
        """Take the rows of items away and note what is to be done in Rucio, in one transaction.

        Parameters
        ----------
        source
            Items that another source wrote last are left alone.
        keys
            The items. One whose removal has begun before is answered, too.

        Returns
        -------
        list of Gone
            What is to be taken out of Rucio.

        Raises
        ------
        TransientError
            The database did not answer for a minute.
        """

        def write() -> list[Gone]:
            with self._sessions.transaction() as (connection, _):
                values = _values(source, keys)
                connection.execute(_BEGIN, values)
                for table in ("obscore", "epn"):
                    connection.execute(_DROP_ROWS.format(table=table), values)
                connection.execute(_DROP_ITEMS, values)
                gone = _gone(connection, _BEGUN, source, keys)
                connection.execute(_DROP_MIRROR, _did_columns(gone))
                return gone

        return self._sessions.call(write)

    def release(self, source: str, keys: Sequence[ItemKey]) -> None:
        """Take items out of the quarantine that the source no longer has: nobody shall try them again."""
        self._sessions.execute(_RELEASE, _values(source, keys))

    def pending(self, source: str) -> list[ItemKey]:
        """Return the items whose removal was begun and cut short, without those that are back."""

        def read() -> list[ItemKey]:
            with self._sessions.transaction() as (connection, _):
                connection.execute(_FORGET_RETURNED, [source])
                return [ItemKey(*row) for row in connection.execute(_PENDING, [source])]

        return self._sessions.call(read)

    def finish(self, keys: Sequence[ItemKey]) -> None:
        """Note that Rucio holds nothing more of items that may go."""
        self._sessions.execute(_FINISH, plain_keys(keys))


def _gone(connection: psycopg.Connection[Any], statement: str, source: str, keys: Sequence[ItemKey]) -> list[Gone]:
    rows = connection.execute(statement, _values(source, keys)).fetchall()
    gone = [
        Gone(ItemKey(collection, item_id), Did(scope, name), tuple(metadata), _dids(scopes, names))
        for collection, item_id, _, scope, name, metadata, scopes, names in rows
    ]
    shared = frozenset(Did(*row) for row in connection.execute(_SHARED, [*_did_columns(gone), *plain_keys(keys)]))
    return [
        Gone(one.key, one.did, one.metadata_keys, one.files, shared.intersection(one.files)) if shared else one
        for one in gone
    ]


def _values(source: str, keys: Sequence[ItemKey]) -> dict[str, Any]:
    collections, ids = plain_keys(sorted(keys))
    return {"source": source, "collections": collections, "ids": ids}


def _dids(scopes: Sequence[str], names: Sequence[str]) -> tuple[Did, ...]:
    return tuple(dict.fromkeys(map(Did, scopes, names)))


def _did_columns(gone: Sequence[Gone]) -> tuple[list[str], list[str]]:
    dids = sorted({did for one in gone for did in one.files})
    return [did.scope for did in dids], [did.name for did in dids]
