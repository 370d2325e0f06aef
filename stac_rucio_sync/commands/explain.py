"""``explain``: which replica is the nearest, and why."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import click
import orjson

from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.parameters import did_of
from stac_rucio_sync.locality import Locality, Ranked, View
from stac_rucio_sync.model import Did, HeldItem, MirrorState, Place
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.mirror import Mirror

EXIT_NOT_FOUND = 1


@click.command()
@click.argument("identifier", metavar="DID")
@click.option("--site", help="The client is at this site.")
@click.option("--rse", help="The client is next to this RSE.")
@click.option("--lat", "latitude", type=float, help="The client's latitude, degrees north.")
@click.option("--lon", "longitude", type=float, help="The client's longitude, degrees east.")
@click.option("--address", help="The client's IP address, as a service would see it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def explain(
    invocation: Invocation,
    /,
    identifier: str,
    *,
    as_json: bool,
    **whereabouts: Any,  # noqa: ANN401 - text and numbers, by the names that `Locality.place` gives them
) -> None:
    """Say which replica of each file is the nearest, and why (exit 1: the DID is not in the tables).

    DID is scope:name, or an obs_publisher_did (ivo://…?scope:name), of an item or of one file. The order is that of
    DataLink and of the alternate assets: both ask the same policy.

    \b
    Examples:
      stac-rucio-sync explain stac:survey..tile_17 --site vienna
      stac-rucio-sync explain stac:survey..tile_17..image.fits --lat -33.87 --lon 151.21
      stac-rucio-sync explain stac:survey..tile_17 --address 192.0.2.7
    """
    settings = invocation.settings()
    did = did_of(identifier)
    with closing(Mirror.open(_reader_url(settings), connections=1)) as mirror:
        locality = Locality(settings.locality, mirror.topology())
        place = locality.place(**whereabouts)
        held = mirror.held([did]).get(did)
        state = mirror.freshness()
    if held is None or not any(held.key):
        click.echo(f"{did} is not in the tables", err=True)
        sys.exit(EXIT_NOT_FOUND)
    view = locality.seen_from(place)
    files = [(file.asset, file.did, view.ranked(file.replicas)) for file in held.files]
    if as_json:
        click.echo(orjson.dumps(_as_json(held, view, files), option=orjson.OPT_INDENT_2))
    else:
        _show(held, view, files)
    _warn_of(state)


def _reader_url(settings: Settings) -> str:
    url = settings.database.reader_url
    return settings.database_url() if url is None else url.get_secret_value()


_Files = Sequence[tuple[str, Did, Sequence[Ranked]]]


def _show(held: HeldItem, view: View, files: _Files) -> None:
    click.echo(f"{held.key.collection}/{held.key.id}, for a client {_whereabouts(view.place)}")
    for asset, did, ranked in files:
        click.echo(f"\n{asset} ({did})")
        if not ranked:
            click.echo("  no replica in the lake")
        for number, (one, sentence) in enumerate(zip(ranked, view.explain(ranked), strict=True), start=1):
            click.echo(f"  {f'{number}.' if one.readable else '–':<3} {sentence}")
            click.echo(f"      {one.url or one.replica.pfn}")
    links = [link for link in held.links if link.rel is None and "#" not in link.name]
    for link in links:
        click.echo(f"\n{link.name}: no file of the lake, only a link\n      {_shown(link.href)}")


def _shown(href: str | None) -> str:
    """Return an address that need not be a URL, without the user and password that one may hold."""
    return re.sub(r"//[^/?#]*@", "//", href or "of no address")


def _whereabouts(place: Place) -> str:
    parts = [f"at the site {place.site}" if place.site else "", f"next to {place.rse}" if place.rse else ""]
    if place.latitude is not None and place.longitude is not None:
        north = f"{abs(place.latitude):.4f}° {'N' if place.latitude >= 0 else 'S'}"
        east = f"{abs(place.longitude):.4f}° {'E' if place.longitude >= 0 else 'W'}"
        parts.append(f"at {north} {east}")
    said = ", ".join(part for part in parts if part)
    return f"{said} (told by {place.told_by})" if said else "of whom nothing is known"


def _as_json(held: HeldItem, view: View, files: _Files) -> dict[str, Any]:
    return {
        "collection": held.key.collection,
        "item": held.key.id,
        "did": str(held.did),
        "place": view.place,
        "files": [
            {
                "asset": asset,
                "did": str(did),
                "replicas": [
                    _replica_as_json(one, sentence) for one, sentence in zip(ranked, view.explain(ranked), strict=True)
                ],
            }
            for asset, did, ranked in files
        ],
    }


def _replica_as_json(ranked: Ranked, sentence: str) -> dict[str, Any]:
    replica = ranked.replica
    said = ranked._asdict() | {"rse": replica.rse, "pfn": replica.pfn, "state": replica.state, "why": sentence}
    del said["replica"]
    return said


def _warn_of(state: MirrorState) -> None:
    if state.rucio_ok is False:
        asked = f"{state.last_poll:%Y-%m-%d %H:%M:%S} UTC" if state.last_poll else "never"
        click.echo(f"Rucio does not answer: its replicas as of {asked} ({state.rucio_said})", err=True)
