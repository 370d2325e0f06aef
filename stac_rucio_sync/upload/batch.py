"""The steps of one batch of files: look, register, send, make available, attach. Each can be done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from stac_rucio_sync.errors import FatalError, ItemError, RefusedError, TransientError
from stac_rucio_sync.model import Did, Hashed, Held, Uploaded, UploadFate
from stac_rucio_sync.stores.rucio.answers import readable_first
from stac_rucio_sync.stores.rucio.uploads import AVAILABLE, COPYING, RucioUploads
from stac_rucio_sync.upload.comparison import Verdict, difference, judge
from stac_rucio_sync.upload.journal import Entry, Journal
from stac_rucio_sync.upload.request import UploadRequest
from stac_rucio_sync.upload.targets import Targets
from stac_rucio_sync.upload.work import ChangedError, ReadTask, SendTask, Sent, discard, read, send

Outcome: TypeAlias = tuple[UploadFate, str | None]
"""A fate and its reason."""

_PLANNED: Final[Outcome] = (UploadFate.PLANNED, None)
_PRESENT: Final[Outcome] = (UploadFate.PRESENT, None)
_NOT_THERE: Final = (UploadFate.FAILED, UploadFate.CHANGED, UploadFate.UNREADABLE)
_FEW: Final = 10
"""So many files of a batch may fail without it being the storage's fault."""


@dataclass(slots=True)
class Batch:
    """Files on their way together; ``entries`` are those whose fate is not sure yet."""

    entries: dict[Did, Entry]
    reading: dict[Did, Future[Hashed]] = field(default_factory=dict)
    hashed: dict[Did, Hashed] = field(default_factory=dict)
    held: Mapping[Did, Held] = field(default_factory=dict)
    """What Rucio holds under their names."""
    targets: dict[Did, str] = field(default_factory=dict)
    own: set[Did] = field(default_factory=set)
    """Those that this upload registered, now or in an earlier run, or sends before anybody does."""
    sending: dict[Did, Future[Sent]] = field(default_factory=dict)
    present: list[Did] = field(default_factory=list)
    """Those that the lake has already."""
    passed_over: dict[Did, str] = field(default_factory=dict)
    """Why the RSE's first protocols did not take files that another one took."""
    again: dict[Did, int] = field(default_factory=dict)
    """How often files were sent again."""
    metadata: dict[Did, Mapping[str, Any]] = field(default_factory=dict)
    """What the DIDs are to say of themselves."""


class BatchEffects:
    """Does the steps.

    Parameters
    ----------
    request, uploads, journal, targets, executor, metadata
        As of `UploadJob`.
    tell
        Is told of each file whose fate is sure.
    """

    def __init__(
        self, request: UploadRequest, uploads: RucioUploads, journal: Journal, targets: Targets, executor: Executor,
        metadata: Callable[[Path], Mapping[str, Any]], tell: Callable[[Uploaded], None],
    ) -> None:  # fmt: skip
        self._request = request
        self._metadata = metadata
        self._uploads = uploads
        self._journal = journal
        self._targets = targets
        self._executor = executor
        self._tell = tell
        self._under_way: list[Batch] = []

    # ------------------------------------------------------------------------------------------------------- look

    def look(self, entries: Sequence[Entry]) -> Batch:
        """Have the files read that must be known before they are sent."""
        batch = Batch({Did(self._request.scope, entry.name): entry for entry in entries})
        self._collect_metadata(batch)
        batch.hashed = {did: entry.hashed for did, entry in batch.entries.items() if entry.hashed is not None}
        unread = [did for did in batch.entries if did not in batch.hashed]
        if self._registers_late:
            # Only what has a name that Rucio knows must be compared with what it holds.
            batch.held = self._uploads.held(batch.entries)
            unread = [did for did in unread if did in batch.held]
        batch.reading = {did: self._executor.submit(read, _read_task(batch.entries[did])) for did in unread}
        self._under_way.append(batch)
        return batch

    def _collect_metadata(self, batch: Batch) -> None:
        refused: dict[Did, Outcome] = {}
        for did, entry in batch.entries.items():
            try:
                said = self._metadata(entry.path)
            except ItemError as error:
                refused[did] = UploadFate.REFUSED, str(error)
            else:
                if said:
                    batch.metadata[did] = said
        self._settle(batch, refused)

    @property
    def _registers_late(self) -> bool:
        return self._request.register_after or self._request.dry_run

    # --------------------------------------------------------------------------------------------------- register

    def register(self, batch: Batch) -> Batch:
        """Compare with what Rucio holds, register what is new, and have it sent."""
        self._collect_readings(batch)
        if not self._registers_late:
            batch.held = self._uploads.held(batch.entries)
        missing, incomplete = self._judged(batch)
        if self._request.dry_run:
            self._settle(batch, dict.fromkeys((*missing, *incomplete), _PLANNED))
            self._settle(batch, dict.fromkeys(batch.present, _PRESENT))
            return batch
        batch.targets = self._targets.of([*missing, *incomplete])
        self._journal.placed({batch.entries[did].number: target for did, target in batch.targets.items()})
        if not self._request.register_after:
            self._settle(batch, self._registered(batch, missing, COPYING))
        storage, new = self._targets.storage(), set(missing)
        for did in (*missing, *incomplete):
            entry = batch.entries.get(did)
            if entry is not None:
                begun = entry.target is not None
                if begun or did in new:
                    batch.own.add(did)
                task = SendTask(_read_task(entry), storage, batch.targets[did], batch.hashed.get(did), begun)
                batch.sending[did] = self._executor.submit(send, task)
        return batch

    def _collect_readings(self, batch: Batch) -> None:
        failures: dict[Did, Outcome] = {}
        for did, reading in batch.reading.items():
            try:
                batch.hashed[did] = reading.result()
            except (OSError, ChangedError, TransientError) as error:
                failures[did] = _outcome_of(error)
        self._settle(batch, failures)
        self._journal.hashed(
            {batch.entries[did].number: batch.hashed[did] for did in batch.entries if did in batch.reading}
        )

    def _judged(self, batch: Batch) -> tuple[list[Did], list[Did]]:
        """Return the files that are to be registered and sent, and those that are registered and to be sent."""
        by_verdict: dict[Verdict, list[Did]] = {verdict: [] for verdict in Verdict}
        reasons: dict[Did, str | None] = {}
        for did, entry in batch.entries.items():
            hashed, held = batch.hashed.get(did), batch.held.get(did)
            if hashed is None or held is None:
                by_verdict[Verdict.NEW].append(did)
                continue
            verdict, reasons[did] = judge(did, hashed, held, self._request.rse, own=entry.target is not None)
            by_verdict[verdict].append(did)
        for verdict, fate in ((Verdict.CONFLICT, UploadFate.CONFLICT), (Verdict.REFUSED, UploadFate.REFUSED)):
            self._settle(batch, {did: (fate, reasons[did]) for did in by_verdict[verdict]})
        batch.present = by_verdict[Verdict.PRESENT]
        again = by_verdict[Verdict.AGAIN]
        if again and not self._request.dry_run:
            kept = self._uploads.withdraw(self._request.rse, again)
            self._settle(
                batch, {did: (UploadFate.CONFLICT, f"other bytes are registered: {why}") for did, why in kept.items()}
            )
            again = [did for did in again if did not in kept]
        return by_verdict[Verdict.NEW] + again, by_verdict[Verdict.SEND]

    def _registered(self, batch: Batch, dids: Sequence[Did], state: str) -> dict[Did, Outcome]:
        """Register files and look whether Rucio has what it says that it took; return those of which it has not."""
        if not dids:
            return {}
        targets = {did: batch.targets[did] for did in dids}
        pfns = self._targets.pfns(targets.values())
        files = {did: (batch.hashed[did], pfns[target]) for did, target in targets.items()}
        refused = self._uploads.register(self._request.rse, files, state)
        outcomes: dict[Did, Outcome] = {did: (UploadFate.REFUSED, why) for did, why in refused.items()}
        held = self._uploads.held(did for did in dids if did not in refused)
        for did in dids:
            if did in refused:
                continue
            if did not in held or self._request.rse not in held[did].states:
                outcomes[did] = UploadFate.REFUSED, "Rucio took it and does not show it"
            elif (other := difference(batch.hashed[did], held[did])) is not None:
                outcomes[did] = UploadFate.CONFLICT, f"another upload was first: Rucio has {other}"
        return outcomes

    # ----------------------------------------------------------------------------------------------------- finish

    def finish(self, batch: Batch) -> None:
        """Wait for what is being sent, make it available, attach and protect it, and settle every file's fate.

        Raises
        ------
        FatalError
            The storage took nothing of a whole batch.
        """
        self._under_way.remove(batch)
        if not batch.entries:
            return
        failures = self._collect_sent(batch)
        sent = [did for did in batch.sending if did in batch.entries and did not in failures]
        nothing_went = (
            not sent and len(failures) >= _FEW and {fate for fate, _ in failures.values()} == {UploadFate.FAILED}
        )
        if self._request.register_after:
            new = [did for did in sent if self._request.rse not in _states(batch.held.get(did))]
            failures |= self._registered(batch, new, AVAILABLE)
            sent_before = [did for did in sent if did not in new]
        else:
            sent_before = sent
        failures |= _refusals(self._uploads.make_available(self._request.rse, sent_before))
        here = [did for did in (*batch.present, *sent) if did not in failures and did in batch.entries]
        failures |= _refusals(self._kept(batch, here))
        self._take_back(batch, failures)
        self._settle(batch, failures)
        self._confirm(batch, sent)
        if nothing_went:
            said = next(iter(failures.values()))[1]
            raise FatalError(f"{self._request.rse} took none of {len(failures)} files: {said}")

    def _collect_sent(self, batch: Batch) -> dict[Did, Outcome]:
        failures: dict[Did, Outcome] = {}
        for did, sending in batch.sending.items():
            try:
                sent = sending.result()
                batch.hashed[did], batch.again[did] = sent.hashed, sent.again
                if sent.passed_over:
                    batch.passed_over[did] = "; ".join(sent.passed_over)
            except CancelledError:
                del batch.entries[did]  # its fate is the next run's
            except (OSError, ChangedError, RefusedError, TransientError) as error:
                failures[did] = _outcome_of(error)
        return failures

    def _kept(self, batch: Batch, here: Sequence[Did]) -> dict[Did, str]:
        """Attach files or make rules for them, and describe them; return why Rucio does not, where it does not."""
        request = self._request
        if request.dataset is not None:
            refused = self._uploads.attach(request.dataset, here)
        elif request.rule:
            new = [did for did in here if not batch.entries[did].kept]
            refused = self._uploads.protect(new, request.rse, request.lifetime)
        else:
            refused = {}
        described = {did: batch.metadata[did] for did in here if did in batch.metadata and did not in refused}
        return refused | self._uploads.describe(described)

    def _confirm(self, batch: Batch, sent: Sequence[Did]) -> None:
        """Read back what Rucio shows: only what is available there is a success."""
        held = {**batch.held, **self._uploads.held(did for did in sent if did in batch.entries)}
        present = set(batch.present)
        outcomes: dict[Did, Outcome] = {}
        pfns: dict[Did, str] = {}
        for did in batch.entries:
            state = _states(held.get(did)).get(self._request.rse)
            if state != "AVAILABLE":
                outcomes[did] = UploadFate.FAILED, f"Rucio shows its replica as {state or 'missing'}"
                continue
            outcomes[did] = _PRESENT if did in present else (UploadFate.UPLOADED, batch.passed_over.get(did))
            shown = held[did].pfns.get(self._request.rse, ())
            if shown:
                pfns[did] = min(shown, key=readable_first)
        self._settle(batch, outcomes, pfns)

    def _take_back(self, batch: Batch, failures: dict[Did, Outcome]) -> None:
        """Leave nothing of files that did not arrive: neither bytes in the storage nor replicas in COPYING.

        What somebody else registered, and may be sending, stays theirs.
        """
        gone = [did for did, (fate, _) in failures.items() if fate in _NOT_THERE and did in batch.own]
        left = self._discarded({did: batch.targets[did] for did in gone})
        if not self._request.register_after:
            left |= self._uploads.withdraw(self._request.rse, gone)
        for did, why in left.items():
            fate, reason = failures[did]
            failures[did] = fate, f"{reason}; something of it stays at {self._request.rse}: {why}"
        self._journal.withdrawn(batch.entries[did].number for did in gone if did not in left)

    def _discarded(self, targets: Mapping[Did, str]) -> dict[Did, str]:
        storage = self._targets.storage()
        answers = {did: self._executor.submit(discard, storage, target) for did, target in targets.items()}
        said = {did: answer.result() for did, answer in answers.items()}
        return {did: why for did, why in said.items() if why is not None}

    # ------------------------------------------------------------------------------------------------------- ends

    def stop(self) -> None:
        """Begin nothing more, and finish what is being sent."""
        self.cancel()
        for batch in list(self._under_way):
            if batch.sending:
                self.finish(batch)

    def cancel(self) -> None:
        """Begin nothing more."""
        for batch in self._under_way:
            for reading in batch.reading.values():
                reading.cancel()
            for sending in batch.sending.values():
                sending.cancel()

    def clear_abandoned(self) -> int:
        """Take back what earlier runs began of files that are not here any more; return how many these are."""
        entries = {Did(self._request.scope, entry.name): entry for entry in self._journal.abandoned()}
        held = self._uploads.held(entries)
        open_ = [did for did in entries if set(_states(held.get(did)).values()) <= {"COPYING"}]
        left = self._discarded({did: entries[did].target or "" for did in open_})
        left |= self._uploads.withdraw(self._request.rse, [did for did in open_ if did in held and did not in left])
        self._journal.withdrawn(entries[did].number for did in open_ if did not in left)
        return len(open_) - len(left)

    def _settle(self, batch: Batch, outcomes: Mapping[Did, Outcome], pfns: Mapping[Did, str] | None = None) -> None:
        """Note and tell fates; who is told may rely on the journal."""
        settled = {did: batch.entries.pop(did) for did in outcomes if did in batch.entries}
        self._journal.done({entry.number: outcomes[did][0] for did, entry in settled.items()})
        for did, entry in settled.items():
            fate, reason = outcomes[did]
            hashed = batch.hashed.get(did)
            adler32, md5 = (None, None) if hashed is None else (hashed.adler32, hashed.md5)
            dataset = self._request.dataset if fate.in_lake else None
            pfn = (pfns or {}).get(did)
            self._tell(
                Uploaded(
                    entry.path,
                    did,
                    self._request.rse,
                    fate,
                    reason,
                    entry.bytes,
                    adler32,
                    md5,
                    pfn=pfn,
                    dataset=dataset,
                    sent_again=batch.again.get(did, 0),
                )
            )


def _read_task(entry: Entry) -> ReadTask:
    return ReadTask(entry.path, entry.bytes, entry.mtime_ns)


def _states(held: Held | None) -> Mapping[str, str]:
    return {} if held is None else held.states


def _refusals(reasons: Mapping[Did, str]) -> dict[Did, Outcome]:
    return {did: (UploadFate.REFUSED, reason) for did, reason in reasons.items()}


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, ChangedError):
        return UploadFate.CHANGED, str(error)
    if isinstance(error, OSError):
        # A worker of a cluster adds which machine it is on.
        return UploadFate.UNREADABLE, ", ".join([error.strerror or str(error), *getattr(error, "__notes__", ())])
    return UploadFate.FAILED, str(error)
