"""Wanted items with the RSEs of their replicas: what of them Rucio can hold, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stac_rucio_sync.addresses import without_default_port
from stac_rucio_sync.model import Did, File, Found, Held, Link, Replica, Wanted, WantedReplica
from stac_rucio_sync.stores.rucio.answers import held_in, readable_first
from stac_rucio_sync.stores.rucio.origins import OriginRses


@dataclass(frozen=True, slots=True)
class Placed:
    """A wanted item whose replicas have their RSEs."""

    wanted: Wanted
    found: Found | None
    files: Mapping[Did, tuple[File, Mapping[str, WantedReplica]]]
    """By DID: the file, and its replicas by RSE."""
    links: tuple[Link, ...]
    """Files without any RSE, and single places of files that have no RSE of their own."""

    def replicas(self) -> Iterator[tuple[Did, str, WantedReplica]]:
        """Yield each wanted replica with its file and RSE."""
        for did, (_, at) in self.files.items():
            for rse, replica in at.items():
                yield did, rse, replica

    def former_pfns(self, did: Did) -> frozenset[str]:
        """Return the PFNs that the last run recorded for a file."""
        recorded = self.found.files if self.found is not None else ()
        return frozenset(without_default_port(pfn) for file in recorded if file.did == did for pfn in file.pfns)


def place(wanted: Wanted, found: Found | None, origins: OriginRses) -> Placed:
    """Find the RSEs of an item's replicas; a place that Rucio cannot hold becomes a link with its reason."""
    files: dict[Did, tuple[File, dict[str, WantedReplica]]] = {}
    links: list[Link] = []
    for file in wanted.files:
        at: dict[str, WantedReplica] = {}
        left: list[tuple[WantedReplica, str]] = []
        for replica in file.replicas:
            rse = origins.rse(replica.origin)
            if rse is None:
                left.append((replica, origins.why_none(replica.origin)))
            elif at.setdefault(rse, replica) is not replica:
                left.append((replica, f"{rse} holds another replica of the file, and an RSE holds one"))
        if at or file.in_lake is not None:
            files.setdefault(file.did, (file, at))
            links.extend(_link(file, f"{file.asset}#{left_.alternate or 'href'}", left_, why) for left_, why in left)
        else:
            links.append(_link(file, file.asset, *left[0]))
    return Placed(wanted, found, files, tuple(links))


def _link(file: File, name: str, replica: WantedReplica, reason: str) -> Link:
    return Link(name, replica.pfn, None, file.media_type, file.roles, file.title, reason)


def replicas_of(placed: Placed, held: Mapping[Did, Held]) -> tuple[Replica, ...]:
    """Return an item's replicas as Rucio tells them: one a file and RSE, the wanted ones and all others."""
    replicas = []
    for did, (_, at) in placed.files.items():
        file = held_in(held, did)
        for rse, state in file.states.items():
            pfns = file.pfns.get(rse, ())
            if rse in at:
                replicas.append(Replica(did, rse, without_default_port(at[rse].pfn), state, at[rse].needs_login))
            elif pfns:
                replicas.append(Replica(did, rse, min(pfns, key=readable_first), state))
    return tuple(replicas)
