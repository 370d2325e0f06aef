"""``catalog ingest``, ``prune``, ``show-processors``: products into the catalogue, and out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from stac_rucio_sync.catalog.fates import IngestReport, ProductFate
from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import processor, processors
from stac_rucio_sync.catalog.pruning import Prune
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.commands.catalog_options import (
    Committing,
    catalog_option,
    commit_options,
    json_option,
    numbered,
    printable,
)
from stac_rucio_sync.commands.screen import bar
from stac_rucio_sync.commands.stopping import stoppable

EXIT_SOME_FAILED = 1
_SIGNS = {"added": "+", "modified": "~", "unchanged": "=", "removed": "-", "withdrawn": "/", "failed": "!"}


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--processor", "name", default="stac", show_default=True, help="What makes STAC of a product.")
@click.option("--parent", help="Id or path of the catalogue or collection that new items go below.")
@click.option(
    "--assets",
    type=click.Choice(["link", "copy", "lfs", "upload"]),
    default="link",
    show_default=True,
    help="What becomes of the files: they stay where they are, go into the catalogue, into Git LFS, or to the lake.",
)
@click.option("--one-commit", is_flag=True, help="One commit for all products: all of them, or none.")
@catalog_option
@commit_options
@json_option("Print JSON: one product a line, then the report.")
def ingest(
    sources: tuple[str, ...],
    *,
    name: str,
    place: Path,
    committing: Committing,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - parent, assets and one_commit, as `Ingest` names them
) -> None:
    """Take the products of SOURCE into the catalogue; one whose version is the same is skipped.

    SOURCE is what the processor finds products in: files, folders, URLs. Without --one-commit each product has a commit
    of its own, and one that fails leaves the others alone. Exit 1: a product failed.

    \b
    Examples:
      stac-rucio-sync catalog ingest -C survey items/ --parent fields
      stac-rucio-sync catalog ingest -C survey images/*.fits --processor fits --assets copy
      stac-rucio-sync catalog ingest -C survey /data/catalog.json --one-commit -m "The old catalogue"
    """
    message, author, dry_run, wait = committing
    with Repository(place) as repository:
        job = Ingest(repository, processor(name), message=message, author=author, dry_run=dry_run, wait=wait, **options)
        _run(job, sources, dry_run=dry_run, as_json=as_json)


@click.command()
@click.argument("identifiers", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--extract",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write what is removed, files included, to this folder.",
)
@click.option("--commit-each", is_flag=True, help="A commit for each, and one that fails leaves the others alone.")
@catalog_option
@commit_options
@json_option("Print JSON: one object a line, then the report.")
def prune(
    identifiers: tuple[str, ...],
    *,
    extract: Path | None,
    commit_each: bool,
    place: Path,
    committing: Committing,
    as_json: bool,
) -> None:
    """Remove objects with all below them; earlier versions keep them.

    ID is the id of an item, collection or catalogue, collection/id, or a path. Exit 1: one could not be removed.

    \b
    Examples:
      stac-rucio-sync catalog prune -C survey tile_17 tile_18
      stac-rucio-sync catalog prune -C survey old_fields --extract taken-out
    """
    message, author, dry_run, wait = committing
    with Repository(place) as repository:
        job = Prune(
            repository,
            extract=extract,
            one_commit=not commit_each,
            message=message,
            author=author,
            dry_run=dry_run,
            wait=wait,
        )
        _run(job, identifiers, dry_run=dry_run, as_json=as_json)


@click.command("show-processors")
@json_option("Print JSON: one object a line.")
def show_processors(as_json: bool) -> None:
    """List what can make STAC of products: built in, or found as modules and entry points.

    \b
    Example:
      stac-rucio-sync catalog show-processors
    """
    for one in processors():
        if as_json:
            click.echo(orjson.dumps(asdict(one)))
        else:
            problem = f"  cannot be used: {printable(one.problem)}" if one.problem else ""
            click.echo(f"{one.name:16}{one.version or '?':12}{one.origin}{problem}")


def _run(job: Ingest | Prune, asked: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """Run a job, and print its closing counts also when it ends early."""
    error: BaseException | None = None
    with stoppable():
        with _fates(as_json=as_json) as job.on_fate:
            try:
                job.run(asked)
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised again below the report
                error = raised
        _tell(job.report, error, dry_run=dry_run, as_json=as_json)
        if error is not None:
            raise error
    if not job.report.is_clean:
        sys.exit(EXIT_SOME_FAILED)


@contextmanager
def _fates(*, as_json: bool) -> Iterator[Callable[[ProductFate], None]]:
    """Print the fate of each product as it is known; on a terminal count them, too."""
    done = 0
    with bar(Console(stderr=True), "catalog", "products") as draw:

        def tell(fate: ProductFate) -> None:
            nonlocal done
            done += 1
            draw(done, None)
            if as_json:
                click.echo(orjson.dumps(asdict(fate)))
            else:
                for line in _lines(fate):
                    click.echo(line)

        yield tell


def _lines(fate: ProductFate) -> list[str]:
    name = fate.id if fate.id is not None else fate.source
    reason = f": {fate.reason}" if fate.reason else f"  {fate.path}" if fate.path else ""
    return [
        f"{_SIGNS[fate.fate]} {fate.fate:9} {printable(name)}{printable(reason)}",
        *(f"      {printable(remark)}" for remark in fate.remarks),
    ]


def _tell(report: IngestReport, error: BaseException | None, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        said = {"dry_run": dry_run, "counts": dict(report.counts), "commits": report.commits}
        said |= {"warnings": report.warnings} | ({"error": str(error) or "stopped"} if error else {})
        click.echo(orjson.dumps({"report": said}))
    else:
        counts = ", ".join(f"{report.counts[fate]} {fate}" for fate in _SIGNS if report.counts[fate])
        would = "would be, " if dry_run else ""
        click.echo(f"{would}{counts or 'no products'}; {numbered(report.commits, 'commit')}", err=True)
