"""Short queries whose SQL, or what PostgreSQL makes of it before it plans, would be longer than any memory."""

from __future__ import annotations

import pytest

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.lengths import LONGEST
from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published

PUBLISHED = make_published("epn")


def sql_of(adql: str) -> str:
    return translate(adql, PUBLISHED).sql


def nested(select: str, innermost: str, depth: int) -> str:
    adql = innermost
    for _ in range(depth):
        adql = f"{select} FROM ({adql}) AS q"
    return adql


def put_in(template: str, value: str, depth: int) -> str:
    for _ in range(depth):
        value = template.replace("@", value)
    return value


NUMBERS = "SELECT t_min AS a FROM ivoa.obscore"
TEXTS = "SELECT obs_id AS a FROM ivoa.obscore"
ONE = "SELECT @ AS x FROM ivoa.obscore"
COMMON = "w@ AS (SELECT a + a AS a FROM w# UNION ALL SELECT t_min FROM ivoa.obscore)"


def one(value: str) -> str:
    return sql_of(ONE.replace("@", value))


def test_subqueries_inside_one_another_may_compute_with_each_other() -> None:
    assert len(sql_of(nested("SELECT a + 1 AS a, a * 2 AS b", NUMBERS, 35))) < 10_000
    sql_of(nested("SELECT a + a AS a", NUMBERS, 12))


@pytest.mark.parametrize(
    "select",
    [
        "SELECT a + a AS a",
        "SELECT DISTINCT a * a AS a",
        "SELECT CASE WHEN a > 1 THEN a ELSE 2 END AS a",
        "SELECT COALESCE(a, -a) AS a",
        "SELECT AREA(CIRCLE(a, 1, a)) AS a",
    ],
)
def test_columns_of_subqueries_are_counted_as_what_they_stand_for(select: str) -> None:
    with pytest.raises(AdqlError, match="columns of subqueries are written out"):
        sql_of(nested(select, NUMBERS, 30))


def test_so_are_those_of_common_tables_and_of_unions() -> None:
    tables = [f"w0 AS ({NUMBERS})"]
    tables += [COMMON.replace("@", str(n)).replace("#", str(n - 1)) for n in range(1, 40)]
    with pytest.raises(AdqlError, match="columns of subqueries are written out") as error:
        sql_of(" ".join(["WITH", ", ".join(tables), "SELECT a FROM w39"]))
    assert error.value.line == 1


def test_conditions_are_counted_too() -> None:
    inner = nested("SELECT a + a AS a", NUMBERS, 14)
    outer = "SELECT a FROM (@) AS q WHERE ".replace("@", inner)
    sql_of(outer + "a > 1")
    with pytest.raises(AdqlError, match="columns of subqueries are written out"):
        sql_of(outer + " OR ".join(["a > 1"] * 20))


def test_an_alias_is_counted_wherever_it_stands() -> None:
    query = ONE.replace("@", f"'{'x' * 50_000}'") + " ORDER BY "
    sql_of(query + ", ".join(["LOWER(x)"] * 10))
    with pytest.raises(AdqlError, match="once aliases"):
        sql_of(query + ", ".join(["LOWER(x)"] * 100))


def test_the_operand_of_a_case_is_written_once() -> None:
    case = put_in("CASE @ WHEN 1 THEN 2 WHEN 3 THEN 4 ELSE 5 END", "t_min", 39)
    assert len(one(case)) < 5_000


@pytest.mark.parametrize(
    "template",
    [
        "CASE WHEN 1 = CONTAINS(s_region, CIRCLE(@, 2, 1)) THEN 1 ELSE 2 END",
        "CASE WHEN DISTANCE(POINT(s_ra, s_dec), POINT(@, 2)) < 3 THEN 1 ELSE 2 END",
        "INTERSECTS(POLYGON(@, 1, 2, 3, 4, 5), s_region)",
    ],
)
def test_geometries_inside_one_another_do_not_grow_without_end(template: str) -> None:
    assert len(one(put_in(template, "s_ra", 4))) < LONGEST
    with pytest.raises(AdqlError, match="once aliases|nested too deep"):
        one(put_in(template, "s_ra", 20))


def test_strings_are_joined_in_pairs_so_that_little_is_kept_on_the_way() -> None:
    assert "((('a'::text || 'b'::text) || ('c'::text || 'd'::text)) || (('e'::text)))" in one(
        "'a' || 'b' || 'c' || 'd' || 'e'"
    )


def test_strings_that_are_joined_are_some_hundred() -> None:
    one(" || ".join(["obs_id"] * 500))
    for adql in (
        ONE.replace("@", " || ".join(["obs_id"] * 2000)),
        nested("SELECT a || a AS a", TEXTS, 12),
        nested("SELECT DISTINCT a || a AS a", TEXTS, 12),
        nested("SELECT x || x AS x", ONE.replace("@", f"'{'x' * 9000}'"), 2),
    ):
        with pytest.raises(AdqlError, match="joins too much"):
            sql_of(adql)
