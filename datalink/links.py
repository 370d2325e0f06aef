"""From IDs to links: one question to the mirror for a thousand of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from datalink.rows import Offer, Row, RowMaker, Wishes, fault
from stac_rucio_sync.errors import FatalError, ItemError, UsageError
from stac_rucio_sync.locality import Locality, View
from stac_rucio_sync.locality.links import Links
from stac_rucio_sync.mapping.identifiers import did_of_publisher_did
from stac_rucio_sync.model import Did, Extent, Place, Topology
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.mirror import Mirror

BATCH_IDS: Final = 1000
_VIEWS: Final = 256
"""Places that are remembered until the topology changes."""


class Batch(NamedTuple):
    """Rows of some of the IDs."""

    rows: list[Row]
    cut: bool = False
    """There are more rows than were asked for: it is the last batch."""
    offers: Sequence[Offer] = ()
    """Files of these rows that can be cut."""


def did_of(asked: str) -> Did | Row:
    """Return the DID that an ID stands for, or the row that says why it stands for none."""
    try:
        return did_of_publisher_did(asked)
    except ItemError as error:
        return fault(asked, "UsageFault", str(error))


@dataclass(slots=True)
class _Near:
    """The policy of nearness over one topology, and the views from the places that asked."""

    topology: Topology
    locality: Locality
    views: dict[Place, View] = field(default_factory=dict)


def open_mirror(settings: Settings) -> Mirror:
    """Open what the links come from; no connection is made yet.

    Raises
    ------
    UsageError
        No database is set for it.
    """
    url = settings.database.reader_url
    if url is None:
        raise UsageError(
            "no database for DataLink: start the embedded lake (stac-rucio-sync lake up), or set [database] reader_url "
            "to the URL of an account with the role lake_reader"
        )
    return Mirror.open(url.get_secret_value(), connections=settings.services.threads)


class LinkFinder:
    """Finds the links of IDs.

    Parameters
    ----------
    settings
        Of the services.
    mirror
        What is held where.
    """

    def __init__(self, settings: Settings, mirror: Mirror) -> None:
        self._settings = settings
        self._mirror = mirror
        self._links = Links(settings.locality)
        self._near: _Near | None = None

    def locality(self) -> Locality:
        """Return the policy of nearness over the RSEs as they are now.

        Raises
        ------
        TransientError
            The mirror does not answer.
        FatalError
            The settings, such as the MaxMind file, are not what they were.
        """
        return self._now().locality

    def topology(self) -> Topology:
        """Return the RSEs as they are now.

        Raises
        ------
        TransientError
            The mirror does not answer.
        """
        return self._mirror.topology()

    def view(self, place: Place) -> View:
        """Return the lake as it is seen from a place."""
        near = self._now()
        view = near.views.get(place)
        if view is None:
            if len(near.views) >= _VIEWS:
                near.views.clear()
            view = near.views[place] = near.locality.seen_from(place)
        return view

    def _now(self) -> _Near:
        topology, near = self._mirror.topology(), self._near
        if near is None or near.topology is not topology:
            try:
                near = self._near = _Near(topology, Locality(self._settings.locality, topology))
            except UsageError as error:  # the settings were right when the service started: not the client's fault
                raise FatalError(str(error)) from error
        return near

    def find(self, ids: Sequence[str], view: View, wishes: Wishes, max_rows: int | None) -> Iterator[Batch]:
        """Yield the rows of IDs, each one's in succession; what is held of a thousand IDs is asked for at once.

        Parameters
        ----------
        ids
            As they came.
        view
            The lake as the client sees it.
        wishes
            How the copies are wanted.
        max_rows
            The most rows; an ID whose rows do not all fit ends the answer.

        Raises
        ------
        TransientError
            The mirror does not answer.
        """
        maker = RowMaker(self._settings, self._links, view, wishes)
        left = max_rows
        for start in range(0, len(ids), BATCH_IDS):
            rows: list[Row] = []
            described = offers = len(maker.offers)
            for found in self._found(ids[start : start + BATCH_IDS], maker):
                if left is not None and len(found) > left:
                    yield Batch(rows, True, maker.offers[described:offers])
                    return
                rows += found
                offers = len(maker.offers)
                left = None if left is None else left - len(found)
            yield Batch(rows, False, maker.offers[described:])

    def extents(self, publisher_dids: Sequence[str]) -> Mapping[str, Extent]:
        """Return what data products cover, by their ``obs_publisher_did``.

        Raises
        ------
        TransientError
            The mirror does not answer.
        """
        return self._mirror.extents(publisher_dids)

    def _found(self, ids: Sequence[str], maker: RowMaker) -> Iterator[list[Row]]:
        """Yield the rows of each ID."""
        named = [(asked, did_of(asked)) for asked in ids]
        dids = list(dict.fromkeys(did for _, did in named if isinstance(did, Did)))
        held = self._mirror.held(dids) if dids else {}
        for asked, did in named:
            if not isinstance(did, Did):
                yield [did]
            elif did in held:
                yield maker.rows(asked, did, held[did])
            else:
                yield [fault(asked, "NotFoundFault", f"the archive holds no {did}")]
