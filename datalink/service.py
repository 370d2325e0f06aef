"""The resources of DataLink: links, their description, and the page that explains our term."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from flask import Blueprint, Response, request, stream_with_context
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from datalink.asked import HTML, Asked, media_type, read
from datalink.description import availability_of, capabilities_of, descriptor
from datalink.descriptors import descriptors
from datalink.links import BATCH_IDS, Batch, LinkFinder, open_mirror
from datalink.pages import HTML_TYPE, error_page, links_page, terms_page
from datalink.rows import Offer
from datalink.terms import TERMS_PATH
from datalink.votable import document, head, row_xml, tail
from obscore_tap.refusals import Refusal
from obscore_tap.responses import document_response, error_response, fault_of
from obscore_tap.results import accepts_gzip, gzipped
from obscore_tap.services import Services
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.locality import Locality, client_address, networks_of
from stac_rucio_sync.model import Did
from stac_rucio_sync.settings import Settings

_FAULTS = {500: "FatalFault", 503: "TransientFault"}
"""What an error document begins with, where the request is not to blame (DataLink 1.1 section 3.4)."""
_PAGE_SECONDS = 3600
_WORTH_PACKING = 50
"""Rows of which there have to be more for an answer to be compressed."""
_VARY = "Accept, Accept-Encoding"


def check_links(settings: Settings) -> None:
    """See that the mirror can be read, and that the settings of locality are right.

    Raises
    ------
    UsageError
        Something is missing in the settings, or wrong.
    TransientError, FatalError
        The database cannot be reached, or has not the tables of this version.
    """
    mirror = open_mirror(settings)
    try:
        networks_of(settings.locality.trusted_proxies)
        locality = Locality(settings.locality, mirror.topology())
        locality.place(site=settings.soda.site, rse=settings.soda.rse)
        mirror.held([Did("", "")])
        mirror.freshness()
    finally:
        mirror.close()


def blueprint(services: Services) -> Blueprint:
    """Return the resources below ``/datalink``, and ``/terms``.

    Raises
    ------
    UsageError
        See `check_links`.
    """
    resources = Blueprint("datalink", __name__, template_folder="templates")
    settings = services.settings
    mirror = open_mirror(settings)
    finder = LinkFinder(settings, mirror)
    trusted = networks_of(settings.locality.trusted_proxies)
    url = f"{services.base_url}/datalink"
    capabilities_made = capabilities_of(url)

    def described(offers: Sequence[Offer]) -> Iterator[str]:
        return descriptors(offers, finder.extents, settings)

    @resources.route("/datalink/links", methods=["GET", "POST"])
    def links() -> Response:
        asked = read(request, settings.datalink)
        address = None
        if not asked.names_place:
            address = client_address(request.remote_addr, request.headers.get("X-Forwarded-For"), trusted)
        view = finder.view(asked.place(finder.locality(), address))
        batches = finder.find(asked.ids, view, asked.wishes, asked.max_rows)
        rows, cut, offers = next(batches, Batch([]))
        overflow = cut or asked.overflow or asked.max_rows == 0
        more = len(asked.ids) > BATCH_IDS and not cut
        if asked.media_type == HTML:
            page = links_page(services, asked, rows, view, finder.topology(), overflow=overflow or more)
            return _answer([page], HTML_TYPE, asked)
        chunks: Iterable[bytes]
        if more:
            batches = chain((Batch(rows, cut, offers),), batches)
            chunks = stream_with_context(streamed(batches, overflow=overflow, describe=described))
        else:
            itself = described(offers) if rows else (descriptor(f"{url}/links", finder.topology()),)
            chunks = [document(rows, overflow=overflow, resources=itself)]
        return _answer(chunks, asked.media_type, asked, is_large=len(rows) > _WORTH_PACKING)

    @resources.get("/datalink/capabilities")
    def capabilities() -> Response:
        return document_response(capabilities_made)

    @resources.get("/datalink/availability")
    def availability() -> Response:
        return document_response(availability_of(mirror, services.started))

    @resources.get(TERMS_PATH)
    def terms() -> Response:
        return document_response(terms_page(services), HTML_TYPE, seconds=_PAGE_SECONDS)

    for kind in (Refusal, SyncError, RequestEntityTooLarge, Exception):
        resources.register_error_handler(kind, _refused)
    return resources


def streamed(
    batches: Iterable[Batch], *, overflow: bool, describe: Callable[[Sequence[Offer]], Iterable[str]]
) -> Iterator[bytes]:
    """Yield the VOTable of batches of rows, one after the other; what breaks it off is told in its end.

    Parameters
    ----------
    batches
        The rows.
    overflow
        More was asked for than is given.
    describe
        Makes the descriptors of services that rows refer to.
    """
    yield head(is_ascii=False).encode()
    error = ""
    offers: list[Offer] = []
    resources: Sequence[str] = ()
    try:
        for rows, cut, some in batches:
            overflow = overflow or cut
            offers += some
            yield "".join(map(row_xml, rows)).encode()
        resources = list(describe(offers))
    except SyncError as fault:
        told, status = fault_of(fault)
        error = f"{_FAULTS.get(status, 'FatalFault')}: {told}"
    yield tail(overflow=overflow, error=error, resources=resources).encode()


def _answer(chunks: Iterable[bytes], media_type: str, asked: Asked, *, is_large: bool = False) -> Response:
    """Return an answer, compressed where that is worth it and the client asks for it."""
    headers = _headers(asked)
    if is_large and accepts_gzip(request.headers.get("Accept-Encoding")):
        chunks = gzipped(chunks)
        headers.append(("Content-Encoding", "gzip"))
    # A list is the whole answer: the server takes it as it is.
    return Response(chunks, headers=headers, content_type=media_type, direct_passthrough=isinstance(chunks, list))


def _headers(asked: Asked) -> list[tuple[str, str]]:
    """Tell caches for whom an answer is: what depends on the client's address is nobody else's."""
    if asked.names_place:
        return [("Vary", _VARY), ("Cache-Control", "no-cache")]
    return [("Vary", f"{_VARY}, X-Forwarded-For"), ("Cache-Control", "private, no-store")]


def _refused(error: Exception) -> Response | HTTPException:
    """Return the error document, whose text begins with the name of a fault."""
    if isinstance(error, HTTPException) and not isinstance(error, RequestEntityTooLarge):
        told, status = error.description or error.name, error.code or 400
    else:
        told, status = fault_of(error)
    if isinstance(error, RequestEntityTooLarge):
        told = "the request is larger than this service takes"
    message = f"{_FAULTS.get(status, 'UsageFault')}: {told}"
    if _wants_page():
        response = Response(error_page(message), status, content_type=HTML_TYPE)
        response.headers["Cache-Control"] = "no-store"
    else:
        response = error_response(message, status)
    response.headers["Vary"] = "Accept"
    return response


def _wants_page() -> bool:
    wanted = request.args.get("RESPONSEFORMAT")
    try:
        return media_type(wanted, request.headers.get("Accept", "")) == HTML
    except Refusal:
        return False
