"""Wanted against what Rucio and the tables really hold, as lines of a plan in the signs ``+ - * !``. Pure functions.

``+`` is missing, ``-`` is too many, ``*`` says something else, ``!`` cannot be repaired from here. What is missing
because a greater thing is missing has no line of its own: a dataset that is not there has no metadata.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from stac_rucio_sync.addresses import without_default_port
from stac_rucio_sync.mapping.metadata import COMMIT_KEY
from stac_rucio_sync.model import Did, File, Held, Registered, Replica, Settled
from stac_rucio_sync.plan import Action, Sign
from stac_rucio_sync.stores.rucio.answers import why_not_in_lake
from stac_rucio_sync.stores.rucio.audit import HeldItem
from stac_rucio_sync.stores.rucio.placed import replicas_of
from stac_rucio_sync.stores.tables.audit_rows import RowDifference

OWN_PREFIX = "stac:"
"""Metadata keys that begin with it are the sync's own; others that nobody wants may be another user's."""
NEW_STATE = "AVAILABLE"
"""State that Rucio gives to a replica that is added."""


def lake_differences(held: HeldItem, *, attached: bool) -> Iterator[Action]:
    """Yield in what Rucio differs from what is wanted of one item.

    Parameters
    ----------
    held
        What is wanted and what Rucio holds.
    attached
        Whether the collection's container holds the item's dataset.
    """
    wanted = held.placed.wanted
    yield from _collection(wanted.container, "CONTAINER", held.container_kind)
    yield from _collection(wanted.did, "DATASET", held.kind)
    for did, (file, at) in held.placed.files.items():
        there = held.files.get(did)
        absent = why_not_in_lake(file, there)
        if absent is not None:
            yield Action(Sign.ERROR, "file", str(did), absent)
        if there is None:
            if absent is None:
                yield Action(Sign.ADD, "file", str(did), "not in Rucio")
            continue
        yield from _contradictions(did, file, there)
        for rse, replica in at.items():
            yield from _replica(did, rse, without_default_port(replica.pfn), there)
        if held.kind == "DATASET" and did not in held.content:
            yield Action(Sign.ADD, "attachment", f"{did} in {wanted.did}")
    if held.kind == "DATASET":
        if held.container_kind == "CONTAINER" and not attached:
            yield Action(Sign.ADD, "attachment", f"{wanted.did} in {wanted.container}")
        for did in sorted(surplus_files(held)):
            yield Action(Sign.REMOVE, "attachment", f"{did} in {wanted.did}", "the item has no such file")
        yield from _metadata(held)


def _collection(did: Did, wanted: str, kind: str | None) -> Iterator[Action]:
    if kind is None:
        yield Action(Sign.ADD, wanted.lower(), str(did), "not in Rucio")
    elif kind != wanted:
        yield Action(Sign.ERROR, wanted.lower(), str(did), f"the name stands for a {kind.lower()} in Rucio")


def _contradictions(did: Did, file: File, held: Held) -> Iterator[Action]:
    """Yield what Rucio says else of the bytes; a value that one side does not have contradicts nothing."""
    for name in ("bytes", "adler32", "md5"):
        has, wants = getattr(held, name), getattr(file, name)
        if has is not None and wants is not None and has != wants:
            yield Action(Sign.ERROR, "file", str(did), f"Rucio has {name} {has}, the item says {wants}")


def _replica(did: Did, rse: str, pfn: str, held: Held) -> Iterator[Action]:
    if rse not in held.states:
        yield Action(Sign.ADD, "replica", f"{did} at {rse}", pfn)
        return
    has = held.pfns.get(rse, ())
    if has and pfn not in has:
        yield Action(Sign.CHANGE, "replica", f"{did} at {rse}", f"Rucio has {has[0]}, the item says {pfn}")


def surplus_files(held: HeldItem) -> frozenset[Did]:
    """Return the files that the dataset holds and the item does not have."""
    return held.content - held.placed.files.keys()


def surplus_keys(held: HeldItem) -> list[str]:
    """Return the metadata keys that the sync once wrote and the item no longer has."""
    found = held.placed.found
    recorded = set(found.metadata_keys) if found is not None and found.did == held.placed.wanted.did else set()
    ours = {key for key in held.metadata if key in recorded or key.startswith(OWN_PREFIX)}
    surplus = ours - held.placed.wanted.metadata.keys() - {COMMIT_KEY}
    return sorted(key for key in surplus if held.metadata[key] is not None)


def _metadata(held: HeldItem) -> Iterator[Action]:
    did = held.placed.wanted.did
    found = held.placed.found
    for key, value in sorted(held.placed.wanted.metadata.items()):
        if key == COMMIT_KEY and (held.metadata.get(key) or found is None or key not in found.metadata_keys):
            continue  # several commits may hold an item in the same words: the one that it came from stays
        if not same_json(held.metadata.get(key), value):
            sign = Sign.CHANGE if key in held.metadata else Sign.ADD
            yield Action(sign, "metadata", f"{did} {key}")
    for key in surplus_keys(held):
        yield Action(Sign.REMOVE, "metadata", f"{did} {key}")


def same_json(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether two JSON values are the same: 1 and 1.0 are one number, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_json, one, other))
    if (isinstance(one, float) and isinstance(other, int)) or (isinstance(one, int) and isinstance(other, float)):
        try:
            return float(one) == float(other)  # the database writes 1e23 out, and an integer comes back
        except OverflowError:
            return False
    return bool(one == other)


def settled_of(held: HeldItem) -> Settled:
    """Return what the tables should hold of an item: the mirror as Rucio has it.

    A replica that Rucio should have and has not is taken for new: it has a line of its own, and what the mirror says
    of it is no second difference.
    """
    registered = list(replicas_of(held.placed, held.files))
    shown = {(replica.did, replica.rse) for replica in registered}
    for did, rse, replica in held.placed.replicas():
        if (did, rse) not in shown:
            pfn = without_default_port(replica.pfn)
            registered.append(Replica(did, rse, pfn, NEW_STATE, replica.needs_login))
    return Settled(held.placed.wanted, Registered(held.placed.wanted.key, tuple(registered), links=held.placed.links))


def row_differences(
    held: Collection[HeldItem], differences: Iterable[RowDifference], *, by_trigger: bool = False
) -> Iterator[Action]:
    """Yield the lines of differing rows.

    The reason with which a place that has no RSE stays a link is left out of account: it quotes what Rucio answered.

    Parameters
    ----------
    held
        What is wanted and what Rucio holds.
    differences
        Of the rows of these items.
    by_trigger
        A trigger makes ObsCore rows of all metadata keys: other users' keys are in them, and no repair takes these.
    """
    places = {(*one.placed.wanted.key, link.name) for one in held for link in one.placed.links}
    others = {one.placed.wanted.obscore.obs_publisher_did: _others_keys(one) for one in held} if by_trigger else {}
    for difference in differences:
        if difference.columns == ("reason",) and difference.key in places:
            continue
        keys = others.get(difference.key[0], set()) if difference.table == "obscore" else set()
        if difference.columns and keys.issuperset(difference.columns):
            why = f"another user's metadata in Rucio say so: {', '.join(difference.columns)}"
            yield Action(Sign.ERROR, "obscore row", " ".join(difference.key), why)
        else:
            yield row_action(difference)


def _others_keys(held: HeldItem) -> set[str]:
    """Return the metadata keys of the dataset that neither are wanted nor were ever the sync's."""
    there = {key for key, value in held.metadata.items() if value is not None}
    return there - held.placed.wanted.metadata.keys() - set(surplus_keys(held))


def row_action(difference: RowDifference, why: str = "") -> Action:
    """Return the line of a differing row; ``mirror`` is what the tables say of Rucio's replicas."""
    what = "mirror" if difference.table == "replica" else f"{difference.table} row"
    if not difference.wanted:
        return Action(Sign.REMOVE, what, " ".join(difference.key), why)
    if not difference.there:
        return Action(Sign.ADD, what, " ".join(difference.key), why)
    return Action(Sign.CHANGE, what, " ".join(difference.key), why or ", ".join(difference.columns))
