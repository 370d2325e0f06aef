"""What an upload leaves beside the files in the lake: a report, metadata, a table, and what a catalogue asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import Uploaded
from stac_rucio_sync.upload.fates import Fates
from stac_rucio_sync.upload.file_metadata import file_metadata
from stac_rucio_sync.upload.ingest_table import PathTemplate, TableReport, columns_of, write_table
from stac_rucio_sync.upload.relative import Relative
from stac_rucio_sync.upload.report_lines import ReportLines


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What is wanted.

    Attributes
    ----------
    report
        The file of JSON lines.
    metadata
        ``sidecars``, or a table of metadata.
    table
        The table of addresses and columns.
    table_template
        Gives the columns by the paths; None: the metadata do.
    table_columns
        The columns, in order; none named: all that there are.
    """

    report: Path | None = None
    metadata: str | None = None
    table: Path | None = None
    table_template: str | None = None
    table_columns: tuple[str, ...] = ()


class Outputs:
    """The outputs of one upload; for one thread.

    Parameters
    ----------
    options
        What is wanted.
    paths
        The PATHs that are uploaded.
    looked_up
        Whether fates are asked for afterwards.
    is_document
        Tells which files are STAC documents, not data.

    Raises
    ------
    UsageError
        A file cannot be written or read, or the options contradict each other.
    """

    def __init__(
        self,
        options: OutputOptions,
        paths: Sequence[Path],
        *,
        looked_up: bool = False,
        is_document: Callable[[Path], bool] = lambda _: False,
    ) -> None:
        if options.table is None and (options.table_template is not None or options.table_columns):
            raise UsageError("columns are of a table: name its file with --table")
        self._options = options
        own = (options.report, options.table)
        self._own = {os.path.abspath(one) for one in own if one is not None}  # noqa: PTH100 - as files are found
        self._relative = Relative(paths)
        self._is_document = is_document
        self._template = None if options.table_template is None else PathTemplate(options.table_template)
        self._metadata = file_metadata(options.metadata, self._relative)
        self._fates = Fates() if looked_up or options.table is not None else None
        self._report = None if options.report is None else ReportLines(options.report)

    def skip(self, path: Path) -> bool:
        """Tell whether a file is here for others, or is this upload's own, and is not uploaded itself."""
        return str(path) in self._own or self._metadata.is_about_others(path) or self._is_document(path)

    def metadata(self, path: Path) -> dict[str, Any]:
        """Return what the DID of a file is to say of itself.

        Raises
        ------
        ItemError
            It cannot be read, or Rucio does not take it.
        """
        return self._metadata.of(path)

    def take(self, uploaded: Uploaded) -> None:
        """Take note of a file whose fate is sure.

        Raises
        ------
        FatalError
            The disk takes no more.
        """
        if self._report is not None:
            self._report.write(uploaded)
        if self._fates is not None:
            self._fates.put(uploaded, self._columns(uploaded) if self._options.table is not None else None)

    def fate(self, path: Path) -> Uploaded | None:
        """Return what became of a file; None: it was none of the upload's, or fates are not looked up."""
        return None if self._fates is None else self._fates.of(path)

    def unused_metadata(self) -> tuple[int, str | None]:
        """Return how many descriptions belong to no file of the upload, and the first of them."""
        return self._metadata.unused()

    def write_table(self) -> TableReport | None:
        """Write the table; None: none is wanted.

        Raises
        ------
        FatalError
            It cannot be written.
        """
        file, fates = self._options.table, self._fates
        if file is None or fates is None:
            return None
        wanted = self._options.table_columns or (self._template.columns if self._template is not None else None)
        return write_table(file, fates.rows, wanted)

    def close(self) -> None:
        """Close all files."""
        self._metadata.close()
        if self._fates is not None:
            self._fates.close()
        if self._report is not None:
            self._report.close()

    def _columns(self, uploaded: Uploaded) -> dict[str, Any]:
        if not uploaded.fate.in_lake:
            return {}
        columns = self._template.read(self._relative.of(uploaded.path)) if self._template is not None else {}
        if self._template is not None and not self._options.table_columns:
            return columns
        try:
            return columns_of(self._metadata.of(uploaded.path)) | columns
        except ItemError:
            return columns  # its metadata changed since it was sent
