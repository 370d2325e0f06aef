"""Ports of the lake's servers: fixed where asked, else those of the last run, else free ones."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.lake.home import PORT_NAMES, WATCH_PORT


def is_free(port: int) -> bool:
    """Tell whether a loopback port can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_ports(last: Mapping[str, int], fixed: Mapping[str, int]) -> dict[str, int]:
    """Choose a port for every server, and one for the watcher, which may be listening there already.

    Parameters
    ----------
    last : mapping of str to int
        Ports of the last run.
    fixed : mapping of str to int
        Ports that must be these.

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
        if name != WATCH_PORT and not is_free(port):
            raise UsageError(f"Port {port} (wanted for {name}) is in use.")
    chosen = dict(fixed)
    for name, port in last.items():
        kept = name in PORT_NAMES and name not in chosen and port not in chosen.values()
        if kept and (name == WATCH_PORT or is_free(port)):
            chosen[name] = port
    missing = [name for name in PORT_NAMES if name not in chosen]
    probes = [socket.socket() for _ in missing]
    try:
        for name, probe in zip(missing, probes, strict=True):
            probe.bind(("127.0.0.1", 0))
            chosen[name] = int(probe.getsockname()[1])
    finally:
        for probe in probes:
            probe.close()
    return chosen
