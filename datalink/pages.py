"""The pages for people: the links of an ID in a browser, what our term means, and errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from urllib.parse import urlencode

from flask import render_template

from datalink.asked import Asked
from datalink.rows import Row
from datalink.terms import CORE_URI, REPLICA
from obscore_tap.frontpage import readable_size
from obscore_tap.services import Services
from stac_rucio_sync.locality import View

HTML_TYPE = "text/html; charset=utf-8"
_ROWS = 2000
"""Rows that a page shows; more are for programs."""


def links_page(services: Services, asked: Asked, rows: Sequence[Row], view: View, *, overflow: bool) -> bytes:
    """Return the page of an answer.

    Parameters
    ----------
    services
        Title and addresses.
    asked
        The request.
    rows
        Its answer.
    view
        The place that the links are seen from.
    overflow
        More was asked for than is given.
    """
    shown = rows[:_ROWS]
    page = render_template(
        "links.html",
        title=services.settings.services.title,
        asked=[{"id": name, "assets": _assets(of_id)} for name, of_id in groupby(shown, attrgetter("id"))],
        overflow=overflow or len(rows) > _ROWS,
        seen_from=_seen_from(view),
        votable="links?" + urlencode([("ID", one) for one in asked.ids[:50]] + [("RESPONSEFORMAT", "votable")]),
        core_uri=CORE_URI,
        size=readable_size,
        term=_term,
    )
    return page.encode("utf-8", "replace")


def terms_page(services: Services) -> bytes:
    """Return the page that says what our term means and what clients do with it (DataLink 1.1 section 3.2.6)."""
    return render_template(
        "terms.html", title=services.settings.services.title, base_url=services.base_url, replica=REPLICA
    ).encode()


def error_page(message: str) -> bytes:
    """Return the page that says why there are no links."""
    fault, _, told = message.partition(": ")
    return render_template("links_error.html", fault=fault, told=told).encode("utf-8", "replace")


def _assets(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of an ID by asset: the copies of a file stand together."""
    return [list(of_asset) for _, of_asset in groupby(rows, attrgetter("local_semantics"))]


def _term(semantics: str) -> str:
    """Return a term for people."""
    return semantics.rpartition("#")[2] or semantics


def _seen_from(view: View) -> str:
    place = view.place
    if place.site:
        return f"{place.site}, as {place.told_by} tells"
    if place.rse:
        return f"{place.rse}, as {place.told_by} tells"
    if place.latitude is not None and place.longitude is not None:
        north, east = ("N" if place.latitude >= 0 else "S"), ("E" if place.longitude >= 0 else "W")
        return f"{abs(place.latitude):.2f}° {north}, {abs(place.longitude):.2f}° {east}, as {place.told_by} tell"
    return ""
