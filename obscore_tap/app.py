"""The web application: all services of the archive in one WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from multiprocessing.util import Finalize
from urllib.parse import urlsplit, urlunsplit

from flask import Blueprint, Flask, Response, request

from obscore_tap import frontpage, scs, sia2
from obscore_tap.meters import Meters
from obscore_tap.observed import observe
from obscore_tap.parameters import limit_chunks, take_bare_boundary
from obscore_tap.responses import add_error_handlers
from obscore_tap.services import Services, open_services
from obscore_tap.tap import jobs
from obscore_tap.tap import views as tap
from obscore_tap.uws import Jobs
from stac_rucio_sync.settings import Settings

BLUEPRINTS: tuple[Callable[[Services], Blueprint], ...] = (
    frontpage.blueprint,
    tap.blueprint,
    jobs.blueprint,
    scs.blueprint,
    sia2.blueprint,
)
"""The services of this package; one joins by one line here."""

_FORM_OVERHEAD = 1_000_000
"""Bytes that a request may have beside its query and its uploaded tables."""
_FORM_PARTS = 200
EXTENSION = "stac-rucio-sync"
_FOR_BROWSERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Range"),
    ("Access-Control-Expose-Headers", "Content-Disposition, Content-Encoding, Location, Retry-After, X-Request-Id"),
    ("X-Content-Type-Options", "nosniff"),
)
"""Pages of other origins may read the answers: all of it is public, and there are no cookies (CORS)."""


def create_app(
    settings: Settings, others: Iterable[Callable[[Services], Blueprint]] = (), meters: Meters | None = None
) -> Flask:
    """Make the application.

    Parameters
    ----------
    settings
        Of the services; ``database.query_url`` and ``database.jobs_url`` must be set.
    others
        Services of other packages that join.
    meters
        Where requests and queries are counted.

    Raises
    ------
    UsageError
        A database URL is missing.
    """
    app = Flask("obscore_tap", static_folder=None)
    limits = settings.tap
    app.config.update(
        MAX_CONTENT_LENGTH=limits.upload_bytes + limits.query_bytes + _FORM_OVERHEAD,
        MAX_FORM_MEMORY_SIZE=limits.query_bytes + _FORM_OVERHEAD,
        MAX_FORM_PARTS=_FORM_PARTS,
    )
    services = open_services(settings, meters)
    app.extensions[EXTENSION] = services
    for make in (*BLUEPRINTS, *others):
        app.register_blueprint(make(services))
    add_error_handlers(app)
    observe(app, services.meters, _FOR_BROWSERS)
    app.before_request(lambda: take_bare_boundary(request))
    app.before_request(partial(_limit_form, 3 * limits.query_bytes + _FORM_OVERHEAD))
    app.after_request(_without_host)
    return app


def _limit_form(size: int) -> None:
    """Limit a form without files: it is read into memory whole, where a query may be escaped to three times its length.

    Flask's MAX_FORM_MEMORY_SIZE is for forms in parts only.
    """
    if request.content_type and request.mimetype == "application/x-www-form-urlencoded":
        request.max_content_length = min(size, request.max_content_length or size)
        limit_chunks(request, request.max_content_length)


def _without_host(response: Response) -> Response:
    """Let a redirect to a path with fewer slashes, which Flask makes by the client's header Host, name no host."""
    if response.status_code == HTTPStatus.PERMANENT_REDIRECT and response.location:
        response.location = urlunsplit(("", "", *urlsplit(response.location)[2:]))
    return response


def start_work(app: Flask) -> None:
    """Begin what goes on between requests, in the process that serves: queued jobs run, expired ones go."""
    for running in app.extensions.values():
        if isinstance(running, Jobs):
            running.start()
            # multiprocessing's: atexit is not asked when a worker ends
            Finalize(None, running.close, exitpriority=0)
