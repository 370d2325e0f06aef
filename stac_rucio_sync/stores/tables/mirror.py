"""The mirror as the services read it: what is held of items and files, in one statement for any number of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from time import monotonic
from typing import Any, Final

import orjson

from stac_rucio_sync.model import (
    Did,
    DidLink,
    Extent,
    HeldFile,
    HeldItem,
    ItemKey,
    Link,
    MirrorState,
    Replica,
    Rse,
    Topology,
)
from stac_rucio_sync.stores.tables.readers import Readers, Row

_TOPOLOGY_SECONDS: Final = 2.0
"""How old what is known of the RSEs may be."""

_FILES, _LINKS, _DID_LINKS, _COVERED = range(1, 5)
"""Kinds of the parts that a row can be."""

_MANY: Final = "unnest($1::text[], $2::text[]) WITH ORDINALITY"
_ONE: Final = "(VALUES ($1::text, $2::text, 1))"
_BY_DID: Final = """
    SELECT n, found.* FROM {asked} AS asked (scope, name, n)
    CROSS JOIN LATERAL (
        SELECT i.collection, i.id, i.scope, i.name, i.obs_publisher_did, asked.scope, asked.name, NULL::text
        FROM lake.item i WHERE i.scope = asked.scope AND i.name = asked.name
        UNION ALL (
            SELECT i.collection, i.id, i.scope, i.name, i.obs_publisher_did, asked.scope, asked.name, f.asset
            FROM lake.file f JOIN lake.item i USING (collection, id)
            WHERE f.scope = asked.scope AND f.name = asked.name
            ORDER BY f.collection = '', f.collection, f.id LIMIT 1
        )
        UNION ALL
        SELECT '', '', d.scope, d.name, '', d.scope, d.name, NULL
        FROM lake.did_link d WHERE d.scope = asked.scope AND d.name = asked.name
        LIMIT 1
    ) AS found"""
_BY_KEY: Final = """
    SELECT n, i.collection, i.id, i.scope, i.name, i.obs_publisher_did, i.scope, i.name, NULL::text
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (collection, id, n)
    JOIN lake.item i USING (collection, id)"""
_HELD: Final = """
    WITH found (n, collection, id, scope, name, obs_publisher_did, asked_scope, asked_name, asset) AS ({found})
    SELECT n, found.collection, found.id, found.scope, found.name, found.obs_publisher_did, o.dataproduct_type, part.*
    FROM found LEFT JOIN lake.obscore o USING (obs_publisher_did)
    LEFT JOIN LATERAL (
        SELECT 1 AS kind, f.asset, f.scope, f.name, f.content_type, f.title, f.roles, f.bytes, f.adler32, f.md5,
            f.science, r.rse, r.pfn, r.state, r.needs_login
        FROM lake.file f LEFT JOIN lake.replica r USING (scope, name)
        WHERE f.collection = found.collection AND f.id = found.id AND f.asset = coalesce(found.asset, f.asset)
        UNION ALL
        SELECT 2, l.name, l.rel, l.href, l.content_type, l.title, l.roles, NULL, NULL, NULL, NULL, NULL, NULL, l.reason,
            NULL
        FROM lake.link l
        WHERE l.collection = found.collection AND l.id = found.id
            AND (found.asset IS NULL OR l.name = found.asset OR starts_with(l.name, found.asset || '#'))
        UNION ALL
        SELECT 3, NULL, d.semantics, d.access_url, d.content_type, d.description, NULL, d.number, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL
        FROM lake.did_link d WHERE d.scope = found.asked_scope AND d.name = found.asked_name{extent}
    ) AS part ON true"""
_EXTENT: Final = """json_build_array(
        o.obs_publisher_did IS NOT NULL AND (o.s_ra IS NOT NULL OR e.obs_publisher_did IS NULL),
        coalesce(o.s_polygon, e.s_polygon), coalesce(o.s_bound, e.s_bound), ARRAY[e.c1min, e.c2min, e.c1max, e.c2max],
        ARRAY[o.em_min, o.em_max], o.em_xel, ARRAY[o.t_min, o.t_max], o.t_xel, o.pol_states)::text"""
_EXTENTS: Final = f"""
    SELECT asked.did, {_EXTENT}
    FROM unnest($1::text[]) AS asked (did)
    LEFT JOIN lake.obscore o ON o.obs_publisher_did = asked.did
    LEFT JOIN lake.epn e ON e.obs_publisher_did = asked.did
    WHERE o.obs_publisher_did IS NOT NULL OR e.obs_publisher_did IS NOT NULL""".encode()  # noqa: S608 - a constant
_AND_EXTENT: Final = f"""
        UNION ALL
        SELECT 4, NULL, NULL, {_EXTENT}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM (VALUES (found.obs_publisher_did)) AS of_item (did)
        LEFT JOIN lake.epn e ON e.obs_publisher_did = of_item.did
        WHERE o.obs_publisher_did IS NOT NULL OR e.obs_publisher_did IS NOT NULL"""  # noqa: S608 - a constant
_HELD_BY_DID: Final = _HELD.format(found=_BY_DID.format(asked=_MANY), extent="").encode()
_HELD_BY_ONE_DID: Final = _HELD.format(found=_BY_DID.format(asked=_ONE), extent=_AND_EXTENT).encode()
"""Most requests ask for one: this has less to plan, to pass and to run."""
_HELD_BY_KEY: Final = _HELD.format(found=_BY_KEY, extent="").encode()
_RSES: Final = (
    b"SELECT rse, deterministic, rse_type, available_read, site, latitude, longitude, origin FROM lake.rse ORDER BY rse"
)
_DISTANCES: Final = b"SELECT source, destination, distance FROM lake.rse_distance"
_APPLIED: Final = b"SELECT file, checksum FROM lake.schema_version"
_RUNS: Final = b"SELECT name, last_outcome, last_ended FROM lake.source ORDER BY name"
_FRESHNESS: Final = b"SELECT last_poll, last_full, rucio_ok, rucio_said, since, polled_to FROM lake.mirror"


class Mirror:
    """The read side of the mirror, shared by the threads of a process.

    Parameters
    ----------
    url
        libpq URL of the role that the services read as (``database.reader_url``); with several hosts, a standby is
        preferred.
    connections
        Connections that are kept. There are as many as threads ask at a time.
    """

    def __init__(self, url: str, *, connections: int = 16) -> None:
        self._readers = Readers(url, connections, "stac-rucio-sync mirror")
        self._refreshing = threading.Lock()
        self._topology: tuple[float, Topology | None] = (0.0, None)

    @classmethod
    def open(cls, url: str, *, connections: int = 16) -> Mirror:
        """Open a mirror; no connection is made before the first question."""
        return cls(url, connections=connections)

    def close(self) -> None:
        """Close all idle connections."""
        self._readers.close()

    def held(self, dids: Sequence[Did]) -> Mapping[Did, HeldItem]:
        """Return what is held of datasets and files, by the DID that was asked for; one that is unknown is left out.

        Of a file its item is given with this file only, and the links of its asset and of the file itself. A DID that
        a user of Rucio described is an item of no collection. Of a DID that is none of ours, but whose metadata name
        links, these alone are given; the item has no key then. What the item covers is told where one DID was asked
        for; see `extents`.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        if len(dids) == 1:
            rows = self._readers.ask(_HELD_BY_ONE_DID, dids[0])
        else:
            rows = self._readers.ask(_HELD_BY_DID, ([did.scope for did in dids], [did.name for did in dids]))
        return {dids[n - 1]: item for n, item in _items(rows)}

    def held_items(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, HeldItem]:
        """Return what is held of items; one that is unknown is left out.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        parameters = ([key.collection for key in keys], [key.id for key in keys])
        return {keys[n - 1]: item for n, item in _items(self._readers.ask(_HELD_BY_KEY, parameters))}

    def extents(self, publisher_dids: Sequence[str]) -> Mapping[str, Extent]:
        """Return what data products cover, by their ``obs_publisher_did``; those without a row are left out.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        return {did: _extent(told) for did, told in self._readers.ask(_EXTENTS, (list(publisher_dids),))}

    def topology(self) -> Topology:
        """Return the RSEs and their declared distances, as they were at most some seconds ago.

        The same object is returned until it was read again and is another.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        read, known = self._topology
        if known is not None and (monotonic() - read < _TOPOLOGY_SECONDS or self._refreshing.locked()):
            return known
        with self._refreshing:
            read, known = self._topology
            if known is None or monotonic() - read >= _TOPOLOGY_SECONDS:
                fresh = self._read_topology()
                known = known if known == fresh else fresh
                self._topology = (monotonic(), known)
            return known

    def _read_topology(self) -> Topology:
        rses = {row[0]: Rse(*row) for row in self._readers.ask(_RSES)}
        distances = {(source, destination): distance for source, destination, distance in self._readers.ask(_DISTANCES)}
        return Topology(rses, distances)

    def freshness(self) -> MirrorState:
        """Return how far the mirror follows Rucio.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        return next((MirrorState(*row) for row in self._readers.ask(_FRESHNESS)), MirrorState())

    def runs(self) -> Sequence[tuple[str, str, datetime | None]]:
        """Return of each source how its last run ended (``begun``: it has not), and when one last went to the end.

        Raises
        ------
        TransientError
            The database does not answer.
        FatalError
            Its tables are of another version.
        """
        return [(name, outcome, ended) for name, outcome, ended in self._readers.ask(_RUNS)]

    def applied(self) -> Mapping[str, str]:
        """Return what DDL the tables were made by: file name to checksum.

        Raises
        ------
        TransientError
            The database does not answer.
        FatalError
            It has no such tables, or not for this role.
        """
        return dict(self._readers.ask(_APPLIED))


def _items(rows: list[Row]) -> Iterator[tuple[int, HeldItem]]:
    """Yield items with the number, from 1, of what was asked for."""
    rows.sort(key=_order)  # the database would take longer
    for n, of_item in groupby(rows, itemgetter(0)):
        parts = list(of_item)
        _, collection, item_id, scope, name, publisher_did, product_type, *_ = parts[0]
        files: tuple[HeldFile, ...] = ()
        links: tuple[Link, ...] = ()
        did_links: tuple[DidLink, ...] = ()
        extent = None
        for kind, of_kind in groupby(parts, itemgetter(7)):
            if kind == _FILES:
                files = tuple(_files(of_kind))
            elif kind == _LINKS:
                links = tuple(sorted(map(_link, of_kind), key=_place_of_link))
            elif kind == _DID_LINKS:
                did_links = tuple([DidLink(part[10], part[9], part[12], part[11]) for part in of_kind])
            elif kind == _COVERED:
                extent = _extent(next(of_kind)[10])
        key, did = ItemKey(collection, item_id), Did(scope, name)
        yield n, HeldItem(key, did, publisher_did, product_type, files, links, did_links, extent)


def _order(row: Row) -> tuple[Any, ...]:
    return row[0], row[7] or 0, row[8] or "", row[14] or 0


def _files(parts: Iterable[Row]) -> Iterator[HeldFile]:
    for asset, of_file in groupby(parts, itemgetter(8)):
        first, *others = of_file
        _, scope, name, media_type, title, roles, size, adler32, md5, science, rse = first[8:19]
        did = Did(scope, name)
        replicas = [Replica(did, *part[18:22]) for part in (first, *others)] if rse is not None else []
        yield HeldFile(asset, did, size, adler32, md5, media_type, tuple(roles), title, science, tuple(replicas))


def _link(part: Row) -> Link:
    name, rel, href, media_type, title, roles = part[8:14]
    return Link(name, href, rel, media_type, tuple(roles), title, part[20])


def _extent(told: str) -> Extent:
    is_sky, polygon, circle, box, band, channels, time, moments, states = orjson.loads(told)
    return Extent(
        is_sky,
        tuple(polygon) if polygon else None,
        tuple(circle) if circle else None,
        _whole(box),
        _whole(band),
        channels,
        _whole(time),
        moments,
        tuple(state for state in (states or "").split("/") if state),
    )


def _whole(numbers: list[float | None]) -> Any:  # noqa: ANN401 - a tuple of as many numbers
    return None if None in numbers else tuple(numbers)


def _place_of_link(link: Link) -> tuple[bool, int]:
    """Keep assets before the item's own links, and these in their order: ``link:10`` is behind ``link:9``."""
    if link.rel is None:
        return False, 0
    number = link.name.partition(":")[2].partition("#")[0]
    return True, int(number) if number.isdecimal() else 0
