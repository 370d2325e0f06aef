"""Whose the files are that Rucio lists: of which item, and of which of its assets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from stac_rucio_sync.alternates.seen import SeenItem
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.assets import asset_did, own_did
from stac_rucio_sync.mapping.identifiers import dataset_did, decode
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.settings import Settings

Metadata = Callable[[Sequence[Did]], Mapping[Did, Mapping[str, Any]]]
Assets = dict[str, Did]


class Attribution:
    """The items of a page, and what to ask Rucio for them.

    A dataset is asked for, not its files: that is fewer DIDs, and only the dataset knows the files whose content
    changed, for they have other names. Files that assets name themselves are asked for beside it: such items may have
    been registered by other means, without a dataset.

    Parameters
    ----------
    items
        The items.
    settings
        They say how things are named.
    """

    def __init__(self, items: Iterable[SeenItem], settings: Settings) -> None:
        self._settings = settings
        self._items = {item.key: item for item in items}
        self.datasets = {dataset_did(key, settings): key for key in self._items}
        """The items' datasets."""
        self._own: dict[Did, tuple[ItemKey, str]] = {}
        for item in self._items.values():
            self._note_own_names(item)
        self._self_named = set(self._own.values())

    @property
    def asked(self) -> list[Did]:
        """What to ask Rucio for."""
        return [*self.datasets, *self._own]

    def _note_own_names(self, item: SeenItem) -> None:
        if not any("rucio:name" in asset.fields or "rucio:config" in asset.fields for asset in item.assets):
            return
        mapped = item.as_item()
        for asset in mapped.assets:
            did = own_did(asset, mapped, self._settings)
            if did is not None:
                self._own[did] = item.key, asset.key

    @cached_property
    def _expected(self) -> dict[Did, tuple[ItemKey, str] | None]:
        """The files that assets stand for by the rule or the template of names, before any change of their content."""
        expected: dict[Did, tuple[ItemKey, str] | None] = {}
        for item in self._items.values():
            mapped = item.as_item()
            for asset in mapped.assets:
                try:
                    did = asset_did(asset, mapped, self._settings)
                except ItemError:
                    continue  # no file can have been registered for it
                if did is not None:
                    # A template may give one name to assets of several items: then the name alone does not tell.
                    expected[did] = None if did in expected else (item.key, asset.key)
        return expected

    def assets(self, files: Iterable[Did], metadata: Metadata) -> dict[ItemKey, Assets]:
        """Say which file stands for which asset.

        Names tell; where they do not (a shortened name of changed content, a template), the metadata of the datasets
        are asked for, once.

        Parameters
        ----------
        files
            What Rucio listed for `asked`.
        metadata
            Gives the metadata of datasets.
        """
        candidates: dict[tuple[ItemKey, str], list[Did]] = {}
        unknown: list[Did] = []
        for did in files:
            whose = self._whose(did)
            if whose is None:
                unknown.append(did)
            else:
                candidates.setdefault(whose, []).append(did)
        found: dict[ItemKey, Assets] = {}
        doubtful: set[ItemKey] = set()
        for (key, asset), dids in candidates.items():
            if len(dids) == 1:
                found.setdefault(key, {})[asset] = dids[0]
            else:
                doubtful.add(key)
                unknown.extend(dids)
        if unknown:
            self._told_by_metadata(found, doubtful, unknown, metadata)
        return found

    def _whose(self, did: Did) -> tuple[ItemKey, str] | None:
        if did in self._own:
            return self._own[did]
        decoded = decode(did.name)
        if decoded is not None and decoded.item is not None and decoded.asset is not None:
            key = ItemKey(decoded.collection, decoded.item)
            if key not in self._items or dataset_did(key, self._settings).scope != did.scope:
                return None
            whose = key, decoded.asset
            return None if whose in self._self_named else whose
        return self._expected.get(did)

    def _told_by_metadata(
        self, found: dict[ItemKey, Assets], doubtful: set[ItemKey], unknown: Sequence[Did], metadata: Metadata
    ) -> None:
        names: dict[str, list[Did]] = {}
        for did in unknown:
            names.setdefault(did.name, []).append(did)
        asked = [
            dataset
            for dataset, key in self.datasets.items()
            if key in doubtful or len(found.get(key, ())) < len(self._items[key].assets)
        ]
        for dataset, stated in metadata(asked).items():
            key, assets = self.datasets.get(dataset), stated.get("stac:asset")
            if key is None or not isinstance(assets, dict):
                continue
            for asset, name in assets.items():
                dids = names.get(name, []) if isinstance(name, str) else []
                own_scope = [did for did in dids if did.scope == dataset.scope]
                if len(own_scope or dids) == 1:
                    found.setdefault(key, {})[asset] = (own_scope or dids)[0]
