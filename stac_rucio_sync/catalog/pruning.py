"""The job that takes objects out of the catalogue: all versions before still have them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from stac_rucio_sync.catalog.extracting import extract
from stac_rucio_sync.catalog.fates import IngestReport, ProductFate
from stac_rucio_sync.catalog.paths import path_name
from stac_rucio_sync.catalog.repository import AUTHOR, Repository
from stac_rucio_sync.catalog.transaction import Transaction, transaction
from stac_rucio_sync.errors import UsageError


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
