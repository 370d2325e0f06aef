"""A server that stumbles is asked again; one that stays down is a transient error, not wrong data."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio import RucioStore
from stac_rucio_sync.stores.rucio_calls import RucioCalls
from tests.rucio.catalogue import Catalogue

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"
# What Rucio answers to everything while its database is away.
DATABASE_DOWN = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n"
    b"ExceptionClass: DatabaseException\r\nExceptionMessage: An unknown Database Exception has occurred.\r\n\r\n{}"
)


class Proxy(socketserver.ThreadingTCPServer):
    """Passes one request a connection on to Rucio, unless it is told to stumble over it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, target: tuple[str, int], stumbles: Callable[[bytes], str | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.stumbles = stumbles
        self.stumbled = 0


class _Handler(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        request = _read_request(self.request)
        if not request:
            return
        stumble = self.server.stumbles(request)
        self.server.stumbled += stumble is not None
        if stumble == "503":
            self.request.sendall(UNAVAILABLE)
            return
        if stumble == "500":
            self.request.sendall(DATABASE_DOWN)
            return
        if stumble == "drop":
            return
        with socket.create_connection(self.server.target) as upstream:
            upstream.sendall(request.replace(b"Connection: Keep-Alive", b"Connection: close", 1))
            answer = b"".join(iter(lambda: upstream.recv(65536), b""))
        # "lost": done, but the answer gets cut off.
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
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def proxied(lake: Any, folder: Path, stumbles: Callable[[bytes], str | None], **rucio: Any) -> Iterator[Any]:
    url = urlsplit(lake.facts["rucio_url"])
    proxy = Proxy((url.hostname or "", url.port or 0), stumbles)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    config = folder / "rucio.cfg"
    through = f"http://127.0.0.1:{proxy.server_address[1]}"
    text = Path(lake.facts["accounts"]["ingest"]).read_text().replace(lake.facts["rucio_url"], through)
    kept = [line for line in text.splitlines() if not line.startswith("auth_token_file_path")]
    config.write_text("\n".join(kept) + "\n")
    store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config, **rucio)}))
    try:
        yield store, proxy
    finally:
        store.close()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


@pytest.mark.parametrize("stumble", ["503", "drop", "lost"])
@pytest.mark.parametrize(
    "verb",
    [
        "GET /auth",
        "POST /replicas ",
        "POST /replicas/list",
        "POST /dids ",
        "POST /dids/attachments",
        "POST /dids/bulkdidsmeta",
    ],
)
def test_one_stumble_at_any_call_is_survived(
    lake: Any,
    catalogue: Catalogue,
    rucio: RucioCalls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    stumble: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Rucio's client itself sends a request twice.
    left = [2]

    def stumbles(request: bytes) -> str | None:
        if request.startswith(verb.encode()) and left[0]:
            left[0] -= 1
            return stumble
        return None

    with proxied(lake, tmp_path, stumbles) as (store, proxy):
        (registered,) = store.register([(catalogue.item("m31"), None)])

    assert proxy.stumbled == 2
    assert registered.refused is None
    assert len(registered.replicas) == 1
    assert rucio.send("get_metadata", catalogue.scope, "m31", plugin="JSON")["stac:id"] == "m31"
    assert len(rucio.send("list_content", catalogue.scope, "m31")) == 1


def test_a_server_that_stays_down_is_a_transient_error_and_every_request_is_counted(
    lake: Any, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with (
        proxied(lake, tmp_path, lambda _: "503", attempts=2) as (store, proxy),
        pytest.raises(TransientError, match="503"),
    ):
        store.register([(catalogue.item("m31"), None)])

    assert store.requests == proxy.stumbled >= 2


def test_a_database_that_is_away_for_a_while_is_nobodys_guilt(lake: Any, catalogue: Catalogue, tmp_path: Path) -> None:
    answered = [0]

    def stumbles(request: bytes) -> str | None:
        answered[0] += 1
        return "500" if 4 <= answered[0] <= 7 and not request.startswith(b"GET /auth") else None

    with proxied(lake, tmp_path, stumbles) as (store, proxy):
        answers = store.register([(catalogue.item(f"i{number}"), None) for number in range(3)])

    assert proxy.stumbled == 4
    assert [answer.refused for answer in answers] == [None] * 3


def test_no_server_at_all_is_a_transient_error(lake: Any, catalogue: Catalogue, tmp_path: Path) -> None:
    with proxied(lake, tmp_path, lambda _: None, attempts=2) as (store, proxy):
        proxy.shutdown()
        proxy.server_close()
        with pytest.raises(TransientError):
            store.register([(catalogue.item("m31"), None)])


def test_a_server_that_never_answers_is_left_after_the_time_out(
    lake: Any, catalogue: Catalogue, tmp_path: Path
) -> None:
    release = threading.Event()

    def hangs(_: bytes) -> str:
        release.wait(20)
        return "drop"

    with proxied(lake, tmp_path, hangs, attempts=1, timeout=0.3) as (store, _):
        with pytest.raises(TransientError):
            store.register([(catalogue.item("m31"), None)])
        release.set()
