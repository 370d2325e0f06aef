"""Answers over HTTP: streams with their headers, documents, and errors in the form that VO clients read."""

from __future__ import annotations

import logging

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from obscore_tap.refusals import Refusal
from obscore_tap.results import accepts_gzip, error_votable, gzipped
from obscore_tap.running import Answer
from stac_rucio_sync.errors import SyncError, TransientError, UsageError
from stac_rucio_sync.logs import subject

VOTABLE_TYPE = "application/x-votable+xml"
_LOG = logging.getLogger(__name__)
_SERVER_FAULT = 500
_UNAVAILABLE = 503
RETRY_SECONDS = {429: "60", 503: "5"}
"""After which a client may ask again (``Retry-After``), by status: what is its own share takes longer to get free."""
_WAYS_OUT = {404: ": the front page lists what is here", 405: ": the header Allow names the methods that are taken"}


def stream_response(answer: Answer, asked_by: Request) -> Response:
    """Return a result that is sent as it comes from the database; compressed where the client asks for that."""
    if accepts_gzip(asked_by.headers.get("Accept-Encoding", "")):
        response = Response(gzipped(answer.chunks), content_type=answer.mime)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = Response(answer.chunks, content_type=answer.mime)
        if answer.length is not None:
            response.content_length = answer.length
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Content-Disposition"] = f'inline; filename="{answer.file_name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def document_response(document: bytes, mime: str = "application/xml", *, seconds: int = 0) -> Response:
    """Return a document that may be kept for some seconds by whoever asked, who then asks whether it is another one."""
    response = Response(document, content_type=mime)
    response.headers["Cache-Control"] = f"max-age={seconds}" if seconds else "no-store"
    if seconds:
        response.add_etag()
        response.make_conditional(request)
    return response


def error_response(message: str, status: int) -> Response:
    """Return an error as a VOTable with QUERY_STATUS=ERROR (DALI 1.1 section 4.2)."""
    response = Response(error_votable(message), status=status, content_type=VOTABLE_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if status in RETRY_SECONDS:
        response.headers["Retry-After"] = RETRY_SECONDS[status]
    return response


def fault_of(error: BaseException) -> tuple[str, int]:
    """Return what the one who asked is told of an error, and its HTTP status; what is ours is logged."""
    if isinstance(error, Refusal):
        return str(error), error.status
    if isinstance(error, UsageError):  # of which a wrong query is one
        return str(error), 400
    if isinstance(error, RequestEntityTooLarge):
        return "the request is larger than this service takes (/tap/capabilities names the limits)", 413
    if isinstance(error, TransientError):
        _LOG.warning("%s %s: %s", request.method, request.path, error)
        return "the service cannot answer now: try again later", _UNAVAILABLE
    if isinstance(error, SyncError):
        _LOG.error("%s %s: %s", request.method, request.path, error)
    else:
        _LOG.error("%s %s", request.method, request.path, exc_info=error)
    return f"the service failed to answer; its log says why (request {subject()})", _SERVER_FAULT


def add_error_handlers(app: Flask) -> None:
    """Answer every error of the application with a VOTable; a path that is nowhere stays a plain 404."""

    def answer(error: Exception) -> Response:
        if isinstance(error, HTTPException) and not isinstance(error, RequestEntityTooLarge):
            return _plain(error)
        message, status = fault_of(error)
        return error_response(message, status)

    for kind in (Refusal, SyncError, RequestEntityTooLarge, HTTPException, Exception):
        app.register_error_handler(kind, answer)


def _plain(error: HTTPException) -> Response:
    """Return an error of HTTP itself, such as a method that a resource does not have."""
    told = f"{error.code} {error.name}{_WAYS_OUT.get(error.code or 0, '')}\n"
    response = Response(told, status=error.code, content_type="text/plain; charset=utf-8")
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response
