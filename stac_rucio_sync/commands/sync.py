"""``sync`` and ``quarantine``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any, get_args

import click
import orjson
from rich.console import Console
from rich.text import Text

from stac_rucio_sync.commands.context import Invocation, open_tables
from stac_rucio_sync.commands.parameters import BBOX, CQL2, INSTANT
from stac_rucio_sync.commands.screen import progress_bar, show_remarks, summary
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.errors import SyncError, UsageError
from stac_rucio_sync.executors import open_executor
from stac_rucio_sync.logs import are_json
from stac_rucio_sync.model import Report
from stac_rucio_sync.plan import Action
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Kind, ReadOptions, Source, names_of, open_source
from stac_rucio_sync.sources.quarantined import QuarantinedItems
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions

EXIT_SOME_FAILED = 1
_LOG = logging.getLogger(__name__)


@click.command()
@click.argument("location", metavar="SOURCE")
@click.option("--name", help="Name under which the source's state is kept. Default: its path or URL.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="What the source is. Default: look.")
@click.option("--collection", "collections", multiple=True, help="Only this collection (may be repeated).")
@click.option("--bbox", type=BBOX, help="STAC API: west,south,east,north in degrees.")
@click.option("--datetime", "datetime_", help="STAC API: an instant or interval, 2020-01-01/2021-01-01.")
@click.option("--filter", "filter_", type=CQL2, help="STAC API: a CQL2 filter (text or JSON).")
@click.option("--since", type=INSTANT, help="STAC API: only items updated since this instant (RFC 3339).")
@click.option("--at", metavar="REF", help="Versioned catalogue: this version (a commit, its number, a date).")
@click.option("--sizes", type=click.Choice(["item", "head", "stream"]), help="Where sizes come from. Default: item.")
@click.option(
    "--on-changed-content",
    type=click.Choice(["new", "quarantine"]),
    help="New bytes under the same asset: a new file DID, or an error of the item. Default: new.",
)
@click.option("--workers", type=click.IntRange(1, 32), help="Batches under way at a time. Default: 1.")
@click.option(
    "--dask",
    metavar="CLUSTER",
    help="Have the workers of a Dask cluster read the files for --sizes stream: the scheduler's address, the file that "
    "it wrote, or slurm.",
)
@click.option("--ask-again", is_flag=True, help="Ask origins now for all sizes that they did not tell before.")
@click.option("--full", is_flag=True, help="Do everything again, whatever the last run recorded.")
@click.option(
    "--delete",
    is_flag=True,
    help="Remove items that the source no longer has. One that keeps no history is read whole; nothing is removed if "
    "anything failed.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing anywhere; show the plan in = + - * ! signs.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def sync(invocation: Invocation, /, location: str, **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Bring Rucio and the ObsCore table in step with SOURCE.

    SOURCE is a STAC API, a static catalogue (path or URL), a repository of the versioned catalogue, or a file: NDJSON,
    an Item, an ItemCollection, GeoParquet, gzipped or not; - reads NDJSON from standard input.

    \b
    Examples:
      stac-rucio-sync sync https://stac.example.org/v1 --collection images
      stac-rucio-sync sync items.ndjson.gz --name survey --json
      stac-rucio-sync sync items.ndjson.gz --sizes stream --dask tcp://head:8786
      stac-rucio-sync sync catalog.json --dry-run
      stac-rucio-sync sync items.ndjson.gz --name survey --delete --dry-run
      stac-rucio-sync sync survey.git --delete
      stac-rucio-sync sync survey.git --at 2026-03-01 --delete
    """
    flags = {name: options[name] for name in ("sizes", "on_changed_content", "workers") if options[name] is not None}
    settings = invocation.settings({"sync": flags} if flags else None)
    dask, dry_run = options["dask"], options["dry_run"]
    if dask is not None and settings.sync.sizes != "stream":
        raise UsageError("--dask is for reading whole files: it needs --sizes stream")
    if options["ask_again"] and settings.sync.sizes == "item":
        raise UsageError("--ask-again is for origins that are asked for sizes: it needs --sizes head or --sizes stream")
    with ExitStack() as stack:
        try:
            source = _open(location, settings, options)
            cluster = None if dask is None or dry_run else open_executor(1, dask, settings.dask)
            executor = None if cluster is None else stack.enter_context(cluster)
        except SyncError as error:
            if not dry_run:
                _note_not_begun(settings, names_of(location, options["name"]), error)
            raise
        report = run_job(
            source,
            settings,
            stack.enter_context(open_tables(settings)),
            SyncOptions(
                dry_run=dry_run,
                full=options["full"],
                ask_again=options["ask_again"],
                delete=options["delete"],
                executor=executor,
            ),
            as_json=options["as_json"],
        )
    leave_by(report)


def _open(location: str, settings: Settings, options: dict[str, Any]) -> Source:
    return open_source(
        location,
        name=options["name"],
        options=ReadOptions(
            collections=options["collections"],
            bbox=options["bbox"],
            datetime=options["datetime_"],
            filter=options["filter_"],
            since=options["since"],
            full=options["full"],
            delete=options["delete"],
            at=options["at"],
            kind=options["kind"],
            default_collection=settings.identity.default_collection,
            allow_private=settings.sync.allow_private_addresses,
        ),
    )


def _note_not_begun(settings: Settings, names: Sequence[str], error: SyncError) -> None:
    """Have ``status`` say why a source that was synced before was not synced now, where anything can be noted."""
    with suppress(SyncError), open_tables(settings) as tables:
        tables.runs.not_begun(names, str(error))


def run_job(
    source: Source, settings: Settings, tables: PostgresStore, options: SyncOptions, *, as_json: bool
) -> Report:
    """Run one sync with its progress on the screen, and print its report also when it ends early."""
    talk = Console(stderr=True)
    with stoppable():
        with progress_bar(talk, f"sync {source.name}") as draw:
            options = replace(
                options,
                on_action=None if as_json or not options.dry_run else _print_action,
                on_progress=draw,
            )
            job = SyncJob(source, settings, tables, RucioStore(settings), options)
            error: BaseException | None = None
            try:
                job.run()
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised again below the report
                error = raised
        _tell(job.report, talk, error, as_json=as_json)
        if error is not None:
            raise error
    return job.report


def _tell(report: Report, talk: Console, error: BaseException | None, *, as_json: bool) -> None:
    """Print a report; how the run ended early belongs to it."""
    ended = {"error": str(error) or "stopped"} if error else {}
    _LOG.info("report", extra={"told": report.as_json() | ended})
    if as_json:
        click.echo(orjson.dumps(report.as_json() | ended))
    elif not are_json():
        talk.print(Text(summary(report)), soft_wrap=True)
        show_remarks(talk, report)


def leave_by(*reports: Report) -> None:
    """Leave with exit code 1 when an item failed or went to quarantine."""
    if any(report.failed or report.quarantined for report in reports):
        sys.exit(EXIT_SOME_FAILED)


def _print_action(action: Action) -> None:
    click.echo(str(action))


@click.command()
@click.option("--name", help="Only items of this source.")
@click.option("--retry", is_flag=True, help="Try the items again as they were read, e.g. after a change of settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a line; with --retry the report.")
@click.pass_obj
def quarantine(invocation: Invocation, name: str | None, retry: bool, as_json: bool) -> None:
    """List the items that were set aside, with their reasons, or try them again.

    \b
    Examples:
      stac-rucio-sync quarantine --name survey
      stac-rucio-sync quarantine --retry
    """
    settings = invocation.settings()
    with open_tables(settings) as tables:
        if not retry:
            _list_quarantine(tables, name, as_json=as_json)
            return
        names = [state.name for state in tables.status() if state.quarantined and name in (None, state.name)]
        if not names:
            if name is not None:
                raise UsageError(f"nothing of source {name!r} is in quarantine (status shows the sources)")
            click.echo("the quarantine is empty", err=True)
            return
        reports = [
            run_job(
                QuarantinedItems(one, list(tables.quarantine(one))),
                settings,
                tables,
                SyncOptions(retry_quarantined=True),
                as_json=as_json,
            )
            for one in names
        ]
    leave_by(*reports)


def _list_quarantine(tables: PostgresStore, name: str | None, *, as_json: bool) -> None:
    entry = None
    for entry in tables.quarantine(name):
        if as_json:
            click.echo(orjson.dumps(entry.as_json()))
        else:
            click.echo(f"{entry.source}  {entry.title}: {entry.reason}")
    if entry is None:
        click.echo("the quarantine is empty" if name is None else f"nothing of {name} is in quarantine", err=True)
