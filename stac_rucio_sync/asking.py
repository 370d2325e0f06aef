"""Which items have their origins asked again for sizes that they did not tell before: not in each run, nor never."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from stac_rucio_sync.model import Change, ItemKey
from stac_rucio_sync.sources import Reading
from stac_rucio_sync.stores.tables.untold import Untold

ASKED_AGAIN = 10_000
"""Items at most that a run asks for again; those that are left are first in the next one."""


class Asking:
    """What one run asks again.

    Parameters
    ----------
    untold
        The tables' part.
    source
        Name of the source.
    at_once
        Ask for all that is wanting, whenever origins were asked last.
    """

    def __init__(self, untold: Untold, source: str, *, at_once: bool) -> None:
        self._untold = untold
        self._source = source
        self._left = sys.maxsize if at_once else ASKED_AGAIN
        self._at_once = at_once
        self._taken: set[ItemKey] = set()

    def changes(self, reading: Reading, batch: int) -> Iterator[Change]:
        """Yield what is due and would not be met otherwise: items as they are now, where a read has only what is new.

        They are taken from the tables ``batch`` at a time; what the source no longer has is left out.
        """
        if self._at_once:
            self._untold.hurry(self._source)
        while reading.again is not None and self._left:
            keys = self._untold.take_due(self._source, min(self._left, batch))
            if not keys:
                return
            self._left -= len(keys)
            self._taken.update(keys)
            yield from reading.again(keys)

    def of(self, keys: Sequence[ItemKey]) -> dict[ItemKey, bool]:
        """Return those of some items that lack sizes, and whether this run asks for them again."""
        return {key: self._is_time(key, due=due) for key, due in self._untold.of(keys).items()}

    def _is_time(self, key: ItemKey, *, due: bool) -> bool:
        if key in self._taken:
            self._taken.discard(key)
            return True
        if not due or not self._left:
            return False
        self._left -= 1
        return True
