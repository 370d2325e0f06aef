"""What the watcher asks Rucio: what changed since, what is true of files now, and what RSEs say of themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from stac_rucio_sync.addresses import without_default_port
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.model import Did, Held, Replica
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.answers import SCHEMES, held_of, readable_first
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json, in_calls
from stac_rucio_sync.stores.rucio.links import RucioLinks
from stac_rucio_sync.stores.rucio.origins import OriginRses
from stac_rucio_sync.stores.rucio.refusals import DeniedError, MissingError
from stac_rucio_sync.stores.rucio.replicas import RucioReplicas
from stac_rucio_sync.stores.rucio.topology import RucioTopology

Answer = TypeVar("Answer")

LOG = logging.getLogger(__name__)

MOST_FILES = 10_000
"""Files of one DID that somebody described; a DataLink answer with more of them serves nobody."""
ATTEMPTS = 2
"""Tries of a call: a watcher says that Rucio is away and looks again later, and does not insist."""
OVERLAP = timedelta(seconds=60)
"""How long before the last look changes are asked for again: Rucio's transactions become visible when they end, with
the time at which they began."""


class _Complaining(RucioCalls):
    """Remembers why the last call failed, if it did."""

    complaint: str | None = None

    def _repeatedly(self, call: Callable[[], Answer]) -> Answer:
        try:
            answer = super()._repeatedly(call)
        except (DeniedError, MissingError):
            raise  # an answer like another
        except SyncError as error:
            self.complaint = str(error)
            raise
        self.complaint = None
        return answer


class RucioWatch:
    """Looks at Rucio with any account that may read; may be used from several threads.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` is used. Nothing is read or sent before the first call.
    """

    def __init__(self, settings: Settings) -> None:
        patience = min(ATTEMPTS, settings.rucio.attempts)
        self._calls = _Complaining(settings.rucio.model_copy(update={"attempts": patience}))
        self._replicas = RucioReplicas(self._calls, OriginRses(settings.origins, self._calls))
        self.topology = RucioTopology(self._calls)
        self.metadata = RucioLinks(self._calls)

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, log-in and repetitions included."""
        return self._calls.requests

    @property
    def complaint(self) -> str | None:
        """Why the last call failed; None: it did not."""
        return self._calls.complaint

    @property
    def clock(self) -> datetime:
        """Rucio's time when it last answered this thread (UTC)."""
        return self._calls.clock

    def close(self) -> None:
        """Close all connections."""
        self._calls.close()

    def replicas(self, dids: Iterable[Did]) -> dict[Did, Held]:
        """Return what Rucio holds of files, in every state: one call for 1,000. What it does not know is left out.

        Raises
        ------
        TransientError
            Rucio does not answer properly.
        FatalError
            Wrong credentials or configuration.
        """
        return self._replicas.read_back(dids)

    def contents(self, dids: Iterable[Did]) -> dict[Did, dict[Did, Held]]:
        """Return the files below DIDs, with sizes and Adler-32 checksums; a file is its own. One call for 1,000 DIDs.

        Of a DID with more than `MOST_FILES` files the first by scope and name are given. DIDs that Rucio does not know
        are left out, or empty.

        Raises
        ------
        TransientError, FatalError
            As of `replicas`.
        """
        found: dict[Did, dict[Did, Held]] = {}

        def take(row: Mapping[str, Any]) -> None:
            files = found.setdefault(Did(row["parent_scope"], row["parent_name"]), {})
            if row["bytes"] is not None:
                files[Did(row["scope"], row["name"])] = Held(row["bytes"], row["adler32"])
            if len(files) > 2 * MOST_FILES:
                _cut(files)

        for call in in_calls(dict.fromkeys(dids)):
            self._calls.feed("bulk_list_files", [did_json(did) for did in call], take=take)
        for did, files in found.items():
            if len(files) > MOST_FILES:
                LOG.warning("%s has more than %d files: the first %d are mirrored", did, MOST_FILES, MOST_FILES)
                _cut(files)
        return found

    def changed(self, containers: Iterable[Did], since: datetime, take: Callable[[Did, Held], None]) -> None:
        """Give away files below containers with those of their replicas that changed; deletions are not among them.

        Parameters
        ----------
        containers
            The collections; one that Rucio does not know holds nothing.
        since
            By Rucio's clock; changes of the `OVERLAP` before it come again.
        take
            Takes a file with those of its replicas that changed; after a broken connection it begins anew.
        """
        for call in in_calls(containers):
            self._calls.feed(
                "list_replicas",
                [did_json(did) for did in call],
                schemes=SCHEMES,
                all_states=True,
                resolve_archives=False,
                updated_after=(since - OVERLAP).astimezone(UTC),  # Rucio is told no zone
                take=lambda row: take(Did(row["scope"], row["name"]), held_of(row)),
            )


def _cut(files: dict[Did, Held]) -> None:
    for did in sorted(files)[MOST_FILES:]:
        del files[did]


def mirrored(did: Did, held: Held | None, there: Mapping[str, Replica]) -> Sequence[Replica]:
    """Return the rows of a file's replicas as they should be.

    Parameters
    ----------
    did
        The file.
    held
        What Rucio holds of it; None: nothing.
    there
        The rows that there are, by RSE: an address that Rucio still gives stays the one that is shown, and whether an
        origin asks for credentials is what its item said, which Rucio does not know.
    """
    replicas = []
    for rse, state in sorted(held.states.items()) if held is not None else ():
        pfns = held.pfns.get(rse, ()) if held is not None else ()
        row = there.get(rse)
        if row is not None and (not pfns or without_default_port(row.pfn) in pfns):
            replicas.append(Replica(did, rse, row.pfn, state, row.needs_login))
        elif pfns:
            replicas.append(
                Replica(did, rse, min(pfns, key=readable_first), state, row is not None and row.needs_login)
            )
    return replicas
