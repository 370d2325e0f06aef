"""Backup and restore of the tables together with the versioned catalogues that they were made of.

The tables are copied first, as they are at one instant; the catalogues after them. A catalogue only grows, so its copy
has every commit that the tables name, and a sync from it goes on where the tables stand.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from stac_rucio_sync import __version__
from stac_rucio_sync.catalog.backup import backup as copy_catalogue
from stac_rucio_sync.catalog.backup import restore as restore_catalogue
from stac_rucio_sync.catalog.durable import sync_all_below
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.errors import FatalError, SyncError, UsageError
from stac_rucio_sync.stores.tables.dump import SourceAt, dump_tables, load_tables

MANIFEST: Final = "backup.json"
_CATALOGUES: Final = "catalogues"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue in a backup."""

    location: str
    """Where it was, as its source names it."""
    folder: str
    """Of its copy, below the backup's."""
    head: str
    """Its latest commit."""
    tables_at: str | None
    """The commit that the tables stand at; None: a first run had not ended."""


@dataclass
class Kept:
    """What a backup holds, or what was restored of one."""

    version: str
    made: str
    """Time (UTC, ISO 8601)."""
    dump: str
    sha256: str
    server: str
    rows: dict[str, int]
    catalogues: list[Catalogue] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Why versioned sources have no catalogue here."""

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints, and that lies in the backup."""
        return asdict(self)


def back_up(admin_url: str, folder: Path) -> Kept:
    """Bring a backup in step with the tables and their catalogues; the first time it is made.

    Whatever goes wrong, the backup that was there before is whole: its parts are replaced in one step, at the end.

    Parameters
    ----------
    admin_url
        ``postgresql://`` URL of the owner of the tables.
    folder
        Of the backup.

    Raises
    ------
    UsageError
        The folder holds something else; see `dump_tables` and `catalog.backup.backup`, too.
    FatalError
        Something cannot be read or written, or a catalogue lacks a commit that the tables name.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise UsageError(f"{folder} holds no backup and is not empty: name a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # rows of collections that are not public yet
    made = datetime.now(UTC)
    dump = folder / f"tables-{made:%Y%m%dT%H%M%S%f}.dump"
    told = dump_tables(admin_url, dump)
    kept = Kept(__version__, made.isoformat(), dump.name, _sha256(dump), told.server, told.rows)
    try:
        for source in told.sources:
            _copy(source, folder, kept)
        _write(folder / MANIFEST, orjson.dumps(kept.as_json(), option=orjson.OPT_INDENT_2))
    except BaseException:
        dump.unlink()
        raise
    for former in folder.glob("tables-*.dump"):
        if former != dump:
            former.unlink()
    return kept


def _copy(source: SourceAt, folder: Path, kept: Kept) -> None:
    if source.kind != "catalog" or source.location is None:
        return
    if not Path(source.location).is_dir():
        kept.left_out.append(f"{source.name}: {source.location} is not on this machine; back it up where it is")
        return
    title = re.sub(r"[^A-Za-z0-9.-]+", "_", source.name).strip("._") or "catalogue"
    place = f"{_CATALOGUES}/{title[:60]}-{hashlib.sha256(source.name.encode()).hexdigest()[:8]}"
    (folder / _CATALOGUES).mkdir(exist_ok=True)
    with Repository(Path(source.location)) as repository:
        copied = copy_catalogue(repository, str((folder / place).resolve()))
    _need_commits(folder / place, source)
    cursor = source.cursor or {}
    kept.catalogues.append(Catalogue(source.location, place, copied.head, cursor.get("commit")))


def _need_commits(place: Path, source: SourceAt) -> None:
    with Repository(place) as copy:
        lacking = [oid for oid in source.commits if copy.index.number(oid) is None]
    if lacking:
        raise FatalError(
            f"the tables of {source.name} stand at commit {lacking[0][:10]}, which {source.location} has not: it was "
            "restored or made anew since, and the next sync will read it whole (run it, then back up)"
        )


def restore(admin_url: str, folder: Path, catalogues: Path, *, epn_schema: str, base_url: str | None) -> Kept:
    """Make the tables and the catalogues of a backup, where there are none.

    Parameters
    ----------
    admin_url
        URL of a role that may create schemas and roles, in a database without our tables.
    folder
        Of the backup.
    catalogues
        Where the catalogues are to be, each in a folder of its own.
    epn_schema, base_url
        See `stores.schema.apply_schema`.

    Returns
    -------
    Kept
        The backup's; folders of catalogues are where they are now.

    Raises
    ------
    UsageError
        There is no backup, or there are tables already.
    FatalError
        The backup is damaged, or something cannot be written.
    """
    kept = read_backup(folder)
    places = [catalogues / Path(one.folder).name for one in kept.catalogues]
    for place in places:
        if place.exists():
            raise UsageError(f"{place} is there already: name another folder with --catalogs")
    told = load_tables(admin_url, folder / kept.dump, epn_schema=epn_schema, base_url=base_url)
    counted = {name: told.rows.get(name) for name in kept.rows if name != "schema_version"}
    expected = {name: count for name, count in kept.rows.items() if name != "schema_version"}
    if counted != expected:
        raise FatalError(f"the tables hold {counted} rows, the backup says {expected}")
    for place, one in zip(places, kept.catalogues, strict=True):
        restore_catalogue(str((folder / one.folder).resolve()), place)
    at_home = zip(places, kept.catalogues, strict=True)
    return replace(kept, catalogues=[replace(one, folder=str(place)) for place, one in at_home])


def read_backup(folder: Path) -> Kept:
    """Return what a backup holds; its dump is compared with its checksum.

    Raises
    ------
    UsageError
        There is no backup.
    FatalError
        It is damaged.
    """
    try:
        told = orjson.loads((folder / MANIFEST).read_bytes())
        kept = Kept(**{**told, "catalogues": [Catalogue(**one) for one in told["catalogues"]]})
    except FileNotFoundError as error:
        raise UsageError(f"{folder} holds no backup: {MANIFEST} is not there") from error
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise FatalError(f"{folder / MANIFEST} is damaged: {error}") from error
    dump = folder / Path(kept.dump).name
    if not dump.is_file() or _sha256(dump) != kept.sha256:
        raise FatalError(f"{dump} is missing or damaged: its SHA-256 is not the one in {MANIFEST}")
    for one in kept.catalogues:
        with suppress(SyncError), Repository(folder / one.folder) as copy:
            if copy.index.number(one.tables_at or one.head) is not None:
                continue
        raise FatalError(f"{folder / one.folder} is damaged: it is no catalogue, or lacks the commit of the tables")
    return kept


def lines_of(kept: Kept) -> Sequence[str]:
    """Return what people are told of a backup."""
    rows = ", ".join(f"{kept.rows.get(name, 0)} {name}" for name in ("item", "file", "replica", "obscore", "epn"))
    lines = [f"tables of {kept.made}: {rows} rows"]
    lines += [
        f"catalogue {one.location} in {one.folder}: the tables stand at commit {(one.tables_at or 'none')[:10]}, "
        f"its latest is {one.head[:10]}"
        for one in kept.catalogues
    ]
    return [*lines, *(f"! not in the backup: {why}" for why in kept.left_out)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    making = path.with_name(f".{path.name}.making")
    making.write_bytes(content)
    sync_all_below(path.parent)
    making.replace(path)
    sync_all_below(path.parent)
