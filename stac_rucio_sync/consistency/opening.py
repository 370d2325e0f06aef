"""The RSEs of an audit: where each is looked at, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stac_rucio_sync.consistency.comparison import folder_of_scope
from stac_rucio_sync.consistency.dumps import Dump
from stac_rucio_sync.consistency.examining import Subject
from stac_rucio_sync.consistency.report import RseReport
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.stores.rucio.consistency import RucioConsistency, prefixes_of
from stac_rucio_sync.stores.rucio.origins import ORIGIN_ATTRIBUTE
from stac_rucio_sync.stores.storage.folder import Storage


@dataclass(frozen=True, slots=True)
class Looking:
    """How storages are looked at."""

    scopes: tuple[str, ...] = ()
    by_name: bool = False
    """Only some files are asked for, by name: nothing is listed."""
    dumps: Mapping[str, Path] = field(default_factory=dict)
    """By RSE: a list of its files, instead of listing them."""
    scheme: str | None = None
    """Only by protocols of this scheme."""
    needs_storage: bool = False
    """Files are to be read, or repaired: a list of them is not enough."""


def open_subjects(
    edge: RucioConsistency, rses: Sequence[str], looking: Looking, repair: bool, opened: ExitStack
) -> list[Subject]:
    """Return the RSEs of an audit with their storages, which ``opened`` closes.

    Raises
    ------
    UsageError
        One is an origin, or cannot be looked at from here.
    """
    unknown = sorted(looking.dumps.keys() - set(rses))
    if unknown:
        raise UsageError(f"there is a dump of {', '.join(unknown)}, which is none of the RSEs to be audited")
    subjects = []
    for rse in rses:
        settings, attributes = edge.described(rse)
        if attributes.get(ORIGIN_ATTRIBUTE):
            raise UsageError(
                f"{rse} is an origin, somebody else's server: what lies there besides the lake's files is theirs "
                "(`verify` compares its replicas with their catalogue)"
            )
        subjects.append(_subject(edge, settings, looking, repair=repair, opened=opened))
    return subjects


def _subject(
    edge: RucioConsistency, settings: Mapping[str, Any], looking: Looking, *, repair: bool, opened: ExitStack
) -> Subject:
    rse = str(settings["rse"])
    dump = Dump(looking.dumps[rse], prefixes_of(settings)) if rse in looking.dumps else None
    storage = _storage(edge, settings, looking, dump)
    if storage is not None:
        opened.callback(storage.close)
    title = storage.title if storage is not None else ""
    if dump is not None:
        title = f"{title} by {looking.dumps[rse]}" if title else str(looking.dumps[rse])
    subject = Subject(rse, storage, RseReport(rse, title, repair=repair), dump)
    subject.deletable = bool(settings.get("availability_delete", True))
    folders = [folder_of_scope(scope, settings) for scope in looking.scopes]
    if looking.by_name and dump is None:
        subject.folders = None
    elif looking.by_name or looking.scopes:
        placed = tuple(folder for folder in folders if folder is not None)
        if looking.scopes and len(placed) == len(folders):
            subject.folders = placed
        else:
            subject.tell_strays = False
            subject.report.remarks["files in no replica are not told: they may be of other scopes or datasets"] += 1
    return subject


def _storage(
    edge: RucioConsistency, settings: Mapping[str, Any], looking: Looking, dump: Dump | None
) -> Storage | None:
    token, certificates = edge.login()
    from stac_rucio_sync.stores.storage.opening import open_storage  # noqa: PLC0415 - Rucio is imported when used

    try:
        return open_storage(settings, token=token, certificates=certificates, scheme=looking.scheme)
    except UsageError:
        if dump is None or looking.needs_storage:
            raise
        return None
