"""Items of no collection: DIDs that users of Rucio described, and their files (``sql/092_described.sql``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stac_rucio_sync.model import Did, Held
from stac_rucio_sync.stores.tables.session import Sessions

_UNREAD = """
    SELECT scope, name FROM lake.item WHERE collection = '' AND fingerprint = '' AND id > %s ORDER BY id LIMIT %s
"""
_AFTER = "SELECT scope, name FROM lake.item WHERE collection = '' AND id > %s ORDER BY id LIMIT %s"
_FILES = "SELECT id, scope, name, bytes, adler32, md5 FROM lake.file WHERE collection = '' AND id = ANY(%s)"
# What a trigger is about to drop is left to it: nobody waits for the other.
_LOCKED = """
    SELECT id FROM lake.item WHERE collection = '' AND id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_DROP_FILES = """
    DELETE FROM lake.file t USING unnest(%s::text[], %s::text[]) AS k(id, asset)
    WHERE t.collection = '' AND (t.id, t.asset) = (k.id, k.asset)
"""
_DROP_REPLICAS = """
    DELETE FROM lake.replica t USING unnest(%s::text[], %s::text[]) AS k(scope, name)
    WHERE (t.scope, t.name) = (k.scope, k.name)
        AND NOT EXISTS (SELECT FROM lake.file f WHERE (f.scope, f.name) = (t.scope, t.name))
"""
# Where a synced item has the file, too, the catalogue says what Rucio does not know of it.
_WRITE_FILES = """
    INSERT INTO lake.file AS t (collection, id, asset, scope, name, bytes, adler32, md5, content_type, roles, title,
        science)
    SELECT '', k.id, k.scope || ':' || k.name, k.scope, k.name, k.bytes, k.adler32, k.md5, known.content_type, '{}',
        coalesce(known.title, k.name), true
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])
        AS k(id, scope, name, bytes, adler32, md5)
        LEFT JOIN LATERAL (
            SELECT content_type, title FROM lake.file f WHERE (f.scope, f.name) = (k.scope, k.name) AND collection <> ''
            ORDER BY collection, id, asset LIMIT 1
        ) known ON true
    ON CONFLICT (collection, id, asset) DO UPDATE
        SET bytes = EXCLUDED.bytes, adler32 = EXCLUDED.adler32, md5 = EXCLUDED.md5
"""
_NOTE_READ = """
    UPDATE lake.item SET fingerprint = 'read', last_synced = clock_timestamp()
    WHERE collection = '' AND id = ANY(%s) AND (fingerprint = '' OR id = ANY(%s))
"""

Contents = Mapping[Did, Mapping[Did, Held]]
"""By DID, its files with their sizes and checksums."""


class DescribedRows:
    """Reads and writes items of no collection; every call may be done twice.

    Parameters
    ----------
    sessions
        The pool.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def match(self) -> None:
        """Make and drop items so that there is one for each DID whose metadata made an ObsCore row."""
        self._sessions.execute("SELECT lake.match_described()")

    def unread(self, last: Did | None, most: int) -> list[Did]:
        """Return DIDs whose files were never read, that come after one."""
        return self._dids(_UNREAD, last, most)

    def after(self, last: Did | None, most: int) -> list[Did]:
        """Return the DIDs that come after one."""
        return self._dids(_AFTER, last, most)

    def _dids(self, statement: str, last: Did | None, most: int) -> list[Did]:
        return [Did(*row) for row in self._sessions.rows(statement, ["" if last is None else str(last), most])]

    def files(self, dids: Sequence[Did]) -> dict[Did, dict[Did, Held]]:
        """Return the files of DIDs as the tables have them; each of the DIDs is there."""
        found: dict[str, dict[Did, Held]] = {str(did): {} for did in dids}
        for item, scope, name, *facts in self._sessions.rows(_FILES, [list(found)]):
            found[item][Did(scope, name)] = Held(*facts)
        return {did: found[str(did)] for did in dids}

    def write(self, fresh: Contents, gone: Mapping[Did, Sequence[Did]]) -> None:
        """Write files of DIDs, and that these have been read; DIDs that are no items of no collection are passed over.

        Parameters
        ----------
        fresh
            By each DID that was read: files that are not there in the same words.
        gone
            By DID: files that it does not have any more.
        """
        by_id = {str(did): did for did in sorted(fresh)}
        facts_of = {
            did: {file: (facts.bytes, facts.adler32, facts.md5) for file, facts in files.items()}
            for did, files in fresh.items()
        }

        def write() -> None:
            with self._sessions.transaction() as (connection, _):
                ids = [item for (item,) in connection.execute(_LOCKED, [list(by_id)])]
                if dropped := [(item, file) for item in ids for file in sorted(gone.get(by_id[item], ()))]:
                    scopes, names = [file.scope for _, file in dropped], [file.name for _, file in dropped]
                    connection.execute(_DROP_FILES, [[item for item, _ in dropped], [str(file) for _, file in dropped]])
                    connection.execute(_DROP_REPLICAS, [scopes, names])
                rows = [(item, *file, *whole) for item in ids for file, whole in sorted(facts_of[by_id[item]].items())]
                if rows:
                    connection.execute(_WRITE_FILES, [list(column) for column in zip(*rows, strict=True)])
                changed = {str(row[0]) for row in (*rows, *dropped)}
                connection.execute(_NOTE_READ, [ids, sorted(changed)])

        self._sessions.call(write)
