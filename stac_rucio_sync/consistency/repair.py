"""The repair of what an audit found at one RSE: each finding is looked at once more, mended, and read back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from stac_rucio_sync.consistency.examining import Examiner, Subject
from stac_rucio_sync.consistency.findings import DIFFERENCES, Fate, Finding, Remedy
from stac_rucio_sync.consistency.shelf import Shelf
from stac_rucio_sync.errors import RefusedError, TransientError
from stac_rucio_sync.model import Did
from stac_rucio_sync.model.storage import StoredFile
from stac_rucio_sync.plan import Action, Sign
from stac_rucio_sync.stores.rucio.consistency import RucioConsistency

BATCH: Final = 500
"""Findings a call to Rucio."""

_LOST: Final = (Fate.MISSING, Fate.WRONG_SIZE, Fate.WRONG_CHECKSUM, Fate.LAST)


class Repair:
    """Mends what can be mended from here.

    Parameters
    ----------
    edge, examiner, shelf
        As of the audit; the shelf has the findings.
    subject
        The RSE; what was repaired is counted in its report.
    threshold
        The part of replicas, or of files, of which more are differences: then something else is wrong (a storage that
        is not mounted, another prefix), and nothing is done about them.
    show
        Is shown what remains, and why.
    """

    def __init__(
        self,
        edge: RucioConsistency,
        examiner: Examiner,
        shelf: Shelf,
        subject: Subject,
        threshold: float,
        show: Callable[[Action], None],
    ) -> None:
        self._edge = edge
        self._examiner = examiner
        self._shelf = shelf
        self._subject = subject
        self._threshold = threshold
        self._show = show

    def run(self) -> None:
        """Mend batch by batch.

        Raises
        ------
        TransientError, FatalError
            Rucio does not answer; what was mended is counted.
        """
        held_back = self._held_back()
        for fate in Fate:
            if fate not in DIFFERENCES or fate in held_back:
                continue
            for findings in self._shelf.findings(self._subject.rse, fate, BATCH):
                mendable = [one for one in findings if one.remedy is not None]
                if fate in (Fate.DARK, Fate.LEFTOVER):
                    self._delete_strays(mendable)
                else:
                    self._mend(mendable)

    def _held_back(self) -> frozenset[Fate]:
        """Return the kinds of differences of which there are too many."""
        report = self._subject.report
        held_back: set[Fate] = set()
        for kinds, everything, what in (
            (_LOST, report.promised, "replicas are missing or others"),
            ((Fate.DARK,), report.files, "files are dark"),
        ):
            count = sum(report.counts[kind] for kind in kinds)
            if count > self._threshold * everything:
                held_back.update(kinds)
                report.remarks[
                    f"{count} of {everything} {what}, which is more than {self._threshold:.4g} of them (--threshold): "
                    "nothing is done about them, for something else may be wrong"
                ] += 1
        return frozenset(held_back)

    # --------------------------------------------------------------------------------------------------- replicas

    def _mend(self, findings: Sequence[Finding]) -> None:
        by_did = {one.did: one for one in findings if one.did is not None}
        if not by_did:
            return
        read = findings[0].fate in (Fate.WRONG_CHECKSUM, Fate.LAST)
        replicas = self._edge.replicas(by_did, [self._subject.rse])
        examined = self._examiner.unlisted(self._subject, replicas, lambda _: read)
        found = {one.replica.did: one for one in examined}
        by_remedy: dict[Remedy, dict[Did, Finding]] = defaultdict(dict)
        for did, finding in by_did.items():
            still = found.get(did)
            if still is None or still.finding is None:
                self._subject.report.repaired += 1  # by somebody else
            elif still.finding.remedy != finding.remedy or finding.remedy is None:
                self._remains(finding, f"it is something else by now: {still.finding.why}")
            else:
                by_remedy[finding.remedy][did] = finding
        for remedy, batch in by_remedy.items():
            self._apply(remedy, batch)

    def _apply(self, remedy: Remedy, findings: dict[Did, Finding]) -> None:
        rse, dids = self._subject.rse, list(findings)
        if remedy is Remedy.MAKE_AVAILABLE:
            refused = self._edge.make_available(rse, dids)
        elif remedy is Remedy.DECLARE_BAD:
            refused = self._edge.declare_bad(rse, dids, f"audit of storage: {findings[dids[0]].fate.value}")
        else:
            refused = self._edge.withdraw(rse, dids)
        left = {one.did: one.state for one in self._edge.replicas(dids, [rse])}
        wanted = {Remedy.MAKE_AVAILABLE: "AVAILABLE", Remedy.DECLARE_BAD: "BAD"}.get(remedy)
        for did, finding in findings.items():
            if left.get(did) != wanted:
                self._remains(finding, refused.get(did, f"Rucio says that it is {left.get(did)}"))
            elif remedy is not Remedy.WITHDRAW_AND_DELETE or self._delete(finding):
                self._subject.report.repaired += 1

    # ------------------------------------------------------------------------------------------------------ files

    def _delete_strays(self, findings: Sequence[Finding]) -> None:
        files = {one.path: one for one in findings if one.path is not None}
        for file, fate in self._examiner.strays(self._subject, [StoredFile(path) for path in files]):
            finding = files[file.path]
            if fate is not finding.fate or self._delete(finding):
                self._subject.report.repaired += 1

    def _delete(self, finding: Finding) -> bool:
        storage = self._subject.storage
        if storage is None or finding.path is None:
            self._remains(finding, "the storage cannot be reached from here")
            return False
        if not self._subject.deletable:
            self._remains(finding, f"{finding.rse} is closed for deleting")
            return False
        try:
            storage.delete(finding.path)
        except (RefusedError, TransientError) as error:
            self._remains(finding, str(error))
            return False
        return True

    def _remains(self, finding: Finding, why: str) -> None:
        action = finding.action
        self._show(Action(Sign.ERROR, action.what, action.name, f"remains: {why}"))
