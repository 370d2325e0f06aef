from __future__ import annotations

import pytest

from obscore_tap.refusals import Refusal
from obscore_tap.results import FORMATS, negotiate


@pytest.mark.parametrize(
    ("asked", "name", "mime"),
    [
        (None, "votable/b2", "application/x-votable+xml"),
        ("", "votable/b2", "application/x-votable+xml"),
        ("votable", "votable/b2", "application/x-votable+xml"),
        ("VOTable", "votable/b2", "application/x-votable+xml"),
        ("application/x-votable+xml", "votable/b2", "application/x-votable+xml"),
        ("application/x-votable xml", "votable/b2", "application/x-votable+xml"),
        ("text/xml", "votable/b2", "text/xml"),
        ("votable/td", "votable/td", "application/x-votable+xml;serialization=TABLEDATA"),
        ("votable/b", "votable/b", "application/x-votable+xml;serialization=BINARY"),
        ("votable/b2", "votable/b2", "application/x-votable+xml;serialization=BINARY2"),
        (
            "application/x-votable+xml; serialization=tabledata",
            "votable/td",
            "application/x-votable+xml;serialization=TABLEDATA",
        ),
        ('text/xml;serialization="BINARY"', "votable/b", "text/xml;serialization=BINARY"),
        ("csv", "csv", "text/csv;header=present"),
        ("text/csv", "csv", "text/csv;header=present"),
        ("text/csv; header=present; charset=UTF-8", "csv", "text/csv;header=present"),
        ("TSV", "tsv", "text/tab-separated-values"),
        ("text/tab-separated-values", "tsv", "text/tab-separated-values"),
        ("json", "json", "application/json"),
        ("application/json", "json", "application/json"),
        ("parquet", "parquet", "application/vnd.apache.parquet"),
        ("application/vnd.apache.parquet", "parquet", "application/vnd.apache.parquet"),
    ],
)
def test_responseformat_names_a_format_by_mime_type_or_short_name(asked: str | None, name: str, mime: str) -> None:
    found = negotiate(asked)
    assert (found.name, found.mime, found.version) == (name, mime, "1.4")


def test_another_version_of_votable_is_only_had_by_asking_for_it() -> None:
    found = negotiate("application/x-votable+xml;serialization=BINARY2;version=1.5")
    assert (found.name, found.version) == ("votable/b2", "1.5")
    assert found.mime == "application/x-votable+xml;serialization=BINARY2;version=1.5"
    assert negotiate("application/x-votable+xml;version=1.3").version == "1.3"
    assert negotiate("votable/td;version=1.3").version == "1.3"


@pytest.mark.parametrize(
    "asked",
    [
        "fits",
        "application/x-votable+xml;version=1.1",
        "application/x-votable+xml;serialization=FITS",
        "application/x-votable+xml;header=present",
        "text/csv;header=absent",
        "json;version=1.4",
        "votable/b3",
        "text/html",
    ],
)
def test_an_unknown_format_is_refused_with_what_there_is(asked: str) -> None:
    with pytest.raises(Refusal) as refused:
        negotiate(asked)
    assert refused.value.status == 400
    assert repr(asked) in str(refused.value)
    assert "1.4" in str(refused.value) or all(form.name in str(refused.value) for form in FORMATS)


def test_a_service_may_prefer_tabledata_where_the_request_leaves_it_open() -> None:
    preferred = "application/x-votable+xml;serialization=TABLEDATA"
    for asked in (None, "votable", "text/xml"):
        assert negotiate(asked, preferred).name == "votable/td"
    assert negotiate("votable/b2", preferred).name == "votable/b2"
    assert negotiate(None, "votable/td").name == "votable/td"
    assert negotiate(None, "csv").name == "csv"
    assert negotiate("votable", "csv").name == "votable/b2"
