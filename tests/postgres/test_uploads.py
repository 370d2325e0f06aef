"""Uploaded tables on a real PostgreSQL: what is read from VOTables is what astropy wrote, and nothing stays behind."""

from __future__ import annotations

import base64
import gzip
import io
import math
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import psycopg
import pytest
from astropy.io.votable import from_table
from astropy.table import Column as AstropyColumn
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable
from psycopg import errors, sql

from obscore_tap.refusals import Refusal, TooLarge
from obscore_tap.schema import Datatype, Published, Table
from obscore_tap.uploads import UploadLimits, Uploads
from obscore_tap.uploads.load import UPLOAD_LOCKS
from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database, Server, make_database

SERIALIZATIONS = ("tabledata", "binary", "binary2")
LIMITS = UploadLimits(bytes=3_000_000, rows=20_000, seconds=20)


@pytest.fixture(scope="module")
def database(server: Server, template: str) -> Iterator[Database]:
    """One for all tests here: each leaves it as it was."""
    yield from make_database(server, template)


@pytest.fixture
def uploads(database: Database) -> Iterator[Uploads]:
    with closing(Uploads(database.jobs_url, LIMITS)) as uploads:
        yield uploads


@pytest.fixture
def reader(database: Database) -> Iterator[psycopg.Connection]:
    """The role that users' queries run as."""
    with psycopg.connect(database.query_url, autocommit=True) as connection:
        yield connection


def votable(fields: str, rows: str = "", head: str = "") -> bytes:
    """Return a VOTable in TABLEDATA, ``rows`` having its TRs."""
    return (
        f'<?xml version="1.0"?>{head}<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        f"{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()


def cells(*values: str) -> str:
    return "<TR>" + "".join(f"<TD>{value}</TD>" for value in values) + "</TR>"


def written(table: AstropyTable, form: str, version: str = "1.4") -> bytes:
    document = from_table(table)
    document.version = version
    for field in document.get_first_table().fields:
        if field.datatype == "int" and not field.arraysize:
            field.values.null = -(2**31)  # BINARY has no other way to say null
    file = io.BytesIO()
    document.to_xml(file, tabledata_format=form)
    return file.getvalue()


def load(uploads: Uploads, stack: ExitStack, **documents: bytes) -> tuple[Table, ...]:
    parts = {f"part-{name}": io.BytesIO(document) for name, document in documents.items()}
    asked = uploads.requested([f"{name},param:part-{name}" for name in documents], parts)
    return stack.enter_context(uploads.loaded(asked))


def rows_of(reader: psycopg.Connection, table: Table) -> list[tuple[Any, ...]]:
    columns = sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns)
    return reader.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(*table.relation))).fetchall()


def loaded_rows(uploads: Uploads, reader: psycopg.Connection, document: bytes) -> list[tuple[Any, ...]]:
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=document)
        return rows_of(reader, table)


# --------------------------------------------------------------------------------------------- what astropy has written


def scalars() -> AstropyTable:
    table = AstropyTable()
    table["name"] = ["plain", "tab\tand\\back", "ünï \U0001f30c"[:5]]
    table["ra"] = AstropyColumn([0.1, -1e300, np.nan], unit="deg", description="Right ascension")
    table["ra"].meta["ucd"] = "pos.eq.ra;meta.main"
    table["single"] = np.array([0.1, np.inf, -np.inf], dtype="f4")
    table["short"] = np.array([-32768, 0, 32767], dtype="i2")
    table["int"] = MaskedColumn([-(2**31) + 1, 5, 2**31 - 1], mask=[False, True, False], dtype="i4")
    table["long"] = np.array([-(2**63) + 1, 2**53 + 1, 2**63 - 1], dtype="i8")
    table["byte"] = np.array([0, 127, 255], dtype="u1")
    table["flag"] = [True, False, True]
    return table


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.5"])
@pytest.mark.parametrize("form", SERIALIZATIONS)
def test_values_are_those_that_were_written(
    uploads: Uploads, reader: psycopg.Connection, form: str, version: str
) -> None:
    table = scalars()
    rows = loaded_rows(uploads, reader, written(table, form, version))
    assert [row[0] for row in rows] == list(table["name"])
    assert [row[1] for row in rows] == [0.1, -1e300, None]
    assert [row[2] for row in rows] == [pytest.approx(0.1, rel=1e-6), math.inf, -math.inf]
    assert [row[3] for row in rows] == [-32768, 0, 32767]
    assert [row[4] for row in rows] == [-(2**31) + 1, None, 2**31 - 1]
    assert [row[5] for row in rows] == [-(2**63) + 1, 2**53 + 1, 2**63 - 1]
    assert [row[6] for row in rows] == [0, 127, 255]
    assert [row[7] for row in rows] == [True, False, True]


@pytest.mark.parametrize("form", SERIALIZATIONS)
def test_arrays_are_those_that_were_written(uploads: Uploads, reader: psycopg.Connection, form: str) -> None:
    table = AstropyTable()
    table["doubles"] = np.array([[1.5, 2.5], [np.nan, 4.0]])
    table["ints"] = np.array([[1, -2, 3], [4, 5, 6]], dtype="i4")
    table["matrix"] = np.arange(8, dtype="f4").reshape(2, 2, 2)
    table["bytes"] = np.array([[0, 255], [1, 2]], dtype="u1")
    table["longs"] = np.array([[2**53 + 1, -1], [0, 1]], dtype="i8")
    table["complex"] = np.array([1 + 2j, 3 - 4j])
    table["flags"] = np.array([[True, False], [False, False]])
    first, second = loaded_rows(uploads, reader, written(table, form))
    assert first == ([1.5, 2.5], [1, -2, 3], [0, 1, 2, 3], b"\x00\xff", "9007199254740993 -1", [1, 2], "10")
    assert math.isnan(second[0][0])
    assert second[1:] == ([4, 5, 6], [4, 5, 6, 7], b"\x01\x02", "0 1", [3, -4], "00")


@pytest.mark.parametrize(("form", "flags"), [("BINARY", b""), ("BINARY2", b"\0")])
def test_arrays_of_varying_length_are_read(
    uploads: Uploads, reader: psycopg.Connection, form: str, flags: bytes
) -> None:
    first = flags + struct.pack(">i2di2s", 2, 1.0, 2.0, 2, b"ab")
    second = flags + struct.pack(">idi", 1, 3.0, 0)
    last = b"\xc0" + struct.pack(">ii", 0, 0) if flags else b""
    stream = f'<{form}><STREAM encoding="base64">{base64.b64encode(first + second + last).decode()}</STREAM></{form}>'
    fields = '<FIELD name="v" datatype="double" arraysize="*"/><FIELD name="s" datatype="char" arraysize="*"/>'
    document = votable(fields).replace(b"<TABLEDATA></TABLEDATA>", stream.encode())
    rows = loaded_rows(uploads, reader, document)
    empty = "" if flags else None  # only BINARY2 tells an empty string from none
    assert rows == [([1.0, 2.0], "ab"), ([3.0], empty), *([(None, None)] if flags else [])]


def test_columns_keep_what_is_said_of_them(uploads: Uploads) -> None:
    fields = (
        '<FIELD name="ra" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main" utype="a:b.c"><DESCRIPTION> Right\n '
        'ascension </DESCRIPTION></FIELD><FIELD name="when" datatype="char" arraysize="*" xtype="timestamp"/>'
        '<FIELD name="u" datatype="unicodeChar" arraysize="*"/><FIELD name="c" datatype="char" arraysize="3"/>'
    )
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=votable(fields))
    assert table.full_name == "TAP_UPLOAD.t"
    one = table.columns[0]
    assert (one.name, one.datatype, one.unit, one.ucd) == ("ra", Datatype.DOUBLE, "deg", "pos.eq.ra;meta.main")
    assert (one.utype, one.description) == ("a:b.c", "Right ascension")
    assert (table.columns[1].datatype, table.columns[1].xtype) == (Datatype.TIMESTAMP, "timestamp")
    assert [column.unicode for column in table.columns[2:]] == [True, False]


def test_char_columns_with_more_than_ascii_say_so(uploads: Uploads, reader: psycopg.Connection) -> None:
    fields = '<FIELD name="c" datatype="char" arraysize="*"/><FIELD name="d" datatype="char" arraysize="*"/>'
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=votable(fields, cells("é", "e")))
        assert [column.unicode for column in table.columns] == [True, False]
        assert rows_of(reader, table) == [("é", "e")]


def test_names_that_are_no_regular_identifiers_are_delimited(uploads: Uploads) -> None:
    names = ["ra", "size", "my col", "2mass", "a&quot;b", "Ra", "ra"]
    fields = "".join(f'<FIELD name="{name}" datatype="int"/>' for name in names)
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=votable(fields))
    assert [column.name for column in table.columns] == [
        "ra", '"size"', '"my col"', '"2mass"', '"a""b"', "Ra", "ra_2",
    ]  # fmt: skip
    assert [column.bare_name for column in table.columns][4] == 'a"b'


def test_shapes_become_shapes(uploads: Uploads, reader: psycopg.Connection) -> None:
    fields = (
        '<FIELD name="p" datatype="double" arraysize="2" xtype="point"/>'
        '<FIELD name="c" datatype="double" arraysize="3" xtype="circle"/>'
        '<FIELD name="y" datatype="float" arraysize="*" xtype="polygon"/>'
        '<FIELD name="i" datatype="int" arraysize="2" xtype="interval"/>'
        '<FIELD name="o" datatype="char" arraysize="*" xtype="adql:POINT"/>'
    )
    row = cells("10.5 -20", "10 20 0.5", "0 0 10 0 10 10", "1 5", "Position ICRS 30 40")
    empty = cells("NaN NaN", "", "", "", "")
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=votable(fields, row + empty))
        assert [column.datatype for column in table.columns] == [
            Datatype.POINT, Datatype.CIRCLE, Datatype.POLYGON, Datatype.INTERVAL, Datatype.POINT,
        ]  # fmt: skip
        asked = sql.SQL(
            "SELECT degrees(long(c1)), degrees(lat(c1)), degrees(radius(c2)), npoints(c3), c4, degrees(lat(c5)) FROM {}"
        )
        found = reader.execute(asked.format(sql.Identifier(*table.relation))).fetchall()
    assert found[0] == (pytest.approx(10.5), pytest.approx(-20), pytest.approx(0.5), 3, [1, 5], pytest.approx(40))
    assert found[1] == (None,) * 6


def test_times_and_words_for_null_are_understood(uploads: Uploads, reader: psycopg.Connection) -> None:
    fields = (
        '<FIELD name="t" datatype="char" arraysize="*" xtype="timestamp"/><FIELD name="b" datatype="boolean"/>'
        '<FIELD name="i" datatype="int"><VALUES null="-9"/></FIELD><FIELD name="h" datatype="short"/>'
        '<FIELD name="f" datatype="float"/><FIELD name="bits" datatype="bit" arraysize="4"/>'
    )
    rows = (
        cells("2020-02-29T12:00:00.125Z", "true", "-9", "0x1F", " +Inf ", "1010")
        + cells("2020-02-29", "?", "", "", "", "")
        + cells("", "0", "7", "-1", "1e3", "0001")
    )
    first, second, third = loaded_rows(uploads, reader, votable(fields, rows))
    assert (first[0].isoformat(), *first[1:]) == ("2020-02-29T12:00:00.125000", True, None, 31, math.inf, "1010")
    assert (second[0].isoformat(), *second[1:]) == ("2020-02-29T00:00:00", None, None, None, None, None)
    assert third == (None, False, 7, -1, 1000, "0001")


# ------------------------------------------------------------------------------------------------------ one's own table


def test_several_tables_come_in_one_request(uploads: Uploads, reader: psycopg.Connection) -> None:
    field = '<FIELD name="a" datatype="int"/>'
    with ExitStack() as stack:
        tables = load(uploads, stack, one=votable(field, cells("1")), two=votable(field, cells("2")))
        assert [rows_of(reader, table) for table in tables] == [[(1,)], [(2,)]]
        published = Published([]).with_tables(tables)
        assert published.get("tap_upload", "TWO") is tables[1]


def test_gzip_is_decompressed(uploads: Uploads, reader: psycopg.Connection) -> None:
    document = votable('<FIELD name="a" datatype="int"/>', cells("1"))
    assert loaded_rows(uploads, reader, gzip.compress(document)) == [(1,)]


def test_a_table_without_rows_has_its_columns(uploads: Uploads, reader: psycopg.Connection) -> None:
    document = b'<VOTABLE version="1.1"><RESOURCE><TABLE><FIELD name="a" datatype="int"/></TABLE></RESOURCE></VOTABLE>'
    assert loaded_rows(uploads, reader, document) == []


def test_tables_are_gone_after_the_query_however_it_ends(
    uploads: Uploads, reader: psycopg.Connection, admin: psycopg.Connection
) -> None:
    document = votable('<FIELD name="a" datatype="int"/>', cells("1"))
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=document)
    with pytest.raises(errors.UndefinedTable):
        rows_of(reader, table)
    with pytest.raises(ZeroDivisionError), ExitStack() as stack:
        assert load(uploads, stack, t=document)[1 // 0]
    with pytest.raises(Refusal), ExitStack() as stack:
        load(uploads, stack, t=document, broken=b"<VOTABLE>")
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'tap_upload'::regnamespace AND relkind = 'r'"
    assert admin.execute(left).fetchone() == (0,)
    assert admin.execute("SELECT count(*) FROM pg_locks WHERE classid = %s", [UPLOAD_LOCKS]).fetchone() == (0,)


def test_the_tables_of_the_dead_are_swept_and_those_of_the_living_are_not(
    database: Database, uploads: Uploads, reader: psycopg.Connection, admin: psycopg.Connection
) -> None:
    document = votable('<FIELD name="a" datatype="int"/>', cells("1"))
    with ExitStack() as stack:
        (living,) = load(uploads, stack, t=document)
        with psycopg.connect(database.jobs_url, autocommit=True) as other:
            other.execute("CREATE UNLOGGED TABLE tap_upload.u900000_0 (c1 integer)")  # and its process is no more
        with closing(Uploads(database.jobs_url, LIMITS)) as another:
            another.sweep()
        assert rows_of(reader, living) == [(1,)]
        assert admin.execute("SELECT to_regclass('tap_upload.u900000_0')").fetchone() == (None,)


def test_queries_can_read_uploads_and_not_write_them(
    database: Database, uploads: Uploads, reader: psycopg.Connection
) -> None:
    apply_schema(database.admin_url)
    with ExitStack() as stack:
        (table,) = load(uploads, stack, t=votable('<FIELD name="a" datatype="int"/>', cells("1")))
        place = sql.Identifier(*table.relation)
        for statement in ("DELETE FROM {}", "DROP TABLE {}", "CREATE TABLE tap_upload.own AS SELECT * FROM {}"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(sql.SQL(statement).format(place))


# --------------------------------------------------------------------------------------------------------- bad requests


@pytest.mark.parametrize(
    "value",
    [
        "t", "t,", ",param:x", "t,param:none", "1t,param:x", "t.u,param:x", "t u,param:x", '"t",param:x', "é,param:x",
        "select,param:x", "t,file:///etc/passwd", "t,ftp://example.org/t", "t,vos://example.org!vospace/t",
        "t,param:x;T,param:x", "x" * 65 + ",param:x",
    ],
)  # fmt: skip
def test_values_that_name_no_table_are_refused(uploads: Uploads, value: str) -> None:
    with pytest.raises(Refusal) as refused:
        uploads.requested([value], {"x": io.BytesIO()})
    assert refused.value.status == 400


def test_several_pairs_may_stand_in_one_value(uploads: Uploads) -> None:
    asked = uploads.requested(["a,param:x;b,http://example.org/q;v=1", "c,param:x"], {"x": io.BytesIO()})
    assert [upload.name for upload in asked] == ["a", "b", "c"]
    assert asked[1].source == "http://example.org/q;v=1"


INT = '<FIELD name="a" datatype="int"/>'


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"", "XML"),
        (b"no xml", "XML"),
        (votable(INT, cells("1"))[:-20], "XML"),
        (b"<html/>", "VOTABLE"),
        (b"<VOTABLE><RESOURCE/></VOTABLE>", "without a table"),
        (votable(""), "no FIELD"),
        (votable('<FIELD name="a" datatype="integer"/>'), "integer"),
        (votable('<FIELD name="a" datatype="int" arraysize="x"/>'), "arraysize"),
        (votable(INT, cells("1") + cells("one")), "row 2, column 'a'"),
        (votable(INT, cells("3000000000")), "row 1, column 'a'"),
        (votable(INT, cells("1_0")), "row 1, column 'a'"),
        (votable(INT, cells("1", "2")), "row 1"),
        (votable(INT + '<FIELD name="b" datatype="int"/>', cells("1")), "row 1"),
        (votable('<FIELD name="t" datatype="char" arraysize="*" xtype="timestamp"/>', cells("2020-13-01")), "row 1"),
        (votable('<FIELD name="t" datatype="char" arraysize="*" xtype="timestamp"/>', cells("now")), "row 1"),
        (votable('<FIELD name="p" datatype="double" arraysize="2" xtype="point"/>', cells("10 91")), "row 1"),
        (votable('<FIELD name="y" datatype="float" arraysize="*" xtype="polygon"/>', cells("0 0 1 1 0 1 1 0")), "row"),
        (votable(INT, cells("1"), head="<!DOCTYPE VOTABLE>"), "document type"),
        (votable(INT, '<TR><TD encoding="base64">MQ==</TD></TR>'), "encoding.*BINARY2"),
        (
            votable(INT).replace(b"<TABLEDATA></TABLEDATA>", b'<FITS><STREAM encoding="base64">AAAA</STREAM></FITS>'),
            "FITS.*BINARY2",
        ),
    ],
)  # fmt: skip
def test_documents_that_are_no_tables_are_refused(uploads: Uploads, document: bytes, told: str) -> None:
    with pytest.raises(Refusal, match=told) as refused, ExitStack() as stack:
        load(uploads, stack, mine=document)
    assert refused.value.status == 400
    assert "mine" in str(refused.value)


@pytest.mark.parametrize(
    "entity",
    [
        '<!ENTITY a "b">', '<!ENTITY a SYSTEM "file:///etc/passwd">', '<!ENTITY % a SYSTEM "http://127.0.0.1/"> %a;',
    ],
)  # fmt: skip
def test_entities_are_refused(uploads: Uploads, entity: str) -> None:
    document = votable(INT, cells("&a;"), head=f"<!DOCTYPE x [{entity}]>")
    with pytest.raises(Refusal, match="document type"), ExitStack() as stack:
        load(uploads, stack, t=document)


@pytest.mark.parametrize(
    "stream",
    [
        '<STREAM href="file:///etc/passwd" encoding="base64"/>', '<STREAM href="http://127.0.0.1/"/>',
        "<STREAM>AA==</STREAM>",
        '<STREAM encoding="base64">AAA=</STREAM>', '<STREAM encoding="base64">AAAAAQ</STREAM>',
        '<STREAM encoding="base64">!!!!</STREAM>',
    ],
)  # fmt: skip
def test_streams_that_cannot_be_read_are_refused(uploads: Uploads, stream: str) -> None:
    document = votable(INT).replace(b"<TABLEDATA></TABLEDATA>", f"<BINARY>{stream}</BINARY>".encode())
    with pytest.raises(Refusal), ExitStack() as stack:
        load(uploads, stack, t=document)


# --------------------------------------------------------------------------------------------------------------- limits


def test_too_many_rows_bytes_columns_and_tables_are_refused(uploads: Uploads) -> None:
    many = {
        "rows": {"t": votable('<FIELD name="a" datatype="int"/>', cells("1") * 20_001)},
        "bytes": {name: votable(INT, " " * 1_600_000) for name in "ab"},
        "gzip": {"t": gzip.compress(votable(INT, " " * 50_000_000))},
        "columns": {"t": votable(INT * 501)},
        "tables": {f"t{number}": votable(INT) for number in range(21)},
    }
    for documents in many.values():
        with pytest.raises(TooLarge) as refused, ExitStack() as stack:
            load(uploads, stack, **documents)
        assert refused.value.status == 413


@pytest.mark.parametrize(
    "document",
    [
        votable('<FIELD name="a" datatype="double" arraysize="999999999x999999999"/>', cells("")),
        votable('<FIELD name="a" datatype="int"/>').replace(b"<TABLE>", b'<TABLE nrows="999999999999">'),
        votable('<FIELD name="a" datatype="double" arraysize="0"/>').replace(
            b"<TABLEDATA></TABLEDATA>", b'<BINARY><STREAM encoding="base64">AAAA</STREAM></BINARY>'
        ),
        votable('<FIELD name="a" datatype="double" arraysize="*"/>').replace(
            b"<TABLEDATA></TABLEDATA>", b'<BINARY><STREAM encoding="base64">f////w==</STREAM></BINARY>'
        ),
        votable(INT, "<A>" * 5000 + "</A>" * 5000),
    ],
)
def test_what_a_table_claims_costs_nothing(uploads: Uploads, document: bytes) -> None:
    tracemalloc.start()
    begun = time.monotonic()
    try:
        with ExitStack() as stack:
            load(uploads, stack, t=document)
    except Refusal:
        pass  # whether it is refused or read is not the question here
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert time.monotonic() - begun < 30


def test_memory_does_not_grow_with_the_rows(database: Database) -> None:
    rows = "".join(cells(f"ivo://x/y?s:{number}", "1.5", "2.5") for number in range(60_000))
    fields = (
        '<FIELD name="d" datatype="char" arraysize="*"/><FIELD name="a" datatype="double"/>'
        '<FIELD name="b" datatype="double"/>'
    )
    document = votable(fields, rows)
    with closing(Uploads(database.jobs_url, UploadLimits())) as uploads:
        tracemalloc.start()
        with ExitStack() as stack:
            load(uploads, stack, t=document)
            _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < len(document) + 10_000_000  # the document itself is in memory here


# ------------------------------------------------------------------------------------------------------- fetched by URI


class _Web(BaseHTTPRequestHandler):
    documents: dict[str, bytes]

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/table")
            self.end_headers()
            return
        document = self.documents.get(self.path)
        self.send_response(200 if document is not None else 404)
        self.end_headers()
        self.wfile.write(document or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    _Web.documents = {
        "/table": votable('<FIELD name="a" datatype="int"/>', cells("7")),
        "/large": votable('<FIELD name="a" datatype="int"/>', " " * 5_000_000),
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_table_is_fetched_where_that_is_allowed(database: Database, reader: psycopg.Connection, web: str) -> None:
    limits = UploadLimits(bytes=1_000_000, allow_private=True)
    with closing(Uploads(database.jobs_url, limits)) as uploads:
        for path in ("/table", "/away"):
            with uploads.loaded(uploads.requested([f"t,{web}{path}"], {})) as tables:
                assert rows_of(reader, tables[0]) == [(7,)]
        with pytest.raises(Refusal, match="404"), uploads.loaded(uploads.requested([f"t,{web}/none"], {})):
            pass
        with pytest.raises(TooLarge), uploads.loaded(uploads.requested([f"t,{web}/large"], {})):
            pass


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433"]
)  # fmt: skip
def test_private_addresses_are_not_asked(uploads: Uploads, web: str, host: str) -> None:
    url = f"http://{host}:{web.rpartition(':')[2]}/table"
    with pytest.raises(Refusal, match="private|cannot be fetched"), uploads.loaded(uploads.requested([f"t,{url}"], {})):
        pass
