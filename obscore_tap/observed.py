"""Every request gets an id that its answer and its log lines have, is counted, and is logged when it is over."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from flask import Flask, request

from obscore_tap.meters import Meters
from stac_rucio_sync.logs import about, new_id

ACCESS: Final = logging.getLogger("stac_rucio_sync.access")
HEADER: Final = "X-Request-Id"
_GIVEN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Ids of others, such as a proxy before us, that are taken over; none that could forge a line of the log."""
_ROUTE: Final = "stac_rucio_sync.route"
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}

_StartResponse = Callable[..., Any]
_Application = Callable[[dict[str, Any], _StartResponse], Iterable[bytes]]


def observe(app: Flask, meters: Meters, headers: Sequence[tuple[str, str]] = ()) -> None:
    """Have all requests to an application observed.

    Parameters
    ----------
    app
        The application.
    meters
        Where requests are counted.
    headers
        What every answer has beside its id.
    """
    if meters.are_shown:
        app.before_request(_note_route)
    app.wsgi_app = _Observed(app.wsgi_app, meters, headers)  # type: ignore[method-assign] # Flask's own way to wrap it


def _note_route() -> None:
    """Say which rule answers: there are few of them, where there is no end of paths."""
    rule = request.url_rule.rule if request.url_rule is not None else "none"
    request.environ[_ROUTE](rule)


class _Observed:
    """The application, observed."""

    def __init__(self, application: _Application, meters: Meters, headers: Sequence[tuple[str, str]]) -> None:
        self._application = application
        self._meters = meters
        self._headers = headers

    def __call__(self, environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID")
        exchange = _Exchange(environ, given if given and _GIVEN.fullmatch(given) else new_id(), self._meters)
        environ[_ROUTE] = exchange.found

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401 - PEP 3333
            exchange.status = status[:3]
            return start_response(status, [*headers, *self._headers, (HEADER, exchange.id)], exc_info)

        try:
            with about(exchange.id):
                chunks = self._application(environ, start)
        except BaseException:
            exchange.end()
            raise
        if not isinstance(chunks, list):
            return _Body(chunks, exchange)
        exchange.bytes = sum(map(len, chunks))
        exchange.end()  # all of it is there: the server sends it without asking again
        return chunks


class _Exchange:
    """A request and its answer."""

    def __init__(self, environ: dict[str, Any], request_id: str, meters: Meters) -> None:
        self.id = request_id
        self.status = "500"
        self.bytes = 0
        self._meters = meters
        self._begun = monotonic()
        self._route = ""
        self._open = True
        method = environ.get("REQUEST_METHOD", "")
        self._method = method if method in _METHODS else "other"
        self._path = environ.get("PATH_INFO", "")
        self._client = environ.get("REMOTE_ADDR", "")

    def found(self, route: str) -> None:
        """Take note of the rule that answers."""
        if not self._route:
            self._route = route
            if self._meters.are_shown:
                self._meters.under_way.labels(route).inc()

    def end(self) -> None:
        """Count the request, and log it."""
        if not self._open:
            return
        self._open = False
        seconds = monotonic() - self._begun
        if self._meters.are_shown:
            self._count(seconds)
        if ACCESS.isEnabledFor(logging.INFO):
            told = {"status": int(self.status), "seconds": round(seconds, 4), "bytes": self.bytes}
            with about(self.id):
                ACCESS.info("%s %s", self._method, self._path, extra={"told": told | {"client": self._client}})

    def _count(self, seconds: float) -> None:
        if self._route:
            self._meters.under_way.labels(self._route).dec()
        route = self._route or "none"
        self._meters.requests.labels(route, self._method, self.status).inc()
        self._meters.seconds.labels(route).observe(seconds)
        self._meters.bytes.labels(route).inc(self.bytes)


class _Body:
    """The chunks of an answer; what making them logs belongs to its request."""

    def __init__(self, chunks: Iterable[bytes], exchange: _Exchange) -> None:
        self._chunks = chunks
        self._source: Iterator[bytes] = iter(chunks)
        self._exchange = exchange

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        with about(self._exchange.id):
            try:
                chunk = next(self._source)
            except BaseException:  # the end among them
                self._exchange.end()
                raise
        self._exchange.bytes += len(chunk)
        return chunk

    def close(self) -> None:
        """End the answer, read or not."""
        try:
            with about(self._exchange.id), suppress(AttributeError):
                self._chunks.close()  # type: ignore[attr-defined] # PEP 3333: where it has one
        finally:
            self._exchange.end()
