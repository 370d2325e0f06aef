"""What is done to one batch of items that are new or changed: measure, map, register, commit.

``Effects`` does it, ``PlanOnly`` shows what would be done; the job knows no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from stac_rucio_sync.errors import ItemError, RefusedError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.assets import hrefs_to_measure
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import (
    Fate,
    Found,
    Item,
    ItemKey,
    ItemRead,
    Measured,
    Quarantined,
    ReadEnd,
    Registered,
    Settled,
    Wanted,
)
from stac_rucio_sync.plan import Action, actions, settle_content
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sizes import Sizer
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore


@dataclass(frozen=True, slots=True)
class BatchWork:
    """The items of a batch that need work, with their fingerprints, and what is known to be bad already."""

    source: str
    items: Mapping[ItemKey, tuple[ItemRead, str]]
    quarantined: tuple[Quarantined, ...] = ()
    again: frozenset[ItemKey] = frozenset()
    """Items that are as they were, and of which an origin did not tell a size before."""


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch. Items without a fate here were done."""

    fates: dict[ItemKey, Fate] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    untold: dict[ItemKey, str] = field(default_factory=dict)
    """What origins said in place of a size."""
    links_only: int = 0
    defaulted: int = 0
    files: int = 0
    replicas: int = 0
    rows: int = 0
    remarks: dict[str, int] = field(default_factory=dict)

    def remark(self, sentence: str) -> None:
        """Count a sentence for the operator."""
        self.remarks[sentence] = self.remarks.get(sentence, 0) + 1

    def set_aside(self, work: BatchWork, key: ItemKey, reason: str) -> None:
        """Send one item to quarantine."""
        read, fingerprint = work.items[key]
        self.fates[key] = Fate.QUARANTINED
        self.quarantined.append(Quarantined(key, read.position, reason, fingerprint, read.stac, read.href, read.commit))

    def count(self, wanted: Wanted) -> None:
        """Count what one item that was done brought along."""
        self.links_only += not wanted.files
        self.defaulted += "calib_level" in wanted.defaulted
        for column in wanted.defaulted:
            self.remark(f"{column} has its documented default: the item does not say it")
        self.files += len(wanted.files)
        for sentence in wanted.remarks:
            self.remark(sentence)


class Mapper:
    """From items as read to what is wanted for them; items that cannot be mapped are set aside."""

    def __init__(self, settings: Settings, tables: PostgresStore, sizer: Sizer | None, *, full: bool) -> None:
        self._settings = settings
        self._tables = tables
        self._sizer = sizer
        self._full = full

    def map(self, work: BatchWork, outcome: BatchOutcome) -> list[tuple[Wanted, Found | None]]:
        """Map a batch; what cannot be mapped gets its fate in ``outcome``."""
        items: dict[ItemKey, Item] = {}
        for key, (read, _) in work.items.items():
            try:
                items[key] = parse_item(read, self._settings)
            except ItemError as error:
                outcome.set_aside(work, key, str(error))
        found = self._tables.found(list(items)).items
        measured = self._measure(items, found, outcome, work.again)
        wanted: list[tuple[Wanted, Found | None]] = []
        for key, item in items.items():
            if key in outcome.fates:
                continue
            before = found.get(key)
            try:
                mapped = map_item(item, self._settings, measured, work.items[key][1])
                policy = self._settings.sync.on_changed_content
                wanted.append((settle_content(mapped, before, policy), before))
            except ItemError as error:
                outcome.set_aside(work, key, str(error))
        return wanted

    def _measure(
        self,
        items: Mapping[ItemKey, Item],
        found: Mapping[ItemKey, Found],
        outcome: BatchOutcome,
        again: frozenset[ItemKey],
    ) -> dict[str, Measured]:
        """Find sizes that items do not say: what the last run recorded for the same href, then the origin itself.

        An item whose origin does not answer has failed: it is not recorded, so the next run tries it again. One that
        is here only to be asked for again, in vain, needs nothing more.
        """
        known: dict[str, Measured] = {}
        asked: dict[str, list[ItemKey]] = {}  # several items may name one file
        for key, item in items.items():
            before = found.get(key)
            recorded = {pfn: file for file in before.files for pfn in file.pfns} if before else {}
            for _, href in hrefs_to_measure(item, self._settings):
                file = recorded.get(href)
                if file is not None and not self._full:
                    known[href] = Measured(file.bytes, file.adler32, file.md5)
                else:
                    asked.setdefault(href, []).append(key)
        if self._sizer is not None and asked:
            measured, impossible, unanswered = self._sizer.measure(asked)
            known.update(measured)
            for href, reason in (impossible | unanswered).items():
                failed = [] if href in impossible else [key for key in asked[href] if key not in again]
                outcome.fates.update(dict.fromkeys(failed, Fate.FAILED))
                outcome.untold.update({key: reason for key in asked[href] if key not in failed})
                outcome.remark(f"failed: {reason}" if failed else reason)
            told = {key for href in measured for key in asked[href]}
            outcome.fates.update(dict.fromkeys((again & outcome.untold.keys()) - told, Fate.UNCHANGED))
        return known


class Effects:
    """Does what is wanted for a batch, in the order that leaves nothing to repair."""

    def __init__(
        self, settings: Settings, tables: PostgresStore, lake: RucioStore, sizer: Sizer | None, *, full: bool
    ) -> None:
        self._mapper = Mapper(settings, tables, sizer, full=full)
        self._tables = tables
        self._lake = lake
        self._by_trigger = settings.rucio.metadata == "postgres"
        self._with_distances: set[str] = set()

    def apply(self, work: BatchWork, end: ReadEnd | None) -> BatchOutcome:
        """Register a batch in Rucio, then commit its rows and states, and with the last batch the end of the read."""
        outcome = BatchOutcome()
        wanted = self._mapper.map(work, outcome)
        self._tables.untold.asked(
            {key: reason for key, reason in outcome.untold.items() if outcome.fates.get(key) is Fate.UNCHANGED}
        )
        settled: list[Settled] = []
        asked = self._tables.clock() if wanted else None
        for (one, _), registered in zip(wanted, self._lake.register(wanted) if wanted else (), strict=True):
            if registered.refused is not None:
                outcome.set_aside(work, one.key, registered.refused)
            else:
                settled.append(Settled(_as_registered(one, registered), registered))
        if settled:
            self._record_rses()
        if self._by_trigger:
            settled = self._as_the_trigger_made(work, settled, outcome)
        self._commit(work, settled, end, outcome, asked)
        for quarantined in outcome.quarantined:
            outcome.remark(f"quarantined: {quarantined.reason}")
        return outcome

    def _record_rses(self) -> None:
        """Record the RSEs that were met; of one that the tables do not know yet, how far all others are from it."""
        met = self._lake.known_rses()
        self._tables.upsert_rses(met)
        new = {rse.rse for rse in met} - self._with_distances
        if not new:
            return
        self._with_distances |= new
        if unmeasured := self._tables.without_distances(new):
            rses, distances = self._lake.distances_from(unmeasured)
            self._tables.upsert_rses(rses)
            self._tables.upsert_distances(distances)

    def _as_the_trigger_made(self, work: BatchWork, settled: Sequence[Settled], outcome: BatchOutcome) -> list[Settled]:
        """Return the items whose ObsCore row is what is wanted, now that their metadata are written.

        What the trigger set aside is set aside with its reason. Another difference (somebody wrote metadata at the
        same time, or keys that are not ours) is a failure: the item is not recorded, so the next run tries it again.
        """
        differing = self._tables.differing_rows(settled)
        for key, difference in differing.items():
            if difference.reason is not None:
                outcome.set_aside(work, key, str(difference))
            else:
                outcome.fates[key] = Fate.FAILED
                outcome.remark(f"failed: {difference}")
        same = [one for one in settled if one.wanted.key not in differing]
        outcome.rows += len(same)
        return same

    def _commit(
        self,
        work: BatchWork,
        settled: Sequence[Settled],
        end: ReadEnd | None,
        outcome: BatchOutcome,
        asked: datetime | None,
    ) -> None:
        """Commit in one transaction; where the database refuses a row, halve until the guilty item is found."""
        quarantined = [*work.quarantined, *outcome.quarantined]
        if end is not None and Fate.FAILED in outcome.fates.values():
            end = replace(end, cursor=None)  # what failed must be read again
        try:
            outcome.rows += self._tables.commit(
                work.source,
                settled,
                quarantined,
                end,
                write_rows=not self._by_trigger,
                asked=asked,
                untold=outcome.untold,
            )
        except RefusedError as error:
            if not settled:
                raise
            if len(settled) == 1:
                outcome.set_aside(work, settled[0].wanted.key, f"the database refuses its row: {error}")
                self._commit(work, [], end, outcome, asked)
            else:
                half = len(settled) // 2
                self._commit(work, settled[:half], None, outcome, asked)
                self._commit(work, settled[half:], end, outcome, asked)
            return
        for one in settled:
            outcome.count(one.wanted)
            outcome.replicas += len(one.registered.replicas)
            for link in one.registered.links:
                outcome.remark(link.reason or "")


class PlanOnly:
    """Shows the plan of a batch and writes nothing anywhere."""

    def __init__(self, settings: Settings, tables: PostgresStore, on_action: Callable[[Action], None] | None) -> None:
        self._mapper = Mapper(settings, tables, None, full=False)
        self._on_action = on_action

    def apply(self, work: BatchWork, end: ReadEnd | None) -> BatchOutcome:
        """Map a batch and show its lines; rows and replicas are counted that a run would write at most."""
        del end
        outcome = BatchOutcome()
        for wanted, found in self._mapper.map(work, outcome):
            outcome.count(wanted)
            outcome.replicas += sum(len(file.replicas) for file in wanted.files)
            outcome.rows += 1 + (wanted.epn is not None)
            if self._on_action:
                for action in actions(wanted, found):
                    self._on_action(action)
        for quarantined in outcome.quarantined:
            outcome.remark(f"quarantined: {quarantined.reason}")
        return outcome


def _as_registered(wanted: Wanted, registered: Registered) -> Wanted:
    """Return what the tables should hold: files that Rucio has no RSE for are links there."""
    if not registered.links:
        return wanted
    links = {link.name for link in registered.links}
    files = tuple(file for file in wanted.files if file.asset not in links)
    return replace(wanted, files=files, links=wanted.links + registered.links)
