"""The items in quarantine as a source: to be tried again as they were read, without their own source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemRead, JsonObject
from stac_rucio_sync.sources.protocol import Reading


class SetAside(Protocol):
    """What the quarantine holds of one item."""

    @property
    def position(self) -> str:
        """Where it stood."""

    @property
    def reason(self) -> str:
        """Why it was set aside."""

    @property
    def stac(self) -> JsonObject | None:
        """The item; None where it could not even be parsed."""

    @property
    def href(self) -> str | None:
        """Where it was read."""

    @property
    def commit(self) -> str | None:
        """The commit that made it what it is."""


@dataclass(frozen=True, slots=True)
class QuarantinedItems:
    """What one source has in quarantine."""

    name: str
    entries: Sequence[SetAside]
    kind: None = None
    location: None = None

    def read(self, cursor: Cursor | None) -> Reading:
        """Read all entries; what could not be parsed stays broken until its source is read again."""
        del cursor
        return Reading(self._changes(), filtered=True, expected=len(self.entries))

    def _changes(self) -> Iterator[Change]:
        for entry in self.entries:
            if entry.stac is None:
                yield ItemBroken(entry.position, entry.reason)
            else:
                yield ItemRead(entry.stac, entry.href, entry.position, entry.commit)
