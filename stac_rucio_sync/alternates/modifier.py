"""The modifier for pystac-client: replicas as alternate assets in whatever a search gives."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from types import TracebackType
from typing import Any, Literal, Self, get_args

from stac_rucio_sync.alternates.choice import AVAILABLE, Choice
from stac_rucio_sync.alternates.lookups import Lookup
from stac_rucio_sync.alternates.seen import SeenItem, items_in
from stac_rucio_sync.alternates.writing import write_alternates
from stac_rucio_sync.errors import FatalError, SyncError, TransientError, UsageError
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model import Topology

OnError = Literal["raise", "warn"]


class ReplicaAlternates:
    """Writes the replicas of items into their assets, nearest first; for ``Client.open(url, modifier=...)``.

    It takes what pystac-client hands to modifiers (`pystac.Item`, `pystac.ItemCollection`, `pystac.Collection`, and
    the dicts that look like them), changes it in place and returns None. Items that the lake does not hold, and
    collections, stay as they are. What was annotated before is annotated anew. May be shared between threads.

    Parameters
    ----------
    lookup
        Where replicas are looked up: `FromMirror` or `FromRucio`.
    site, rse, latitude, longitude, address
        Where the reader is: a site, an RSE, coordinates (degrees north and east) or an IP address.
    prefer
        ``"nearest"``: the asset's ``href`` becomes that of the nearest replica that can be read now, and the former
        one stays among the alternates.
    states
        States of replicas that are shown; None: every state.
    rses, schemes
        Show only replicas at these RSEs, and with addresses of these schemes; None: all.
    on_error
        ``"raise"``: a look-up that fails raises. ``"warn"``: it warns, and the page stays as it is.

    Raises
    ------
    UsageError
        An option is none.
    """

    def __init__(  # noqa: PLR0913 - all but the first are keywords, and a notebook needs two of them
        self,
        lookup: Lookup,
        *,
        site: str | None = None,
        rse: str | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
        address: str | None = None,
        prefer: Literal["nearest"] | None = None,
        states: Collection[str] | None = AVAILABLE,
        rses: Collection[str] | None = None,
        schemes: Collection[str] | None = None,
        on_error: OnError = "raise",
    ) -> None:
        if on_error not in get_args(OnError):
            raise UsageError(f"on_error is {on_error!r}: it can be 'raise' or 'warn'")
        self._lookup = lookup
        self._where: dict[str, Any] = {
            "site": site,
            "rse": rse,
            "latitude": latitude,
            "longitude": longitude,
            "address": address,
        }
        self._choice = Choice(prefer, states, rses, schemes)
        self._on_error = on_error
        self._made: tuple[Topology, Locality] | None = None

    def __call__(self, found: object) -> None:
        """Annotate what pystac-client found.

        Raises
        ------
        TransientError
            The look-up failed, and another try may help.
        FatalError
            The look-up cannot work: wrong credentials, no database; a site or RSE that is unknown.
        TypeError
            It is neither a dict nor an object of pystac.
        """
        self.annotate(found)

    def annotate(self, found: object, *, address: str | None = None) -> int:
        """Annotate, for a reader at an address of its own where one is given.

        Parameters
        ----------
        found
            As for the call.
        address
            IP address that stands for the place that the modifier was made with.

        Returns
        -------
        int
            How many items got alternates.

        Raises
        ------
        TransientError, FatalError, TypeError
            As for the call.
        """
        items = [item for item in items_in(found, self._lookup.settings) if item.assets]
        if not items:
            return 0
        where = self._where if address is None else {"address": address}
        try:
            return self._write(items, where)
        except UsageError:
            raise
        except SyncError as error:
            sentence = f"the replicas of {len(items)} items could not be looked up, so none is annotated: {error}"
            if self._on_error == "warn":
                warnings.warn(sentence, stacklevel=3)
                return 0
            kind = TransientError if isinstance(error, TransientError) else FatalError
            raise kind(sentence) from error

    def _write(self, items: list[SeenItem], where: dict[str, Any]) -> int:
        settings = self._lookup.settings
        held = self._lookup.held(items)
        locality = self._locality(self._lookup.topology())
        view = locality.seen_from(locality.place(**where))
        # All that may fail comes before the first item is changed: distances may still be asked for here.
        order = {file.did: view.ranked(file.replicas) for one in held.values() for file in one.files}
        return sum(
            write_alternates(item, held[item.key], order, self._choice, settings) for item in items if item.key in held
        )

    def _locality(self, topology: Topology) -> Locality:
        made = self._made
        if made is None or made[0] is not topology:
            made = self._made = topology, Locality(self._lookup.settings.locality, topology)
        return made[1]

    def close(self) -> None:
        """Close the connections of the look-up."""
        self._lookup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
