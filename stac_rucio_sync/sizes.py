"""Sizes that items do not state: asked of the origin by HEAD, or found by reading the bytes once.

Never a guess: what an origin does not say plainly (no length, a compressed answer, a log-in page) stays unknown, with
the reason.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

import requests

from stac_rucio_sync.addresses import is_http, public_url, server_of
from stac_rucio_sync.errors import SyncError, TransientError
from stac_rucio_sync.http import Http, Patience, RefusedAnswer
from stac_rucio_sync.model import Measured
from stac_rucio_sync.settings import Sync

THREADS = 32
"""Requests under way at most, whatever the number of hosts."""
CACHED = 50_000
"""Answers kept for the run."""
PATIENCE = Patience(attempts=3, read=30.0, away=60.0)
"""How origins are asked: one that is started again during a run is waited for, one that never was there is not."""
_CHUNK = 2**20
_PLAIN = {"Accept-Encoding": "identity"}
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")
_NO_HEAD = frozenset({400, 403, 404, 405, 501})
"""Statuses with which servers refuse HEAD although GET works (S3 signs the method; some routers know only GET)."""


@dataclass(frozen=True, slots=True)
class _Untold:
    """The origin answers, and does not tell the size."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """The origin does not answer."""

    reason: str


Answer = Measured | _Untold | _Unanswered


@dataclass(frozen=True, slots=True)
class Manner:
    """How files are asked, in whatever process it is done."""

    mode: Literal["head", "stream"]
    per_host: int
    allow_private: bool
    seconds: float
    patience: Patience
    run: str
    """An origin that fails too often in a row is given up for this run only."""

    def edge(self) -> Http:
        """Return a new HTTP edge that asks in this manner."""
        return Http(allow_private=self.allow_private, patience=self.patience, connections=self.per_host)


class Sizer:
    """Measures files at http and https URLs; may be used by several threads.

    Parameters
    ----------
    mode
        ``head``: the length that the origin states. ``stream``: read every byte, for adler32 and md5 too.
    per_host
        Requests that one host gets at a time.
    allow_private
        Whether private, loopback and link-local addresses may be asked; also holds for redirects.
    seconds
        The longest that reading one file may take.
    patience
        Time-outs and tries.
    executor
        Where files are asked; None: in threads of this process. What one host gets at a time is counted here, so it
        holds for all workers of a cluster together.
    """

    def __init__(
        self,
        mode: Literal["head", "stream"],
        *,
        per_host: int = 4,
        allow_private: bool = False,
        seconds: float = 3600.0,
        patience: Patience | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._per_host = per_host
        self._manner = Manner(mode, per_host, allow_private, seconds, patience or PATIENCE, uuid.uuid4().hex)
        self._http = self._manner.edge()
        self._executor = executor
        self._places: dict[str, threading.BoundedSemaphore] = {}
        self._cache: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def measure(self, hrefs: Iterable[str]) -> tuple[dict[str, Measured], dict[str, str], dict[str, str]]:
        """Measure files, each once a run.

        Returns
        -------
        tuple
            What was measured; the reason for each whose origin does not tell; the reason for each whose origin did
            not answer, and may another time. Every href is in one of the three. Reasons name the origin, not the file,
            so that they can be counted.
        """
        asked = dict.fromkeys(hrefs)
        answers = {href: answer for href in asked if (answer := self._known(href)) is not None}
        queues: dict[str, deque[str]] = {}
        for href in asked:
            if href not in answers:
                queues.setdefault(server_of(href), deque()).append(href)
        with ThreadPoolExecutor(max(THREADS, self._per_host), thread_name_prefix="sizes") as pool:
            # As many threads empty a host's queue as it may see requests: no host waits for another.
            tasks = [
                pool.submit(self._empty, origin, queue, answers)
                for origin, queue in queues.items()
                for _ in range(min(self._per_host, len(queue)))
            ]
            try:
                for task in tasks:
                    task.result()
            except BaseException:
                for queue in queues.values():
                    queue.clear()
                self._http.hurry()
                raise
        return (
            {href: answer for href, answer in answers.items() if isinstance(answer, Measured)},
            {href: answer.reason for href, answer in answers.items() if isinstance(answer, _Untold)},
            {href: answer.reason for href, answer in answers.items() if isinstance(answer, _Unanswered)},
        )

    def close(self) -> None:
        """Close idle connections; nobody who still asks waits any longer than for an answer."""
        self._http.hurry()
        self._http.close()

    # ----------------------------------------------------------------------------------------------------- queues

    def _empty(self, origin: str, queue: deque[str], answers: dict[str, Answer]) -> None:
        with self._lock:
            places = self._places.setdefault(origin, threading.BoundedSemaphore(self._per_host))
        while True:
            try:
                href = queue.popleft()
            except IndexError:
                return
            with places:
                answer = self._answer(href)
            with self._lock:
                answers[href] = self._cache[href] = answer
                while len(self._cache) > CACHED:
                    self._cache.popitem(last=False)

    def _known(self, href: str) -> Answer | None:
        if not is_http(href):
            scheme = urlsplit(href).scheme or "no"
            return _Untold(f"sizes are asked by http and https only, not at a {scheme} URL")
        with self._lock:
            answer = self._cache.get(href)
            if answer is not None:
                self._cache.move_to_end(href)
        return answer

    def _answer(self, href: str) -> Answer:
        if self._executor is None:
            return _asked(self._http, self._manner, href)
        try:
            return self._executor.submit(ask_elsewhere, self._manner, href).result()
        except TransientError as error:
            return _Unanswered(_reason(error, href))


def open_sizer(sync: Sync, executor: Executor | None = None) -> Sizer | None:
    """Return what asks for sizes as the settings say; None: what items do not state is not asked for."""
    if sync.sizes == "item":
        return None
    return Sizer(
        sync.sizes,
        per_host=sync.connections_per_host,
        allow_private=sync.allow_private_addresses,
        executor=executor,
    )


# ------------------------------------------------------------------------------------------------------- one answer


def ask_elsewhere(manner: Manner, href: str) -> Answer:
    """Measure one file in a process of a cluster, which keeps its connections for the run."""
    return _asked(_edge(manner), manner, href)


@lru_cache(maxsize=4)
def _edge(manner: Manner) -> Http:
    return manner.edge()


def _asked(http: Http, manner: Manner, href: str) -> Answer:
    try:
        return _streamed(http, href, manner.seconds) if manner.mode == "stream" else _stated(http, href)
    except TransientError as error:
        return _Unanswered(_reason(error, href))
    except RefusedAnswer as error:
        return _Untold(_reason(error, href))


def _stated(http: Http, href: str) -> Answer:
    """Ask by HEAD; where that is refused or says nothing, by a GET of the first byte."""
    try:
        length = http.ask("HEAD", href, lambda response: _length(response, href), headers=_PLAIN)
    except RefusedAnswer as error:
        if error.status not in _NO_HEAD:
            raise
        length = None
    if length is None:
        first = {**_PLAIN, "Range": "bytes=0-0"}
        try:
            length = http.ask("GET", href, lambda response: _total(response, href), headers=first)
        except RefusedAnswer as error:
            if error.status != 416 or error.content_range is None:
                raise
            length = _read_total(error.content_range)  # an empty file has no first byte
    if length is None:
        return _Untold(f"{server_of(href)} does not state the size of its files")
    return Measured(length)


def _streamed(http: Http, href: str, seconds: float) -> Answer:
    def take(response: requests.Response) -> Measured:
        expected = _length(response, href)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedAnswer(f"{public_url(href)} is sent compressed, although that was not asked for")
        until = time.monotonic() + seconds
        adler32, md5, length = 1, hashlib.md5(usedforsecurity=False), 0
        for piece in response.iter_content(_CHUNK):
            adler32 = zlib.adler32(piece, adler32)
            md5.update(piece)
            length += len(piece)
            if time.monotonic() > until:
                raise RefusedAnswer(f"{public_url(href)} was not read to its end in {seconds:g} seconds")
        if expected is not None and expected != length:
            raise RefusedAnswer(f"{public_url(href)} states {expected} bytes and sends {length}")
        return Measured(length, f"{adler32:08x}", md5.hexdigest())

    return http.ask("GET", href, take, headers=_PLAIN)


def _reason(error: SyncError, href: str) -> str:
    return f"no size: {error}".replace(public_url(href), server_of(href))


def _length(response: requests.Response, href: str) -> int | None:
    """Read ``Content-Length`` where it is the length of the file itself."""
    _refuse_login_page(response, href)
    length = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Encoding", "identity") != "identity" or not length.isdigit():
        return None
    return int(length)


def _total(response: requests.Response, href: str) -> int | None:
    """Read the whole length from the answer to a range; a server that knows no ranges answers with the whole."""
    if response.status_code != 206:
        return _length(response, href)
    _refuse_login_page(response, href)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    return _read_total(response.headers.get("Content-Range", ""))


def _read_total(content_range: str) -> int | None:
    """Read the complete length of ``bytes 0-0/123`` or ``bytes */123`` (RFC 9110 section 14.4)."""
    match = _TOTAL.fullmatch(content_range.strip())
    return int(match[1]) if match else None


def _refuse_login_page(response: requests.Response, href: str) -> None:
    """Refuse an HTML page in place of a file that is none: a log-in form has a size too."""
    if not response.headers.get("Content-Type", "").lower().startswith("text/html"):
        return
    if not urlsplit(href).path.lower().endswith((".html", ".htm", "/")):
        raise RefusedAnswer(f"{server_of(href)} answers with an HTML page (a log-in form?) in place of the file")
