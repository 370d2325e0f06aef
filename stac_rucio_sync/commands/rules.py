"""``rules``: the account's replication rules, and how much of some items is where they lead to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click
import orjson
from rich.console import Console

from stac_rucio_sync.commands.choosing import choice_of, item_options, open_lake, source_of
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.screen import bar
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model.rules import Rule
from stac_rucio_sync.replication.choice import asked_batches
from stac_rucio_sync.replication.ending import Ended, end_rules, rules_on
from stac_rucio_sync.replication.survey import Destination, Survey, Surveyor, Watched
from stac_rucio_sync.settings import Settings

EXIT_SOME_FAILED = 1


@click.group()
def rules() -> None:
    """List, follow and delete replication rules.

    \b
    Example:
      stac-rucio-sync rules state items.ndjson --rse VIENNA-DISK
    """


@rules.command("list")
@click.option("--rse", "rse_expression", help="Only rules of exactly this RSE expression.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one rule a line.")
@click.pass_obj
def list_(invocation: Invocation, rse_expression: str | None, as_json: bool) -> None:
    """List the account's own rules.

    \b
    Example:
      stac-rucio-sync rules list --rse VIENNA-DISK
    """
    with stoppable(), open_lake(invocation.settings()) as (_, edge):
        found = edge.own(rse_expression=rse_expression)
        account = edge.account
    if as_json:
        for rule in found:
            click.echo(orjson.dumps(rule.as_json()))
    else:
        _echo(map(str, found))
        click.echo(f"account {account} has {len(found)} such rules", err=True)


@rules.command()
@click.argument("location", metavar="SOURCE")
@item_options
@click.option("--rse", "rse_expression", required=True, help="RSE expression, taken as one place.")
@click.option("--json", "as_json", is_flag=True, help="Print the states as one JSON object.")
@click.pass_obj
def state(invocation: Invocation, /, location: str, **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Say how much of every item of SOURCE is at an RSE (exit 1: not all of them are COMPLETE).

    COMPLETE, PARTIAL (n of m files), COPYING, STUCK (with the reason of each file), NONE, or NOT REGISTERED (the lake
    has no file of the item).

    \b
    Example:
      stac-rucio-sync rules state items.ndjson --rse VIENNA-DISK --json
    """
    _survey(invocation.settings(), location, options, wait=False)


@rules.command()
@click.argument("location", metavar="SOURCE")
@item_options
@click.option("--rse", "rse_expression", required=True, help="RSE expression, taken as one place.")
@click.option("--timeout", type=click.FloatRange(0), help="Seconds at most. Default: as long as it takes.")
@click.option("--json", "as_json", is_flag=True, help="Print the states as one JSON object.")
@click.pass_obj
def wait(invocation: Invocation, /, location: str, **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Wait until no file of SOURCE's items is on its way to an RSE (exit 1: not all items are COMPLETE then).

    Files that are stuck, or that no rule brings there, are not waited for.

    \b
    Example:
      stac-rucio-sync rules wait items.ndjson --rse VIENNA-DISK --timeout 3600
    """
    _survey(invocation.settings(), location, options, wait=True)


def _survey(settings: Settings, location: str, options: dict[str, Any], *, wait: bool) -> None:
    talk = Console(stderr=True)
    with stoppable(), open_lake(settings) as (holdings, edge):
        destination = Destination(options["rse_expression"], edge.rses(options["rse_expression"]))
        surveyor = Surveyor(holdings, edge, destination)
        source = source_of(location, settings, options)
        survey = Survey()
        watched: list[Watched] = []
        for asked, unreadable in asked_batches(source, settings, choice_of(options)):
            survey.unreadable.update({one.position: one.reason for one in unreadable})
            looked = surveyor.look(asked)
            if wait:
                watched += looked
            else:
                survey.states += surveyor.states(looked)
        if wait and watched:
            with bar(talk, f"copies at {destination.expression}", "files") as draw:
                survey.timed_out = not surveyor.wait(watched, options["timeout"], draw)
            survey.states = surveyor.states(watched)
    if options["as_json"]:
        click.echo(
            orjson.dumps(
                {"rse_expression": destination.expression, "rses": sorted(destination.rses)} | survey.as_json()
            )
        )
    else:
        _echo(survey.titled())
        talk.print(survey.summary(), markup=False, highlight=False, soft_wrap=True)
    if not survey.complete:
        sys.exit(EXIT_SOME_FAILED)


@rules.command()
@click.argument("rule_ids", metavar="[RULE]...", nargs=-1)
@click.option(
    "--items", "location", metavar="SOURCE", help="The rules on the items of this source, and on their files."
)
@item_options
@click.option("--rse", "rse_expression", help="With --items: exactly the RSE expression of the rules.")
@click.option("--now", is_flag=True, help="End them at once; by default Rucio leaves an hour to think better of it.")
@click.option("--purge", is_flag=True, help="Delete copies that nobody else holds at once, not when space is needed.")
@click.option("--dry-run", is_flag=True, help="Delete nothing; show which rules it would be.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.pass_obj
def delete(invocation: Invocation, /, rule_ids: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Delete rules of one's own, by id or by the items that they are on.

    Files go when no other rule holds them. Exit 1: a rule was somebody else's, or none was found.

    \b
    Examples:
      stac-rucio-sync rules delete 8fee8920a074475db36bc4a1443f32e8
      stac-rucio-sync rules delete --items items.ndjson --rse VIENNA-DISK --dry-run
    """
    location = options["location"]
    if bool(rule_ids) == bool(location):
        raise UsageError("name rules by their ids, or --items SOURCE with --rse")
    if location and not options["rse_expression"]:
        raise UsageError("--items goes with --rse: which rules on the items shall end")
    if options["purge"] and not options["now"]:
        raise UsageError("--purge goes with --now")
    settings = invocation.settings()
    with stoppable(), open_lake(settings) as (holdings, edge):
        named: Iterable[str | Rule] = rule_ids
        if location:
            choice = choice_of(options)
            batches = asked_batches(source_of(location, settings, options), settings, choice)
            named = rules_on(
                (asked for asked, _ in batches), holdings, edge, options["rse_expression"], whole=choice.all
            )
        ended = end_rules(named, edge, now=options["now"], purge=options["purge"], dry_run=options["dry_run"])
    _tell_ended(ended, as_json=options["as_json"], dry_run=options["dry_run"])
    if not ended or not all(one.clean for one in ended):
        sys.exit(EXIT_SOME_FAILED)


def _tell_ended(ended: list[Ended], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        click.echo(orjson.dumps({"dry_run": dry_run, "rules": [one.as_json() for one in ended]}))
    elif ended:
        _echo(map(str, ended))
    else:
        click.echo("no rule was found", err=True)


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
