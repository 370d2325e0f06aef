"""``fetch``: download what a search found, from the nearest replicas."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from stac_rucio_sync.commands.choosing import choice_of, item_options, open_lake, source_of
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.screen import bar
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.locality import Locality, View
from stac_rucio_sync.replication.fetching import Fetcher, FetchJob
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.manifest import FetchReport, FileFate, Line
from stac_rucio_sync.settings import Settings

EXIT_SOME_FAILED = 1
MANIFEST = "manifest.jsonl"


@click.command()
@click.argument("location", metavar="SOURCE")
@item_options
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default=True,
    help="Folder for the files: FOLDER/scope/name.",
)
@click.option("--site", help="Where you are: a site of the lake.")
@click.option("--near", metavar="RSE", help="Where you are: next to this RSE.")
@click.option("--lat", "latitude", type=click.FloatRange(-90, 90), help="Where you are: degrees north (with --lon).")
@click.option("--lon", "longitude", type=click.FloatRange(-180, 180), help="Degrees east.")
@click.option("--rse", "rse_expression", help="Only replicas at these RSEs.")
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help=f"Where the JSON lines go (- is stdout). Default: {MANIFEST} in the folder.",
)
@click.option("--parallel", type=click.IntRange(1, 32), default=4, show_default=True, help="Files under way at a time.")
@click.option("--dry-run", is_flag=True, help="Download nothing: show what would come, and from where.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def fetch(invocation: Invocation, /, location: str, **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Download the files of SOURCE's items, each from its nearest replica.

    Files are verified by size and checksum; what lies there whole is not fetched again, what broke off is continued,
    and where a replica fails the next one is taken. The manifest has a line for every asset. Exit 1: a file is missing,
    or nothing was there to download.

    \b
    Examples:
      stac-rucio-sync fetch https://stac.example.org/v1 --bbox 10,46,17,49 --role data --into copies --dry-run
      stac-rucio-sync fetch items.ndjson --asset image --site vienna --into copies --manifest -
      stac-rucio-sync fetch survey.git --at 2026-03-01 --name survey --into copies
    """
    to_stdout = options["manifest"] is not None and str(options["manifest"]) == "-"
    if to_stdout and options["as_json"]:
        raise UsageError("--json and --manifest - both want stdout")
    settings = invocation.settings()
    folder: Path = options["into"]
    talk = Console(stderr=True)
    with stoppable(), open_lake(settings) as (holdings, edge):
        rses = edge.rses(options["rse_expression"]) if options["rse_expression"] else None
        view = _view(settings, holdings, options)
        source = source_of(location, settings, options)
        dry_run = options["dry_run"]
        path = None if to_stdout or dry_run else options["manifest"] or folder / MANIFEST
        with (
            closing(Fetcher(settings, view, folder, rses, options["parallel"])) as fetcher,
            _Manifest(path, silent=dry_run and options["as_json"]) as manifest,
            bar(talk, f"fetch {source.name}", "bytes") as draw,
        ):
            job = FetchJob(source, settings, choice_of(options), holdings, fetcher, manifest.write)
            fetcher.dry_run = dry_run
            fetcher.on_progress = lambda count: draw(count, None)
            error: BaseException | None = None
            try:
                job.run()
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised again below the report
                error = raised
        _tell(job.report, manifest, error, talk, as_json=options["as_json"])
        if error is not None:
            raise error
    if not job.report.clean:
        sys.exit(EXIT_SOME_FAILED)


def _view(settings: Settings, holdings: Holdings, options: dict[str, Any]) -> View:
    locality = Locality(settings.locality, holdings.topology())
    place = locality.place(
        site=options["site"], rse=options["near"], latitude=options["latitude"], longitude=options["longitude"]
    )
    return locality.seen_from(place)


class _Manifest:
    """The manifest as it is written, line by line: it is right when the command is stopped, too.

    Without a path it goes to stdout, or nowhere when it is silent.
    """

    def __init__(self, path: Path | None, *, silent: bool) -> None:
        self._path = path
        self._silent = silent
        self.missing: list[Line] = []
        """Lines of files that could not be had, the first ones."""

    def __enter__(self) -> _Manifest:
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("wb")
            except OSError as error:
                raise FatalError(f"{self._path} cannot be written: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._file.close()

    def write(self, line: Line, _report: FetchReport) -> None:
        """Write one line."""
        if line.fate in (FileFate.FAILED, FileFate.UNAVAILABLE) and len(self.missing) < 20:
            self.missing.append(line)
        text = orjson.dumps(line.as_json())
        if self._path is None:
            if not self._silent:
                click.echo(text)
        else:
            self._file.write(text + b"\n")
            self._file.flush()


def _tell(
    report: FetchReport, manifest: _Manifest, error: BaseException | None, talk: Console, *, as_json: bool
) -> None:
    if as_json:
        click.echo(orjson.dumps(report.as_json() | ({"error": str(error) or "stopped"} if error else {})))
        return
    fates = ", ".join(f"{count} {fate.value.replace('_', ' ')}" for fate, count in report.fates.items() if count)
    lines = [f"{report.source}: {report.items} items, {report.assets} assets ({fates or 'none'}); {report.bytes} bytes"]
    lines += [f"  {name}: not registered" for name in list(report.not_registered)[:20]]
    lines += [f"  {line.did}: {line.fate.value}: {line.reason}" for line in manifest.missing]
    if report.unreadable:
        lines.append(f"  {report.unreadable} lines or documents of the source are no items")
    for line in lines:
        talk.print(line, markup=False, highlight=False, soft_wrap=True)
