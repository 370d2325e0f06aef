"""The words of an audit of storage: what lies at an RSE, and what Rucio says lies there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stac_rucio_sync.model.identity import Did

UNFINISHED: Final = ".rucio.upload"
"""Ends the names of files that are on their way, as in Rucio's own client."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as a storage shows it."""

    path: str
    """Below the prefix of the RSE's protocol, without a leading slash; bytes that are no UTF-8 are surrogates."""
    bytes: int | None = None
    changed: float | None = None
    """When its bytes changed last, in seconds since 1970 (UTC)."""


@dataclass(frozen=True, slots=True)
class RseReplica:
    """A replica at one RSE as Rucio tells it."""

    did: Did
    rse: str
    state: str
    """Rucio's word: AVAILABLE, COPYING, BAD, UNAVAILABLE, BEING_DELETED, TEMPORARY_UNAVAILABLE."""
    path: str | None
    """As of `StoredFile`; None: Rucio tells no address below a prefix of the RSE."""
    bytes: int | None = None
    adler32: str | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What stands around a file in Rucio."""

    available: tuple[str, ...] = ()
    """RSEs with an available replica of it."""
    away: tuple[str, ...] = ()
    """RSEs whose replica of it somebody declared temporarily unavailable."""
    rses: frozenset[str] = frozenset()
    """RSEs with a replica of it in any state."""
    parents: tuple[str, ...] = ()
    """``scope:name`` of the collections above it."""

    @property
    def sources(self) -> tuple[str, ...]:
        """RSEs that Rucio copies it from, now or later."""
        return (*self.available, *self.away)
