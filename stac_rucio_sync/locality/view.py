"""The replicas of a file as they are seen from one place: nearest first, with the reasons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from stac_rucio_sync.locality.distance import great_circle_km, point_of
from stac_rucio_sync.locality.links import Links
from stac_rucio_sync.locality.sites import Sites
from stac_rucio_sync.model.found import Replica, Rse
from stac_rucio_sync.model.held import Place, Topology

_STATES: Final[Mapping[str, str]] = {
    "UNAVAILABLE": "Rucio calls it unavailable",
    "TEMPORARY_UNAVAILABLE": "Rucio calls it unavailable for the time being",
    "COPYING": "it is still being copied there",
    "BEING_DELETED": "it is being deleted",
    "BAD": "Rucio knows it to be damaged or lost",
}


class Ranked(NamedTuple):
    """A replica as a client sees it. A plain tuple: thousands of them are made for one answer."""

    replica: Replica
    rse: Rse | None
    """None: the mirror does not know the RSE (yet)."""
    url: str | None
    """The link that an HTTP client opens; None: there is none."""
    readable: bool
    """It is available, its RSE is open for reading, and there is a link. On tape, too: that is slow, not impossible."""
    why_not: str | None
    """Why it is not readable, to be put behind "cannot be read now: "."""
    site: str | None
    distance_km: float | None
    """On the great circle; None where the client's or the RSE's coordinates are not known."""
    declared: int | None
    """Rucio's distance between the RSE and the client's, in the unit of whoever declared it."""
    same_site: bool


class _Near(NamedTuple):
    """How near an RSE is, once for all its replicas; ``order`` is compared before anything of the replica."""

    rse: Rse | None
    site: str | None
    distance_km: float | None
    declared: int | None
    same_site: bool
    closed: bool
    order: tuple[bool, int, float, float]


class View:
    """The lake as seen from one place; made once for a request, it remembers how near each RSE is.

    Parameters
    ----------
    place
        Where the client is (`Locality.place`).
    topology
        The RSEs and their declared distances.
    sites
        The sites of the RSEs and of the settings.
    links
        Makes links by the settings.
    """

    def __init__(self, place: Place, topology: Topology, sites: Sites, links: Links) -> None:
        self.place = place
        self._topology = topology
        self._sites = sites
        self._links = links
        self._here = point_of(place.latitude, place.longitude)
        self._clients_rses = (place.rse,) if place.rse else sites.rses_at(place.site)
        self._near: dict[str, _Near] = {}

    def ranked(self, replicas: Sequence[Replica]) -> tuple[Ranked, ...]:
        """Return the replicas of a file, nearest first, in an order that does not depend on how they came.

        What can be read goes before what cannot, disk before tape. Then: the client's own RSE, its site, the declared
        distance, the great circle, the preference among schemes, the name of the RSE, the address. What is not known
        of a distance goes behind what is.
        """
        keyed = [self._keyed(replica) for replica in replicas]
        if len(keyed) > 1:
            keyed.sort(key=_first)
        return tuple([ranked for _, ranked in keyed])

    def _keyed(self, replica: Replica) -> tuple[tuple[object, ...], Ranked]:
        name, pfn, state = replica.rse, replica.pfn, replica.state
        near = self._near.get(name)
        if near is None:
            near = self._near[name] = self._nearness(name)
        url = self._links.of(pfn, name)
        readable = state == "AVAILABLE" and not near.closed and url is not None
        ranked = Ranked(
            replica,
            near.rse,
            url,
            readable,
            None if readable else _why_not(replica, url, closed=near.closed),
            near.site,
            near.distance_km,
            near.declared,
            near.same_site,
        )
        scheme = self._links.preference(url) if url is not None else math.inf
        return (not readable, near.order, scheme, name, pfn, state, replica.needs_login), ranked

    def _nearness(self, name: str) -> _Near:
        rse = self._topology.rses.get(name)
        site = rse.site if rse else None
        there = self._sites.point_of_rse(rse) if rse else None
        own = name == self.place.rse
        same_site = own or (site is not None and self._sites.are_one(site, self.place.site))
        declared = self._declared(name)
        distance_km = great_circle_km(self._here, there) if self._here and there else None
        on_tape = rse is not None and rse.rse_type == "TAPE"
        proximity = 0 if own else 1 if same_site else 2
        order = (on_tape, proximity, _or_last(declared), _or_last(distance_km))
        return _Near(rse, site, distance_km, declared, same_site, rse is not None and not rse.available_read, order)

    def _declared(self, name: str) -> int | None:
        """Return the smallest declared distance to the client's RSEs.

        Rucio declares distances for the way that files take: from the RSE to the client's. The other way counts where
        only that is declared.
        """
        distances = self._topology.distances
        found = []
        for client in self._clients_rses:
            if client == name:
                continue
            distance = distances.get((name, client))
            if distance is None:
                distance = distances.get((client, name))
            if distance is not None:
                found.append(distance)
        return min(found, default=None)

    def explain(self, ranked: Iterable[Ranked]) -> list[str]:
        """Say in one sentence for each replica why it is where it is in the order."""
        return [self._sentence(one) for one in ranked]

    def _sentence(self, ranked: Ranked) -> str:
        said = [f"{ranked.replica.rse}: {self._how_near(ranked)}"]
        if ranked.rse is None:
            said.append("the mirror does not know this RSE yet")
        elif ranked.rse.rse_type == "TAPE":
            said.append("on tape, so behind all that are on disk")
        if ranked.why_not is not None:
            said.append(f"cannot be read now: {ranked.why_not}")
        return "; ".join(said)

    def _how_near(self, ranked: Ranked) -> str:
        told = f"(told by {self.place.told_by})"
        if ranked.replica.rse == self.place.rse:
            return f"the client's own RSE {told}"
        if ranked.same_site:
            return f"at the client's site {ranked.site} {told}"
        away = None if ranked.distance_km is None else f"{ranked.distance_km:,.0f} km away"
        if ranked.declared is not None:
            return f"at the declared distance {ranked.declared:,}" + (f", {away}" if away else "")
        if away is not None:
            return away
        if self._here is None:
            return "where the client is, is not known"
        return "its coordinates are not known"


def _first(keyed: tuple[tuple[object, ...], Ranked]) -> tuple[object, ...]:
    return keyed[0]


def _or_last(distance: float | None) -> float:
    return math.inf if distance is None else distance


def _why_not(replica: Replica, url: str | None, *, closed: bool) -> str:
    reasons = []
    if replica.state != "AVAILABLE":
        reasons.append(_STATES.get(replica.state, f"Rucio calls its state {replica.state}"))
    if closed:
        reasons.append(f"{replica.rse} is closed for reading")
    if url is None:
        scheme, mark, _ = replica.pfn.partition("://")
        what = f"{scheme}:// links" if mark else "its address"
        reasons.append(f"HTTP clients cannot open {what}, and no gateway stands for it")
    return ", and ".join(reasons)
