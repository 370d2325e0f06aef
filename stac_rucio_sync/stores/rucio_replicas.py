"""Replicas of a batch: registered where they are missing, moved where their href changed, read back and compared.

Rucio answers "added" to a replica that it holds already with other bytes, another checksum or another PFN, and keeps
what it has. So it is asked before (which costs little for files that are new) and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stac_rucio_sync.addresses import with_port, without_default_port
from stac_rucio_sync.model import Did, File, Found, Link, Replica, Wanted, WantedReplica
from stac_rucio_sync.stores.origins import OriginRses
from stac_rucio_sync.stores.refusals import DeniedError, MissingError
from stac_rucio_sync.stores.rucio_calls import NEW_FILES_PER_CALL, RucioCalls, did_json, in_calls

#: States of replicas that hold the bytes, as far as Rucio knows.
_READABLE = frozenset({"AVAILABLE", "TEMPORARY_UNAVAILABLE"})
#: Rucio shows one protocol of an RSE unless it is told which; the first of these is what most clients can read.
SCHEMES = ("https", "http", "davs", "s3", "s3s", "gs", "root", "roots", "gsiftp", "srm", "ftp", "file", "mock")


@dataclass(frozen=True, slots=True)
class Held:
    """What Rucio holds of one file."""

    bytes: int | None = None
    adler32: str | None = None
    md5: str | None = None
    pfns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By RSE, without default ports."""
    states: Mapping[str, str] = field(default_factory=dict)
    """By RSE."""
    parents: tuple[str, ...] = ()
    """``scope:name`` of all collections above, when asked for."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A wanted item whose replicas have their RSEs."""

    wanted: Wanted
    found: Found | None
    files: Mapping[Did, tuple[File, Mapping[str, WantedReplica]]]
    """By DID: the file, and its replicas by RSE."""
    links: tuple[Link, ...]
    """Files without any RSE, and single places of files that have no RSE of their own."""

    def replicas(self) -> Iterator[tuple[Did, str, WantedReplica]]:
        """Yield each wanted replica with its file and RSE."""
        for did, (_, at) in self.files.items():
            for rse, replica in at.items():
                yield did, rse, replica

    def former_pfns(self, did: Did) -> frozenset[str]:
        """Return the PFNs that the last run recorded for a file."""
        recorded = self.found.files if self.found is not None else ()
        return frozenset(without_default_port(pfn) for file in recorded if file.did == did for pfn in file.pfns)


def place(wanted: Wanted, found: Found | None, origins: OriginRses) -> Placed:
    """Find the RSEs of an item's replicas; a place that Rucio cannot hold becomes a link with its reason."""
    files: dict[Did, tuple[File, dict[str, WantedReplica]]] = {}
    links: list[Link] = []
    for file in wanted.files:
        at: dict[str, WantedReplica] = {}
        left: list[tuple[WantedReplica, str]] = []
        for replica in file.replicas:
            rse = origins.rse(replica.origin)
            if rse is None:
                left.append((replica, origins.why_none(replica.origin)))
            elif at.setdefault(rse, replica) is not replica:
                left.append((replica, f"{rse} holds another replica of the file, and an RSE holds one"))
        if at or file.in_lake is not None:
            files.setdefault(file.did, (file, at))
            links.extend(_link(file, f"{file.asset}#{left_.alternate or 'href'}", left_, why) for left_, why in left)
        else:
            links.append(_link(file, file.asset, *left[0]))
    return Placed(wanted, found, files, tuple(links))


def _link(file: File, name: str, replica: WantedReplica, reason: str) -> Link:
    return Link(name, replica.pfn, None, file.media_type, file.roles, file.title, reason)


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
                if (did, rse) in moved or (number not in refused and rse not in _of(held, did).states):
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
                for rse, pfns in _of(held, did).pfns.items():
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
                there = _of(held, did)
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
                pfns = _of(held, did).pfns.get(rse)
                if pfns and without_default_port(replica.pfn) not in pfns:
                    moves[did, rse] = number
        above = self.read_back((did for did, _ in moves), parents=True)
        for (did, rse), number in moves.items():
            ours = {str(batch[number].wanted.did), str(batch[number].wanted.container)}
            others = sorted(set(_of(above, did).parents) - ours)
            if others and set(_of(above, did).states) == {rse}:
                refused[number] = (
                    f"conflict: the href of {did} changed, and its replica at {rse} is the last one: to move it would "
                    f"take the file out of {', '.join(others)}"
                )
        moves = {place: number for place, number in moves.items() if number not in refused}
        denied = self._take_away(moves)
        for (did, rse), reason in denied.items():
            refused[moves[did, rse]] = (
                f"conflict: the href of {did} changed, and Rucio keeps {_of(held, did).pfns[rse][0]} at {rse}: {reason}"
            )
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


def held_of(row: Mapping[str, Any]) -> Held:
    """Return what a line of Rucio's ``list_replicas`` says of a file."""
    return Held(
        row["bytes"],
        row["adler32"],
        row["md5"],
        {rse: tuple(map(without_default_port, pfns)) for rse, pfns in row["rses"].items()},
        row.get("states", {}),
        tuple(row.get("parents", ())),
    )


def replicas_of(placed: Placed, held: Mapping[Did, Held]) -> tuple[Replica, ...]:
    """Return an item's replicas as Rucio tells them: one a file and RSE, the wanted ones and all others."""
    replicas = []
    for did, (_, at) in placed.files.items():
        file = _of(held, did)
        for rse, state in file.states.items():
            pfns = file.pfns.get(rse, ())
            if rse in at:
                replicas.append(Replica(did, rse, without_default_port(at[rse].pfn), state, at[rse].needs_login))
            elif pfns:
                replicas.append(Replica(did, rse, min(pfns, key=readable_first), state))
    return tuple(replicas)


def readable_first(pfn: str) -> int:
    """Return the place of an address among those of one replica: the first is what most clients can read."""
    scheme = pfn.partition("://")[0]
    return SCHEMES.index(scheme) if scheme in SCHEMES else len(SCHEMES)


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


def why_not_in_lake(file: File, held: Held | None) -> str | None:
    """Say why a file that an item finds in the lake is not there; None: Rucio has a replica that can be read."""
    if file.in_lake is None:
        return None
    states = held.states if held is not None else {}
    if not _READABLE.isdisjoint(states.values()):
        return None
    says = f"the item says that {file.did} lies in the lake at {file.in_lake.rse}"
    if not states:
        return f"{says}, and Rucio has no replica of it: upload it, or give the asset the place where its file lies"
    there = ", ".join(f"{state} at {rse}" for rse, state in sorted(states.items()))
    return f"{says}, and no replica of it is available ({there})"


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
        if not _of(held, did).pfns.get(rse)
    }


def _other_pfn(did: Did, at: Mapping[str, WantedReplica], held: Held, former: frozenset[str]) -> str | None:
    for rse, replica in at.items():
        wants, has = without_default_port(replica.pfn), held.pfns.get(rse, ())
        if has and wants not in has and not former.intersection(has):
            return f"conflict: {did} is in Rucio at {rse} as {has[0]}, and the item says {wants}"
    return None


def _of(held: Mapping[Did, Held], did: Did) -> Held:
    return held.get(did, _NOTHING)


_NOTHING = Held()
