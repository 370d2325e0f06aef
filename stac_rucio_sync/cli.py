"""The command line: ``stac-rucio-sync COMMAND``.

stdout is the result, stderr is talk. Exit codes: 0 all done, 1 some items failed or went to quarantine, 2 the command
or the settings are wrong, 3 fatal, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from stac_rucio_sync import __version__
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.query import query
from stac_rucio_sync.commands.serve import serve
from stac_rucio_sync.commands.stopping import leave_stopped
from stac_rucio_sync.commands.sync import quarantine, status, sync
from stac_rucio_sync.commands.tables import db, resolve
from stac_rucio_sync.commands.verify import verify
from stac_rucio_sync.errors import SyncError, UsageError
from stac_rucio_sync.lake.commands import lake

EXIT_USAGE = 2
EXIT_FATAL = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stac-rucio-sync")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file (TOML). Default: what STAC_RUCIO_SYNC_SETTINGS names.",
)
@click.option(
    "--home",
    "lake_home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="STAC_RUCIO_SYNC_LAKE_HOME",
    help="Home of the embedded lake that commands find by themselves.",
)
@click.pass_context
def cli(context: click.Context, settings_file: Path | None, lake_home: Path | None) -> None:
    """Keep a Rucio data lake and an ObsCore table in step with a STAC catalogue.

    \b
    Example, on one machine with nothing prepared:
      stac-rucio-sync lake up
      stac-rucio-sync sync https://stac.example.org/v1 --collection images
      stac-rucio-sync status
    """
    context.obj = Invocation(settings_file, lake_home)


for command in (sync, verify, status, quarantine, serve, query, db, resolve, lake):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = cli.main(arguments, prog_name="stac-rucio-sync", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        leave_stopped()
    except SyncError as error:
        _say(f"error: {error}")
        code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FATAL
    except OSError as error:
        _say(f"error: {error}")
        code = EXIT_FATAL
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str) -> None:
    """Tell what went wrong, where anything can be told: the log's disk may be full, too."""
    with suppress(OSError):
        click.echo(text, err=True)


if __name__ == "__main__":
    main()
