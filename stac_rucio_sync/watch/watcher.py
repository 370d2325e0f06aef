"""The watcher: looks at Rucio again and again, takes events in between, and keeps the mirror as Rucio tells it.

A look asks for four things: what RSEs say of themselves, which replicas changed since the last look, the files of DIDs
that users of Rucio described, and a portion of all files, in turn, whatever was heard of them. The second is quick and
does not see deletions; events do, where Hermes sends them; the last heals within a bounded time what both have missed.
All end in the same bulk question for files, and an answer is written unless a newer one is there
(`stac_rucio_sync.stores.tables.replica_rows`). So it makes no difference when a look is cut short, when an event comes
twice, late or never, or when a sync writes at the same time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from stac_rucio_sync.errors import FatalError, SyncError
from stac_rucio_sync.mapping.identifiers import container_did
from stac_rucio_sync.model import Did, Held, JsonObject
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import DIDS_PER_CALL
from stac_rucio_sync.stores.rucio.watch import RucioWatch, mirrored
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges
from stac_rucio_sync.stores.tables.watch_state import WatchLock
from stac_rucio_sync.watch.comparison import Comparison
from stac_rucio_sync.watch.described import Described
from stac_rucio_sync.watch.did_links import DidLinks
from stac_rucio_sync.watch.events import Heard
from stac_rucio_sync.watch.rebuild import Rebuild
from stac_rucio_sync.watch.repeats import Repeats
from stac_rucio_sync.watch.surroundings import Surroundings

LOG = logging.getLogger(__name__)

REST = 4.0
"""A look is followed by a pause of at least this many times what it took: Rucio has others to answer, too."""


@dataclass(slots=True)
class Look:
    """What one look, or one post of events, came to."""

    why: str = "look"
    """``look``, ``events``, or ``rebuild`` (the first look of all)."""
    changes: MirrorChanges = field(default_factory=MirrorChanges)
    heard: int = 0
    """Files that had changed in Rucio, or that events named."""
    compared: int = 0
    """Files whose turn it was."""
    rses: int = 0
    """RSEs and distances that changed."""
    described: int = 0
    """DIDs that users of Rucio described and that have other files."""
    links: int = 0
    """DIDs whose metadata name other links."""
    seconds: float = 0.0
    failed: str | None = None
    """Why it was cut short."""

    def as_json(self) -> JsonObject:
        """Return the object that ``--json`` prints."""
        counts = {name: getattr(self.changes, name) for name in ("added", "changed", "removed", "late")}
        told = {"why": self.why, **counts, "heard": self.heard, "compared": self.compared, "rses_changed": self.rses}
        told |= {"described_changed": self.described, "links_changed": self.links}
        return told | {"seconds": round(self.seconds, 3)} | ({"failed": self.failed} if self.failed else {})


class Watcher:
    """Keeps the mirror up to date.

    Parameters
    ----------
    settings
        All settings; ``[watch]`` says how often and how much.
    rucio, mirror
        What is compared.
    on_look
        Is shown every look and every post of events, from whichever thread.
    on_progress
        Called while the first look compares everything.
    """

    def __init__(
        self,
        settings: Settings,
        rucio: RucioWatch,
        mirror: MirrorWrites,
        *,
        on_look: Callable[[Look], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._settings = settings
        self._rucio = rucio
        self._mirror = mirror
        self._on_look = on_look or (lambda _look: None)
        self._on_progress = on_progress
        self._comparison = Comparison(rucio, mirror)
        self._surroundings = Surroundings(rucio, mirror)
        self._described = Described(rucio, mirror, self._comparison)
        self._links = DidLinks(settings, rucio, mirror)
        self._repeats = Repeats()
        self._wake = threading.Event()

    def run(self, lock: WatchLock) -> None:
        """Look until stopped by an exception (``KeyboardInterrupt``).

        Parameters
        ----------
        lock
            Of the one watcher; seen to after every look, for the database's server may have dropped it.

        Raises
        ------
        UsageError
            Another watcher is running by now.
        FatalError
            Wrong credentials or configuration: no later look would fare better.
        """
        while True:
            look = self.look()
            poll = self._settings.watch.poll
            self._rest(poll if look.failed else max(poll, REST * look.seconds))
            try:
                lock.hold()
            except FatalError:
                raise
            except SyncError as error:
                self._on_look(Look(failed=str(error)))

    def _rest(self, seconds: float) -> None:
        """Pause, but for files that events named; end early when an event asks for a look."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            repeat = self._repeats.seconds_left()
            if self._wake.wait(left if repeat is None else min(left, repeat)):
                self._wake.clear()
                return
            if files := self._repeats.due():
                self._told(Look("events", heard=len(files)), files)

    def once(self) -> Look:
        """Look once.

        Raises
        ------
        UsageError
            A watcher is running.
        FatalError
            As of `run`.
        """
        with self._mirror.state.alone():
            return self.look()

    def look(self) -> Look:
        """Look at Rucio once; where it or the database is away, or says what nobody foresaw, the look says so.

        Raises
        ------
        FatalError
            As of `run`.
        """
        return self._told(Look())

    def _told(self, look: Look, files: Collection[Did] | None = None) -> Look:
        """Look, or look at some files, and tell what was found."""
        began = time.monotonic()
        try:
            if files is None:
                self._look(look)
            else:
                look.changes += self._comparison.compare(sorted(files))
        except SyncError as error:
            look.failed = str(error)
            self._tell_unwell()
            if isinstance(error, FatalError):
                raise
        except Exception as error:
            # Such as half an answer, or the page of a balancer: the next look may fare better, and nobody else looks.
            LOG.exception("a look failed in a way that nobody foresaw")
            look.failed = f"{type(error).__name__}: {error}"
        finally:
            look.seconds = time.monotonic() - began
            self._on_look(look)
        return look

    def _look(self, look: Look) -> None:
        standing = self._mirror.state.standing()
        if standing.polled_to is None:
            look.why = "rebuild"
            report = Rebuild(self._rucio, self._mirror, on_progress=self._on_progress).run()
            look.changes, look.compared, look.rses = report.changes, report.files, report.rses
            look.described = report.described
            return
        look.rses = self._surroundings.look()
        now = self._rucio.clock
        self._mirror.state.well()
        heard = self._changed_since(standing.polled_to)
        look.heard = len(heard)
        look.changes += self._comparison.compare(heard)
        self._mirror.state.well(now)
        look.described, changes = self._described.look(self._settings.watch.files)
        look.changes += changes
        self._pass_on(look, standing.turn)
        look.links = self._links.look()

    def _changed_since(self, since: datetime) -> list[Did]:
        """Return files of which Rucio says something else than the mirror, by what changed since the last look."""
        differing: dict[Did, None] = {}
        waiting: dict[Did, Held] = {}

        def sift() -> None:
            for did, there in self._mirror.held(list(waiting)).items():
                if any(there.get(row.rse) != row for row in mirrored(did, waiting[did], there)):
                    differing[did] = None
            waiting.clear()

        def take(did: Did, held: Held) -> None:
            waiting[did] = held
            if len(waiting) >= DIDS_PER_CALL:
                sift()

        self._rucio.changed(self._containers(), since, take)
        sift()
        return list(differing)

    def _containers(self) -> set[Did]:
        return {container_did(collection, self._settings) for collection in self._mirror.collections()}

    def _pass_on(self, look: Look, turn: Did | None) -> None:
        """Compare the next files of the pass over all."""
        left = self._settings.watch.files
        while left > 0:
            files = self._mirror.files_after(turn, min(left, DIDS_PER_CALL))
            look.changes += self._comparison.compare(files)
            look.compared += len(files)
            left -= len(files)
            if len(files) < DIDS_PER_CALL and left > 0:
                self._mirror.state.turn_ended()
                return
            turn = files[-1]
            self._mirror.state.turn(turn)

    def hear(self, heard: Heard) -> Look:
        """Look at what events name; when this returns, the mirror says what Rucio said, and `run` asks it again soon.

        Raises
        ------
        TransientError, FatalError
            Rucio or the database does not answer: the events are to be sent again.
        """
        look = Look("events")
        began = time.monotonic()
        try:
            self._hear(heard, look)
        except SyncError as error:
            look.failed = str(error)
            raise
        finally:
            look.seconds = time.monotonic() - began
            self._on_look(look)
        return look

    def _hear(self, heard: Heard, look: Look) -> None:
        named = sorted(heard.dids)
        files = set(self._mirror.held(named))
        for these in self._mirror.files_of([did for did in named if did not in files]).values():
            files.update(these)
        look.heard = len(files)
        look.changes += self._comparison.compare(sorted(files))
        if heard.dids & self._containers():
            self._wake.set()  # which of its files are meant shows in what changed last
        self._repeats.add(files)
        self._mirror.state.event()

    def _tell_unwell(self) -> None:
        """Note what Rucio said, if it is Rucio that failed."""
        if self._rucio.complaint is None:
            return
        try:
            self._mirror.state.unwell(self._rucio.complaint)
        except SyncError:
            return  # the database is away: there is nobody to tell
