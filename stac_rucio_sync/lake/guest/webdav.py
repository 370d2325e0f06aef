"""A WebDAV server of folders that files are uploaded to: a WSGI application for gunicorn.

The environment variable ``LAKE_SHARES`` holds a JSON object: name of a share to ``{"root": folder, "readonly": bool}``.

WsgiDAV is a plain WebDAV server. Grid storage differs from one in what Rucio's clients count on, and this one too:

- PUT and MOVE make the folders above a file that are missing (RFC 4918, 9.7.1 and 9.9.4 let a server refuse: 409, which
  Rucio's client takes for "the file is there already");
- a file that is there is never overwritten: PUT answers 409, MOVE and COPY answer 412. Delete it first;
- HEAD tells the Adler-32 of a file to whom `Want-Digest` names it (RFC 3230).
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from wsgidav import util
from wsgidav.dav_error import DAVError
from wsgidav.error_printer import ErrorPrinter
from wsgidav.mw.base_mw import BaseMiddleware
from wsgidav.request_resolver import RequestResolver
from wsgidav.wsgidav_app import WsgiDAVApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wsgidav.dav_provider import DAVProvider

    Environ = dict[str, Any]
    StartResponse = Callable[..., Any]

BLOCK_BYTES = 1 << 20


class GridHabits(BaseMiddleware):  # type: ignore[misc]  # WsgiDAV has no types
    """Makes the folders above a new file, and keeps files from being overwritten."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Prepare a request, and hand it on."""
        provider, method = environ["wsgidav.provider"], environ["REQUEST_METHOD"]
        if provider is not None and not provider.is_readonly():
            if method == "PUT":
                if provider.exists(environ["PATH_INFO"], environ):
                    raise DAVError(HTTPStatus.CONFLICT, "The file is there already, and nothing is overwritten.")
                make_parents(provider, environ["PATH_INFO"], environ)
            elif method in ("MOVE", "COPY"):
                environ["HTTP_OVERWRITE"] = "F"
                path = util.normalize_path(urlsplit(unquote(environ.get("HTTP_DESTINATION", ""))).path)
                if path.startswith(f"{provider.share_path}/"):
                    make_parents(provider, path.removeprefix(provider.share_path), environ)
        if method == "HEAD" and "adler32" in environ.get("HTTP_WANT_DIGEST", "").lower():
            start_response = telling_digest(provider, environ, start_response)
        answer: Iterable[bytes] = self.next_app(environ, start_response)
        return answer


def telling_digest(provider: DAVProvider, environ: Environ, start_response: StartResponse) -> StartResponse:
    """Add the checksum of the file that is asked for to the headers of the answer."""
    file = None if provider is None else provider.get_resource_inst(environ["PATH_INFO"], environ)
    if file is None or file.is_collection:
        return start_response
    checksum = 1
    with file.get_content() as content:
        while block := content.read(BLOCK_BYTES):
            checksum = zlib.adler32(block, checksum)

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # noqa: ANN401 - as WSGI has it
        return start_response(status, [*headers, ("Digest", f"adler32={checksum:08x}")], *more)

    return start


def make_parents(provider: DAVProvider, path: str, environ: Environ) -> None:
    """Make the folders above a path that are missing."""
    parent = util.get_uri_parent(path)
    if parent is None or provider.exists(parent, environ):
        return
    make_parents(provider, parent, environ)
    above = provider.get_resource_inst(util.get_uri_parent(parent), environ)
    # Somebody else may make it at the same moment; where a file is in the way, the request itself is refused.
    if above is not None and above.is_collection:
        with suppress(FileExistsError):
            above.create_collection(util.get_uri_name(parent))


def without_doubled_address(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Wrap an application so that it sees each path once.

    Rucio's webdav client puts address and prefix before an http (not https) URL a second time, and before folders that
    it makes a third time (`/share/http://host:port/share/name`), also in the destination of a renaming.
    """

    def wrapped(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        address = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}/"
        environ["PATH_INFO"] = after_last(address, environ["PATH_INFO"])
        if "HTTP_DESTINATION" in environ:
            environ["HTTP_DESTINATION"] = address + after_last(address, environ["HTTP_DESTINATION"]).lstrip("/")
        return application(environ, start_response)

    return wrapped


def after_last(address: str, path: str) -> str:
    """Return what stands after the last address in a path, as a path; one without an address stays as it is."""
    _before, found, after = path.rpartition(address)
    return f"/{after}" if found else path


def make_application() -> Callable[..., Iterable[bytes]]:
    """Make the server of the shares that the environment names."""
    shares: dict[str, dict[str, Any]] = json.loads(os.environ["LAKE_SHARES"])
    return without_doubled_address(
        WsgiDAVApp(
            {
                "provider_mapping": {f"/{name}": share for name, share in shares.items()},
                # No accounts, no listings for browsers, no scripts from elsewhere: loopback only, and for programs.
                "middleware_stack": [ErrorPrinter, GridHabits, RequestResolver],
                "http_authenticator": {"accept_basic": False, "accept_digest": False},
                # Rucio's clients lock nothing, and dead properties would be kept in memory.
                "lock_storage": None,
                "property_manager": None,
                "block_size": BLOCK_BYTES,
                "verbose": 1,
            }
        )
    )


application = make_application()
