"""The commands ``lake up | status | down | reset``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from stac_rucio_sync.lake.home import HOME_VARIABLE, PORT_NAMES
from stac_rucio_sync.lake.lake import Lake, Metadata

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=HOME_VARIABLE,
    show_envvar=True,
    help="The lake's folder. Default: /var/lib/stac-rucio-sync/lake for root, else below XDG_DATA_HOME.",
)


def _lake(home: Path | None, *, quiet: bool = False) -> Lake:
    """Return the lake of a command's own --home, else of the root command's."""
    invocation = click.get_current_context().obj
    chosen = home or getattr(invocation, "lake_home", None)
    return Lake(chosen) if quiet else Lake(chosen, _say)


def _say(message: str) -> None:
    click.echo(f"lake: {message}", err=True)


@click.group()
def lake() -> None:
    """Run the embedded data lake: PostgreSQL with pgSphere, Rucio, and what moves the files.

    Everything listens on the loopback address only.

    \b
    Example:
      stac-rucio-sync lake up
      stac-rucio-sync lake status
      stac-rucio-sync lake down
    """


def _port_options(command: Any) -> Any:  # noqa: ANN401 - a decorator of click commands
    for name in reversed(PORT_NAMES):
        command = click.option(
            f"--port-{name}", type=click.IntRange(1, 65535), help=f"Fixed port of {name}. Default: a free one."
        )(command)
    return command


@lake.command()
@home_option
@click.option(
    "--metadata",
    type=click.Choice(["json", "postgres"]),
    help="Rucio's metadata plugin. Default: as it was, at first json.",
)
@click.option("--events-url", help="Post Rucio's events as NDJSON to this URL; '' for `watch`. Default: as it was.")
@_port_options
def up(home: Path | None, metadata: Metadata | None, events_url: str | None, **ports: int | None) -> None:
    """Start the lake, making what is missing.

    Example: stac-rucio-sync lake up --metadata postgres
    """
    fixed = {name.removeprefix("port_"): port for name, port in ports.items() if port is not None}
    _show(_lake(home).up(metadata=metadata, ports=fixed, events_url=events_url))


@lake.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, without passwords.")
def status(home: Path | None, *, as_json: bool) -> None:
    """Say what runs and how to reach it; exit code 1 when the lake is not up.

    Example: stac-rucio-sync lake status --json
    """
    state = _lake(home, quiet=True).status()
    if as_json:
        click.echo(json.dumps(state, indent=1))
    else:
        _show(state)
    if not state["running"]:
        click.get_current_context().exit(1)


@lake.command()
@home_option
def down(home: Path | None) -> None:
    """Stop all of the lake's servers; data stay.

    Example: stac-rucio-sync lake down
    """
    the_lake = _lake(home)
    if not the_lake.down():
        _say(f"nothing ran in {the_lake.home.path}")


@lake.command()
@home_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(home: Path | None, *, yes: bool) -> None:
    """Stop the lake and remove all its data, for good.

    Example: stac-rucio-sync lake reset --yes
    """
    the_lake = _lake(home)
    if not yes:
        click.confirm(f"Remove {the_lake.home.path} with all data in it?", abort=True, err=True)
    the_lake.reset()
    _say(f"removed {the_lake.home.path}")


def _show(state: dict[str, Any]) -> None:
    running = [name for name, server in state["servers"].items() if server["running"]]
    click.echo(f"home      {state['home']}")
    click.echo(f"running   {', '.join(running) or 'nothing'}")
    if not state["running"]:
        return
    database = state["database"]
    click.echo(f"database  {database['name']} on 127.0.0.1:{database['port']} (URLs in {state['settings']})")
    click.echo(f"rucio     {state['rucio_url']} (metadata: {state['metadata']})")
    for account, config in state["accounts"].items():
        click.echo(f"          RUCIO_CONFIG={config}  account {account}")
    click.echo(f"origin    {state['origin_url']} = {state['origin_dir']}")
    for name, rse in state["rses"].items():
        click.echo(f"rse       {name} at {rse['site']}: {rse['url']} = {rse['folder']}")
