"""The statements with which the store reads and keeps its books; those that load rows are in ``load``."""

from __future__ import annotations

# Keys go out as two arrays; what comes back names them by their place, so that no key is made anew.
FINGERPRINTS = """
    SELECT k.n, i.fingerprint, q.fingerprint
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(collection, id, n)
        LEFT JOIN lake.item i ON (i.collection, i.id) = (k.collection, k.id)
        LEFT JOIN lake.quarantine q ON (q.collection, q.id) = (k.collection, k.id)
    WHERE i.id IS NOT NULL OR q.id IS NOT NULL
"""
FOUND_ITEMS = """
    SELECT k.n, i.source, i.fingerprint, i.scope, i.name, i.metadata_keys
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(collection, id, n)
        JOIN lake.item i ON (i.collection, i.id) = (k.collection, k.id)
"""
FOUND_FILES = """
    SELECT k.n, f.asset, f.scope, f.name, f.bytes, f.adler32, f.md5, ARRAY(
        SELECT r.pfn FROM lake.replica r WHERE (r.scope, r.name) = (f.scope, f.name) ORDER BY r.rse)
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(collection, id, n)
        JOIN lake.file f ON (f.collection, f.id) = (k.collection, k.id)
    ORDER BY k.n, f.asset
"""
FOUND_QUARANTINED = """
    SELECT k.n, q.fingerprint
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k(collection, id, n)
        JOIN lake.quarantine q ON (q.collection, q.id) = (k.collection, k.id)
    WHERE q.fingerprint IS NOT NULL
"""
BEGIN = "UPDATE lake.source SET cursor = %s WHERE name = %s"
END = """
    UPDATE lake.source SET cursor = coalesce(%s, cursor), last_ended = clock_timestamp(),
        last_complete = CASE WHEN %s THEN clock_timestamp() ELSE last_complete END
    WHERE name = %s
"""
# The run's start as the database saw it: its clock also stamped the entries.
RELEASE_UNMET = """
    DELETE FROM lake.quarantine q USING lake.source s
    WHERE s.name = %s AND q.source = s.name AND q.last_seen < coalesce(s.last_started, %s)
"""
TRIGGER_THERE = "SELECT true FROM pg_trigger WHERE tgname = 'obscore_updated' LIMIT 1"
SET_ASIDE_BY_TRIGGER = """
    SELECT position, reason FROM lake.quarantine
    WHERE source = 'rucio:metadata' AND position = ANY (%s::text[]) AND id IS NULL
"""

WITHOUT_DISTANCES = """
    SELECT k.rse FROM unnest(%s::text[]) AS k(rse)
    WHERE NOT EXISTS (SELECT FROM lake.rse_distance d WHERE d.source = k.rse)
"""
