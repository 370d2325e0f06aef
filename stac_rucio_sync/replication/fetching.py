"""Downloads of what a search found: every file from its nearest replica that gives it, and a manifest of them all."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from stac_rucio_sync.errors import FatalError, RefusedError, SyncError
from stac_rucio_sync.http import Http, RefusedAnswer
from stac_rucio_sync.locality import Ranked, View
from stac_rucio_sync.model import ItemKey
from stac_rucio_sync.model.rules import LakeFile
from stac_rucio_sync.replication.choice import Asked, Choice, asked_batches
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.manifest import FetchReport, FileFate, Line
from stac_rucio_sync.replication.transfer import (
    HASTY,
    DamagedError,
    Expected,
    discard_part,
    fetch,
    is_there,
    local_path,
    why_not,
)
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Source
from stac_rucio_sync.stores.rucio.download import RucioDownload


@dataclass(slots=True)
class Task:
    """A file to be downloaded."""

    item: ItemKey
    file: LakeFile
    path: Path
    by_http: list[Ranked] = field(default_factory=list)
    """Replicas that an HTTP client can read, nearest first."""
    by_rucio: list[Ranked] = field(default_factory=list)
    """Those that Rucio's own client may be able to read; they come last."""
    closed: list[str] = field(default_factory=list)
    """Why others are out of the question."""
    failures: list[str] = field(default_factory=list)
    """What went wrong with those that were tried."""

    @property
    def expected(self) -> Expected:
        """What the lake says of the bytes."""
        return Expected(self.file.bytes, self.file.adler32, self.file.md5)

    def line(self, fate: FileFate, rse: str | None = None) -> Line:
        """Return the line of the manifest."""
        here = fate in (FileFate.FETCHED, FileFate.PRESENT)
        by = self.expected.verified_by if here else None
        reason = "; ".join(self.failures if here else (*self.failures, *self.closed)) or None
        path = self.path if here else None
        return Line(self.item, self.file.asset, fate, self.file.did, path, self.file.bytes, by, rse, reason)


class Fetcher:
    """Downloads single files, from several threads.

    Parameters
    ----------
    settings
        All settings.
    view
        The lake as seen from here.
    folder
        Where the files go: ``folder/scope/name``.
    rses
        Only replicas there; None: anywhere.
    threads
        Files under way at a time.
    """

    def __init__(self, settings: Settings, view: View, folder: Path, rses: frozenset[str] | None, threads: int) -> None:
        # The addresses are those that the user's own Rucio gives, and sites of a lake are often private networks.
        self._http = Http(allow_private=True, connections=threads)
        self._rucio = RucioDownload(settings)
        self._view = view
        self._folder = folder
        self._rses = rses
        self._count = threading.Lock()
        self.threads = threads
        self.bytes = 0
        self.dry_run = False
        """Fetch nothing, and say from where it would come."""
        self.on_progress: Callable[[int], None] = lambda _: None
        """Is told how many bytes came so far."""
        self.stopped = threading.Event()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        self._rucio.close()

    def task(self, item: ItemKey, file: LakeFile) -> Task:
        """Return what is to be done for a file. This may ask Rucio, so it is for the main thread (see `get`)."""
        replicas = [one for one in file.replicas if self._rses is None or one.rse in self._rses]
        task = Task(item, file, local_path(self._folder, file.did))
        for ranked in self._view.ranked(replicas):
            if ranked.readable:
                task.by_http.append(ranked)
            elif ranked.replica.state == "AVAILABLE" and ranked.url is None and _is_open(ranked):
                task.by_rucio.append(ranked)
            else:
                task.closed.append(f"{ranked.replica.rse}: {ranked.why_not}")
        return task

    def get(self, task: Task) -> Line:
        """Download a file over HTTP, from the next replica where one fails; return its line of the manifest.

        May be called from any thread: Rucio is not asked here, whose client takes stdout from the whole process while
        it logs in.

        Raises
        ------
        FatalError
            It cannot be written here.
        """
        if is_there(task.path, task.expected):
            return task.line(FileFate.PRESENT)
        candidates = (*task.by_http, *task.by_rucio)
        if not candidates:
            task.closed = task.closed or ["it has no replica there"]
            return task.line(FileFate.UNAVAILABLE)
        if self.dry_run:
            self._on_bytes(task.file.bytes)
            return task.line(FileFate.PLANNED, candidates[0].replica.rse)
        return self._tried(task, task.by_http, self._by_http)

    def get_by_rucio(self, task: Task) -> Line:
        """Download a file by Rucio's own client, which may have a library for what no HTTP client opens."""
        return self._tried(task, task.by_rucio, self._by_client)

    def _tried(self, task: Task, candidates: Sequence[Ranked], take: Callable[[Task, Ranked], None]) -> Line:
        for ranked in candidates:
            try:
                take(task, ranked)
            except SyncError as error:
                if isinstance(error, FatalError) and not isinstance(error, RefusedAnswer):
                    raise
                task.failures.append(f"{ranked.replica.rse}: {error}")
            else:
                return task.line(FileFate.FETCHED, ranked.replica.rse)
        return task.line(FileFate.FAILED)

    def _by_http(self, task: Task, ranked: Ranked) -> None:
        last = ranked is task.by_http[-1] and not task.by_rucio
        attempts = None if last else HASTY
        fetch(self._http, ranked.url or "", task.path, task.expected, self._on_bytes, attempts)

    def _by_client(self, task: Task, ranked: Ranked) -> None:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=task.path.parent, prefix=".rucio-") as folder:
            try:
                got = self._rucio.get(ranked.replica, Path(folder))
            except FatalError as error:  # no library for the scheme: another replica may do
                raise RefusedError(str(error)) from error
            wrong = why_not(got, task.expected)
            if wrong is not None:
                raise DamagedError(wrong)
            self._on_bytes(got.stat().st_size)
            got.replace(task.path)
        discard_part(task.path)

    def _on_bytes(self, count: int) -> None:
        if self.stopped.is_set():
            raise _StoppedError("stopped")
        with self._count:
            self.bytes += count
            self.on_progress(self.bytes)


def _is_open(ranked: Ranked) -> bool:
    return ranked.rse is None or ranked.rse.available_read


class _StoppedError(FatalError):
    """Somebody pressed Ctrl-C."""


class FetchJob:
    """Downloads the files of a source's items.

    Parameters
    ----------
    source, settings, choice
        What is asked for.
    holdings
        The edge to Rucio.
    fetcher
        Downloads the files.
    on_line
        Is given every line of the manifest with the report so far, in one thread.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        choice: Choice,
        holdings: Holdings,
        fetcher: Fetcher,
        on_line: Callable[[Line, FetchReport], None] = lambda _line, _report: None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._choice = choice
        self._holdings = holdings
        self._fetcher = fetcher
        self._on_line = on_line
        self.report = FetchReport(source.name)

    def run(self) -> FetchReport:
        """Read the source and download, batch by batch.

        Returns
        -------
        FetchReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        FatalError, TransientError
            The source cannot be read, Rucio does not answer, or nothing can be written here.
        """
        pool = ThreadPoolExecutor(self._fetcher.threads, thread_name_prefix="fetch")
        try:
            for asked, unreadable in asked_batches(self._source, self._settings, self._choice):
                self.report.unreadable += len(unreadable)
                self._take(asked, pool)
        except BaseException:
            self._fetcher.stopped.set()
            raise
        finally:
            # What is under way after Ctrl-C waits for a server; it is not waited for, and what came is continued later.
            pool.shutdown(wait=False, cancel_futures=True)
            self.report.bytes = self._fetcher.bytes
        return self.report

    def _take(self, asked: Sequence[Asked], pool: ThreadPoolExecutor) -> None:
        held = self._holdings.files(asked)
        wanted: dict[str, tuple[LakeFile, list[ItemKey]]] = {}
        for one in asked:
            self.report.items += 1
            files = held.get(one.did, ())
            if not files and one.assets:
                self.report.not_registered[one.name] = None
            names = {file.asset for file in files}
            for asset in one.assets:
                if asset.key not in names:
                    reason = "the lake has no file for it" if files else "the item is not registered"
                    self._note(Line(one.item.key, asset.key, FileFate.LINK_ONLY, reason=reason))
            for file in files:
                wanted.setdefault(str(file.did), (file, []))[1].append(one.item.key)
        running: dict[Future[Line], tuple[Task, Sequence[ItemKey]]] = {}
        for file, keys in wanted.values():
            task = self._fetcher.task(keys[0], file)
            running[pool.submit(self._fetcher.get, task)] = task, keys
        for future in as_completed(running):
            line = future.result()
            task, items = running[future]
            if line.fate is FileFate.FAILED and task.by_rucio:
                line = self._fetcher.get_by_rucio(task)
            for key in items:
                self._note(line.of(key))

    def _note(self, line: Line) -> None:
        self.report.fates[line.fate] += 1
        self.report.bytes = self._fetcher.bytes
        self._on_line(line, self.report)
