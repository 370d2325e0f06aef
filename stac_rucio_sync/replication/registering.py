"""Registration of items that the lake does not know yet: what the sync does in Rucio, without the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping import map_item
from stac_rucio_sync.mapping.assets import hrefs_to_measure
from stac_rucio_sync.mapping.fingerprint import fingerprint, settings_digest
from stac_rucio_sync.model import Did, Measured, Wanted
from stac_rucio_sync.replication.choice import Asked
from stac_rucio_sync.settings import Origins, Settings
from stac_rucio_sync.sizes import open_sizer
from stac_rucio_sync.stores.rucio.store import RucioStore


class Registrar:
    """Registers items in Rucio: replicas at their origins, datasets, containers, metadata.

    The tables learn of them when their source is synced; until then DataLink and TAP do not know them.

    Parameters
    ----------
    settings
        All settings; the account must own the scopes, and may add replicas at the RSEs of the origins.
    rse
        The RSE that stands for the origin of all files; None: those that the settings name or make.
    whole
        False: only the assets that are asked for, and no metadata (they would name the others, too).
    """

    def __init__(self, settings: Settings, *, rse: str | None = None, whole: bool = True) -> None:
        self._settings = settings
        self._rse = rse
        self._whole = whole
        self._origins: frozenset[str] = frozenset()
        self._digest = settings_digest(settings)
        self._lake = RucioStore(settings)
        self._sizer = open_sizer(settings.sync)

    def close(self) -> None:
        """Close all connections."""
        self._lake.close()
        if self._sizer is not None:
            self._sizer.close()

    def register(self, asked: Sequence[Asked]) -> dict[Did, str]:
        """Register items; return by dataset why some cannot be.

        Raises
        ------
        TransientError
            Rucio does not answer properly, after all repetitions.
        FatalError
            The account may not register anything.
        """
        refused: dict[Did, str] = {}
        measured = self._measure(asked, refused)
        wanted: list[Wanted] = []
        for item in asked:
            if item.did in refused:
                continue
            try:
                mark = fingerprint(item.read, self._digest)
                mapped = map_item(item.item, self._settings, measured, mark)
                wanted.append(mapped if self._whole else _narrowed(mapped, {asset.key for asset in item.assets}))
            except ItemError as error:
                refused[item.did] = str(error)
        self._settle_origins(wanted)
        for one, registered in zip(wanted, self._lake.register([(one, None) for one in wanted]), strict=True):
            if registered.refused is not None:
                refused[one.did] = registered.refused
            elif not registered.replicas:
                refused[one.did] = _why_links_only(one, [link.reason for link in registered.links])
        return refused

    def _settle_origins(self, wanted: Sequence[Wanted]) -> None:
        """Let the one RSE that was named stand for every origin that is met."""
        met = {replica.origin for one in wanted for file in one.files for replica in file.replicas}
        if self._rse is not None and not met <= self._origins:
            self._origins |= met
            self._lake.close()
            origins = Origins(rses=dict.fromkeys(self._origins, self._rse))
            self._lake = RucioStore(self._settings.model_copy(update={"origins": origins}))

    def _measure(self, asked: Sequence[Asked], refused: dict[Did, str]) -> Mapping[str, Measured]:
        if self._sizer is None:
            return {}
        hrefs = {href: one.did for one in asked for _, href in hrefs_to_measure(one.item, self._settings)}
        measured, _, unanswered = self._sizer.measure(hrefs)
        refused.update({hrefs[href]: reason for href, reason in unanswered.items()})
        return measured


def _narrowed(wanted: Wanted, assets: Set[str]) -> Wanted:
    files = tuple(file for file in wanted.files if file.asset in assets)
    return replace(wanted, files=files, metadata={})


def _why_links_only(wanted: Wanted, placeless: Sequence[str | None]) -> str:
    reasons = [reason for reason in (*placeless, *(link.reason for link in wanted.links)) if reason]
    return f"none of its assets can be a file: {reasons[0]}" if reasons else "it has no asset that could be a file"
