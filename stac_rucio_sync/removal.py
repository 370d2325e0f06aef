"""Removal: what a source no longer has goes, last and in reverse order, and only where the run has seen it all.

Order of effects for a batch of gone items: their rows, files and links, in one transaction with a note of what is
left to do; then, in Rucio, the metadata, the attachment to the container, the replicas at origins; then the note. A
crash anywhere leaves a note behind, and the next removal of this source goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stac_rucio_sync.mapping.identifiers import container_did
from stac_rucio_sync.model import Gone, ItemKey, Kept, Removable, Report
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.plan import Action, Sign, name_of
from stac_rucio_sync.seen import ItemKeys, Seen
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore


class Removal:
    """Removes what is gone from one source, at the end of one run over it.

    Parameters
    ----------
    settings
        All settings.
    tables, lake
        The stores.
    report
        The run's; ``removed``, ``kept`` and remarks are counted here.
    on_action
        Is shown every line of the plan.
    """

    def __init__(
        self,
        settings: Settings,
        tables: PostgresStore,
        lake: RucioStore,
        report: Report,
        on_action: Callable[[Action], None] | None = None,
    ) -> None:
        self._settings = settings
        self._tables = tables
        self._lake = lake
        self._report = report
        self._on_action = on_action
        self._gone = ItemKeys()

    def note(self, keys: Iterable[ItemKey]) -> None:
        """Note that the source itself says that items are gone."""
        self._gone.put(keys)

    def withdraw(self, keys: Iterable[ItemKey]) -> None:
        """Note that the source has items, whatever it said of them before."""
        self._gone.discard(keys)

    def run(
        self, seen: Seen, *, nameless: int, lacking: Callable[[Iterable[ItemKey]], Iterator[ItemKey]] | None = None
    ) -> None:
        """Remove what was noted, and all that the source does not have: that a complete read did not meet.

        Parameters
        ----------
        seen
            What the run met, items that failed or went to quarantine included: those are not gone.
        nameless
            Items of the source that could not be named: each may be one that seems to be gone.
        lacking
            Yields those of some items that the source does not have, where it knows that without a read.

        Raises
        ------
        TransientError, FatalError
            A store cannot go on; what has begun is finished by the next removal.
        """
        report = self._report
        if report.failed:
            report.remark(f"nothing was removed: {report.failed} items failed")
            return
        if lacking is None and not (report.complete and report.read):
            report.remark(
                "what was not met was not removed: the source was not read whole, or only a part of it was asked for"
            )
        elif nameless:
            report.remark(f"what was not met was not removed: {nameless} items of the source cannot be told by a name")
        else:
            self._gather(seen, lacking)
        for keys in self._gone.batches(self._settings.sync.batch_items):
            self._remove(keys)

    def close(self) -> None:
        """Drop what was noted."""
        self._gone.close()

    def _gather(self, seen: Seen, lacking: Callable[[Iterable[ItemKey]], Iterator[ItemKey]] | None) -> None:
        """Note what the source does not have of all that is recorded, and what an earlier removal left half done."""
        recorded = self._tables.items_of_source(self._report.source)
        gone = recorded if lacking is None else lacking(recorded)
        for keys in in_parts(gone, self._settings.sync.batch_items):
            self._gone.put(seen.missing(keys))
        if not self._report.dry_run:
            self._gone.put(seen.missing(self._tables.removals.pending(self._report.source)))

    def _remove(self, keys: Sequence[ItemKey]) -> None:
        removals, removal = self._tables.removals, self._lake.removal
        take = removals.look if self._report.dry_run else removals.begin
        gone = take(self._report.source, keys)
        if not gone:
            return
        examined = removal.examine([(one, container_did(one.key.collection, self._settings)) for one in gone])
        denied: list[Kept] = []
        if not self._report.dry_run:
            denied = removal.apply(examined)
            removals.finish(keys)
        self._account(gone, [kept for one in examined for kept in one.kept] + denied)
        if self._on_action:
            for one in examined:
                for action in actions(one):
                    self._on_action(action)

    def _account(self, gone: Sequence[Gone], kept: Sequence[Kept]) -> None:
        self._report.removed += len(gone)
        reasons: dict[tuple[str, str], str] = {}
        for one in kept:
            reasons.setdefault(one.did, one.reason)
        self._report.kept += len(reasons)
        for reason in reasons.values():
            self._report.remark(f"kept in Rucio: {reason}")


def actions(removable: Removable) -> Iterator[Action]:
    """Yield the lines of a plan for one item that is gone."""
    gone = removable.gone
    yield Action(Sign.REMOVE, "item", name_of(gone.key))
    if removable.detach:
        yield Action(Sign.REMOVE, "dataset", str(gone.did), f"detached from {removable.container}")
    for did in removable.unused:
        yield Action(Sign.REMOVE, "file", str(did), f"detached from {gone.did}")
    for did, rse in removable.replicas:
        yield Action(Sign.REMOVE, "replica", f"{did} at {rse}")
    for kept in removable.kept:
        yield Action(Sign.SAME, "dataset" if kept.did == gone.did else "file", str(kept.did), f"kept: {kept.reason}")
