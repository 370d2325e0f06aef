"""From the lake to findable: what was uploaded goes into a versioned catalogue, and from there into the tables.

Every step can be done again: files that are in the lake already are found there, products that are in the catalogue
in the same version are skipped, and the sync reads what the new commits touched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stac_rucio_sync.catalog.fates import IngestReport, ProductFate
from stac_rucio_sync.catalog.index import ObjectKey
from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import Processing, Processor, processor
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import new_collection, transaction
from stac_rucio_sync.catalog.uploaded_assets import UploadOf
from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import Progress, SyncJob, SyncOptions

_DOCUMENTS = {".json", ".geojson"}
_TOGETHER = 100
"""Products in one commit."""


class Findable:
    """Makes the files of one upload findable.

    Parameters
    ----------
    settings
        All settings.
    place
        The repository of the versioned catalogue.
    name
        The processor that makes STAC of the files.
    collection
        The collection that new items go to, made where it is not there; None: that which they name.

    Raises
    ------
    UsageError
        There is no such processor, or no catalogue at the place, or the collection is something else there.
    """

    def __init__(self, settings: Settings, place: Path, name: str, collection: str | None) -> None:
        self._settings = settings
        self._place = place
        self._collection = collection
        self._processor = processor(name)
        with Repository(place) as repository:
            self._collection_is_new(repository)

    def documents(self, paths: Sequence[Path]) -> Callable[[Path], bool]:
        """Return what tells which files below some paths are STAC documents, or of the catalogue itself."""
        found = {_absolute(file) for path in paths for file in self._documents_of(path)}
        own = _absolute(self._place) + b"/"

        def is_document(path: Path) -> bool:
            name = os.fsencode(path)
            return name in found or name.startswith(own)

        return is_document

    def _documents_of(self, path: Path) -> Iterator[Path]:
        module = self._processor.module
        for source in module.discover(str(path)) if hasattr(module, "documents") else ():
            try:
                yield from self._processor.documents(source)
            except ItemError:
                if Path(source).suffix in _DOCUMENTS:
                    yield Path(source)  # the catalogue says what is wrong with it

    def take_in(
        self, paths: Sequence[Path], upload_of: UploadOf, on_fate: Callable[[ProductFate], None] | None = None
    ) -> IngestReport:
        """Take the products of some paths into the catalogue.

        Parameters
        ----------
        paths
            What was uploaded.
        upload_of
            Tells what became of each file.
        on_fate
            Told of each product as soon as its fate is sure.

        Raises
        ------
        TransientError, FatalError
            The catalogue cannot go on; the same again goes on from there.
        """
        chosen = _Chosen(self._processor.module, lambda source: self._is_no_product(source, upload_of))
        with Repository(self._place) as repository:
            if self._collection is not None and self._collection_is_new(repository):
                with transaction(repository) as changes:
                    changes.put_collection(new_collection(self._collection))
                    changes.commit(f"Make the collection {self._collection}")
            job = Ingest(
                repository,
                Processor(self._processor.name, self._processor.version, chosen),
                parent=self._collection,
                assets="upload",
                together=_TOGETHER,
                in_lake=upload_of,
                on_fate=on_fate,
            )
            return job.run([str(path) for path in paths])

    def sync(self, on_progress: Progress | None = None) -> Report:
        """Bring Rucio and the tables in step with the catalogue: with what its new commits touched.

        Raises
        ------
        TransientError, FatalError
            The catalogue, Rucio or the database cannot go on; the same again goes on from there.
        """
        options = ReadOptions(default_collection=self._settings.identity.default_collection)
        source = open_source(str(self._place), options=options)
        tables = PostgresStore.open(self._settings.database_url())
        lake = RucioStore(self._settings)
        try:
            return SyncJob(source, self._settings, tables, lake, SyncOptions(on_progress=on_progress)).run()
        finally:
            lake.close()
            tables.close()

    def _collection_is_new(self, repository: Repository) -> bool:
        """Tell whether the collection is still to be made."""
        if self._collection is None:
            return False
        found = repository.head().find(self._collection, "")
        if found and not any(one.key == ObjectKey("collection", "", self._collection) for one in found):
            raise UsageError(f"{self._collection} is no collection in the catalogue {self._place}")
        return not found

    def _is_no_product(self, source: str, upload_of: UploadOf) -> bool:
        """Tell whether a product source is a file that the upload left out, or that is data beside STAC documents."""
        file = Path(source)
        if not file.is_file():
            return False
        is_sent = upload_of(file) is not None
        return is_sent if hasattr(self._processor.module, "documents") else not is_sent


def _absolute(path: Path) -> bytes:
    """Return a path as files are found: links in it stay."""
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100 - resolve() would replace links


class _Chosen:
    """The module of a processor that finds fewer products."""

    def __init__(self, module: Processing, is_left_out: Callable[[str], bool]) -> None:
        self._module = module
        self._is_left_out = is_left_out

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        return getattr(self._module, name)

    def discover(self, source: str) -> Iterator[str]:
        return (one for one in self._module.discover(source) if not self._is_left_out(one))
