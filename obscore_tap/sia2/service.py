"""The resources of Simple Image Access 2.0: query, capabilities and availability."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from obscore_tap.parameters import max_rows, parameters_of
from obscore_tap.query import Asked
from obscore_tap.refusals import Refusal
from obscore_tap.responses import document_response, error_response, fault_of, stream_response
from obscore_tap.results import Info
from obscore_tap.services import Services
from obscore_tap.sia2.constraints import PARAMETERS, query
from obscore_tap.sia2.description import STANDARD_ID, descriptor
from obscore_tap.sia2.known import KnownValues
from obscore_tap.vosi import capabilities_document, capability, parameter_interface, support_capabilities
from stac_rucio_sync.errors import SyncError

PLAIN_TEXT = "text/plain; charset=utf-8"
_INFOS = (Info("standardID", "ivo://ivoa.net/std/SIA"),)
_FAULTS = {500: "FatalFault", 503: "TransientFault"}
"""The word that an error message begins with, where the request is not to blame (SIA 2.0 section 3.2)."""


def blueprint(services: Services) -> Blueprint:
    """Return the resources below ``/sia2``."""
    resources = Blueprint("sia2", __name__, url_prefix="/sia2")
    known = KnownValues(services.queries)
    url = f"{services.base_url}/sia2"
    searching = capability(STANDARD_ID, parameter_interface(f"{url}/query", version="2.0"))
    capabilities_made = capabilities_document([*support_capabilities(url), searching])

    @resources.route("/query", methods=["GET", "POST"])
    def answer() -> Response:
        parameters = parameters_of(request)
        adql = query({name: parameters.many(name) for name in PARAMETERS})
        asked = Asked(
            max_rows=max_rows(parameters, services.settings.tap),
            form=parameters.one("RESPONSEFORMAT"),
            default_form="votable/td",
            infos=_INFOS,
            resources=(descriptor(f"{url}/query", known.get()),),
        )
        return stream_response(services.queries.answer(adql, asked), request)

    @resources.get("/capabilities")
    def capabilities() -> Response:
        return document_response(capabilities_made)

    @resources.get("/availability")
    def availability() -> Response:
        return document_response(services.availability())

    for kind in (Refusal, SyncError, RequestEntityTooLarge):
        resources.register_error_handler(kind, _refused)
    return resources


def _refused(error: Exception) -> Response:
    """Return the error document: text where the response would have been text (SIA 2.0 section 3.2)."""
    told, status = fault_of(error)
    message = f"{_FAULTS.get(status, 'UsageFault')}: {told}"
    wanted = parameters_of(request).many("RESPONSEFORMAT")
    if wanted and any(name in wanted[0].lower() for name in ("csv", "tsv", "tab-separated")):
        return Response(message + "\n", status, content_type=PLAIN_TEXT)
    return error_response(message, status)
