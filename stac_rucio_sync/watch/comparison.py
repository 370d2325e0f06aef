"""Files asked of Rucio in bulk and written as Rucio tells them: what looks, events and rebuilds come down to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from stac_rucio_sync.model import Did, Held, Replica
from stac_rucio_sync.parts import in_parts
from stac_rucio_sync.stores.rucio.calls import DIDS_PER_CALL
from stac_rucio_sync.stores.rucio.watch import RucioWatch, mirrored
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.stores.tables.replica_rows import MirrorChanges


class Comparison:
    """Compares files of the mirror with Rucio.

    Parameters
    ----------
    rucio
        What Rucio is asked by.
    mirror
        What the mirror is written by.
    write
        False: count what would change, and write nothing.
    """

    def __init__(self, rucio: RucioWatch, mirror: MirrorWrites, *, write: bool = True) -> None:
        self._rucio = rucio
        self._mirror = mirror
        self._write = write

    def compare(self, files: Iterable[Did]) -> MirrorChanges:
        """Make the mirror say of files what Rucio says now; files that no item has are passed over.

        Raises
        ------
        TransientError
            Rucio or the database does not answer; what is not compared yet stays as it is.
        FatalError
            One of them will not.
        """
        changes = MirrorChanges()
        for part in in_parts(dict.fromkeys(files), DIDS_PER_CALL):
            changes += self._compare(part)
        return changes

    def _compare(self, files: Sequence[Did]) -> MirrorChanges:
        asked = self._mirror.clock()  # before Rucio is asked: what changes meanwhile is a later answer's business
        return self.settle(files, self._rucio.replicas(files), asked)

    def settle(self, files: Sequence[Did], held: Mapping[Did, Held], asked: datetime) -> MirrorChanges:
        """Make the mirror say of files what Rucio has said.

        Parameters
        ----------
        files
            Those that were asked for; what no item has is passed over.
        held
            The answer.
        asked
            When they were asked for, by the mirror's clock.

        Raises
        ------
        TransientError, FatalError
            The database does not answer.
        """
        known = self._mirror.held(files)  # after it: what somebody wrote meanwhile by an older answer is to be mended
        wanted = {did: mirrored(did, held.get(did), there) for did, there in known.items()}
        differing = {did: rows for did, rows in wanted.items() if {row.rse: row for row in rows} != known[did]}
        if self._write:
            return self._mirror.write(differing, asked)
        changes = MirrorChanges()
        for did, rows in differing.items():
            changes += _difference(rows, known[did])
        return changes


def _difference(wanted: Sequence[Replica], there: dict[str, Replica]) -> MirrorChanges:
    rows = {row.rse: row for row in wanted}
    return MirrorChanges(
        added=len(rows.keys() - there.keys()),
        changed=sum(there.get(rse, row) != row for rse, row in rows.items()),
        removed=len(there.keys() - rows.keys()),
    )
