"""``db apply | status`` and ``resolve``."""

from __future__ import annotations

import sys

import click
import orjson

from stac_rucio_sync.commands.context import Invocation, open_tables
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.mapping.identifiers import did_of_publisher_did, obs_publisher_did
from stac_rucio_sync.stores.schema import apply_schema, schema_is_current

EXIT_NOT_FOUND = 1


@click.group()
def db() -> None:
    """Make and check the tables.

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
    if settings.database.admin_url is None:
        raise UsageError("set [database] admin_url: the role that may create schemas and roles")
    steps = apply_schema(
        settings.database.admin_url.get_secret_value(),
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
    did = did_of_publisher_did(identifier)
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
