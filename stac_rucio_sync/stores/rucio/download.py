"""Downloads by Rucio's own client, for replicas whose scheme no HTTP client opens (``root``, ``srm``, ``file`` ...)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.model import Did, Replica
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls

if TYPE_CHECKING:
    from stac_rucio_sync.stores.rucio.client import LakeClient

_SECONDS: Final = 24 * 3600
"""The longest that one transfer may take."""


class RucioDownload:
    """Downloads single replicas, one at a time: Rucio's client is not made for several threads.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._calls = RucioCalls(settings.rucio)
        self._one = threading.Lock()

    def close(self) -> None:
        """Close all connections, also under a download that is still on its way."""
        self._calls.close()

    def get(self, replica: Replica, folder: Path) -> Path:
        """Download a replica into an empty folder; return the file.

        Raises
        ------
        RefusedError
            It cannot be read: no library for its scheme, a wrong checksum, no permission ...
        TransientError, FatalError
            Rucio does not answer, or the credentials are wrong.
        """
        with self._one:
            self._calls.use(lambda client: _download(client, replica, folder))
        found = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part")]
        if len(found) != 1:
            raise RefusedError(f"Rucio's client left {len(found)} files of {replica.did}")
        return found[0]


def _download(client: LakeClient, replica: Replica, folder: Path) -> Any:  # noqa: ANN401 - a list as Rucio declares it
    from rucio.client.downloadclient import DownloadClient  # noqa: PLC0415 - imported when used

    did: Did = replica.did
    wanted = {
        "pfn": replica.pfn,
        "did": str(did),
        "rse": replica.rse,
        "base_dir": str(folder),
        "no_subdir": True,
        "transfer_timeout": _SECONDS,
    }
    return DownloadClient(client=client).download_pfns([wanted], num_threads=1)
