"""What ``upload`` leaves beside the files in the lake: its options, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from stac_rucio_sync.catalog.fates import IngestReport, ProductFate
from stac_rucio_sync.commands.screen import bar, progress_bar, summary
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.findable import Findable
from stac_rucio_sync.model import JsonObject, Report, Uploaded
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.upload.ingest_table import TableReport
from stac_rucio_sync.upload.outputs import OutputOptions, Outputs

Command = TypeVar("Command", bound=Callable[..., Any])

_NAMED: Final = 20
_FILE = click.Path(dir_okay=False, path_type=Path)
_NAMES: Final = ("report", "metadata", "table", "table_template", "table_columns")
_OPTIONS = (
    click.option("--report", type=_FILE, help="Add a line of JSON for each file to this file, as its fate is known."),
    click.option("--metadata", metavar="FILE|sidecars", help="What files say of themselves: a table, or NAME.json."),
    click.option("--table", type=_FILE, help="Write a table of the files for `butler ingest-files` (ECSV)."),
    click.option("--table-template", metavar="PATTERN", help="Its columns by the paths: {camera}/{visit:d}.fits."),
    click.option("--table-column", "table_columns", multiple=True, metavar="NAME", help="Only this column (repeated)."),
    click.option(
        "--catalog",
        type=click.Path(file_okay=False, path_type=Path),
        help="Take the files into this versioned catalogue, and sync it.",
    ),
    click.option("--collection", metavar="ID", help="The collection there that they go to."),
    click.option("--processor", default="stac", show_default=True, help="What makes STAC of the files for --catalog."),
)


def output_options(command: Command) -> Command:
    """Add the options of outputs."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class UploadOutputs:
    """The outputs of one upload as a command has them.

    Parameters
    ----------
    settings
        All settings.
    paths
        What is uploaded.
    options
        Those of the command.

    Raises
    ------
    UsageError
        The options contradict each other, or a file or the catalogue cannot be used.
    """

    def __init__(self, settings: Settings, paths: tuple[Path, ...], options: dict[str, Any]) -> None:
        if options["catalog"] is None and options["collection"] is not None:
            raise UsageError("--collection is one of a catalogue: name it with --catalog")
        self._paths = paths
        self._dry_run: bool = options["dry_run"]
        self._findable: Findable | None = None
        self._table: TableReport | None = None
        self._ingested: IngestReport | None = None
        self._synced: Report | None = None
        self._file: Path | None = options["table"]
        looked_up: dict[str, Any] = {}
        if options["catalog"] is not None:
            self._findable = Findable(settings, options["catalog"], options["processor"], options["collection"])
            looked_up = {"looked_up": True, "is_document": self._findable.documents(paths)}
        self._outputs = Outputs(OutputOptions(**{name: options[name] for name in _NAMES}), paths, **looked_up)

    def close(self) -> None:
        """Close all files."""
        self._outputs.close()

    @property
    def is_clean(self) -> bool:
        """Whether all that was uploaded is findable, where that was asked for."""
        is_in_catalogue = self._ingested is None or self._ingested.is_clean
        return is_in_catalogue and (self._synced is None or not (self._synced.failed or self._synced.quarantined))

    def skip(self, path: Path) -> bool:
        """Tell whether a file is not uploaded itself."""
        return self._outputs.skip(path)

    def metadata(self, path: Path) -> dict[str, Any]:
        """Return what the DID of a file is to say of itself."""
        return self._outputs.metadata(path)

    def take(self, uploaded: Uploaded) -> None:
        """Take note of a file whose fate is sure."""
        self._outputs.take(uploaded)

    def write_table(self) -> None:
        """Write the table of what is in the lake by now."""
        if not self._dry_run:
            self._table = self._outputs.write_table()

    def make_findable(self, talk: Console) -> None:
        """Take the files into the catalogue and sync it, where that was asked for."""
        if self._findable is None or self._dry_run:
            return
        done = 0
        with bar(talk, "catalog", "products") as draw:

            def count(_fate: ProductFate) -> None:
                nonlocal done
                done += 1
                draw(done, None)

            self._ingested = self._findable.take_in(self._paths, self._outputs.fate, count)
        with progress_bar(talk, "sync") as drawn:
            self._synced = self._findable.sync(drawn)

    def as_json(self) -> JsonObject:
        """Return what the report of the command says of them."""
        said: JsonObject = {}
        unused, _ = self._outputs.unused_metadata()
        if unused:
            said["metadata_unused"] = unused
        if self._table is not None:
            said["table"] = {"file": str(self._file), "rows": self._table.rows, "left_out": dict(self._table.left_out)}
        if self._ingested is not None:
            said["catalog"] = {
                "counts": dict(self._ingested.counts),
                "commits": self._ingested.commits,
                "warnings": self._ingested.warnings,
                "failures": [
                    {"source": fate.source, "id": fate.id, "reason": fate.reason} for fate in self._ingested.failures
                ],
            }
        if self._synced is not None:
            said["sync"] = self._synced.as_json()
        return said

    def lines(self) -> Iterator[str]:
        """Yield what is said of them on the screen."""
        unused, first = self._outputs.unused_metadata()
        if unused:
            yield f"  {unused} entries of the metadata belong to no file here, such as {first}"
        if self._table is not None:
            yield f"  {self._file}: {self._table.rows} rows"
            for reason, count in self._table.left_out.items():
                yield f"    {count} files are not in it: {reason}"
        if self._ingested is not None:
            counts = ", ".join(f"{count} {fate}" for fate, count in sorted(self._ingested.counts.items()) if count)
            yield f"  catalogue: {counts or 'no products'}"
            for failure in self._ingested.failures[:_NAMED]:
                yield f"    {failure.id or failure.source}: {failure.reason}"
        if self._synced is not None:
            yield f"  {summary(self._synced)}"
            for remark, count in self._synced.remarks.items():
                yield f"    {count} × {remark}"


def outputs_of(settings: Settings, paths: tuple[Path, ...], options: dict[str, Any]) -> closing[UploadOutputs]:
    """Return the outputs of an upload, to be closed."""
    return closing(UploadOutputs(settings, paths, options))
