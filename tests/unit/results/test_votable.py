from __future__ import annotations

import io
from pathlib import Path

import pytest
from astropy.io.votable import parse
from lxml import etree

from obscore_tap.results import Ending, Info, error_votable
from obscore_tap.results.formats import Format, negotiate
from obscore_tap.results.votable import NAMESPACE
from obscore_tap.results.writer import Heading
from obscore_tap.schema import Datatype, OutputColumn

SCHEMA = Path(__file__).parents[4] / "shared" / "data" / "schemas" / "VOTable.xsd"
DID = OutputColumn("did", Datatype.TEXT, ucd="meta.ref.ivoid", source=("ivoa.obscore", "obs_publisher_did"))
COLUMNS = (
    DID,
    OutputColumn('a "b" <c> & d\x01', Datatype.INTEGER, "What <it> is & was", "meta.id", "km/s", "x:y", "uri"),
    OutputColumn("region", Datatype.TEXT, xtype="adql:REGION"),
    OutputColumn("polygon", Datatype.DOUBLES, unit="deg", xtype="polygon"),
    OutputColumn("title", Datatype.TEXT, unicode=True),
    OutputColumn("place", Datatype.POINT),
    OutputColumn("around", Datatype.CIRCLE),
    OutputColumn("outline", Datatype.POLYGON),
    OutputColumn("when", Datatype.TIMESTAMP),
    OutputColumn("span", Datatype.INTERVAL),
    OutputColumn("short", Datatype.SMALLINT),
    OutputColumn("long", Datatype.BIGINT),
    OutputColumn("real", Datatype.REAL),
    OutputColumn("double", Datatype.DOUBLE),
    OutputColumn("yes", Datatype.BOOLEAN),
    OutputColumn("bytes", Datatype.BLOB),
    OutputColumn("counts", Datatype.INTEGERS),
)
VOTABLES = ("votable/td", "votable/b", "votable/b2")
EXTRA = '<RESOURCE type="meta" name="more"/>\n'


def document(
    form: Format,
    columns: tuple[OutputColumn, ...] = COLUMNS,
    ending: Ending | None = None,
    heading: Heading = Heading(),  # noqa: B008 - frozen
) -> bytes:
    writer = form.writer(columns, heading)
    return writer.begin() + writer.end(ending or Ending())


def tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def fields(xml: bytes) -> dict[str, dict[str, str]]:
    return {field.attrib["name"]: dict(field.attrib) for field in etree.fromstring(xml).iter(tag("FIELD"))}


def test_every_type_of_a_translation_is_among_them() -> None:
    assert {column.datatype for column in COLUMNS} == {*Datatype}


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.5"])
@pytest.mark.parametrize("name", VOTABLES)
def test_documents_are_valid_by_the_schema(name: str, version: str) -> None:
    if not SCHEMA.is_file():
        pytest.skip("the schema of VOTable is not beside this checkout")
    schema = etree.XMLSchema(file=str(SCHEMA))
    form = negotiate(f"{name};version={version}")
    said = Heading(
        infos=(Info("QUERY", 'SELECT "x" FROM y\nWHERE a < b'), Info("request", "", "text & more")),
        datalink_url="https://example.org/links?a=1&b=2",
        resources=(EXTRA,),
        title="A <title>",
    )
    for ending in (Ending(), Ending(overflow=True), Ending(error="it <broke> & fell")):
        made = etree.fromstring(document(form, ending=ending, heading=said))
        assert made.get("version") == version
        schema.assertValid(made)
    schema.assertValid(etree.fromstring(error_votable("no & <never>\x00", [Info("QUERY", "x")])))


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.5"])
@pytest.mark.parametrize("name", VOTABLES)
def test_astropy_reads_the_metadata_back(name: str, version: str) -> None:
    form = negotiate(f"{name};version={version}")
    columns = tuple(column for column in COLUMNS if "\x01" not in column.name)
    table = parse(io.BytesIO(document(form, columns)), verify="exception").get_first_table()
    assert [field.name for field in table.fields] == [column.name for column in columns]
    assert [field.xtype for field in table.fields[:3]] == [None, "adql:REGION", "polygon"]


def test_fields_say_type_size_and_dali_1_1_xtype() -> None:
    found = {
        name: tuple(field.get(key, "") for key in ("datatype", "arraysize", "xtype"))
        for name, field in fields(document(negotiate("votable"))).items()
    }
    assert found == {
        "did": ("char", "*", ""),
        'a "b" <c> & d\ufffd': ("int", "", ""),
        "region": ("char", "*", "adql:REGION"),
        "polygon": ("double", "*", "polygon"),
        "title": ("unicodeChar", "*", ""),
        "place": ("double", "2", "point"),
        "around": ("double", "3", "circle"),
        "outline": ("double", "*", "polygon"),
        "when": ("char", "*", "timestamp"),
        "span": ("double", "2", "interval"),
        "short": ("short", "", ""),
        "long": ("long", "", ""),
        "real": ("float", "", ""),
        "double": ("double", "", ""),
        "yes": ("boolean", "", ""),
        "bytes": ("unsignedByte", "*", ""),
        "counts": ("int", "*", ""),
    }


def test_fields_carry_unit_ucd_utype_and_description() -> None:
    root = etree.fromstring(document(negotiate("votable")))
    field = list(root.iter(tag("FIELD")))[1]
    assert (field.get("unit"), field.get("ucd"), field.get("utype")) == ("km/s", "meta.id", "x:y")
    assert field.findtext(tag("DESCRIPTION")) == "What <it> is & was"


def test_integers_declare_a_null_where_rows_have_no_flags() -> None:
    for name, expected in (("votable/td", True), ("votable/b", True), ("votable/b2", False)):
        root = etree.fromstring(document(negotiate(name)))
        nulls = {
            field.get("datatype"): values.get("null")
            for field in root.iter(tag("FIELD"))
            for values in field.iter(tag("VALUES"))
        }
        lowest = {"short": "-32768", "int": "-2147483648", "long": "-9223372036854775808"}
        assert nulls == (lowest if expected else {})


def test_the_status_is_ok_before_the_table_and_overflow_or_error_after_it() -> None:
    for ending, expected in (
        (Ending(), ["OK"]),
        (Ending(overflow=True), ["OK", "OVERFLOW"]),
        (Ending(error="it broke"), ["OK", "ERROR"]),
    ):
        resource = etree.fromstring(document(negotiate("votable/td"), ending=ending)).find(tag("RESOURCE"))
        assert resource is not None
        order = [(child.tag, child.get("value")) for child in resource]
        statuses = [value for name, value in order if name == tag("INFO")]
        assert statuses == expected
        assert order.index((tag("TABLE"), None)) == 1


@pytest.mark.parametrize("name", VOTABLES)
def test_a_publisher_did_has_an_id_and_a_descriptor_that_refers_to_it(name: str) -> None:
    url = "https://example.org/datalink/links"
    root = etree.fromstring(document(negotiate(name), heading=Heading(datalink_url=url)))
    meta = [resource for resource in root if resource.get("type") == "meta"]
    assert [resource.get("utype") for resource in meta] == ["adhoc:service"]
    said = {param.get("name"): param.get("value") for param in meta[0].findall(tag("PARAM"))}
    assert said == {"standardID": "ivo://ivoa.net/std/DataLink#links-1.1", "accessURL": url}
    identifier, site = meta[0].findall(f"{tag('GROUP')}[@name='inputParams']/{tag('PARAM')}")
    assert identifier.get("name") == "ID"
    assert identifier.get("ref") == next(root.iter(tag("FIELD"))).get("ID")
    # Clients send nothing for it, unless their user says where they are; TOPCAT has a field for it then.
    assert (site.get("name"), site.get("value"), site.get("ref")) == ("SITE", "", None)


@pytest.mark.parametrize(
    "column",
    [
        OutputColumn("obs_publisher_did", Datatype.TEXT),
        OutputColumn("obs_publisher_did", Datatype.TEXT, source=("TAP_UPLOAD.mine", "obs_publisher_did")),
        OutputColumn("obs_id", Datatype.TEXT, source=("ivoa.obscore", "obs_id")),
    ],
)
def test_no_other_column_has_a_descriptor(column: OutputColumn) -> None:
    made = document(negotiate("votable"), (column,), heading=Heading(datalink_url="https://example.org/links"))
    assert b"adhoc:service" not in made
    assert b"ID=" not in made


def test_each_of_two_publisher_dids_has_an_id_of_its_own() -> None:
    made = document(negotiate("votable"), (DID, DID), heading=Heading(datalink_url="https://example.org/links"))
    root = etree.fromstring(made)
    ids = [field.get("ID") for field in root.iter(tag("FIELD"))]
    services = [resource.get("ID") for resource in root if resource.get("type") == "meta"]
    assert len({*ids, *services}) == 4
    assert [made.count(f'ref="{one}"'.encode()) for one in ids] == [1, 1]


def test_an_error_is_a_results_resource_with_the_message() -> None:
    root = etree.fromstring(error_votable("line 1: no such column <x>", [Info("QUERY", "SELECT x")]))
    infos = root.findall(f"{tag('RESOURCE')}[@type='results']/{tag('INFO')}")
    assert [(info.get("name"), info.get("value"), info.text) for info in infos] == [
        ("QUERY_STATUS", "ERROR", "line 1: no such column <x>"),
        ("QUERY", "SELECT x", None),
    ]
