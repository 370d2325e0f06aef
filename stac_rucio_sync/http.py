"""The one HTTP edge of the sources and of sizes: time-outs, retries, refusal of private addresses, our errors.

Proxies and certificates are those of ``requests`` (environment variables). Everything above sees three outcomes: an
answer, ``RefusedAnswer`` (asking again would not help) or ``TransientError`` (all tries are used up).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from stac_rucio_sync import __version__
from stac_rucio_sync.addresses import is_private_address, leads_inside, public_url, server_of
from stac_rucio_sync.errors import FatalError, TransientError

MAX_JSON = 256 * 2**20
"""Bytes of the largest JSON answer that is taken into memory."""
MAX_REDIRECTS = 10
MAX_WAIT = 120.0
"""Seconds; a longer ``Retry-After`` is cut to this."""
STRIKES = 5
"""After so many requests in a row that failed with all their tries, an origin is asked no more in this run."""
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which another try may go well."""
_CHUNK = 2**20

T = TypeVar("T")
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Headers of a request, or what makes them anew for each try (a Range that begins where the last try ended)."""


class RefusedAnswer(FatalError):  # noqa: N818 - it is an answer
    """What was asked cannot be had, and another try would not help: a 4xx status, a private address, no JSON."""

    def __init__(self, text: str, status: int | None = None, content_range: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.content_range = content_range
        """The header of that name: with status 416 it tells the length."""


class PrivateAddress(RefusedAnswer):
    """The host, or one that it redirects to, is not of the public internet."""


class _Unanswered(TransientError):  # noqa: N818 - as above
    """One failed try; ``wait`` holds the seconds that the server asked for."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class _Guard:
    """Mixed into a connection: looks at the address before and, as names can change, after connecting."""

    host: str

    def _new_conn(self) -> socket.socket:
        if leads_inside(f"http://[{self.host}]" if ":" in self.host else f"http://{self.host}"):
            raise _private(self.host)
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]  # urllib3's, by the mixin's order
        if is_private_address(connection.getpeername()[0]):
            connection.close()
            raise _private(self.host)
        return connection


class _GuardedHTTP(_Guard, HTTPConnection):
    pass


class _GuardedHTTPS(_Guard, HTTPSConnection):
    pass


class _GuardedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


class _GuardedAdapter(HTTPAdapter):
    """Refuses private addresses at every hop. Behind a proxy, which resolves names itself, only literal ones."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedHTTPPool, "https": _GuardedHTTPSPool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        host = urlsplit(request.url or "").hostname or ""
        if host == "localhost" or host.endswith(".localhost") or _is_private_literal(host):
            raise _private(host)
        return super().send(request, *args, **kwargs)


def _is_private_literal(host: str) -> bool:
    try:
        return is_private_address(host)
    except ValueError:
        return False


def _private(host: str) -> PrivateAddress:
    return PrivateAddress(
        f"{host} has a private or loopback address, which is asked only when the setting "
        "sync.allow_private_addresses permits it"
    )


# -------------------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often the edge tries. Seconds."""

    attempts: int = 5
    backoff: float = 1.0
    """Pause before the second try; it doubles with each further one."""
    connect: float = 10.0
    read: float = 60.0
    """Between two pieces of an answer."""


class Http:
    """A session that retries, refuses private addresses and speaks our errors. Safe to share between threads.

    Parameters
    ----------
    allow_private
        Whether private, loopback and link-local addresses may be asked.
    patience
        Time-outs and tries.
    connections
        Connections kept to one host.
    logins
        User and password, or what else requests takes for them, by origin; they are sent nowhere else.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        patience: Patience | None = None,
        connections: int = 8,
        logins: Mapping[str, tuple[str, str] | AuthBase] | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._logins = dict(logins or {})
        self._strikes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.max_redirects = MAX_REDIRECTS
        self._session.headers["User-Agent"] = f"stac-rucio-sync/{__version__}"
        adapter = (HTTPAdapter if allow_private else _GuardedAdapter)(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Close idle connections; the next request opens new ones."""
        self._session.close()

    def ask(
        self,
        method: str,
        url: str,
        take: Callable[[requests.Response], T],
        *,
        headers: Headers | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,  # noqa: ANN401 - any JSON
        attempts: int | None = None,
    ) -> T:
        """Send one request, following redirects, and give the answer to ``take`` while its body is still open.

        ``attempts`` limits the tries further, where an error is an answer too.

        A dropped connection inside ``take`` is retried as a whole, so ``take`` must begin afresh at each call.

        Raises
        ------
        RefusedAnswer
            A status that another try would not change, a private address, no such scheme.
        TransientError
            No usable answer after all tries, or the origin has failed too often in a row.
        """
        try:
            origin = server_of(url)
        except ValueError as error:
            raise RefusedAnswer(f"{url} is not a URL that can be asked") from error
        if self.gave_up(url):
            raise TransientError(f"{origin} failed {STRIKES} requests in a row and is asked no more in this run")
        retrying = Retrying(
            stop=stop_after_attempt(min(self._patience.attempts, attempts or self._patience.attempts)),
            wait=self._pause,
            retry=retry_if_exception_type(TransientError),
            reraise=True,
        )
        auth = self._logins.get(origin)
        arguments = {"params": params, "json": json, "auth": auth}
        try:
            answer: T = retrying(self._try, method, url, take, headers, arguments)
        except TransientError:
            with self._lock:
                self._strikes[origin] = self._strikes.get(origin, 0) + 1
            raise
        self._strikes.pop(origin, None)
        return answer

    def gave_up(self, url: str) -> bool:
        """Tell whether the origin of a URL is asked no more, having failed too often in a row."""
        return self._strikes.get(server_of(url), 0) >= STRIKES

    def body(self, url: str, *, method: str = "GET", limit: int = MAX_JSON, **arguments: Any) -> bytes:  # noqa: ANN401
        """Return the whole body of an answer.

        Raises
        ------
        RefusedAnswer
            Also when it is longer than ``limit`` bytes.
        """

        def take(response: requests.Response) -> bytes:
            pieces: list[bytes] = []
            length = 0
            for piece in response.iter_content(_CHUNK):
                length += len(piece)
                if length > limit:
                    raise RefusedAnswer(f"{public_url(url)} answers with more than {limit} bytes")
                pieces.append(piece)
            return b"".join(pieces)

        return self.ask(method, url, take, **arguments)

    def json(self, url: str, **arguments: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return the parsed JSON body of an answer.

        Raises
        ------
        RefusedAnswer
            Also when the body is not JSON.
        """
        return parse_json(self.body(url, **arguments), public_url(url))

    def download(self, url: str, into: IO[bytes]) -> None:
        """Copy a body into an open file, from its start at each try."""

        def take(response: requests.Response) -> None:
            into.seek(0)
            into.truncate()
            for piece in response.iter_content(_CHUNK):
                into.write(piece)

        self.ask("GET", url, take, headers={"Accept-Encoding": "identity"})
        into.seek(0)

    # ---------------------------------------------------------------------------------------------------- one try

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        doubled = float(self._patience.backoff * 2 ** (state.attempt_number - 1))
        asked = error.wait if isinstance(error, _Unanswered) and error.wait is not None else 0.0
        return min(max(doubled, asked), MAX_WAIT)

    def _try(
        self,
        method: str,
        url: str,
        take: Callable[[requests.Response], T],
        headers: Headers | None,
        arguments: Mapping[str, Any],
    ) -> T:
        shown = public_url(url)
        try:
            with self._answered(method, url, headers() if callable(headers) else headers, arguments) as response:
                _check_status(response, shown)
                return take(response)
        except requests.exceptions.SSLError as error:
            raise RefusedAnswer(f"{shown}: its certificate is not accepted ({_root(error)})") from error
        except requests.exceptions.Timeout as error:
            raise _Unanswered(f"{shown} did not answer in time") from error
        except requests.exceptions.TooManyRedirects as error:
            raise RefusedAnswer(f"{shown} redirects more than {MAX_REDIRECTS} times") from error
        except (requests.exceptions.RequestException, HTTPError, ConnectionError, TimeoutError) as error:
            raise _Unanswered(f"{shown} does not answer ({_root(error)})") from error

    def _answered(
        self, method: str, url: str, headers: Mapping[str, str] | None, arguments: Mapping[str, Any]
    ) -> requests.Response:
        """Return the answer, its body not read yet.

        Raises
        ------
        RefusedAnswer
            The URL, or one that the server redirects to, is none.
        """
        timeout = (self._patience.connect, self._patience.read)
        try:
            return self._session.request(
                method, url, stream=True, timeout=timeout, allow_redirects=True, headers=headers, **arguments
            )
        except requests.exceptions.InvalidHeader:
            raise
        except ValueError as error:  # requests' own, and what urllib says of "http://["
            raise RefusedAnswer(f"{public_url(url)} is not a URL that can be asked") from error


def parse_json(text: bytes, position: str) -> Any:  # noqa: ANN401 - any JSON
    """Parse JSON, a byte-order mark allowed.

    Raises
    ------
    RefusedAnswer
        It is not JSON; the text names ``position``.
    """
    try:
        return orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise RefusedAnswer(f"{position} is not JSON: {error}") from error


def _check_status(response: requests.Response, shown: str) -> None:
    status = response.status_code
    if status < 300:
        return
    text = f"{shown} answers {status} {response.reason or ''}".rstrip()
    if status in TRANSIENT_STATUS or (status > 505 and status < 600):
        raise _Unanswered(text, _retry_after(response.headers.get("Retry-After")))
    raise RefusedAnswer(text, status, response.headers.get("Content-Range"))


def _retry_after(value: str | None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date (RFC 9110 section 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until.tzinfo else None


def _root(error: BaseException) -> str:
    """Say in few words what lies at the bottom of a chain of exceptions, without URLs."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
