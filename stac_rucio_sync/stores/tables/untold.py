"""Items with assets that stay links because no origin tells their size: when origins are asked again.

The first time after an hour, then after twice as long as before, and at the longest after 16 days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from stac_rucio_sync.model import ItemKey
from stac_rucio_sync.stores.tables.rows import plain_keys, plain_text
from stac_rucio_sync.stores.tables.session import Sessions

_PAUSE = "least(interval '1 hour' * 2 ^ least(u.times, 10), interval '16 days')"
_NOTE = f"""
    INSERT INTO lake.untold AS u (collection, id, reason, ask_again)
    SELECT DISTINCT ON (k.collection, k.id) k.collection, k.id, k.reason, now() + interval '1 hour'
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS k(collection, id, reason)
        JOIN lake.item i ON (i.collection, i.id) = (k.collection, k.id)
    ORDER BY k.collection, k.id
    ON CONFLICT (collection, id) DO UPDATE
        SET reason = EXCLUDED.reason, times = u.times + 1, ask_again = now() + {_PAUSE}
"""  # noqa: S608 - only the text above
_TOLD = """
    DELETE FROM lake.untold u USING unnest(%s::text[], %s::text[]) AS k(collection, id)
    WHERE (u.collection, u.id) = (k.collection, k.id)
"""
_OF = """
    SELECT k.n, u.ask_again <= now()
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(collection, id, n)
        JOIN lake.untold u ON (u.collection, u.id) = (k.collection, k.id)
"""
# What is taken is put off at once: an item that the source no longer has is not looked for in every run.
_TAKE = f"""
    UPDATE lake.untold u SET ask_again = now() + {_PAUSE}
    FROM (
        SELECT o.collection, o.id FROM lake.untold o JOIN lake.item i ON (i.collection, i.id) = (o.collection, o.id)
        WHERE i.source = %s AND o.ask_again <= now() ORDER BY o.ask_again LIMIT %s
    ) AS k
    WHERE (u.collection, u.id) = (k.collection, k.id)
    RETURNING u.collection, u.id
"""  # noqa: S608 - only the text above
_HURRY = """
    UPDATE lake.untold u SET ask_again = now() FROM lake.item i
    WHERE (i.collection, i.id) = (u.collection, u.id) AND i.source = %s AND u.ask_again > now()
"""


class Untold:
    """What is known of them; every call may be done twice.

    Parameters
    ----------
    sessions
        The pool.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def of(self, keys: Sequence[ItemKey]) -> dict[ItemKey, bool]:
        """Return those of some items that are here, and whether it is time to ask again."""
        if not keys:
            return {}
        return {keys[n - 1]: due for n, due in self._sessions.rows(_OF, plain_keys(keys))}

    def take_due(self, source: str, most: int) -> list[ItemKey]:
        """Return items of a source for which it is time to ask again, the longest due first; no other call does."""
        return [ItemKey(*row) for row in self._sessions.rows(_TAKE, [source, most])]

    def hurry(self, source: str) -> None:
        """Have it be time to ask again for all items of a source."""
        self._sessions.execute(_HURRY, [source])

    def asked(self, reasons: Mapping[ItemKey, str]) -> None:
        """Note that origins were asked in vain for items that are recorded."""

        def write() -> None:
            with self._sessions.transaction() as (connection, _):
                note(connection, reasons)

        if reasons:
            self._sessions.call(write)


def note(connection: psycopg.Connection[Any], reasons: Mapping[ItemKey, str]) -> None:
    """Note what origins said in place of sizes, by item; items that are not recorded are passed over."""
    if reasons:
        connection.execute(_NOTE, (*plain_keys(list(reasons)), [plain_text(reason) for reason in reasons.values()]))


def told(connection: psycopg.Connection[Any], keys: Iterable[ItemKey]) -> None:
    """Forget items whose sizes are all known."""
    if these := list(keys):
        connection.execute(_TOLD, plain_keys(these))
