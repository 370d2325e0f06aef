"""The job that takes products into the catalogue: each has one fate, and an unchanged version costs a look.

Products are processed before the catalogue is locked, and put in a transaction, alone or some together: each comes
whole or leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stac_rucio_sync.catalog.asset_files import checked_mode, gathered
from stac_rucio_sync.catalog.fates import BAD, IngestReport, ProductFate
from stac_rucio_sync.catalog.grafting import graft
from stac_rucio_sync.catalog.index import ObjectKey, key_of
from stac_rucio_sync.catalog.processors import Processor
from stac_rucio_sync.catalog.products import Product, keep, known
from stac_rucio_sync.catalog.repository import AUTHOR, Repository
from stac_rucio_sync.catalog.source_tree import DOWNWARD
from stac_rucio_sync.catalog.transaction import Transaction, transaction
from stac_rucio_sync.catalog.uploaded_assets import UploadOf
from stac_rucio_sync.errors import ItemError, SyncError, UsageError
from stac_rucio_sync.parts import in_parts


class _Processed(NamedTuple):
    """A product that is ready to be put."""

    source: str
    id: str
    version: str
    stac_path: str


class _Put(NamedTuple):
    """What a transaction did with a product."""

    path: str
    key: ObjectKey
    fate: str
    remarks: tuple[str, ...]


class _ProductError(Exception):
    """A product cannot be ingested; nothing of it is in the draft."""


class Ingest:
    """Takes products into a repository.

    Parameters
    ----------
    repository
        The repository.
    processor
        What makes STAC objects of products.
    parent
        Id or path of the catalogue or collection that new objects go below. Without one, items go to the collection
        that they name, catalogues to the root.
    assets
        What becomes of the files of assets: ``link``, ``copy``, ``lfs``, ``upload`` (see `asset_files.AssetsMode`).
    one_commit
        All products in one commit, and none of them if one fails.
    together
        Otherwise: so many products in a commit, and those that fail leave the others alone.
    dry_run
        Tell what would become of each, and change nothing.
    message
        Of the commits; None: they name the product.
    author
        Of the commits.
    wait
        Seconds to wait for other writers.
    on_fate
        Told of each product as soon as its fate is sure.
    in_lake
        Tells what became of files that were uploaded, for ``upload``.

    Raises
    ------
    UsageError
        There is no such parent, or no such way to take assets in.
    """

    def __init__(  # noqa: PLR0913 - what a command can say
        self, repository: Repository, processor: Processor, *, parent: str | None = None, assets: str = "link",
        one_commit: bool = False, together: int = 1, dry_run: bool = False, message: str | None = None,
        author: str = AUTHOR, wait: float = 600.0, on_fate: Callable[[ProductFate], None] | None = None,
        in_lake: UploadOf | None = None,
    ) -> None:  # fmt: skip
        self._repository = repository
        self._processor = processor
        self._parent = None if parent is None else _parent_path(repository, parent)
        self._assets = checked_mode(assets, in_lake)
        self._in_lake = in_lake if self._assets == "upload" else None
        self._one_commit = one_commit
        self._together = together
        self._dry_run = dry_run
        self._message = message
        self._author = author
        self._wait = wait
        self.on_fate = on_fate
        self.report = IngestReport()
        self._sources: dict[str, str] = {}

    def run(self, sources: Iterable[str]) -> IngestReport:
        """Take in all products of some sources.

        Returns
        -------
        IngestReport
            The same object as ``self.report``, which stays right when the run ends early by an exception.

        Raises
        ------
        TransientError
            Another writer goes on for too long.
        """
        self.report = IngestReport()
        self._sources = {}
        try:
            if self._one_commit:
                self._run_together(sources)
            else:
                for batch in in_parts(self._discovered(sources), self._together):
                    with ExitStack() as released:
                        entered = [released.enter_context(self._processed(one)) for one in batch]
                        self._run_batch([processed for processed in entered if processed is not None])
        finally:
            self.report.warnings = list(self._repository.warnings)
        return self.report

    # ------------------------------------------------------------------------------------------------ some by some

    def _run_batch(self, batch: Sequence[_Processed]) -> None:
        """Commit products together; where one fails and leaves something in the draft, each by itself."""
        if not batch:
            return
        fates: list[ProductFate] = []
        number = None
        try:
            with self._transaction() as changes:
                fates = [self._fate_of(changes, processed) for processed in batch]
                put = [fate for fate in fates if fate.fate not in BAD]
                if put:
                    number = self._commit(changes, f"Ingest {_named(put)}")
        except (ItemError, UsageError) as error:
            if len(batch) == 1:
                self._tell(ProductFate(batch[0].source, batch[0].id, "failed", reason=str(error)))
            for processed in batch if len(batch) > 1 else ():
                self._run_batch([processed])
            return
        for fate in fates:
            self._tell(fate if fate.fate in BAD else replace(fate, commit=number))

    def _fate_of(self, changes: Transaction, processed: _Processed) -> ProductFate:
        """Put a product; what it raises has left something in the draft."""
        try:
            put = self._put(changes, processed)
        except _ProductError as error:
            return ProductFate(processed.source, processed.id, "failed", reason=str(error))
        return ProductFate(processed.source, processed.id, put.fate, put.path, None, None, put.remarks)

    # ------------------------------------------------------------------------------------------------ together

    def _run_together(self, sources: Iterable[str]) -> None:
        done: list[ProductFate] = []
        number = None
        with self._transaction() as changes:
            for product_source in self._discovered(sources):
                with self._processed(product_source) as processed:
                    if processed is None:
                        continue
                    try:
                        fate = self._fate_of(changes, processed)
                    except (ItemError, UsageError) as error:
                        # What it has left in the draft goes with all the rest; others may tell of failures, too.
                        fate = ProductFate(product_source, processed.id, "failed", reason=str(error))
                    if fate.fate in BAD:
                        self._tell(fate)
                    else:
                        done.append(fate)
            has_failed = not self.report.is_clean
            if not has_failed:
                number = self._commit(changes, f"Ingest {_named(done)}")
        for fate in done:
            self._tell(
                ProductFate(fate.source, fate.id, "withdrawn", reason="another product of the commit failed")
                if has_failed
                else replace(fate, commit=number)
            )

    # ------------------------------------------------------------------------------------------------ steps

    def _discovered(self, sources: Iterable[str]) -> Iterator[str]:
        for source in sources:
            is_empty = True
            try:
                for product_source in self._asked(self._processor.module.discover, source):
                    is_empty = False
                    yield product_source
            except _ProductError as error:
                self._tell(ProductFate(source, None, "failed", reason=str(error)))
                continue
            if is_empty:
                reason = f"the processor {self._processor.name} finds no product in it"
                self._tell(ProductFate(source, None, "failed", reason=reason))

    def _asked(self, discover: Callable[[str], Iterator[str]], source: str) -> Iterator[str]:
        with _named_errors("discover"):
            found = iter(discover(source))
        while True:
            with _named_errors("discover"):
                one = next(found, None)
            if one is None:
                return
            yield str(one)

    @contextmanager
    def _processed(self, product_source: str) -> Iterator[_Processed | None]:
        """Yield a product ready to be put; None: its fate is sure already, and told."""
        module, identifier = self._processor.module, None
        stac_path: str | None = None
        processed: _Processed | None = None
        try:
            try:
                with _named_errors("id"):
                    identifier = str(module.id(product_source))
                self._check_is_new_here(identifier, product_source)
                with _named_errors("version"):
                    version = str(module.version(product_source))
                product = known(self._repository.head(), self._processor.name, identifier)
                if product is not None and self._is_same(product, version):
                    self._tell(ProductFate(product_source, identifier, "unchanged", product.path))
                else:
                    with _named_errors("process"):
                        stac_path = str(module.process(product_source))
                    processed = _Processed(product_source, identifier, version, stac_path)
            except _ProductError as error:
                self._tell(ProductFate(product_source, identifier, "failed", reason=str(error)))
            yield processed
        finally:
            if stac_path is not None:
                self._processor.release(stac_path)

    def _check_is_new_here(self, identifier: str, product_source: str) -> None:
        other = self._sources.setdefault(identifier, product_source)
        if other != product_source:
            raise _ProductError(f"its id {identifier} is the one of {other}, too: one would replace the other")

    def _is_same(self, product: Product, version: str) -> bool:
        # Its files may have come to the lake since it was ingested; where they are there, it stays so.
        is_settled = product.in_lake or self._in_lake is None
        return is_settled and (product.version, product.processor_version) == (version, self._processor.version)

    def _put(self, changes: Transaction, processed: _Processed) -> _Put:
        file = Path(processed.stac_path)
        stac = {} if file.is_dir() else _read(file)
        if stac.get("type") == "Feature" or (stac and not _has_members(stac)):
            put = self._put_one(changes, stac, file, Path(processed.source).parent)
        else:
            product = known(self._repository.head(), self._processor.name, processed.id)
            at = None if product is None else product.path
            grafted = graft(changes, file, parent=self._parent, at=at, assets=self._assets, in_lake=self._in_lake)
            put = _Put(grafted.path, grafted.key, grafted.fate, grafted.remarks())
        keep(
            changes.draft,
            Product(
                self._processor.name, self._processor.version, processed.id, processed.version, put.path, put.key,
                self._repository.index.latest() + 1, self._in_lake is not None,
            ),
        )  # fmt: skip
        return put

    def _put_one(self, changes: Transaction, stac: dict[str, Any], file: Path, folder: Path) -> _Put:
        key = key_of(stac)
        if key is None:
            raise ItemError(f"{file} is neither a STAC item, a collection nor a catalogue with an id")
        is_item = key.kind == "item"
        if is_item and not key.collection and self._parent is not None:
            stac = self._in_collection(changes, stac, self._parent)
            key = key_of(stac) or key
        # No files lie beside a collection that is put by itself: the folder is its members'.
        mode, in_lake = (self._assets, self._in_lake) if is_item else ("link", None)
        try:
            taken = gathered(stac, file.parent, mode, changes.writing, also=[folder], in_lake=in_lake)
        except ItemError as error:
            raise _ProductError(str(error)) from error
        if is_item:
            fate = changes.put_item(taken.stac, parent=self._parent, assets=taken.assets)
        else:
            fate = changes.put_collection(taken.stac, parent=self._parent)
        return _Put(changes.find(key) or "", key, fate, taken.remarks)

    def _in_collection(self, changes: Transaction, stac: dict[str, Any], parent: str) -> dict[str, Any]:
        """Return an item without a collection as one of the collection that it is put below."""
        above = key_of(changes.stac(parent))
        return stac | {"collection": above.id} if above is not None and above.kind == "collection" else stac

    def _transaction(self) -> AbstractContextManager[Transaction]:
        return transaction(self._repository, author=self._author, wait=self._wait, processor=self._processor.name)

    def _commit(self, changes: Transaction, message: str) -> int | None:
        if self._dry_run:
            return None
        commit = changes.commit(self._message or message)
        if commit is None:
            return None
        self.report.commits += 1
        return self._repository.number(commit)

    def _tell(self, fate: ProductFate) -> None:
        self.report.take(fate)
        if self.on_fate is not None:
            self.on_fate(fate)


def _named(products: Sequence[ProductFate]) -> str:
    return str(products[0].id) if len(products) == 1 else f"{len(products)} products"


def _parent_path(repository: Repository, parent: str) -> str:
    located = repository.head().find_one(parent)
    if located.key.kind == "item":
        raise UsageError(f"{parent} is an item: nothing can go below it")
    return located.path


def _read(file: Path) -> dict[str, Any]:
    try:
        said = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ItemError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(said, dict):
        raise ItemError(f"{file} is no STAC object")
    return said


def _has_members(stac: dict[str, Any]) -> bool:
    links = stac.get("links")
    return isinstance(links, list) and any(isinstance(link, dict) and link.get("rel") in DOWNWARD for link in links)


@contextmanager
def _named_errors(step: str) -> Iterator[None]:
    """Make whatever a processor raises an error about its product."""
    try:
        yield
    except SyncError as error:
        raise _ProductError(str(error)) from error
    except Exception as error:  # processors are others' code and may raise anything
        raise _ProductError(f"{step}() of its processor failed: {type(error).__name__}: {error}") from error
