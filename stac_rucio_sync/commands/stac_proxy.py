"""``stac-proxy``: a STAC API with replicas in its items, for clients that cannot take a modifier."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

import click

from stac_rucio_sync.alternates import FromMirror, FromRucio, Lookup, ReplicaAlternates
from stac_rucio_sync.alternates.proxy import make_proxy
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.server import is_loopback, refuse_taken_port, run_server
from stac_rucio_sync.errors import UsageError

PORT = 8081


@click.command("stac-proxy")
@click.argument("url", metavar="URL")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Port to listen on.")
@click.option("--base-url", help="URL by which clients reach the proxy. Default on loopback: the address above.")
@click.option(
    "--lookup",
    type=click.Choice(["mirror", "rucio"]),
    default="mirror",
    show_default=True,
    help="Where replicas are looked up.",
)
@click.option("--prefer", type=click.Choice(["nearest"]), help="Make the nearest replica the href of each asset.")
@click.option(
    "--on-error",
    type=click.Choice(["raise", "warn"]),
    default="raise",
    show_default=True,
    help="When a look-up fails: answer 503 (raise), or the items as they are (warn).",
)
@click.pass_obj
def stac_proxy(  # noqa: PLR0913 - one for each option
    invocation: Invocation,
    url: str,
    *,
    host: str,
    port: int,
    base_url: str | None,
    lookup: str,
    prefer: Literal["nearest"] | None,
    on_error: Literal["raise", "warn"],
) -> None:
    """Answer as the STAC API at URL does, with the replicas of its items as alternate assets.

    The nearest one is first, by the address of each client ([locality] in the settings). Runs until Ctrl-C or SIGTERM.
    Listens on loopback unless told otherwise, and asks no server but URL and that of the replicas.

    \b
    Examples:
      stac-rucio-sync stac-proxy https://stac.example.org/v1
      stac-rucio-sync stac-proxy https://stac.example.org/v1 --prefer nearest --lookup rucio
    """
    if base_url is None and not is_loopback(host):
        raise UsageError(f"the proxy is to listen on {host}: --base-url must name the URL by which clients reach it")
    flags = {"services": {"host": host, "port": port}}
    options = _Options(url, base_url, lookup, prefer, on_error)
    services = invocation.settings(flags).services
    make_application(invocation, flags, options)  # what is wrong shows here, not in the server's processes
    refuse_taken_port(host, port)
    click.echo(f"STAC API    {base_url or f'http://{host}:{port}'}")
    run_server("stac-proxy", partial(make_application, invocation, flags, options), services)


class _Options(NamedTuple):
    """What the command was told."""

    url: str
    base_url: str | None
    lookup: str
    prefer: Literal["nearest"] | None
    on_error: Literal["raise", "warn"]


def make_application(invocation: Invocation, flags: dict[str, Any], options: _Options) -> Any:  # noqa: ANN401 - a WSGI application
    """Make the application in a process of the server."""
    settings = invocation.settings(flags)
    lookup: Lookup = FromRucio(settings) if options.lookup == "rucio" else FromMirror(settings)
    modifier = ReplicaAlternates(lookup, prefer=options.prefer, on_error=options.on_error)
    return make_proxy(options.url, modifier, settings, options.base_url)
