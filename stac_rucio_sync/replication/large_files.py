"""The bytes behind the pointers of a clone: from the repository that it came from, or from the nearest replica."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from stac_rucio_sync.catalog.clones import Clone
from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.model.rules import LakeFile
from stac_rucio_sync.replication.fetching import Fetcher
from stac_rucio_sync.replication.manifest import FileFate
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.held import RucioHeld, replicas_in

OnBytes = Callable[[int], None]
"""Is told how many bytes of the file have come so far."""
_AT_ONCE = 1000
"""Files that are looked up in Rucio together."""


class LargeFiles:
    """Brings the bytes of a clone's large files.

    Parameters
    ----------
    clone
        The clone.
    load_settings
        Returns the settings; called when the first file of the lake is asked for.
    place
        Where we are, as `Locality.place` takes it.
    """

    def __init__(self, clone: Clone, load_settings: Callable[[], Settings], place: Mapping[str, Any]) -> None:
        self._clone = clone
        self._load_settings = load_settings
        self._place = place
        self._lake: _LakeFiles | None = None
        self._dids: Iterator[Did] = clone.dids()

    @property
    def requests(self) -> int:
        """HTTP requests sent to Rucio so far."""
        return 0 if self._lake is None else self._lake.requests

    def close(self) -> None:
        """Close all connections."""
        if self._lake is not None:
            self._lake.close()

    def get(self, remote: str, sha256: str, on_bytes: OnBytes) -> Path:
        """Bring the bytes with a digest into a file that is the caller's to move.

        Parameters
        ----------
        remote
            Name or URL of the repository that git asks.

        Raises
        ------
        RefusedError
            They are nowhere, or no replica gives them.
        TransientError, FatalError
            Rucio does not answer, or nothing can be written here.
        """
        self._clone.incoming.mkdir(parents=True, exist_ok=True)
        origin = self._clone.origin_object(remote, sha256)
        if origin is not None:
            path = self._clone.incoming / f"origin-{sha256}"
            shutil.copyfile(origin, path)
            on_bytes(path.stat().st_size)
            return path
        did = self._clone.did(sha256)
        if did is None:
            raise RefusedError(
                f"no bytes for {sha256}: {remote} has none on this machine, and no DID of the lake is known for them"
            )
        if self._lake is None:
            self._lake = _LakeFiles(self._load_settings(), self._place, self._clone.incoming)
        if not self._lake.knows(did):
            self._lake.look_up([did, *islice(self._dids, _AT_ONCE - 1)])
        return self._lake.get(did, on_bytes)


class _LakeFiles:
    """Files of the lake by their DIDs: looked up many at a time, as Git LFS asks for one after the other."""

    def __init__(self, settings: Settings, place: Mapping[str, Any], folder: Path) -> None:
        self._held = RucioHeld(settings)
        locality = Locality(settings.locality, self._held.topology())
        self._fetcher = Fetcher(settings, locality.seen_from(locality.place(**place)), folder, None, 1)
        self._files: dict[Did, LakeFile | None] = {}

    def close(self) -> None:
        self._fetcher.close()
        self._held.close()

    @property
    def requests(self) -> int:
        return self._held.requests

    def knows(self, did: Did) -> bool:
        return did in self._files

    def look_up(self, dids: list[Did]) -> None:
        held = self._held.files(dids)
        for did in dids:
            found = held.get(did)
            self._files[did] = (
                LakeFile("", did, found.bytes, found.adler32, found.md5, replicas_in(did, found))
                if found is not None and found.bytes is not None
                else None
            )

    def get(self, did: Did, on_bytes: OnBytes) -> Path:
        file = self._files[did]
        if file is None:
            raise RefusedError(f"Rucio knows no file {did}")
        before = self._fetcher.bytes
        self._fetcher.on_progress = lambda count: on_bytes(count - before)
        task = self._fetcher.task(ItemKey("", did.name), file)
        line = self._fetcher.get(task)
        if line.fate is FileFate.FAILED and task.by_rucio:
            line = self._fetcher.get_by_rucio(task)
        if line.path is None:
            raise RefusedError(f"{did}: {line.fate.value}: {line.reason}")
        return line.path
