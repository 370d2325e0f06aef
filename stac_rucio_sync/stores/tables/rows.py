"""From what is wanted and registered to the rows of the tables: pure functions, one for each table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Table

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.model import Did, EpnRow, File, ItemKey, Link, ObsCoreRow, Replica, Rse, Settled
from stac_rucio_sync.stores.tables.definitions import EPN, FILE, ITEM, LINK, OBSCORE, REPLICA, RSE

Row = tuple[Any, ...]
"""Values in the order of `loaded_columns`; arrays are written out as PostgreSQL's array literals."""
Rows = Mapping[Table, Sequence[Row]]
T = TypeVar("T")


def rows_of(source: str, settled: Sequence[Settled]) -> Rows:
    """Return the rows of a batch, in the order in which they are written.

    Parameters
    ----------
    source
        Name of the source that the items come from.
    settled
        The batch. Of two entries with one key the later wins. A file that was refused a place in Rucio (a link in
        ``registered.links``) is a link.

    Returns
    -------
    mapping of Table to rows
        Sorted by key, so that two batches that touch the same rows wait for each other and do not deadlock.
    """
    batch = [one for _, one in sorted({one.wanted.key: one for one in settled}.items())]
    files = [(one.wanted.key, file) for one in batch for file in _files(one)]
    links = [(one.wanted.key, link) for one in batch for link in _links(one)]
    replicas = {(r.did, r.rse): r for one in batch for r in one.registered.replicas}
    return {
        ITEM: [_item(source, one) for one in batch],
        FILE: [_file(key, file) for key, file in files],
        LINK: [_link(key, link) for key, link in links],
        OBSCORE: [_with_arrays(one.wanted.obscore, _OBSCORE_ARRAYS) for one in batch],
        EPN: [_with_arrays(one.wanted.epn, _EPN_ARRAYS) for one in batch if one.wanted.epn is not None],
        REPLICA: [_replica(did, replica) for (did, _), replica in sorted(replicas.items(), key=lambda pair: pair[0])],
    }


def rse_rows(rses: Iterable[Rse]) -> Rows:
    """Return the rows of RSEs."""
    rows = [
        (r.rse, r.deterministic, r.rse_type, r.available_read, r.site, r.latitude, r.longitude, r.origin)
        for r in sorted(rses, key=lambda r: r.rse)
    ]
    return {RSE: rows}


def plain_keys(keys: Sequence[ItemKey]) -> tuple[list[str], list[str]]:
    """Return keys as two columns of text that PostgreSQL can hold."""
    return _plain([key.collection for key in keys]), _plain([key.id for key in keys])


def _plain(texts: list[str]) -> list[str]:
    joined = "".join(texts)
    if "\x00" not in joined and _is_unicode(joined):
        return texts
    return [plain_text(text) for text in texts]


def plain_rows(rows: Rows) -> Rows:
    """Return rows without what PostgreSQL's text cannot hold."""
    return {
        table: [tuple(plain_text(value) if isinstance(value, str) else value for value in row) for row in these]
        for table, these in rows.items()
    }


def plain_if_refused(work: Callable[[Rows], T], rows: Rows) -> T:
    """Do something with rows; where their text holds what PostgreSQL's cannot, leave that out and do it again."""
    try:
        return work(rows)
    except RefusedError:
        plain = plain_rows(rows)
        if plain == rows:
            raise
    return work(plain)


def plain_text(text: str) -> str:
    """Remove NULs, and put U+FFFD for half a surrogate pair."""
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files(one: Settled) -> Iterator[File]:
    refused = {link.name for link in one.registered.links}
    return (file for file in one.wanted.files if file.asset not in refused)


def _links(one: Settled) -> Iterable[Link]:
    return {link.name: link for link in chain(one.wanted.links, one.registered.links)}.values()


def _item(source: str, one: Settled) -> Row:
    wanted = one.wanted
    return (
        *wanted.key,
        source,
        wanted.fingerprint,
        *wanted.did,
        wanted.obscore.obs_publisher_did,
        text_array(tuple(sorted(wanted.metadata))),
        next(_files(one), None) is None,
    )


def _file(key: ItemKey, file: File) -> Row:
    return (
        *key,
        file.asset,
        *file.did,
        file.bytes,
        file.adler32,
        file.md5,
        file.unverified_checksum,
        file.media_type,
        text_array(file.roles),
        file.title,
        file.science,
    )


def _link(key: ItemKey, link: Link) -> Row:
    return (
        *key,
        link.name,
        link.href,
        link.rel,
        link.media_type,
        text_array(link.roles),
        link.title,
        link.reason,
    )


def _replica(did: Did, replica: Replica) -> Row:
    return (*did, replica.rse, replica.pfn, replica.state, replica.needs_login)


_OBSCORE_ARRAYS = tuple(ObsCoreRow._fields.index(name) for name in ("s_polygon", "s_bound"))
_EPN_ARRAYS = tuple(EpnRow._fields.index(name) for name in ("s_polygon", "s_bound"))


def _with_arrays(row: Row, places: tuple[int, ...]) -> Row:
    values = list(row)
    for place in places:
        if values[place] is not None:
            values[place] = "{" + ",".join([repr(float(value)) for value in values[place]]) + "}"
    return tuple(values)


@lru_cache(maxsize=1024)
def text_array(values: tuple[str, ...]) -> str:
    """Return the array literal of texts (PostgreSQL manual 8.15.2). A batch says the same few over and over."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
