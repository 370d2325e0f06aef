"""What Rucio holds of items, asset by asset: read in bulk with the rights of any account, without the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stac_rucio_sync.mapping.identifiers import decode
from stac_rucio_sync.model import Did, Topology
from stac_rucio_sync.model.rules import LakeFile
from stac_rucio_sync.replication.choice import Asked
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.audit import RucioAudit
from stac_rucio_sync.stores.rucio.held import RucioHeld, replicas_in


class Holdings:
    """Looks up the files of items; nothing is sent before the first call.

    Parameters
    ----------
    settings
        All settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._audit = RucioAudit(settings)
        self._held = RucioHeld(settings)

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._audit.requests + self._held.requests

    def close(self) -> None:
        """Close all connections."""
        self._audit.close()
        self._held.close()

    def topology(self) -> Topology:
        """Return the RSEs, for `stac_rucio_sync.locality`."""
        return self._held.topology()

    def files(self, asked: Sequence[Asked]) -> dict[Did, tuple[LakeFile, ...]]:
        """Return the registered files of items by their datasets, of every item only the assets that are asked for.

        Four kinds of calls, each for up to 1,000 datasets or files. An item without any file is left out.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions.
        FatalError
            Wrong credentials or configuration.
        """
        kinds = self._audit.kinds(one.did for one in asked)
        datasets = [did for did, kind in kinds.items() if kind == "DATASET"]
        contents = self._audit.contents(datasets)
        metadata = self._audit.metadata(list(contents))
        held = self._held.files(did for content in contents.values() for did in content)
        found: dict[Did, tuple[LakeFile, ...]] = {}
        for one in asked:
            keys = _asset_keys(metadata.get(one.did, {}))
            chosen = {asset.key for asset in one.assets}
            files = []
            for did in contents.get(one.did, ()):
                asset, file = _asset_of(did, keys), held.get(did)
                if file is not None and file.bytes is not None and (one.whole or asset in chosen):
                    files.append(LakeFile(asset, did, file.bytes, file.adler32, file.md5, replicas_in(did, file)))
            if files:
                found[one.did] = tuple(sorted(files, key=lambda file: (file.asset, file.did)))
        return found

    def refreshed(self, files: Sequence[LakeFile]) -> list[LakeFile]:
        """Return files with their replicas as they are now; those that Rucio forgot have none."""
        held = self._held.files(file.did for file in files)
        return [
            LakeFile(
                file.asset,
                file.did,
                file.bytes,
                file.adler32,
                file.md5,
                replicas_in(file.did, held[file.did]) if file.did in held else (),
            )
            for file in files
        ]


def _asset_keys(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return asset keys by file names, as the sync wrote them on the dataset."""
    named = metadata.get("stac:asset")
    return {str(name): key for key, name in named.items()} if isinstance(named, Mapping) else {}


def _asset_of(did: Did, keys: Mapping[str, str]) -> str:
    if did.name in keys:
        return keys[did.name]
    decoded = decode(did.name)
    return decoded.asset if decoded is not None and decoded.asset is not None else did.name
