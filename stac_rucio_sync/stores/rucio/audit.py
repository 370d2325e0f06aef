"""What Rucio holds of a batch of items, read in bulk and changed by nothing here but what a repair asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stac_rucio_sync.errors import RefusedError, TransientError
from stac_rucio_sync.model import Did, Found, Held, Wanted
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json, in_calls
from stac_rucio_sync.stores.rucio.origins import OriginRses
from stac_rucio_sync.stores.rucio.placed import Placed, place
from stac_rucio_sync.stores.rucio.refusals import DeniedError, MissingError
from stac_rucio_sync.stores.rucio.replicas import RucioReplicas

PLUGINS = {"json": "JSON", "postgres": "POSTGRES_JSON"}
"""The names by which Rucio knows its two plugins of free metadata."""


@dataclass(frozen=True, slots=True)
class HeldItem:
    """What Rucio holds of one item, beside what is wanted of it."""

    placed: Placed
    kind: str | None
    """Type of the DID that should be the item's dataset (``DATASET``); None: there is none of that name."""
    container_kind: str | None
    """Type of the DID that should be the collection's container."""
    content: frozenset[Did]
    """The files that the dataset holds."""
    metadata: Mapping[str, Any]
    """Free metadata of the dataset; null stands for a key that was taken away."""
    files: Mapping[Did, Held]
    """The wanted files that Rucio knows, with their replicas."""


class _StandingOrigins(OriginRses):
    """Finds the RSEs of origins and makes none: an audit changes nothing."""

    def _make(self, rse: str, origin: str) -> None:
        raise DeniedError(f"an audit makes no RSE {rse} for {origin}")


class RucioAudit:
    """Reads what Rucio holds.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` and ``[origins]`` are used. Nothing is read or sent before the first call.
    """

    def __init__(self, settings: Settings) -> None:
        self._calls = RucioCalls(settings.rucio)
        self._origins = _StandingOrigins(settings.origins, self._calls)
        self._replicas = RucioReplicas(self._calls, self._origins)
        self._plugin = PLUGINS[settings.rucio.metadata]

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._calls.requests

    def close(self) -> None:
        """Close all connections."""
        self._calls.close()

    def read(self, batch: Sequence[tuple[Wanted, Found | None]]) -> list[HeldItem]:
        """Return what Rucio holds of a batch of items, by four kinds of bulk calls and none for an item alone.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions.
        FatalError
            Wrong credentials, or an RSE of the settings that is none.
        """
        placed = [place(wanted, found, self._origins) for wanted, found in batch]
        kinds = self.kinds(did for wanted, _ in batch for did in (wanted.did, wanted.container))
        datasets = [wanted.did for wanted, _ in batch if kinds.get(wanted.did) == "DATASET"]
        contents = self.contents(datasets)
        metadata = self.metadata(datasets)
        files = self._replicas.read_back(did for one in placed for did in one.files)
        return [
            HeldItem(
                one,
                kinds.get(one.wanted.did),
                kinds.get(one.wanted.container),
                frozenset(contents.get(one.wanted.did, ())),
                metadata.get(one.wanted.did, {}),
                {did: files[did] for did in one.files if did in files},
            )
            for one in placed
        ]

    def kinds(self, dids: Iterable[Did]) -> dict[Did, str]:
        """Return the types of those DIDs that exist."""
        kinds = {}
        for call in in_calls(dict.fromkeys(dids)):
            for row in self._calls.send("get_metadata_bulk", [did_json(did) for did in call]):
                kinds[Did(row["scope"], row["name"])] = str(row["did_type"])
        return kinds

    def contents(self, datasets: Sequence[Did]) -> dict[Did, list[Did]]:
        """Return the files of datasets; empty datasets are left out."""
        contents: dict[Did, list[Did]] = {}
        for call in in_calls(datasets):
            for row in self._calls.send("bulk_list_files", [did_json(did) for did in call]):
                parent = Did(row["parent_scope"], row["parent_name"])
                contents.setdefault(parent, []).append(Did(row["scope"], row["name"]))
        return contents

    def metadata(self, datasets: Sequence[Did]) -> dict[Did, dict[str, Any]]:
        """Return the free metadata of datasets that exist."""
        metadata = {}
        for call in in_calls(datasets):
            for row in self._metadata_rows([did_json(did) for did in call]):
                metadata[Did(row.pop("scope"), row.pop("name"))] = row
        return metadata

    def _metadata_rows(self, dids: list[dict[str, str]]) -> list[dict[str, Any]]:
        if self._plugin != PLUGINS["postgres"]:
            return list(self._calls.send("get_metadata_bulk", dids, plugin=self._plugin))
        try:
            return list(self._calls.send_once("get_metadata_bulk", dids, plugin=self._plugin))
        except (MissingError, TransientError):
            pass  # the external plugin breaks off at a DID that it knows nothing of; or the server is unwell
        # Asked for what the datasets inherit from their containers, too, Rucio passes over these: that tells which of
        # them have nothing. It does not tell whose the rest is, so that is asked for again.
        inherited = self._calls.send("get_metadata_bulk", dids, inherit=True, plugin=self._plugin)
        described = {Did(row["scope"], row["name"]) for row in inherited if len(row) > len(Did._fields)}
        return self._in_halves([did for did in dids if Did(**did) in described])

    def _in_halves(self, dids: list[dict[str, str]]) -> list[dict[str, Any]]:
        """Return the metadata of datasets of which some may have none, but what is their containers'."""
        if not dids:
            return []
        send = self._calls.send_once if len(dids) > 1 else self._calls.send
        try:
            return list(send("get_metadata_bulk", dids, plugin=self._plugin))
        except MissingError:
            if len(dids) == 1:
                return []
        except TransientError:
            if len(dids) == 1:
                raise
        middle = len(dids) // 2
        return self._in_halves(dids[:middle]) + self._in_halves(dids[middle:])

    def children(self, container: Did, take: Callable[[Did], None]) -> None:
        """Give away all that a container holds, one by one; after a broken connection it begins anew."""
        try:
            self._calls.feed(
                "list_content", container.scope, container.name, take=lambda row: take(Did(row["scope"], row["name"]))
            )
        except MissingError:
            return  # an item of the batch says that it is missing

    # ------------------------------------------------------------------------------------------------------ repair

    def detach(self, parent: Did, children: Iterable[Did]) -> None:
        """Take children out of a collection; what is out already is no error."""
        for call in in_calls(dict.fromkeys(children)):
            try:
                self._calls.send("detach_dids", parent.scope, parent.name, [did_json(did) for did in call])
            except MissingError:
                for did in call if len(call) > 1 else ():
                    self.detach(parent, [did])

    def forget(self, dataset: Did, keys: Iterable[str]) -> None:
        """Take metadata keys away.

        Raises
        ------
        RefusedError
            Rucio keeps one.
        """
        for key in keys:
            try:
                self._calls.send("delete_metadata", dataset.scope, dataset.name, key)
            except MissingError:
                continue
            except DeniedError as error:
                raise RefusedError(f"metadata key {key} of {dataset}: {error}") from error
