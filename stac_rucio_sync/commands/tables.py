"""``db apply | status | backup | restore`` and ``resolve``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from stac_rucio_sync.commands.context import Invocation, open_tables
from stac_rucio_sync.commands.parameters import did_of
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.keeping import Kept, back_up, lines_of, read_backup
from stac_rucio_sync.keeping import restore as restore_backup
from stac_rucio_sync.mapping.identifiers import obs_publisher_did
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.schema import apply_schema, schema_is_current

EXIT_NOT_FOUND = 1
EXIT_SOME_LEFT_OUT = 1


@click.group()
def db() -> None:
    """Make, check, keep and restore the tables.

    \b
    Example:
      stac-rucio-sync db apply
    """


@db.command()
@click.option("--no-views", is_flag=True, help="Leave out ivoa.obscore and epn.epn_core (another server owns them).")
@click.pass_obj
def apply(invocation: Invocation, no_views: bool) -> None:
    """Apply the numbered DDL to the database; a second time changes nothing.

    \b
    Example:
      STAC_RUCIO_SYNC_DATABASE__ADMIN_URL=postgresql://… stac-rucio-sync db apply
    """
    settings = invocation.settings()
    steps = apply_schema(
        _admin_url(settings),
        views=not no_views,
        epn_schema=settings.epn.schema_name,
        base_url=settings.services.base_url,
    )
    for step in steps:
        click.echo(step)


@db.command("status")
@click.pass_obj
def db_status(invocation: Invocation) -> None:
    """Say whether the database's tables are those of this version (exit 1: they are not).

    \b
    Example:
      stac-rucio-sync db status
    """
    current = schema_is_current(invocation.settings().database_url())
    click.echo("up to date" if current else "out of date: run stac-rucio-sync db apply")
    if not current:
        sys.exit(EXIT_NOT_FOUND)


@db.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what the backup holds as one JSON object.")
@click.pass_obj
def backup(invocation: Invocation, folder: Path, as_json: bool) -> None:
    """Bring the backup in DIR in step with the tables, and with the versioned catalogues that they were made of.

    The tables are those of one instant; syncs and queries go on meanwhile. Of each catalogue it says at which commit
    the tables stand. Exit 1: a catalogue is not on this machine, and is left out. Jobs of users are not kept.

    \b
    Example:
      stac-rucio-sync db backup /mnt/backup/archive
    """
    kept = back_up(_admin_url(invocation.settings()), folder)
    _tell(kept, as_json=as_json)
    if kept.left_out:
        sys.exit(EXIT_SOME_LEFT_OUT)


@db.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--catalogs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder that the catalogues are restored to, each in one of its own. Default: here.",
)
@click.option("--dry-run", is_flag=True, help="Only see that the backup is whole, and say what it holds.")
@click.option("--json", "as_json", is_flag=True, help="Print what was restored as one JSON object.")
@click.pass_obj
def restore(invocation: Invocation, folder: Path, catalogs: Path, dry_run: bool, as_json: bool) -> None:
    """Make the tables and the catalogues of the backup in DIR, in a database that has none of our tables.

    Tables of an earlier version become those of this one.

    \b
    Examples:
      stac-rucio-sync db restore /mnt/backup/archive --dry-run
      stac-rucio-sync db restore /mnt/backup/archive --catalogs /srv/catalogues
    """
    if dry_run:
        _tell(read_backup(folder), as_json=as_json)
        return
    settings = invocation.settings()
    kept = restore_backup(
        _admin_url(settings),
        folder,
        catalogs,
        epn_schema=settings.epn.schema_name,
        base_url=settings.services.base_url,
    )
    _tell(kept, as_json=as_json)


def _admin_url(settings: Settings) -> str:
    if settings.database.admin_url is None:
        raise UsageError("set [database] admin_url: the role that may create schemas and roles")
    return settings.database.admin_url.get_secret_value()


def _tell(kept: Kept, *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(kept.as_json()))
    else:
        for line in lines_of(kept):
            click.echo(line)


@click.command()
@click.argument("identifier", metavar="DID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def resolve(invocation: Invocation, identifier: str, as_json: bool) -> None:
    """Say which STAC item and asset a DID stands for (exit 1: none that was synced).

    DID is scope:name, or an obs_publisher_did (ivo://…?scope:name).

    \b
    Example:
      stac-rucio-sync resolve stac:survey..tile_17..image.fits
    """
    settings = invocation.settings()
    did = did_of(identifier)
    with open_tables(settings) as tables:
        found = tables.resolve(did)
    places = [{"collection": one.collection, "item": one.id, "asset": one.asset, "did": str(did)} for one in found]
    if as_json:
        click.echo(
            orjson.dumps({"did": str(did), "obs_publisher_did": obs_publisher_did(did, settings), "found": places})
        )
    else:
        for place in places:
            click.echo(
                f"{place['collection']}/{place['item']}" + (f"  asset {place['asset']}" if place["asset"] else "")
            )
    if not places:
        click.echo(f"{did} is not in the tables", err=True)
        sys.exit(EXIT_NOT_FOUND)
