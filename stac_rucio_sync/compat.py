"""The class of stac-rucio under its old names, each method doing what its name says.

>>> from stac_rucio_sync.compat import StacClient
>>> client = StacClient()  # doctest: +SKIP
>>> client.create_replication_rules(search.items(), "VIENNA-DISK", targets=["b04"])  # doctest: +SKIP

New code had better use `stac_rucio_sync.replication`, which tells each item's fate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pystac

from stac_rucio_sync.alternates import FromRucio, ReplicaAlternates
from stac_rucio_sync.alternates.seen import SeenItem, items_in
from stac_rucio_sync.errors import ItemError, RefusedError
from stac_rucio_sync.mapping.assets import asset_did
from stac_rucio_sync.model import Did, HeldFile, HeldItem, ItemKey, JsonObject
from stac_rucio_sync.model.rules import LakeFile, Rule
from stac_rucio_sync.replication import Replication
from stac_rucio_sync.replication.choice import Asked, Choice, asked_batches
from stac_rucio_sync.replication.ending import end_rules, rules_on
from stac_rucio_sync.replication.given import GivenItems
from stac_rucio_sync.replication.manifest import FileFate, Line
from stac_rucio_sync.replication.registering import Registrar
from stac_rucio_sync.replication.request import ItemFate
from stac_rucio_sync.replication.states import is_copying, is_stuck
from stac_rucio_sync.settings import Settings, load_settings

Items = Iterable[Any] | pystac.Item | Mapping[str, Any]
"""One item or many: objects of pystac, or their dicts."""


class StacClient:
    """Replicas and rules for the items of STAC searches, as one Rucio account.

    Parameters
    ----------
    settings
        Names, scopes, the account. None: those of the environment and of the file that ``STAC_RUCIO_SYNC_SETTINGS``
        names.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self._replication = Replication(self.settings)
        self._holdings = self._replication.holdings
        self._rules = self._replication.rules
        self._lookup = _Remembering(self.settings)
        self._modifier = ReplicaAlternates(self._lookup)

    def close(self) -> None:
        """Close all connections."""
        self._replication.close()
        self._modifier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --------------------------------------------------------------------------------------------------- replicas

    def create_replicas(
        self, items: Items, rse: str | None = None, targets: Collection[str] | None = None
    ) -> list[Did]:
        """Register the files of items where they lie, at their origin.

        Parameters
        ----------
        items
            The items.
        rse
            The RSE that stands for the origin of the files; None: the one that the settings name or make.
        targets
            Keys of assets; None: all that can be files, with the item's metadata.

        Returns
        -------
        list of Did
            The files that are registered now.

        Raises
        ------
        RefusedError
            An item cannot be registered, with the reason; the others are.
        UsageError, FatalError
            The RSE cannot hold such files, or the account may not register.
        """
        refused: dict[str, str] = {}
        files: list[Did] = []
        with closing(Registrar(self.settings, rse=rse, whole=targets is None)) as registrar:
            for asked in self._asked(items, targets):
                refused |= {str(did): reason for did, reason in registrar.register(asked).items()}
                files += [file.did for held in self._holdings.files(asked).values() for file in held]
        if refused:
            first = next(iter(refused.items()))
            raise RefusedError(f"{len(refused)} items are not registered; {first[0]}: {first[1]}")
        return files

    def get_existing_replicas(
        self, items: Items, rse: str | None = None, targets: Collection[str] | None = None
    ) -> dict[Did, dict[str, str]]:
        """Return the available replicas of items: by file and RSE, the address."""
        rses = self._rules.rses(rse) if rse is not None else None
        return {
            file.did: {
                one.rse: one.pfn
                for one in file.replicas
                if one.state == "AVAILABLE" and (rses is None or one.rse in rses)
            }
            for file in self._files(items, targets)
        }

    def get_rucio_name(self, item: Any, target: str) -> str:  # noqa: ANN401 - an object of pystac or a dict
        """Return the name of the file that an asset stands for; its scope is that of the settings, or its own.

        Raises
        ------
        ItemError
            The item has no such asset, or one that names a DID that is none.
        """
        (asked,) = next(self._asked([item], [target]))
        if not asked.assets:
            raise ItemError(f"{asked.name} has no asset {target!r}")
        did = asset_did(asked.assets[0], asked.item, self.settings)
        if did is None:
            raise ItemError(f"asset {target!r} of {asked.name} names a DID that is none")
        return did.name

    # ------------------------------------------------------------------------------------------------------ rules

    def create_replication_rules(
        self,
        items: Items,
        dst_rse: str,
        targets: Collection[str] | None = None,
        *,
        copies: int = 1,
        lifetime: int | None = None,
        activity: str | None = None,
        comment: str | None = None,
    ) -> list[str]:
        """Make rules: on items as a whole, or on the files of some of their assets.

        Returns
        -------
        list of str
            Ids of the rules that were made; what had the same rule already got none.

        Raises
        ------
        RefusedError
            An item has no rule now: it is not registered, or Rucio refuses it; the others have theirs.
        UsageError
            The RSE expression stands for no RSE.
        """
        report = self._replication.replicate(
            _several(items),
            dst_rse,
            assets=_keys(targets),
            copies=copies,
            lifetime=lifetime,
            activity=activity,
            comment=comment,
        )
        if not report.clean:
            first = next(iter(report.left_out.items()), ("items", "there is none"))
            without = report.read - report.fates[ItemFate.MADE] - report.fates[ItemFate.THERE]
            raise RefusedError(f"{without} items have no rule; {first[0]}: {first[1]}")
        return list(report.rules)

    def get_items_replication_rules(self, items: Items, rse: str) -> list[Rule]:
        """Return the account's own rules of an RSE expression on items and on their files."""
        return list(rules_on(self._asked(items, None), self._holdings, self._rules, rse, whole=True))

    def delete_replication_rules(self, items: Items, rse: str, state: str | None = None) -> list[str]:
        """Delete the account's own rules of an RSE expression on items; ``state``: only those that are so.

        Returns
        -------
        list of str
            Ids of the rules, which end within the hour.

        Raises
        ------
        RefusedError
            Rucio keeps one.
        """
        rules = [one for one in self.get_items_replication_rules(items, rse) if state in (None, one.state)]
        ended = end_rules(rules, self._rules)
        kept = [str(one) for one in ended if one.outcome == "kept"]
        if kept:
            raise RefusedError(f"{len(kept)} rules are kept; {kept[0]}")
        return [one.rule_id for one in ended if one.clean]

    def replication_availability(self, items: Items, rse: str) -> dict[str, int]:
        """Count the registered files of items by how they are at an RSE: OK, STUCK, REPLICATING, and in Total."""
        rses = self._rules.rses(rse)
        counts = {"OK": 0, "STUCK": 0, "REPLICATING": 0, "Total": 0}
        for file in self._files(items, None):
            counts["Total"] += 1
            if file.available_at(rses):
                counts["OK"] += 1
            elif is_stuck(file, rses):
                counts["STUCK"] += 1
            elif is_copying(file, rses):
                counts["REPLICATING"] += 1
        return counts

    # -------------------------------------------------------------------------------------------------- downloads

    def download(self, item: Any, target: str, rse: str | None = None, folder: str | Path = ".") -> Path:  # noqa: ANN401 - an object of pystac or a dict
        """Download the file of one asset, from an RSE or from anywhere; return where it is, whole and verified.

        Raises
        ------
        RefusedError
            It cannot be had.
        """
        lines = self._fetch([item], rse, folder, [target])
        if len(lines) != 1 or lines[0].path is None:
            reason = lines[0].reason if lines else "the item has no such asset"
            raise RefusedError(f"asset {target!r} was not downloaded: {reason}")
        return lines[0].path

    def download_available(self, items: Items, rse: str, folder: str | Path = ".") -> list[Path]:
        """Download what is available at an RSE; return the files, which may be none.

        Raises
        ------
        RefusedError
            A file that is available there could not be had.
        """
        lines = self._fetch(items, rse, folder, None)
        failed = [line for line in lines if line.fate is FileFate.FAILED]
        if failed:
            raise RefusedError(f"{len(failed)} files were not downloaded; {failed[0].did}: {failed[0].reason}")
        return [line.path for line in lines if line.path is not None]

    def _fetch(
        self, items: Items, rse: str | None, folder: str | Path, targets: Collection[str] | None
    ) -> tuple[Line, ...]:
        fetched = self._replication.fetch(_several(items), folder, assets=_keys(targets), rse=rse)
        return fetched.lines

    # --------------------------------------------------------------------------------------------------- modifier

    def rucio_item(self, found: object) -> None:
        """Write replicas into what pystac-client found, as ``alternate`` objects, and ``rucio:config`` of every file.

        For ``Client.open(url, modifier=client.rucio_item)``.
        """
        self._modifier(found)
        held = self._lookup.last
        if not held:
            return
        host = self._rules.server
        for item in items_in(found, self.settings):
            if item.key in held:
                _write_config(item, held[item.key], host)

    # -------------------------------------------------------------------------------------------------- the items

    def _asked(self, items: Items, targets: Collection[str] | None) -> Iterator[list[Asked]]:
        for asked, unreadable in asked_batches(
            GivenItems(_several(items)), self.settings, Choice(frozenset(_keys(targets)))
        ):
            if unreadable:
                raise ItemError(f"{unreadable[0].position}: {unreadable[0].reason}")
            yield asked

    def _files(self, items: Items, targets: Collection[str] | None) -> Iterator[LakeFile]:
        for asked in self._asked(items, targets):
            for files in self._holdings.files(asked).values():
                yield from files


class _Remembering(FromRucio):
    """Looks replicas up and remembers what it found last: what `rucio:config` is written from."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.last: Mapping[ItemKey, HeldItem] = {}

    def held(self, items: Sequence[SeenItem]) -> Mapping[ItemKey, HeldItem]:
        """Return what is held of items."""
        self.last = super().held(items)
        return self.last


def _write_config(item: SeenItem, held: HeldItem, host: str) -> None:
    """Write what stac-rucio's readers look for: where Rucio is, and the DID of the file."""
    files: dict[str, HeldFile] = {file.asset: file for file in held.files}
    for asset in item.assets:
        file = files.get(asset.key)
        if file is None:
            continue
        config: JsonObject = {
            "rucio:host": host,
            "rucio:scope": file.did.scope,
            "rucio:name": file.did.name,
            "rucio:scheme": next((one.pfn.partition("://")[0] for one in file.replicas), None),
            "rucio:size": file.bytes,
            "rucio:adler32": file.adler32,
        }
        asset.fields["rucio:config"] = {key: value for key, value in config.items() if value is not None}


def _several(items: Items) -> Iterable[Any]:
    if isinstance(items, pystac.Item) or (isinstance(items, Mapping) and items.get("type") != "FeatureCollection"):
        return [items]
    return items["features"] if isinstance(items, Mapping) else items


def _keys(targets: Collection[str] | None) -> Collection[str]:
    return [targets] if isinstance(targets, str) else targets or ()
