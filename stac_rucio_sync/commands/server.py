"""The production server that commands run their web applications in."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from multiprocessing import parent_process
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.settings import Services

_STOP_SECONDS = 30
"""How long requests under way may take to end when the server is stopped."""
_WAITING = 256
"""Connections that may wait in each process beside those that are answered."""
_PR_SET_PDEATHSIG = 1
"""Of Linux' prctl(2)."""
_M_ARENA_MAX = -8
"""Of glibc's mallopt(3)."""
_ARENAS = 2
"""Out of which all threads of a process take memory: else each keeps what it has freed for itself."""


def run_server(name: str, make: Callable[[], Any], services: Services) -> None:
    """Run a WSGI application until Ctrl-C or SIGTERM, which lets requests under way end.

    Parameters
    ----------
    name
        What the server calls it.
    make
        Makes the application in each of the processes; it and what it holds can be pickled.
    services
        Host, port, processes and threads.
    """
    server = Granian(
        name,
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
    )
    server.serve(target_loader=partial(_made, make), wrap_loader=False)


def refuse_taken_port(host: str, port: int) -> None:
    """See that nobody listens there: two servers that share a port, as the workers do, would answer in turns.

    Raises
    ------
    FatalError
        Somebody does, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise FatalError(f"cannot listen on {host}, port {port}: {error.strerror}; --port names another") from error


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host's address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _made(make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a WSGI application
    # A fork of the main process has its handler, which would swallow a SIGTERM that comes before the process has its
    # own: whoever stops the server just then would wait for as long as requests may take.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    _share_memory()
    application = make()
    # What is there now stays: looking through it for garbage would stop all requests for nearly a tenth of a second.
    gc.collect()
    gc.freeze()
    return application


def _share_memory() -> None:
    """Have threads share the memory that is free, where the C library can: 8 to 10 MB of a process of eight threads."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_ARENA_MAX, _ARENAS)


def die_with_parent() -> None:
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
