"""Parameters of requests (DALI 1.1 section 3, TAP 1.1 section 2.7)."""

from __future__ import annotations

import pytest
from flask import Flask, request

from obscore_tap.parameters import Parameters, max_rows, parameters_of, response_format, take_bare_boundary
from obscore_tap.refusals import Refusal
from stac_rucio_sync.settings import Tap

LIMITS = Tap(maxrec=100, max_maxrec=1000)


def test_names_are_compared_without_case_and_values_with_it() -> None:
    given = Parameters([("Query", "SELECT 'a'"), ("lang", "adql")])
    assert (given.one("QUERY"), given.one("LANG")) == ("SELECT 'a'", "adql")


def test_a_single_value_that_is_given_twice_is_refused() -> None:
    given = Parameters([("MAXREC", "1"), ("maxrec", "2")])
    with pytest.raises(Refusal, match="MAXREC is given 2 times"):
        given.whole_number("MAXREC")
    assert given.many("MAXREC") == ["1", "2"]


def test_format_may_come_twice_if_it_is_the_same() -> None:
    """TapPlus of astroquery sends FORMAT and format with every table that it uploads."""
    assert response_format(Parameters([("FORMAT", "votable"), ("format", "votable")])) == "votable"
    with pytest.raises(Refusal, match="FORMAT is given 2 times"):
        response_format(Parameters([("FORMAT", "csv"), ("format", "votable")]))


def test_an_empty_value_counts_as_not_given() -> None:
    given = Parameters([("MAXREC", ""), ("UPLOAD", " ")])
    assert given.whole_number("MAXREC") is None
    assert given.many("UPLOAD") == []


@pytest.mark.parametrize("value", ["-1", "1.5", "1e3", "ten", "0x10", "٣", "9" * 30])
def test_only_whole_numbers_are_numbers(value: str) -> None:
    with pytest.raises(Refusal, match="MAXREC is"):
        Parameters([("MAXREC", value)]).whole_number("MAXREC")


@pytest.mark.parametrize(("given", "expected"), [(None, 100), ("0", 0), ("7", 7), ("1000000", 1000)])
def test_maxrec_has_a_default_and_a_limit(given: str | None, expected: int) -> None:
    assert max_rows(Parameters([("MAXREC", given)] if given else []), LIMITS) == expected


def test_format_is_another_name_of_responseformat() -> None:
    assert response_format(Parameters([("FORMAT", "csv")])) == "csv"
    assert response_format(Parameters([("ResponseFormat", "tsv")])) == "tsv"
    assert response_format(Parameters([])) is None


def test_the_address_and_the_form_are_read_together() -> None:
    app = Flask(__name__)
    with app.test_request_context("/?LANG=ADQL", method="POST", data={"QUERY": "x"}):
        given = parameters_of(request)
    assert sorted(given.names()) == ["LANG", "QUERY"]


FORM = '--{0}\r\nContent-Disposition: form-data; name="LANG"\r\n\r\nADQL\r\n--{0}--\r\n'


@pytest.mark.parametrize("boundary", ["simple", '"===1700000000000==="', "===1700000000000===", "a/b; charset=utf-8"])
def test_a_form_in_parts_is_read_whether_its_boundary_is_quoted_or_not(boundary: str) -> None:
    """RFC 2046 section 5.1.1 wants quotes around ``=`` and ``/``; clients leave them out."""
    with Flask(__name__).test_request_context(
        "/",
        method="POST",
        data=FORM.format(boundary.partition(";")[0].strip('"')),
        content_type=f"multipart/form-data; boundary={boundary}",
    ):
        take_bare_boundary(request)
        assert parameters_of(request).one("LANG") == "ADQL"


@pytest.mark.parametrize("said", ["", "; boundary=", "; boundary=ä", "; charset=utf-8"])
def test_a_form_in_parts_without_a_boundary_is_refused(said: str) -> None:
    with (
        Flask(__name__).test_request_context(
            "/", method="POST", data=FORM.format("x"), content_type=f"multipart/form-data{said}"
        ),
        pytest.raises(Refusal, match="boundary"),
    ):
        take_bare_boundary(request)
