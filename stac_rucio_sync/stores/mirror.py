"""The mirror as the services read it: what is held of items and files, in one statement for any number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stac_rucio_sync.model import Did, HeldItem, ItemKey, MirrorState, Topology


class Mirror:
    """The read side of the mirror, shared by the threads of a process.

    Parameters
    ----------
    url
        libpq URL of the role that the services read as (``database.reader_url``).
    connections
        Connections that are kept.
    """

    def __init__(self, url: str, *, connections: int = 16) -> None:
        self._url = url
        self._connections = connections

    @classmethod
    def open(cls, url: str, *, connections: int = 16) -> Mirror:
        """Open a mirror; no connection is made before the first question."""
        return cls(url, connections=connections)

    def close(self) -> None:
        """Close all idle connections."""

    def held(self, dids: Sequence[Did]) -> Mapping[Did, HeldItem]:
        """Return what is held of datasets and files, by the DID that was asked for; one that is unknown is left out.

        Of a file its item is given with this file only, and the links of its asset and of the file itself.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        raise NotImplementedError

    def held_items(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, HeldItem]:
        """Return what is held of items; one that is unknown is left out.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        raise NotImplementedError

    def topology(self) -> Topology:
        """Return the RSEs and their declared distances, as they were at most some seconds ago.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        raise NotImplementedError

    def freshness(self) -> MirrorState:
        """Return how far the mirror follows Rucio.

        Raises
        ------
        TransientError
            The database does not answer.
        """
        raise NotImplementedError
