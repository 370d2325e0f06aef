"""The one HTTP edge of the sources and of sizes: time-outs, retries, refusal of private addresses, our errors.

Proxies and certificates are those of ``requests`` (environment variables). Everything above sees three outcomes: an
answer, ``RefusedAnswer`` (asking again would not help) or ``TransientError`` (all tries are used up).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from urllib3.exceptions import HTTPError

from stac_rucio_sync import __version__
from stac_rucio_sync.addresses import public_url, server_of
from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.http.guarded import GuardedAdapter
from stac_rucio_sync.http.outcomes import RefusedAnswer, Unanswered, check_status, parse_json, root_of
from stac_rucio_sync.http.servers import STRIKES, Servers

MAX_JSON = 256 * 2**20
"""Bytes of the largest JSON answer that is taken into memory."""
MAX_REDIRECTS = 10
MAX_WAIT = 120.0
"""Seconds; a longer ``Retry-After`` is cut to this."""
MAX_PAUSE = 10.0
"""Seconds; a pause grows no further by itself."""
_CHUNK = 2**20

T = TypeVar("T")
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Headers of a request, or what makes them anew for each try (a Range that begins where the last try ended)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often the edge tries. Seconds."""

    attempts: int = 5
    backoff: float = 1.0
    """Pause before the second try; it doubles with each further one."""
    connect: float = 10.0
    read: float = 60.0
    """Between two pieces of an answer."""
    away: float = 0.0
    """How long a server is waited for that answered before and then is away, as when it is started again."""


@dataclass(slots=True)
class _Request:
    """A request that is tried."""

    origin: str
    attempts: int | None
    failing_since: float | None = None
    """By the monotonic clock."""


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
        self._servers = Servers()
        self._hurried = threading.Event()
        self._session = requests.Session()
        self._session.max_redirects = MAX_REDIRECTS
        self._session.headers["User-Agent"] = f"stac-rucio-sync/{__version__}"
        adapter = (HTTPAdapter if allow_private else GuardedAdapter)(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Close idle connections; the next request opens new ones."""
        self._session.close()

    def hurry(self) -> None:
        """Have nobody wait any more before the next try, nor try for longer than its number of tries: the run ends."""
        self._hurried.set()

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

        ``attempts`` limits the tries, where an error is an answer too; nobody is waited for then.

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
            stop=partial(self._enough, _Request(origin, attempts)),
            wait=self._pause,
            sleep=self._sleep,
            retry=retry_if_exception_type(TransientError),
            reraise=True,
        )
        auth = self._logins.get(origin)
        arguments = {"params": params, "json": json, "auth": auth}
        try:
            answer: T = retrying(self._try, method, url, take, headers, arguments)
        except TransientError:
            self._servers.failed(origin)
            raise
        except RefusedAnswer as error:
            if error.status is not None:
                self._servers.answered(origin)
            raise
        self._servers.answered(origin)
        return answer

    def gave_up(self, url: str) -> bool:
        """Tell whether the origin of a URL is asked no more, having failed too often in a row."""
        return self._servers.gave_up(server_of(url))

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

    def _enough(self, request: _Request, state: RetryCallState) -> bool:
        """Tell whether the last try was the last one; of a server that is away it is not, for a while."""
        request.failing_since = request.failing_since or time.monotonic()
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Unanswered) and error.away:
            self._servers.away(request.origin)
        if state.attempt_number < min(self._patience.attempts, request.attempts or self._patience.attempts):
            return False
        if request.attempts is not None or self._hurried.is_set():
            return True
        return not self._servers.worth_waiting(request.origin, request.failing_since, self._patience.away)

    def _sleep(self, seconds: float) -> None:
        self._hurried.wait(seconds)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        doubled = min(float(self._patience.backoff * 2 ** (state.attempt_number - 1)), MAX_PAUSE)
        asked = error.wait if isinstance(error, Unanswered) and error.wait is not None else 0.0
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
                check_status(response, shown)
                return take(response)
        except requests.exceptions.SSLError as error:
            raise RefusedAnswer(f"{shown}: its certificate is not accepted ({root_of(error)})") from error
        except requests.exceptions.Timeout as error:
            raise Unanswered(f"{shown} did not answer in time") from error
        except requests.exceptions.TooManyRedirects as error:
            raise RefusedAnswer(f"{shown} redirects more than {MAX_REDIRECTS} times") from error
        except (requests.exceptions.RequestException, HTTPError, ConnectionError, TimeoutError) as error:
            raise Unanswered(f"{shown} does not answer ({root_of(error)})") from error

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
