"""Links that the metadata of DIDs name, read in turn where no trigger brings them: Rucio tells of no change of them."""

from __future__ import annotations

from stac_rucio_sync.model import Did
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import DIDS_PER_CALL
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites

DIDS_A_LOOK = 200
"""Metadata cost Rucio more than replicas do, and change less often."""


class DidLinks:
    """A turn of its own through the datasets and files of items.

    Parameters
    ----------
    settings
        With Rucio's external PostgreSQL plugin there is a trigger, and nothing is done here.
    rucio, mirror
        What is compared.
    """

    def __init__(self, settings: Settings, rucio: RucioWatch, mirror: MirrorWrites) -> None:
        self._by_trigger = settings.rucio.metadata == "postgres"
        self._rucio = rucio
        self._mirror = mirror
        self._last: Did | None = None

    def look(self) -> int:
        """Compare the next DIDs of the turn; return of how many the links were others.

        Raises
        ------
        TransientError, FatalError
            Rucio or the database does not answer.
        """
        return 0 if self._by_trigger else self._next(DIDS_A_LOOK)[0]

    def all(self) -> int:
        """Compare all DIDs; return and raise as `look` does."""
        if self._by_trigger:
            return 0
        self._last = None
        changed, goes_on = self._next(DIDS_PER_CALL)
        while goes_on:
            more, goes_on = self._next(DIDS_PER_CALL)
            changed += more
        return changed

    def _next(self, most: int) -> tuple[int, bool]:
        """Compare so many DIDs; return of how many the links were others, and whether the turn goes on."""
        dids = self._mirror.dids_after(self._last, most)
        changed = self._mirror.write_links(dids, self._rucio.metadata.links(dids))
        self._last = dids[-1] if len(dids) == most else None
        return changed, self._last is not None
