"""``replicate``: ask for copies of what a search found."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any

import click
import orjson
from rich.console import Console

from stac_rucio_sync.commands.choosing import choice_of, item_options, open_lake, source_of
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.parameters import did_of
from stac_rucio_sync.commands.screen import bar
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model.rules import RuleWish
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.request import ItemFate, Request, RequestJob, RequestReport, named
from stac_rucio_sync.replication.survey import Survey, Surveyor
from stac_rucio_sync.stores.rucio.rules import RucioRules

EXIT_SOME_FAILED = 1
_NAMED = 20


@click.command()
@click.argument("location", metavar="SOURCE")
@item_options
@click.option("--rse", "rse_expression", required=True, help="RSE expression: where the copies shall be.")
@click.option("--copies", type=click.IntRange(1), default=1, show_default=True, help="Copies at the RSEs.")
@click.option("--lifetime", type=click.IntRange(1), help="Seconds that the rules live. Default: until deleted.")
@click.option("--activity", help="Activity of the transfers, as the lake's operators name them.")
@click.option("--comment", help="Comment of the rules.")
@click.option("--dataset", metavar="DID", help="One rule on this dataset (scope:name), made for the request.")
@click.option("--register", is_flag=True, help="Register items in Rucio that the lake does not know.")
@click.option("--wait", is_flag=True, help="Wait until the copies are there or stuck.")
@click.option("--timeout", type=click.FloatRange(0), help="With --wait: seconds at most.")
@click.option("--dry-run", is_flag=True, help="Change nothing: say how many files and bytes it is, and the quota.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def replicate(invocation: Invocation, /, location: str, **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Ask Rucio for copies of the items of SOURCE: rules, made where there are none.

    SOURCE is whatever sync reads: a STAC API (with --bbox, --datetime, --filter), a static catalogue, a file. Whole
    items get a rule on their dataset; assets chosen by --asset or --role get rules on their files, or one rule on a
    --dataset. Items that the lake does not know get none and are named (exit 1).

    \b
    Examples:
      stac-rucio-sync replicate https://stac.example.org/v1 --bbox 10,46,17,49 --rse VIENNA-DISK --dry-run
      stac-rucio-sync replicate items.ndjson --role data --rse "VIENNA-DISK|SYDNEY-DISK" --copies 2 --wait
      stac-rucio-sync replicate items.ndjson --asset b04 --dataset user.alice:red --rse VIENNA-DISK
    """
    if options["timeout"] is not None and not options["wait"]:
        raise UsageError("--timeout goes with --wait")
    if options["wait"] and options["dry_run"]:
        raise UsageError("--dry-run makes no rules, so there is nothing to --wait for")
    wish = RuleWish(*(options[name] for name in ("rse_expression", "copies", "lifetime", "activity", "comment")))
    dataset = did_of(options["dataset"]) if options["dataset"] else None
    settings = invocation.settings()
    request = Request(wish, choice_of(options), dataset, options["register"], options["dry_run"])
    talk = Console(stderr=True)
    with stoppable(), open_lake(settings) as (holdings, rules):
        source = source_of(location, settings, options)
        job = RequestJob(source, settings, request, holdings, rules, follow=options["wait"])
        error: BaseException | None = None
        survey: Survey | None = None
        try:
            with bar(talk, f"replicate {source.name}", "items") as draw:
                job.on_progress = lambda report: draw(report.read, None)
                job.run()
            if options["wait"] and job.watched:
                survey = _wait(job, holdings, rules, talk, options["timeout"])
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised again below the report
            error = raised
        _tell(job.report, survey, error, talk, as_json=options["as_json"])
        if error is not None:
            raise error
    if not job.report.clean or (survey is not None and not survey.complete):
        sys.exit(EXIT_SOME_FAILED)


def _wait(job: RequestJob, holdings: Holdings, rules: RucioRules, talk: Console, timeout: float | None) -> Survey:
    surveyor = Surveyor(holdings, rules, job.report.destination)
    with bar(talk, f"copies at {job.report.destination.expression}", "files") as draw:
        in_time = surveyor.wait(job.watched, timeout, draw)
    return Survey(surveyor.states(job.watched), timed_out=not in_time)


def _tell(
    report: RequestReport, survey: Survey | None, error: BaseException | None, talk: Console, *, as_json: bool
) -> None:
    """Print a report; how the request ended early belongs to it."""
    if as_json:
        told = report.as_json()
        if survey is not None:
            told["survey"] = survey.as_json()
        click.echo(orjson.dumps(told | ({"error": str(error) or "stopped"} if error else {})))
        return
    for line in _lines(report):
        talk.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in named(report.left_out, _NAMED):
        talk.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if survey is not None:
        for line in (survey.summary(), *islice(survey.stuck(), _NAMED)):
            talk.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(report: RequestReport) -> list[str]:
    fates = ", ".join(f"{count} {fate.value.replace('_', ' ')}" for fate, count in report.fates.items() if count)
    would = "would be, " if report.dry_run else ""
    rules = report.fates[ItemFate.MADE] if report.dry_run else len(report.rules)
    made = "" if report.dry_run else f"; {rules} rules made, {report.rules_there} there, {report.renewed} prolonged"
    new = f", {report.registered} registered now" if report.registered else ""
    lines = [
        f"{report.source} at {report.destination.expression}: {would}{report.read} items ({fates or 'none'})"
        f"{new}{made}",
        f"{report.files} files, {report.bytes} bytes; not there yet: {report.missing_files} files, "
        f"{report.missing_bytes} bytes",
    ]
    for quota in report.quotas:
        limit = "no limit is set, so only administrators may" if quota.limit is None else f"of {quota.limit}"
        lines.append(f"quota at {quota.rse}: {quota.used} bytes used {limit}, {quota.remaining} left")
    return lines
