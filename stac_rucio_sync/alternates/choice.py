"""Which replicas a reader wants to see, and by which addresses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality import Ranked

AVAILABLE: Final = ("AVAILABLE",)
STATES: Final = frozenset({"AVAILABLE", "UNAVAILABLE", "COPYING", "BEING_DELETED", "BAD", "TEMPORARY_UNAVAILABLE"})
"""Rucio's words for the state of a replica."""


class Shown(NamedTuple):
    """A replica that is shown, and the address that is written for it."""

    ranked: Ranked
    href: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which replicas are shown, and whether the nearest takes the asset's own place.

    Raises
    ------
    UsageError
        A state is none of Rucio's, or ``prefer`` is neither None nor ``nearest``.
    """

    prefer: Literal["nearest"] | None = None
    """``nearest``: the asset's href becomes that of the nearest replica that an HTTP client can read now."""
    states: Collection[str] | None = AVAILABLE
    """States of replicas that are shown; None: every state, and RSEs that are closed for reading too."""
    rses: Collection[str] | None = None
    """RSEs whose replicas are shown; None: all."""
    schemes: Collection[str] | None = None
    """Schemes of addresses that are shown (``https``, ``s3``, ``root`` ...); None: all."""

    def __post_init__(self) -> None:
        if self.prefer not in (None, "nearest"):
            raise UsageError(f"prefer is {self.prefer!r}: it can be 'nearest', or None")
        for name in ("states", "rses", "schemes"):
            if isinstance(getattr(self, name), str):
                raise UsageError(f"{name} is a text: a list of texts is expected")
        unknown = sorted(set(self.states or ()) - STATES)
        if unknown:
            raise UsageError(
                f"states: {', '.join(unknown)} is none of a replica in Rucio: {', '.join(sorted(STATES))} are"
            )

    def shown(self, ranked: Sequence[Ranked]) -> list[Shown]:
        """Return the replicas that are shown, in their order."""
        return [Shown(one, href) for one in ranked if (href := self._href(one)) is not None]

    def nearest(self, shown: Sequence[Shown]) -> Shown | None:
        """Return the first replica that can be read now: by HTTP, or by one of the schemes where they are named."""
        for one in shown:
            if one.ranked.readable and one.href == one.ranked.url:
                return one
            rse = one.ranked.rse
            is_open = one.ranked.replica.state == "AVAILABLE" and (rse is None or rse.available_read)
            if self.schemes is not None and is_open:
                return one
        return None

    def _href(self, ranked: Ranked) -> str | None:
        replica = ranked.replica
        if self.rses is not None and replica.rse not in self.rses:
            return None
        if self.states is not None:
            closed = ranked.rse is not None and not ranked.rse.available_read
            if closed or replica.state not in self.states:
                return None
        addresses = [address for address in (ranked.url, replica.pfn) if address]
        if self.schemes is None:
            return addresses[0] if addresses else None
        return next((one for one in addresses if one.partition("://")[0].lower() in self.schemes), None)
