"""The job: one pass over a source, batch by batch, and a report in which every item has one fate.

Order of effects in a batch: replicas, datasets and containers, metadata (all in Rucio), then table rows and sync
state in one transaction; the source's cursor goes with the last one. A crash anywhere leaves work to redo, never to
repair: everything is idempotent, and what was not committed is simply done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from stac_rucio_sync.asking import Asking
from stac_rucio_sync.batch import BatchOutcome, BatchWork, Effects, PlanOnly
from stac_rucio_sync.errors import FatalError, ItemError
from stac_rucio_sync.mapping.fingerprint import fingerprint, settings_digest
from stac_rucio_sync.mapping.item import item_key
from stac_rucio_sync.model import (
    Change,
    Cursor,
    Fate,
    ItemBroken,
    ItemKey,
    ItemRead,
    Quarantined,
    ReadEnd,
    Report,
    run_end,
)
from stac_rucio_sync.plan import Action, Sign, fate_of, name_of
from stac_rucio_sync.removal import Removal
from stac_rucio_sync.seen import Seen
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sizes import open_sizer
from stac_rucio_sync.sources import Reading, Source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.rows import plain_keys
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.under_way import STOP_SECONDS, Taken, UnderWay

_SETTINGS = "settings"
"""Key of a cursor: the digest of the settings by which the items were mapped that are not read again."""
Progress = Callable[[Report, float | None], None]
"""Called after every batch with the report so far and the part of the source that was read (0-1, None: unknown)."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What one run does differently."""

    dry_run: bool = False
    full: bool = False
    """Do everything again, whatever the last run recorded."""
    retry_quarantined: bool = False
    """Try items again that went to quarantine just as they are."""
    ask_again: bool = False
    """Ask origins now for all sizes that they did not tell."""
    delete: bool = False
    """Remove what the source no longer has, where the run saw all of it and nothing failed."""
    on_action: Callable[[Action], None] | None = None
    """Is shown every line of the plan (dry run)."""
    on_progress: Progress | None = None
    executor: Executor | None = None
    """Where sizes are asked of origins; None: in threads of this process."""


class SyncJob:
    """One run of the sync over one source."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        tables: PostgresStore,
        lake: RucioStore,
        options: SyncOptions = SyncOptions(),
    ) -> None:
        self.source = source
        self.settings = settings
        self.tables = tables
        self.options = options
        self.report = Report(source=source.name, dry_run=options.dry_run)
        self._started = datetime.now(UTC)
        self._digest = settings_digest(settings)
        self._seen = Seen()
        self._removal = Removal(settings, tables, lake, self.report, options.on_action) if options.delete else None
        self._nameless = 0
        self._sizer = None if options.dry_run else open_sizer(settings.sync, options.executor)
        self._asking = Asking(tables.untold, source.name, at_once=options.ask_again) if self._sizer else None
        self._effects: Effects | PlanOnly
        if options.dry_run:
            self._effects = PlanOnly(settings, tables, options.on_action)
        else:
            self._effects = Effects(settings, tables, lake, self._sizer, full=options.full)

    def run(self) -> Report:
        """Read the source to its end and do what is wanted.

        Returns
        -------
        Report
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        FatalError
            The source, Rucio or the database cannot go on; what was committed stays.
        TransientError
            A store did not answer after all its retries.
        UsageError
            Another sync of this source is running.
        """
        started = time.monotonic()
        try:
            if self.options.dry_run:
                self._remove(self._pass())
            else:
                with self._recorded(started):
                    self._remove(self._pass())
        finally:
            self.report.seconds = time.monotonic() - started
            self._seen.close()
            if self._sizer is not None:
                self._sizer.close()
            if self._removal is not None:
                self._removal.close()
        return self.report

    @contextmanager
    def _recorded(self, started: float) -> Iterator[None]:
        """Be the only run over the source, and have the tables tell how it ends."""
        source = self.source
        if self.options.retry_quarantined:  # the last run over the source is the one that set these aside
            with self.tables.hold_source(source.name):
                yield
            return
        error: BaseException | None = None
        with self.tables.lock_source(source.name, kind=source.kind, location=source.location):
            try:
                yield
            except BaseException as raised:
                error = raised
                raise
            finally:
                self.report.seconds = time.monotonic() - started
                self.tables.runs.end(source.name, run_end(self.report, error))

    def _remove(self, reading: Reading) -> None:
        """Remove what is gone; the source goes on from its cursor only when all that it said was done."""
        if self._removal is None:
            return
        self._removal.run(self._seen, nameless=self._nameless, lacking=reading.lacking)
        if reading.cursor is not None and self.report.failed == 0 and not self.options.dry_run:
            end = ReadEnd(self._kept(reading.cursor), self.report.complete, self._started)
            self.tables.commit(self.source.name, [], [], end)

    # ------------------------------------------------------------------------------------------------ the pass

    def _pass(self) -> Reading:
        """Read the source to its end."""
        state = self.tables.source_state(self.source.name)
        reading = self.source.read(self._usable(state.cursor) if state and not self.options.full else None)
        if reading.begun is not None and not self.options.dry_run:
            self.tables.begin(self.source.name, self._kept(reading.begun))
        under_way = UnderWay(self.settings.sync.workers, self._effects, self._account, self.report)
        try:
            for changes, last in _batches(self._changes(reading), self.settings.sync.batch_items):
                under_way.make_room()
                taken = self._take(changes, under_way)
                if last:
                    under_way.drain()
                    end = self._end(reading, len(taken.before) + taken.nameless, had_items=bool(state and state.items))
                    kept = None if self.options.retry_quarantined else end  # a retry is no read of the source
                    self._account(taken, self._effects.apply(self._work_of(taken), kept))
                elif taken.work or taken.quarantined:
                    under_way.begin(taken, self._work_of(taken))
                else:
                    self._account(taken, BatchOutcome())
                if self.options.on_progress:
                    self.options.on_progress(self.report, reading.fraction())
        except KeyboardInterrupt:
            under_way.wind_up(STOP_SECONDS)
            raise
        except BaseException:
            under_way.wind_up()
            raise
        finally:
            under_way.close()
        return reading

    def _changes(self, reading: Reading) -> Iterator[Change]:
        if self._asking is not None:
            yield from self._asking.changes(reading, self.settings.sync.batch_items)
        yield from reading

    def _usable(self, cursor: Cursor | None) -> Cursor | None:
        """Return what the last run left, without a cursor where its items were mapped by other settings."""
        if cursor is None or self.source.kind is None or cursor.get(_SETTINGS, self._digest) == self._digest:
            return cursor
        self.report.remark("the settings have changed since the last run: where it left off was not used")
        return None

    def _kept(self, cursor: Cursor) -> Cursor:
        return cursor | {_SETTINGS: self._digest}

    def _end(self, reading: Reading, last: int, *, had_items: bool) -> ReadEnd:
        """Say how the read ended; it is committed in one transaction with the ``last`` items' rows."""
        read = self.report.read + last
        if reading.complete and read == 0 and had_items:
            raise FatalError(
                f"{self.source.name} answered with no item where the last run found some: nothing was changed; "
                "if the source is really empty, say so by syncing it under another --name"
            )
        for remark in reading.remarks:
            self.report.remark(remark)
        self.report.complete = reading.complete
        later = self.report.failed > 0 or self._removal is not None
        cursor = None if later or reading.cursor is None else self._kept(reading.cursor)
        return ReadEnd(cursor, reading.complete, self._started)

    # ------------------------------------------------------------------------------------------------ one batch

    def _take(self, changes: Sequence[Change], under_way: UnderWay) -> Taken:
        """Name and fingerprint what was read, and decide what needs nothing more."""
        taken = Taken()
        latest: dict[ItemKey, tuple[ItemRead, str]] = {}
        gone: list[ItemKey] = []
        for change in changes:
            if isinstance(change, ItemBroken):
                taken.quarantined.append(Quarantined(None, change.position, change.reason))
                taken.nameless += 1
            elif isinstance(change, ItemRead):
                try:
                    key = item_key(change.stac, self.settings)
                except ItemError as error:
                    taken.quarantined.append(
                        Quarantined(None, change.position, str(error), stac=change.stac, href=change.href)
                    )
                    taken.nameless += 1
                    continue
                if key in latest:
                    taken.superseded += 1
                latest[key] = (change, fingerprint(change, self._digest))
            else:
                gone.append(change.key)
        self._nameless += taken.nameless
        self._note([key for key in gone if key not in latest])
        if self._removal is not None:
            self._removal.withdraw(latest)
        if under_way.has_any(latest):
            under_way.drain()  # an earlier line of the same item is still under way
        self._decide(latest, taken)
        return taken

    def _note(self, gone: Sequence[ItemKey]) -> None:
        """Take note of what the source itself says is gone: for the removal, or for the operator."""
        if gone and not self.options.dry_run:
            self.tables.removals.release(self.source.name, gone)
        if self._removal is not None:
            self._removal.note(gone)
        elif gone and (kept := len(self.tables.removals.look(self.source.name, gone))):
            self.report.remark("gone, by the source's own word, and kept: sync with --delete to remove it", kept)

    def _decide(self, latest: dict[ItemKey, tuple[ItemRead, str]], taken: Taken) -> None:
        """Split a batch into what is as it was and what is to be done."""
        keys = list(latest)
        earlier = self._seen.get(keys)
        recorded, quarantined = self.tables.fingerprints(keys)
        untold = {} if self._asking is None else self._asking.of(keys)
        for key, (read, wanted) in latest.items():
            if key in earlier:
                fate, before = earlier[key]
                taken.taken_back.append(fate)
            else:
                before = recorded.get(key)
            taken.before[key] = before
            if recorded.get(key) == wanted and not self.options.full:
                if untold.get(key):
                    taken.work[key] = (read, wanted)
                    taken.again.add(key)
                    continue
                taken.untold += key in untold
                taken.fates[key] = fate_of(before, wanted)
            elif quarantined.get(key) == wanted and not (self.options.full or self.options.retry_quarantined):
                taken.fates[key] = Fate.QUARANTINED
            else:
                taken.work[key] = (read, wanted)
        if not self.options.dry_run:
            untried = [key for key, fate in taken.fates.items() if fate is Fate.QUARANTINED]
            self.tables.keep_in_quarantine(untried)

    def _work_of(self, taken: Taken) -> BatchWork:
        return BatchWork(self.source.name, taken.work, tuple(taken.quarantined), frozenset(taken.again))

    def _account(self, taken: Taken, outcome: BatchOutcome) -> None:
        """Give every item of a batch its fate."""
        report = self.report
        for fate in taken.taken_back:
            report.count(fate, -1)
        report.count(Fate.SUPERSEDED, taken.superseded + len(taken.taken_back))
        report.count(Fate.QUARANTINED, taken.nameless)
        fates = dict(taken.fates)
        for key, (_, wanted) in taken.work.items():
            done = Fate.CHANGED if key in taken.again else fate_of(taken.before[key], wanted)
            fates[key] = outcome.fates.get(key) or done
        for fate in fates.values():
            report.count(fate)
        lost = (Fate.FAILED, Fate.QUARANTINED)
        report.untold += taken.untold + sum(outcome.fates.get(key) not in lost for key in outcome.untold)
        report.links_only += outcome.links_only
        report.defaulted += outcome.defaulted
        report.files += outcome.files
        report.replicas += outcome.replicas
        report.rows += outcome.rows
        for sentence, count in outcome.remarks.items():
            report.remark(sentence, count)
        met = {key: (fate, taken.before[key]) for key, fate in fates.items()}
        self._seen.put(met)
        if self._removal is not None:
            # What is recorded has no text that PostgreSQL cannot hold.
            self._seen.put(dict(zip(map(ItemKey, *plain_keys(list(met))), met.values(), strict=True)))
        if self.options.on_action:
            for quarantined in (*taken.quarantined, *outcome.quarantined):
                name = name_of(quarantined.key) if quarantined.key else quarantined.position
                self.options.on_action(Action(Sign.ERROR, "item", name, quarantined.reason))


def _batches(changes: Iterable[Change], size: int) -> Iterator[tuple[list[Change], bool]]:
    """Yield batches, each with whether it is the last; a source without an item has one empty last batch."""
    batch: list[Change] = []
    for change in changes:
        if len(batch) == size:
            yield batch, False
            batch = []
        batch.append(change)
    yield batch, True
