"""The lake: items as datasets, collections as containers, assets as files with replicas at their origins.

Calls are bulk and idempotent; whatever was cut short is done again and ends in the same state. The order leaves
nothing discoverable before it is retrievable: replicas, then datasets and containers, then metadata.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import orjson

from stac_rucio_sync.errors import FatalError, RefusedError
from stac_rucio_sync.model import Did, Found, Registered, Rse, Wanted
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import DIDS_PER_CALL, RucioCalls, did_json, in_calls
from stac_rucio_sync.stores.rucio.origins import OriginRses
from stac_rucio_sync.stores.rucio.placed import Placed, place, replicas_of
from stac_rucio_sync.stores.rucio.refusals import DeniedError, ExistsError, MissingError
from stac_rucio_sync.stores.rucio.removal import RucioRemoval
from stac_rucio_sync.stores.rucio.replicas import RucioReplicas
from stac_rucio_sync.stores.rucio.topology import RucioTopology, Way, ways

Pair = tuple[Wanted, Found | None]


class RucioStore:
    """Registers items in Rucio; may be used from several threads.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` and ``[origins]`` are used. Nothing is read or sent before the first call.
    """

    def __init__(self, settings: Settings) -> None:
        self._calls = RucioCalls(settings.rucio)
        self._origins = OriginRses(settings.origins, self._calls)
        self._replicas = RucioReplicas(self._calls, self._origins)
        self._topology = RucioTopology(self._calls)
        self.removal = RucioRemoval(self._calls, self._origins, self._replicas)
        self._lock = threading.Lock()
        self._scopes: set[str] = set()
        self._containers: set[Did] = set()
        self._met: set[str] = set()
        self._described: dict[str, Rse] = {}

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, log-in and repetitions included."""
        return self._calls.requests

    def close(self) -> None:
        """Close all connections."""
        self._calls.close()

    # ------------------------------------------------------------------------------------------------ registration

    def register(self, batch: Sequence[Pair]) -> list[Registered]:
        """Make Rucio hold a batch of items.

        Parameters
        ----------
        batch
            What is wanted, and what the last run recorded (None for an item that is new).

        Returns
        -------
        list of Registered
            One for each item, in order: the replicas as read back, or why the item was refused.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions.
        FatalError
            Nothing can be registered: wrong credentials, missing permission, an RSE of the settings that is none.
        """
        if not batch:
            return []
        try:
            return self._register_together(batch)
        except DeniedError as error:
            return self._without_foreign(batch, error)
        except RefusedError as error:
            if len(batch) == 1:
                return [self._last_try(batch[0], error)]
        middle = len(batch) // 2
        return self.register(batch[:middle]) + self.register(batch[middle:])

    def _last_try(self, pair: Pair, refusal: RefusedError) -> Registered:
        """Try a single item once more: what was known may be out of date, or another writer was first."""
        with self._lock:
            self._scopes.clear()
            self._containers.clear()
        try:
            return self._register_together([pair])[0]
        except RefusedError:
            return Registered(pair[0].key, refused=f"Rucio refuses it: {refusal}")

    def _without_foreign(self, batch: Sequence[Pair], denial: DeniedError) -> list[Registered]:
        """Set items apart that name files in scopes of their own: only they can be denied by themselves."""
        foreign = [_names_other_scopes(wanted) for wanted, _ in batch]
        if not any(foreign):
            raise FatalError(
                f"Rucio denies this to the account: {str(denial).rstrip('.')}. Give the account what is missing (it "
                "must own the scopes, and may add replicas at the RSEs of the origins), or take another account"
            ) from denial
        if len(batch) == 1:
            return [Registered(batch[0][0].key, refused=f"Rucio denies it to the account: {denial}")]
        guilty = [pair for pair, is_foreign in zip(batch, foreign, strict=True) if is_foreign]
        middle = (len(guilty) + 1) // 2
        own = iter(self.register([pair for pair, is_foreign in zip(batch, foreign, strict=True) if not is_foreign]))
        others = iter(self.register(guilty[:middle]) + self.register(guilty[middle:]))
        return [next(others if is_foreign else own) for is_foreign in foreign]

    def _register_together(self, batch: Sequence[Pair]) -> list[Registered]:
        self._ensure_scopes({did.scope for wanted, _ in batch for did in (wanted.did, wanted.container)})
        batch_placed = [place(wanted, found, self._origins) for wanted, found in batch]
        held, refused = self._replicas.settle(batch_placed)
        refused |= self._ensure_collections(batch_placed, refused)
        sound = {number: placed for number, placed in enumerate(batch_placed) if number not in refused}
        self._attach(sound.values())
        self._describe(sound.values())
        self._detach(sound.values())
        refused |= self._replicas.drop_stale(sound, held)
        answers = []
        for number, placed in enumerate(batch_placed):
            key = placed.wanted.key
            if number in refused:
                answers.append(Registered(key, refused=refused[number]))
            else:
                answers.append(Registered(key, replicas_of(placed, held), links=placed.links))
        self._meet(replica.rse for answer in answers for replica in answer.replicas)
        return answers

    def _ensure_scopes(self, scopes: set[str]) -> None:
        with self._lock:
            unknown = scopes - self._scopes
            if not unknown:
                return
            account = self._calls.account
            try:
                owned = set(self._calls.send("list_scopes_for_account", account))
            except MissingError:
                owned = set()
            for scope in sorted(unknown - owned):
                self._add_scope(account, scope)
            self._scopes |= unknown

    def _add_scope(self, account: str, scope: str) -> None:
        try:
            self._calls.send("add_scope", account, scope)
        except ExistsError:
            return  # somebody else's: Rucio decides whether we may write there
        except DeniedError as error:
            if scope not in self._calls.send("list_scopes"):
                raise FatalError(
                    f"there is no scope {scope} in Rucio, and account {account} may not add it: ask for "
                    f"`rucio scope add --account {account} {scope}`, or name another scope in the settings"
                ) from error
        except RefusedError as error:
            raise FatalError(f"scope {scope} cannot be added to Rucio: {error}") from error

    def _ensure_collections(self, batch: Sequence[Placed], refused: Mapping[int, str]) -> dict[int, str]:
        """Add the datasets and containers that are missing.

        Returns
        -------
        dict
            By position in the batch: items whose dataset's name stands for something else.
        """
        sound = {number: placed.wanted for number, placed in enumerate(batch) if number not in refused}
        containers = {wanted.container for wanted in sound.values()} - self._containers
        kinds = dict.fromkeys(containers, "CONTAINER") | {wanted.did: "DATASET" for wanted in sound.values()}
        back = {placed.wanted.did for placed in batch if placed.found is None}
        existing = {}
        for call in in_calls(kinds):
            for row in self._calls.send("get_metadata_bulk", [did_json(did) for did in call]):
                did = Did(row["scope"], row["name"])
                existing[did] = row["did_type"]
                if did in back and row["expired_at"]:
                    # Of an item that was gone and is here again: Rucio would still delete it, and every rule on it.
                    self._calls.send("set_metadata", did.scope, did.name, "lifetime", None)
        taken = {did for did, kind in kinds.items() if existing.get(did, kind) != kind}
        for container in sorted(containers & taken):
            raise FatalError(
                f"the collection's container {container} is a {existing[container].lower()} in Rucio already: name "
                "another scope for the collection"
            )
        missing = [{**did_json(did), "type": kind} for did, kind in kinds.items() if did not in existing]
        for new in in_calls(missing):
            self._calls.send("add_dids", new)
        with self._lock:
            self._containers |= containers
        return {
            number: f"conflict: the item's dataset {wanted.did} is a {existing[wanted.did].lower()} in Rucio already"
            for number, wanted in sound.items()
            if wanted.did in taken
        }

    def _attach(self, sound: Iterable[Placed]) -> None:
        content: dict[Did, dict[Did, None]] = defaultdict(dict)
        for placed in sound:
            content[placed.wanted.did].update(dict.fromkeys(placed.files))
            content[placed.wanted.container][placed.wanted.did] = None
        attachments = [
            {**did_json(parent), "dids": [did_json(child) for child in part]}
            for parent, children in content.items()
            for part in in_parts(children, DIDS_PER_CALL)
        ]
        for call in in_calls(attachments, weight=lambda attachment: len(attachment["dids"])):
            self._calls.send("attach_dids_to_dids", call, ignore_duplicate=True)

    def _describe(self, sound: Collection[Placed]) -> None:
        """Set the datasets' metadata, then take away the keys that are no longer wanted: Rucio only merges."""
        entries = {
            placed.wanted.did: {**did_json(placed.wanted.did), "meta": dict(placed.wanted.metadata)}
            for placed in sound
            if placed.wanted.metadata
        }
        for call in in_calls(entries.values(), size=lambda entry: len(orjson.dumps(entry["meta"]))):
            try:
                self._calls.send("set_dids_metadata_bulk", call)
            except DeniedError as error:
                # Rucio denies keys of its own by this: one item's matter.
                raise RefusedError(f"metadata: {error}") from error
        for placed in sound:
            if placed.found is None or placed.found.did != placed.wanted.did:
                continue
            for key in sorted(set(placed.found.metadata_keys) - placed.wanted.metadata.keys()):
                self._forget_key(placed.wanted.did, key)

    def _forget_key(self, did: Did, key: str) -> None:
        try:
            self._calls.send("delete_metadata", did.scope, did.name, key)
        except MissingError:
            return  # gone already

    def _detach(self, sound: Iterable[Placed]) -> None:
        """Take files out of their datasets that the items no longer have."""
        for placed in sound:
            if placed.found is None or placed.found.did != placed.wanted.did:
                continue
            dids = {file.did for file in placed.found.files} - {file.did for file in placed.wanted.files}
            for did in sorted(dids):
                self._detach_file(placed.wanted.did, did)

    def _detach_file(self, dataset: Did, file: Did) -> None:
        try:
            self._calls.send("detach_dids", dataset.scope, dataset.name, [did_json(file)])
        except MissingError:
            return  # detached already

    # -------------------------------------------------------------------------------------------------------- RSEs

    def rses(self) -> list[Rse]:
        """Return all RSEs as Rucio describes them now (a request for the list and one for each RSE)."""
        with self._lock:
            self._described = self._ask_rses(None)
            return list(self._described.values())

    def known_rses(self) -> list[Rse]:
        """Return the RSEs that this store has met in answers; nothing is asked where none is new."""
        with self._lock:
            new = self._met - self._described.keys()
            if new:
                self._described |= self._ask_rses(new)
            return [self._described[rse] for rse in sorted(self._met) if rse in self._described]

    def _meet(self, rses: Iterable[str]) -> None:
        met = set(rses)
        with self._lock:
            self._met |= met

    def distances_from(self, sources: Collection[str]) -> tuple[list[Rse], dict[Way, int]]:
        """Return all RSEs as Rucio describes them now, and how far the others are declared from some of them.

        One request where the account may export, else one for each RSE and one for each distance.
        """
        exported = self._topology.exported()
        if exported is not None:
            near = {way: distance for way, distance in exported.distances.items() if way[0] in sources}
            return list(exported.rses.values()), near
        rses = self.rses()
        asked = self._topology.distances(ways(sources, {rse.rse: rse for rse in rses}))
        return rses, {way: distance for way, distance in asked.items() if distance is not None}

    def _ask_rses(self, only: set[str] | None) -> dict[str, Rse]:
        listed = self._topology.listed()
        return self._topology.described(row for name, row in listed.items() if only is None or name in only)


def _names_other_scopes(wanted: Wanted) -> bool:
    return any(file.did.scope != wanted.did.scope for file in wanted.files)
