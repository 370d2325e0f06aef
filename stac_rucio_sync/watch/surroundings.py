"""RSEs and their distances: by an export of everything where the account may have it, else by portions in turn."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from stac_rucio_sync.model import Rse
from stac_rucio_sync.stores.rucio.topology import Exported, Way, ways
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites

T = TypeVar("T")

RSES_A_LOOK = 10
"""RSEs whose attributes one look asks for (a call each); availability comes with the list of all, at every look."""
WAYS_A_LOOK = 50
"""Distances that one look asks for at most (a call each), in each of the two turns: as many as there are places."""
FEWEST_WAYS_A_LOOK = 10
"""In each turn, also where there are few places."""
EXPORT_SECONDS = 60.0
"""Pause between two tries to have everything exported."""


class Surroundings:
    """Keeps what the tables say of RSEs and distances as Rucio says it.

    Parameters
    ----------
    rucio, mirror
        What is compared.
    write
        False: look only.
    """

    def __init__(self, rucio: RucioWatch, mirror: MirrorWrites, *, write: bool = True) -> None:
        self._topology = rucio.topology
        self._mirror = mirror
        self._write = write
        self._rses_turn: list[str] = []
        # Origins have one of their own: there are many of them, and what is declared of them hardly ever changes.
        self._places_turn: list[Way] = []
        self._origins_turn: list[Way] = []
        self._exports = False
        self._export_at = 0.0

    def look(self) -> int:
        """Ask for the list of RSEs and for a portion of the rest; return how many RSEs and distances have changed.

        Without an export, a change of an RSE shows after at most as many looks as there are RSEs, however many
        distances that makes; with more than `WAYS_A_LOOK` places, so many times later as there are more.

        Raises
        ------
        TransientError, FatalError
            Rucio or the database does not answer.
        """
        known, listed = self._mirror.rses(), self._topology.listed()
        if (exported := self._exported()) is not None:
            return self._take(known, exported)
        rses = _with_availability(known, listed)
        if self._exports:  # the rest comes with the next export
            return self._record(known, rses, {})
        self._describe(rses, listed, _portion(self._rses_turn, sorted(listed), RSES_A_LOOK))
        return self._record(known, rses, self._topology.distances(self._next_ways(rses)))

    def all(self) -> int:
        """Ask for everything, which may be a call for every pair of RSEs; return and raise as `look` does."""
        known, listed = self._mirror.rses(), self._topology.listed()
        self._export_at = 0.0
        if (exported := self._exported()) is not None:
            return self._take(known, exported)
        rses = _with_availability(known, listed)
        self._describe(rses, listed, sorted(listed))
        return self._record(known, rses, self._topology.distances(ways(rses, rses)))

    def _exported(self) -> Exported | None:
        """Ask for an export; None where it is not due, not permitted, or more than Rucio can bring in time."""
        if time.monotonic() < self._export_at:
            return None
        exported = self._topology.exported()
        self._exports = exported is not None
        self._export_at = time.monotonic() + EXPORT_SECONDS
        return exported

    def _describe(self, rses: dict[str, Rse], listed: Mapping[str, Mapping[str, Any]], named: Sequence[str]) -> None:
        """Bring the attributes of RSEs, and of those that are new."""
        asked = {name for name in named if name in listed} | (listed.keys() - rses.keys())
        rses |= self._topology.described(listed[name] for name in sorted(asked))

    def _next_ways(self, rses: Mapping[str, Rse]) -> list[Way]:
        """Take the next of both turns of distances."""
        places = {name for name, rse in rses.items() if rse.origin is None}
        most = min(WAYS_A_LOOK, max(FEWEST_WAYS_A_LOOK, len(places)))
        taken: list[Way] = []
        for turn, sources in ((self._places_turn, places), (self._origins_turn, rses.keys() - places)):
            taken += _portion(turn, [] if turn else ways(sources, rses), most)
        return [way for way in taken if rses.keys() >= set(way)]

    def _take(self, known: Mapping[str, Rse], exported: Exported) -> int:
        none: dict[Way, int | None] = dict.fromkeys(self._mirror.distances())
        return self._record(known, exported.rses, {**none, **exported.distances})

    def _record(self, known: Mapping[str, Rse], rses: Mapping[str, Rse], distances: Mapping[Way, int | None]) -> int:
        """Write what differs from what the tables say."""
        others = [rse for name, rse in rses.items() if known.get(name) != rse]
        gone = known.keys() - rses.keys()
        there = self._mirror.distances({source for source, _ in distances})
        moved = {way: distance for way, distance in distances.items() if there.get(way) != distance}
        if self._write and (others or gone):
            self._mirror.write_rses(others, rses.keys())
        if self._write and moved:
            self._mirror.write_distances(moved)
        return len(others) + len(gone) + len(moved)


def _with_availability(known: Mapping[str, Rse], listed: Mapping[str, Mapping[str, Any]]) -> dict[str, Rse]:
    """Return the RSEs that are still listed, with what the list says of them."""
    return {
        name: replace(known[name], available_read=row["availability_read"])
        for name, row in listed.items()
        if name in known
    }


def _portion(turn: list[T], everything: Sequence[T], most: int) -> list[T]:
    """Take the next entries of a turn; one that has come to its end begins anew.

    In an order by chance, so that watchers that look once and leave come to every entry, too.
    """
    if not turn:
        turn.extend(random.sample(everything, len(everything)))
    taken = turn[:most]
    del turn[:most]
    return taken
