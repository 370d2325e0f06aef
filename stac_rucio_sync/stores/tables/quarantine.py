"""Items that are set aside: written, met again, released. An entry is named by its item, or by where it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
import psycopg

from stac_rucio_sync.model import ItemKey, JsonObject, Quarantined
from stac_rucio_sync.stores.tables.rows import plain_keys, plain_text

_SET_ASIDE = """
    INSERT INTO lake.quarantine AS q (source, collection, id, position, reason, fingerprint, item, href, commit)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_SET_ASIDE_AGAIN = """
    DO UPDATE SET source = EXCLUDED.source, position = EXCLUDED.position, reason = EXCLUDED.reason,
        fingerprint = EXCLUDED.fingerprint, item = EXCLUDED.item, href = EXCLUDED.href,
        commit = EXCLUDED.commit, attempts = q.attempts + 1, last_seen = clock_timestamp()
"""
_SET_ASIDE_ITEM = _SET_ASIDE + "ON CONFLICT (collection, id) WHERE id IS NOT NULL" + _SET_ASIDE_AGAIN
_SET_ASIDE_NAMELESS = _SET_ASIDE + "ON CONFLICT (source, position) WHERE id IS NULL" + _SET_ASIDE_AGAIN
_RELEASE = """
    DELETE FROM lake.quarantine q USING unnest(%s::text[], %s::text[]) AS k(collection, id)
    WHERE (q.collection, q.id) = (k.collection, k.id)
"""
_STILL_ASIDE = """
    UPDATE lake.quarantine q SET last_seen = clock_timestamp() FROM unnest(%s::text[], %s::text[]) AS k(collection, id)
    WHERE (q.collection, q.id) = (k.collection, k.id)
"""


def release(connection: psycopg.Connection[Any], keys: Sequence[ItemKey]) -> None:
    """Take items out of the quarantine."""
    connection.execute(_RELEASE, plain_keys(keys))


def keep(connection: psycopg.Connection[Any], keys: Sequence[ItemKey]) -> None:
    """Note that items were met again and stay where they are."""
    connection.execute(_STILL_ASIDE, plain_keys(keys))


def set_aside(connection: psycopg.Connection[Any], source: str, quarantined: Sequence[Quarantined]) -> None:
    """Put items into the quarantine, or count another attempt."""
    named = {one.key: one for one in quarantined if one.key is not None}
    nameless = {one.position: one for one in quarantined if one.key is None}
    with connection.cursor() as cursor:
        if named:
            cursor.executemany(_SET_ASIDE_ITEM, [_entry(source, one) for _, one in sorted(named.items())])
        if nameless:
            cursor.executemany(_SET_ASIDE_NAMELESS, [_entry(source, one) for _, one in sorted(nameless.items())])


def _entry(source: str, one: Quarantined) -> tuple[str | bytes | None, ...]:
    collection, item_id = one.key or (None, None)
    texts = (source, collection, item_id, one.position, one.reason, one.fingerprint)
    cleaned = tuple(None if text is None else plain_text(text) for text in texts)
    return (*cleaned, _json_text(one.stac), None if one.href is None else plain_text(one.href), one.commit)


def _json_text(stac: JsonObject | None) -> str | None:
    """Return JSON text; what no JSON parser could have given (NaN, a lone surrogate) is written so that one can."""
    if stac is None:
        return None
    try:
        return orjson.dumps(stac, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # an integer of more than 64 bits, a lone surrogate
        return json.dumps(json.loads(json.dumps(stac), parse_constant=lambda _: None))
