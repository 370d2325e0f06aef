"""A source that is synced no more: what is remembered of it goes, and its items, where that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import JsonObject, Report
from stac_rucio_sync.plan import Action
from stac_rucio_sync.removal import Removal
from stac_rucio_sync.seen import Seen
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.runs import DESCRIBED
from stac_rucio_sync.stores.tables.store import PostgresStore


@dataclass(slots=True)
class ForgetReport:
    """What became of a source. Its items were removed or are left; the rest is counted apart."""

    removal: Report
    """Of its items: ``removed``, ``kept`` and remarks are counted here."""
    left: int = 0
    """Items that stay in Rucio and the tables."""
    quarantined: int = 0
    """Entries of the quarantine that are dropped."""
    forgotten: bool = False
    """Its state is gone, or would be; False: the run ended before its time."""

    def as_json(self) -> JsonObject:
        """Return the one object that ``--json`` prints."""
        told = self.removal.as_json()
        said = {name: told[name] for name in ("source", "dry_run", "removed", "kept")}
        said |= {"left": self.left, "quarantined": self.quarantined, "forgotten": self.forgotten}
        return said | {name: told[name] for name in ("seconds", "remarks")}


class Forgetting:
    """Forgets one source.

    Parameters
    ----------
    source
        Its name.
    settings
        All settings.
    tables, lake
        The stores.
    items
        Remove its items, too, as a sync with ``--delete`` of a source that has none would.
    dry_run
        Count, and change nothing.
    on_action
        Is shown every line of the plan.
    """

    def __init__(
        self,
        source: str,
        settings: Settings,
        tables: PostgresStore,
        lake: RucioStore,
        *,
        items: bool = False,
        dry_run: bool = False,
        on_action: Callable[[Action], None] | None = None,
    ) -> None:
        self._source = source
        self._tables = tables
        self._dry_run = dry_run
        self.report = ForgetReport(Report(source, dry_run=dry_run))
        self._removal = Removal(settings, tables, lake, self.report.removal, on_action) if items else None

    def run(self) -> ForgetReport:
        """Remove the items, if that is asked for, then the state: cursor, outcome of the last run, quarantine.

        Returns
        -------
        ForgetReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        UsageError
            There is no such source, or a sync of it is running.
        TransientError, FatalError
            A store cannot go on; the same again goes on from there.
        """
        started = time.monotonic()
        try:
            with nullcontext() if self._dry_run else self._tables.hold_source(self._source):
                self._check_is_known()
                if self._removal is not None:
                    with closing(Seen()) as nothing:
                        self._removal.run(nothing, nameless=0, lacking=iter)
                self._forget()
        finally:
            self.report.removal.seconds = time.monotonic() - started
            if self._removal is not None:
                self._removal.close()
        return self.report

    def _check_is_known(self) -> None:
        if self._source == DESCRIBED:
            raise UsageError(f"{DESCRIBED} is no source: it is what users of Rucio describe themselves")
        if not any(self._tables.runs.remembered(self._source)):
            raise UsageError(f"nothing is known of a source {self._source!r}: status shows the sources")

    def _forget(self) -> None:
        _, items, self.report.quarantined, pending = self._tables.runs.remembered(self._source)
        self.report.left = items - (self.report.removal.removed if self._dry_run else 0)
        if pending and self._removal is None:
            self.report.removal.remark("taken out of the tables, but not yet of Rucio: forget with --items", pending)
        if not self._dry_run:
            self._tables.runs.forget(self._source)
        self.report.forgotten = True
