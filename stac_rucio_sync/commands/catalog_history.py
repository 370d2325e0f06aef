"""``catalog history``, ``show``, ``diff``, ``rollback``: what was, what changed, and going back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
import orjson

from stac_rucio_sync.catalog.comparison import Difference
from stac_rucio_sync.catalog.history import changes_of, compare, history_of, log
from stac_rucio_sync.catalog.history import rollback as roll_back
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.commands.catalog_options import (
    Committing,
    catalog_option,
    commit_as_json,
    commit_line,
    commit_options,
    counted,
    difference_as_json,
    difference_lines,
    json_option,
    printable,
)

_LIMIT = click.option("-n", "--limit", type=click.IntRange(min=1), help="At most so many, the latest. Default: all.")
_BRIEF = click.option("--brief", is_flag=True, help="Leave out the fields and files that changed.")


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@catalog_option
@_LIMIT
@json_option("Print JSON: one object a line.")
def history(identifier: str | None, place: Path, limit: int | None, as_json: bool) -> None:
    """List the commits, or what became of the objects called ID.

    ID is the id of an item, collection or catalogue, collection/id, or a path; what was removed has a history, too.
    A commit has a number, counted from 1, a name, and a date: each can stand for REF in other commands.

    \b
    Examples:
      stac-rucio-sync catalog history -C survey -n 20
      stac-rucio-sync catalog history -C survey tile_17 --json
    """
    with Repository(place) as repository:
        if identifier is None:
            for number, commit, counts in log(repository, limit):
                if as_json:
                    click.echo(orjson.dumps(commit_as_json(number, commit) | {"changes": counts}))
                else:
                    said = printable(commit.message.split("\n", 1)[0])
                    click.echo(f"{commit_line(number, commit)}  {counted(counts)}  {said}")
            return
        for event in history_of(repository, identifier, limit):
            if as_json:
                made = commit_as_json(event.number, event.commit)
                key = event.key._asdict() | {"collection": event.key.collection or None}
                where = {"path": event.path, "old_path": event.old_path}
                click.echo(orjson.dumps(made | {"fate": event.fate} | key | where))
            else:
                click.echo(
                    f"{commit_line(event.number, event.commit)}  {event.fate:8}  {event.path}"
                    f"  {printable(event.commit.message.split(chr(10), 1)[0])}"
                )


@click.command()
@click.argument("ref", required=False)
@catalog_option
@click.option("--object", "identifier", metavar="ID", help="Print this STAC object as it was then.")
@_BRIEF
@json_option("Print JSON: the commit with its changes as one object.")
def show(ref: str | None, place: Path, identifier: str | None, brief: bool, as_json: bool) -> None:
    """Show a commit and what it changed, or an object as it was then.

    REF is the number of a commit (1 is the first, -1 the latest), its name or the beginning of it, a day or an instant
    (the latest commit of then), or HEAD. Before a negative number stands --.

    \b
    Examples:
      stac-rucio-sync catalog show -C survey
      stac-rucio-sync catalog show -C survey 2024-05-01 --object tile_17
      stac-rucio-sync catalog show -C survey --json -- -2
    """
    with Repository(place) as repository:
        version = repository.version(ref)
        if identifier is not None:
            stac = version.stac(version.find_one(identifier).path)
            click.echo(orjson.dumps(stac, option=orjson.OPT_INDENT_2))
            return
        commit, changes = version.commit, changes_of(repository, version)
        if as_json:
            listed = [difference_as_json(one) for one in changes]
            click.echo(orjson.dumps(commit_as_json(version.number, commit) | {"changes": listed}))
            return
        click.echo(f"commit {version.number} ({commit.oid})")
        click.echo(f"date   {commit.when:%Y-%m-%dT%H:%M:%SZ}")
        click.echo(f"author {printable(commit.author)}\n")
        click.echo("".join(f"    {printable(line)}\n" for line in commit.message.splitlines()))
        _list(changes, brief=brief)


@click.command()
@click.argument("old", metavar="A")
@click.argument("new", metavar="[B]", required=False)
@catalog_option
@_BRIEF
@json_option("Print JSON: one object that differs a line.")
def diff(old: str, new: str | None, place: Path, brief: bool, as_json: bool) -> None:
    """List the objects that differ between two versions, field by field.

    A and B are versions as in show; without B it is the latest. Objects are added, modified, moved or removed; fields
    are named by JSON pointers. Links that hold the catalogue together are no difference.

    \b
    Examples:
      stac-rucio-sync catalog diff -C survey 2024-01-01 2024-02-01
      stac-rucio-sync catalog diff -C survey 3f2a9c41 --brief
      stac-rucio-sync catalog diff -C survey --json -- -2 -1
    """
    with Repository(place) as repository:
        changes = compare(repository, repository.version(old), repository.version(new))
        if as_json:
            for one in changes:
                click.echo(orjson.dumps(difference_as_json(one)))
        else:
            _list(changes, brief=brief)


@click.command()
@click.argument("ref")
@catalog_option
@commit_options
@json_option()
def rollback(ref: str, *, place: Path, committing: Committing, as_json: bool) -> None:
    """Make a new commit that holds what an earlier one held.

    Nothing of the history is lost: what was undone can be had back in the same way. REF is a version as in show.

    \b
    Examples:
      stac-rucio-sync catalog rollback -C survey 41 --dry-run
      stac-rucio-sync catalog rollback -C survey -m "Undo the wrong ingest" -- -2
    """
    with Repository(place) as repository:
        target, before = repository.version(ref), repository.head()
        if committing.dry_run:
            changes = list(compare(repository, before, target))
            if as_json:
                click.echo(orjson.dumps({"dry_run": True, "changes": [difference_as_json(one) for one in changes]}))
            else:
                _list(changes, brief=True)
                click.echo("nothing was done: it was a dry run", err=True)
            return
        commit = roll_back(
            repository, target, message=committing.message, author=committing.author, wait=committing.wait
        )
        counts = {} if commit is None else repository.index.counts_of(repository.number(commit))
        if as_json:
            made = None if commit is None else commit_as_json(repository.number(commit), commit)
            said = {"dry_run": False, "commit": made, "changes": counts, "warnings": repository.warnings}
            click.echo(orjson.dumps(said))
        elif commit is None:
            click.echo(f"nothing to do: the catalogue holds what commit {target.number} held")
        else:
            click.echo(f"{commit_line(repository.number(commit), commit)}  {counted(counts)}  {commit.message}")


def _list(changes: Iterable[Difference], *, brief: bool) -> None:
    counts: Counter[str] = Counter()
    for one in changes:
        counts[one.fate] += 1
        for line in difference_lines(one, brief=brief):
            click.echo(line)
    click.echo(counted(counts), err=True)
