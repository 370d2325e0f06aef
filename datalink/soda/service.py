"""The resources of both services of cut-outs: /soda for files of the sky, /cutout for maps of bodies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect

from datalink.cutouts.errors import CutError, NoOverlapError, UnavailableError
from datalink.cuttable import Kind
from datalink.links import open_mirror
from datalink.soda.cutting import Cut, Cutter
from datalink.soda.description import availability_of, capabilities_of
from datalink.soda.files import Files
from datalink.soda.jobs import TEXT, cutout_jobs
from datalink.soda.request import read
from obscore_tap.parameters import parameters_of
from obscore_tap.refusals import Refusal
from obscore_tap.responses import RETRY_SECONDS, document_response, fault_of
from obscore_tap.services import Services
from obscore_tap.uws import job_list
from stac_rucio_sync.errors import SyncError

EXTENSION = "stac-rucio-sync.cutout-jobs"
_LOG = logging.getLogger(__name__)
_LABELS = {
    401: "AuthenticationError",
    403: "AuthorizationError",
    429: "ServiceUnavailable",
    500: "Error",
    503: "ServiceUnavailable",
}
"""What an error begins with that is not the engines' (SODA 1.0 section 5.2); others are the request's."""


class Turnstile:
    """Lets so many through at a time, and nobody wait: threads that wait here would be missing elsewhere."""

    def __init__(self, at_a_time: int) -> None:
        self._places = threading.BoundedSemaphore(at_a_time)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Take one of the places while the block runs.

        Raises
        ------
        UnavailableError
            There is none.
        """
        if not self._places.acquire(blocking=False):
            raise UnavailableError("as many cut-outs are made as can be at a time: try again in some seconds")
        try:
            yield
        finally:
            self._places.release()


def blueprint(services: Services) -> Blueprint:
    """Return the resources below ``/soda`` and ``/cutout``.

    Raises
    ------
    UsageError
        See `datalink.service.check_links`.
    """
    made = Blueprint("cutouts", __name__)
    settings = services.settings
    mirror = open_mirror(settings)
    cutter = Cutter(Files(settings, mirror), settings.soda)
    turnstile = Turnstile(settings.soda.at_a_time)
    jobs = cutout_jobs(services, cutter)
    made.record_once(lambda state: state.app.extensions.update({EXTENSION: jobs}))
    for kind in Kind:
        url = f"{services.base_url}{kind.path}"
        _add_sync(made, kind, cutter, turnstile)
        shown = settings.tap.show_jobs
        listed = job_list(
            jobs, kind.value, f"{url}/async", show_jobs=shown, proxies=services.proxies, name=f"{kind.value}_async"
        )
        made.register_blueprint(listed, url_prefix=f"{kind.path}/async")
        _add_documents(made, kind, capabilities_of(url, kind), lambda: availability_of(mirror, services.started))
    for error in (CutError, Refusal, SyncError, RequestEntityTooLarge, HTTPException, Exception):
        made.register_error_handler(error, refused)
    return made


def _add_sync(made: Blueprint, kind: Kind, cutter: Cutter, turnstile: Turnstile) -> None:
    def sync() -> Response:
        """Make one cut-out and send it (SODA 1.0 section 5)."""
        asked = read(parameters_of(request), kind)
        name, wanted = asked.only()
        with ExitStack() as stack:
            stack.enter_context(turnstile.entered())
            cut = stack.enter_context(cutter.cut(name, wanted, kind, asked.form, token=_token()))
            if cut.is_made:  # however slowly it is taken, nothing waits for that
                return _response(cut, b"".join(cut.cutout.pieces))
            response = _response(cut, _logged(cut))
            response.call_on_close(stack.pop_all().close)
        return response

    made.add_url_rule(f"{kind.path}/sync", f"{kind.value}_sync", sync, methods=["GET", "POST"])


def _add_documents(made: Blueprint, kind: Kind, capabilities: bytes, availability: Callable[[], bytes]) -> None:
    made.add_url_rule(
        f"{kind.path}/capabilities", f"{kind.value}_capabilities", lambda: document_response(capabilities)
    )
    made.add_url_rule(
        f"{kind.path}/availability", f"{kind.value}_availability", lambda: document_response(availability())
    )


def _response(cut: Cut, content: bytes | Iterator[bytes]) -> Response:
    response = Response(content, content_type=cut.cutout.media_type)
    if cut.cutout.length is not None:
        response.content_length = cut.cutout.length  # so that nobody takes one that breaks off for a whole one
    response.headers["Content-Disposition"] = f'inline; filename="{cut.file_name}"'
    response.headers["Cache-Control"] = "private, no-store" if _token() else "no-store"
    return response


def _logged(cut: Cut) -> Iterator[bytes]:
    try:
        yield from cut.cutout.pieces
    except CutError as error:  # too late for another answer: the connection breaks off
        _LOG.warning("a cut-out of %s broke off: %s", cut.file_name, error)
        raise


def _token() -> str | None:
    """Return the caller's bearer token (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def refused(error: Exception) -> Response:
    """Return an error as SODA 1.0 section 5.2 has it: a text that begins with a label; none where nothing overlaps."""
    if isinstance(error, NoOverlapError):
        return Response(status=error.status)
    if isinstance(error, RequestRedirect):
        return Response(status=error.code, headers={"Location": error.new_url})
    if isinstance(error, CutError):
        told, status = str(error), error.status
        if status >= 500:
            _LOG.warning("%s: %s", request.path, told)
    else:
        if isinstance(error, HTTPException) and not isinstance(error, RequestEntityTooLarge):
            told, status = error.description or error.name, error.code or 400
        else:
            told, status = fault_of(error)
        told = f"{_LABELS.get(status, 'UsageError')}: {told}"
    response = Response(f"{told}\n", status, content_type=TEXT)
    response.headers["Cache-Control"] = "no-store"
    if status in RETRY_SECONDS:
        response.headers["Retry-After"] = RETRY_SECONDS[status]
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, HTTPException) and (allowed := getattr(error, "valid_methods", None)):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response
