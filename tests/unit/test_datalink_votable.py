"""The VOTable of links: its columns, what stands in it whatever the texts are, its description of itself."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from astropy.io.votable import parse
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from datalink.description import PARAMETERS, capabilities_of, descriptor, freshness_notes
from datalink.links import Batch
from datalink.rows import Row, fault
from datalink.service import streamed
from datalink.votable import FIELDS, STANDARD_ID, document
from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.model import MirrorState, Rse, Topology
from tests.xsd import schema_faults, votable_faults

SPACE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
ROWS = (
    Row(
        id="stac:a",
        access_url="https://example.org/a?b=1&c=2",
        error_message=None,
        description="A <file>",
        semantics="#this",
        content_type="application/fits",
        content_length=2**40,
        content_qualifier="#image",
        local_semantics="image",
        link_auth="false",
        link_authorized=True,
        rse="VIENNA-DISK",
        site="vienna",
        rank=1,
    ),
    fault("stac:b", "NotFoundFault", "nothing"),
)
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def cells_of(made: bytes) -> list[list[str]]:
    root = ElementTree.fromstring(made)
    return [[cell.text or "" for cell in row] for row in root.iter(f"{SPACE}TR")]


def test_a_row_has_all_columns_in_their_order() -> None:
    first, second = cells_of(document(ROWS))
    assert first == [
        *("stac:a", "https://example.org/a?b=1&c=2", "", "", "A <file>", "#this", "application/fits", str(2**40)),
        *("#image", "image", "false", "T", "VIENNA-DISK", "vienna", "", "1"),
    ]
    assert second == ["stac:b", "", "", "NotFoundFault: nothing", "", "#this", *[""] * 10]
    assert len(FIELDS) == len(first)


def test_columns_are_those_of_the_standard() -> None:
    """DataLink 1.1 section 3.2, table 1."""
    fields = {one.get("name"): one for one in ElementTree.fromstring(document(ROWS)).iter(f"{SPACE}FIELD")}
    assert list(fields)[:12] == [
        *("ID", "access_url", "service_def", "error_message", "description", "semantics", "content_type"),
        *("content_length", "content_qualifier", "local_semantics", "link_auth", "link_authorized"),
    ]
    assert fields["ID"].get("ucd") == "meta.id;meta.main"
    assert (fields["content_length"].get("datatype"), fields["content_length"].get("unit")) == ("long", "byte")
    assert fields["content_length"].get("ucd") == "phys.size;meta.file"
    assert fields["link_authorized"].get("datatype") == "boolean"
    assert all(one.find(f"{SPACE}DESCRIPTION") is not None for one in fields.values())


@pytest.mark.parametrize("rows", [ROWS, (), (fault("stac:é\0<&>]]>\r\n\ud800\ufffe", "UsageFault", "é"),)])
def test_documents_are_valid_by_the_schema(rows: tuple[Row, ...]) -> None:
    topology = Topology({"VIENNA-DISK": Rse("VIENNA-DISK", True, "DISK", True, 'v"<i>é')})
    itself = descriptor("https://example.org/datalink/links?a=1&b=2", topology)
    assert votable_faults(document(rows, overflow=True, resources=(itself,))) == []
    assert schema_faults(capabilities_of("https://example.org/datalink")) == []


def test_answers_say_by_which_standard_they_are_and_whether_they_are_whole() -> None:
    def infos(made: bytes) -> list[tuple[str | None, str | None]]:
        return [(one.get("name"), one.get("value")) for one in ElementTree.fromstring(made).iter(f"{SPACE}INFO")]

    whole = [("QUERY_STATUS", "OK"), ("standardID", STANDARD_ID)]
    assert infos(document(ROWS)) == whole
    assert infos(document(ROWS, overflow=True)) == [*whole, ("QUERY_STATUS", "OVERFLOW")]


@given(st.lists(st.text(), min_size=6, max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_text_comes_back(texts: list[str]) -> None:
    """But for characters that XML cannot hold (XML 1.0 section 2.2): U+FFFD stands for each."""
    asked, message, description, asset, rse, site = texts
    row = Row(asked, None, message, description, "#this", local_semantics=asset, rse=rse, site=site)
    (cells,) = cells_of(document([row]))
    back = [cells[0], cells[3], cells[4], cells[9], cells[12], cells[13]]
    for came, went in zip(back, texts, strict=True):
        assert came == _NOT_XML.sub("\ufffd", went)


def test_what_breaks_an_answer_off_is_told_in_its_end() -> None:
    def batches() -> Iterator[Batch]:
        yield Batch(list(ROWS))
        raise TransientError("the database is gone")

    with Flask(__name__).test_request_context():
        made = b"".join(streamed(batches(), overflow=False, describe=lambda _: ()))
    assert cells_of(made) == cells_of(document(ROWS))
    *_, last = ElementTree.fromstring(made).iter(f"{SPACE}INFO")
    assert (last.get("name"), last.get("value")) == ("QUERY_STATUS", "ERROR")
    assert (last.text or "").startswith("TransientFault: ")
    assert votable_faults(made) == []


def test_texts_beyond_ascii_are_declared_as_such() -> None:
    """``char`` is ASCII (VOTable 1.4 section 2.1)."""
    for text, datatype in (("Vienna", "char"), ("Wien, Österreich", "unicodeChar")):
        made = document([ROWS[0]._replace(description=text)])
        table = parse(io.BytesIO(made), verify="exception").get_first_table()
        assert table.get_field_by_id_or_name("description").datatype == datatype
        assert table.get_field_by_id_or_name("access_url").datatype == "char"
        assert str(table.array["description"][0]) == text


def test_the_descriptor_names_what_can_be_asked() -> None:
    """DataLink 1.1 sections 4.2, 4.3, 4.5."""
    rses = {name: Rse(name, True, "DISK", True, site) for name, site in (("B", "vienna"), ("A", "vienna"), ("C", None))}
    itself = ElementTree.fromstring(descriptor("https://example.org/links", Topology(rses)))
    assert (itself.get("type"), itself.get("utype")) == ("meta", "adhoc:this")
    assert {one.get("name"): one.get("value") for one in itself.findall("PARAM")} == {
        "standardID": STANDARD_ID,
        "accessURL": "https://example.org/links",
        "contentType": "application/x-votable+xml;content=datalink",
    }
    parameters = {one.get("name"): one for one in itself.findall("GROUP[@name='inputParams']/PARAM")}
    assert list(parameters) == [one.name for one in PARAMETERS]
    assert {one.get("value") for one in parameters.values()} == {""}
    for name, options in (("SITE", ["vienna"]), ("RSE", ["A", "B", "C"]), ("LAT", [])):
        assert [one.get("value") for one in parameters[name].iter("OPTION")] == options


def test_notes_tell_how_fresh_the_mirror_is() -> None:
    assert freshness_notes(MirrorState(rucio_ok=True, last_poll=NOW), NOW) == ()
    (silent,) = freshness_notes(MirrorState(rucio_ok=True, last_poll=NOW), NOW + timedelta(hours=1))
    assert silent.startswith("nobody watches Rucio since 2026-01-02T03:04:05Z")
    assert "nobody watches" in freshness_notes(MirrorState(), NOW)[0]
    (down,) = freshness_notes(MirrorState(rucio_ok=False, last_poll=NOW, since=NOW), NOW)
    assert down == (
        "Rucio does not answer since 2026-01-02T03:04:05Z: links are those of the mirror, as of 2026-01-02T03:04:05Z"
    )
