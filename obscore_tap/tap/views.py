"""The blueprint of /tap, but for /tap/async."""

from __future__ import annotations

from flask import Blueprint, Response, request

from obscore_tap.examples import examples_document, make_examples
from obscore_tap.parameters import Parameters, parameters_of
from obscore_tap.query import Asked, Uploaded
from obscore_tap.refusals import NotFound, Refusal
from obscore_tap.responses import document_response, stream_response
from obscore_tap.services import Services
from obscore_tap.tap.capabilities import tap_capabilities
from obscore_tap.tap.request import TapQuery, inline_parts, tap_query
from obscore_tap.vosi import capabilities_document, table_document, tables_document

_DOCUMENT_SECONDS = 300
"""How long clients may keep documents that change with a new version only."""
_DETAILS = {"min": False, "max": True}


def blueprint(services: Services) -> Blueprint:
    """Return the resources below /tap: sync, VOSI, examples."""
    made = Blueprint("tap", __name__, url_prefix="/tap")
    _add_sync(made, services)
    _add_documents(made, services)
    return made


def _add_sync(made: Blueprint, services: Services) -> None:
    @made.route("/sync", methods=["GET", "POST"])
    def sync() -> Response:
        """Run a query and send its result (TAP 1.1 section 2.2)."""
        parameters = parameters_of(request)
        asked = tap_query(parameters, services.settings)
        how = Asked(max_rows=asked.max_rows, form=asked.form, infos=asked.infos)
        answer = services.queries.answer(asked.adql, how, _uploaded(asked, parameters, services))
        return stream_response(answer, request)


def _uploaded(asked: TapQuery, parameters: Parameters, services: Services) -> Uploaded | None:
    """Return what loads the uploaded tables of a request; None where it has none."""
    if not asked.uploads:
        return None
    parts = inline_parts(asked, {name: part.stream for name, part in request.files.items()}, parameters)
    return services.uploads.loaded(services.uploads.requested(asked.uploads, parts))


def _add_documents(made: Blueprint, services: Services) -> None:
    tap_url = f"{services.base_url}/tap"
    capabilities_made = capabilities_document(tap_capabilities(tap_url, services.settings.tap))
    tables_made = {detail: tables_document(services.published, with_columns=detail) for detail in (True, False)}
    examples_made = examples_document(
        services.settings.services.title, make_examples(services.settings.epn.schema_name)
    )

    @made.get("/capabilities")
    def capabilities() -> Response:
        return document_response(capabilities_made, seconds=_DOCUMENT_SECONDS)

    @made.get("/availability")
    def availability() -> Response:
        return document_response(services.availability())

    @made.get("/tables")
    def tables() -> Response:
        """List all tables, with their columns unless ``detail=min`` (VOSI 1.1 section 5.1)."""
        return document_response(tables_made[_wants_columns(parameters_of(request))], seconds=_DOCUMENT_SECONDS)

    @made.get("/tables/<path:name>")
    def table(name: str) -> Response:
        schema, _, rest = name.partition(".")
        found = services.published.get(schema, rest) if rest else None
        if found is None:
            raise NotFound(f"there is no table {name[:100]!r} here: /tap/tables lists all")
        return document_response(table_document(found), seconds=_DOCUMENT_SECONDS)

    @made.get("/examples")
    def examples() -> Response:
        return document_response(examples_made, "application/xhtml+xml", seconds=_DOCUMENT_SECONDS)


def _wants_columns(parameters: Parameters) -> bool:
    detail = parameters.one("DETAIL")
    if detail is None:
        return True
    if detail not in _DETAILS:
        raise Refusal(f"detail is {detail[:40]!r}: min or max is needed")
    return _DETAILS[detail]
