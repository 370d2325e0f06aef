"""What the grammar of ADQL 2.1 derives is read as it binds, and nothing else is read."""

from __future__ import annotations

import inspect
import sys

import pytest

from obscore_tap.adql import nodes
from obscore_tap.adql.atoms import ColumnReference, Number
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.parser import parse
from obscore_tap.adql.tokens import Limits
from tests.unit.adql import written

READ = {
    # values
    "SELECT a FROM t": "SELECT a FROM t",
    "SELECT ALL a b FROM s.t u": "SELECT a AS b FROM s.t AS u",
    "SELECT DISTINCT TOP 5 c.s.t.a FROM c.s.t": "SELECT DISTINCT TOP 5 c.s.t.a FROM c.s.t",
    "SELECT * FROM t": "SELECT * FROM t",
    "SELECT t.*, s.t.*, c.s.t.*, 1 FROM t": "SELECT t.*, s.t.*, c.s.t.*, 1 FROM t",
    "SELECT t . a, t. * FROM t": "SELECT t.a, t.* FROM t",
    "SELECT a+b*c-d/e FROM t": "SELECT (a + (b * c) - (d / e)) FROM t",
    "SELECT (a+b)*-c FROM t": "SELECT ((a + b) * (-c)) FROM t",
    "SELECT -a*b, +1 FROM t": "SELECT ((-a) * b), (+1) FROM t",
    "SELECT a-(b-c)-d FROM t": "SELECT (a - (b - c) - d) FROM t",
    "SELECT a||b||'x''y' FROM t": "SELECT (a || b || 'x''y') FROM t",
    "SELECT (1+2)||(-3) FROM t": "SELECT ((1 + 2) || (-3)) FROM t",
    "SELECT LOWER(a)||COORDSYS(p)||f(x)||MAX(b)||CAST(c AS CHAR) FROM t": (
        "SELECT ((LOWER(a)) || (COORDSYS(p)) || F(x) || MAX(b) || CAST(c AS CHAR)) FROM t"
    ),
    "SELECT NULL, (NULL), 1+(NULL) FROM t": "SELECT NULL, NULL, (1 + (NULL)) FROM t",
    "SELECT 'a'\n 'b' FROM t": "SELECT 'ab' FROM t",
    "SELECT 89x FROM t": "SELECT 89 AS x FROM t",
    'SELECT "SELECT", "a""b" "c d" FROM "t t"': 'SELECT "SELECT", "a""b" AS "c d" FROM "t t"',
    "SELECT COUNT(*), COUNT(DISTINCT a), SUM(ALL b), avg(c) FROM t": (
        "SELECT COUNT(*), COUNT(DISTINCT a), SUM(ALL b), AVG(c) FROM t"
    ),
    "SELECT CAST(a AS VARCHAR(5)), CAST(b AS DOUBLE PRECISION), CAST('1' AS INTEGER) FROM t": (
        "SELECT CAST(a AS VARCHAR(5)), CAST(b AS DOUBLE PRECISION), CAST('1' AS INTEGER) FROM t"
    ),
    "SELECT CASE WHEN a=1 OR b=2 THEN 1 WHEN c=3 THEN 2 END FROM t": (
        "SELECT CASE WHEN (a = 1 OR b = 2) THEN 1 WHEN c = 3 THEN 2 END FROM t"
    ),
    "SELECT CASE a+1 WHEN 1 THEN 'x' ELSE 'y' END || 'z' FROM t": (
        "SELECT (CASE (a + 1) WHEN 1 THEN 'x' ELSE 'y' END || 'z') FROM t"
    ),
    "SELECT PI(), RAND(), RAND(5), ROUND(a), ROUND(a,-2), ATAN2(a,b) FROM t": (
        "SELECT PI(), RAND(), RAND(5), ROUND(a), ROUND(a, (-2)), ATAN2(a, b) FROM t"
    ),
    "SELECT COALESCE(a,b,1), IN_UNIT(a,'deg'), Ivo_Foo(), ivo_bar(a,'b') FROM t": (
        "SELECT COALESCE(a, b, 1), IN_UNIT(a, 'deg'), IVO_FOO(), IVO_BAR(a, 'b') FROM t"
    ),
    # geometry, with and without a coordinate system, of coordinates and of points
    "SELECT POINT(1,2), POINT('ICRS',a,b), POINT(NULL,a,b) FROM t": (
        "SELECT POINT(1, 2), POINT('ICRS', a, b), POINT(NULL, a, b) FROM t"
    ),
    "SELECT CIRCLE(1,2,3), CIRCLE(p,3), CIRCLE('',1,2,3), CIRCLE('',POINT(1,2),3) FROM t": (
        "SELECT CIRCLE(1, 2, 3), CIRCLE(p, 3), CIRCLE('', 1, 2, 3), CIRCLE('', POINT(1, 2), 3) FROM t"
    ),
    "SELECT BOX(1,2,3,4), BOX(p,3,4), BOX('x',1,2,3,4), BOX('x',f(a),3,4) FROM t": (
        "SELECT BOX(1, 2, 3, 4), BOX(p, 3, 4), BOX('x', 1, 2, 3, 4), BOX('x', F(a), 3, 4) FROM t"
    ),
    "SELECT POLYGON(1,2,3,4,5,6), POLYGON('',1,2,3,4,5,6,7,8), POLYGON(p,CENTROID(c),POINT(1,2)) FROM t": (
        "SELECT POLYGON(1, 2, 3, 4, 5, 6), POLYGON('', 1, 2, 3, 4, 5, 6, 7, 8), "
        "POLYGON(p, CENTROID(c), POINT(1, 2)) FROM t"
    ),
    "SELECT DISTANCE(p,q), DISTANCE(1,2,3,4), AREA(c), COORD1(p), REGION('circle 1 2 3') FROM t": (
        "SELECT DISTANCE(p, q), DISTANCE(1, 2, 3, 4), AREA(c), COORD1(p), REGION('circle 1 2 3') FROM t"
    ),
    "SELECT 1 FROM t WHERE 1=CONTAINS(p,c) AND INTERSECTS(a,b)=0": (
        "SELECT 1 FROM t WHERE (1 = CONTAINS(p, c) AND INTERSECTS(a, b) = 0)"
    ),
    # conditions
    "SELECT 1 FROM t WHERE a=1 OR b!=2 AND NOT c<3": ("SELECT 1 FROM t WHERE (a = 1 OR (b <> 2 AND (NOT c < 3)))"),
    "SELECT 1 FROM t WHERE (a=1 OR b=2) AND (((c)))>=(1+2)*3": (
        "SELECT 1 FROM t WHERE ((a = 1 OR b = 2) AND c >= ((1 + 2) * 3))"
    ),
    "SELECT 1 FROM t WHERE NOT ((a)=(b))": "SELECT 1 FROM t WHERE (NOT a = b)",
    "SELECT 1 FROM t WHERE ((a+1)*2) BETWEEN (b) AND (c) AND d IS NOT NULL": (
        "SELECT 1 FROM t WHERE (((a + 1) * 2) BETWEEN b AND c AND d IS NOT NULL)"
    ),
    "SELECT 1 FROM t WHERE (a) NOT IN (1,(2),b+c) OR a NOT BETWEEN 1 AND 2": (
        "SELECT 1 FROM t WHERE (a NOT IN (1, 2, (b + c)) OR a NOT BETWEEN 1 AND 2)"
    ),
    "SELECT 1 FROM t WHERE a||'x' NOT LIKE '%'||b OR a ILIKE 'x'": (
        "SELECT 1 FROM t WHERE ((a || 'x') NOT LIKE ('%' || b) OR a ILIKE 'x')"
    ),
    "SELECT 1 FROM t WHERE a IN (SELECT b FROM u) AND NOT EXISTS (SELECT * FROM v)": (
        "SELECT 1 FROM t WHERE (a IN (SELECT b FROM u) AND (NOT EXISTS (SELECT * FROM v)))"
    ),
    "SELECT 1 FROM t WHERE a IN ((SELECT b FROM u) UNION SELECT c FROM v)": (
        "SELECT 1 FROM t WHERE a IN ((SELECT b FROM u) UNION SELECT c FROM v)"
    ),
    "SELECT 1 FROM t WHERE EXISTS (u NATURAL JOIN v)": (
        "SELECT 1 FROM t WHERE EXISTS (SELECT * FROM (u NATURAL INNER JOIN v))"
    ),
    "SELECT 1 FROM t WHERE a IN (s.u AS x JOIN v USING (b))": (
        "SELECT 1 FROM t WHERE a IN (SELECT * FROM (s.u AS x INNER JOIN v USING (b)))"
    ),
    "SELECT 1 FROM t WHERE a IN ((SELECT b FROM u) x JOIN v USING (b))": (
        "SELECT 1 FROM t WHERE a IN (SELECT * FROM ((SELECT b FROM u) AS x INNER JOIN v USING (b)))"
    ),
    # tables
    "SELECT 1 FROM t, u v, s.w AS x": "SELECT 1 FROM t, u AS v, s.w AS x",
    "SELECT 1 FROM t NATURAL JOIN u LEFT OUTER JOIN v ON a=b FULL JOIN w USING (a,b)": (
        "SELECT 1 FROM (t NATURAL INNER JOIN u LEFT JOIN v ON a = b FULL JOIN w USING (a, b))"
    ),
    "SELECT 1 FROM t JOIN u": "SELECT 1 FROM (t INNER JOIN u)",
    "SELECT 1 FROM t JOIN u RIGHT JOIN v ON a=b ON c=d": (
        "SELECT 1 FROM (t INNER JOIN (u RIGHT JOIN v ON a = b) ON c = d)"
    ),
    "SELECT 1 FROM t JOIN u NATURAL JOIN v ON a=b": "SELECT 1 FROM (t INNER JOIN (u NATURAL INNER JOIN v) ON a = b)",
    "SELECT 1 FROM ((t JOIN u USING (a))) JOIN (v JOIN w ON b=c) ON d=e": (
        "SELECT 1 FROM ((t INNER JOIN u USING (a)) INNER JOIN (v INNER JOIN w ON b = c) ON d = e)"
    ),
    "SELECT 1 FROM (SELECT a FROM t) AS q, (SELECT b FROM u) r": (
        "SELECT 1 FROM (SELECT a FROM t) AS q, (SELECT b FROM u) AS r"
    ),
    "SELECT 1 FROM ((SELECT a FROM t) q JOIN u ON a=b)": (
        "SELECT 1 FROM ((SELECT a FROM t) AS q INNER JOIN u ON a = b)"
    ),
    "SELECT 1 FROM ((SELECT a FROM t) EXCEPT (SELECT a FROM u)) q": (
        "SELECT 1 FROM ((SELECT a FROM t) EXCEPT (SELECT a FROM u)) AS q"
    ),
    "SELECT 1 FROM ((SELECT a FROM t ORDER BY a)) q": "SELECT 1 FROM ((SELECT a FROM t ORDER BY a)) AS q",
    "SELECT 1 FROM (t JOIN u USING (a)) AS q": "SELECT 1 FROM (SELECT * FROM (t INNER JOIN u USING (a))) AS q",
    # queries
    "SELECT a FROM t WHERE b=1 GROUP BY a, c+1 HAVING COUNT(*)>1 ORDER BY 1 DESC, a+b ASC OFFSET 7": (
        "SELECT a FROM t WHERE b = 1 GROUP BY a, (c + 1) HAVING COUNT(*) > 1 ORDER BY 1 DESC, (a + b) OFFSET 7"
    ),
    "SELECT a FROM t UNION ALL SELECT b FROM u EXCEPT SELECT c FROM v ORDER BY a": (
        "SELECT a FROM t UNION ALL SELECT b FROM u EXCEPT SELECT c FROM v ORDER BY a"
    ),
    "SELECT a FROM t UNION SELECT b FROM u INTERSECT ALL SELECT c FROM v": (
        "SELECT a FROM t UNION (SELECT b FROM u INTERSECT ALL SELECT c FROM v)"
    ),
    "(SELECT a FROM t ORDER BY a OFFSET 1) UNION (SELECT TOP 2 b FROM u)": (
        "(SELECT a FROM t ORDER BY a OFFSET 1) UNION (SELECT TOP 2 b FROM u)"
    ),
    "WITH a AS (SELECT 1 x FROM t), b AS (SELECT x FROM a UNION SELECT 2 FROM t) SELECT x FROM b": (
        "WITH a AS (SELECT 1 AS x FROM t), b AS (SELECT x FROM a UNION SELECT 2 FROM t) SELECT x FROM b"
    ),
}

REFUSED = [
    # (query, column of the error, a word of it); each breaks one rule of the grammar
    ("", 1, "too early"),
    ("SELECT", 7, "too early"),
    ("SELECT a", 9, "expected '.', an operator, AS, a name, ',' or FROM"),
    ("SELECT FROM t", 8, "a value"),
    ("SELECT a, FROM t", 11, "a value"),
    ("SELECT *, a FROM t", 9, "FROM"),
    ("SELECT a FROM t t2 t3", 20, "WHERE"),
    ("SELECT a FROM a.b.c.d", 21, "3 parts"),
    ("SELECT a.b.c.d.e FROM t", 16, "4 parts"),
    ("SELECT size FROM t", 8, 'written "size"'),
    ("SELECT a AS date FROM t", 13, 'written "date"'),
    ("SELECT a FROM user", 15, 'written "user"'),
    ("SELECT distance FROM t", 8, "( must follow"),
    ("SELECT a FROM t LIMIT 5", 23, "SELECT TOP 5"),
    ("SELECT TOP 1.5 a FROM t", 12, "an integer"),
    ("SELECT TOP 99999999999999999999 a FROM t", 12, "too large"),
    ("SELECT TOP " + "9" * 5000 + " a FROM t", 12, "too large"),
    ("SELECT TOP 5 DISTINCT a FROM t", 14, "DISTINCT"),
    ("SELECT DISTINCT ON (a) a FROM t", 17, "ON"),
    ("SELECT * EXCEPT (a) FROM t", 10, "EXCEPT"),
    ("SELECT a FROM t TABLESAMPLE (1)", 29, "("),
    ("SELECT a FROM t ORDER BY a NULLS FIRST", 28, "NULLS"),
    ("SELECT a FROM t OFFSET 10.5", 24, "an integer"),
    ("SELECT a FROM t OFFSET 5 ORDER BY a", 26, "ORDER"),
    ("SELECT a FROM t GROUP BY a WHERE b=1", 28, "WHERE"),
    ("SELECT a FROM t CROSS JOIN u", 17, "no CROSS JOIN"),
    ("SELECT a FROM t NATURAL JOIN u ON a=b", 32, "belongs to no JOIN"),
    ("SELECT a FROM t ON a=b", 17, "ON"),
    ("SELECT a FROM t JOIN u USING a", 30, "("),
    ("SELECT a FROM t JOIN u USING (t.a)", 32, ")"),
    ("SELECT a FROM (t)", 17, "a join"),
    ("SELECT a FROM (SELECT b FROM t)", 32, "a name"),
    ("SELECT a FROM (WITH x AS (SELECT 1 FROM t) SELECT a FROM x) q", 16, "WITH"),
    ("SELECT a FROM f(1)", 16, "("),
    ("SELECT s.f(1) FROM t", 11, "("),
    ("SELECT (SELECT 1 FROM u) FROM t", 9, "no value"),
    ("SELECT a FROM t WHERE", 22, "a value"),
    ("SELECT a FROM t WHERE b", 24, "a comparison"),
    ("SELECT a FROM t WHERE (b)", 25, "a comparison"),
    ("SELECT a FROM t WHERE CONTAINS(p, c)", 23, "write 1 = CONTAINS"),
    ("SELECT a FROM t WHERE NOT INTERSECTS(p, c) AND b = 1", 27, "write 1 = INTERSECTS"),
    ("SELECT a FROM t WHERE a = b = c", 29, "="),
    ("SELECT a FROM t WHERE a == b", 26, "="),
    ("SELECT a FROM t WHERE NOT NOT a = b", 27, "NOT"),
    ("SELECT a FROM t WHERE a NOT = b", 29, "BETWEEN"),
    ("SELECT a FROM t WHERE a IN 5", 28, "'('"),
    ("SELECT a FROM t WHERE a IN ()", 29, "a value"),
    ("SELECT a FROM t WHERE a IN (1,)", 31, "a value"),
    ("SELECT a FROM t WHERE (a, b) IN (1)", 25, ","),
    ("SELECT a FROM t WHERE a+1 IS NULL", 23, "asks for a column"),
    ("SELECT a FROM t WHERE (a) IS NULL", 23, "asks for a column"),
    ("SELECT a FROM t WHERE a IS 3", 28, "NULL"),
    ("SELECT a FROM t WHERE a LIKE 'x' ESCAPE '!'", 34, "no ESCAPE"),
    ("SELECT a FROM t WHERE EXISTS u", 30, "("),
    ("SELECT a FROM t WHERE (a = 1) + 2 > 3", 26, "="),
    ("SELECT a FROM t WHERE a = TRUE", 27, "no boolean values"),
    ("SELECT a FROM t HAVING a", 25, "a comparison"),
    ("SELECT - -a FROM t", 10, "a value"),
    ("SELECT 1 + NULL FROM t", 12, "a value"),
    ("SELECT a || b + c FROM t", 15, "FROM"),
    ("SELECT a + b || c FROM t", 14, "FROM"),
    ("SELECT -a || b FROM t", 8, "in brackets"),
    ("SELECT ABS(a) || b FROM t", 8, "where a string is expected"),
    ("SELECT 'a' || POINT(1, 2) FROM t", 15, "where a string is expected"),
    ("SELECT LOWER(a) + 1 FROM t", 8, "where a number is expected"),
    ("SELECT -UPPER(a) FROM t", 9, "where a number is expected"),
    ("SELECT 2 * POINT(1, 2) FROM t", 12, "where a number is expected"),
    ("SELECT ABS() FROM t", 8, "one argument"),
    ("SELECT ABS(a, b) FROM t", 8, "one argument"),
    ("SELECT PI(1) FROM t", 8, "no argument"),
    ("SELECT ROUND(a, b) FROM t", 8, "integer literal"),
    ("SELECT ROUND(a, 1.5) FROM t", 8, "integer literal"),
    ("SELECT RAND(-1) FROM t", 8, "integer literal"),
    ("SELECT IN_UNIT(a, b) FROM t", 8, "string literal"),
    ("SELECT REGION(a) FROM t", 8, "string literal"),
    ("SELECT COALESCE() FROM t", 8, "1 arguments or more"),
    ("SELECT POINT('ICRS', 1) FROM t", 8, "two coordinates"),
    ("SELECT CIRCLE('ICRS', 1, 2) FROM t", 8, "centre"),
    ("SELECT BOX(1, 2, 3) FROM t", 8, "centre"),
    ("SELECT POLYGON(1, 2, 3, 4, 5) FROM t", 8, "vertices"),
    ("SELECT DISTANCE(a, 1) FROM t", 8, "two points"),
    ("SELECT DISTANCE(a, b, c) FROM t", 8, "four coordinates"),
    ("SELECT COUNT(DISTINCT *) FROM t", 23, "a value"),
    ("SELECT SUM(*) FROM t", 12, "a value"),
    ("SELECT MAX(a, b) FROM t", 13, ")"),
    ("SELECT CAST(a AS regclass) FROM t", 18, "VARCHAR"),
    ("SELECT CAST(a AS DOUBLE) FROM t", 24, "PRECISION"),
    ("SELECT CAST(a AS CHAR(0)) FROM t", 18, "length"),
    ("SELECT CAST(a AS INTEGER(4)) FROM t", 25, ")"),
    ("SELECT CASE END FROM t", 13, "a value"),
    ("SELECT CASE a WHEN b = 1 THEN 2 END FROM t", 22, "THEN"),
    ("SELECT CASE WHEN a THEN 2 END FROM t", 20, "a comparison"),
    ("SELECT a FROM t UNION", 22, "too early"),
    ("SELECT a FROM t UNION DISTINCT SELECT b FROM u", 23, "DISTINCT"),
    ("SELECT a FROM t ORDER BY a UNION SELECT b FROM u", 28, "UNION"),
    ("WITH RECURSIVE a AS (SELECT 1 FROM t) SELECT 1 FROM a", 16, "AS"),
    ("WITH a(x) AS (SELECT 1 FROM t) SELECT 1 FROM a", 7, "AS"),
    ("INSERT INTO t SELECT 1 FROM u", 1, "SELECT"),
    ("SELECT 1 FROM t)", 16, "cannot stand here"),
    ("SELECT a INTO u FROM t", 10, "INTO"),
    ("SELECT a FROM t FOR UPDATE", 17, "FOR"),
    ("SELECT 'a' 'b' FROM t", 12, "'b'"),
]


@pytest.mark.parametrize(("text", "bracketed"), READ.items())
def test_what_the_grammar_derives_is_read(text: str, bracketed: str) -> None:
    assert written.query(parse(text)) == bracketed


@pytest.mark.parametrize("text", READ)
def test_what_is_written_again_is_the_same_query(text: str) -> None:
    bracketed = written.query(parse(text))
    assert written.query(parse(bracketed)) == bracketed


@pytest.mark.parametrize(("text", "column", "said"), REFUSED)
def test_what_the_grammar_does_not_derive_is_refused(text: str, column: int, said: str) -> None:
    with pytest.raises(AdqlError) as error:
        parse(text)
    assert (error.value.line, error.value.column) == (1, column), str(error.value)
    assert said in str(error.value)


def test_names_keep_their_spelling_and_literals_their_text() -> None:
    select = parse('SELECT Abc, "Abc", 1.50E+02, ivo_HashList_has(a) FROM T').expression.body
    assert isinstance(select, nodes.Select)
    expressions = [column.expression for column in select.columns if isinstance(column, nodes.DerivedColumn)]
    regular, delimited, number, function = expressions
    assert isinstance(regular, ColumnReference)
    assert isinstance(delimited, ColumnReference)
    assert [(part.name, part.delimited) for part in regular.parts + delimited.parts] == [("Abc", False), ("Abc", True)]
    assert isinstance(number, Number)
    assert (number.text, number.is_integer) == ("1.50E+02", False)
    assert isinstance(function, nodes.FunctionCall)
    assert (function.name, function.spelling, function.user_defined) == ("IVO_HASHLIST_HAS", "ivo_HashList_has", True)


def test_nodes_know_where_they_stand() -> None:
    query = parse("WITH q AS (SELECT 1 AS x FROM t)\nSELECT x\nFROM q\n  JOIN r ON\tx = y\nWHERE NOT (x > 1)")
    assert query.common_tables[0].query.position == (1, 12)
    select = query.expression.body
    assert isinstance(select, nodes.Select)
    assert select.position == (2, 1)
    assert isinstance(select.tables[0], nodes.JoinedTable)
    join = select.tables[0].joins[0]
    assert (join.position, join.right.position) == ((4, 3), (4, 8))
    assert isinstance(join.on, nodes.Comparison)
    assert join.on.position == (4, 13)
    assert isinstance(select.where, nodes.Not)
    assert select.where.operand.position == (5, 12)


def test_an_error_says_what_was_expected() -> None:
    with pytest.raises(AdqlError) as error:
        parse("SELECT a\nFROM t\nWHERE a = 1 GROUP a")
    assert error.value.expected == ("BY",)
    assert str(error.value) == "line 3, column 19: a cannot stand here; expected BY"


CHAINS = {
    "AND": ("SELECT a FROM t WHERE ", " AND ", ["a <> 1"] * 3000, ""),
    "OR": ("SELECT a FROM t WHERE ", " OR ", ["(a = 1)"] * 3000, ""),
    "IN": ("SELECT a FROM t WHERE a IN (", ",", ["1"] * 49_000, ")"),
    "+": ("SELECT ", "+", ["a"] * 3000, " FROM t"),
    "*": ("SELECT ", "*", ["-a"] * 3000, " FROM t"),
    "||": ("SELECT ", "||", ["a"] * 3000, " FROM t"),
    "UNION": ("", " UNION ", ["SELECT a FROM t"] * 3000, ""),
    "JOIN": ("SELECT a FROM t ", " ", ["JOIN u ON a = b"] * 3000, ""),
    "FROM": ("SELECT a FROM ", ", ", ["t"] * 3000, ""),
    "WHEN": ("SELECT CASE", "", [" WHEN a = 1 THEN 2"] * 3000, " END FROM t"),
    "WITH": ("WITH ", ", ", ["q AS (SELECT 1 FROM t)"] * 3000, " SELECT 1 FROM q"),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_long_chains_take_linear_time_and_no_stack(chain: str) -> None:
    before, link, parts, after = CHAINS[chain]
    text = before + link.join(parts) + after
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 60)
        parse(text)
    finally:
        sys.setrecursionlimit(limit)


NESTS = {
    "brackets": ("SELECT ", "(", "1", ")", " FROM t"),
    "functions": ("SELECT ", "ABS(", "1", ")", " FROM t"),
    "conditions": ("SELECT 1 FROM t WHERE ", "(NOT ", "a = 1", ")", ""),
    "CASE": ("SELECT ", "CASE WHEN a = 1 AND 1 = ", "1", " THEN 1 END", " FROM t"),
    "FROM": ("SELECT 1 FROM ", "(SELECT 1 FROM ", "t", ") q", ""),
    "IN": ("SELECT 1 FROM t WHERE ", "a IN (SELECT 1 FROM t WHERE ", "a = 1", ")", ""),
    "joins": ("SELECT 1 FROM ", "(", "t JOIN u ON a = b", ")", ""),
    "queries": ("", "(", "SELECT 1 FROM t", ")", ""),
    "late ON": ("SELECT 1 FROM t", " JOIN u", "", " ON a = b", ""),
}


@pytest.mark.parametrize("nest", NESTS)
def test_the_deepest_nest_leaves_most_of_the_stack(nest: str) -> None:
    before, opening, inner, closing, after = NESTS[nest]
    depth = Limits().depth
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 600)
        parse(before + opening * depth + inner + closing * depth + after)
    finally:
        sys.setrecursionlimit(limit)
    with pytest.raises(AdqlError, match="nested too deep"):
        parse(before + opening * (depth + 2) + inner + closing * (depth + 2) + after)
