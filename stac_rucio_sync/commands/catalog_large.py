"""``catalog clone``, ``lfs-setup`` and ``lfs-agent``: clones whose large files come from the lake, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click

from stac_rucio_sync.catalog.clones import Clone
from stac_rucio_sync.catalog.clones import clone as make_clone
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.replication.large_files import LargeFiles
from stac_rucio_sync.replication.lfs_agent import talk

Command = TypeVar("Command", bound=Callable[..., Any])
_PLACE = ("site", "near", "latitude", "longitude")


def _place_options(command: Command) -> Command:
    options = (
        click.option("--site", help="Where you are: a site of the lake."),
        click.option("--near", metavar="RSE", help="Where you are: next to this RSE."),
        click.option("--lat", "latitude", type=click.FloatRange(-90, 90), help="Degrees north (with --lon)."),
        click.option("--lon", "longitude", type=click.FloatRange(-180, 180), help="Degrees east."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("source")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@_place_options
@click.option("--no-files", is_flag=True, help="Leave pointers in the place of large files; git lfs pull brings them.")
@click.pass_obj
def clone(invocation: Invocation, /, source: str, folder: Path, no_files: bool, **place: Any) -> None:  # noqa: ANN401 - click types each
    """Clone the catalogue SOURCE (git backend) to DIR, with its large files.

    Those in the lake come from the nearest replica, now and whenever git lfs is asked in DIR.

    \b
    Example:
      stac-rucio-sync catalog clone /archive/survey survey --site vienna
    """
    made = make_clone(source, folder)
    _set_up(made, invocation, place)
    if not no_files:
        made.pull()


@click.command()
@click.argument(
    "folder", metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path()
)
@_place_options
@click.pass_obj
def lfs_setup(invocation: Invocation, /, folder: Path, **place: Any) -> None:  # noqa: ANN401 - click types each
    """Have Git LFS fetch the large files of the clone DIR from the lake, too.

    A repository cannot bring this along: git lets no repository name programs to run.

    \b
    Example:
      git clone https://example.org/survey.git && cd survey
      stac-rucio-sync catalog lfs-setup --site vienna && git lfs pull
    """
    _set_up(Clone(folder), invocation, place)


@click.command(hidden=True)
@_place_options
@click.pass_obj
def lfs_agent(invocation: Invocation, /, **place: Any) -> None:  # noqa: ANN401 - click types each
    """Answer Git LFS, which starts this.

    It speaks the protocol of custom transfer agents on stdin and stdout; lfs-setup tells Git LFS of it.

    \b
    Example:
      stac-rucio-sync catalog lfs-agent --site vienna < messages.jsonl
    """
    # What libraries print must not come in between: stdout is for the conversation alone.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        where = {"rse" if name == "near" else name: value for name, value in place.items()}
        with closing(LargeFiles(Clone(Path()), invocation.settings, where)) as files:
            talk(sys.stdin.buffer, answers, files.get)


def _set_up(made: Clone, invocation: Invocation, place: dict[str, Any]) -> None:
    """Have the agent called as this command was: by the same Python, with the same settings."""
    arguments = ["-m", "stac_rucio_sync.cli"]
    if invocation.settings_file is not None:
        arguments += ["--settings", str(invocation.settings_file.resolve())]
    if invocation.lake_home is not None:
        arguments += ["--home", str(invocation.lake_home.resolve())]
    arguments += ["catalog", "lfs-agent"]
    flags = {"latitude": "lat", "longitude": "lon"}
    for name in _PLACE:
        if place[name] is not None:
            arguments += [f"--{flags.get(name, name)}", str(place[name])]
    made.set_up(sys.executable, arguments)
