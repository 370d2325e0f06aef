"""What Rucio holds of datasets and files, for those who only look: replicas in bulk, RSEs and distances remembered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from stac_rucio_sync.model import Did, Held, Replica, Topology
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.answers import SCHEMES, held_of, readable_first
from stac_rucio_sync.stores.rucio.audit import RucioAudit
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json, in_calls
from stac_rucio_sync.stores.rucio.topology import RucioTopology, Way

TOPOLOGY_SECONDS: Final = 300.0
"""How long what RSEs say of themselves is believed."""


class RucioHeld:
    """Looks at Rucio with any account that may read; may be used from several threads.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` is used. Nothing is read or sent before the first call.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._calls = RucioCalls(settings.rucio)
        self._asked_topology = RucioTopology(self._calls)
        self._lock = threading.Lock()
        self._topology: Topology | None = None
        self._old_at = 0.0

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, log-in and repetitions included; those for metadata are not."""
        return self._calls.requests

    def close(self) -> None:
        """Close all connections."""
        self._calls.close()

    def files(self, dids: Iterable[Did]) -> dict[Did, Held]:
        """Return the files of datasets, and files themselves, with their replicas in every state.

        One call for 1,000 DIDs; DIDs that Rucio does not know are passed over.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions.
        FatalError
            Wrong credentials or configuration.
        """
        held: dict[Did, Held] = {}

        def take(row: Mapping[str, Any]) -> None:
            held[Did(row["scope"], row["name"])] = held_of(row)

        for call in in_calls(dict.fromkeys(dids)):
            asked = [did_json(did) for did in call]
            self._calls.feed(
                "list_replicas", asked, take=take, schemes=SCHEMES, all_states=True, resolve_archives=False
            )
        return held

    def metadata(self, datasets: Sequence[Did]) -> Mapping[Did, Mapping[str, Any]]:
        """Return the free metadata of those datasets that exist.

        Raises
        ------
        TransientError, FatalError
            As of `files`.
        """
        audit = RucioAudit(self._settings)
        try:
            return audit.metadata(datasets)
        finally:
            audit.close()

    def topology(self) -> Topology:
        """Return the RSEs as they were some minutes ago at most; their distances are asked for one by one when needed.

        Raises
        ------
        TransientError, FatalError
            As of `files`; the look-up of a distance raises them too.
        """
        with self._lock:
            if self._topology is None or time.monotonic() > self._old_at:
                self._topology = self._ask_topology()
                self._old_at = time.monotonic() + TOPOLOGY_SECONDS
            return self._topology

    def _ask_topology(self) -> Topology:
        exported = self._asked_topology.exported()
        if exported is not None:
            return Topology(exported.rses, exported.distances)
        listed = self._asked_topology.listed()
        return Topology(self._asked_topology.described(listed.values()), _Distances(self._asked_topology))


class _Distances(Mapping[Way, int]):
    """Declared distances by (source, destination), each asked for when it is needed, and once."""

    def __init__(self, topology: RucioTopology) -> None:
        self._topology = topology
        self._known: dict[Way, int | None] = {}

    def __getitem__(self, way: Way) -> int:
        if way not in self._known:
            self._known |= self._topology.distances([way])
        distance = self._known[way]
        if distance is None:
            raise KeyError(way)
        return distance

    def __iter__(self) -> Iterator[Way]:
        return (way for way, distance in list(self._known.items()) if distance is not None)

    def __len__(self) -> int:
        return sum(distance is not None for distance in list(self._known.values()))


def replicas_in(did: Did, held: Held) -> tuple[Replica, ...]:
    """Return a file's replicas, one an RSE, by the address that most clients can read."""
    return tuple(
        Replica(did, rse, min(pfns, key=readable_first), state)
        for rse, state in held.states.items()
        if (pfns := held.pfns.get(rse))
    )
