"""The front page: what the archive holds, where to ask, and how."""

from __future__ import annotations

import csv
import threading
import time
from dataclasses import dataclass, field
from datetime import date, timedelta

from flask import Blueprint, Response, render_template

from obscore_tap.query import Asked
from obscore_tap.refusals import Refusal
from obscore_tap.responses import document_response
from obscore_tap.services import Services
from obscore_tap.style import STYLE
from stac_rucio_sync.errors import SyncError

_SECONDS = 60.0
"""How long counts are shown before they are counted again: on a large table that takes a while."""
_ROWS = 200
_MJD_ZERO = date(1858, 11, 17)
_STYLE_SECONDS = 3600

_COLLECTIONS = """\
SELECT obs_collection, COUNT(*) AS products, MIN(t_min) AS first_mjd, MAX(t_max) AS last_mjd
FROM ivoa.obscore GROUP BY obs_collection ORDER BY products DESC, obs_collection"""
_SITES = """\
SELECT e.rse, e.site, e.rse_type, COUNT(r.name) AS replicas
FROM lake.rse AS e LEFT JOIN lake.replica AS r ON r.rse = e.rse AND r.state = 'AVAILABLE'
GROUP BY e.rse, e.site, e.rse_type ORDER BY replicas DESC, e.rse"""
_PRODUCTS = "SELECT COUNT(*) AS products FROM ivoa.obscore"
_FILES = "SELECT COUNT(*) AS files, SUM(bytes) AS bytes FROM lake.file"


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


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the archive holds, counted now and then."""

    collections: list[dict[str, str]] = field(default_factory=list)
    sites: list[dict[str, str]] = field(default_factory=list)
    files: int = 0
    size: str = ""
    products: int = 0

    @property
    def unlisted(self) -> int:
        """Return the number of data products in collections that the page has no room for."""
        return self.products - sum(int(row["products"]) for row in self.collections)


class Counter:
    """Counts what the archive holds, at most once a minute."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._last: tuple[float, Holdings | None] = (float("-inf"), None)

    def holdings(self) -> Holdings | None:
        """Return the counts; None where the database does not answer."""
        with self._lock:
            counted, found = self._last
            if time.monotonic() - counted > _SECONDS:
                found = self._count()
                if found is not None:
                    self._last = (time.monotonic(), found)
            return found

    def _count(self) -> Holdings | None:
        try:
            collections, sites = self._rows(_COLLECTIONS), self._rows(_SITES)
            (files,), (counted,) = self._rows(_FILES), self._rows(_PRODUCTS)
        except (Refusal, SyncError):
            return None
        for row in collections:
            row["observed"] = readable_span(row["first_mjd"], row["last_mjd"])
        return Holdings(
            collections,
            sites,
            int(files["files"]),
            readable_size(int(files["bytes"] or 0)),
            int(counted["products"]),
        )

    def _rows(self, query: str) -> list[dict[str, str]]:
        answer = self._services.queries.answer(query, Asked(max_rows=_ROWS, form="csv"))
        return list(csv.DictReader(b"".join(answer.chunks).decode().splitlines()))


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
    counter = Counter(services)

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
        )
        response = document_response(page.encode(), "text/html; charset=utf-8")
        response.status_code = 200 if found is not None else 503
        return response

    @made.get("/style.css")
    def style() -> Response:
        return document_response(STYLE, "text/css; charset=utf-8", seconds=_STYLE_SECONDS)

    return made
