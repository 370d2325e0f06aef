"""The pages for people: the links of an ID in a browser, what our term means, and errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from urllib.parse import urlencode

from flask import render_template

from datalink.asked import Asked
from datalink.rows import Row
from datalink.terms import REPLICA
from obscore_tap.frontpage import readable_size
from obscore_tap.services import Services
from stac_rucio_sync.locality import View
from stac_rucio_sync.model import Topology

HTML_TYPE = "text/html; charset=utf-8"
_ROWS = 2000
"""Rows that a page shows; more are for programs."""
_IDS, _SITES = 50, 20
"""What an address of a page may name, and how many sites are offered."""
_KEPT = ("SITE", "RSE", "LAT", "LON", "REPLICAS")


def links_page(
    services: Services, asked: Asked, rows: Sequence[Row], view: View, topology: Topology, *, overflow: bool
) -> bytes:
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
    topology
        The RSEs: their sites are offered to a client that is nowhere.
    overflow
        More was asked for than is given.
    """
    links = [row for row in rows if row.service_def is None]  # services are for programs
    shown = links[:_ROWS]
    ids = [("ID", one) for one in asked.ids[:_IDS]]
    kept = [(name, value) for name in _KEPT for value in asked.parameters.many(name)]
    sites = sorted({rse.site for rse in topology.rses.values() if rse.site})[:_SITES]
    page = render_template(
        "links.html",
        title=services.settings.services.title,
        asked=[_of_id(name, list(of_id)) for name, of_id in groupby(shown, attrgetter("id"))],
        overflow=overflow or len(links) > _ROWS,
        seen_from=_seen_from(view),
        sites=[{"name": site, "href": _page_of(ids, ("SITE", site))} for site in sites],
        votable=_page_of([*ids, *kept], ("RESPONSEFORMAT", "votable")),
        size=readable_size,
        label=_label,
    )
    return page.encode("utf-8", "replace")


def _page_of(parameters: Iterable[tuple[str, str]], *others: tuple[str, str]) -> str:
    return "links?" + urlencode([*parameters, *others], errors="replace")


def terms_page(services: Services) -> bytes:
    """Return the page that says what our term means and what clients do with it (DataLink 1.1 section 3.2.6)."""
    return render_template(
        "terms.html", title=services.settings.services.title, base_url=services.base_url, replica=REPLICA
    ).encode()


def error_page(message: str) -> bytes:
    """Return the page that says why there are no links."""
    fault, _, told = message.partition(": ")
    return render_template("links_error.html", fault=fault, told=told).encode("utf-8", "replace")


def _of_id(name: str, rows: Sequence[Row]) -> dict[str, object]:
    """Return the rows of an ID by asset, so that the copies of a file stand together; or why there are none."""
    is_fault = len(rows) == 1 and rows[0].local_semantics is None and rows[0].error_message is not None
    assets = [list(of_asset) for _, of_asset in groupby(rows, attrgetter("local_semantics"))]
    return {"id": name, "assets": assets, "fault": rows[0].error_message if is_fault else None}


def _label(semantics: str) -> str:
    """Return a term for people."""
    term = semantics.rpartition("#")[2] or semantics
    return "the data" if term == "this" else term.replace("-", " ")


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
