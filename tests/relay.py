"""A relay before a TCP server that cuts connections, as firewalls, balancers and bad cables do."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: the peer is told that the connection is reset."""


class Relay:
    """Passes bytes on, both ways.

    Parameters
    ----------
    host, port
        The server.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.room: int | None = None
        """How many bytes from the server a connection passes on before it is cut; None: all."""
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []

    def sever(self) -> None:
        """Reset all connections of clients; the server hears nothing of it."""
        while self._clients:
            _reset(self._clients.pop())

    def accept(self) -> None:
        """Take connections until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(self.target)
                except OSError:
                    client.close()  # the server is away
                    continue
                self._clients.append(client)
                self._servers.append(server)
                threading.Thread(target=self._pass_on, args=(client, server, None), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, self.room), daemon=True).start()

    def _pass_on(self, giver: socket.socket, taker: socket.socket, room: int | None) -> None:
        with suppress(OSError):
            while part := giver.recv(65536 if room is None else max(1, min(65536, room))):
                taker.sendall(part)
                if room is not None:
                    room -= len(part)
                    if room <= 0:
                        _reset(taker)
                        return
            if giver in self._clients or taker in self._clients:  # and not severed
                taker.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take no more connections, and end those that there are."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in (*self._clients, *self._servers):
            end.close()


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RD)  # wakes who reads it
    end.close()


@contextmanager
def relay_before(host: str, port: int) -> Iterator[Relay]:
    """Run a relay before a server."""
    relay = Relay(host, port)
    thread = threading.Thread(target=relay.accept, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(5)
