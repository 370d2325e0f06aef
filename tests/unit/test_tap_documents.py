"""Documents about the service: valid by their schemas, whole, and in step with what is published and documented."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from obscore_tap.examples import examples_document, make_examples
from obscore_tap.frontpage import readable_size, readable_span
from obscore_tap.published import make_published
from obscore_tap.schema import Table
from obscore_tap.tap.capabilities import tap_capabilities
from obscore_tap.vosi import availability_document, capabilities_document, table_document, tables_document
from stac_rucio_sync.settings import Tap
from tests.xsd import schema_faults

PUBLISHED = make_published()
CAPABILITIES = capabilities_document(tap_capabilities("https://archive.example.org/tap", Tap()))
DOCS = Path(__file__).parents[2] / "docs"
XHTML = "{http://www.w3.org/1999/xhtml}"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


@pytest.mark.parametrize(
    "document",
    [
        tables_document(PUBLISHED, with_columns=True),
        tables_document(PUBLISHED, with_columns=False),
        *(table_document(table) for table in PUBLISHED),
        CAPABILITIES,
        availability_document(available=True, up_since=datetime(2026, 1, 2, tzinfo=UTC)),
        availability_document(available=False, up_since=datetime(2026, 1, 2, tzinfo=UTC), notes=["<down> & out"]),
    ],
)
def test_documents_are_valid_by_their_schemas(document: bytes) -> None:
    assert schema_faults(document) == []


def test_the_schemas_find_faults() -> None:
    document = table_document(next(iter(PUBLISHED)))
    assert schema_faults(document.replace(b"dataType", b"datatype"))


def test_tables_in_short_have_no_columns() -> None:
    """VOSI 1.1 section 5.1."""
    short, whole = (tables_document(PUBLISHED, with_columns=detail) for detail in (False, True))
    names = [element.text for element in ElementTree.fromstring(short).iterfind("schema/table/name")]
    assert names == [table.full_name for table in PUBLISHED]
    assert b"<column" not in short
    assert len(ElementTree.fromstring(whole).findall("schema/table/column")) == sum(len(t.columns) for t in PUBLISHED)


def test_a_column_says_all_that_is_known_of_it() -> None:
    table = PUBLISHED.get("ivoa", "obscore")
    assert isinstance(table, Table)
    columns = {one.findtext("name"): one for one in ElementTree.fromstring(table_document(table)).iterfind("column")}
    region, right_ascension = columns["s_region"], columns["s_ra"]
    kind = region.find("dataType")
    assert kind is not None
    assert (kind.text, kind.get("arraysize"), kind.get("extendedType")) == ("char", "*", "adql:REGION")
    assert right_ascension.findtext("unit") == "deg"
    assert right_ascension.findtext("ucd") == "pos.eq.ra"
    assert right_ascension.get("std") == "true"
    assert [flag.text for flag in right_ascension.iterfind("flag")] == ["indexed", "principal"]


def test_capabilities_declare_every_standard_with_its_address() -> None:
    """TAP 1.1 section 2.4, DALI 1.1 section 2, TAPRegExt 1.0 section 2.3."""
    root = ElementTree.fromstring(CAPABILITIES)
    addresses = {one.get("standardID"): one.findtext("interface/accessURL") for one in root.iterfind("capability")}
    base = "https://archive.example.org/tap"
    assert addresses == {
        "ivo://ivoa.net/std/TAP": base,
        "ivo://ivoa.net/std/TAP#sync-1.1": f"{base}/sync",
        "ivo://ivoa.net/std/TAP#async-1.1": f"{base}/async",
        "ivo://ivoa.net/std/VOSI#capabilities": f"{base}/capabilities",
        "ivo://ivoa.net/std/VOSI#availability": f"{base}/availability",
        "ivo://ivoa.net/std/VOSI#tables-1.1": f"{base}/tables",
        "ivo://ivoa.net/std/DALI#examples": f"{base}/examples",
    }
    access = next(one for one in root.iterfind("capability") if one.get(TYPE) == "tr:TableAccess")
    assert next(model.get("ivo-id") for model in access.iterfind("dataModel")) == "ivo://ivoa.net/std/ObsCore#core-1.1"
    assert [version.text for version in access.iterfind("language/version")] == ["2.0", "2.1"]
    assert {kind.get("type") for kind in access.iterfind("language/languageFeatures")} >= {
        "ivo://ivoa.net/std/TAPRegExt#features-udf",
        "ivo://ivoa.net/std/TAPRegExt#features-adqlgeo",
    }
    limits = Tap()
    assert access.findtext("outputLimit/default") == str(limits.maxrec)
    assert access.findtext("uploadLimit/hard") == str(limits.upload_bytes)
    assert access.findtext("executionDuration/hard") == str(limits.max_duration)
    assert access.findtext("retentionPeriod/default") == str(limits.retention)


def test_examples_are_xhtml_with_the_vocabulary_of_dali_and_tap() -> None:
    """DALI 1.1 section 2.3, TAP 1.1 section 2.6."""
    examples = make_examples()
    root = ElementTree.fromstring(examples_document("A & B", examples))
    body = root.find(f"{XHTML}body")
    assert body is not None
    assert body.get("vocab") == "http://www.ivoa.net/rdf/examples#"
    found = [one for one in body.iter() if one.get("typeof") == "example"]
    assert [one.get("resource") for one in found] == [f"#{one.identifier}" for one in examples]
    assert [one.get("id") for one in found] == [one.identifier for one in examples]
    for element, example in zip(found, examples, strict=True):
        properties = [(child.get("property"), child.text) for child in element.iter() if child.get("property")]
        assert [text for name, text in properties if name == "name"] == [example.name]
        assert [text for name, text in properties if name == "query"] == [example.query]
        assert [text for name, text in properties if name == "table"] == list(example.tables)
    assert "".join(root.itertext()).count("A & B") == 1


def test_examples_name_published_tables() -> None:
    names = {table.full_name for table in make_published("mars")}
    examples = make_examples("mars")
    assert all(set(one.tables) <= names for one in examples)
    assert len({one.identifier for one in examples}) == len(examples)


def test_the_page_on_tap_shows_the_same_examples() -> None:
    shown = re.findall(r"```sql\n(.*?)\n```", (DOCS / "tap.md").read_text(), re.DOTALL)
    assert shown == [example.query for example in make_examples()]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (5_140_000, "5.1 MB"), (3 * 10**18, "3000.0 PB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable_size(size) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("51544.5", "60310", "2000-01-01 – 2024-01-01"),  # 51544 is 2000-01-01
        ("51544.1", "51544.9", "2000-01-01"),
        ("", "", "?"),
        ("51544", "", "2000-01-01 – ?"),
        ("-9e9", "51544", "MJD -9000000000 – 2000-01-01"),
    ],
)
def test_spans_of_time_are_readable(first: str, last: str, text: str) -> None:
    assert readable_span(first, last) == text
