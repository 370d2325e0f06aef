"""Servers that a benchmark starts, each in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

SERVER_SECONDS = 30.0


@contextmanager
def running(arguments: Sequence[str], variables: Mapping[str, str], port: int) -> Iterator[int]:
    """Run a module of Python until the block ends; yield the id of its process when it listens."""
    server = subprocess.Popen([sys.executable, "-m", *arguments], env=os.environ | variables)
    until = time.monotonic() + SERVER_SECONDS
    try:
        while True:
            assert server.poll() is None, "the server ended"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until, "the server does not listen"
                time.sleep(0.1)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
