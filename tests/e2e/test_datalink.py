"""DataLink 1.1 over a real archive, asked by STILTS, pyvo, a browser's headers and plain HTTP."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import html5lib
import orjson
import psycopg
import pytest
import pyvo
import requests
from astropy.io.votable import parse, parse_single_table
from click.testing import CliRunner
from pyvo.utils import vocabularies

from stac_rucio_sync.cli import cli
from stac_rucio_sync.mapping.identifiers import dataset_did
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX
from tests.e2e.archive import Archive, served
from tests.e2e.copies import Copies
from tests.e2e.stilts import needs_stilts, stilts, table_of
from tests.xsd import schema_faults, votable_faults

STANDARD = "ivo://ivoa.net/std/DataLink#links-1.1"
SPACE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
LINKS_TYPE = "application/x-votable+xml;content=datalink"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
JAVA = {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}
NEWER_TERMS = {"thumbnail", "documentation", "detached-header", "coderived", "counterpart", "package"}
"""Terms of http://www.ivoa.net/rdf/datalink/core that came after the list of datalinklint 3.4.7."""
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyvo leaves its sessions to the collector


def did_of(item: dict[str, Any], archive: Archive) -> Did:
    return dataset_did(ItemKey(item["collection"], item["id"]), archive.settings)


def one_of_each(archive: Archive) -> list[str]:
    """Return an ID of each collection."""
    firsts = {item["collection"]: item for item in reversed(archive.items)}
    return [str(did_of(item, archive)) for item in firsts.values()]


def links(archive: Archive, *ids: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = archive.get("/datalink/links", ID=list(ids), **parameters)
    assert answer.status_code == 200, answer.text
    return rows_of(answer.content)


def rows_of(votable: bytes) -> list[dict[str, Any]]:
    """Return the rows; what is null in the table is None."""
    root = ElementTree.fromstring(votable)
    names = [str(field.get("name")) for field in root.iter(f"{SPACE}FIELD")]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in root.iter(f"{SPACE}TR")]


def statuses(votable: bytes) -> list[str]:
    found = ElementTree.fromstring(votable).iterfind(f"{SPACE}RESOURCE[@type='results']/{SPACE}INFO")
    return [str(one.get("value")) for one in found if one.get("name") == "QUERY_STATUS"]


# ------------------------------------------------------------------------------------------------------ what is given


def test_an_item_has_all_its_assets_and_links(archive: Archive, copies: Copies) -> None:
    rows = links(archive, str(copies.did), SITE="vienna")
    assert {row["local_semantics"] for row in rows} >= set(copies.item["assets"])
    core = [row for row in rows if row["semantics"].startswith("#") and not row["service_def"]]
    assert [(row["local_semantics"], row["semantics"]) for row in core] == [
        ("image", "#this"), ("thumbnail", "#thumbnail"), ("log", "#documentation"),
    ]  # fmt: skip
    image = [row for row in rows if row["local_semantics"] == "image" and not row["service_def"]]
    assert {row["semantics"] for row in image[1:]} == {f"{archive.url}/terms#replica"}
    assert [row["rank"] for row in image] == ["1", "2", "3", "4"]
    assert image[0]["rse"] == "VIENNA-DISK"
    assert image[0]["content_qualifier"] == "#image"
    for row in image:
        told = (row["content_type"], int(row["content_length"]), row["state"])
        assert told == ("application/fits", copies.item["assets"]["image"]["file:size"], "AVAILABLE")
        assert len(requests.get(row["access_url"], timeout=60).content) == told[1]


def test_a_file_is_given_alone(archive: Archive, copies: Copies) -> None:
    ((scope, name),) = archive.query(
        "SELECT scope, name FROM lake.file WHERE id = %s AND asset = 'thumbnail'", copies.item["id"]
    )
    rows = links(archive, f"{scope}:{name}", SITE="sydney")
    assert [row["semantics"] for row in rows] == ["#this"] + [f"{archive.url}/terms#replica"] * 3
    assert rows[0]["rse"] == "SYDNEY-DISK"
    again = links(archive, f"{scope}:{name}", SITE="sydney", REPLICAS="this")
    assert [row["semantics"] for row in again] == ["#this"] * 4
    assert [row["access_url"] for row in again] == [row["access_url"] for row in rows]


def test_ids_have_several_forms_and_come_back_as_they_came(archive: Archive, copies: Copies) -> None:
    scope, name = copies.did
    authority = archive.settings.identity.authority
    forms = [
        f"ivo://{authority}/lake?{scope}:{name}",
        f"IVO://{authority.upper()}/LAKE?{scope}:{name}",
        f"ivo://{authority}?{scope}/{name}",
        f"{scope}:{name}",
    ]
    rows = links(archive, *forms)
    of_form = {form: [{**row, "ID": ""} for row in rows if row["ID"] == form] for form in forms}
    assert [row["ID"] for row in rows] == [form for form in forms for _ in of_form[form]]
    assert of_form[forms[0]]
    assert all(found == of_form[forms[0]] for found in of_form.values())


def test_a_bad_id_is_a_row_among_the_good_ones(archive: Archive, copies: Copies) -> None:
    bad = [
        "nix",
        "ivo://x/y",
        "<ID>&amp;</ID>",
        "vo:no-such",
        "vo:a b",
        "vo:" + "é" * 50,
        "'; DROP TABLE lake.item; --",
    ]
    ids = [bad[0], str(copies.did), *bad[1:], one_of_each(archive)[0]]
    answer = requests.post(f"{archive.url}/datalink/links", data={"ID": ids}, timeout=60)
    assert answer.status_code == 200
    rows = rows_of(answer.content)
    assert list(dict.fromkeys(row["ID"] for row in rows)) == list(dict.fromkeys(ids))
    faults = [row for row in rows if row["error_message"]]
    assert [row["ID"] for row in faults] == bad
    assert {row["semantics"] for row in faults} == {"#this"}
    assert [row["error_message"].partition(":")[0] for row in faults] == [
        *["UsageFault"] * 3, "NotFoundFault", *["UsageFault"] * 3,
    ]  # fmt: skip
    assert votable_faults(answer.content) == []


def test_junk_gets_a_clean_answer(archive: Archive) -> None:
    host, port = urlsplit(archive.url).hostname, urlsplit(archive.url).port
    assert host is not None
    form, xml = "application/x-www-form-urlencoded", "text/xml"
    for path, body, kind, status in (
        ("/datalink/links?ID=%00%ff%fe%80a:b", None, None, 200),
        ("/datalink/links?ID=a%0d%0ab", None, None, 200),
        ("/datalink/links", b"ID=%00\x00\xff\xfe&ID=a:b", form, 200),
        ("/datalink/links", b"\x00\x01\x02\xff" * 100, form, 200),
        ("/datalink/links", b"<a/>", xml, 415),
        ("/datalink/links?MAXREC=x", None, None, 400),
        ("/datalink/links?RESPONSEFORMAT=%00", None, None, 400),
        ("/datalink/links?ID=a:b&SITE=%3Cscript%3E", None, None, 400),
    ):
        connection = http.client.HTTPConnection(host, port, timeout=30)
        headers = {} if kind is None else {"Content-Type": kind}
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        said = response.read()
        connection.close()
        assert response.status == status, (path, said)
        assert votable_faults(said) == []
        if status != 200:
            assert b">UsageFault: " in said


def test_links_of_the_metadata_are_rows(archive: Archive, copies: Copies) -> None:
    row = (*copies.did, 1, "https://example.org/plot?a=1&b=2", "#preview-plot", "A plot", "image/png")
    with owner_of(archive) as connection:
        connection.execute("INSERT INTO lake.did_link VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
        try:
            *_, stated = links(archive, str(copies.did))
        finally:
            connection.execute("DELETE FROM lake.did_link WHERE (scope, name) = (%s, %s)", copies.did)
    told = [stated[name] for name in ("access_url", "semantics", "description", "content_type")]
    assert told == list(row[3:])


@contextmanager
def owner_of(archive: Archive) -> Iterator[psycopg.Connection[Any]]:
    url = archive.settings.database.admin_url
    assert url is not None
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        yield connection


# ------------------------------------------------------------------------------------------------------- how much


def test_maxrec_never_cuts_inside_an_id(archive: Archive) -> None:
    ids = one_of_each(archive)
    whole = links(archive, *ids)
    counts = [sum(row["ID"] == one for row in whole) for one in ids]
    for most in range(len(whole) + 2):
        answer = archive.get("/datalink/links", ID=ids, MAXREC=most)
        rows = rows_of(answer.content)
        fitting = next((n for n in range(len(ids), 0, -1) if sum(counts[:n]) <= most), 0)
        assert rows == whole[: sum(counts[:fitting])]
        assert statuses(answer.content) == ["OK"] + (["OVERFLOW"] if fitting < len(ids) else [])


def test_without_an_id_the_service_describes_itself(archive: Archive) -> None:
    for parameters in ({}, {"MAXREC": 0, "ID": one_of_each(archive)}):
        answer = archive.get("/datalink/links", **parameters)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, LINKS_TYPE)
        assert rows_of(answer.content) == []
        itself = ElementTree.fromstring(answer.content).find(f"{SPACE}RESOURCE[@utype='adhoc:this']")
        assert itself is not None
        told = {one.get("name"): one.get("value") for one in itself.findall(f"{SPACE}PARAM")}
        assert (told["standardID"], told["accessURL"]) == (STANDARD, f"{archive.url}/datalink/links")
        sites = itself.findall(f"{SPACE}GROUP/{SPACE}PARAM[@name='SITE']/{SPACE}VALUES/{SPACE}OPTION")
        assert [one.get("value") for one in sites] == ["san-francisco", "sydney", "vienna"]
        assert votable_faults(answer.content) == []


@pytest.fixture(scope="module")
def narrow(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The services with small limits."""
    limits = {"DATALINK__MAX_IDS": "3", "DATALINK__BODY_BYTES": "2000", "SERVICES__WORKERS": "1"}
    with served(archive.lake, tmp_path_factory.mktemp("narrow") / "serve.log", **limits) as url:
        yield url


def test_of_too_many_ids_the_first_are_answered(narrow: str, archive: Archive) -> None:
    ids = [str(did_of(item, archive)) for item in archive.items[:5]]
    answer = requests.get(f"{narrow}/datalink/links", params={"ID": ids}, timeout=60)
    assert list(dict.fromkeys(row["ID"] for row in rows_of(answer.content))) == ids[:3]
    assert statuses(answer.content) == ["OK", "OVERFLOW"]
    answer = requests.get(f"{narrow}/datalink/links", params={"ID": [*ids[:3], ids[0]]}, timeout=60)
    assert statuses(answer.content) == ["OK"]


def test_too_large_a_body_is_refused(narrow: str) -> None:
    body = b"ID=" + b"x" * 4000
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    pieces = (body[start : start + 500] for start in range(0, len(body), 500))  # chunked: no length is told
    for sent in (body, pieces):
        answer = requests.post(f"{narrow}/datalink/links", data=sent, headers=kind, timeout=60)
        assert answer.status_code == 413
        assert b">UsageFault: the request" in answer.content
    answer = requests.post(f"{narrow}/datalink/links", files={"ID": (None, "x" * 4000)}, timeout=60)
    assert answer.status_code == 413


# ------------------------------------------------------------------------------------------------------- how it is told


def test_what_depends_on_the_address_is_for_one_client_only(archive: Archive, copies: Copies) -> None:
    by_address = archive.get("/datalink/links", ID=str(copies.did)).headers
    assert by_address["Cache-Control"] == "private, no-store"
    assert "X-Forwarded-For" in by_address["Vary"]
    by_place = archive.get("/datalink/links", ID=str(copies.did), SITE="vienna").headers
    assert "private" not in by_place["Cache-Control"]
    assert "X-Forwarded-For" not in by_place["Vary"]


def test_large_answers_are_compressed_for_those_who_ask(archive: Archive) -> None:
    ids = [str(did_of(item, archive)) for item in archive.items]
    for asked in (ids, [*ids, *(f"vo:no-such-{number}" for number in range(1000))]):
        plain, packed = (
            requests.post(
                f"{archive.url}/datalink/links", {"ID": asked}, headers={"Accept-Encoding": coding}, timeout=30
            )
            for coding in ("identity", "gzip")
        )
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.content == plain.content


def test_formats(archive: Archive, copies: Copies) -> None:
    url, query = f"{archive.url}/datalink/links", {"ID": str(copies.did)}
    for headers, form, kind in (
        ({}, None, LINKS_TYPE),
        (JAVA, None, LINKS_TYPE),
        (BROWSER, None, "text/html; charset=utf-8"),
        (BROWSER, "votable", LINKS_TYPE),
        ({}, "text/html", "text/html; charset=utf-8"),
        ({}, "application/x-votable+xml", "application/x-votable+xml"),
    ):
        answer = requests.get(url, query | ({"RESPONSEFORMAT": form} if form else {}), headers=headers, timeout=60)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    refused = archive.get("/datalink/links", RESPONSEFORMAT="application/fits", **query)
    assert refused.status_code == 400
    assert statuses(refused.content) == ["ERROR"]


def test_pages_are_valid_html(archive: Archive, copies: Copies) -> None:
    ids = [str(copies.did), "<b>&\"'", *one_of_each(archive)]
    for query, status in (({"ID": ids}, 200), ({}, 200), ({"ID": ids, "SITE": "<nowhere>"}, 400)):
        page = requests.get(f"{archive.url}/datalink/links", query, headers=BROWSER, timeout=60)
        assert page.status_code == status
        html5lib.HTMLParser(strict=True).parse(page.text)
        assert "<b>" not in page.text
    page = requests.get(f"{archive.url}/datalink/links", {"ID": ids, "SITE": "sydney"}, headers=BROWSER, timeout=60)
    hrefs = [one.get("href") for one in html5lib.parse(page.text, namespaceHTMLElements=False).iter("a")]
    wanted = [row["access_url"] for row in links(archive, *ids, SITE="sydney") if row["access_url"]]
    assert set(wanted) <= set(hrefs)


def test_our_term_is_explained_where_its_uri_leads(archive: Archive, copies: Copies) -> None:
    terms = {row["semantics"] for row in links(archive, str(copies.did)) if not row["semantics"].startswith("#")}
    (term,) = terms
    page = requests.get(term, timeout=60)
    assert page.status_code == 200
    html5lib.HTMLParser(strict=True).parse(page.text)
    section = html5lib.parse(page.text, namespaceHTMLElements=False).find(f".//*[@id='{urlsplit(term).fragment}']")
    assert section is not None
    assert "Another copy" in "".join(section.itertext())


def test_vosi(archive: Archive) -> None:
    for name in ("capabilities", "availability"):
        answer = archive.get(f"/datalink/{name}")
        assert answer.status_code == 200
        assert schema_faults(answer.content) == []
    listed = ElementTree.fromstring(archive.get("/datalink/capabilities").content)
    (ours,) = [one for one in listed.iter("capability") if one.get("standardID") == STANDARD]
    assert ours.findtext("interface/accessURL") == f"{archive.url}/datalink/links"
    assert [one.text for one in ours.iterfind("interface/queryType")] == ["GET", "POST"]


def test_links_go_on_while_rucio_is_down_and_availability_says_so(
    archive: Archive, copies: Copies, tmp_path: Path
) -> None:
    settings = archive.settings.rucio
    assert settings.config is not None
    nowhere = tmp_path / "rucio.cfg"
    nowhere.write_text(re.sub(r"(_host = http://127.0.0.1):\d+", r"\1:1", settings.config.read_text()))

    def look(rucio: dict[str, Any]) -> int:
        environment = {f"{ENVIRONMENT_PREFIX}RUCIO__{name.upper()}": str(value) for name, value in rucio.items()}
        command = ["--home", str(archive.lake.home), "watch", "--once"]
        return CliRunner().invoke(cli, command, env=environment).exit_code

    try:
        assert look({"config": nowhere, "attempts": 1, "timeout": 2}) == 1
        told = archive.get("/datalink/availability").text
        assert links(archive, str(copies.did))
    finally:
        assert look({}) == 0
    assert "<available>true</available>" in told
    assert re.search(r"<note>Rucio does not answer since 20\d\d-[^<]+: links are those of the mirror", told)
    assert "<note>" not in archive.get("/datalink/availability").text


def test_the_next_request_after_the_database_closed_its_connections_is_answered(
    archive: Archive, copies: Copies
) -> None:
    """As a restart does; Rucio's own connections are left alone, which its server is slow to give up."""
    before = links(archive, str(copies.did))
    with owner_of(archive) as connection:
        closed = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'stac-rucio-sync mirror'"
        ).fetchone()
    assert closed is not None
    assert closed[0] > 0
    for _ in range(5):  # whichever process and connection answers
        assert links(archive, str(copies.did)) == before


# ------------------------------------------------------------------------------------------------------------- clients


def linted(url: str) -> tuple[list[str], str]:
    """Return the errors and warnings of datalinklint, and the numbers that it ends with."""
    said = stilts("datalinklint", votable=url, report="EW", maxrepeat=1000, truncate=1000)
    *_, totals = [line for line in said.output.splitlines() if line.startswith("Totals")]
    return [line for line in said.output.splitlines() if re.match(r"[EW]-", line)], totals


@needs_stilts
def test_datalinklint_knows_no_better(archive: Archive, copies: Copies) -> None:
    query = "&".join(f"ID={quote(one)}" for one in (*one_of_each(archive), str(copies.did), "vo:no-such", "nix"))
    for asked in (query, query + "&REPLICAS=this&SITE=sydney", query + "&MAXREC=0", "SITE=vienna"):
        found, totals = linted(f"{archive.url}/datalink/links?{asked}")
        unknown = [re.match(r"E-SMCO-\d+ Unknown predicate '(.+)' from core DataLink", line) for line in found]
        assert all(unknown), found
        assert {one[1] for one in unknown if one} <= NEWER_TERMS
        assert totals == f"Totals: Errors: {len(found)}; Warnings: 0"


@needs_stilts
def test_votlint_finds_nothing(archive: Archive, copies: Copies, tmp_path: Path) -> None:
    for number, query in enumerate(({"ID": [str(copies.did), "vo:é"]}, {})):
        saved = tmp_path / f"{number}.vot"
        saved.write_bytes(archive.get("/datalink/links", **query).content)
        said = stilts("votlint", votable=saved)
        assert (said.code, said.output.strip()) == (0, ""), said.output


@needs_stilts
def test_a_walk_like_topcats_ends_at_the_bytes_of_the_origin(archive: Archive, copies: Copies, tmp_path: Path) -> None:
    """TAP by STILTS, the descriptor in its answer, the links by Java's HTTP client, the file."""
    answer = tmp_path / "observations.vot"
    query = f"SELECT obs_publisher_did, s_ra, s_dec FROM ivoa.obscore WHERE obs_id = '{copies.item['id']}'"  # noqa: S608
    said = stilts("tapquery", tapurl=f"{archive.url}/tap", adql=query, out=answer, ofmt="votable", parse="true")
    assert said.code == 0, said.errors
    raw = archive.get("/tap/sync", LANG="ADQL", QUERY=query, RESPONSEFORMAT="votable/td")
    root = ElementTree.fromstring(raw.content)
    descriptor = root.find(f"{SPACE}RESOURCE[@utype='adhoc:service']")
    assert descriptor is not None
    told = {str(one.get("name")): str(one.get("value")) for one in descriptor.findall(f"{SPACE}PARAM")}
    assert told["standardID"] == STANDARD
    (parameter,) = descriptor.findall(f"{SPACE}GROUP[@name='inputParams']/{SPACE}PARAM[@ref]")
    fields = [field.get("ID") for field in root.iter(f"{SPACE}FIELD")]
    assert fields.index(parameter.get("ref")) == 0
    (did,) = [str(row["obs_publisher_did"]) for row in parse_single_table(str(answer)).to_table()]
    url = f"{told['accessURL']}?{parameter.get('name')}={quote(did, safe='')}"
    rows = table_of("tpipe", tmp_path, in_=url, ifmt="votable")
    (this,) = [row for row in rows if row["semantics"] == "#this"]
    origin = requests.get(copies.item["assets"]["image"]["href"], timeout=60).content
    assert requests.get(this["access_url"], headers=JAVA, timeout=60).content == origin
    assert int(this["content_length"]) == len(origin)


def test_pyvo_goes_from_a_query_to_the_links_of_each_row(archive: Archive, copies: Copies) -> None:
    tap = pyvo.dal.TAPService(f"{archive.url}/tap")
    found = tap.search("SELECT TOP 120 obs_publisher_did FROM ivoa.obscore")
    seen = [{str(did) for did in one["ID"]} for one in found.iter_datalinks()]
    assert all(len(dids) == 1 for dids in seen)
    assert set.union(*seen) == {str(row["obs_publisher_did"]) for row in found}
    images = pyvo.dal.SIA2Service(f"{archive.url}/sia2").search(maxrec=3)
    assert [len(one) > 0 for one in images.iter_datalinks()] == [True] * 3


def test_pyvo_finds_links_by_their_terms(
    archive: Archive, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tmp_path / "core.json"
    narrower = {"preview": ["thumbnail"]}
    terms = {term: {"label": term, "narrower": narrower.get(term, [])} for term in ("this", "preview", "thumbnail")}
    stored.write_bytes(orjson.dumps({"terms": terms}))
    monkeypatch.setattr(vocabularies, "download_file", lambda *_, **__: str(stored))
    vocabularies.get_vocabulary.cache_clear()
    try:
        found = pyvo.dal.adhoc.DatalinkResults.from_result_url(
            f"{archive.url}/datalink/links?ID={quote(str(copies.did))}&SITE=san-francisco"
        )
        (this,) = found.bysemantics("#this")
        assert this["rse"] == "SANFRANCISCO-DISK"
        assert len(list(found.bysemantics("#preview"))) == 1
        assert len(list(found.bysemantics(f"{archive.url}/terms#replica"))) == 6
        data = this.getdataset().read()
    finally:
        vocabularies.get_vocabulary.cache_clear()
    assert data == requests.get(copies.item["assets"]["image"]["href"], timeout=60).content


def test_astropy_reads_the_answer_without_a_word(archive: Archive, copies: Copies) -> None:
    content = archive.get("/datalink/links", ID=[str(copies.did), "vo:é"]).content
    table = parse(BytesIO(content), verify="exception").get_first_table().to_table()
    assert table["content_length"].dtype.kind == "i"
    assert table["link_authorized"].dtype.kind == "b"


def test_a_thousand_ids_come_in_one_request(archive: Archive) -> None:
    ids = [str(did_of(item, archive)) for item in archive.items]
    ids += [f"vo:no-such-{number}" for number in range(1000 - len(ids))]
    answer = requests.post(f"{archive.url}/datalink/links", data={"ID": ids, "SITE": "vienna"}, timeout=60)
    rows = rows_of(answer.content)
    assert list(dict.fromkeys(row["ID"] for row in rows)) == ids
    assert sum((row["error_message"] or "").startswith("NotFoundFault") for row in rows) == 1000 - len(archive.items)


def test_an_answer_of_many_ids_is_the_same_in_pieces(archive: Archive) -> None:
    ids = [f"vo:no-such-{number}" for number in range(2300)]
    ids[1990:1990] = [str(did_of(item, archive)) for item in archive.items]
    url = f"{archive.url}/datalink/links"
    whole = requests.post(url, data={"ID": ids, "SITE": "vienna"}, timeout=60)
    rows = rows_of(whole.content)
    assert list(dict.fromkeys(row["ID"] for row in rows)) == ids
    assert statuses(whole.content) == ["OK"]
    assert votable_faults(whole.content) == []
    some = [
        rows_of(requests.post(url, data={"ID": part, "SITE": "vienna"}, timeout=60).content)
        for part in (ids[:1000], ids[1000:2000], ids[2000:])
    ]
    some_rows = [row for part in some for row in part]
    # Each answer numbers its own services, and describes so many.
    assert [row for row in rows if not row["service_def"]] == [row for row in some_rows if not row["service_def"]]
    for most in (500, 1000, 1001, 2001, len(rows)):
        cut = requests.post(url, data={"ID": ids, "SITE": "vienna", "MAXREC": most}, timeout=60)
        found = rows_of(cut.content)
        assert found == rows[: len(found)]
        assert most - 20 < len(found) <= most
        assert statuses(cut.content) == (["OK"] if most == len(rows) else ["OK", "OVERFLOW"])
