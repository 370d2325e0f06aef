"""``python -m stac_rucio_sync.demo``: the whole road on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import orjson
from rich.console import Console

from stac_rucio_sync.errors import SyncError

try:
    from stac_rucio_sync.demo.catalogue import FEWEST_ITEMS
    from stac_rucio_sync.demo.terminal import Terminal
    from stac_rucio_sync.demo.walk import Walk, clean_environment
except ModuleNotFoundError as missing:
    sys.exit(f"error: the demo needs {missing.name}: pip install 'stac-rucio-sync[demo]'")

EXIT_FATAL = 3
PIPE_WIDTH = 120


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="STAC_RUCIO_SYNC_LAKE_HOME",
    help="Home of the embedded lake. Default: that of `stac-rucio-sync lake up`.",
)
@click.option(
    "--items", type=click.IntRange(FEWEST_ITEMS, 5000), default=200, show_default=True, help="Catalogue size."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was seen as one JSON object; talk goes to stderr.")
def demo(home: Path | None, items: int, as_json: bool) -> None:
    """Show the whole road: a lake, a catalogue, its sync, a replication rule, queries, a download.

    Every step says the command that does it, and is checked. The lake stays up.
    """
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=as_json, highlight=False, width=PIPE_WIDTH)
    clean_environment()
    walk = Walk(Terminal(console, os.environ), home.absolute() if home else None, items)
    try:
        walk.go()
    except SyncError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_FATAL)
    if as_json:
        click.echo(orjson.dumps(walk.facts, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    demo(prog_name="python -m stac_rucio_sync.demo")
