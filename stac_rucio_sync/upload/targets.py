"""Where files are to lie at an RSE, and how its storage is reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rucio_policy.paths import parent_dataset
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.upload.work import Storage

DOMAINS: Final = ("wan", "lan")


class Targets:
    """The places of files at one RSE.

    Parameters
    ----------
    uploads
        The edge to Rucio.
    rse
        Name of the RSE.
    dataset
        What the files are attached to; a non-deterministic RSE names their places by it.
    domain
        ``wan`` or ``lan``: which of the RSE's protocols are meant for us.

    Raises
    ------
    UsageError
        The RSE cannot be written to, or its places need a dataset.
    """

    def __init__(self, uploads: RucioUploads, rse: str, dataset: Did | None, domain: str) -> None:
        from stac_rucio_sync.stores.storage.protocol_objects import protocols_for  # noqa: PLC0415 - Rucio is imported when used
        from stac_rucio_sync.stores.storage.protocols import StorageElement  # noqa: PLC0415 - the same

        self.rse = rse
        self._uploads = uploads
        self._dataset = dataset
        self._domain = domain
        self._settings = uploads.storage(rse)
        if not protocols_for(self._settings, "write", domain):
            raise UsageError(f"{rse} has no protocol that writes over the {domain}")
        self._element = StorageElement(self._settings, domain=domain)
        if not self.is_deterministic and dataset is None:
            raise UsageError(f"{rse} is not deterministic: its places are named by datasets, so --dataset is needed")

    @property
    def is_deterministic(self) -> bool:
        """Whether the RSE makes the places of files by their names alone."""
        return bool(self._settings["deterministic"])

    def storage(self) -> Storage:
        """Return how workers reach the storage now: tokens come to an end and are renewed."""
        token, certificates = self._uploads.login()
        return Storage(self._settings, token, certificates, self._domain)

    def of(self, dids: Sequence[Did]) -> dict[Did, str]:
        """Return the places of files below the RSE's prefix."""
        if self._dataset is not None and not self.is_deterministic:
            within = self._dataset
            return {did: parent_dataset(did.scope, did.name, within.scope, within.name).lstrip("/") for did in dids}
        places = {did: self._element.path_of(did) for did in dids}
        known = {did: place for did, place in places.items() if place is not None}
        unknown = [did for did in dids if did not in known]
        return known | (self._uploads.paths(self.rse, self._settings, unknown) if unknown else {})

    def pfns(self, targets: Iterable[str]) -> dict[str, str | None]:
        """Return the PFNs to register by place; None where the RSE makes them itself."""
        return {target: None if self.is_deterministic else self._element.pfn_of(target) for target in targets}
