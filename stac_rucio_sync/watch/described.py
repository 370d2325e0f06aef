"""DIDs that users of Rucio described themselves: their files are read when they are new, and again in turn."""

from __future__ import annotations

from collections.abc import Sequence

from stac_rucio_sync.model import Did, Held
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.stores.rucio.calls import DIDS_PER_CALL
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges
from stac_rucio_sync.watch.comparison import Comparison

DIDS_A_CALL = 50
"""Each may have thousands of files."""
DIDS_A_LOOK = 200
"""Those that are read again; what a DID holds changes less often than where its files lie."""


class Described:
    """Keeps the files of described DIDs as Rucio tells them; their replicas then have their turn with all others.

    Parameters
    ----------
    rucio, mirror
        What is compared.
    comparison
        Takes the replicas of files that are new.
    write
        False: count what would change, and write nothing.
    """

    def __init__(self, rucio: RucioWatch, mirror: MirrorWrites, comparison: Comparison, *, write: bool = True) -> None:
        self._rucio = rucio
        self._mirror = mirror
        self._rows = mirror.described
        self._comparison = comparison
        self._write = write
        self._last: Did | None = None
        self._changed = 0
        self._changes = MirrorChanges()

    def look(self, most: int) -> tuple[int, MirrorChanges]:
        """Read the files of new DIDs, as far as there are not too many, and of the next ones of the turn.

        Parameters
        ----------
        most
            New DIDs and files to read, about.

        Returns
        -------
        int
            DIDs that have other files than before.
        MirrorChanges
            Replicas of files that were not known.

        Raises
        ------
        TransientError, FatalError
            Rucio or the database does not answer.
        """
        last: Did | None = None
        while most > 0 and (dids := self._rows.unread(last, DIDS_A_CALL)):
            most -= self._read(dids)
            last = dids[-1]
        for _ in range(DIDS_A_LOOK // DIDS_A_CALL):
            if not self._next():
                break
        return self._told()

    def all(self) -> tuple[int, MirrorChanges]:
        """See which DIDs are described, and read the files of all; return and raise as `look` does."""
        if self._write:
            self._rows.match()
        self._last = None
        while self._next():
            pass
        return self._told()

    def _next(self) -> bool:
        """Read the next DIDs of the turn; return whether it goes on."""
        dids = self._rows.after(self._last, DIDS_A_CALL)
        self._read(dids)
        self._last = dids[-1] if len(dids) == DIDS_A_CALL else None
        return self._last is not None

    def _told(self) -> tuple[int, MirrorChanges]:
        told = self._changed, self._changes
        self._changed, self._changes = 0, MirrorChanges()
        return told

    def _read(self, dids: Sequence[Did]) -> int:
        """Bring the files of DIDs; return how much work it was, in DIDs and files."""
        if not dids:
            return 0
        contents, known = self._rucio.contents(dids), self._rows.files(dids)
        fresh: dict[Did, dict[Did, Held]] = {}
        gone: dict[Did, list[Did]] = {}
        for did, there in known.items():
            files = contents.get(did, {})
            fresh[did] = {file: facts for file, facts in files.items() if not _same(facts, there.get(file))}
            gone[did] = sorted(there.keys() - files.keys())
            self._changed += bool(fresh[did] or gone[did])
        if self._write:
            self._bring(fresh, gone)
        return len(dids) + sum(len(files) for files in fresh.values())

    def _bring(self, fresh: dict[Did, dict[Did, Held]], gone: dict[Did, list[Did]]) -> None:
        files = sorted({file for of_did in fresh.values() for file in of_did})
        asked = self._mirror.clock()
        held = self._rucio.replicas(files)
        whole = {did: {file: held.get(file, facts) for file, facts in of_did.items()} for did, of_did in fresh.items()}
        self._rows.write(whole, gone)
        for part in in_parts(files, DIDS_PER_CALL):
            self._changes += self._comparison.settle(part, held, asked)


def _same(told: Held, there: Held | None) -> bool:
    return there is not None and (told.bytes, told.adler32) == (there.bytes, there.adler32)
