"""What a request for links asks: IDs, the client's place, the format, the old parameters."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from datalink.asked import HTML, LINKS_TYPE, Asked, NotAForm, media_type, read
from datalink.rows import Wishes
from obscore_tap.refusals import Refusal, TooLarge
from stac_rucio_sync import settings
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model import Place
from stac_rucio_sync.settings import Datalink
from tests.unit.three_sites import TOPOLOGY, VIENNA

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
LOCALITY = Locality(settings.Locality(networks={"192.0.2.0/24": "sydney"}), TOPOLOGY)


def request_of(query: str = "", accept: str = "*/*", **options: Any) -> Request:
    return Request(
        EnvironBuilder(path="/links", query_string=query, headers=[("Accept", accept)], **options).get_environ()
    )


def asked_by(query: str = "", accept: str = "*/*", limits: Datalink = Datalink(), **options: Any) -> Asked:  # noqa: B008
    return read(request_of(query, accept, **options), limits)


def test_ids_keep_their_order_and_spelling_and_come_once() -> None:
    assert asked_by("ID=b:x&id=IVO://A/b?s:n&Id=%20a:y&ID=&ID=b:x").ids == ["b:x", "IVO://A/b?s:n", " a:y"]
    posted = asked_by("ID=a:1", method="POST", data={"ID": ["a:2", "a:1", "a:3"]})
    assert posted.ids == ["a:1", "a:2", "a:3"]
    assert asked_by().ids == []


def test_of_more_ids_than_the_limit_the_first_are_answered() -> None:
    limits = Datalink(max_ids=2)
    assert not asked_by("ID=a&ID=b&ID=a", limits=limits).overflow
    asked = asked_by("ID=a&ID=b&ID=c", limits=limits)
    assert (asked.ids, asked.overflow) == (["a", "b"], True)


def test_many_ids_may_come_in_a_form_of_either_kind() -> None:
    ids = [f"stac:{number}" for number in range(3000)]
    assert asked_by(method="POST", data={"ID": ids}).ids == ids
    kind = "multipart/form-data"
    assert asked_by(method="POST", data={"ID": ids}, content_type=kind).ids == ids
    asked = asked_by(method="POST", data={"ID": ids}, content_type=kind, limits=Datalink(max_ids=10))
    assert (asked.ids, asked.overflow) == (ids[:10], True)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/xml"])
def test_a_body_over_the_limit_is_refused(kind: str) -> None:
    with pytest.raises((TooLarge, RequestEntityTooLarge)):
        asked_by(method="POST", data=b"ID=" + b"x" * 5000, content_type=kind, limits=Datalink(body_bytes=1000))


@pytest.mark.parametrize("kind", ["text/xml", "application/octet-stream", "application/json"])
def test_a_body_that_is_no_form_is_refused(kind: str) -> None:
    with pytest.raises(NotAForm):
        asked_by(method="POST", data=b"<ID>stac:x</ID>\0\xff", content_type=kind)


@pytest.mark.parametrize(
    ("wanted", "accept", "kind"),
    [
        (None, "*/*", LINKS_TYPE),
        (None, "", LINKS_TYPE),
        (None, BROWSER, HTML),
        (None, "text/html", HTML),
        (None, JAVA, LINKS_TYPE),
        (None, "application/x-votable+xml, text/html", LINKS_TYPE),
        ("votable", BROWSER, LINKS_TYPE),
        ("VOTable", "*/*", LINKS_TYPE),
        ("application/x-votable+xml", "*/*", "application/x-votable+xml"),
        ("application/x-votable+xml; content=datalink", "*/*", LINKS_TYPE),
        ("application/x-votable+xml;serialization=tabledata", "*/*", "application/x-votable+xml"),
        ("text/xml", "*/*", "text/xml"),
        ("text/html", "*/*", HTML),
        ("html", "*/*", HTML),
    ],
)
def test_formats(wanted: str | None, accept: str, kind: str) -> None:
    """DataLink 1.1 section 2.1.2; Java's own HTTP client, TOPCAT's, names HTML first without meaning it."""
    assert media_type(wanted, accept) == kind


def test_another_format_is_refused() -> None:
    with pytest.raises(Refusal, match="RESPONSEFORMAT is 'fits': there are votable and text/html"):
        media_type("fits", "*/*")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("SITE=vienna", Place("vienna", None, *VIENNA, "SITE")),
        ("rse=VIENNA-DISK", Place("vienna", "VIENNA-DISK", *VIENNA, "RSE")),
        ("LAT=0&LON=0", Place(None, None, 0.0, 0.0, "LAT and LON")),
        ("client_ip_address=192.0.2.7", "sydney"),
    ],
)
def test_a_request_may_name_the_place(query: str, place: Place | str) -> None:
    asked = asked_by(query)
    found = asked.place(LOCALITY, "203.0.113.1")
    assert asked.names_place
    assert (found.site if isinstance(place, str) else found) == place


def test_else_the_address_tells() -> None:
    asked = asked_by("ID=a:b&SITE=")
    assert not asked.names_place
    assert asked.place(LOCALITY, "192.0.2.9").site == "sydney"
    assert asked.place(LOCALITY, None) == Place()


@pytest.mark.parametrize(
    "query",
    [
        "LAT=1",
        "LAT=x&LON=1",
        "LAT=nan&LON=1",
        "LAT=91&LON=1",
        "SITE=x",
        "RSE=x",
        "LAT=1&LAT=2&LON=1",
        "client_ip_address=here",
    ],
)
def test_a_place_that_is_none_is_refused(query: str) -> None:
    with pytest.raises((Refusal, UsageError)):
        asked_by(query).place(LOCALITY, None)


def test_the_old_parameters_are_understood() -> None:
    asked = asked_by("id=a:b&sort=nearest_by_ip&ranking=2&must_include_soda=True&client_ip_address=192.0.2.7")
    assert asked.ids == ["a:b"]
    assert asked.wishes == Wishes(first=2, cutouts=True)
    assert asked_by("sort=random").wishes == Wishes(shuffled=True)
    assert asked_by("REPLICAS=this").wishes == Wishes(repeat_core_term=True)


@pytest.mark.parametrize(
    "query", ["sort=cheapest", "ranking=-1", "ranking=x", "must_include_soda=maybe", "REPLICAS=all", "MAXREC=-1"]
)
def test_what_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(Refusal):
        asked_by(query)
