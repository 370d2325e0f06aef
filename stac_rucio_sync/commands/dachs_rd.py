"""``dachs-rd``: the tables behind GAVO's DaCHS."""

from __future__ import annotations

import re
from pathlib import Path

import click

from obscore_tap.dachs import OWNER_STATEMENTS, SCHEMA, Descriptor, descriptor_document
from obscore_tap.published import make_published
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.errors import UsageError

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TAKEN = frozenset({"ivoa", "tap_schema", "dc", "lake", "tap_published", "public"})


@click.command("dachs-rd")
@click.option("--schema", default=SCHEMA, show_default=True, help="DaCHS's schema and folder of inputs.")
@click.option("--copy", is_flag=True, help="For a DaCHS with a database of its own: tables filled from files of TAP.")
@click.option(
    "--owner-sql", is_flag=True, help="Print instead what the owner of the tables runs once, before dachs imp."
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file, e.g. inputs/SCHEMA/q.rd."
)
@click.pass_obj
def dachs_rd(invocation: Invocation, /, *, schema: str, copy: bool, owner_sql: bool, output: Path | None) -> None:
    """Print a resource descriptor for DaCHS: the tables, a cone search, and links to our DataLink.

    The descriptor is for a DaCHS in the same database, whose views then show what the sync commits at once; with --copy
    it is for one that has a database of its own.

    \b
    Examples:
      stac-rucio-sync dachs-rd --owner-sql | psql archive
      stac-rucio-sync dachs-rd --output /var/gavo/inputs/stac_lake/q.rd
    """
    if not _SCHEMA_NAME.fullmatch(schema) or schema in _TAKEN:
        raise UsageError(f"--schema {schema}: a name in lower case that no other schema has, such as {SCHEMA}")
    if owner_sql and copy:
        raise UsageError("--owner-sql is for a DaCHS in the same database: a copy needs no rights here")
    if owner_sql:
        text = OWNER_STATEMENTS.encode()
    else:
        settings = invocation.settings()
        services = settings.services
        said = Descriptor(
            title=services.title,
            description=f"Data products of {services.title} (ObsCore, EPN-TAP), and the files and replicas of its lake",
            links_url=f"{services.base_url}/datalink/links",
            schema=schema,
            copy=copy,
        )
        text = descriptor_document(said, make_published(settings.epn.schema_name))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(text)
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror}") from error
    click.echo(f"written: {output}", err=True)
