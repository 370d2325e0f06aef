"""Downloads of what a search found: every file from its nearest replica that gives it, and a manifest of them all."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
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
from stac_rucio_sync.stores.rucio_download import RucioDownload


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
        self._by_rucio = RucioDownload(settings)
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
        self._by_rucio.close()

    def get(self, item: ItemKey, file: LakeFile) -> Line:
        """Download a file, from the next replica where one fails; return its line of the manifest.

        Raises
        ------
        FatalError
            It cannot be written here.
        """
        path = local_path(self._folder, file.did)
        expected = Expected(file.bytes, file.adler32, file.md5)

        def line(fate: FileFate, rse: str | None = None, reason: str | None = None) -> Line:
            here = fate in (FileFate.FETCHED, FileFate.PRESENT)
            by = expected.verified_by if here else None
            return Line(item, file.asset, fate, file.did, path if here else None, file.bytes, by, rse, reason)

        if is_there(path, expected):
            return line(FileFate.PRESENT)
        candidates, closed = self._candidates(file)
        if candidates and self.dry_run:
            self._on_bytes(file.bytes)
            return line(FileFate.PLANNED, candidates[0].replica.rse)
        if not candidates:
            return line(FileFate.UNAVAILABLE, reason="; ".join(closed) or "it has no replica there")
        failures: list[str] = []
        for ranked in candidates:
            try:
                self._fetch(ranked, path, expected, None if ranked is candidates[-1] else HASTY)
            except SyncError as error:
                if isinstance(error, FatalError) and not isinstance(error, RefusedAnswer):
                    raise
                failures.append(f"{ranked.replica.rse}: {error}")
            else:
                return line(FileFate.FETCHED, ranked.replica.rse, "; ".join(failures) or None)
        return line(FileFate.FAILED, reason="; ".join(failures))

    def _candidates(self, file: LakeFile) -> tuple[list[Ranked], list[str]]:
        """Return the replicas to try in order, and why others are out of the question.

        What no HTTP client opens comes last, for Rucio's own client may have the library for it.
        """
        replicas = [one for one in file.replicas if self._rses is None or one.rse in self._rses]
        readable, closed = [], []
        for ranked in self._view.ranked(replicas):
            open_ = ranked.rse is None or ranked.rse.available_read
            if ranked.readable or (ranked.replica.state == "AVAILABLE" and open_ and ranked.url is None):
                readable.append(ranked)
            else:
                closed.append(f"{ranked.replica.rse}: {ranked.why_not}")
        return readable, closed

    def _fetch(self, ranked: Ranked, path: Path, expected: Expected, attempts: int | None) -> None:
        if ranked.url is not None:
            fetch(self._http, ranked.url, path, expected, self._on_bytes, attempts)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".rucio-") as folder:
            try:
                got = self._by_rucio.get(ranked.replica, Path(folder))
            except FatalError as error:  # no library for the scheme: another replica may do
                raise RefusedError(str(error)) from error
            wrong = why_not(got, expected)
            if wrong is not None:
                raise DamagedError(wrong)
            self._on_bytes(got.stat().st_size)
            got.replace(path)
        discard_part(path)

    def _on_bytes(self, count: int) -> None:
        if self.stopped.is_set():
            raise _StoppedError("stopped")
        with self._count:
            self.bytes += count
            self.on_progress(self.bytes)


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
        running: dict[Future[Line], Sequence[ItemKey]] = {}
        for file, keys in wanted.values():
            running[pool.submit(self._fetcher.get, keys[0], file)] = keys
        for future in as_completed(running):
            line = future.result()
            for key in running[future]:
                self._note(line.of(key))

    def _note(self, line: Line) -> None:
        self.report.fates[line.fate] += 1
        self.report.bytes = self._fetcher.bytes
        self._on_line(line, self.report)
