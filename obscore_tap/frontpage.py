"""The front page: what the archive holds, where to ask, and how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from flask import Blueprint, Response, redirect, render_template
from werkzeug.wrappers import Response as BaseResponse

from obscore_tap.holdings import Counter, count
from obscore_tap.responses import document_response
from obscore_tap.services import Services
from obscore_tap.style import STYLE

_MJD_ZERO = date(1858, 11, 17)
_STYLE_SECONDS = 3600
_BASES = ("/tap", "/sia2", "/datalink", "/soda", "/cutout")
"""Addresses that people know and programs put something behind: in a browser they lead to the page."""


@dataclass(frozen=True, slots=True)
class Other:
    """A service beside TAP, as the page names it."""

    name: str
    path: str
    capabilities: str
    """Path of its capabilities, relative to the page."""
    text: str


OTHERS: tuple[Other, ...] = (
    Other("Simple Cone Search 1.03", "/scs", "scs/capabilities", "what lies around a position."),
    Other("SIA 2.0", "/sia2/query", "sia2/capabilities", "images and cubes by position, band, time and more."),
    Other(
        "DataLink 1.1",
        "/datalink/links",
        "datalink/capabilities",
        "the files of a data product and where their copies are, the nearest to you first.",
    ),
    Other("SODA 1.0", "/soda/sync", "soda/capabilities", "cut-outs of FITS images and cubes, without the whole file."),
)


def readable_size(size: int) -> str:
    """Return a number of bytes for people, in powers of 1000."""
    amount, units = float(size), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{size} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"


def readable_span(first_mjd: str, last_mjd: str) -> str:
    """Return the days between two Modified Julian Dates; one that is empty is not known."""
    days = [_day(mjd) for mjd in (first_mjd, last_mjd)]
    return days[0] if days[0] == days[1] else " – ".join(days)


def _day(mjd: str) -> str:
    try:
        return str(_MJD_ZERO + timedelta(days=float(mjd)))
    except (ValueError, OverflowError):  # empty, or no year that a calendar has
        return "?" if not mjd else f"MJD {float(mjd):.0f}"


def blueprint(services: Services) -> Blueprint:
    """Return the front page and its style sheet."""
    made = Blueprint("frontpage", __name__, template_folder="templates")
    counter = Counter(partial(count, services.queries))

    @made.get("/")
    def front() -> Response:
        found = counter.holdings()
        page = render_template(
            "front.html",
            title=services.settings.services.title,
            base_url=services.base_url,
            epn=f"{services.settings.epn.schema_name}.epn_core",
            tables=[table.full_name for table in services.published if table.schema != "tap_schema"],
            others=OTHERS,
            held=found,
            size=readable_size,
            span=readable_span,
        )
        response = document_response(page.encode(), "text/html; charset=utf-8")
        response.status_code = 200 if found is not None else 503
        return response

    @made.get("/style.css")
    def style() -> Response:
        return document_response(STYLE, "text/css; charset=utf-8", seconds=_STYLE_SECONDS)

    def base() -> BaseResponse:
        return redirect(f"{services.base_url}/", 303)

    for path in _BASES:
        made.add_url_rule(path, "base", base, strict_slashes=False)
    return made
