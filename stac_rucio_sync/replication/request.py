"""A request for copies: rules are made where there are none, on items, on chosen files, or on a dataset of the request.

Rucio calls a rule on an empty dataset OK at once. So an item without a file in the lake gets none, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.model import Did, JsonObject
from stac_rucio_sync.model.rules import LakeFile, Quota, Rule, RuleWish
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.replication.choice import Asked, Choice, asked_batches
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.registering import Registrar
from stac_rucio_sync.replication.survey import Destination, Watched
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Source
from stac_rucio_sync.stores.rucio.refusals import ExistsError, MissingError
from stac_rucio_sync.stores.rucio.rules import RULES_PER_CALL, RucioRules

Targets = dict[Did, dict[Did, str]]
"""By DID that carries a rule: the items that it is for, by their datasets, with their names."""

_WOULD_REGISTER = "the lake has no file of it yet; a dry run registers nothing, so its files are not counted"


class ItemFate(StrEnum):
    """What became of one item of a request. Every item has exactly one."""

    MADE = "made"
    """It has a rule now (in a dry run: it would)."""
    THERE = "there"
    """It had the same rule already."""
    NOT_REGISTERED = "not_registered"
    NOTHING_CHOSEN = "nothing_chosen"
    """It has no asset of the names or roles that were asked for."""
    UNREADABLE = "unreadable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    wish: RuleWish
    choice: Choice = field(default_factory=Choice)
    dataset: Did | None = None
    """One rule on this dataset, made for the request, that holds all files that are asked for."""
    register: bool = False
    """Register items that the lake does not know."""
    dry_run: bool = False


@dataclass(slots=True)
class RequestReport:
    """What a request did. ``read`` is the sum of the fates, always."""

    source: str
    destination: Destination
    dry_run: bool
    fates: dict[ItemFate, int] = field(default_factory=lambda: dict.fromkeys(ItemFate, 0))
    files: int = 0
    bytes: int = 0
    missing_files: int = 0
    """Of these, files that are at none of the RSEs yet."""
    missing_bytes: int = 0
    registered: int = 0
    """Items that were registered by this request."""
    rules: dict[str, Did] = field(default_factory=dict)
    """The rules that were made, by id."""
    rules_there: int = 0
    renewed: int = 0
    """Of the rules that were there: those that would have ended sooner than asked for, and do so no more."""
    left_out: dict[str, str] = field(default_factory=dict)
    """By item (or position): why it has no rule."""
    quotas: list[Quota] = field(default_factory=list)

    @property
    def read(self) -> int:
        """Items read: the sum of the fates."""
        return sum(self.fates.values())

    @property
    def clean(self) -> bool:
        """Every item that has what was asked for has a rule, and there is one."""
        good = self.fates[ItemFate.MADE] + self.fates[ItemFate.THERE]
        return good > 0 and good + self.fates[ItemFate.NOTHING_CHOSEN] == self.read

    def as_json(self) -> JsonObject:
        """Return the one object that ``--json`` prints."""
        return {
            "source": self.source,
            "rse_expression": self.destination.expression,
            "rses": sorted(self.destination.rses),
            "dry_run": self.dry_run,
            "read": self.read,
            **{fate.value: count for fate, count in self.fates.items()},
            "registered": self.registered,
            "files": self.files,
            "bytes": self.bytes,
            "missing_files": self.missing_files,
            "missing_bytes": self.missing_bytes,
            "rules": {rule: str(did) for rule, did in self.rules.items()},
            "rules_there": self.rules_there,
            "renewed": self.renewed,
            "quotas": [quota.as_json() for quota in self.quotas],
            "left_out": self.left_out,
        }


class RequestJob:
    """Asks for copies of the items of a source.

    Parameters
    ----------
    source
        The items.
    settings
        All settings.
    request
        What is asked for.
    holdings, rules
        The edges to Rucio.
    follow
        Remember the items that have a rule, to wait for them.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        request: Request,
        holdings: Holdings,
        rules: RucioRules,
        *,
        follow: bool = False,
    ) -> None:
        self._source = source
        self._settings = settings
        self._request = request
        self._holdings = holdings
        self._rules = rules
        self.on_progress: Callable[[RequestReport], None] = lambda _: None
        """Called after every batch."""
        expression = request.wish.rse_expression
        self.report = RequestReport(source.name, Destination(expression, rules.rses(expression)), request.dry_run)
        self._follow = follow
        self.watched: list[Watched] = []
        """The items that have a rule, with ``follow``."""
        self._known: dict[Did, Rule] = {}
        self._made: set[Did] = set()
        self._in_dataset: dict[Did, str] = {}

    def run(self) -> RequestReport:
        """Read the source and ask for copies, batch by batch.

        Returns
        -------
        RequestReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        UsageError
            The dataset of the request cannot be made.
        FatalError, TransientError
            The source cannot be read, or Rucio does not answer.
        """
        request, report = self._request, self.report
        registrar = Registrar(self._settings) if request.register and not request.dry_run else None
        self._look_at_rules()
        report.quotas = self._rules.quotas(report.destination.rses)
        try:
            for asked, unreadable in asked_batches(self._source, self._settings, request.choice):
                for one in unreadable:
                    self._leave_out(one.position, ItemFate.UNREADABLE, one.reason)
                self._take(asked, registrar)
                self.on_progress(report)
        finally:
            if registrar is not None:
                registrar.close()
        if request.dataset is not None and self._in_dataset:
            self._settle({request.dataset: self._in_dataset})
        return report

    # ---------------------------------------------------------------------------------------------------- a batch

    def _take(self, asked: Sequence[Asked], registrar: Registrar | None) -> None:
        files = self._holdings.files(asked)
        reason = _WOULD_REGISTER if self._request.register and self._request.dry_run else "the lake has no file of it"
        why = dict.fromkeys((one.did for one in asked if one.did not in files), reason)
        if registrar is not None and why:
            unknown = [one for one in asked if one.did in why and (one.assets or one.whole)]
            why |= registrar.register(unknown)
            files |= self._holdings.files(unknown)
            self.report.registered += sum(one.did in files for one in unknown)
        targets: Targets = {}
        measured: dict[Did, LakeFile] = {}
        for one in asked:
            if not one.assets and not one.whole:
                self._leave_out(one.name, ItemFate.NOTHING_CHOSEN, "it has no such asset")
            elif one.did not in files:
                self._leave_out(one.name, ItemFate.NOT_REGISTERED, why[one.did])
            else:
                if self._follow:
                    self.watched.append(Watched.of(one, files[one.did]))
                measured |= {file.did: file for file in files[one.did]}
                for did in self._targets(one, files[one.did]):
                    targets.setdefault(did, {})[one.did] = one.name
        self._measure(measured.values())
        dataset = self._request.dataset
        if dataset is None:
            self._settle(targets)
        elif targets:
            self._gather(dataset, targets)

    def _targets(self, one: Asked, files: Sequence[LakeFile]) -> list[Did]:
        """Return what carries the rules of an item: its dataset, or its files."""
        if self._request.choice.all and self._request.dataset is None:
            return [one.did]
        return [file.did for file in files]

    def _measure(self, files: Collection[LakeFile]) -> None:
        report = self.report
        missing = [file.bytes for file in files if not file.available_at(report.destination.rses)]
        report.files += len(files)
        report.bytes += sum(file.bytes for file in files)
        report.missing_files += len(missing)
        report.missing_bytes += sum(missing)

    def _gather(self, dataset: Did, targets: Targets) -> None:
        if not self._request.dry_run:
            if not self._in_dataset:
                self._rules.ensure_dataset(dataset)
            self._rules.attach(dataset, targets)
        for items in targets.values():
            self._in_dataset |= items

    def _leave_out(self, name: str, fate: ItemFate, reason: str) -> None:
        self.report.fates[fate] += 1
        self.report.left_out[name] = reason

    # ------------------------------------------------------------------------------------------------- the rules

    def _look_at_rules(self) -> None:
        wish = self._request.wish
        self._known = {
            rule.did: rule for rule in self._rules.own(rse_expression=wish.rse_expression) if rule.copies == wish.copies
        }

    def _settle(self, targets: Targets) -> None:
        """Make the rules of a batch that are missing, and give its items their fates."""
        new = [did for did in targets if did not in self._known and did not in self._made]
        there = [did for did in targets if did in self._known]
        failed = {} if self._request.dry_run else self._renew(there)
        if not self._request.dry_run:
            for call in in_parts(new, RULES_PER_CALL):
                failed |= self._make(call)
        self.report.rules_there += len(there)
        fates: dict[Did, ItemFate] = {}
        fate_of = dict.fromkeys(new, ItemFate.MADE) | dict.fromkeys(failed, ItemFate.FAILED)
        for did, items in targets.items():
            fate = fate_of.get(did, ItemFate.THERE)
            for item, name in items.items():
                if fate is ItemFate.FAILED:
                    self.report.left_out[name] = failed[did]
                fates[item] = max(fate, fates.get(item, ItemFate.THERE), key=_weight)
        for fate in fates.values():
            self.report.fates[fate] += 1

    def _make(self, dids: Sequence[Did]) -> dict[Did, str]:
        """Make rules; return why some could not be made."""
        try:
            made = self._rules.add(dids, self._request.wish)
        except ExistsError as error:
            self._look_at_rules()  # by an answer that got lost, or by somebody else at the same time
            left = [did for did in dids if did not in self._known]
            if len(left) == len(dids):
                return dict.fromkeys(dids, str(error))
            self.report.rules.update({self._known[did].id: did for did in dids if did in self._known})
            return self._make(left) if left else {}
        except MissingError as error:
            if len(dids) == 1:
                return {dids[0]: str(error)}
            middle = len(dids) // 2
            return self._make(dids[:middle]) | self._make(dids[middle:])
        except RefusedError as error:
            return dict.fromkeys(dids, str(error))
        self.report.rules.update(zip(made, dids, strict=True))
        self._made.update(dids)
        return {}

    def _renew(self, dids: Sequence[Did]) -> dict[Did, str]:
        """Let rules that are there end as late as is asked for (one that was deleted ends within the hour)."""
        lifetime = self._request.wish.lifetime
        until = None if lifetime is None else datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=lifetime)
        failed = {}
        for did in dids:
            rule = self._known[did]
            if rule.expires_at is None or (until is not None and rule.expires_at >= until - timedelta(minutes=1)):
                continue
            try:
                self._rules.prolong(rule.id, lifetime)
                self.report.renewed += 1
            except RefusedError as error:
                failed[did] = (
                    f"its rule {rule.id} ends at {rule.expires_at}Z, and Rucio lets us not prolong it: {error}"
                )
        return failed


def _weight(fate: ItemFate) -> int:
    return (ItemFate.THERE, ItemFate.MADE, ItemFate.FAILED).index(fate)


def named(left_out: dict[str, str], most: int) -> Iterator[str]:
    """Yield a line for each item that was left out, up to a number, and then how many more there are."""
    yield from (f"{name}: {reason}" for name, reason in islice(left_out.items(), most))
    if len(left_out) > most:
        yield f"… and {len(left_out) - most} more (--json names all)"
