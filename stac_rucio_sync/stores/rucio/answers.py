"""What Rucio says that it holds of files, in any answer of its ``list_replicas``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stac_rucio_sync.addresses import without_default_port
from stac_rucio_sync.model import Did, File, Held

#: States of replicas that hold the bytes, as far as Rucio knows.
_READABLE = frozenset({"AVAILABLE", "TEMPORARY_UNAVAILABLE"})
#: Rucio shows one protocol of an RSE unless it is told which; the first of these is what most clients can read.
SCHEMES = ("https", "http", "davs", "s3", "s3s", "gs", "root", "roots", "gsiftp", "srm", "ftp", "file", "mock")


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


def held_in(held: Mapping[Did, Held], did: Did) -> Held:
    """Return what Rucio holds of a file; of one that it does not know, nothing."""
    return held.get(did, _NOTHING)


_NOTHING = Held()


def readable_first(pfn: str) -> int:
    """Return the place of an address among those of one replica: the first is what most clients can read."""
    scheme = pfn.partition("://")[0]
    return SCHEMES.index(scheme) if scheme in SCHEMES else len(SCHEMES)


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
