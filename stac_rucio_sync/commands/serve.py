"""``serve``: the services for users, in one production server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

from datalink.service import blueprint as datalink
from datalink.service import check_links
from datalink.soda.cutting import load_engines
from datalink.soda.service import blueprint as cutouts
from obscore_tap.app import create_app, start_work
from obscore_tap.figures import serve_figures
from obscore_tap.meters import Meters
from obscore_tap.observed import ACCESS
from obscore_tap.services import check_services
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.server import die_with_parent, is_loopback, refuse_taken_port, run_server
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on. Default: the settings', which is loopback.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: the settings', which is 8080.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes.")
@click.option("--access-log", is_flag=True, help="Log every request, whatever [log] level says.")
@click.pass_obj
def serve(invocation: Invocation, host: str | None, port: int | None, workers: int | None, access_log: bool) -> None:
    """Answer the users: TAP, cone search and SIA 2 over the tables, DataLink, cut-outs, and a front page.

    Runs until Ctrl-C or SIGTERM, which lets requests under way end. Listens on loopback unless told otherwise: a
    reverse proxy before it brings TLS and the public name, which [services] base_url must say.

    \b
    Examples:
      stac-rucio-sync serve
      stac-rucio-sync serve --port 8090 --workers 4
    """
    flags = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    settings = serving_settings(invocation, flags)
    services = settings.services
    refuse_taken_port(services.host, services.port)
    warning = check_services(settings)
    check_links(settings)
    if warning is not None:
        click.echo(f"warning: {warning}", err=True)
    for line in _addresses(settings):
        click.echo(line)
    source = _Source(invocation.settings_file, invocation.lake_home, flags)
    with _shown_figures(settings, source) as folder:
        run_server("obscore_tap", partial(load_application, source, folder, access_log=access_log), services)


def serving_settings(invocation: Invocation, flags: dict[str, Any]) -> Settings:
    """Return the settings; an address that nobody set is the one that the server listens on.

    Raises
    ------
    UsageError
        The services would be reachable from outside under an address that is not.
    """
    settings = invocation.settings({"services": flags} if flags else None)
    services = settings.services
    if "base_url" in services.model_fields_set:
        return settings
    if not is_loopback(services.host):
        raise UsageError(
            f"the services are to listen on {services.host}: set [services] base_url to the address by which users "
            "reach them"
        )
    base_url = f"http://{services.host}:{services.port}"
    return settings.model_copy(update={"services": services.model_copy(update={"base_url": base_url})})


class _Source(NamedTuple):
    """Where the settings come from, for other processes."""

    settings_file: Path | None
    lake_home: Path | None
    flags: dict[str, Any]

    def settings(self) -> Settings:
        return serving_settings(Invocation(self.settings_file, self.lake_home), self.flags)


def load_application(source: _Source, folder: Path | None, *, access_log: bool = False) -> Any:  # noqa: ANN401 - a WSGI application
    """Make the application in a process of the server."""
    settings = source.settings()
    if access_log:
        ACCESS.setLevel(logging.INFO)
    app = create_app(settings, (datalink, cutouts), Meters(folder, are_shown=folder is not None))
    load_engines()
    start_work(app)
    return app


@contextmanager
def _shown_figures(settings: Settings, source: _Source) -> Iterator[Path | None]:
    """Show figures while the services run; what is yielded is the folder that they are kept in, or None."""
    if settings.metrics.port is None:
        yield None
        return
    refuse_taken_port(settings.metrics.host, settings.metrics.port)
    with TemporaryDirectory(prefix="stac-rucio-sync-metrics-") as name:
        folder = Path(name)
        showing = get_context("spawn").Process(target=_show_figures, args=(source, folder), daemon=True)
        showing.start()
        click.echo(f"metrics     http://{settings.metrics.host}:{settings.metrics.port}/metrics")
        try:
            yield folder
        finally:
            showing.terminate()
            showing.join()


def _show_figures(source: _Source, folder: Path) -> None:
    die_with_parent()
    serve_figures(source.settings(), folder)


def _addresses(settings: Settings) -> list[str]:
    base = settings.services.base_url
    return [
        f"front page  {base}/",
        f"TAP         {base}/tap",
        f"SCS         {base}/scs",
        f"SIA 2       {base}/sia2/query",
        f"DataLink    {base}/datalink/links",
        f"SODA        {base}/soda/sync",
    ]
