"""``forget``: a source that is synced no more."""

from __future__ import annotations

from contextlib import closing

import click
import orjson
from rich.console import Console

from stac_rucio_sync.commands.context import Invocation, open_tables
from stac_rucio_sync.commands.screen import show_remarks
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.forgetting import ForgetReport, Forgetting
from stac_rucio_sync.plan import Action
from stac_rucio_sync.stores.rucio.store import RucioStore


@click.command()
@click.argument("name")
@click.option("--items", is_flag=True, help="Remove its items, too: from the tables, and from Rucio what may go.")
@click.option("--dry-run", is_flag=True, help="Write nothing anywhere; show what would go, and how much would stay.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def forget(invocation: Invocation, *, name: str, items: bool, dry_run: bool, as_json: bool) -> None:
    """Forget a source that is synced no more; with --items, remove its items, too.

    NAME is the source's name in status. Its state goes (where it stands, how its last run ended) and its entries in the
    quarantine. Without --items the items stay in Rucio and the tables, and users go on finding them.

    \b
    Examples:
      stac-rucio-sync forget survey --dry-run
      stac-rucio-sync forget survey --items
    """
    settings = invocation.settings()
    talk = Console(stderr=True)
    with stoppable(), open_tables(settings) as tables, closing(RucioStore(settings)) as lake:
        shown = _print_action if dry_run and not as_json else None
        job = Forgetting(name, settings, tables, lake, items=items, dry_run=dry_run, on_action=shown)
        error: BaseException | None = None
        try:
            job.run()
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised again below the report
            error = raised
        if as_json:
            ended = {"error": str(error) or "stopped"} if error else {}
            click.echo(orjson.dumps(job.report.as_json() | ended))
        else:
            talk.print(_summary(job.report), markup=False, highlight=False, soft_wrap=True)
            show_remarks(talk, job.report.removal)
        if error is not None:
            raise error


def _print_action(action: Action) -> None:
    click.echo(str(action))


def _summary(report: ForgetReport) -> str:
    removal = report.removal
    would = "would be " if removal.dry_run else ""
    state = f"{would}forgotten" if report.forgotten else "not forgotten"
    return (
        f"{removal.source}: {state}; {removal.removed} items {would}removed, {removal.kept} DIDs kept in Rucio; "
        f"{report.left} items left; {report.quarantined} entries of the quarantine {would}dropped"
    )
