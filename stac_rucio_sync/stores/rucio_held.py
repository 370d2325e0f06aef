"""What Rucio holds of datasets and files, for those who only look: replicas in bulk, RSEs and distances remembered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.model import Did, Replica, Topology
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.origins import OriginRses
from stac_rucio_sync.stores.rucio import RucioStore
from stac_rucio_sync.stores.rucio_audit import RucioAudit
from stac_rucio_sync.stores.rucio_calls import RucioCalls
from stac_rucio_sync.stores.rucio_replicas import Held, RucioReplicas, readable_first

TOPOLOGY_SECONDS: Final = 300.0
"""How long what RSEs say of themselves is believed."""

Way = tuple[str, str]


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
        self._replicas = RucioReplicas(self._calls, OriginRses(settings.origins, self._calls))
        self._lock = threading.Lock()
        self._topology: Topology | None = None
        self._old_at = 0.0

    @property
    def requests(self) -> int:
        """HTTP requests for replicas and distances sent so far, log-in and repetitions included."""
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
        return self._replicas.read_back(dids)

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
                store = RucioStore(self._settings)
                try:
                    rses = {rse.rse: rse for rse in store.rses()}
                finally:
                    store.close()
                self._topology = Topology(rses, _Distances(self._calls))
                self._old_at = time.monotonic() + TOPOLOGY_SECONDS
            return self._topology


class _Distances(Mapping[Way, int]):
    """Declared distances by (source, destination), each asked for once: only administrators may list them all."""

    def __init__(self, calls: RucioCalls) -> None:
        self._calls = calls
        self._known: dict[Way, int | None] = {}

    def __getitem__(self, way: Way) -> int:
        if way not in self._known:
            self._known[way] = self._ask(*way)
        distance = self._known[way]
        if distance is None:
            raise KeyError(way)
        return distance

    def __iter__(self) -> Iterator[Way]:
        return (way for way, distance in list(self._known.items()) if distance is not None)

    def __len__(self) -> int:
        return sum(distance is not None for distance in list(self._known.values()))

    def _ask(self, source: str, destination: str) -> int | None:
        try:
            rows = self._calls.send("get_distance", source, destination)
        except RefusedError:
            return None
        return next((int(row["distance"]) for row in rows if row.get("distance") is not None), None)


def replicas_in(did: Did, held: Held) -> tuple[Replica, ...]:
    """Return a file's replicas, one an RSE, by the address that most clients can read."""
    return tuple(
        Replica(did, rse, min(pfns, key=readable_first), state)
        for rse, state in held.states.items()
        if (pfns := held.pfns.get(rse))
    )
