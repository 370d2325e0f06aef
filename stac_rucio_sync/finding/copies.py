"""The copies of files that an archive links to, and fetching the nearest one that can be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from stac_rucio_sync.errors import FatalError, SyncError
from stac_rucio_sync.http import Http, RefusedAnswer
from stac_rucio_sync.model import Did
from stac_rucio_sync.replication.transfer import HASTY, Expected, fetch, is_there, local_path

_PARALLEL: Final = 4


@dataclass(frozen=True, slots=True)
class Copy:
    """A link of DataLink: one copy of a file, or something that belongs to the product."""

    product: str
    """``obs_publisher_did``."""
    asset: str | None
    """Key of the asset; equal for all copies of a file."""
    url: str | None
    """None: it cannot be read now, and ``error`` says why."""
    semantics: str
    rse: str | None
    site: str | None
    rank: int | None
    """1 is the nearest copy of its file."""
    content_type: str | None
    content_length: int | None
    """Bytes."""
    description: str | None
    error: str | None

    @classmethod
    def of(cls, row: Any) -> Copy:  # noqa: ANN401 - astropy has no types
        """Make one of a row of the answer."""
        return cls(
            product=_text(row, "ID") or "",
            asset=_text(row, "local_semantics"),
            url=_text(row, "access_url"),
            semantics=_text(row, "semantics") or "",
            rse=_text(row, "rse"),
            site=_text(row, "site"),
            rank=_number(row, "rank"),
            content_type=_text(row, "content_type"),
            content_length=_number(row, "content_length"),
            description=_text(row, "description"),
            error=_text(row, "error_message"),
        )


@dataclass(frozen=True, slots=True)
class Checks:
    """What the archive says of a file."""

    did: Did
    expected: Expected

    @classmethod
    def of(cls, row: Any) -> Checks:  # noqa: ANN401 - astropy has no types
        """Make one of a row of ``lake.file``."""
        did = Did(_text(row, "scope") or "", _text(row, "name") or "")
        return cls(did, Expected(_number(row, "bytes"), _text(row, "adler32"), _text(row, "md5")))


@dataclass(frozen=True, slots=True)
class Copies:
    """All copies of one file, nearest first."""

    product: str
    asset: str | None
    copies: tuple[Copy, ...]

    @property
    def nearest(self) -> Copy:
        """The nearest copy that can be read, else the first one with its error."""
        return next((copy for copy in self.copies if copy.url is not None), self.copies[0])


@dataclass(frozen=True, slots=True)
class Got:
    """What became of one file."""

    product: str
    asset: str | None
    path: Path | None
    """Where it is, whole and verified; None: it could not be had, and ``reason`` says why."""
    rse: str | None = None
    """Where it came from; None for what was there already."""
    verified_by: str | None = None
    """``md5``, ``adler32`` or ``size``."""
    reason: str | None = None


class Service(Protocol):
    """What fetching needs of an archive."""

    def checks(self, ids: Sequence[str]) -> dict[tuple[str, str], Checks]:
        """Return the files of data products by product and asset."""

    def http(self) -> Http:
        """Return an HTTP edge."""


class Nearest:
    """Files with their copies as they are seen from one place; iterable.

    Parameters
    ----------
    archive
        Whose files they are.
    links
        The rows of its answer.
    semantics
        Only files whose first copy has one of these terms; None: all.
    """

    def __init__(self, archive: Service, links: Sequence[Copy], semantics: Sequence[str] | None) -> None:
        self._archive = archive
        grouped: dict[tuple[str, str | None], list[Copy]] = {}
        for number, link in enumerate(links):
            # What has no rank is not one of several copies.
            key = link.asset if link.rank is not None else f"{link.asset}#{number}"
            grouped.setdefault((link.product, key), []).append(link)
        self.files = tuple(
            Copies(copies[0].product, copies[0].asset, tuple(sorted(copies, key=lambda copy: copy.rank or 0)))
            for copies in grouped.values()
            if semantics is None or any(copy.semantics in semantics for copy in copies)
        )
        """One entry a file."""
        self.errors = tuple(link for link in links if link.error is not None)
        """What the archive could not give, with its words."""

    def __iter__(self) -> Iterator[Copies]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def fetch(self, folder: str | Path) -> list[Got]:
        """Download every file from its nearest copy, from the next one where that fails.

        Files go to ``folder/scope/name``, verified by the size and checksum that the archive states; what is there
        whole is not fetched again, and what broke off is continued.

        Returns
        -------
        list of Got
            One for each file, in order.

        Raises
        ------
        FatalError
            The folder cannot be written.
        TransientError
            The archive does not answer.
        """
        checks = self._archive.checks(list(dict.fromkeys(one.product for one in self.files)))
        http = self._archive.http()
        try:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                return list(
                    pool.map(
                        lambda one: _got(http, one, checks.get((one.product, one.asset or "")), Path(folder)),
                        self.files,
                    )
                )
        finally:
            http.close()


def _got(http: Http, file: Copies, checks: Checks | None, folder: Path) -> Got:
    if checks is None:
        return Got(file.product, file.asset, None, reason="it is a link, not a file of the data lake")
    path, expected = local_path(folder, checks.did), checks.expected
    if is_there(path, expected):
        return Got(file.product, file.asset, path, verified_by=expected.verified_by)
    failures = [copy.error for copy in file.copies if copy.url is None and copy.error]
    readable = [copy for copy in file.copies if copy.url is not None]
    for copy in readable:
        try:
            fetch(http, copy.url or "", path, expected, attempts=None if copy is readable[-1] else HASTY)
        except SyncError as error:
            if isinstance(error, FatalError) and not isinstance(error, RefusedAnswer):
                raise
            failures.append(f"{copy.rse or 'origin'}: {error}")
        else:
            return Got(file.product, file.asset, path, copy.rse, expected.verified_by)
    return Got(file.product, file.asset, None, reason="; ".join(failures) or "the archive links to no copy")


def _text(row: Any, name: str) -> str | None:  # noqa: ANN401 - astropy has no types
    value = row[name] if name in row.colnames else None
    text = "" if value is None or value.__class__.__name__ == "MaskedConstant" else str(value)
    return text or None


def _number(row: Any, name: str) -> int | None:  # noqa: ANN401 - astropy has no types
    text = _text(row, name)
    return int(text) if text is not None else None
