"""The audit of storage: what Rucio says lies at some RSEs, against what lies there.

The storage is listed first, and Rucio asked after: whoever registers a file before sending it is seen by both. Then
each difference is looked at once more (`examining`). Nothing is written unless a repair is asked for (`repair`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stac_rucio_sync.consistency.comparison import finding_of_stray
from stac_rucio_sync.consistency.examining import Examiner, Subject
from stac_rucio_sync.consistency.findings import DIFFERENCES, Fate, Finding
from stac_rucio_sync.consistency.repair import Repair
from stac_rucio_sync.consistency.shelf import Shelf
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.model.storage import RseReplica, StoredFile
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.plan import Action
from stac_rucio_sync.stores.rucio.consistency import RucioConsistency

BATCH: Final = 1000
"""Files a call to Rucio."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What one audit does."""

    scopes: tuple[str, ...] = ()
    """Only files of these scopes; none: of all."""
    datasets: tuple[Did, ...] = ()
    """Only files below these; none: all files."""
    checksums: float = 0.0
    """The part of the files whose bytes are read, 0 to 1, chosen by chance."""
    repair: bool = False
    delete_dark: bool = False
    """A repair deletes dark files, too."""
    threshold: float = 0.1
    """A repair does nothing about a kind of difference of which there is more than this part."""
    on_finding: Callable[[Finding], None] | None = None
    """Is shown every difference."""
    on_action: Callable[[Action], None] | None = None
    """Is shown what a repair left, and why."""
    on_progress: Callable[[str, int, int | None], None] | None = None
    """Called with what is being done, how much of it is done, and how much there is."""


class StorageAudit:
    """One audit of some RSEs.

    Parameters
    ----------
    edge
        Rucio.
    subjects
        The RSEs with their storages; their reports are filled.
    examiner
        Looks a second time.
    options
        What this audit does.
    """

    def __init__(
        self, edge: RucioConsistency, subjects: Sequence[Subject], examiner: Examiner, options: AuditOptions
    ) -> None:
        self._edge = edge
        self._subjects = {subject.rse: subject for subject in subjects}
        self._examiner = examiner
        self._options = options
        self._shelf = Shelf()

    def run(self) -> None:
        """Compare, and repair where that is asked for; the reports stay right when it ends early by an exception.

        Raises
        ------
        FatalError
            Rucio cannot go on, or a dump is none.
        UsageError
            There is no such scope, or no such dataset.
        RefusedError, TransientError
            A storage cannot be listed.
        """
        try:
            self._check_scopes()
            for subject in self._subjects.values():
                self._list(subject)
            self._gather_names()
            done, everything = 0, self._shelf.count_names()
            for batch in self._shelf.names(BATCH):
                self._compare(batch)
                done += len(batch)
                self._progress("replicas", done, everything)
            for subject in self._subjects.values():
                self._strays(subject)
            for subject in self._subjects.values() if self._options.repair else ():
                Repair(self._edge, self._examiner, self._shelf, subject, self._options.threshold, self._show).run()
        finally:
            self._shelf.close()

    # ------------------------------------------------------------------------------------------------- two lists

    def _list(self, subject: Subject) -> None:
        if subject.folders is None:
            return
        if subject.dump is not None:
            within = tuple(f"{folder}/" if folder else "" for folder in subject.folders)
            self._shelve(subject, (file for file in subject.dump.files() if file.path.startswith(within)))
            return

        def unreadable(folder: str, why: str) -> None:
            subject.closed[folder] = f"its folder cannot be listed: {why}"
            subject.report.remarks[
                f"the folder {folder} cannot be listed, so dark files in it are not seen: {why}"
            ] += 1

        if subject.storage is not None:
            for folder in subject.folders:
                self._shelve(subject, subject.storage.files(folder, unreadable))

    def _shelve(self, subject: Subject, files: Iterable[StoredFile]) -> None:
        done = 0
        for chunk in in_parts(files, BATCH):
            self._shelf.put_files(subject.rse, chunk)
            done += len(chunk)
            self._progress(f"files of {subject.rse}", done, None)

    def _check_scopes(self) -> None:
        unknown = set(self._options.scopes).difference(self._edge.scopes() if self._options.scopes else ())
        if unknown:
            raise UsageError(f"there is no scope {', '.join(sorted(unknown))} in Rucio")

    def _gather_names(self) -> None:
        for dataset in self._options.datasets:
            self._edge.files_below(dataset, self._shelf.put_names)
        if self._options.datasets:
            return
        for scope in self._options.scopes or self._edge.scopes():
            self._edge.names(scope, self._shelf.put_names)
            self._progress("names", self._shelf.count_names(), None)

    # ------------------------------------------------------------------------------------------------ comparison

    def _compare(self, dids: Sequence[Did]) -> None:
        by_rse: dict[str, list[RseReplica]] = {rse: [] for rse in self._subjects}
        for replica in self._edge.replicas(dids, list(self._subjects)):
            if self._asked_for(replica.did):
                by_rse[replica.rse].append(replica)
        for rse, replicas in by_rse.items():
            if replicas:
                self._judge(self._subjects[rse], replicas)

    def _asked_for(self, did: Did) -> bool:
        return not self._options.scopes or did.scope in self._options.scopes

    def _judge(self, subject: Subject, replicas: Sequence[RseReplica]) -> None:
        if subject.folders is None:
            examined = self._examiner.unlisted(subject, replicas, self._chosen)
        else:
            met = self._shelf.meet(subject.rse, (one.path for one in replicas if one.path is not None))
            examined = self._examiner.replicas(subject, replicas, met, self._chosen)
        findings = []
        for one in examined:
            subject.report.counts[one.fate] += 1
            if one.finding is not None:
                findings.append(one.finding)
        self._tell(findings)

    def _chosen(self, _: RseReplica) -> bool:
        return random.random() < self._options.checksums  # noqa: S311 - a sample, no secret

    def _strays(self, subject: Subject) -> None:
        """Give all files their fates that no replica accounts for."""
        if subject.folders is None:
            return
        everything, known = self._shelf.count_files(subject.rse)
        subject.report.counts[Fate.KNOWN] += known
        if not subject.tell_strays:
            subject.report.counts[Fate.IGNORED] += everything - known
            return
        subject.report.listed = True
        done = 0
        for files in in_parts(self._shelf.unmet(subject.rse), BATCH):
            findings = []
            for file, fate in self._examiner.strays(subject, files):
                subject.report.counts[fate] += 1
                if fate in DIFFERENCES:
                    may_delete = fate is Fate.LEFTOVER or self._options.delete_dark
                    findings.append(finding_of_stray(subject.rse, file, fate, may_delete=may_delete))
            self._tell(findings)
            done += len(files)
            self._progress(f"files of {subject.rse} in no replica", done, everything - known)

    # ----------------------------------------------------------------------------------------------------- telling

    def _tell(self, findings: Sequence[Finding]) -> None:
        self._shelf.put_findings(findings)
        if self._options.on_finding is not None:
            for finding in findings:
                self._options.on_finding(finding)

    def _show(self, action: Action) -> None:
        if self._options.on_action is not None:
            self._options.on_action(action)

    def _progress(self, what: str, done: int, everything: int | None) -> None:
        if self._options.on_progress is not None:
            self._options.on_progress(what, done, everything)
