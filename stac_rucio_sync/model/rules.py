"""What replication is about: rules, quotas, and the files of an item as Rucio holds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stac_rucio_sync.model.found import Replica
from stac_rucio_sync.model.identity import Did, JsonObject


@dataclass(frozen=True, slots=True)
class RuleWish:
    """What a rule shall say."""

    rse_expression: str
    copies: int = 1
    lifetime: int | None = None
    """Seconds; None: until it is deleted."""
    activity: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A replication rule as Rucio tells it."""

    id: str
    did: Did
    account: str
    rse_expression: str
    copies: int
    state: str
    """Rucio's word: OK, REPLICATING, STUCK, SUSPENDED, WAITING_APPROVAL, INJECT."""
    ok: int
    """Locks on files that are there."""
    replicating: int
    stuck: int
    expires_at: datetime | None
    """UTC, without a zone as Rucio gives it."""
    error: str | None
    """The message of the last transfer that failed."""

    def __str__(self) -> str:
        """Say it in one line."""
        ends = f", ends {self.expires_at:%Y-%m-%dT%H:%M:%SZ}" if self.expires_at else ""
        error = f": {self.error}" if self.error else ""
        locks = f"{self.ok} there, {self.replicating} under way, {self.stuck} stuck"
        return f"{self.id}  {self.did}  {self.copies} at {self.rse_expression}  {self.state} ({locks}{ends}){error}"

    def as_json(self) -> JsonObject:
        """Return what ``--json`` prints of it."""
        return {
            "id": self.id,
            "did": str(self.did),
            "account": self.account,
            "rse_expression": self.rse_expression,
            "copies": self.copies,
            "state": self.state,
            "ok": self.ok,
            "replicating": self.replicating,
            "stuck": self.stuck,
            "expires_at": f"{self.expires_at.isoformat()}Z" if self.expires_at else None,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account may still lock at an RSE. Bytes."""

    rse: str
    limit: int | None
    """None: Rucio knows no limit of the account there, and lets nobody but administrators lock anything."""
    used: int

    @property
    def remaining(self) -> int:
        """Bytes left; never negative."""
        return max(0, (self.limit or 0) - self.used)

    def as_json(self) -> JsonObject:
        """Return what ``--json`` prints of it."""
        return {"rse": self.rse, "limit": self.limit, "used": self.used, "remaining": self.remaining}


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file of an item's dataset as Rucio holds it, with its replicas in every state."""

    asset: str
    """The asset's key; the file's name where nothing tells the asset."""
    did: Did
    bytes: int
    adler32: str | None
    md5: str | None
    replicas: tuple[Replica, ...]

    def available_at(self, rses: frozenset[str]) -> bool:
        """Tell whether one of some RSEs has the file."""
        return any(replica.state == "AVAILABLE" and replica.rse in rses for replica in self.replicas)
