"""``serve``: the services for users, in one production server."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import click
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from obscore_tap.app import create_app, start_work
from obscore_tap.services import check_services
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.settings import Settings

_STOP_SECONDS = 30
"""How long requests under way may take to end when the server is stopped."""
_WAITING = 256
"""Connections that may wait in each process beside those that are answered."""
_PR_SET_PDEATHSIG = 1
"""Of Linux' prctl(2)."""


@click.command()
@click.option("--host", help="Address to listen on. Default: the settings', which is loopback.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: the settings', which is 8080.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes.")
@click.option("--access-log", is_flag=True, help="Log every request.")
@click.pass_obj
def serve(invocation: Invocation, host: str | None, port: int | None, workers: int | None, access_log: bool) -> None:
    """Answer the users: TAP, cone search and SIA 2 over the tables, and a front page.

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
    _refuse_taken_port(services.host, services.port)
    check_services(settings)
    for line in _addresses(settings):
        click.echo(line)
    server = Granian(
        "obscore_tap",
        address=services.host,
        port=services.port,
        interface=Interfaces.WSGI,
        workers=services.workers,
        blocking_threads=services.threads,
        backpressure=services.threads + _WAITING,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        websockets=False,
        log_level=LogLevels.error,
        log_access=access_log,
    )
    load: Callable[[], Any] = partial(load_application, invocation.settings_file, invocation.lake_home, flags)
    server.serve(target_loader=load, wrap_loader=False)


def _refuse_taken_port(host: str, port: int) -> None:
    """See that nobody listens there: two servers that share a port, as the workers do, would answer in turns."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise FatalError(f"cannot listen on {host}, port {port}: {error.strerror}; --port names another") from error


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
    if not _is_loopback(services.host):
        raise UsageError(
            f"the services are to listen on {services.host}: set [services] base_url to the address by which users "
            "reach them"
        )
    base_url = f"http://{services.host}:{services.port}"
    return settings.model_copy(update={"services": services.model_copy(update={"base_url": base_url})})


def load_application(settings_file: Path | None, lake_home: Path | None, flags: dict[str, Any]) -> Any:  # noqa: ANN401 - a WSGI application
    """Make the application in a process of the server."""
    _die_with_parent()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    app = create_app(serving_settings(Invocation(settings_file, lake_home), flags))
    start_work(app)
    return app


def _die_with_parent() -> None:
    """Have the system kill this process when the server's main process is killed, which can then tell nobody to stop.

    It would go on to hold the port and to run jobs. What it leaves undone is what any killed process leaves: the next
    one ends its jobs and drops its uploaded tables.
    """
    parent = parent_process()
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:  # it died before
        os.kill(os.getpid(), signal.SIGKILL)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _addresses(settings: Settings) -> list[str]:
    base = settings.services.base_url
    return [
        f"front page  {base}/",
        f"TAP         {base}/tap",
        f"SCS         {base}/scs",
        f"SIA 2       {base}/sia2/query",
    ]
