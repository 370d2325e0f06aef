"""VOSI availability that is proved each time it is asked for: every published table answers with all of its columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from obscore_tap.database import Database
from obscore_tap.query import Asked, Queries
from obscore_tap.refusals import Refusal, Unavailable
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.stores.tables.schema import checksums

OTHER_VERSION = "the tables are of another version than this service, which may answer wrongly or not at all"
_SECONDS = 5.0
_APPLIED = "SELECT file, checksum FROM lake.schema_version"


@cache
def our_checksums() -> dict[str, str]:
    """Return what the tables of this version were made by; read once."""
    return checksums()


def query_faults(queries: Queries, database: Database) -> tuple[list[str], list[str]]:
    """Ask for nothing of every table that is published, on the road of all queries.

    Returns
    -------
    tuple of list of str
        Why queries cannot be answered (none: they are), and what else there is to say.
    """
    faults: list[str] = []
    for table in queries.published:
        try:
            answer = queries.answer(f"SELECT * FROM {table.full_name}", Asked(max_rows=0, timeout=_SECONDS))  # noqa: S608 - a name of ours
            for _ in answer.chunks:
                pass
        except Unavailable as error:
            return [str(error)], []
        except (Refusal, SyncError):
            faults.append(f"the table {table.full_name} cannot be read: it is missing, or of another version")
    try:
        rows = [row for batch in database.query(_APPLIED, _SECONDS) for row in batch]
        applied = {bytes(name).decode(): bytes(checksum).decode() for name, checksum in rows}
    except Unavailable as error:
        return [str(error)], []
    except Refusal:
        applied = {}
    return faults, [] if applied == our_checksums() else [OTHER_VERSION]


def note_of(check: Callable[[], None], what: str) -> list[str]:
    """Return a note that something cannot be had, where a check of it fails."""
    try:
        check()
    except (Refusal, SyncError) as error:
        return [f"{what} cannot be had: {error}"]
    return []
