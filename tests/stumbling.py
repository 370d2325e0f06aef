"""A proxy before a server that stumbles when it is told to."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REFUSAL = "HTTP/1.1 {} Refused\r\nContent-Length: 7\r\nConnection: close\r\n\r\nrefused"
# What Rucio answers to everything while its database is away.
DATABASE_DOWN = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n"
    b"ExceptionClass: DatabaseException\r\nExceptionMessage: An unknown Database Exception has occurred.\r\n\r\n{}"
)
HANG_SECONDS = 6.0
_KEEP_ALIVE = re.compile(b"Connection: keep-alive", re.IGNORECASE)

Stumbles = Callable[[bytes], str | None]
"""Told the request; says how to stumble over it: a status, drop, hang, lost (done, but the answer is cut off)."""


class Proxy(socketserver.ThreadingTCPServer):
    """Passes one request a connection on to the server, unless it is told to stumble over it."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, target: tuple[str, int], stumbles: Stumbles) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.stumbles = stumbles
        self.passed = 0
        self.stumbled = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed or out of patience hang up."""


class _Handler(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        request = _read_request(self.request)
        if not request:
            return
        stumble = self.server.stumbles(request)
        self.server.stumbled += stumble is not None
        self.server.passed += stumble is None
        if stumble is not None and stumble.isdigit():
            self.request.sendall(DATABASE_DOWN if stumble == "500" else REFUSAL.format(stumble).encode())
            return
        if stumble == "hang":
            time.sleep(HANG_SECONDS)
        if stumble in ("drop", "hang"):
            return
        with socket.create_connection(self.server.target) as upstream:
            upstream.sendall(_KEEP_ALIVE.sub(b"Connection: close", request, count=1))
            answer = b"".join(iter(lambda: upstream.recv(65536), b""))
        self.request.sendall(answer[: len(answer) // 2] if stumble == "lost" else answer)


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    wanted = int(lengths[0]) if lengths else 0
    while len(body) < wanted:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


@contextmanager
def proxy_before(host: str, port: int, stumbles: Stumbles) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy((host, port), stumbles)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


@contextmanager
def stumbling(lake: Any, folder: Path, stumbles: Stumbles) -> Iterator[tuple[Path, Proxy]]:
    """Run a proxy before a lake's Rucio; yield the client configuration that leads through it."""
    url = urlsplit(lake.facts["rucio_url"])
    with proxy_before(url.hostname or "", url.port or 0, stumbles) as proxy:
        config = folder / "rucio.cfg"
        through = f"http://127.0.0.1:{proxy.server_address[1]}"
        text = Path(lake.facts["accounts"]["ingest"]).read_text().replace(lake.facts["rucio_url"], through)
        # A token file of its own: the lake's belongs to the straight road.
        kept = [line for line in text.splitlines() if not line.startswith("auth_token_file_path")]
        config.write_text("\n".join(kept) + "\n")
        yield config, proxy
