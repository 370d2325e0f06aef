"""The whole mirror compared with Rucio, file by file, and made to agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stac_rucio_sync.model import Did, JsonObject
from stac_rucio_sync.stores.rucio.calls import DIDS_PER_CALL
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges
from stac_rucio_sync.watch.comparison import Comparison
from stac_rucio_sync.watch.described import Described
from stac_rucio_sync.watch.did_links import DidLinks
from stac_rucio_sync.watch.surroundings import Surroundings


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild did, or would do."""

    dry_run: bool
    files: int = 0
    """Files that were compared."""
    changes: MirrorChanges = field(default_factory=MirrorChanges)
    leftovers: int = 0
    """Rows of files that no item has, removed too."""
    rses: int = 0
    """RSEs and distances that changed."""
    described: int = 0
    """DIDs that users of Rucio described and that have other files."""
    links: int = 0
    """DIDs whose metadata name other links."""
    seconds: float = 0.0

    def as_json(self) -> JsonObject:
        """Return the object that ``--json`` prints."""
        return {
            "dry_run": self.dry_run,
            "files": self.files,
            "added": self.changes.added,
            "changed": self.changes.changed,
            "removed": self.changes.removed + self.leftovers,
            "late": self.changes.late,
            "rses_changed": self.rses,
            "described_changed": self.described,
            "links_changed": self.links,
            "seconds": round(self.seconds, 3),
        }


class Rebuild:
    """One pass over all files that items have, and over all DIDs that users of Rucio described.

    It may run beside syncs and the watcher, and be cut short and begun again: each batch is a transaction of its own,
    and what is right already is not written.

    Parameters
    ----------
    rucio, mirror
        What is compared.
    dry_run
        Count what would change, and write nothing.
    links
        Brings the links that metadata name, too, except in a dry run.
    on_progress
        Called after every batch with the files compared so far and all that there are.
    """

    def __init__(
        self,
        rucio: RucioWatch,
        mirror: MirrorWrites,
        *,
        dry_run: bool = False,
        links: DidLinks | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._rucio = rucio
        self._mirror = mirror
        self._links = links
        self._on_progress = on_progress
        self._comparison = Comparison(rucio, mirror, write=not dry_run)
        self._described = Described(rucio, mirror, self._comparison, write=not dry_run)
        self.report = RebuildReport(dry_run)

    def run(self) -> RebuildReport:
        """Compare all files; the report is right, too, when an exception ends it early.

        Raises
        ------
        TransientError, FatalError
            Rucio or the database does not answer.
        """
        began = time.monotonic()
        try:
            self._run()
        finally:
            self.report.seconds = time.monotonic() - began
        return self.report

    def _run(self) -> None:
        report = self.report
        report.rses = Surroundings(self._rucio, self._mirror, write=not report.dry_run).all()
        polled_to = self._rucio.clock
        report.described, report.changes = self._described.all()
        total = self._mirror.count_files()
        last: Did | None = None
        while files := self._mirror.files_after(last, DIDS_PER_CALL):
            report.changes += self._comparison.compare(files)
            report.files += len(files)
            last = files[-1]
            if self._on_progress:
                self._on_progress(report.files, total)
        report.leftovers = self._mirror.of_no_file(drop=not report.dry_run)
        if not report.dry_run:
            report.links = self._links.all() if self._links else 0
            self._mirror.state.turn_ended()
            self._mirror.state.well(polled_to)
