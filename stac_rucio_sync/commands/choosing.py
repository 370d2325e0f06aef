"""The options by which ``replicate``, ``rules`` and ``fetch`` take items and assets, and what they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar, get_args

import click

from stac_rucio_sync.commands.parameters import BBOX, CQL2, INSTANT
from stac_rucio_sync.replication.choice import Choice
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Kind, ReadOptions, Source, open_source
from stac_rucio_sync.stores.rucio.rules import RucioRules

Command = TypeVar("Command", bound=Callable[..., Any])

_SELECTION = (
    click.option("--name", help="What the source is called in the report. Default: its path or URL."),
    click.option("--kind", type=click.Choice(get_args(Kind)), help="What the source is. Default: look."),
    click.option("--collection", "collections", multiple=True, help="Only this collection (may be repeated)."),
    click.option("--bbox", type=BBOX, help="STAC API: west,south,east,north in degrees."),
    click.option("--datetime", "datetime_", help="STAC API: an instant or interval, 2020-01-01/2021-01-01."),
    click.option("--filter", "--query", "filter_", type=CQL2, help="STAC API: a CQL2 filter (text or JSON)."),
    click.option("--since", type=INSTANT, help="STAC API: only items updated since this instant (RFC 3339)."),
    click.option("--at", metavar="REF", help="Versioned catalogue: this version. Default: the latest."),
    click.option("--asset", "assets", multiple=True, help="Only the asset of this key (may be repeated)."),
    click.option("--role", "roles", multiple=True, help="Only assets that have this role (may be repeated)."),
)


def item_options(command: Command) -> Command:
    """Add the options that select items and assets."""
    for option in reversed(_SELECTION):
        command = option(command)
    return command


def source_of(location: str, settings: Settings, options: dict[str, Any]) -> Source:
    """Open the source that a command names, with what its options select."""
    read = ReadOptions(
        collections=options["collections"],
        bbox=options["bbox"],
        datetime=options["datetime_"],
        filter=options["filter_"],
        since=options["since"],
        at=options["at"],
        full=True,
        kind=options["kind"],
        default_collection=settings.identity.default_collection,
        allow_private=settings.sync.allow_private_addresses,
    )
    return open_source(location, name=options["name"], options=read)


def choice_of(options: dict[str, Any]) -> Choice:
    """Return the assets that are asked for."""
    return Choice(frozenset(options["assets"]), frozenset(options["roles"]))


@contextmanager
def open_lake(settings: Settings) -> Iterator[tuple[Holdings, RucioRules]]:
    """Open the edges to Rucio for one command."""
    with closing(Holdings(settings)) as holdings, closing(RucioRules(settings)) as rules:
        yield holdings, rules
