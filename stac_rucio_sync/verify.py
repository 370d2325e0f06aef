"""The audit: every item of a source against what Rucio and the tables really hold, and the repair of what differs.

The source is read whole, batch by batch, and memory does not grow with it. Nothing is written unless a repair is
asked for; a repair does for the items that differ what a sync does, and changes no state of a replica in Rucio.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from stac_rucio_sync.batch import BatchOutcome, BatchWork, Effects, Mapper
from stac_rucio_sync.differences import (
    lake_differences,
    row_action,
    row_differences,
    settled_of,
    surplus_files,
    surplus_keys,
)
from stac_rucio_sync.errors import ItemError, RefusedError
from stac_rucio_sync.mapping.fingerprint import fingerprint, settings_digest
from stac_rucio_sync.mapping.item import item_key
from stac_rucio_sync.model import Change, Did, Fate, Found, ItemBroken, ItemKey, ItemRead, Wanted
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.plan import Action, Sign, name_of
from stac_rucio_sync.seen import Contents, Seen
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sizes import open_sizer
from stac_rucio_sync.sources import Source
from stac_rucio_sync.stores.rucio.audit import HeldItem, RucioAudit
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.audit_rows import AuditRows
from stac_rucio_sync.stores.tables.rows import rows_of
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.verdict import VerifyReport

_PART = 1000
_TAKEN_BACK = {
    Fate.UNCHANGED: (Sign.SAME, "item"),
    Fate.CHANGED: (Sign.CHANGE, "item"),
    Fate.ADDED: (Sign.ADD, "item"),
    Fate.QUARANTINED: (Sign.ERROR, "item"),
}
"""What a later line of the same item takes back. Differences in Rucio and in the tables stay: they are there."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What one run does differently."""

    repair: bool = False
    """Repair what differs."""
    examples: int = 5
    """Lines that the report keeps of each kind."""
    on_action: Callable[[Action], None] | None = None
    """Is shown every difference."""
    on_progress: Callable[[VerifyReport, float | None], None] | None = None
    """Called after every batch with the report so far and the part of the source that was read."""


@dataclass(slots=True)
class _Examined:
    """A batch beside what is held of it."""

    actions: dict[ItemKey, list[Action]] = field(default_factory=dict)
    held: dict[ItemKey, HeldItem] = field(default_factory=dict)


Work = dict[ItemKey, tuple[ItemRead, str]]


class VerifyJob:
    """One audit of one source.

    Parameters
    ----------
    source, settings
        As for the sync: the same naming, the same fingerprints.
    tables, rows
        What the syncs recorded, and the comparison of rows.
    lake, audit
        What a repair writes by, and what Rucio is read by.
    options
        What this run does differently.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        tables: PostgresStore,
        rows: AuditRows,
        lake: RucioStore,
        audit: RucioAudit,
        options: VerifyOptions = VerifyOptions(),
    ) -> None:
        self.source = source
        self.settings = settings
        self.tables = tables
        self.rows = rows
        self.audit = audit
        self.options = options
        self.report = VerifyReport(source.name, repaired=options.repair)
        self._digest = settings_digest(settings)
        self._by_trigger = settings.rucio.metadata == "postgres"
        self._seen = Seen()
        self._contents = Contents()
        self._containers: set[Did] = set()
        self._sizer = open_sizer(settings.sync)
        self._mapper = Mapper(settings, tables, self._sizer, full=False)
        self._effects = Effects(settings, tables, lake, self._sizer, full=False)

    def run(self) -> VerifyReport:
        """Read the source to its end and compare; repair batch by batch where that is asked for.

        Returns
        -------
        VerifyReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        FatalError
            The source, Rucio or the database cannot go on.
        TransientError
            A store did not answer after all its retries.
        UsageError
            A repair is wanted while a sync of this source is running.
        """
        started = time.monotonic()
        alone = self.tables.hold_source(self.source.name) if self.options.repair else nullcontext()
        try:
            with alone:
                self._pass()
        finally:
            self.report.seconds = time.monotonic() - started
            self._seen.close()
            self._contents.close()
            if self._sizer is not None:
                self._sizer.close()
        return self.report

    def _pass(self) -> None:
        state = self.tables.source_state(self.source.name)
        if state is None or not state.items + state.quarantined:
            self.report.remark(
                f"nothing was synced under the name {self.source.name}: status shows the names there are"
            )
        reading = self.source.read(None)
        for batch in in_parts(reading, self.settings.sync.batch_items):
            self._batch(batch)
            if self.options.on_progress:
                self.options.on_progress(self.report, reading.fraction())
        self.report.complete = reading.complete
        for remark in reading.remarks:
            self.report.remark(remark)
        if reading.complete:
            self._leftovers()
        else:
            self.report.remark("the source was not read whole: leftovers that no item wants were not looked for")

    # --------------------------------------------------------------------------------------------------- one batch

    def _batch(self, changes: Sequence[Change]) -> None:
        latest = self._named(changes)
        fates: dict[ItemKey, Fate] = {}
        recorded, quarantined = self.tables.fingerprints(list(latest))
        deep: Work = {}
        shallow: Work = {}
        for key, (read, wanted) in latest.items():
            if quarantined.get(key) == wanted and recorded.get(key) != wanted:
                fates[key] = Fate.QUARANTINED
                self._tell(Action(Sign.ERROR, "item", name_of(key), "in quarantine"))
            elif key not in recorded:
                fates[key] = Fate.ADDED
                shallow[key] = (read, wanted)
                self._tell(Action(Sign.ADD, "item", name_of(key), "never synced"))
            elif recorded[key] != wanted:
                fates[key] = Fate.CHANGED
                shallow[key] = (read, wanted)
                self._tell(Action(Sign.CHANGE, "item", name_of(key), "changed since the last sync"))
            else:
                deep[key] = (read, wanted)
        examined = self._examine(deep)
        for key in deep:
            differences = examined.actions.get(key, [])
            fates[key] = Fate.FAILED if differences else Fate.UNCHANGED
            for action in differences or [Action(Sign.SAME, "item", name_of(key))]:
                self._tell(action)
        self._seen.put({key: (fate, None) for key, fate in fates.items()})
        if self.options.repair:
            self._repair(deep, shallow, examined)
            self.report.remaining += sum(fate is Fate.QUARANTINED for fate in fates.values())

    def _named(self, changes: Sequence[Change]) -> Work:
        """Name and fingerprint what was read; the last line of an item is the one that counts."""
        latest: Work = {}
        for change in changes:
            if isinstance(change, ItemBroken):
                self._broken(change.position, change.reason)
            elif isinstance(change, ItemRead):
                try:
                    key = item_key(change.stac, self.settings)
                except ItemError as error:
                    self._broken(change.position, str(error))
                    continue
                self.report.read += 1
                self.report.superseded += key in latest
                latest[key] = (change, fingerprint(change, self._digest))
        for key, (fate, _) in self._seen.get(list(latest)).items():
            self.report.superseded += 1
            if fate in _TAKEN_BACK:
                taken_back = Action(*_TAKEN_BACK[fate], name_of(key))
                if self.report.take_back(taken_back):
                    self._show(replace(taken_back, sign=Sign.SAME, why="taken back: the source has a later line of it"))
        return latest

    def _broken(self, position: str, reason: str) -> None:
        self.report.read += 1
        self.report.remaining += self.options.repair
        self._tell(Action(Sign.ERROR, "item", position, reason))

    def _examine(self, work: Work) -> _Examined:
        """Compare items that are recorded just as they are read with what Rucio and the tables hold."""
        examined = _Examined(actions={key: [] for key in work})
        if not work:
            return examined
        outcome = BatchOutcome()
        wanted = self._mapper.map(BatchWork(self.source.name, work), outcome)
        for refused in outcome.quarantined:
            if refused.key is not None:
                examined.actions[refused.key].append(Action(Sign.ERROR, "item", name_of(refused.key), refused.reason))
        for key, fate in outcome.fates.items():
            if fate is Fate.FAILED:
                examined.actions[key].append(Action(Sign.ERROR, "item", name_of(key), "its origin does not answer"))
        held = self._held(wanted)
        for one in held:
            key = one.placed.wanted.key
            attached = self._contents.meet(one.placed.wanted.container, one.placed.wanted.did)
            examined.held[key] = one
            examined.actions[key].extend(lake_differences(one, attached=attached))
        for key, action in self._row_actions(held):
            examined.actions[key].append(action)
        return examined

    def _held(self, wanted: Sequence[tuple[Wanted, Found | None]]) -> list[HeldItem]:
        held = self.audit.read(wanted)
        for container in sorted({one.container for one, _ in wanted} - self._containers):
            self.audit.children(container, lambda did, container=container: self._contents.add(container, did))  # type: ignore[misc] # mypy does not infer a lambda with a default
            self._containers.add(container)
        return held

    def _row_actions(self, held: Sequence[HeldItem]) -> Iterator[tuple[ItemKey, Action]]:
        """Yield differing rows, each with the item that it belongs to."""
        rows = rows_of(self.source.name, [settled_of(one) for one in held])
        of_key: dict[tuple[str, ...], ItemKey] = {tuple(one.placed.wanted.key): one.placed.wanted.key for one in held}
        of_row: dict[tuple[str, ...], ItemKey] = {
            (one.placed.wanted.obscore.obs_publisher_did,): one.placed.wanted.key for one in held
        }
        of_file: dict[tuple[str, ...], ItemKey] = {
            tuple(did): one.placed.wanted.key for one in held for did in one.placed.files
        }
        for difference in self.rows.differences(rows):
            for action in row_differences(held, [difference], by_trigger=self._by_trigger):
                key = of_row.get(difference.key[:1]) or of_key.get(difference.key[:2]) or of_file[difference.key[:2]]
                yield key, action

    # ------------------------------------------------------------------------------------------------------ repair

    def _repair(self, deep: Work, shallow: Work, examined: _Examined) -> None:
        """Do again what a sync does for the items that differ; then look again and count what remains."""
        differing = {key for key, actions in examined.actions.items() if actions}
        mendable = {key for key in differing if any(one.sign is not Sign.ERROR for one in examined.actions[key])}
        self.report.remaining += sum(len(examined.actions[key]) for key in differing - mendable)
        work = {key: deep[key] for key in mendable} | shallow
        if not work:
            return
        for key in mendable & examined.held.keys():
            self._take_away(examined.held[key])
        outcome = self._effects.apply(BatchWork(self.source.name, work), None)
        for key in work.keys() & outcome.fates.keys():
            self.report.remaining += 1
            self._show(Action(Sign.ERROR, "item", name_of(key), "remains: see quarantine or the remarks"))
        for sentence, count in outcome.remarks.items():
            self.report.remark(sentence, count)
        done = {key: one for key, one in work.items() if key not in outcome.fates}
        self._look_again(done)

    def _take_away(self, held: HeldItem) -> None:
        """Take out of Rucio what a registration would leave: files and metadata keys that are too many."""
        dataset = held.placed.wanted.did
        if held.kind != "DATASET":
            return
        self.audit.detach(dataset, surplus_files(held))
        try:
            self.audit.forget(dataset, surplus_keys(held))
        except RefusedError as error:
            self.report.remark(str(error))

    def _look_again(self, work: Work) -> None:
        """Count what remains of items that were registered: their datasets are attached, or it would have failed."""
        mapped = self._mapper.map(BatchWork(self.source.name, work), BatchOutcome()) if work else []
        held = self.audit.read(mapped)
        remaining: list[Action] = []
        for one in held:
            self._contents.add(one.placed.wanted.container, one.placed.wanted.did)
            attached = self._contents.meet(one.placed.wanted.container, one.placed.wanted.did)
            remaining.extend(lake_differences(one, attached=attached))
        remaining.extend(action for _, action in self._row_actions(held))
        self.report.remaining += len(remaining)
        for action in remaining:
            self._show(Action(Sign.ERROR, action.what, action.name, f"remains ({action.why})"))

    # --------------------------------------------------------------------------------------------------- leftovers

    def _leftovers(self) -> None:
        """Tell what no item wants: only after a complete read, when every item was met."""
        for keys in in_parts(self.tables.items_of_source(self.source.name), _PART):
            for key in self._seen.missing(keys):
                self._tell(
                    Action(Sign.REMOVE, "item", name_of(key), "no longer in the source: sync --delete removes it")
                )
                self.report.remaining += self.options.repair
        for rows in in_parts(self.rows.foreign(by_trigger=self._by_trigger), _PART):
            for row in rows:
                self._tell(row_action(row, "no item accounts for it"))
            if self.options.repair:
                self.rows.delete_foreign(rows)
        for pairs in in_parts(self._contents.unmet(), _PART):
            self._foreign_datasets(pairs)

    def _foreign_datasets(self, pairs: Sequence[tuple[Did, Did]]) -> None:
        """Tell of datasets in our containers that are no item's, of this source or of another."""
        known = self.rows.known_datasets([did for _, did in pairs])
        foreign: dict[Did, list[Did]] = defaultdict(list)
        for container, did in pairs:
            if did not in known:
                self._tell(Action(Sign.REMOVE, "attachment", f"{did} in {container}", "no item accounts for it"))
                foreign[container].append(did)
        if self.options.repair:
            for container, dids in foreign.items():
                self.audit.detach(container, dids)

    # ------------------------------------------------------------------------------------------------------ report

    def _tell(self, action: Action) -> None:
        """Count a line and, where it is a difference, show it."""
        self.report.count(action, self.options.examples)
        if action.sign is not Sign.SAME:
            self._show(action)

    def _show(self, action: Action) -> None:
        if self.options.on_action:
            self.options.on_action(action)
