"""The command line: ``stac-rucio-sync COMMAND``.

stdout is the result, stderr is talk. Exit codes: 0 all done, 1 some items failed or went to quarantine, 2 the command
or the settings are wrong, 3 fatal, 130 stopped by Ctrl-C. They tell of the work, whoever reads what it says.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from traceback import format_exc
from typing import Final, NoReturn

import click

from stac_rucio_sync import __version__
from stac_rucio_sync.commands.lazy import LazyGroup, Place, imported
from stac_rucio_sync.commands.stopping import leave_stopped
from stac_rucio_sync.commands.streams import read_or_not
from stac_rucio_sync.errors import SyncError, UsageError
from stac_rucio_sync.logs import are_json

_LOG = logging.getLogger("stac_rucio_sync.run")

EXIT_USAGE = 2
EXIT_FATAL = 3


COMMANDS: Final[Mapping[str, Place]] = {
    "sync": Place("stac_rucio_sync.commands.sync", "sync", "Bring Rucio and the ObsCore table in step with SOURCE."),
    "verify": Place(
        "stac_rucio_sync.commands.verify",
        "verify",
        "Compare every item of SOURCE with what Rucio and the tables really hold.",
    ),
    "audit": Place(
        "stac_rucio_sync.commands.audit",
        "audit",
        "Compare what Rucio says lies at RSEs with what lies there.",
    ),
    "status": Place(
        "stac_rucio_sync.commands.status",
        "status",
        "Show what the tables hold of every source, and how its last run ended.",
    ),
    "quarantine": Place(
        "stac_rucio_sync.commands.sync",
        "quarantine",
        "List the items that were set aside, with their reasons, or try them again.",
    ),
    "forget": Place(
        "stac_rucio_sync.commands.forget",
        "forget",
        "Forget a source that is synced no more; with --items, remove its items, too.",
    ),
    "replicate": Place(
        "stac_rucio_sync.commands.replicate",
        "replicate",
        "Ask Rucio for copies of the items of SOURCE: rules, made where there are none.",
    ),
    "rules": Place("stac_rucio_sync.commands.rules", "rules", "List, follow and delete replication rules."),
    "fetch": Place(
        "stac_rucio_sync.commands.fetch",
        "fetch",
        "Download the files of SOURCE's items, each from its nearest replica.",
    ),
    "upload": Place(
        "stac_rucio_sync.commands.upload",
        "upload",
        "Bring the files at PATH into the lake: registered, sent, verified, each with one fate.",
    ),
    "path": Place(
        "stac_rucio_sync.commands.path",
        "path",
        "Say where the file DID (scope:name) lies below the prefix of an RSE, and why there.",
    ),
    "serve": Place(
        "stac_rucio_sync.commands.serve",
        "serve",
        "Answer the users: TAP, cone search and SIA 2 over the tables, DataLink, cut-outs, and a front page.",
    ),
    "query": Place(
        "stac_rucio_sync.commands.query",
        "query",
        "Ask the TAP service a question in ADQL and print the answer as a table.",
    ),
    "stac-proxy": Place(
        "stac_rucio_sync.commands.stac_proxy",
        "stac_proxy",
        "Answer as the STAC API at URL does, with the replicas of its items as alternate assets.",
    ),
    "explain": Place(
        "stac_rucio_sync.commands.explain",
        "explain",
        "Say which replica of each file is the nearest, and why (exit 1: the DID is not in the tables).",
    ),
    "watch": Place(
        "stac_rucio_sync.commands.watch",
        "watch",
        "Keep the mirror of Rucio's replicas up to date, until stopped by Ctrl-C.",
    ),
    "replicas": Place(
        "stac_rucio_sync.commands.watch", "replicas", "Care for the mirror of Rucio's replicas that the services read."
    ),
    "dachs-rd": Place(
        "stac_rucio_sync.commands.dachs_rd",
        "dachs_rd",
        "Print a resource descriptor for DaCHS: the tables, a cone search, and links to our DataLink.",
    ),
    "registry-record": Place(
        "stac_rucio_sync.commands.registry_record",
        "registry_record",
        "Print the record of a service for a publishing registry of the Virtual Observatory.",
    ),
    "db": Place("stac_rucio_sync.commands.tables", "db", "Make, check, keep and restore the tables."),
    "resolve": Place(
        "stac_rucio_sync.commands.tables",
        "resolve",
        "Say which STAC item and asset a DID stands for (exit 1: none that was synced).",
    ),
    "catalog": Place(
        "stac_rucio_sync.commands.catalog",
        "catalog",
        "Keep a STAC catalogue with its history: transactions, rollback, backup.",
    ),
    "lake": Place(
        "stac_rucio_sync.lake.commands",
        "lake",
        "Run the embedded data lake: PostgreSQL with pgSphere, Rucio, and what moves the files.",
    ),
}
"""The commands; each is imported when it is called, for together they take a second."""


@click.group(
    cls=LazyGroup,
    places=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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
    context.obj = imported("stac_rucio_sync.commands.context", "Invocation")(settings_file, lake_home)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    with read_or_not():
        _run(arguments)


def _run(arguments: list[str] | None) -> NoReturn:
    begun = monotonic()
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
    except Exception:  # noqa: BLE001 - whatever it is, exit code 1 would say that some items failed
        _say(f"error: a mistake in stac-rucio-sync {__version__}; whoever mends it needs to see this:\n{format_exc()}")
        code = EXIT_FATAL
    leaving = code if isinstance(code, int) else 0
    _LOG.info("ended", extra={"told": {"exit_code": leaving, "seconds": round(monotonic() - begun, 3)}})
    sys.exit(leaving)


def _say(text: str) -> None:
    """Tell what went wrong, where anything can be told: the log's disk may be full, too."""
    with suppress(OSError):
        if are_json():
            _LOG.error(text)
        else:
            click.echo(text, err=True)


if __name__ == "__main__":
    main()
