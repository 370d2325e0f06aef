"""Ports for servers of the tests, and ports at which nobody answers; each is one test's alone."""

from __future__ import annotations

import socket

from stac_rucio_sync.lake.home import PORT_NAMES
from stac_rucio_sync.lake.ports import hold

_HELD: list[socket.socket] = []


def free_port() -> int:
    """Return a port of loopback that nobody listens on, and that nobody else is given until this process ends.

    A server may start there, and stop and start again. A port that is looked for, closed and listened on later may be
    another server's or a connection's by then: with two workers, which start servers all the time, now and then it is.
    """
    _HELD.append(hold())
    port: int = _HELD[-1].getsockname()[1]
    return port


def lake_ports() -> dict[str, int]:
    """Return ports for a lake whose servers stop and start in tests, and whose watcher comes late."""
    return {name: free_port() for name in PORT_NAMES}
