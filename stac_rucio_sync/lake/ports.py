"""Ports of the lake's servers: fixed where asked, else those of the last run, else free ones."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.lake.home import PORT_NAMES, WATCH_PORT


def hold(port: int = 0) -> socket.socket:
    """Bind a loopback port, without listening, for a server that is about to start.

    Until the socket is closed, the system gives the port to nobody who asks for any port, nor to a connection that goes
    out, and connections to it are refused. A server that sets ``SO_REUSEADDR``, as servers do, listens there beside it.

    Parameters
    ----------
    port : int
        The port; 0: any that is free.

    Raises
    ------
    OSError
        Somebody listens there, or is connected from there.
    """
    held = socket.socket()
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
    except OSError:
        held.close()
        raise
    return held


def choose_ports(last: Mapping[str, int], fixed: Mapping[str, int], held: ExitStack) -> dict[str, int]:
    """Choose a port for every server, and one for the watcher, which may be listening there already.

    Parameters
    ----------
    last : mapping of str to int
        Ports of the last run.
    fixed : mapping of str to int
        Ports that must be these.
    held : ExitStack
        Keeps the ports from all others, until the servers listen.

    Raises
    ------
    UsageError
        A fixed port is unknown, doubled or busy.
    """
    unknown = set(fixed) - set(PORT_NAMES)
    if unknown:
        raise UsageError(f"Unknown port names: {', '.join(sorted(unknown))}; there are {', '.join(PORT_NAMES)}.")
    if len(set(fixed.values())) < len(fixed):
        raise UsageError("Two servers cannot listen on one port.")
    for name, port in fixed.items():
        if not _is_held(port, held) and name != WATCH_PORT:
            raise UsageError(f"Port {port} (wanted for {name}) is in use.")
    chosen = dict(fixed)
    for name, port in last.items():
        kept = name in PORT_NAMES and name not in chosen and port not in chosen.values()
        if kept and (_is_held(port, held) or name == WATCH_PORT):
            chosen[name] = port
    for name in PORT_NAMES:
        if name not in chosen:
            chosen[name] = int(held.enter_context(hold()).getsockname()[1])
    return chosen


def _is_held(port: int, held: ExitStack) -> bool:
    try:
        held.enter_context(hold(port))
    except OSError:
        return False
    return True
