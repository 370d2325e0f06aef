"""Where Hermes posts its events: a small HTTP server that answers when what the events name is in the mirror.

Hermes drops what was answered by 200 and sends everything else again. So the answer comes last, and a watcher that is
killed with a post in hand gets it again.
"""

from __future__ import annotations

import hmac
import logging
import sys
import threading
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, BinaryIO

import orjson

from stac_rucio_sync.errors import FatalError, SyncError, UsageError
from stac_rucio_sync.settings import Watch
from stac_rucio_sync.watch.events import LINE_BYTES, Heard, NoEventsError, heard_in

LOG = logging.getLogger(__name__)

BODY_BYTES = 64_000_000
"""The largest post; Hermes sends a thousand events at a time, about 1 kB each."""
_POSTS_AT_A_TIME = 2
_IDLE_SECONDS = 30.0


class Receiver:
    """Listens for events in threads of its own, from `start` to `stop`.

    Parameters
    ----------
    settings
        The ``[watch]`` section: host, port and token.
    hear
        Takes what a post named; an error of it is answered by 503.

    Raises
    ------
    UsageError
        The address is not the machine's own, and there is no token; or there is no port.
    FatalError
        The port cannot be listened to.
    """

    def __init__(self, settings: Watch, hear: Callable[[Heard], Any]) -> None:
        if settings.port is None:
            raise UsageError("set [watch] port: where Hermes sends its events")
        token = settings.token.get_secret_value() if settings.token else ""
        if not token and not _is_loopback(settings.host):
            raise UsageError(
                f"[watch] host {settings.host} is open to other machines: set [watch] token, and give it to Hermes "
                "as elastic_password"
            )
        # Threads that stay, each with its connection to Rucio; those of the server come and go with the posts.
        self._hearing = ThreadPoolExecutor(_POSTS_AT_A_TIME, "events")
        try:
            self._server = _Server(
                (settings.host, settings.port), lambda heard: self._hearing.submit(hear, heard).result(), token
            )
        except OSError as error:
            raise FatalError(f"cannot listen for events on {settings.host} port {settings.port}: {error}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="listening", daemon=True)

    @property
    def url(self) -> str:
        """Where events are to be posted to."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/events"

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer; what is in hand is sent again by Hermes, to whoever listens then."""
        self._server.shutdown()
        self._server.server_close()
        self._hearing.shutdown(wait=False, cancel_futures=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hear: Callable[[Heard], Any], token: str) -> None:
        self.hear = hear
        self.token = token
        self.room = threading.BoundedSemaphore(_POSTS_AT_A_TIME)
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Say nothing of a sender that went away, for it sends again; a mistake of this program is told."""
        if not isinstance(sys.exception(), OSError):
            LOG.exception("a post of events failed")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE_SECONDS
    protocol_version = "HTTP/1.1"
    server_version = "stac-rucio-sync"
    sys_version = ""

    def do_POST(self) -> None:
        """Take events."""
        self.close_connection = True  # whatever is not read of a refused post must not pass for another request
        length = self.headers.get("Content-Length", "")
        if not self._is_permitted():
            self._answer(HTTPStatus.UNAUTHORIZED, "[watch] token is wanted, as a password or a bearer token")
        elif not (length.isascii() and length.isdecimal()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, "a post without Content-Length")
        elif int(length) > BODY_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_BYTES} bytes")
        elif not self.server.room.acquire(timeout=_IDLE_SECONDS):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many posts at a time: send again")
        else:
            try:
                self._take(int(length))
            finally:
                self.server.room.release()

    def _take(self, length: int) -> None:
        try:
            heard = heard_in(_lines(self.rfile, length))  # type: ignore[arg-type] # a binary file, whatever its class
        except NoEventsError as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
            return
        try:
            self.server.hear(heard)
        except SyncError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return
        self._answer(HTTPStatus.OK, None, events=heard.events, dids=len(heard.dids))

    def _is_permitted(self) -> bool:
        if not self.server.token:
            return True
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                credentials = b64decode(credentials, validate=True).decode().partition(":")[2]
            except (Base64Error, UnicodeDecodeError):
                return False
        elif kind.lower() != "bearer":
            return False
        return hmac.compare_digest(credentials.encode(), self.server.token.encode())

    def _answer(self, status: HTTPStatus, error: str | None, **told: Any) -> None:  # noqa: ANN401 - JSON values
        body = orjson.dumps(told if error is None else {"error": error})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="events"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Say nothing: what came of a post is told by whoever hears it."""


def _lines(body: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield the lines of a body, none of them longer than a byte more than a line may be."""
    while length > 0:
        line = body.readline(min(length, LINE_BYTES + 1))
        if not line:
            raise NoEventsError("the post ends before its length")
        length -= len(line)
        yield line
