"""What a file on disk is to become, by what Rucio holds under its name. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from stac_rucio_sync.model import Did, Hashed, Held


class Verdict(Enum):
    """What is to be done for a file."""

    NEW = "register and send"
    SEND = "send what is registered"
    AGAIN = "take back what this upload registered of other bytes, then register and send"
    PRESENT = "nothing"
    CONFLICT = "nothing: other bytes have the name"
    REFUSED = "nothing: Rucio is doing something else with it"


class Judged(NamedTuple):
    """A verdict and its reason, where it is a bad one."""

    verdict: Verdict
    reason: str | None = None


def judge(did: Did, hashed: Hashed, held: Held | None, rse: str, *, own: bool) -> Judged:
    """Say what is to be done for a file.

    Parameters
    ----------
    did
        Its name.
    hashed
        What it holds.
    held
        What Rucio holds under the name; None: nothing.
    rse
        Where it is to go.
    own
        Whether an earlier run of the same upload may have registered it there.
    """
    state = None if held is None else held.states.get(rse)
    different = None if held is None else difference(hashed, held)
    if held is not None and different is not None:
        if own and set(held.states) == {rse} and state == "COPYING":
            return Judged(Verdict.AGAIN)
        said = f"{did} is in Rucio with {different}: the bytes of a DID never change, give it another name"
        return Judged(Verdict.CONFLICT, said)
    if state == "BEING_DELETED":
        return Judged(Verdict.REFUSED, f"Rucio is deleting {did} at {rse}: try again when it is gone")
    return Judged(_BY_STATE.get(state, Verdict.SEND))


_BY_STATE: Final = {None: Verdict.NEW, "AVAILABLE": Verdict.PRESENT}


def difference(hashed: Hashed, held: Held) -> str | None:
    """Say in what a file and what Rucio holds differ; a value that Rucio does not have contradicts nothing."""
    for kind in ("bytes", "adler32", "md5"):
        has, wants = getattr(held, kind), getattr(hashed, kind)
        if has is not None and has != wants:
            return f"{kind} {has}, here it is {wants}"
    return None
