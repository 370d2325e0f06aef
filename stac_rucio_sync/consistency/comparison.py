"""One replica against one file: pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final

from stac_rucio_sync.consistency.findings import Fate, Finding, Remedy
from stac_rucio_sync.model import Did, Hashed
from stac_rucio_sync.model.storage import UNFINISHED, Elsewhere, RseReplica, StoredFile

RESTING: Final = {
    "BAD": Fate.BAD,
    "UNAVAILABLE": Fate.UNAVAILABLE,
    "BEING_DELETED": Fate.LEAVING,
    "TEMPORARY_UNAVAILABLE": Fate.AWAY,
}
"""States of replicas that promise no bytes."""

_NAMED: Final = 3
_SCOPE = re.compile(r"[a-zA-Z_\-.0-9]{1,25}")
_NAME = re.compile(r"[A-Za-z0-9][/A-Za-z0-9.\-_]{0,249}")


def compared(replica: RseReplica, file: StoredFile | None) -> Fate:
    """Compare what Rucio calls available with what the storage shows; a size that is not said differs from none."""
    if file is None:
        return Fate.MISSING
    if None not in (file.bytes, replica.bytes) and file.bytes != replica.bytes:
        return Fate.WRONG_SIZE
    return Fate.SAME


def other_checksum(replica: RseReplica, read: Hashed) -> str | None:
    """Say in which way the bytes that were read are others than Rucio's; what Rucio does not know differs from none."""
    for kind in ("bytes", "adler32", "md5"):
        has, says = getattr(read, kind), getattr(replica, kind)
        if says is not None and has != says:
            return f"the storage has {kind} {has}, Rucio says {says}"
    return None


def lacking(replica: RseReplica, fate: Fate, why: str, elsewhere: Elsewhere, *, declare_lost: bool = False) -> Finding:
    """Return what is found of an available replica whose bytes are missing or others.

    Parameters
    ----------
    replica, fate, why
        In which way.
    elsewhere
        Where else it is, and in what.
    declare_lost
        The last replica is to be declared bad, too.
    """
    others = [rse for rse in elsewhere.sources if rse != replica.rse]
    if others:
        then = f"so that Rucio copies it again from {' or '.join(others)}"
        return Finding(fate, replica.rse, replica.path, why, replica.did, Remedy.DECLARE_BAD, then)
    # Rucio's necromancer then detaches the file from its datasets, ends its locks and has its replica deleted.
    out = f", take it out of {_shortly(elsewhere.parents)}" if elsewhere.parents else ""
    lost = f"call the file lost{out} and delete what is there of it"
    if declare_lost:
        then = f"and as there is no other replica, Rucio will {lost}"
        return Finding(Fate.LAST, replica.rse, replica.path, why, replica.did, Remedy.DECLARE_BAD, then)
    why += f", and there is no other replica: put the file back there, or have Rucio {lost} (--declare-lost)"
    return Finding(Fate.LAST, replica.rse, replica.path, why, replica.did)


def _shortly(names: Sequence[str]) -> str:
    named = ", ".join(names[:_NAMED])
    return f"{named} and {len(names) - _NAMED} more" if len(names) > _NAMED else named


def unfinished(
    replica: RseReplica,
    file: StoredFile | None,
    read: Hashed | None,
    elsewhere: Elsewhere,
    ruled_by: str | None,
) -> Finding:
    """Return what is found of a replica that has been COPYING for long.

    Parameters
    ----------
    replica, file
        What Rucio and the storage say.
    read
        What reading the file told; None: there is none.
    elsewhere
        Where else it is, and in what.
    ruled_by
        The account of a rule that covers it, if one does.
    """

    def found(why: str, remedy: Remedy | None = None) -> Finding:
        return Finding(Fate.UNFINISHED, replica.rse, replica.path, f"COPYING for long, {why}", replica.did, remedy)

    if file is not None and read is not None and (replica.adler32 or replica.md5) and not other_checksum(replica, read):
        return found("and its bytes are there, with the right checksum", Remedy.MAKE_AVAILABLE)
    there = "without a file" if file is None else f"with another file of {file.bytes} bytes"
    if ruled_by is not None:
        return found(f"{there}; a rule of {ruled_by} waits for it")
    if elsewhere.rses <= {replica.rse} and elsewhere.parents:
        # With its last replica Rucio forgets a file, and takes it out of its datasets, and these out of theirs.
        return found(f"{there}; it is the only replica of a file in {', '.join(elsewhere.parents)}: detach it first")
    return found(there, Remedy.WITHDRAW if file is None else Remedy.WITHDRAW_AND_DELETE)


def stray(file: StoredFile, before: float, ignore: Sequence[str]) -> Fate:
    """Say what a file is that no replica accounts for.

    Parameters
    ----------
    file
        As the storage shows it.
    before
        Seconds since 1970: what changed later may be on its way. A file whose age is not known is old.
    ignore
        Patterns of paths that are passed over.
    """
    if any(fnmatchcase(file.path, pattern) for pattern in ignore):
        return Fate.IGNORED
    if file.changed is not None and file.changed > before:
        return Fate.YOUNG
    return Fate.LEFTOVER if file.path.endswith(UNFINISHED) else Fate.DARK


def finding_of_stray(rse: str, file: StoredFile, fate: Fate, *, may_delete: bool) -> Finding:
    """Return what is found of a dark file, or of what an upload left."""
    size = "" if file.bytes is None else f", {file.bytes} bytes"
    since = "" if file.changed is None else f", since {datetime.fromtimestamp(file.changed, UTC):%Y-%m-%dT%H:%M:%SZ}"
    what = "left by an upload that did not end" if fate is Fate.LEFTOVER else "dark: no replica accounts for it"
    return Finding(fate, rse, file.path, f"{what}{size}{since}", remedy=Remedy.DELETE if may_delete else None)


def possible_names(path: str) -> list[Did]:
    """Return the files that a path may stand for, by the rules that are in use.

    Rucio's listing of names leaves out files that were hidden; they have replicas none the less.
    """
    parts = path.split("/")
    guesses = []
    if len(parts) >= 2:
        guesses.append(Did(parts[-2], parts[-1]))  # scope/name at the end: the documented hash, parent dataset
        guesses.append(Did(".".join(parts[:-1]), parts[-1]))  # identity
        guesses.append(Did(parts[0], "/".join(parts[1:])))  # identity, and a name with folders
    if len(parts) == 3:
        guesses.append(Did(parts[1], f"{parts[0]}.{parts[2]}"))  # naming convention
    if len(parts) >= 4:
        guesses.append(Did(".".join(parts[:-3]), parts[-1]))  # Rucio's own hash
        guesses.append(Did(parts[0], "/".join(parts[3:])))
    return [did for did in dict.fromkeys(guesses) if _SCOPE.fullmatch(did.scope) and _NAME.fullmatch(did.name)]


def folder_of_scope(scope: str, settings: Mapping[str, object]) -> str | None:
    """Return the folder that holds all files of a scope at an RSE; None: its naming has none."""
    if not settings.get("deterministic") or settings.get("lfn2pfn_algorithm") not in ("hash", "identity"):
        return None
    return scope.replace(".", "/") if scope.startswith(("user", "group")) else scope
