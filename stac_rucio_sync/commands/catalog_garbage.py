"""``catalog gc``: the clean-up of a catalogue."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from stac_rucio_sync.catalog.garbage import collect
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.commands.catalog_options import catalog_option, json_option, numbered


@click.command()
@catalog_option
@click.option(
    "--wait", type=click.FloatRange(0), default=600.0, show_default=True, help="Seconds to wait for other writers."
)
@json_option()
def gc(place: Path, wait: float, as_json: bool) -> None:
    """Take away what no version holds, and pack the rest.

    Every version stays. Writers wait meanwhile, readers do not.

    \b
    Example:
      stac-rucio-sync catalog gc -C survey
    """
    with Repository(place) as repository:
        collected = collect(repository, wait=wait)
    if as_json:
        click.echo(orjson.dumps(collected._asdict()))
    else:
        click.echo(
            f"{numbered(collected.removed, 'file')} removed; {collected.bytes_before} bytes before, "
            f"{collected.bytes_after} after"
        )
