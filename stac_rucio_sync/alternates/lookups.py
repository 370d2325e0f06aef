"""Where replicas are looked up: in the mirror, or in Rucio itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from stac_rucio_sync.alternates.attributing import Assets, Attribution
from stac_rucio_sync.alternates.seen import SeenItem
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.mapping.identifiers import dataset_did, obs_publisher_did
from stac_rucio_sync.mapping.science import science_assets
from stac_rucio_sync.model import Did, Held, HeldFile, HeldItem, ItemKey, Topology
from stac_rucio_sync.settings import Settings, load_settings
from stac_rucio_sync.stores.rucio.held import RucioHeld, replicas_in
from stac_rucio_sync.stores.tables.mirror import Mirror

ITEMS_AT_ONCE: Final = 1000
"""Items of one look-up; pages are smaller, item collections of any size."""


class Lookup(Protocol):
    """Gives what the lake holds of items, in one question for a page."""

    settings: Settings

    def held(self, items: Sequence[SeenItem]) -> Mapping[ItemKey, HeldItem]:
        """Return what is held; items that the lake does not hold are left out.

        Raises
        ------
        TransientError
            Whoever is asked does not answer.
        FatalError
            It cannot be asked: wrong credentials or configuration.
        """

    def topology(self) -> Topology:
        """Return the RSEs and their distances; the same object as long as nothing new was read.

        Raises
        ------
        TransientError, FatalError
            As of `held`.
        """

    def close(self) -> None:
        """Close all connections."""


class FromMirror:
    """Looks replicas up in the mirror, which the archive's services keep in PostgreSQL: milliseconds a page.

    Parameters
    ----------
    settings
        ``[database] reader_url``, ``[locality]``, ``[identity]`` and ``[s3]`` are used. None: those of the environment
        and of the file that ``STAC_RUCIO_SYNC_SETTINGS`` names.

    Raises
    ------
    UsageError
        The settings name no ``reader_url``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        url = self.settings.database.reader_url
        if url is None:
            raise UsageError(
                "no database to look replicas up in: set [database] reader_url, or ask Rucio itself (FromRucio)"
            )
        self._mirror = Mirror.open(url.get_secret_value())

    def held(self, items: Sequence[SeenItem]) -> Mapping[ItemKey, HeldItem]:
        """Return what is held of items, by one statement."""
        keys = list(dict.fromkeys(item.key for item in items))
        held: dict[ItemKey, HeldItem] = {}
        for begin in range(0, len(keys), ITEMS_AT_ONCE):
            held |= self._mirror.held_items(keys[begin : begin + ITEMS_AT_ONCE])
        return held

    def topology(self) -> Topology:
        """Return the RSEs and their distances."""
        return self._mirror.topology()

    def close(self) -> None:
        """Close the connections."""
        self._mirror.close()


class FromRucio:
    """Looks replicas up in Rucio itself, with any account that may read: one bulk call for a page of 1,000 items.

    Parameters
    ----------
    settings
        ``[rucio]``, ``[locality]``, ``[identity]``, ``[collections]`` and ``[s3]`` are used; names and scopes must be
        the archive's. None: those of the environment and of the file that ``STAC_RUCIO_SYNC_SETTINGS`` names.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self._rucio = RucioHeld(self.settings)

    @property
    def requests(self) -> int:
        """HTTP requests for replicas sent so far, log-in and repetitions included."""
        return self._rucio.requests

    def held(self, items: Sequence[SeenItem]) -> Mapping[ItemKey, HeldItem]:
        """Return what is held of items, by one call for 1,000 of them."""
        held: dict[ItemKey, HeldItem] = {}
        for begin in range(0, len(items), ITEMS_AT_ONCE):
            held |= self._held(items[begin : begin + ITEMS_AT_ONCE])
        return held

    def _held(self, items: Sequence[SeenItem]) -> dict[ItemKey, HeldItem]:
        attribution = Attribution(items, self.settings)
        files = self._rucio.files(attribution.asked)
        assets = attribution.assets(files, self._rucio.metadata)
        return {
            item.key: _held_item(item, assets[item.key], files, self.settings) for item in items if item.key in assets
        }

    def topology(self) -> Topology:
        """Return the RSEs and their distances."""
        return self._rucio.topology()

    def close(self) -> None:
        """Close the connections."""
        self._rucio.close()


def _held_item(item: SeenItem, assets: Assets, files: Mapping[Did, Held], settings: Settings) -> HeldItem:
    """Make of Rucio's files what the mirror would say, as far as they and the item tell it."""
    mapped = item.as_item()
    science = science_assets(mapped, settings)
    did = dataset_did(item.key, settings)
    held = []
    for asset in sorted(mapped.assets, key=lambda one: one.key):
        file_did = assets.get(asset.key)
        size = files[file_did].bytes if file_did is not None else None
        if file_did is None or size is None:
            continue
        file = files[file_did]
        held.append(
            HeldFile(
                asset=asset.key,
                did=file_did,
                bytes=size,
                adler32=file.adler32,
                md5=file.md5,
                media_type=asset.media_type,
                roles=asset.roles,
                title=asset.title,
                science=asset.key in science,
                replicas=replicas_in(file_did, file),
            )
        )
    return HeldItem(item.key, did, obs_publisher_did(did, settings), None, tuple(held))
