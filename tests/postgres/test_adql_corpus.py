"""The corpus of ADQL queries on a real database: the rows of hand-written SQL, or an error before the database."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.parser import parse
from obscore_tap.adql.translate import translate
from obscore_tap.database import Database as ServiceDatabase
from obscore_tap.published import make_published
from obscore_tap.refusals import Refusal
from obscore_tap.schema import Published
from tests import adql_corpus
from tests.postgres.conftest import Database, Server, make_database
from tests.unit.adql.test_fuzz import SEED, damaged

Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def corpus(server: Server, template: str) -> Iterator[Database]:
    """A database with the corpus's rows."""
    for database in make_database(server, template):
        with psycopg.connect(database.admin_url, autocommit=True) as connection:
            connection.execute(adql_corpus.ROWS.read_text(encoding="utf-8").encode())
        yield database


@pytest.fixture(scope="module")
def asker(corpus: Database) -> Iterator[psycopg.Connection]:
    """Asks as the role that users' queries run as."""
    with psycopg.connect(corpus.query_url) as connection:
        connection.read_only = True
        yield connection


@pytest.fixture(scope="module")
def author(corpus: Database) -> Iterator[psycopg.Connection]:
    """Runs the hand-written SQL."""
    with psycopg.connect(corpus.admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def published() -> Published:
    return make_published()


@pytest.mark.parametrize("good", adql_corpus.good(), ids=lambda good: good.name)
def test_a_good_query_gives_the_rows_of_its_sql(
    good: adql_corpus.Good, asker: psycopg.Connection, author: psycopg.Connection, published: Published
) -> None:
    translation = translate(good.adql, published)
    try:
        asked = asker.execute(translation.sql.encode())
        found = asked.fetchall()
    finally:
        asker.rollback()
    written = author.execute(good.sql.encode())
    expected = written.fetchall()
    assert types_of(author, asked) == [column.datatype.value for column in translation.columns]
    assert types_of(author, asked) == types_of(author, written)
    ordered = bool(parse(good.adql).expression.order_by)
    assert is_same(found, expected, ordered), f"{translation.sql}\n{found}\n{expected}"


def types_of(connection: psycopg.Connection, cursor: psycopg.Cursor[Row]) -> list[str]:
    assert cursor.description is not None
    codes = [column.type_code for column in cursor.description]
    query = "SELECT format_type(code::oid, NULL) FROM unnest(%s::bigint[]) WITH ORDINALITY AS u(code, n) ORDER BY n"
    return [name for (name,) in connection.execute(query, [codes])]


def is_same(found: list[Row], expected: list[Row], ordered: bool) -> bool:
    if not ordered:
        found, expected = sorted(found, key=rounded), sorted(expected, key=rounded)
    return len(found) == len(expected) and all(map(is_same_row, found, expected))


def is_same_row(found: Row, expected: Row) -> bool:
    return len(found) == len(expected) and all(map(is_same_value, found, expected))


def is_same_value(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return type(found) is type(expected) and found == expected


def rounded(row: Row) -> str:
    """Return a key to sort by that the last digits of a number do not change."""
    return repr([f"{value:.7g}" if isinstance(value, float) and value else value for value in row])


@pytest.mark.parametrize("bad", adql_corpus.bad(), ids=lambda bad: bad.name)
def test_a_bad_query_is_refused_before_the_database(bad: adql_corpus.Bad, published: Published) -> None:
    with pytest.raises(AdqlError) as error:
        translate(bad.adql, published)
    assert bad.words in str(error.value)
    assert (error.value.line, error.value.column) == (bad.line, bad.column), str(error.value)


CONES = [
    "CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 180, 0, 1)) = 1",
    "1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 180, 0, 1))",
    "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(180, 0, 1))",
    "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(POINT(180, 0), 1))",
    "1 = INTERSECTS(POINT(s_ra, s_dec), CIRCLE(180, 0, 1))",
    "1 = INTERSECTS(CIRCLE(180, 0, 1), POINT(s_ra, s_dec))",
    "DISTANCE(POINT(s_ra, s_dec), POINT(180, 0)) < 1",
    "DISTANCE(POINT('ICRS', 180, 0), POINT('ICRS', s_ra, s_dec)) <= 1",
    "DISTANCE(s_ra, s_dec, 180, 0) < 1",
    "1 > DISTANCE(180, 0, s_ra, s_dec)",
    "1 = CONTAINS(POINT(s_ra, s_dec), POLYGON(179, -1, 181, -1, 180, 1))",
    "1 = CONTAINS(POINT(s_ra, s_dec), BOX(180, 0, 2, 2))",
    "1 = CONTAINS(POINT(180, 0), s_region)",
    "INTERSECTS(s_region, CIRCLE('ICRS', 180, 0, 1)) = 1",
    "1 = INTERSECTS(CIRCLE(180, 0, 1), s_region)",
    "1 = INTERSECTS(s_region, POLYGON(179, -1, 181, -1, 180, 1))",
    "1 = INTERSECTS(s_polygon, BOX(180, 0, 2, 2))",
    "1 = CONTAINS(s_region, CIRCLE(180, 0, 1))",
]


@pytest.mark.parametrize("condition", CONES)
@pytest.mark.parametrize("also", ["", " AND t_min > 0", " AND (calib_level = 1 OR calib_level = 2)"])
def test_every_way_to_write_a_cone_uses_the_index(
    condition: str, also: str, author: psycopg.Connection, published: Published
) -> None:
    adql = f"SELECT obs_id FROM ivoa.obscore WHERE {condition}{also}"  # noqa: S608 - ADQL, which is translated
    sql = translate(adql, published).sql
    with author.transaction():
        # Of 24 rows the whole table is read sooner than an index; what matters is that an index can serve.
        author.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in author.execute(f"EXPLAIN {sql}".encode()))
    assert re.search(r"Index Cond: .*\b(position|bound)\b", plan), f"{sql}\n{plan}"


PREDICATES = [
    "INTERSECTS(s_region, CIRCLE(172.5, 0, 1))",
    "INTERSECTS(CIRCLE(1, 2, 3), s_region)",
    "INTERSECTS(s_polygon, POLYGON(170, -2, 175, -2, 175, 2))",
    "CONTAINS(s_region, CIRCLE(172.5, 0, 1))",
    "CONTAINS(s_region, CIRCLE(1, 2, 3))",
    "CONTAINS(POINT(172.5, 0), s_region)",
    "CONTAINS(POINT(1, 2), s_region)",
    "CONTAINS(s_region, s_region)",
    "INTERSECTS(s_polygon, s_region)",
]


@pytest.mark.parametrize("predicate", PREDICATES)
def test_a_region_that_is_null_is_neither_in_nor_out(
    predicate: str, author: psycopg.Connection, published: Published
) -> None:
    """SQL-92 section 8.1: what is compared with null is unknown, and so is its opposite."""

    def of_12(expression: str) -> list[Row]:
        adql = f"SELECT {expression} FROM ivoa.obscore WHERE obs_id = 'obs-12'"  # noqa: S608 - ADQL, which is translated
        return author.execute(translate(adql, published).sql.encode()).fetchall()

    conditions = [f"{predicate} = 1", f"{predicate} = 0", f"NOT ({predicate} = 1)", f"NOT 0 = {predicate}"]
    with author.transaction(force_rollback=True):
        # Of a position alone the sync makes a circle of no size, by which the position is found.
        author.execute(
            "UPDATE lake.obscore SET s_region = NULL, s_polygon = NULL, s_bound = '{172.5,0,0}' WHERE obs_id = 'obs-12'"
        )
        assert of_12(predicate) == [(None,)]
        assert of_12("AREA(s_region)") == [(None,)]
        assert of_12("COORD1(CENTROID(s_region))") == [(None,)]
        for condition in conditions:
            for table in ("ivoa.obscore", "(SELECT obs_id, s_region, s_polygon FROM ivoa.obscore) AS q"):
                adql = f"SELECT obs_id FROM {table} WHERE {condition}"  # noqa: S608 - as above
                found = author.execute(translate(adql, published).sql.encode()).fetchall()
                assert ("obs-12",) not in found, adql
    assert of_12(predicate) != [(None,)]


@pytest.mark.parametrize(
    "adql",
    [
        "SELECT a.obs_id FROM lake.file AS f JOIN ivoa.obscore AS a USING (obs_publisher_did) WHERE f.name = 'x' "
        "AND 1 = CONTAINS(POINT(a.s_ra, a.s_dec), CIRCLE(180, 0, 1))",
        "WITH q AS (SELECT * FROM ivoa.obscore) SELECT obs_id FROM q WHERE "
        "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(9, 9, 1))",
        "SELECT x.i FROM (SELECT obs_id AS i, s_ra AS a, s_dec AS d FROM ivoa.obscore) AS x "
        "WHERE DISTANCE(a, d, 9, 9) < 1",
        "SELECT a.obs_id FROM ivoa.obscore AS a JOIN ivoa.obscore AS b ON 1 = CONTAINS(POINT(a.s_ra, a.s_dec), "
        "CIRCLE(b.s_ra, b.s_dec, 1)) WHERE b.obs_id = 'obs-01'",
    ],
    ids=["join", "common table", "derived table", "positions of a table"],
)
def test_a_cone_uses_the_index_through(adql: str, author: psycopg.Connection, published: Published) -> None:
    sql = translate(adql, published).sql
    with author.transaction():
        author.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in author.execute(f"EXPLAIN {sql}".encode()))
    assert re.search(r"obscore_position|Index Cond: .*\bposition\b", plan), f"{sql}\n{plan}"


def test_a_join_that_the_database_alone_finds_impossible_is_the_querys_fault(
    corpus: Database, published: Published
) -> None:
    adql = "SELECT 1 FROM lake.rse AS a FULL JOIN lake.rse AS b ON RAND() + a.latitude = b.latitude"
    services = ServiceDatabase(corpus.query_url)
    try:
        with pytest.raises(Refusal, match="FULL JOIN") as refused:
            services.query(translate(adql, published).sql, 10)
    finally:
        services.close()
    assert refused.value.status == 400


def test_what_damaged_queries_become_is_one_query_that_the_database_plans(
    asker: psycopg.Connection, published: Published
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    planned = 0
    for _ in range(1500):
        try:
            sql = translate(damaged(chance), published).sql
        except AdqlError:
            continue
        try:
            # A prepared statement is one statement, or none.
            asker.execute(f"EXPLAIN {sql}".encode(), prepare=True)
            planned += 1
        except psycopg.DataError:
            pass  # constants that are computed while planning: 1/0, the logarithm of 0
        finally:
            asker.rollback()
    assert planned > 50
