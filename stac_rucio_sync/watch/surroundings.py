"""RSEs and their distances, asked for in small portions by whoever may not have them all at once."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from stac_rucio_sync.model import Rse
from stac_rucio_sync.stores.mirror_writes import MirroredRses, MirrorWrites
from stac_rucio_sync.stores.rucio_topology import Way, ways
from stac_rucio_sync.stores.rucio_watch import RucioWatch

T = TypeVar("T")

RSES_A_LOOK = 10
"""RSEs whose attributes one look asks for (a call each); availability comes with the list of all, at every look."""
WAYS_A_LOOK = 20
"""Distances that one look asks for (a call each)."""
EXPORT_SECONDS = 60.0
"""Pause between two exports of everything, for accounts that may."""


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
        self._ways_turn: list[Way] = []
        self._export_at = 0.0

    def look(self) -> int:
        """Ask for the list of RSEs and for a portion of the rest; return how many RSEs and distances have changed.

        Raises
        ------
        TransientError, FatalError
            Rucio or the database does not answer.
        """
        return self._look(RSES_A_LOOK, WAYS_A_LOOK)

    def all(self) -> int:
        """Ask for everything, which may be a call for every pair of RSEs; return as `look` does."""
        self._export_at = 0.0
        self._rses_turn, self._ways_turn = [], []
        return self._look(None, None)

    def _look(self, most_rses: int | None, most_ways: int | None) -> int:
        known = self._mirror.rses()
        listed = self._topology.listed()
        exported = self._topology.exported() if time.monotonic() >= self._export_at else None
        if exported is not None:
            self._export_at = time.monotonic() + EXPORT_SECONDS
            none: dict[Way, int | None] = dict.fromkeys(known.distances.keys() - exported.distances.keys())
            return self._record(known, exported.rses, {**none, **exported.distances})
        rses = {
            name: replace(known.rses[name], available_read=row["availability_read"])
            for name, row in listed.items()
            if name in known.rses
        }
        if self._export_at and most_ways is not None:
            return self._record(known, rses, {})  # an account that may export has the rest from the next export
        turn = _portion(self._rses_turn, sorted(listed), most_rses)
        asked = {name for name in turn if name in listed} | (listed.keys() - known.rses.keys())
        rses |= self._topology.described(listed[name] for name in sorted(asked))
        due = _portion(self._ways_turn, ways(rses, rses), most_ways)
        distances = self._topology.distances(way for way in due if rses.keys() >= set(way))
        return self._record(known, rses, distances)

    def _record(self, known: MirroredRses, rses: Mapping[str, Rse], distances: Mapping[Way, int | None]) -> int:
        """Write what differs from what the tables say."""
        others = [rse for name, rse in rses.items() if known.rses.get(name) != rse]
        gone = known.rses.keys() - rses.keys()
        moved = {way: distance for way, distance in distances.items() if known.distances.get(way) != distance}
        if self._write and (others or gone):
            self._mirror.write_rses(others, rses.keys())
        if self._write and moved:
            self._mirror.write_distances(moved)
        return len(others) + len(gone) + len(moved)


def _portion(turn: list[T], everything: Sequence[T], most: int | None) -> list[T]:
    """Take the next entries of a turn; one that has come to its end begins anew.

    In an order by chance, so that watchers that look once and leave come to every entry, too.
    """
    if not turn:
        turn.extend(random.sample(everything, len(everything)))
    taken = turn[:most]
    del turn[:most]
    return taken
