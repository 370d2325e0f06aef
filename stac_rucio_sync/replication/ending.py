"""The end of rules: only one's own, and each with an outcome of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stac_rucio_sync.model import Did, JsonObject
from stac_rucio_sync.model.rules import Rule
from stac_rucio_sync.replication.choice import Asked
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.stores.rucio.refusals import DeniedError, MissingError
from stac_rucio_sync.stores.rucio.rules import RucioRules


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one rule."""

    rule_id: str
    did: Did | None
    outcome: str
    """``ended`` (or ``would end``), ``gone`` (there is no such rule), ``kept``."""
    reason: str | None = None

    @property
    def clean(self) -> bool:
        """The rule is as it was asked for."""
        return self.outcome in ("ended", "would end")

    def __str__(self) -> str:
        """Say it in one line."""
        on = f" on {self.did}" if self.did else ""
        return f"{self.rule_id}{on}: {self.outcome}" + (f" ({self.reason})" if self.reason else "")

    def as_json(self) -> JsonObject:
        """Return what ``--json`` prints of it."""
        return {
            "id": self.rule_id,
            "did": str(self.did) if self.did else None,
            "outcome": self.outcome,
            "reason": self.reason,
        }


def end_rules(
    rules: Iterable[str | Rule], edge: RucioRules, *, now: bool = False, purge: bool = False, dry_run: bool = False
) -> list[Ended]:
    """End rules; those of other accounts are kept, whatever the account may.

    Parameters
    ----------
    rules
        Rules, or their ids.
    edge
        The edge to Rucio.
    now, purge
        As of `RucioRules.end`.
    dry_run
        Change nothing.

    Raises
    ------
    UsageError
        An id is none.
    """
    return [_end(one, edge, now=now, purge=purge, dry_run=dry_run) for one in rules]


def _end(named: str | Rule, edge: RucioRules, *, now: bool, purge: bool, dry_run: bool) -> Ended:
    rule = edge.rule(named) if isinstance(named, str) else named
    if rule is None:
        return Ended(str(named), None, "gone", "there is no such rule")
    if rule.account != edge.account:
        return Ended(rule.id, rule.did, "kept", f"it is {rule.account}'s, not {edge.account}'s")
    if dry_run:
        return Ended(rule.id, rule.did, "would end")
    try:
        edge.end(rule.id, now=now, purge=purge)
    except DeniedError as error:
        return Ended(rule.id, rule.did, "kept", f"Rucio denies it to the account: {error}")
    except MissingError:
        return Ended(rule.id, rule.did, "gone", "it ended meanwhile")
    return Ended(rule.id, rule.did, "ended", "now" if now else "within the hour")


def rules_on(
    batches: Iterable[Sequence[Asked]], holdings: Holdings, edge: RucioRules, expression: str, *, whole: bool
) -> Iterator[Rule]:
    """Yield the account's rules of an RSE expression on items: on their datasets, or on their chosen files.

    Parameters
    ----------
    batches
        The items.
    holdings, edge
        The edges to Rucio.
    expression
        Exactly the RSE expression of the rules.
    whole
        The rules on the datasets, and on any of the files; else those on the files that are asked for.
    """
    by_did: dict[Did, list[Rule]] = {}
    for rule in edge.own(rse_expression=expression):
        by_did.setdefault(rule.did, []).append(rule)
    for batch in batches:
        dids = [one.did for one in batch] if whole else []
        dids += [file.did for files in holdings.files(batch).values() for file in files]
        for did in dids:
            yield from by_did.pop(did, ())
