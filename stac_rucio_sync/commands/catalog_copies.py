"""``catalog export``, ``backup`` and ``restore``: the catalogue elsewhere, and back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from stac_rucio_sync.catalog.backup import backup as back_up
from stac_rucio_sync.catalog.backup import commits_to_copy
from stac_rucio_sync.catalog.backup import restore as restore_to
from stac_rucio_sync.catalog.exporting import export as export_to
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.commands.catalog_options import catalog_option, json_option, numbered
from stac_rucio_sync.commands.screen import bar

EXIT_SOME_FAILED = 1


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@catalog_option
@click.option("--ref", help="The version, as in show. Default: the latest.")
@click.option("--base-url", metavar="URL", help="Where DIR will be published: links are absolute. Default: relative.")
@json_option()
def export(folder: Path, place: Path, ref: str | None, base_url: str | None, as_json: bool) -> None:
    """Write a version as a static catalogue to the folder DIR.

    Any STAC client reads it. DIR must not exist, or be empty. Exit 1: files are left out, for their bytes are not here.

    \b
    Examples:
      stac-rucio-sync catalog export -C survey public
      stac-rucio-sync catalog export -C survey public --ref 2024-05-01 --base-url https://example.org/stac
    """
    with Repository(place) as repository, bar(Console(stderr=True), "export", "files"):
        report = export_to(repository.version(ref), folder, base_url=base_url)
    if as_json:
        click.echo(orjson.dumps(asdict(report)))
    else:
        click.echo(f"{numbered(report.files, 'file')}, {report.bytes} bytes, in {folder}")
        for path in report.absent_paths:
            click.echo(f"! left out, its bytes are not here: {path}", err=True)
    if report.absent:
        sys.exit(EXIT_SOME_FAILED)


@click.command()
@click.argument("uri")
@catalog_option
@click.option("--dry-run", is_flag=True, help="Only say how many commits the backup lacks.")
@json_option()
def backup(uri: str, place: Path, dry_run: bool, as_json: bool) -> None:
    """Bring a backup at URI in step with the catalogue, history included.

    URI is a folder (made where there is none) or, for a catalogue in git, any URL that git can push to. Only what is
    not there yet goes over. The backup is a catalogue by itself: every command reads it. One that has commits which
    this catalogue has not is refused.

    \b
    Examples:
      stac-rucio-sync catalog backup -C survey /mnt/backup/survey
      stac-rucio-sync catalog backup -C survey ssh://archive.example.org/srv/survey.git
    """
    with Repository(place) as repository:
        if dry_run:
            lacking = commits_to_copy(repository, uri)
            if as_json:
                click.echo(orjson.dumps({"dry_run": True, "commits": lacking}))
            else:
                click.echo(f"{numbered(lacking, 'commit')} would be copied to the backup")
            return
        with bar(Console(stderr=True), "backup", "commits") as draw:
            copied = back_up(repository, uri, draw)
    _tell("copied", copied._asdict(), as_json=as_json)


@click.command()
@click.argument("uri")
@click.argument("place", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@json_option()
def restore(uri: str, place: Path, as_json: bool) -> None:
    """Make the catalogue DIR of the backup at URI, history included.

    DIR must not exist, or be empty; if anything fails, nothing is left there.

    \b
    Examples:
      stac-rucio-sync catalog restore /mnt/backup/survey survey
      stac-rucio-sync catalog restore ssh://archive.example.org/srv/survey.git survey
    """
    with bar(Console(stderr=True), "restore", "commits") as draw:
        copied = restore_to(uri, place, draw)
    _tell("restored", copied._asdict(), as_json=as_json)


def _tell(verb: str, copied: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(copied))
    else:
        large = f" and {numbered(copied['large_files'], 'large file')}" if copied["large_files"] else ""
        click.echo(f"{numbered(copied['commits'], 'commit')}{large} {verb}; the latest is {copied['head']}")
