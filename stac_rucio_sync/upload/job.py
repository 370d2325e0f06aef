"""The job: files on disk → read → registered COPYING → sent → AVAILABLE → attached, batch after batch.

While one batch is being sent the next one is read and registered. Only this process writes to Rucio and the journal;
what workers do can be done twice without harm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from itertools import chain
from pathlib import Path
from typing import Any

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import Uploaded, UploadFate
from stac_rucio_sync.stores.rucio.calls import in_calls
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.upload.batch import Batch, BatchEffects
from stac_rucio_sync.upload.discovery import FileFound, find
from stac_rucio_sync.upload.journal import Journal
from stac_rucio_sync.upload.naming import name_of
from stac_rucio_sync.upload.report import UploadReport
from stac_rucio_sync.upload.request import BATCH_BYTES, UploadRequest
from stac_rucio_sync.upload.targets import Targets

_FOUND_AT_A_TIME = 1000


class UploadJob:
    """Brings files into the lake.

    Parameters
    ----------
    request
        What is asked for.
    uploads
        The edge to Rucio.
    journal
        What is known of the files; of a dry run a private one.
    targets
        Where files are to lie.
    executor
        Reads and sends.
    skip
        Says of a file that it is here for others: a sidecar, a STAC document.
    metadata
        Says what the DID of a file is to say of itself; an `ItemError` refuses the file.
    on_fate
        Is told of every file as soon as its fate is sure, in the job's thread.
    on_progress
        Is given the report so far.
    """

    def __init__(  # noqa: PLR0913 - what a job is made of
        self, request: UploadRequest, uploads: RucioUploads, journal: Journal, targets: Targets, executor: Executor, *,
        skip: Callable[[Path], bool] = lambda _: False,
        metadata: Callable[[Path], Mapping[str, Any]] = lambda _: {},
        on_fate: Callable[[Uploaded], None] = lambda _: None,
        on_progress: Callable[[UploadReport], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._request = request
        self._uploads = uploads
        self._journal = journal
        self._skip = skip
        self._on_fate = on_fate
        self._on_progress = on_progress
        self.report = UploadReport(request.rse, request.scope, request.dataset, request.dry_run)
        self._effects = BatchEffects(request, uploads, journal, targets, executor, metadata, self._tell)

    def run(self) -> UploadReport:
        """Upload everything.

        Returns
        -------
        UploadReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        UsageError
            A path, the scope, the dataset or the RSE cannot be used.
        TransientError
            Rucio does not answer; the same upload goes on later.
        FatalError
            The account may not, the storage takes nothing, or the journal cannot be written.
        """
        started = time.monotonic()
        try:
            self._find()
            if not self._request.dry_run:
                self._prepare()
            self._upload()
            if not self._request.dry_run:
                taken_back = self._effects.clear_abandoned()
                self.report.remarks.update(
                    {"gone from here since an earlier run, and taken back": taken_back} if taken_back else {}
                )
        finally:
            self.report.seconds = time.monotonic() - started
        return self.report

    # --------------------------------------------------------------------------------------------------- before

    def _find(self) -> None:
        for found in in_calls(self._found(), most=_FOUND_AT_A_TIME):
            names: list[tuple[bytes, str, int, int]] = []
            for file in found:
                if self._skip(file.path):
                    continue
                try:
                    name = name_of(file.relative, self._request.template)
                except ItemError as error:
                    self._refuse(file, str(error))
                else:
                    names.append((os.fsencode(file.path), name, file.bytes, file.mtime_ns))
            by_path = {os.fsencode(file.path): file for file in found}
            twins = set(self._journal.take(names))
            for path, name in [(path, name) for path, name, _, _ in names if path in twins]:
                reason = f"its name {name} is that of another file: --name-template can tell them apart"
                self._refuse(by_path[path], reason)
        files, octets = self._journal.totals()
        self.report.files += files
        self.report.bytes += octets
        self._on_progress(self.report)

    def _found(self) -> Iterator[FileFound]:
        def unreadable(path: Path, error: OSError) -> None:
            self.report.files += 1
            self._tell(Uploaded(path, None, self._request.rse, UploadFate.UNREADABLE, error.strerror or str(error)))

        def left_out(_path: Path) -> None:
            self.report.left_out += 1

        return find(self._request.paths, self._request.choice, unreadable, left_out)

    def _refuse(self, file: FileFound, reason: str) -> None:
        self.report.files += 1
        self.report.bytes += file.bytes
        self._tell(Uploaded(file.path, None, self._request.rse, UploadFate.REFUSED, reason, file.bytes))

    def _prepare(self) -> None:
        """Make what the files go into, before anything of them."""
        request = self._request
        if not request.register_after and not self._uploads.may_complete(request.rse):
            raise UsageError(
                f"account {self._uploads.account} may register files at {request.rse} and not make them AVAILABLE "
                "later: ask for that, or upload with --register-after"
            )
        dataset = request.dataset
        for scope in dict.fromkeys([request.scope] if dataset is None else [request.scope, dataset.scope]):
            if self._uploads.ensure_scope(scope):
                self.report.remarks[f"there was no scope {scope} in Rucio: it was made"] += 1
        if dataset is None:
            return
        self._uploads.ensure_dataset(dataset)
        if request.rule:
            refused = self._uploads.protect([dataset], request.rse, request.lifetime)
            if refused:
                raise UsageError(f"Rucio makes no rule for {dataset} at {request.rse}: {refused[dataset]}")

    # --------------------------------------------------------------------------------------------------- upload

    def _upload(self) -> None:
        effects = self._effects
        reading: Batch | None = None
        sending: Batch | None = None
        batches = self._journal.batches(self._request.batch_files, BATCH_BYTES)
        try:
            # The last two rounds finish what is under way.
            for entries in chain(batches, (None, None)):
                next_reading = None if entries is None else effects.look(entries)
                next_sending = None if reading is None else effects.register(reading)
                if sending is not None:
                    effects.finish(sending)
                    self._on_progress(self.report)
                reading, sending = next_reading, next_sending
        except KeyboardInterrupt:
            effects.stop()
            raise
        except BaseException:
            effects.cancel()
            raise

    def _tell(self, file: Uploaded) -> None:
        self.report.take(file)
        self._on_fate(file)
