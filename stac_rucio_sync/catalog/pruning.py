"""The job that takes objects out of the catalogue: all versions before still have them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import orjson

from stac_rucio_sync.catalog.exporting import write_files
from stac_rucio_sync.catalog.fates import IngestReport, ProductFate
from stac_rucio_sync.catalog.objects import Entry
from stac_rucio_sync.catalog.pages import json_file
from stac_rucio_sync.catalog.paths import folder_of, has_own_folder, joined, path_name, path_of_href
from stac_rucio_sync.catalog.repository import AUTHOR, Located, Repository, Version
from stac_rucio_sync.catalog.transaction import Transaction, transaction
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS


class Prune:
    """Takes objects out of a repository, each with all that lies below it.

    Parameters
    ----------
    repository
        The repository.
    extract
        A folder that gets what is taken out: each object with its files in a folder of its own, free of the catalogue.
    one_commit
        All in one commit, and none if one cannot go; otherwise each is a commit of its own.
    dry_run
        Tell what would become of each, and change nothing.
    message, author
        Of the commits.
    wait
        Seconds to wait for other writers.
    on_fate
        Told of each object as soon as its fate is sure.
    """

    def __init__(  # noqa: PLR0913 - what a command can say
        self, repository: Repository, *, extract: Path | None = None, one_commit: bool = True, dry_run: bool = False,
        message: str | None = None, author: str = AUTHOR, wait: float = 600.0,
        on_fate: Callable[[ProductFate], None] | None = None,
    ) -> None:  # fmt: skip
        self._repository = repository
        self._extract = extract
        self._one_commit = one_commit
        self._dry_run = dry_run
        self._message = message
        self._author = author
        self._wait = wait
        self.on_fate = on_fate
        self.report = IngestReport()

    def run(self, ids: Iterable[str]) -> IngestReport:
        """Take out the objects that are named by ids, ``collection/id`` or paths.

        Returns
        -------
        IngestReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        TransientError
            Another writer goes on for too long.
        FatalError
            What is taken out cannot be written.
        """
        self.report = IngestReport()
        named = list(dict.fromkeys(ids))
        try:
            for group in [named] if self._one_commit else [[one] for one in named]:
                self._run(group)
        finally:
            self.report.warnings = list(self._repository.warnings)
        return self.report

    def _run(self, ids: list[str]) -> None:
        gone: list[ProductFate] = []
        extracted: list[Path] = []
        is_done = False
        try:
            with transaction(self._repository, author=self._author, wait=self._wait) as changes:
                for identifier in ids:
                    fate = self._removed(changes, identifier, extracted)
                    gone.append(fate)
                has_failed = any(fate.fate == "failed" for fate in gone)
                number = None if has_failed or self._dry_run else self._commit(changes, ids)
                is_done = number is not None
        finally:
            if not is_done:
                for folder in extracted:
                    shutil.rmtree(folder, ignore_errors=True)
        for fate in gone:
            if fate.fate == "failed":
                self._tell(fate)
            elif has_failed:
                reason = "another object of the commit could not be removed"
                self._tell(ProductFate(fate.source, fate.id, "withdrawn", fate.path, reason=reason))
            else:
                self._tell(ProductFate(fate.source, fate.id, "removed", fate.path, number, None, fate.remarks))

    def _removed(self, changes: Transaction, identifier: str, extracted: list[Path]) -> ProductFate:
        try:
            located = self._repository.head().find_one(identifier)
            remarks: tuple[str, ...] = ()
            if self._extract is not None and not self._dry_run:
                target = self._extract / path_name(located.key.id)
                remarks = extract(self._repository.head(), located, target)
                extracted.append(target)
            changes.remove(located)
        except UsageError as error:
            return ProductFate(identifier, None, "failed", reason=str(error))
        return ProductFate(identifier, located.key.id, "removed", located.path, remarks=remarks)

    def _commit(self, changes: Transaction, ids: list[str]) -> int | None:
        commit = changes.commit(self._message or f"Prune {ids[0] if len(ids) == 1 else f'{len(ids)} objects'}")
        if commit is None:
            return None
        self.report.commits += 1
        return self._repository.number(commit)

    def _tell(self, fate: ProductFate) -> None:
        self.report.take(fate)
        if self.on_fate is not None:
            self.on_fate(fate)


def extract(version: Version, located: Located, folder: Path) -> tuple[str, ...]:
    """Write an object with its files to a folder, free of the catalogue that it is in.

    Parameters
    ----------
    folder
        It must not be there.

    Returns
    -------
    tuple
        Sentences about what could not be written.

    Raises
    ------
    UsageError
        The folder is there.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already: name another folder to extract to")
    is_item = located.key.kind == "item"
    inside = folder_of(located.path)
    if is_item and not has_own_folder(located.path, located.key.id):
        files: Iterator[tuple[str, Entry]] = _beside(version, located)
    else:
        entry = version.tree.entry(inside)
        files = ((path[len(inside) :].lstrip("/"), one) for path, one in version.tree.files(inside) if entry)
    root = located.path[len(inside) :].lstrip("/")

    def freed(path: str, content: bytes) -> bytes:
        return _freed(content, path, root, inside, is_item=is_item)

    try:
        report = write_files(version.repository.objects, files, folder, freed)
    except OSError as error:
        raise FatalError(f"{folder} cannot be written: {error.strerror or error}") from error
    return tuple(f"{path} was left out: its bytes are not in this repository" for path in report.absent_paths)


def _beside(version: Version, located: Located) -> Iterator[tuple[str, Entry]]:
    """Yield an item of a tree that came whole, and the files of its assets that lie below its folder."""
    folder = folder_of(located.path)
    named = {located.path}
    for asset in (version.stac(located.path).get("assets") or {}).values():
        href = asset.get("href") if isinstance(asset, dict) else None
        path = path_of_href(href, located.path) if isinstance(href, str) and href else None
        if path is not None and path.startswith(joined(folder, "") if folder else ""):
            named.add(path)
    for path in sorted(named):
        entry = version.tree.entry(path)
        if entry is not None and not entry.is_folder:
            yield path[len(folder) :].lstrip("/"), entry


def _freed(content: bytes, path: str, root: str, folder: str, *, is_item: bool) -> bytes:
    """Return a document whose links stay inside what is extracted."""
    try:
        stac: JsonObject = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    links = stac.get("links") if isinstance(stac, dict) else None
    if not isinstance(links, list):
        return content
    here = joined(folder, path)
    left = []
    for link in links:
        rel, href = (link.get("rel"), link.get("href")) if isinstance(link, dict) else (None, None)
        if rel == "root" and not is_item:
            continue
        if rel in STRUCTURAL_RELATIONS and isinstance(href, str):
            target = path_of_href(href, here)
            stays = target is not None and (not folder or target.startswith(f"{folder}/")) and not is_item
            if not stays or (rel == "parent" and path == root):
                continue
        left.append(link)
    return content if left == links else json_file(stac | {"links": left})
