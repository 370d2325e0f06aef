"""``catalog init``, ``ingest``, ``prune``, ``move``: what the catalogue holds."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from stac_rucio_sync.catalog.repository import BACKENDS, Repository
from stac_rucio_sync.catalog.restrictions import OPERATIONS, restrict, restrictions
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.commands.catalog_options import (
    Committing,
    catalog_option,
    commit_as_json,
    commit_options,
    json_option,
    numbered,
)


@click.command()
@click.argument("place", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--backend", type=click.Choice(sorted(BACKENDS)), default="git", show_default=True, help="How it is kept."
)
@click.option("--id", "identifier", default="catalog", show_default=True, help="Of the root catalogue.")
@click.option("--title", help="Of the root catalogue.")
@click.option("--description", help="Of the root catalogue.")
@json_option()
def init(
    place: Path, *, backend: str, identifier: str, title: str | None, description: str | None, as_json: bool
) -> None:
    """Make an empty catalogue in the folder DIR.

    DIR must not exist, or be empty. What the backends are, show-backends says.

    \b
    Examples:
      stac-rucio-sync catalog init survey
      stac-rucio-sync catalog init /srv/survey --backend filesystem --id survey --title "The survey"
    """
    said = {"description": description} if description else {}
    with Repository.create(place, backend=backend, identifier=identifier, title=title, **said) as repository:
        if as_json:
            commit = commit_as_json(1, repository.head().commit)
            click.echo(orjson.dumps({"place": str(place), "backend": backend, "id": identifier, "commit": commit}))
        else:
            click.echo(f"{place}: the catalogue {identifier}, kept by the backend {backend}")


@click.command()
@click.argument("identifiers", metavar="ID...", nargs=-1, required=True)
@click.option("--parent", required=True, help="Id or path of the catalogue or collection that they go below.")
@catalog_option
@commit_options
@json_option()
def move(identifiers: tuple[str, ...], *, parent: str, place: Path, committing: Committing, as_json: bool) -> None:
    """Put items below another catalogue or collection, in one commit.

    ID is an item's id, collection/id, or path. Their ids and collections stay, and their files go with them. One that
    cannot be moved leaves all where they are.

    \b
    Examples:
      stac-rucio-sync catalog move -C survey tile_17 tile_18 --parent season_2
      stac-rucio-sync catalog move -C survey fields/tile_17 --parent archive/catalog.json --dry-run
    """
    moved = []
    message, author, dry_run, wait = committing
    with Repository(place) as repository, transaction(repository, author=author, wait=wait) as changes:
        head = repository.head()
        home = head.find_one(parent)
        for located in dict.fromkeys(head.find_one(identifier) for identifier in identifiers):
            changes.move(located, home.path)
            path = changes.find(located.key)
            if path != located.path:
                moved.append({"id": located.key.id, "old_path": located.path, "path": path})
        said = message or f"Move {numbered(len(moved), 'item')} to {home.key.id}"
        commit = None if dry_run else changes.commit(said)
        made = None if commit is None else commit_as_json(repository.number(commit), commit)
    if as_json:
        told = {"dry_run": dry_run, "moved": moved, "commit": made, "warnings": repository.warnings}
        click.echo(orjson.dumps(told))
        return
    for one in moved:
        click.echo(f"> {one['old_path']} → {one['path']}")
    click.echo(f"{numbered(len(moved), 'item')} {'would be moved' if dry_run else 'moved'}", err=True)


@click.command()
@click.argument("operations", metavar="[OPERATION]...", nargs=-1, type=click.Choice(["all", *OPERATIONS]))
@click.option("--processor", help="Only for the products of this processor.")
@catalog_option
@json_option()
def allow(operations: tuple[str, ...], processor: str | None, place: Path, as_json: bool) -> None:
    """Say which operations the catalogue allows from now on, or show which.

    Operations are ingest (new objects), update (other states of those that are there), prune and move; all lifts the
    restriction. A rollback needs all four. The rule is the place's: a clone or a backup does not have it.

    \b
    Examples:
      stac-rucio-sync catalog allow -C survey
      stac-rucio-sync catalog allow -C survey ingest update
      stac-rucio-sync catalog allow -C survey ingest --processor fits
      stac-rucio-sync catalog allow -C survey all
    """
    with Repository(place) as repository:
        if operations:
            wanted = OPERATIONS if "all" in operations else operations
            made = restrict(repository.place, wanted, processor=processor)
        else:
            made = restrictions(repository.place)
    if as_json:
        click.echo(orjson.dumps(made.as_json()))
        return
    click.echo(f"this catalogue allows: {', '.join(made.as_json()['repository']) or 'nothing'}")
    for name, allowed in made.as_json()["processors"].items():
        click.echo(f"of that, products of the processor {name}: {', '.join(allowed) or 'nothing'}")


_SAYS = {
    "git": "A bare git repository: any git client can clone it; large assets in Git LFS.",
    "filesystem": "Plain files and folders, one folder tree a version, without git; large assets as they are.",
}


@click.command("show-backends")
@json_option("Print JSON: one object a line.")
def show_backends(as_json: bool) -> None:
    """List the ways in which a catalogue can be kept.

    \b
    Example:
      stac-rucio-sync catalog show-backends
    """
    for name in sorted(BACKENDS):
        click.echo(orjson.dumps({"name": name, "description": _SAYS[name]}) if as_json else f"{name:12}{_SAYS[name]}")
