"""The states of the items of a request at an RSE, and waiting until nothing is on its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from stac_rucio_sync.model import Did, ItemKey, JsonObject
from stac_rucio_sync.model.rules import LakeFile
from stac_rucio_sync.replication.choice import Asked
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.states import ItemState, State, is_copying, is_stuck, state_of
from stac_rucio_sync.stores.rucio.rules import RucioRules

_FIRST_PAUSE: Final = 0.5
_GRACE: Final = 5.0
"""Seconds that a file may take to show that it is on its way."""
_LONGEST_PAUSE: Final = 15.0
"""Seconds between two looks: each costs Rucio a call for 1,000 files that are under way."""

Progress = Callable[[int, int], None]
"""Called after every look with the files that are there and all that are waited for."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where copies are asked for: an RSE expression and what it stands for, taken as one place."""

    expression: str
    rses: frozenset[str]


@dataclass(slots=True)
class Watched:
    """An item that is followed."""

    key: ItemKey
    did: Did
    assets: int
    """How many are asked for."""
    files: Sequence[LakeFile]

    @classmethod
    def of(cls, asked: Asked, files: Sequence[LakeFile]) -> Watched:
        """Return an item of a request with its files."""
        return cls(asked.item.key, asked.did, len(asked.assets), files)


@dataclass(slots=True)
class Survey:
    """The states of many items."""

    states: list[ItemState] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """By position in the source: why something there is no item."""
    timed_out: bool = False
    """Waiting ended before everything was there or stuck."""

    def count(self, state: State) -> int:
        """Return how many items have a state."""
        return sum(one.state is state for one in self.states)

    @property
    def complete(self) -> bool:
        """There is an item, and every one is complete."""
        return bool(self.states) and self.count(State.COMPLETE) == len(self.states) and not self.unreadable

    def as_json(self) -> JsonObject:
        """Return what ``--json`` prints of it."""
        return {
            "states": {state.value: self.count(state) for state in State},
            "items": [one.as_json() for one in self.states],
            "unreadable": self.unreadable,
            "timed_out": self.timed_out,
        }

    def titled(self) -> Iterator[str]:
        """Yield a line for each item, and one below it for each of its files that is stuck."""
        for one in self.states:
            yield f"{one.key.collection}/{one.key.id}: {one}"
            yield from (f"  {did}: {reason}" for did, reason in one.reasons.items())
        yield from (f"{position}: no item: {reason}" for position, reason in self.unreadable.items())

    def stuck(self) -> Iterator[str]:
        """Yield a line for each file that is stuck."""
        yield from (f"  {did}: {reason}" for one in self.states for did, reason in one.reasons.items())

    def summary(self) -> str:
        """Say in one line how many items have which state."""
        counts = ", ".join(f"{count} {state.value}" for state in State if (count := self.count(state)))
        late = "; the time was up before all was there or stuck" if self.timed_out else ""
        return f"{len(self.states)} items: {counts or 'none'}{late}"


class Surveyor:
    """Looks at items at one place.

    Parameters
    ----------
    holdings, rules
        The edges to Rucio.
    destination
        Where the copies should be.
    """

    def __init__(self, holdings: Holdings, rules: RucioRules, destination: Destination) -> None:
        self._holdings = holdings
        self._rules = rules
        self._destination = destination

    def look(self, asked: Sequence[Asked]) -> list[Watched]:
        """Return the items of a batch with their files as Rucio holds them now."""
        files = self._holdings.files(asked)
        return [Watched.of(one, files.get(one.did, ())) for one in asked]

    def states(self, watched: Sequence[Watched]) -> list[ItemState]:
        """Return the states of items, with the reasons of what is stuck."""
        rses = self._destination.rses
        stuck = {file.did: one for one in watched for file in one.files if is_stuck(file, rses)}
        reasons: dict[Did, str] = {}
        if stuck:
            datasets = {one.did for one in stuck.values()}
            reasons = self._rules.why_stuck(datasets, stuck.keys(), rses, self._destination.expression)
        return [state_of(one.key, one.did, one.files, one.assets, rses, reasons) for one in watched]

    def wait(self, watched: Sequence[Watched], timeout: float | None, progress: Progress | None = None) -> bool:
        """Look again and again until nothing is on its way: every file is there, stuck, or not coming at all.

        Parameters
        ----------
        watched
            Items, whose files are brought up to date.
        timeout
            Seconds; None: as long as it takes.
        progress
            Is told how far it is.

        Returns
        -------
        bool
            False: the time was up before.
        """
        began = time.monotonic()
        deadline = None if timeout is None else began + timeout
        rses, pause = self._destination.rses, _FIRST_PAUSE
        files = {file.did: file for one in watched for file in one.files}
        while True:
            pending = [file for file in files.values() if not file.available_at(rses)]
            refreshed = self._holdings.refreshed(pending)
            files.update((file.did, file) for file in refreshed)
            for one in watched:
                one.files = [files[file.did] for file in one.files]
            left = [file for file in refreshed if not file.available_at(rses)]
            if progress:
                progress(len(files) - len(left), len(files))
            if self._is_over(left, time.monotonic() - began):
                return True
            if deadline is not None and time.monotonic() + pause > deadline:
                return False
            pause = _FIRST_PAUSE if len(left) < len(pending) else min(pause * 1.5, _LONGEST_PAUSE)
            time.sleep(pause)

    def _is_over(self, left: Sequence[LakeFile], seconds: float) -> bool:
        """Tell whether nothing is on its way any more.

        Rucio makes the locks of very large rules later (state INJECT), so a file of which nothing is seen at the place
        may still come.
        """
        if any(is_copying(file, self._destination.rses) for file in left):
            return False
        if all(is_stuck(file, self._destination.rses) for file in left):
            return True
        if seconds < _GRACE:
            return False
        return not any(rule.state == "INJECT" for rule in self._rules.own(rse_expression=self._destination.expression))
