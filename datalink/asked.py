"""What a request for links asks: the IDs, where its client is, and how the answer is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from flask import Request
from werkzeug.http import parse_options_header

from datalink.rows import Wishes
from obscore_tap.parameters import Parameters, limit_chunks, parameters_of, response_format
from obscore_tap.refusals import Refusal, TooLarge
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model import Place
from stac_rucio_sync.settings import Datalink

LINKS_TYPE: Final = "application/x-votable+xml;content=datalink"
HTML: Final = "text/html"
_VOTABLE: Final = frozenset({"application/x-votable+xml", "text/xml", "application/xml"})
_VOTABLE_WORDS: Final = frozenset({"votable", "votable/td"})
_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_JAVA: Final = "text/html, image/gif, image/jpeg,"
"""How Java's own HTTP client, and with it TOPCAT, begins its Accept header where the program names no type."""
_SORTS: Final = frozenset({"nearest_by_ip", "nearest_by_client", "random"})
_PLACES: Final = frozenset({"SITE", "RSE", "LAT", "LON", "CLIENT_IP_ADDRESS"})
_WISHES: Final = frozenset({"REPLICAS", "SORT", "RANKING", "MUST_INCLUDE_SODA"})
_NO_WISHES: Final = Wishes()


class NotAForm(Refusal):
    """The body is nothing that parameters could come in."""

    status = 415


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for links, read."""

    ids: Sequence[str]
    """In the order and the spelling in which they came, each once."""
    overflow: bool
    """There were more of them than one request may ask for."""
    max_rows: int | None
    media_type: str
    """Of the answer."""
    wishes: Wishes
    parameters: Parameters
    names_place: bool
    """Whether it says itself where its client is: else the answer depends on who asks."""

    def place(self, locality: Locality, address: str | None) -> Place:
        """Return where the client is.

        Parameters
        ----------
        locality
            Knows sites and networks.
        address
            The client's, for requests that do not name a place.

        Raises
        ------
        UsageError, Refusal
            The request names a place that is none.
        """
        if not self.names_place:
            return locality.place(address=address)
        one = self.parameters.one
        return locality.place(
            site=one("SITE"),
            rse=one("RSE"),
            latitude=_degrees("LAT", one("LAT")),
            longitude=_degrees("LON", one("LON")),
            address=one("CLIENT_IP_ADDRESS"),
        )


def read(request: Request, limits: Datalink) -> Asked:
    """Read a request.

    Raises
    ------
    Refusal
        It is not one for links; the text names the parameter.
    """
    parameters = _parameters(request, limits)
    ids = list(dict.fromkeys(parameters.many("ID")))
    names = parameters.names()
    return Asked(
        ids=ids[: limits.max_ids],
        overflow=len(ids) > limits.max_ids,
        max_rows=parameters.whole_number("MAXREC"),
        media_type=media_type(response_format(parameters), request.headers.get("Accept", "")),
        wishes=_NO_WISHES if _WISHES.isdisjoint(names) else _wishes(parameters),
        parameters=parameters,
        names_place=not _PLACES.isdisjoint(names),
    )


def _parameters(request: Request, limits: Datalink) -> Parameters:
    if request.method == "POST":
        request.max_content_length = request.max_form_memory_size = limits.body_bytes
        request.max_form_parts = limits.body_bytes  # so many bytes hold no more parts than can be read
        if (request.content_length or 0) > limits.body_bytes:
            raise TooLarge(f"the request has {request.content_length} bytes: at most {limits.body_bytes} are taken")
        if request.mimetype not in _FORMS and (request.content_length or request.mimetype):
            raise NotAForm("parameters come in the address or in a form (application/x-www-form-urlencoded)")
        limit_chunks(request, limits.body_bytes)
    return parameters_of(request)


def media_type(wanted: str | None, accept: str) -> str:
    """Return the media type of an answer.

    Parameters
    ----------
    wanted
        RESPONSEFORMAT, whose own parameters are not looked at (DataLink 1.1 section 2.1.2).
    accept
        The Accept header, which a browser says HTML in.

    Raises
    ------
    Refusal
        There is no such format.
    """
    if wanted is None:
        return HTML if _prefers_html(accept) else LINKS_TYPE
    kind, options = parse_options_header(wanted.strip().lower())
    if kind in ("html", HTML):
        return HTML
    if kind in _VOTABLE_WORDS or (kind in _VOTABLE and options.get("content") == "datalink"):
        return LINKS_TYPE
    if kind in _VOTABLE:
        return kind
    raise Refusal(f"RESPONSEFORMAT is {wanted[:80]!r}: there are votable and text/html")


def _prefers_html(accept: str) -> bool:
    if HTML not in accept or accept.startswith(_JAVA):
        return False
    others = [part.partition(";")[0].strip() for part in accept[: accept.index(HTML)].split(",")]
    return not _VOTABLE.intersection(others[:-1])


def _wishes(parameters: Parameters) -> Wishes:
    replicas, sort = parameters.one("REPLICAS"), parameters.one("SORT")
    if replicas is not None and replicas.strip().lower().removeprefix("#") != "this":
        raise Refusal(f"REPLICAS is {replicas[:40]!r}: only 'this' is understood")
    if sort is not None and sort.strip().lower() not in _SORTS:
        raise Refusal(f"sort is {sort[:40]!r}: {', '.join(sorted(_SORTS))} are understood")
    soda = parameters.one("MUST_INCLUDE_SODA")
    if soda is not None and soda.strip().lower() not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise Refusal(f"must_include_soda is {soda[:40]!r}: true or false is needed")
    shuffled = sort is not None and sort.strip().lower() == "random"
    cutouts = soda is not None and soda.strip().lower() in {"true", "1", "yes", "on"}
    return Wishes(replicas is not None, parameters.whole_number("RANKING") or 0, shuffled, cutouts)


def _degrees(name: str, said: str | None) -> float | None:
    if said is None:
        return None
    try:
        degrees = float(said)
    except ValueError:
        degrees = float("nan")
    if not isfinite(degrees):
        raise Refusal(f"{name} is {said[:40]!r}: a number of degrees is needed")
    return degrees
