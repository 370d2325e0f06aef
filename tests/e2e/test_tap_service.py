"""The running service over HTTP: TAP's resources, parameters, errors and headers, and the page for people."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import urljoin
from xml.etree import ElementTree

import html5lib
import pytest
import requests

from obscore_tap.examples import make_examples
from obscore_tap.published import make_published
from obscore_tap.tap_schema import column_rows
from tests.e2e.archive import Archive
from tests.xsd import schema_faults

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
TOP = "SELECT TOP 3 obs_id FROM ivoa.obscore ORDER BY obs_id"


def rows(answer: requests.Response) -> list[list[str]]:
    """The rows of a CSV answer, without its heading."""
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))[1:]


def fault(answer: requests.Response) -> str:
    """What an error document says (DALI 1.1 section 4.2)."""
    assert answer.headers["Content-Type"] == "application/x-votable+xml"
    infos = ElementTree.fromstring(answer.content).iterfind(f"{VOTABLE}RESOURCE[@type='results']/{VOTABLE}INFO")
    (status,) = [info for info in infos if info.get("name") == "QUERY_STATUS"]
    assert status.get("value") == "ERROR"
    return status.text or ""


# ---------------------------------------------------------------------------------------------------------------- sync


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"LANG": "ADQL", "QUERY": TOP, "RESPONSEFORMAT": "csv"},
        {"lang": "adql-2.0", "query": TOP, "format": "text/csv", "REQUEST": "doQuery"},
        {"Lang": "ADQL-2.1", "Query": TOP, "responseformat": "CSV", "request": "doquery", "SPURIOUS": "x"},
    ],
)
def test_a_query_is_answered(archive: Archive, method: str, parameters: dict[str, str]) -> None:
    where = {"params": parameters} if method == "get" else {"data": parameters}
    answer = requests.request(method, f"{archive.url}/tap/sync", timeout=60, **where)  # type: ignore[arg-type] # a str-keyed dict
    expected = archive.query('SELECT obs_id FROM lake.obscore ORDER BY obs_id COLLATE "C" LIMIT 3')
    assert [tuple(row) for row in rows(answer)] == expected
    assert answer.headers["Content-Disposition"] == 'inline; filename="result.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("parameters", "status", "words"),
    [
        ({"QUERY": TOP}, 400, "LANG is missing"),
        ({"LANG": "ADQL"}, 400, "QUERY is missing"),
        ({"LANG": "SQL", "QUERY": TOP}, 400, "unknown query language 'SQL'"),
        ({"LANG": "ADQL", "QUERY": TOP, "REQUEST": "getCapabilities"}, 400, "REQUEST"),
        ({"LANG": "ADQL", "QUERY": [TOP, TOP]}, 400, "QUERY is given 2 times"),
        ({"LANG": "ADQL", "QUERY": TOP, "MAXREC": "-1"}, 400, "MAXREC"),
        ({"LANG": "ADQL", "QUERY": TOP, "RESPONSEFORMAT": "docx"}, 400, "docx"),
        ({"LANG": "ADQL", "QUERY": "SELECT FROM ivoa.obscore"}, 400, "line 1, column 8"),
        ({"LANG": "ADQL", "QUERY": "SELECT x FROM ivoa.obscore"}, 400, "x"),
        ({"LANG": "ADQL", "QUERY": "SELECT pfn FROM lake.replica"}, 400, "pfn"),
        ({"LANG": "ADQL", "QUERY": "SELECT * FROM lake.quarantine"}, 400, "quarantine"),
        ({"LANG": "ADQL", "QUERY": "SELECT * FROM pg_catalog.pg_roles"}, 400, "pg_roles"),
        ({"LANG": "ADQL", "QUERY": TOP + "; DROP TABLE lake.obscore"}, 400, ";"),
        ({"LANG": "ADQL", "QUERY": TOP, "RUNID": "x" * 65}, 400, "RUNID"),
    ],
)
def test_a_wrong_request_is_told_so(
    archive: Archive, parameters: dict[str, str | list[str]], status: int, words: str
) -> None:
    answer = requests.post(f"{archive.url}/tap/sync", data=parameters, timeout=60)
    assert answer.status_code == status
    assert words in fault(answer)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_what_is_too_large_is_413_and_is_not_read(archive: Archive) -> None:
    long = "SELECT '" + "x" * archive.settings.tap.query_bytes + "' FROM ivoa.obscore"  # noqa: S608 - ADQL
    answer = requests.post(f"{archive.url}/tap/sync", data={"LANG": "ADQL", "QUERY": long}, timeout=60)
    assert answer.status_code == 413
    assert "bytes" in fault(answer)
    longer = b"QUERY=" + b"x" * (archive.settings.tap.query_bytes + 5_000_000)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{archive.url}/tap/sync", data=longer, headers=headers, timeout=60)
    assert answer.status_code == 413
    assert "larger" in fault(answer)


def test_maxrec_cuts_and_says_so(archive: Archive) -> None:
    """DALI 1.1 section 4.4.1."""
    asked = {"LANG": "ADQL", "QUERY": "SELECT obs_id FROM ivoa.obscore", "FORMAT": "votable/td", "RUNID": "run-7"}
    root = ElementTree.fromstring(archive.get("/tap/sync", MAXREC=5, **asked).content)
    infos = [(info.get("name"), info.get("value")) for info in root.iter(f"{VOTABLE}INFO")]
    assert infos[0] == ("QUERY_STATUS", "OK")
    assert infos[-1] == ("QUERY_STATUS", "OVERFLOW")
    assert ("RUNID", "run-7") in infos
    assert ("QUERY", asked["QUERY"]) in infos
    assert len(list(root.iter(f"{VOTABLE}TR"))) == 5
    assert len(rows(archive.get("/tap/sync", MAXREC=5, **asked | {"FORMAT": "csv"}))) == 5


def test_answers_are_compressed_for_those_who_ask(archive: Archive) -> None:
    asked = {"LANG": "ADQL", "QUERY": "SELECT * FROM ivoa.obscore", "FORMAT": "csv"}
    plain, packed = (
        requests.get(f"{archive.url}/tap/sync", params=asked, headers={"Accept-Encoding": coding}, timeout=60)
        for coding in ("identity", "gzip")
    )
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.content == packed.content
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_a_page_of_another_origin_may_ask(archive: Archive) -> None:
    asking = {"Origin": "https://elsewhere.example.org", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{archive.url}/tap/sync", headers=asking, timeout=60)
    assert answer.ok
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(("method", "path", "status"), [("put", "/tap/sync", 405), ("get", "/nowhere", 404)])
def test_http_itself_is_answered_plainly(archive: Archive, method: str, path: str, status: int) -> None:
    answer = requests.request(method, archive.url + path, timeout=60)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/plain")


# ------------------------------------------------------------------------------------------------- what is published


def test_tap_schema_tells_by_tap_what_is_published(archive: Archive) -> None:
    query = 'SELECT table_name, column_name, datatype, arraysize, xtype, "size" FROM tap_schema.columns'
    told = {tuple(row) for row in rows(archive.get("/tap/sync", LANG="ADQL", QUERY=query, FORMAT="csv"))}
    expected = {tuple("" if word is None else str(word) for word in row[:6]) for row in column_rows(make_published())}
    assert told == expected


def test_every_published_column_can_be_asked_for(archive: Archive) -> None:
    for table in make_published():
        names = ", ".join(column.name for column in table.columns)
        answer = archive.get("/tap/sync", LANG="ADQL", QUERY=f"SELECT {names} FROM {table.full_name}", MAXREC=2)  # noqa: S608 - ADQL
        assert answer.status_code == 200, fault(answer)
        fields = [field.get("name") for field in ElementTree.fromstring(answer.content).iter(f"{VOTABLE}FIELD")]
        assert fields == [column.bare_name for column in table.columns]


def test_adql_answers_where_the_bytes_are(archive: Archive) -> None:
    (rse,) = archive.query(
        "SELECT rse FROM lake.replica WHERE scope = 'vo' GROUP BY rse ORDER BY count(*) DESC LIMIT 1"
    )[0]
    query = (
        "SELECT obs_publisher_did, name FROM ivoa.obscore JOIN lake.replica USING (obs_publisher_did) "  # noqa: S608 - ADQL
        f"WHERE rse = '{rse}' AND obs_collection = 'vo-cubes'"
    )
    found = {tuple(row) for row in rows(archive.get("/tap/sync", LANG="ADQL", QUERY=query, FORMAT="csv"))}
    expected = archive.query(
        "SELECT obs_publisher_did, r.name FROM lake.item i JOIN lake.file f USING (collection, id) "
        "JOIN lake.replica r ON (r.scope, r.name) = (f.scope, f.name) WHERE collection = 'vo-cubes' AND rse = %s",
        rse,
    )
    assert found == set(expected)
    assert found


@pytest.mark.parametrize("example", make_examples(), ids=lambda example: example.identifier)
def test_the_examples_run(archive: Archive, example: object) -> None:
    query = example.query  # type: ignore[attr-defined] # an Example, whose type pytest does not know
    answer = archive.get("/tap/sync", LANG="ADQL", QUERY=query, FORMAT="csv")
    found = rows(answer)
    if example.identifier != "where":  # type: ignore[attr-defined] # nothing was copied to that storage element here
        assert found


# ---------------------------------------------------------------------------------------------------------- documents


@pytest.mark.parametrize(
    "path", ["availability", "capabilities", "tables", "tables?detail=min", "tables?DETAIL=max", "tables/ivoa.obscore"]
)
def test_documents_are_served_and_valid(archive: Archive, path: str) -> None:
    answer = archive.get(f"/tap/{path}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/xml"
    assert schema_faults(answer.content) == []


def test_an_unknown_table_is_404_and_an_unknown_detail_is_wrong(archive: Archive) -> None:
    assert archive.get("/tap/tables/lake.quarantine").status_code == 404
    assert archive.get("/tap/tables/obscore").status_code == 404
    assert archive.get("/tap/tables", detail="some").status_code == 400


def test_the_addresses_in_the_capabilities_answer(archive: Archive) -> None:
    root = ElementTree.fromstring(archive.get("/tap/capabilities").content)
    for address in {element.text or "" for element in root.iter("accessURL")}:
        assert address.startswith(archive.url)
        if not address.endswith(("/tap", "/sync")):
            assert requests.get(address, timeout=60).status_code == 200, address


# ---------------------------------------------------------------------------------------------------------- front page


def test_the_front_page_is_valid_and_tells_what_is_here(archive: Archive) -> None:
    page = archive.get("/")
    assert page.status_code == 200
    html5lib.HTMLParser(strict=True).parse(page.text)
    products = archive.query("SELECT count(*) FROM lake.obscore")[0][0]
    (files, size) = archive.query("SELECT count(*), sum(bytes) FROM lake.file")[0]
    words = re.sub(r"\s+", " ", page.text)
    assert f"{products:,} data products and {files:,} files ({float(size) / 1e6:.1f} MB)" in words
    for collection in ("vo-images", "vo-spectra", "vo-cubes", "vo-scenes"):
        assert f"<td>{collection}</td>" in page.text
    assert f"{archive.url}/tap" in page.text


@pytest.mark.parametrize("path", ["/tap", "/tap/", "/sia2", "/datalink", "/soda", "/cutout"])
def test_addresses_that_people_know_lead_to_the_front_page(archive: Archive, path: str) -> None:
    answer = requests.get(archive.url + path, timeout=60, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{archive.url}/")


def test_no_redirect_leads_where_the_header_host_says(archive: Archive) -> None:
    headers = {"Host": "evil.example"}
    answer = requests.get(f"{archive.url}//tap//tables?detail=min", headers=headers, timeout=60, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, "/tap/tables?detail=min")


def test_documents_that_did_not_change_are_not_sent_again(archive: Archive) -> None:
    for path in ("/tap/tables", "/tap/capabilities", "/tap/tables/ivoa.obscore", "/style.css"):
        first = archive.get(path)
        again = requests.get(archive.url + path, headers={"If-None-Match": first.headers["ETag"]}, timeout=60)
        assert (again.status_code, again.content) == (304, b"")


def test_text_says_its_encoding(archive: Archive) -> None:
    for form in ("csv", "tsv"):
        query = "SELECT TOP 1 '50 µm' AS words FROM tap_schema.tables"
        answer = archive.get("/tap/sync", LANG="ADQL", QUERY=query, RESPONSEFORMAT=form)
        assert "50 µm" in answer.text


def test_the_front_pages_example_for_pyvo_runs(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    code = html5lib.parse(archive.get("/").text, namespaceHTMLElements=False).find(".//pre/code")
    assert code is not None
    assert "import pyvo" in code.text
    exec(code.text, {})  # noqa: S102 - what a reader of the page would run
    assert "obs_publisher_did" in capsys.readouterr().out


def test_the_links_of_the_pages_lead_somewhere(archive: Archive) -> None:
    for start in ("/", "/tap/examples"):
        text = archive.get(start).text
        anchors = set(re.findall(r'id="([^"]+)"', text))
        for link in re.findall(r'href="([^"]+)"', text):
            if link.startswith("#"):
                assert link[1:] in anchors
            else:
                address = urljoin(archive.url + start, link.replace("&amp;", "&"))
                assert requests.get(address, timeout=60).status_code == 200, address
