"""A second look: what the comparison of two lists suspects is asked of Rucio and of the storage once more.

Files come and go while an audit reads, and hidden ones are in no list. So nothing is told, and nothing repaired, that
both sides did not confirm one by one; in bulk where they can be asked in bulk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from stac_rucio_sync.consistency import comparison
from stac_rucio_sync.consistency.dumps import Dump
from stac_rucio_sync.consistency.findings import Fate, Finding
from stac_rucio_sync.consistency.report import RseReport
from stac_rucio_sync.errors import FatalError, RefusedError, TransientError
from stac_rucio_sync.model import Did, Hashed
from stac_rucio_sync.model.storage import Elsewhere, RseReplica, StoredFile
from stac_rucio_sync.stores.rucio.consistency import RucioConsistency
from stac_rucio_sync.stores.storage.folder import Storage

Asked = TypeVar("Asked")
Told = TypeVar("Told")

MOST_UNANSWERED: Final = 20
"""A file may lie on a disk of its own that is down; so many in a row are the storage."""

Looked = StoredFile | None | str
"""A file, none, or why it cannot be looked at."""


@dataclass(slots=True)
class Subject:
    """An RSE under audit."""

    rse: str
    storage: Storage | None
    """None: only a dump of it can be read."""
    report: RseReport
    dump: Dump | None = None
    folders: tuple[str, ...] | None = ("",)
    """The folders that are listed; None: none, files are looked up one by one."""
    tell_strays: bool = True
    """Files that no replica accounts for are dark: all replicas that could are looked at."""
    deletable: bool = True
    """The RSE is not closed for deleting."""
    closed: dict[str, str] = field(default_factory=dict)
    """Folders that could not be listed, with the reason."""

    def why_unseen(self, path: str | None) -> str | None:
        """Return why a file would not be seen if it were there; None: it would."""
        above = (path or "").split("/")[:-1]
        return next(
            (self.closed[folder] for end in range(len(above)) if (folder := "/".join(above[: end + 1])) in self.closed),
            None,
        )


@dataclass(frozen=True, slots=True)
class Examined:
    """A replica with its fate."""

    replica: RseReplica
    fate: Fate
    finding: Finding | None = None


@dataclass(slots=True)
class Examiner:
    """Looks a second time.

    Parameters
    ----------
    edge
        Rucio.
    pool
        Looks at files, several at a time.
    before
        What changed later may be on its way.
    ignore
        Patterns of paths of files that are passed over.
    declare_lost
        Last replicas are to be declared bad, too, where their bytes are missing or others.
    """

    edge: RucioConsistency
    pool: Executor
    before: datetime
    ignore: Sequence[str] = ()
    declare_lost: bool = False
    _none: Elsewhere = field(default_factory=Elsewhere)
    _unanswered: int = 0
    """Files in a row that the storage did not tell of."""

    # -------------------------------------------------------------------------------------------------- replicas

    def replicas(
        self,
        subject: Subject,
        replicas: Sequence[RseReplica],
        files: Mapping[str, StoredFile],
        chosen: Callable[[RseReplica], bool],
    ) -> list[Examined]:
        """Give each replica its fate.

        Parameters
        ----------
        subject
            The RSE.
        replicas
            Its replicas, as Rucio told them.
        files
            By path: the files, as they were listed.
        chosen
            Whether the bytes of a replica are to be read.
        """
        examined = []
        suspects: list[RseReplica] = []
        reading: list[RseReplica] = []
        for one in replicas:
            if one.state in comparison.RESTING:
                examined.append(Examined(one, comparison.RESTING[one.state]))
            elif one.state != "AVAILABLE" or one.path is None or _differs(one, files.get(one.path)):
                suspects.append(one)
            elif chosen(one):
                reading.append(one)
            else:
                examined.append(Examined(one, Fate.SAME))
        examined += self._suspected(subject, suspects, files)
        examined += self._read(subject, reading)
        return examined

    def unlisted(
        self, subject: Subject, replicas: Sequence[RseReplica], chosen: Callable[[RseReplica], bool]
    ) -> list[Examined]:
        """Give each replica its fate, as `replicas` does, where no list of files was read."""
        files = {}
        if subject.storage is not None:
            found = self._each(subject.storage, [one.path for one in replicas if one.path is not None])
            files = {file.path: file for file in found if isinstance(file, StoredFile)}
        return self.replicas(subject, replicas, files, chosen)

    def _suspected(
        self, subject: Subject, suspects: Sequence[RseReplica], files: Mapping[str, StoredFile]
    ) -> list[Examined]:
        """Ask both sides again of replicas that seem to differ."""
        if not suspects:
            return []
        looked = self._looked(subject, suspects, files)
        moving = self._moving(subject, suspects)
        examined, lacking, copying = [], [], []
        for one in suspects:
            found = looked[one]
            if one.did in moving:
                examined.append(Examined(one, Fate.UNDER_WAY))
            elif isinstance(found, str):
                examined.append(_unchecked(one, found))
            elif found is None and (closed := subject.why_unseen(one.path)) is not None:
                examined.append(_unchecked(one, closed))
            elif one.state != "AVAILABLE":
                copying.append((one, found))
            elif (fate := comparison.compared(one, found)) is Fate.SAME:
                examined.append(Examined(one, Fate.SAME))
            else:
                lacking.append((one, fate, _difference(one, found)))
        return examined + self._lacking(lacking) + self._copying(subject, copying)

    def _moving(self, subject: Subject, suspects: Sequence[RseReplica]) -> frozenset[Did]:
        """Return those that Rucio says something else of by now, or whose state is too young to be judged."""
        now = {(one.did, one.state) for one in self.edge.replicas((one.did for one in suspects), [subject.rse])}
        moving = {one.did for one in suspects if (one.did, one.state) not in now}
        copying = [one.did for one in suspects if one.state != "AVAILABLE"]
        if copying:
            moving |= {one.did for one in self.edge.replicas(copying, [subject.rse], since=self.before)}
        others = [one.did for one in suspects if one.state == "AVAILABLE"]
        if others and subject.storage is None and subject.dump is not None:
            moving |= {one.did for one in self.edge.replicas(others, [subject.rse], since=subject.dump.written)}
        return frozenset(moving)

    def _lacking(self, lacking: Sequence[tuple[RseReplica, Fate, str]]) -> list[Examined]:
        around = self.edge.elsewhere(one.did for one, _, _ in lacking)
        findings = [
            comparison.lacking(one, fate, why, around.get(one.did, self._none), declare_lost=self.declare_lost)
            for one, fate, why in lacking
        ]
        return [Examined(one, found.fate, found) for (one, _, _), found in zip(lacking, findings, strict=True)]

    def _copying(self, subject: Subject, copying: Sequence[tuple[RseReplica, StoredFile | None]]) -> list[Examined]:
        around = self.edge.elsewhere(one.did for one, _ in copying)
        there = [file.path for _, file in copying if file is not None]
        read = dict(zip(there, self._hashed(subject, there), strict=True))
        examined = []
        for one, file in copying:
            hashed = None if file is None else read[file.path]
            if file is not None and self._young(file):
                examined.append(Examined(one, Fate.UNDER_WAY))
            elif isinstance(hashed, str):
                examined.append(_unchecked(one, hashed))
            else:
                finding = comparison.unfinished(
                    one, file, hashed, around.get(one.did, self._none), self.edge.rule_on(one.did)
                )
                examined.append(Examined(one, Fate.UNFINISHED, finding))
        return examined

    def _read(self, subject: Subject, replicas: Sequence[RseReplica]) -> list[Examined]:
        """Read files, and compare their checksums."""
        examined, others = [], []
        for one, hashed in zip(replicas, self._hashed(subject, [one.path or "" for one in replicas]), strict=True):
            if isinstance(hashed, str):
                examined.append(_unchecked(one, hashed))
                continue
            why = comparison.other_checksum(one, hashed)
            if why is None:
                examined.append(Examined(one, Fate.SAME))
            else:
                others.append((one, Fate.WRONG_CHECKSUM, why))
        moving = self._moving(subject, [one for one, _, _ in others]) if others else frozenset()
        examined += [Examined(one, Fate.UNDER_WAY) for one, _, _ in others if one.did in moving]
        return examined + self._lacking([other for other in others if other[0].did not in moving])

    # ----------------------------------------------------------------------------------------------------- files

    def strays(self, subject: Subject, files: Sequence[StoredFile]) -> list[tuple[StoredFile, Fate]]:
        """Give each file that no replica accounts for its fate."""
        fates: dict[StoredFile, Fate] = {}
        suspects = []
        for file in files:
            fate = comparison.stray(file, self.before.timestamp(), self.ignore)
            fates[file] = fate
            if fate in (Fate.DARK, Fate.LEFTOVER):
                suspects.append(file)
        if subject.storage is not None:
            looked = self._each(subject.storage, [file.path for file in suspects])
            for file, found in zip(suspects, looked, strict=True):
                if found is None:
                    fates[file] = Fate.GONE
                elif isinstance(found, StoredFile) and self._young(found):
                    fates[file] = Fate.YOUNG
        dark = [file for file in suspects if fates[file] is Fate.DARK]
        for file in self._hidden(subject, dark):
            fates[file] = Fate.KNOWN
        return list(fates.items())

    def _hidden(self, subject: Subject, dark: Sequence[StoredFile]) -> list[StoredFile]:
        """Return those that Rucio has a replica of, though it did not list its name."""
        guesses = [did for file in dark for did in comparison.possible_names(file.path)]
        paths = {one.path for one in self.edge.replicas(guesses, [subject.rse])}
        return [file for file in dark if file.path in paths]

    def _young(self, file: StoredFile) -> bool:
        return file.changed is not None and file.changed > self.before.timestamp()

    # --------------------------------------------------------------------------------------------------- storage

    def _looked(
        self, subject: Subject, suspects: Sequence[RseReplica], files: Mapping[str, StoredFile]
    ) -> dict[RseReplica, Looked]:
        """Look at the files of replicas; where there is only a list of files, it has told already."""
        looked: dict[RseReplica, Looked] = dict.fromkeys(
            suspects, "Rucio tells no address of it below a prefix of the RSE's protocols"
        )
        placed = [(one, one.path) for one in suspects if one.path is not None]
        if subject.storage is None:
            return looked | {one: files.get(path) for one, path in placed}
        found = self._each(subject.storage, [path for _, path in placed])
        return looked | dict(zip((one for one, _ in placed), found, strict=True))

    def _each(self, storage: Storage, paths: Iterable[str]) -> list[Looked]:
        return list(self.pool.map(lambda path: self._told(storage.look, path), paths))

    def _hashed(self, subject: Subject, paths: Sequence[str]) -> list[Hashed | str]:
        storage = subject.storage
        if storage is None:
            return ["it cannot be read from here" for _ in paths]
        read = list(self.pool.map(lambda path: self._told(storage.hash, path), paths))
        whole = [one for one in read if isinstance(one, Hashed)]
        subject.report.read += len(whole)
        subject.report.bytes_read += sum(one.bytes for one in whole)
        return read

    def _told(self, ask: Callable[[str], Told], path: str) -> Told | str:
        """Ask for one file; a storage that tells of none any more ends the audit, after its own patience each time."""
        try:
            told = ask(path)
        except RefusedError as error:
            return str(error)
        except TransientError as error:
            self._unanswered += 1
            if self._unanswered >= MOST_UNANSWERED:
                raise FatalError(f"the storage does not answer any more: {error}") from error
            return str(error)
        self._unanswered = 0
        return told


def _differs(replica: RseReplica, file: StoredFile | None) -> bool:
    return comparison.compared(replica, file) is not Fate.SAME


def _unchecked(replica: RseReplica, why: str) -> Examined:
    return Examined(replica, Fate.UNCHECKED, Finding(Fate.UNCHECKED, replica.rse, replica.path, why, replica.did))


def _difference(replica: RseReplica, file: StoredFile | None) -> str:
    if file is None:
        return "the storage does not have it"
    return f"the storage has {file.bytes} bytes, Rucio says {replica.bytes}"
