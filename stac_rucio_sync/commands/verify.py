"""``verify``: the audit of a source, and its repair."""

from __future__ import annotations

import sys
from typing import Any, get_args

import click
import orjson
from rich.console import Console
from rich.text import Text

from stac_rucio_sync.commands.context import Invocation, open_tables
from stac_rucio_sync.commands.screen import progress_bar
from stac_rucio_sync.errors import SyncError, UsageError
from stac_rucio_sync.model import Report
from stac_rucio_sync.plan import Action, Sign
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Kind, ReadOptions, Source, open_source
from stac_rucio_sync.stores.rucio.audit import RucioAudit
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.audit_rows import AuditRows
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.verdict import VerifyReport
from stac_rucio_sync.verify import VerifyJob, VerifyOptions

EXIT_DIFFERS = 1


@click.command()
@click.argument("location", metavar="SOURCE")
@click.option("--name", help="Name under which the source was synced. Default: its path or URL.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="What the source is. Default: look.")
@click.option("--collection", "collections", multiple=True, help="Only this collection; leftovers are not looked for.")
@click.option("--at", metavar="REF", help="Versioned catalogue: this version. Default: the latest.")
@click.option("--repair", is_flag=True, help="Repair what differs.")
@click.option("--dry-run", is_flag=True, help="With --repair: show what would be repaired, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option("--examples", type=click.IntRange(0), default=5, show_default=True, help="Lines a kind in the JSON.")
@click.pass_obj
def verify(invocation: Invocation, /, location: str, **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Compare every item of SOURCE with what Rucio and the tables really hold.

    Differences are lines: + is missing, - is too many, * says something else, ! cannot be repaired from here. Leaves
    with 0 where nothing differs (or, after a repair, nothing remains), else with 1. Without --repair it may run at any
    time, but a sync of the same source meanwhile shows as differences.

    \b
    Examples:
      stac-rucio-sync verify items.ndjson.gz --name survey
      stac-rucio-sync verify items.ndjson.gz --name survey --repair --dry-run
    """
    if options["dry_run"] and not options["repair"]:
        raise UsageError("--dry-run goes with --repair: verify alone writes nothing")
    settings = invocation.settings()
    source = open_source(
        location,
        name=options["name"],
        options=ReadOptions(
            collections=options["collections"],
            full=True,
            at=options["at"],
            kind=options["kind"],
            default_collection=settings.identity.default_collection,
            allow_private=settings.sync.allow_private_addresses,
        ),
    )
    repair = options["repair"] and not options["dry_run"]
    with open_tables(settings) as tables:
        report = _run(source, settings, tables, repair=repair, as_json=options["as_json"], examples=options["examples"])
    if not report.clean:
        sys.exit(EXIT_DIFFERS)


def _run(
    source: Source, settings: Settings, tables: PostgresStore, *, repair: bool, as_json: bool, examples: int
) -> VerifyReport:
    """Run the audit with its progress on the screen, and print its report also when it ends early."""
    talk = Console(stderr=True)
    rows = AuditRows(settings.database_url())
    lake, audit = RucioStore(settings), RucioAudit(settings)
    error: BaseException | None = None
    with progress_bar(talk, f"verify {source.name}") as draw:
        verify_options = VerifyOptions(
            repair=repair,
            examples=examples,
            on_action=None if as_json else _print_action,
            on_progress=lambda report, part: draw(Report(report.source, unchanged=report.read), part),
        )
        job = VerifyJob(source, settings, tables, rows, lake, audit, verify_options)
        try:
            job.run()
        except (SyncError, KeyboardInterrupt) as raised:
            error = raised
        finally:
            rows.close()
            lake.close()
            audit.close()
    if as_json:
        told = {"error": str(error) or "stopped"} if error else {}
        click.echo(orjson.dumps(job.report.as_json() | told))
    else:
        talk.print(Text(_summary(job.report)), soft_wrap=True)
    if error is not None:
        raise error
    return job.report


def _summary(report: VerifyReport) -> str:
    """Return the lines that end an audit."""
    same = report.counts[Sign.SAME].get("item", 0)
    kinds = ", ".join(
        f"{sign.value} {count} {kind}"
        for sign, kinds in report.counts.items()
        for kind, count in sorted(kinds.items())
        if sign is not Sign.SAME and count
    )
    found = f"{report.source}: {report.read} read, {same} as they should be; {report.differences} differences"
    left = f"; {report.remaining} remain after the repair" if report.repaired else ""
    remarks = "".join(f"\n  {count} × {sentence}" for sentence, count in sorted(report.remarks.items()))
    return f"{found}{f' ({kinds})' if kinds else ''}{left}; {report.seconds:.1f} s{remarks}"


def _print_action(action: Action) -> None:
    click.echo(str(action))
