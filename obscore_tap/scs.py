"""Simple Cone Search 1.03 on ``ivoa.obscore``: a cone becomes ADQL, which goes the way of every query."""

from __future__ import annotations

from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from obscore_tap.parameters import Parameters, max_rows, parameters_of
from obscore_tap.query import Asked
from obscore_tap.refusals import Refusal
from obscore_tap.responses import document_response, fault_of, stream_response
from obscore_tap.schema import Published, Translation
from obscore_tap.services import Services
from obscore_tap.values import number, numbers_list, shown
from obscore_tap.vosi import capabilities_document, capability, parameter_interface, support_capabilities
from stac_rucio_sync.errors import SyncError

STANDARD_ID = "ivo://ivoa.net/std/ConeSearch"
MEDIA_TYPE = "text/xml;content=x-votable"
TABLE = "ivoa.obscore"
UCD1 = {"obs_publisher_did": "ID_MAIN", "s_ra": "POS_EQ_RA_MAIN", "s_dec": "POS_EQ_DEC_MAIN"}
"""The columns that every response has, with the words by which clients find them (SCS 1.03 section 2.2)."""
FEWEST = (*UCD1, "obs_title", "dataproduct_type", "access_url", "access_format")
"""The columns of VERB=1."""
_WHOLE_SKY = 180.0
_OK, _SERVER_FAULT = 200, 500


def blueprint(services: Services) -> Blueprint:
    """Return the resources at and below ``/scs``."""
    resources = Blueprint("scs", __name__, url_prefix="/scs")
    url = f"{services.base_url}/scs"
    searching = capability(STANDARD_ID, parameter_interface(f"{url}?", version="1.03"))
    capabilities_made = capabilities_document([*support_capabilities(url), searching])

    @resources.route("", methods=["GET", "POST"], strict_slashes=False)
    def answer() -> Response:
        parameters = parameters_of(request)
        translation = services.queries.translate(cone_query(parameters, services.published))
        form = parameters.one("RESPONSEFORMAT")
        asked = Asked(max_rows=max_rows(parameters, services.settings.tap), form=form, default_form="votable/td")
        found = services.queries.stream(with_old_ucds(translation), asked)
        return stream_response(found if form else replace(found, mime=MEDIA_TYPE), request)

    @resources.get("/capabilities")
    def capabilities() -> Response:
        return document_response(capabilities_made)

    @resources.get("/availability")
    def availability() -> Response:
        return document_response(services.availability())

    for kind in (Refusal, SyncError, RequestEntityTooLarge):
        resources.register_error_handler(kind, _refused)
    return resources


def cone_query(parameters: Parameters, published: Published) -> str:
    """Return the ADQL query of a request.

    Raises
    ------
    Refusal
        RA, DEC or SR is missing, or a value is not what its parameter takes.
    """
    lon, lat, radius = (_coordinate(parameters, name) for name in ("RA", "DEC", "SR"))
    for name, value, lowest, highest in (("RA", lon, 0, 360), ("DEC", lat, -90, 90), ("SR", radius, 0, 180)):
        if not lowest <= value <= highest:
            raise Refusal(f"{name} is {value:g}: it is from {lowest} to {highest} degrees")
    columns = ", ".join(_columns(parameters.one("VERB"), published))
    return f"SELECT {columns} FROM {TABLE} WHERE {_cone(lon, lat, radius)}"  # noqa: S608 - ADQL of our own words and numbers


def _coordinate(parameters: Parameters, name: str) -> float:
    text = parameters.one(name)
    if text is None:
        raise Refusal(f"{name} is missing: RA, DEC and SR are needed, in decimal degrees (ICRS)")
    return number(name, text.strip())


def _columns(verbosity: str | None, published: Published) -> list[str]:
    level = "2" if verbosity is None else verbosity.strip()
    if level not in {"1", "2", "3"}:
        raise Refusal(f"VERB is {shown(level)}: it is 1, 2 or 3")
    if level == "1":
        return list(FEWEST)
    table = published.get(*TABLE.split("."))
    every = table.columns if table else ()
    return [column.name for column in every if level == "3" or column.principal or column.name in FEWEST]


def _cone(lon: float, lat: float, radius: float) -> str:
    """Return the condition that a row's position is in a cone; nothing is in one of no width (SCS 1.03 section 2.3)."""
    if radius == 0.0:
        return "1 = 0"
    if radius == _WHOLE_SKY:
        return "s_ra IS NOT NULL AND s_dec IS NOT NULL"
    if radius <= 90.0:
        return f"1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE({numbers_list((lon, lat, radius))}))"
    # A cone wider than a hemisphere is all but the opposite one.
    return f"0 = CONTAINS(POINT(s_ra, s_dec), CIRCLE({numbers_list(((lon + 180.0) % 360.0, -lat, 180.0 - radius))}))"


def with_old_ucds(translation: Translation) -> Translation:
    """Return the same query; its three main columns have the UCD1 that SCS 1.03 asks for."""
    columns = tuple(replace(column, ucd=UCD1.get(column.name, column.ucd)) for column in translation.columns)
    return replace(translation, columns=columns)


def error_document(message: str) -> bytes:
    """Return the document of an error: an INFO named Error as a child of VOTABLE (SCS 1.03 section 2.3)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n'
        "<DESCRIPTION>Simple Cone Search</DESCRIPTION>\n"
        f'<INFO ID="Error" name="Error" value={quoteattr(message)}/>\n'
        f'<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">{escape(message)}</INFO></RESOURCE>\n'
        "</VOTABLE>\n"
    ).encode()


def _refused(error: Exception) -> Response:
    """Return the error document.

    SCS 1.03 knows no status but that of an answer, and clients (STILTS and TOPCAT among them) read the document only
    then; so it is 200 where the request is at fault. What is ours is an error of HTTP, too.
    """
    message, status = fault_of(error)
    return Response(error_document(message), status if status >= _SERVER_FAULT else _OK, content_type=MEDIA_TYPE)
