"""``registry-record``: a service as the Registry of the Virtual Observatory knows it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from obscore_tap.registration import KINDS, record
from stac_rucio_sync.commands.context import Invocation


@click.command("registry-record")
@click.argument("kind", metavar="SERVICE", type=click.Choice(list(KINDS)))
@click.pass_obj
def registry_record(invocation: Invocation, kind: str) -> None:
    """Print the record of a service for a publishing registry of the Virtual Observatory.

    SERVICE is tap (with all tables), sia2, scs, or epn: the EPN-TAP table, served by the TAP service. The words come
    from [registry] of the settings; the authority from [identity], the address from [services].

    \b
    Examples:
      stac-rucio-sync registry-record tap > tap.xml
      stac-rucio-sync registry-record epn > epn.xml
    """
    click.echo(record(kind, invocation.settings(), datetime.now(UTC)), nl=False)
