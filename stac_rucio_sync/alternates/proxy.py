"""A proxy before one STAC API that adds the replicas to its items, for clients in any language.

Besides, it changes one thing only: links that lead to the API lead back to the proxy, as clients follow them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote

import orjson
import requests
from flask import Flask, Response, request
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from werkzeug.exceptions import HTTPException

from stac_rucio_sync.addresses import is_http, public_url, without_login
from stac_rucio_sync.alternates.modifier import ReplicaAlternates
from stac_rucio_sync.errors import SyncError, UsageError
from stac_rucio_sync.locality import client_address, networks_of
from stac_rucio_sync.settings import Settings

LOG = logging.getLogger(__name__)

MAX_JSON: Final = 64 * 2**20
"""Bytes of the largest answer with items that is taken into memory."""
MAX_BODY: Final = 4_000_000
"""Bytes of the largest request."""
TIMEOUT: Final = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
_CHUNK: Final = 2**16
_METHODS: Final = ["GET", "HEAD", "POST", "OPTIONS"]
_JSON: Final = frozenset({"application/json", "application/geo+json"})
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one connection (RFC 9110 section 7.6.1)."""
_OURS: Final = frozenset({"host", "content-length", "accept-encoding", "x-forwarded-host", "x-forwarded-proto"})
_CONDITIONS: Final = frozenset({"if-none-match", "if-modified-since", "if-match", "if-unmodified-since"})
"""An item that did not change may have other replicas."""
_OF_THE_BYTES: Final = frozenset({"content-length", "content-encoding", "etag", "last-modified", "cache-control"})


def make_proxy(upstream: str, modifier: ReplicaAlternates, settings: Settings, base_url: str | None = None) -> Flask:
    """Make the application.

    Parameters
    ----------
    upstream
        URL of the STAC API's landing page; the proxy asks nobody else.
    modifier
        Writes the replicas. It is asked for the place of each client by its address.
    settings
        ``[locality]`` says whose ``X-Forwarded-For`` is believed.
    base_url
        URL by which clients reach the proxy; None: as each request says, which is right on loopback.

    Raises
    ------
    UsageError
        A URL is none, or holds a password.
    """
    proxy = _Proxy(_checked(upstream), modifier, settings, _checked(base_url) if base_url else None)
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    for rule in ("/", "/<path:path>"):
        app.add_url_rule(
            rule, "forward", proxy.forward, methods=_METHODS, provide_automatic_options=False, strict_slashes=False
        )
    app.url_map.merge_slashes = False
    app.register_error_handler(HTTPException, _refused)
    app.extensions["stac-proxy"] = proxy
    return app


def _refused(error: HTTPException) -> Response:
    return _refusal(error.code or 500, error.name.replace(" ", ""), error.description or error.name)


def _checked(url: str) -> str:
    if not is_http(url) or "?" in url or "#" in url:
        raise UsageError(f"{url!r} is no http or https URL without query")
    if without_login(url)[1] is not None:
        raise UsageError(f"{public_url(url)}: a user and password in a URL would be shown; clients send their own")
    return url.rstrip("/")


class _Proxy:
    def __init__(self, upstream: str, modifier: ReplicaAlternates, settings: Settings, base_url: str | None) -> None:
        self._upstream, self._modifier, self._base_url = upstream, modifier, base_url
        self._trusted = networks_of(settings.locality.trusted_proxies)
        self._session = requests.Session()
        # Nothing of one client may reach another, and nothing of this machine's user the server.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _no_login
        adapter = HTTPAdapter(pool_maxsize=settings.services.threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Close the connections to the API and to the look-up."""
        self._session.close()
        self._modifier.close()

    def forward(self, path: str = "") -> Response:
        """Answer one request as the API does, with replicas in its items."""
        if any(part in (".", "..") for part in path.split("/")):
            return _refusal(404, "NotFound", "no such path")
        query = request.query_string.decode("ascii", "replace")
        url = f"{self._upstream}/{quote(path, safe=_UNQUOTED)}" + (f"?{query}" if query else "")
        try:
            answer = self._session.request(
                request.method,
                url,
                data=request.get_data() if request.method == "POST" else None,
                headers=dict(self._asked_headers()),
                stream=True,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            return self._answered(answer)
        except (requests.RequestException, HTTPError) as error:
            LOG.warning("%s does not answer: %s", public_url(url), error)
            return _refusal(502, "BadGateway", "the STAC API behind this proxy does not answer")

    def _asked_headers(self) -> Iterator[tuple[str, str]]:
        left_out = _HOP_BY_HOP | _OURS | _CONDITIONS
        for name, value in request.headers:
            if name.lower() not in left_out and name.lower() != "x-forwarded-for":
                yield name, value
        hops = [*request.headers.getlist("X-Forwarded-For"), request.remote_addr or "unknown"]
        yield "X-Forwarded-For", ", ".join(hops)
        yield "X-Forwarded-Host", request.host
        yield "X-Forwarded-Proto", request.scheme

    # ------------------------------------------------------------------------------------------------------ answers

    def _answered(self, answer: requests.Response) -> Response:
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type not in _JSON or not answer.ok:
            return self._passed_on(answer)
        if request.method == "HEAD":
            return self._passed_on(answer, without=_OF_THE_BYTES)
        with answer:
            body = _body(answer)
        if body is None:
            return _refusal(502, "BadGateway", f"the answer of the STAC API is longer than {MAX_JSON} bytes")
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Response(body, answer.status_code, _headers(answer, without={"content-length", "content-encoding"}))
        remote, forwarded_for = request.remote_addr, ",".join(request.headers.getlist("X-Forwarded-For"))
        address = client_address(remote, forwarded_for, self._trusted)
        try:
            count = self._modifier.annotate(document, address=address or "") if isinstance(document, dict) else 0
        except SyncError:
            LOG.exception("no replicas for %s", public_url(answer.url))
            return _refusal(503, "ReplicasUnavailable", "the replicas cannot be looked up at the moment")
        self._lead_back(document)
        headers = _headers(answer, without=_OF_THE_BYTES)
        if count:
            headers.append(("Cache-Control", "private, no-store"))
        elif "Cache-Control" in answer.headers:
            headers.append(("Cache-Control", answer.headers["Cache-Control"]))
        return Response(orjson.dumps(document), answer.status_code, headers)

    def _passed_on(self, answer: requests.Response, without: Iterable[str] = ()) -> Response:
        headers = _headers(answer, without={"location", *without})
        if "Location" in answer.headers:
            headers.append(("Location", self._led_back(answer.headers["Location"])))
        response = Response(
            answer.raw.stream(_CHUNK, decode_content=False), answer.status_code, headers, direct_passthrough=True
        )
        if "Content-Type" not in answer.headers:
            del response.headers["Content-Type"]
        response.call_on_close(answer.close)
        return response

    def _lead_back(self, document: Any) -> None:  # noqa: ANN401 - any JSON
        """Let the links of a document, and of the items and collections in it, lead to the proxy."""
        if not isinstance(document, dict):
            return
        for link in _objects(document.get("links")):
            if isinstance(link.get("href"), str):
                link["href"] = self._led_back(link["href"])
        for part in ("features", "collections"):
            for one in _objects(document.get(part)):
                self._lead_back(one)

    def _led_back(self, href: str) -> str:
        rest = href.removeprefix(self._upstream)
        if rest == href or rest[:1] not in ("", "/", "?", "#"):
            return href
        return (self._base_url or request.host_url.rstrip("/")) + rest


_UNQUOTED: Final = "/:@!$&'()*+,;=~-._"
"""What may stand in a path as it is (RFC 3986 section 3.3)."""


def _no_login(asked: requests.PreparedRequest) -> requests.PreparedRequest:
    return asked


def _objects(entries: object) -> Iterable[dict[str, Any]]:
    return (entry for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()


def _body(answer: requests.Response) -> bytes | None:
    """Read an answer; None: it is too long."""
    pieces, length = [], 0
    for piece in answer.iter_content(_CHUNK):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_JSON:
            return None
    return b"".join(pieces)


def _headers(answer: requests.Response, without: Iterable[str]) -> list[tuple[str, str]]:
    """Return the headers of an answer as they came, one a line, but those of the connection."""
    named = {one.strip().lower() for one in answer.headers.get("Connection", "").split(",")}
    left_out = _HOP_BY_HOP | named | set(without)
    return [(name, value) for name, value in answer.raw.headers.items() if name.lower() not in left_out]


def _refusal(status: int, code: str, description: str) -> Response:
    """Answer as the STAC API specification has errors."""
    body = orjson.dumps({"code": code, "description": description})
    return Response(body, status, content_type="application/json")
