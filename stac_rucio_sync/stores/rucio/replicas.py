"""Replicas of a batch: registered where they are missing, moved where their href changed, read back and compared.

Rucio answers "added" to a replica that it holds already with other bytes, another checksum or another PFN, and keeps
what it has. So it is asked before (which costs little for files that are new) and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stac_rucio_sync.addresses import with_port, without_default_port
from stac_rucio_sync.model import Did, File, Held, WantedReplica
from stac_rucio_sync.stores.rucio.answers import SCHEMES, held_in, held_of, why_not_in_lake
from stac_rucio_sync.stores.rucio.calls import NEW_FILES_PER_CALL, RucioCalls, did_json, in_calls
from stac_rucio_sync.stores.rucio.origins import OriginRses
from stac_rucio_sync.stores.rucio.placed import Placed
from stac_rucio_sync.stores.rucio.refusals import DeniedError, MissingError


class RucioReplicas:
    """Registers and compares the replicas of batches.

    Parameters
    ----------
    calls
        The edge to Rucio.
    origins
        Tells origin RSEs from sites of the lake, whose replicas are nobody's business here.
    """

    def __init__(self, calls: RucioCalls, origins: OriginRses) -> None:
        self._calls = calls
        self._origins = origins

    def settle(self, batch: Sequence[Placed]) -> tuple[dict[Did, Held], dict[int, str]]:
        """Make Rucio hold a batch's replicas.

        Returns
        -------
        held
            What Rucio holds now, by file.
        refused
            By position in the batch: in which way Rucio holds something else, and cannot be changed.

        Raises
        ------
        RefusedError
            Rucio refused a call for something in the batch.
        """
        held = self.read_back(did for placed in batch for did in placed.files)
        refused = _absent(batch, held) | self._conflicts(batch, held, Placed.former_pfns)
        moved = self._move(batch, held, refused)
        missing: dict[str, dict[Did, dict[str, Any]]] = defaultdict(dict)
        for number, placed in enumerate(batch):
            for did, rse, replica in placed.replicas():
                # What was taken away comes back even if something else in the item is refused.
                if (did, rse) in moved or (number not in refused and rse not in held_in(held, did).states):
                    missing[rse].setdefault(did, _replica_json(placed.files[did][0], replica))
        for rse, entries in missing.items():
            for call in in_calls(entries.values(), most=NEW_FILES_PER_CALL):
                self._calls.send("add_replicas", rse, call)
        held.update(self.read_back({did for entries in missing.values() for did in entries}))
        for number, sentence in (_lost(batch, held) | self._conflicts(batch, held)).items():
            refused.setdefault(number, sentence)
        return held, refused

    def read_back(self, dids: Iterable[Did], *, parents: bool = False) -> dict[Did, Held]:
        """Return what Rucio holds of files; files that it does not know are left out."""
        held = {}
        for call in in_calls(dict.fromkeys(dids)):
            answer = self._calls.send(
                "list_replicas",
                [did_json(did) for did in call],
                schemes=SCHEMES,
                all_states=True,
                resolve_archives=False,
                resolve_parents=parents,
            )
            for file in answer:
                held[Did(file["scope"], file["name"])] = held_of(file)
        return held

    def drop_stale(self, batch: Mapping[int, Placed], held: Mapping[Did, Held]) -> dict[int, str]:
        """Take away replicas at other origins that the last run recorded and the item no longer names.

        Parameters
        ----------
        batch
            By position: items whose wanted replicas are all there, so that none of these is the last one.
        held
            What Rucio holds.

        Returns
        -------
        dict
            By position: what Rucio did not let us take away.
        """
        stale: dict[tuple[Did, str], int] = {}
        for number, placed in batch.items():
            for did, (_, at) in placed.files.items():
                for rse, pfns in held_in(held, did).pfns.items():
                    former = placed.former_pfns(did).intersection(pfns)
                    if rse not in at and any(self._origins.is_origin_rse(rse, pfn) for pfn in former):
                        stale[did, rse] = number
        denied = self._take_away(stale)
        return {
            stale[did, rse]: f"{did} has a replica at {rse} that the item no longer names, and Rucio keeps it: {reason}"
            for (did, rse), reason in denied.items()
        }

    def _conflicts(
        self,
        batch: Sequence[Placed],
        held: Mapping[Did, Held],
        movable: Callable[[Placed, Did], frozenset[str]] = lambda *_: frozenset(),
    ) -> dict[int, str]:
        """Compare; PFNs that are movable (the item itself registered them) are no conflict."""
        refused = {}
        for number, placed in enumerate(batch):
            for did, (file, at) in placed.files.items():
                there = held_in(held, did)
                sentence = _difference(file, there) or _other_pfn(did, at, there, movable(placed, did))
                if sentence is not None:
                    refused[number] = sentence
                    break
        return refused

    def _move(self, batch: Sequence[Placed], held: Mapping[Did, Held], refused: dict[int, str]) -> set[tuple[Did, str]]:
        """Take replicas away whose path at the same origin changed, so that they can be registered anew.

        With its last replica Rucio forgets a file, takes it out of every dataset, and takes datasets that become
        empty out of their containers. The item's own are attached again by the same run (or the next, after a
        crash); a file that other people's collections hold too is not moved.
        """
        moves: dict[tuple[Did, str], int] = {}
        for number, placed in enumerate(batch):
            for did, rse, replica in placed.replicas() if number not in refused else ():
                pfns = held_in(held, did).pfns.get(rse)
                if pfns and without_default_port(replica.pfn) not in pfns:
                    moves[did, rse] = number
        above = self.read_back((did for did, _ in moves), parents=True)
        for (did, rse), number in moves.items():
            ours = {str(batch[number].wanted.did), str(batch[number].wanted.container)}
            others = sorted(set(held_in(above, did).parents) - ours)
            if others and set(held_in(above, did).states) == {rse}:
                refused[number] = (
                    f"conflict: the href of {did} changed, and its replica at {rse} is the last one: to move it would "
                    f"take the file out of {', '.join(others)}"
                )
        moves = {place: number for place, number in moves.items() if number not in refused}
        denied = self._take_away(moves)
        for (did, rse), reason in denied.items():
            kept = held_in(held, did).pfns[rse][0]
            refused[moves[did, rse]] = f"conflict: the href of {did} changed, and Rucio keeps {kept} at {rse}: {reason}"
        return moves.keys() - denied.keys()

    def _take_away(self, places: Iterable[tuple[Did, str]]) -> dict[tuple[Did, str], str]:
        """Delete replicas from the catalogue; return those that Rucio keeps, with the reason."""
        by_rse = defaultdict(list)
        for did, rse in places:
            by_rse[rse].append(did)
        denied = {}
        for rse, dids in by_rse.items():
            for call in in_calls(dids):
                reason = self._delete(rse, call)
                denied.update({(did, rse): reason for did in call if reason is not None})
        return denied

    def _delete(self, rse: str, dids: list[Did]) -> str | None:
        try:
            self._calls.send("delete_replicas", rse, [did_json(did) for did in dids])
        except DeniedError as error:
            return str(error)
        except MissingError:
            # One is gone already, and Rucio then deletes none.
            for did in dids if len(dids) > 1 else ():
                self._delete(rse, [did])
        return None


def _replica_json(file: File, replica: WantedReplica) -> dict[str, Any]:
    entry: dict[str, Any] = {**did_json(file.did), "bytes": file.bytes, "pfn": with_port(replica.pfn)}
    for kind in ("adler32", "md5"):
        checksum = getattr(file, kind)
        if checksum is not None:
            entry[kind] = checksum
    return entry


def _difference(file: File, held: Held) -> str | None:
    """Tell in which way Rucio's file is another one; a value that Rucio does not have contradicts nothing."""
    for kind in ("bytes", "adler32", "md5"):
        has, wants = getattr(held, kind), getattr(file, kind)
        if has is not None and wants is not None and has != wants:
            where = ", ".join(sorted(held.states)) or "no RSE"
            return f"conflict: {file.did} is in Rucio (at {where}) with {kind} {has}, and the item says {wants}"
    return None


def _absent(batch: Sequence[Placed], held: Mapping[Did, Held]) -> dict[int, str]:
    """Tell of files that should be in the lake already and are not."""
    return {
        number: sentence
        for number, placed in enumerate(batch)
        for did, (file, _) in placed.files.items()
        if (sentence := why_not_in_lake(file, held.get(did))) is not None
    }


def _lost(batch: Sequence[Placed], held: Mapping[Did, Held]) -> dict[int, str]:
    """Tell of replicas that Rucio does not show after it took them."""
    return {
        number: f"Rucio took {did} at {rse} and does not show it there as {replica.pfn}"
        for number, placed in enumerate(batch)
        for did, rse, replica in placed.replicas()
        if not held_in(held, did).pfns.get(rse)
    }


def _other_pfn(did: Did, at: Mapping[str, WantedReplica], held: Held, former: frozenset[str]) -> str | None:
    for rse, replica in at.items():
        wants, has = without_default_port(replica.pfn), held.pfns.get(rse, ())
        if has and wants not in has and not former.intersection(has):
            return f"conflict: {did} is in Rucio at {rse} as {has[0]}, and the item says {wants}"
    return None
