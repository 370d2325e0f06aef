"""Replication rules, quotas and the datasets of requests: in bulk, with the rights of an ordinary account."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from stac_rucio_sync.errors import RefusedError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.model.rules import Quota, Rule, RuleWish
from stac_rucio_sync.stores.rucio.account import RucioAccount
from stac_rucio_sync.stores.rucio.calls import did_json, in_calls
from stac_rucio_sync.stores.rucio.refusals import DeniedError, MissingError

RULES_PER_CALL: Final = 250
"""Rucio makes all rules of a call in one transaction, with a lock for every file."""
EXAMINED: Final = 200
"""Stuck rules, and stuck files, that are looked at one by one; for the rest the rule's own message is told."""


class RucioRules(RucioAccount):
    """Adds, lists and ends rules as one account."""

    # --------------------------------------------------------------------------------------------------- looking

    def own(self, *, rse_expression: str | None = None, stuck: bool = False) -> list[Rule]:
        """Return the account's rules, of all or of exactly one RSE expression."""
        filters = {"account": self.account}
        if rse_expression is not None:
            filters["rse_expression"] = rse_expression
        if stuck:
            filters["state"] = "S"
        return [_rule(row) for row in self._calls.send("list_replication_rules", filters)]

    def rule(self, rule_id: str) -> Rule | None:
        """Return one rule of anybody; None: there is none, or no more.

        Raises
        ------
        UsageError
            It is no id of a rule.
        """
        try:
            return _rule(self._calls.send("get_replication_rule", rule_id))
        except MissingError:
            return None
        except RefusedError as error:
            raise UsageError(f"{rule_id!r} is no id of a rule: {error}") from error

    def quotas(self, rses: Iterable[str]) -> list[Quota]:
        """Return what the account may lock at RSEs, and what it has locked there."""
        limits: Mapping[str, int] = self._calls.send("get_local_account_limits", self.account)
        used = {row["rse"]: row["bytes"] for row in self._calls.send("get_local_account_usage", self.account)}
        return [Quota(rse, limits.get(rse), used.get(rse) or 0) for rse in sorted(rses)]

    def why_stuck(
        self, datasets: Collection[Did], files: Collection[Did], rses: frozenset[str], expression: str
    ) -> dict[Did, str]:
        """Say why files are stuck on their way to RSEs, as far as Rucio lets the account know.

        Parameters
        ----------
        datasets
            The datasets of the files: anybody's rules on them are looked at, beside all of the account's own.
        files
            The files in question.
        rses
            The destinations.
        expression
            The RSE expression: own rules of it on other datasets (those of requests) are looked at, too.
        """
        wanted = {*datasets, *files}
        ids = {rule.id for rule in self.own(stuck=True) if rule.did in wanted or rule.rse_expression == expression}
        for call in in_calls(datasets):
            asked = [{**did_json(did), "type": "dataset"} for did in call]
            locks = self._calls.send("get_locks_for_dids", asked)
            ids |= {lock["rule_id"] for lock in locks if lock["state"] == "STUCK" and lock["rse"] in rses}
        reasons: dict[Did, str] = {}
        for rule_id in sorted(ids)[:EXAMINED]:
            examined = self._examined(rule_id)
            for transfer in examined.get("transfers", ()):
                did = Did(transfer["scope"], transfer["name"])
                if did in files and transfer["rse"] in rses and did not in reasons:
                    said = self._message(did, transfer["rse"]) if len(reasons) < EXAMINED else None
                    reasons[did] = said or _reason(transfer, examined.get("rule_error"))
        return reasons

    def _examined(self, rule_id: str) -> Mapping[str, Any]:
        try:
            examined: Mapping[str, Any] = self._calls.send("examine_replication_rule", rule_id)
        except MissingError:
            return {}
        return examined

    def _message(self, did: Did, rse: str) -> str | None:
        """Return the message of the last transfer of one file; ordinary accounts are often denied it."""
        try:
            request = self._calls.send("list_request_history_by_did", did.name, rse, did.scope)
        except (DeniedError, MissingError):
            return None
        message = request.get("err_msg") if isinstance(request, Mapping) else None
        return str(message) if message else None

    # -------------------------------------------------------------------------------------------------- changing

    def add(self, dids: Sequence[Did], wish: RuleWish) -> list[str]:
        """Make a rule on each of some DIDs, all or none of a call; return their ids in order.

        Parameters
        ----------
        dids
            At most `RULES_PER_CALL`.
        wish
            What the rules say.

        Raises
        ------
        ExistsError
            One is there already (also after an answer that got lost).
        MissingError
            One of the DIDs is gone.
        RefusedError
            Rucio refuses them: the quota, too few RSEs, an RSE that is closed for writing ...
        """
        ids = self._calls.send(
            "add_replication_rule",
            [did_json(did) for did in dids],
            wish.copies,
            wish.rse_expression,
            lifetime=wish.lifetime,
            activity=wish.activity,
            comment=wish.comment,
            account=self.account,
        )
        return [str(one) for one in ids]

    def end(self, rule_id: str, *, now: bool = False, purge: bool = False) -> None:
        """Let a rule end: within the hour that Rucio gives its owner to think better of it, or at once.

        ``purge``: the copies that no other rule holds go at once, too, not when their space is needed.

        Raises
        ------
        DeniedError
            The account may not (Rucio's generic rules let administrators alone end rules).
        MissingError
            There is no such rule.
        """
        if now:
            self._calls.send(
                "update_replication_rule", rule_id, {"lifetime": 0} | ({"purge_replicas": True} if purge else {})
            )
        else:
            self._calls.send("delete_replication_rule", rule_id, purge_replicas=purge or None)

    def prolong(self, rule_id: str, lifetime: int | None) -> None:
        """Let a rule end so many seconds from now; None: not by itself.

        Raises
        ------
        DeniedError, MissingError
            As of `end`.
        """
        self._calls.send("update_replication_rule", rule_id, {"lifetime": lifetime})

    def attach(self, dataset: Did, files: Iterable[Did]) -> None:
        """Put files into a dataset; those that are in it already stay there."""
        for call in in_calls(dict.fromkeys(files)):
            attachment = {**did_json(dataset), "dids": [did_json(did) for did in call]}
            self._calls.send("attach_dids_to_dids", [attachment], ignore_duplicate=True)


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        row["id"],
        Did(row["scope"], row["name"]),
        row["account"],
        row["rse_expression"],
        row["copies"],
        row["state"],
        row["locks_ok_cnt"],
        row["locks_replicating_cnt"],
        row["locks_stuck_cnt"],
        row["expires_at"],
        row["error"],
    )


def _reason(transfer: Mapping[str, Any], error: str | None) -> str:
    attempts, source = transfer["attempts"], transfer["last_source"]
    if not attempts:
        return f"Rucio has nowhere to copy it from: {error or 'no source'}"
    where = f" from {source}" if source else ""
    said = f"; the rule's last message: {error}" if error else ""
    return f"{attempts} transfers{where} failed{said}"
