"""What of gone items may be taken out of Rucio, and taking it out: in bulk, and idempotent.

Rucio acts on its own behind three of its verbs, and a removal must not let that touch what others rely on:

- Where a dataset leaves a container, the locks that rules on the container (or above) hold on its files fall, and the
  reaper then deletes copies at the lake's sites. So a dataset below somebody's rule stays where it is.
- With its last replica Rucio forgets a file, and takes it out of every dataset. So a file that other collections hold,
  or that any rule covers, keeps its replicas.
- A dataset that lost a file in this way leaves all its containers, and they leave theirs, whatever else they hold. So
  the dataset is detached from its own container before, and nothing is deleted where that is denied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from stac_rucio_sync.model import Did, Gone, Held, Kept, Removable
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json, in_calls
from stac_rucio_sync.stores.rucio.origins import OriginRses
from stac_rucio_sync.stores.rucio.refusals import DeniedError, MissingError
from stac_rucio_sync.stores.rucio.replicas import RucioReplicas

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What stands around the items of a batch in Rucio."""

    above: Mapping[Did, frozenset[Did]]
    """By container: itself and all collections above it."""
    held: Mapping[Did, Held]
    parents: Mapping[Did, frozenset[Did]]
    """By file: all collections above it."""
    rules: Mapping[Did, str]
    """DIDs that carry a rule, with an account that has one."""
    own: frozenset[Did]
    """The datasets of the batch, their containers and what is above these."""

    def ruled_by(self, dids: Iterable[Did]) -> str | None:
        """Return an account that has a rule on one of some DIDs."""
        return next((self.rules[did] for did in dids if did in self.rules), None)


class RucioRemoval:
    """Takes gone items out of Rucio.

    Parameters
    ----------
    calls
        The edge to Rucio.
    origins
        Tells origin RSEs from sites of the lake.
    replicas
        Reads back what Rucio holds of files.
    """

    def __init__(self, calls: RucioCalls, origins: OriginRses, replicas: RucioReplicas) -> None:
        self._calls = calls
        self._origins = origins
        self._replicas = replicas

    # ----------------------------------------------------------------------------------------------------- what may go

    def examine(self, batch: Sequence[tuple[Gone, Did]]) -> list[Removable]:
        """Say what may go of each item, and what stays and why; nothing is changed.

        Parameters
        ----------
        batch
            Gone items with the containers of their collections.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions.
        """
        around = self._look_around(batch)
        return [self._examined(gone, container, around) for gone, container in batch]

    def _look_around(self, batch: Sequence[tuple[Gone, Did]]) -> _Surroundings:
        above = {container: self._and_above(container) for container in {container for _, container in batch}}
        own = {gone.did for gone, _ in batch}.union(*above.values())
        files = {did for gone, _ in batch for did in gone.files}
        held = self._replicas.read_back(files, parents=True)
        parents = {did: frozenset(_did(text) for text in file.parents) for did, file in held.items()}
        rules = self._rules({did.scope for did in own.union(files, *parents.values())})
        return _Surroundings(above, held, parents, rules, frozenset(own))

    def _and_above(self, container: Did) -> frozenset[Did]:
        found: set[Did] = set()
        ahead = [container]
        while ahead:
            did = ahead.pop()
            if did not in found:
                found.add(did)
                ahead.extend(self._parents(did))
        return frozenset(found)

    def _parents(self, did: Did) -> list[Did]:
        try:
            return [Did(row["scope"], row["name"]) for row in self._calls.send("list_parent_dids", did.scope, did.name)]
        except MissingError:
            return []

    def _rules(self, scopes: Iterable[str]) -> dict[Did, str]:
        """Return the DIDs of some scopes that carry a rule: Rucio lists rules by scope, or one DID a call."""
        return {
            Did(rule["scope"], rule["name"]): rule["account"]
            for scope in sorted(scopes)
            for rule in self._calls.send("list_replication_rules", {"scope": scope})
        }

    def _examined(self, gone: Gone, container: Did, around: _Surroundings) -> Removable:
        removable = Removable(gone, container)
        account = around.ruled_by(around.above[container])
        if account is not None:
            removable.detach = False
            reason = f"a rule of {account} covers its container"
        else:
            account = around.ruled_by([gone.did])
            reason = f"a rule of {account} covers the item's dataset"
        if account is not None:
            removable.kept = [Kept(did, reason) for did in (gone.did, *gone.files)]
            return removable
        for did in gone.files:
            if did in around.held:
                self._examine_file(did, removable, around)
        return removable

    def _examine_file(self, did: Did, removable: Removable, around: _Surroundings) -> None:
        gone, file, parents = removable.gone, around.held[did], around.parents[did]
        account = around.ruled_by([did, *sorted(parents)])
        if did in gone.shared or parents - around.own:
            removable.kept.append(Kept(did, "another item or collection has the file, too"))
            if did in gone.shared and gone.did in parents and self._is_ours_alone(gone.did, around.own):
                removable.unused.append(did)
            return
        if account is not None:
            removable.kept.append(Kept(did, f"a rule of {account} covers the file"))
            return
        others = []
        for rse in file.states:
            if any(self._origins.is_origin_rse(rse, pfn) for pfn in file.pfns.get(rse, ())):
                removable.replicas.append((did, rse))
            else:
                others.append(rse)
        if others:
            removable.kept.append(Kept(did, f"the file has replicas at {', '.join(sorted(others))}"))

    def _is_ours_alone(self, dataset: Did, own: frozenset[Did]) -> bool:
        """Tell whether nobody else's container holds the dataset, and with it the file."""
        return own.issuperset(self._parents(dataset))

    # --------------------------------------------------------------------------------------------------- taking it out

    def apply(self, batch: Sequence[Removable]) -> list[Kept]:
        """Take out what may go: metadata, attachments, then replicas; what is gone already is no error.

        Returns
        -------
        list of Kept
            What Rucio does not let the account take out.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions; to be done again.
        """
        kept = self._forget_metadata(batch)
        attached = self._detach(batch)
        kept += attached
        stuck = {one.did: one.reason for one in attached}
        for one in batch:
            if one.unused:
                self._in_halves(one.unused, partial(self._detach_from, one.gone.did))
        left = {did: stuck[one.gone.did] for one in batch if one.gone.did in stuck for did, _ in one.replicas}
        kept += [Kept(did, reason) for did, reason in left.items()]
        return kept + self._delete({place for one in batch for place in one.replicas if place[0] not in left})

    def _forget_metadata(self, batch: Sequence[Removable]) -> list[Kept]:
        """Set what the sync wrote to null: Rucio deletes one key of one DID a call, and finds no DID by a null."""
        by_scope: dict[str, list[Gone]] = defaultdict(list)
        for one in batch:
            if one.gone.metadata_keys:
                by_scope[one.gone.did.scope].append(one.gone)
        kept = []
        for scope, gone in by_scope.items():
            for call in in_calls(gone):
                if self._in_halves(call, self._set_null) is not None:
                    reason = f"Rucio does not let the account change metadata in scope {scope}"
                    kept += [Kept(one.did, reason) for one in call]
        return kept

    def _set_null(self, gone: Sequence[Gone]) -> None:
        entries = [{**did_json(one.did), "meta": dict.fromkeys(one.metadata_keys)} for one in gone]
        self._calls.send("set_dids_metadata_bulk", entries)

    def _detach(self, batch: Sequence[Removable]) -> list[Kept]:
        by_container: dict[Did, list[Did]] = defaultdict(list)
        for one in batch:
            if one.detach:
                by_container[one.container].append(one.gone.did)
        kept = []
        for container, datasets in by_container.items():
            for call in in_calls(datasets):
                reason = self._in_halves(call, partial(self._detach_from, container))
                if reason is not None:
                    kept += [Kept(did, f"Rucio does not let the account detach datasets: {reason}") for did in call]
        return kept

    def _detach_from(self, parent: Did, children: Sequence[Did]) -> None:
        self._calls.send("detach_dids", parent.scope, parent.name, [did_json(did) for did in children])

    def _delete(self, replicas: Iterable[tuple[Did, str]]) -> list[Kept]:
        by_rse: dict[str, list[Did]] = defaultdict(list)
        for did, rse in sorted(replicas):
            by_rse[rse].append(did)
        kept = []
        for rse, dids in by_rse.items():
            for call in in_calls(dids):
                reason = self._in_halves(call, partial(self._delete_at, rse))
                if reason is not None:
                    kept += [Kept(did, f"Rucio does not let the account delete replicas: {reason}") for did in call]
        return kept

    def _delete_at(self, rse: str, dids: Sequence[Did]) -> None:
        self._calls.send("delete_replicas", rse, [did_json(did) for did in dids])

    def _in_halves(self, entries: Sequence[Entry], send: Callable[[Sequence[Entry]], None]) -> str | None:
        """Send a call that Rucio refuses whole where one entry is gone already; return why it is denied, if it is."""
        try:
            send(entries)
        except DeniedError as error:
            return str(error)
        except MissingError:
            if len(entries) > 1:
                middle = len(entries) // 2
                return self._in_halves(entries[:middle], send) or self._in_halves(entries[middle:], send)
        return None


def _did(text: str) -> Did:
    return Did(*text.split(":", 1))
