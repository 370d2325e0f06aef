"""Every type in every format, from PostgreSQL and back through other people's readers."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from astropy.io.votable import parse
from pyarrow import parquet

from obscore_tap.database import Database
from obscore_tap.results import Info, negotiate
from obscore_tap.running import Answer, run
from obscore_tap.schema import Datatype, OutputColumn, Translation
from tests.postgres.conftest import Server, make_database

D = Datatype
SQUARE = [10.0, 10.0, 11.0, 10.0, 11.0, 11.0, 10.0, 11.0]
TRIANGLE = [0.5, -0.5, 1.5, -0.5, 1.0, 0.5]
NASTY = "a <b> & 'c' \"d\", e\t\n]]> f"
WIDE = "Ωmega – 漢字 😀"

# Name, type, whether it is unicode, and for each row what SQL writes and what a reader must find.
VALUES: list[tuple[str, Datatype, bool, list[tuple[str, Any]]]] = [
    ("short", D.SMALLINT, False, [("-1", -1), ("NULL", None), ("32767", 32767)]),
    ("int", D.INTEGER, False, [("65536", 65536), ("NULL", None), ("-2147483647", -2147483647)]),
    ("long", D.BIGINT, False, [("9007199254740993", 9007199254740993), ("NULL", None), ("-5", -5)]),
    ("real", D.REAL, False, [("0.1", np.float32(0.1)), ("NULL", None), ("1e-30", np.float32(1e-30))]),
    ("double", D.DOUBLE, False, [("0.1", 0.1), ("NULL", None), ("1.7976931348623157e308", 1.7976931348623157e308)]),
    ("yes", D.BOOLEAN, False, [("true", True), ("NULL", None), ("false", False)]),
    ("counts", D.INTEGERS, False, [("ARRAY[1,0,-7]", [1, 0, -7]), ("NULL", None), ("ARRAY[2147483647]", [2147483647])]),
    ("plain", D.TEXT, False, [("'plain'", "plain"), ("NULL", None), (f"E{NASTY!r}", NASTY)]),
    ("wide", D.TEXT, True, [(f"'{WIDE}'", WIDE), ("NULL", None), ("'ascii'", "ascii")]),
    (
        "when",
        D.TIMESTAMP,
        False,
        [("'2026-11-21 12:00:00.25'", "2026-11-21T12:00:00.25"), ("NULL", None), ("'infinity'", None)],
    ),
    (
        "place",
        D.POINT,
        False,
        [("spoint(0.5, -0.25)", np.degrees([0.5, -0.25])), ("NULL", None), ("spoint(0,0)", [0, 0])],
    ),
    (
        "around",
        D.CIRCLE,
        False,
        [
            ("scircle(spoint(1, 0.5), 0.1)", np.degrees([1, 0.5, 0.1])),
            ("NULL", None),
            ("scircle(spoint(0,0),0)", [0, 0, 0]),
        ],
    ),
    (
        "outline",
        D.POLYGON,
        False,
        [
            ("spoly '{(10d,10d),(11d,10d),(11d,11d),(10d,11d)}'", SQUARE),
            ("NULL", None),
            ("spoly '{(0.5d,-0.5d),(1.5d,-0.5d),(1d,0.5d)}'", np.mod(TRIANGLE, 360)),
        ],
    ),
    ("corners", D.DOUBLES, False, [(f"ARRAY{SQUARE}", SQUARE), ("NULL", None), (f"ARRAY{TRIANGLE}", TRIANGLE)]),
    ("span", D.INTERVAL, False, [("ARRAY[1.5,2.5]", [1.5, 2.5]), ("NULL", None), ("ARRAY[-1,1e10]", [-1, 1e10])]),
]
# astropy 8 gives longitudes and latitudes of a polygon as they stand; pgSphere has them in [0, 2 pi) and [-pi/2, pi/2].
VALUES[12][3][2] = (VALUES[12][3][2][0], TRIANGLE)


def everything() -> Translation:
    rows = range(3)
    selects = [
        "SELECT "
        + ", ".join(
            f"({values[row][0]})::{datatype.value} AS x{number}"
            for number, (_, datatype, _, values) in enumerate(VALUES)
        )
        for row in rows
    ]
    columns = tuple(OutputColumn(name, datatype, unicode=unicode) for name, datatype, unicode, _ in VALUES)
    return Translation(" UNION ALL ".join(selects), columns, frozenset())


EVERYTHING = everything()


@pytest.fixture(scope="module")
def service(server: Server, template: str) -> Iterator[Database]:
    for urls in make_database(server, template):
        made = Database(urls.reader_url, connections=2)
        yield made
        made.close()


def read(answer: Answer) -> bytes:
    return b"".join(answer.chunks)


def answered(service: Database, form: str, translation: Translation = EVERYTHING, max_rows: int = 100) -> Answer:
    return run(service, translation, negotiate(form), max_rows=max_rows, timeout=30)


def assert_same(found: Any, expected: Any, what: str) -> None:
    if isinstance(expected, str | bool | int):
        assert found == expected, what
    elif expected is not None:
        np.testing.assert_allclose(
            np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=1e-7, atol=1e-12
        )


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.5"])
@pytest.mark.parametrize("name", ["votable/b2", "votable/b", "votable/td"])
def test_astropy_reads_every_type_back(service: Database, name: str, version: str) -> None:
    body = read(answered(service, f"{name};version={version}"))
    table = parse(io.BytesIO(body), verify="exception").get_first_table()
    assert len(table.array) == 3
    for name_of, datatype, _, values in VALUES:
        for row, (_, expected) in enumerate(values):
            found = table.array[name_of][row]
            if expected is not None:
                assert_same(found, expected, f"{name_of} {row}")
            elif datatype in {D.TEXT, D.TIMESTAMP}:
                assert np.ma.is_masked(found) or not str(found)
            else:
                assert np.all(np.ma.getmaskarray(np.ma.asarray(found)) | _nan(found)), f"{name_of} {row}: {found!r}"


def _nan(found: Any) -> Any:
    array = np.ma.getdata(np.ma.asarray(found))
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def test_binary2_flags_nulls_and_gives_their_bytes_a_harmless_value(service: Database) -> None:
    table = parse(io.BytesIO(read(answered(service, "votable/b2")))).get_first_table()
    flags = [
        bool(np.all(table.array.mask[name][1]))
        for name, datatype, _, _ in VALUES
        if datatype in (D.SMALLINT, D.DOUBLE, D.BOOLEAN)
    ]
    assert flags == [True, True, True]


def test_csv_has_a_header_crlf_and_doubled_quotes_and_tells_null_from_empty(service: Database) -> None:
    columns = (OutputColumn("a,b", D.TEXT), OutputColumn("c", D.TEXT), OutputColumn("d", D.DOUBLE))
    translation = Translation(
        "SELECT 'say \"x\", y'::text, ''::text, NULL::float8 UNION ALL SELECT NULL, 'z', 1.5", columns, frozenset()
    )
    assert read(answered(service, "csv", translation)) == b'"a,b",c,d\r\n"say ""x"", y","",\r\n,"z",1.5\r\n'


def test_csv_reads_back(service: Database) -> None:
    body = read(answered(service, "csv")).decode()
    header, *rows = csv.reader(io.StringIO(body, newline=""))
    assert header == [name for name, *_ in VALUES]
    for row, found in enumerate(rows):
        for (name, datatype, _, values), text in zip(VALUES, found, strict=True):
            expected = values[row][1]
            if expected is None:
                assert text == "", name
            elif isinstance(expected, bool):
                assert text == str(expected).lower()
            elif isinstance(expected, str | int):
                assert text == str(expected)
            else:
                assert_same(
                    [float(part) for part in text.split()] if " " in text else float(text),
                    expected,
                    f"{name} {datatype}",
                )


def test_tsv_has_one_line_a_row_whatever_the_values_hold(service: Database) -> None:
    lines = read(answered(service, "tsv")).decode().split("\n")
    assert lines[0].split("\t") == [name for name, *_ in VALUES]
    assert lines.pop() == ""
    assert [len(line.split("\t")) for line in lines] == [len(VALUES)] * 4
    assert lines[3].split("\t")[7] == NASTY.replace("\t", " ").replace("\n", " ")


def test_json_reads_back(service: Database) -> None:
    found = json.loads(read(answered(service, "json")))
    assert [column["name"] for column in found["columns"]] == [name for name, *_ in VALUES]
    assert found["columns"][10] == {"name": "place", "datatype": "double", "arraysize": "2", "xtype": "point"}
    assert found["status"] == "OK"
    for row, cells in enumerate(found["data"]):
        for (name, _, _, values), cell in zip(VALUES, cells, strict=True):
            expected = values[row][1]
            assert (cell is None) == (expected is None), name
            assert_same(cell, expected, name)


def test_parquet_reads_back_with_the_votable_beside_it(service: Database) -> None:
    body = read(answered(service, "parquet"))
    table = parquet.read_table(io.BytesIO(body))
    for name, _, _, values in VALUES:
        for row, (_, expected) in enumerate(values):
            found = table.column(name)[row].as_py()
            assert (found is None) == (expected is None), f"{name} {row} {found}"
            assert_same(found, expected, name)
    metadata = table.schema.metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    votable = parse(io.BytesIO(metadata[b"IVOA.VOTable-Parquet.content"]), verify="exception").get_first_table()
    assert [field.name for field in votable.fields] == table.column_names
    assert [str(field.datatype) for field in votable.fields][:6] == [
        "short",
        "int",
        "long",
        "float",
        "double",
        "boolean",
    ]


def test_parquet_names_columns_apart_and_keeps_empty_text(service: Database) -> None:
    translation = Translation("SELECT ''::text, NULL::text", (OutputColumn("a", D.TEXT),) * 2, frozenset())
    table = parquet.read_table(io.BytesIO(read(answered(service, "parquet", translation))))
    assert table.to_pylist() == [{"a": "", "a_2": None}]


@pytest.mark.parametrize("name", ["votable/td", "json", "votable/b2", "csv", "parquet"])
def test_numbers_that_are_none(service: Database, name: str) -> None:
    translation = Translation(
        "SELECT 'NaN'::float8, 'Infinity'::float8, '-Infinity'::float8",
        tuple(OutputColumn(name, D.DOUBLE) for name in ("nan", "up", "down")),
        frozenset(),
    )
    body = read(answered(service, name, translation))
    if name == "json":
        assert json.loads(body)["data"] == [[None, None, None]]
        return
    if name == "csv":
        found = [float(text) for text in body.decode().splitlines()[1].split(",")]
    elif name == "parquet":
        found = list(parquet.read_table(io.BytesIO(body)).to_pylist()[0].values())
    else:
        array = parse(io.BytesIO(body), verify="exception").get_first_table().array
        found = [float(np.ma.getdata(array[column])[0]) for column in ("nan", "up", "down")]
    np.testing.assert_equal(found, [np.nan, np.inf, -np.inf])
    assert name != "votable/td" or b"<TD>NaN</TD><TD>+Inf</TD><TD>-Inf</TD>" in body


def test_characters_that_xml_cannot_hold_do_not_break_tabledata(service: Database) -> None:
    translation = Translation(
        r"SELECT E'a\x01b\x1fc\rd'::text, U&'x\FFFFy\FFFEz'::text",
        (OutputColumn("controls", D.TEXT), OutputColumn("others", D.TEXT, unicode=True)),
        frozenset(),
    )
    array = (
        parse(io.BytesIO(read(answered(service, "votable/td", translation))), verify="exception")
        .get_first_table()
        .array
    )
    assert (array["controls"][0], array["others"][0]) == ("a?b?c\rd", "x\ufffdy\ufffdz")


def test_a_query_of_more_columns_than_a_function_takes_arguments(service: Database) -> None:
    count = 230
    translation = Translation(
        "SELECT " + ", ".join(f"{number} AS x{number}" for number in range(count)),
        tuple(OutputColumn(f"x{number}", D.INTEGER) for number in range(count)),
        frozenset(),
    )
    for name in ("votable/b2", "votable/td"):
        array = parse(io.BytesIO(read(answered(service, name, translation)))).get_first_table().array
        assert [int(array[f"x{number}"][0]) for number in range(count)] == list(range(count))
    assert json.loads(read(answered(service, "json", translation)))["data"] == [list(range(count))]
    assert read(answered(service, "csv", translation)).decode().split("\r\n")[1] == ",".join(map(str, range(count)))


@pytest.mark.parametrize("rows", [1, 2, 3, 100, 1000, 5000])
def test_base64_holds_together_across_batches(service: Database, rows: int) -> None:
    translation = Translation(
        f"SELECT i, repeat('x', i % 7), repeat('ü', i % 5) FROM generate_series(1, {rows}) i",  # noqa: S608 - a number
        (OutputColumn("i", D.INTEGER), OutputColumn("x", D.TEXT), OutputColumn("u", D.TEXT, unicode=True)),
        frozenset(),
    )
    for name in ("votable/b2", "votable/b"):
        array = parse(io.BytesIO(read(answered(service, name, translation, rows)))).get_first_table().array
        np.testing.assert_array_equal(array["i"], np.arange(1, rows + 1))
        assert [(len(x), len(u)) for x, u in zip(array["x"], array["u"], strict=True)] == [
            (i % 7, i % 5) for i in range(1, rows + 1)
        ]


ALL_FORMATS = ["votable/b2", "votable/b", "votable/td", "csv", "tsv", "json", "parquet"]


def count_of(name: str, body: bytes) -> tuple[int, bool]:
    """Return how many rows a document has and whether it says that there are more."""
    if name.startswith("votable"):
        resource = parse(io.BytesIO(body)).resources[0]
        return len(resource.tables[0].array), "OVERFLOW" in [info.value for info in resource.infos]
    if name == "json":
        found = json.loads(body)
        return len(found["data"]), found["status"] == "OVERFLOW"
    if name == "parquet":
        with parquet.ParquetFile(io.BytesIO(body)) as file:
            return file.metadata.num_rows, file.metadata.metadata.get(b"QUERY_STATUS") == b"OVERFLOW"
    return len(body.decode().splitlines()) - 1, False


@pytest.mark.parametrize("name", ALL_FORMATS)
@pytest.mark.parametrize(("there", "allowed"), [(0, 5), (4, 5), (5, 5), (6, 5), (3000, 2999), (3000, 512), (5, 0)])
def test_maxrec_is_kept_and_overflow_told(service: Database, name: str, there: int, allowed: int) -> None:
    translation = Translation(
        f"SELECT i, 'ü' FROM generate_series(1, {there}) i",  # noqa: S608 - a number
        (OutputColumn("i", D.INTEGER), OutputColumn("u", D.TEXT, unicode=True)),
        frozenset(),
    )
    answer = answered(service, name, translation, allowed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, told = count_of(name, read(answer))
    more = there > allowed or allowed == 0
    assert rows == answer.ending.rows == min(there, allowed)
    assert answer.ending.overflow == more
    assert told == (more and name not in {"csv", "tsv"})


def test_the_order_of_the_query_is_the_order_of_the_result(service: Database) -> None:
    translation = Translation(
        "SELECT i FROM generate_series(1, 5000) i ORDER BY (i * 7919) % 5003 DESC",
        (OutputColumn("i", D.INTEGER),),
        frozenset(),
    )
    found = [int(line) for line in read(answered(service, "csv", translation, 5000)).split()[1:]]
    assert found == sorted(range(1, 5001), key=lambda i: -(i * 7919 % 5003))


def test_a_small_result_says_how_long_it_is_and_is_one_chunk(service: Database) -> None:
    answer = answered(service, "votable/b2")
    chunks = list(answer.chunks)
    assert len(chunks) == 1
    assert answer.length == len(chunks[0])


def test_infos_stand_in_the_votable(service: Database) -> None:
    answer = run(
        service, EVERYTHING, negotiate("votable"), max_rows=1, timeout=30, infos=[Info("QUERY", "SELECT 'a' < \"b\"")]
    )
    infos = parse(io.BytesIO(read(answer))).resources[0].infos
    assert ("QUERY", "SELECT 'a' < \"b\"") in [(info.name, info.value) for info in infos]
