"""What `translate` says of names, types and columns, by ADQL 2.1 and SQL-92."""

from __future__ import annotations

import pytest

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.features import FEATURES
from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published
from obscore_tap.schema import Datatype, OutputColumn, Translation

PUBLISHED = make_published()


def of(adql: str) -> Translation:
    return translate(adql, PUBLISHED)


def columns(adql: str) -> tuple[OutputColumn, ...]:
    return of(adql).columns


@pytest.mark.parametrize(
    "condition",
    [
        "CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 10, 20, 0.5)) = 1",
        "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.5))",
        "CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.5)) <> 0",
        "0 < CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.5))",
        "INTERSECTS(CIRCLE(10, 20, 0.5), POINT(s_ra, s_dec)) = 1",
    ],
)
def test_a_cone_is_asked_of_the_index(condition: str) -> None:
    sql = of("SELECT obs_id FROM ivoa.obscore WHERE " + condition).sql  # noqa: S608 - ADQL of this file
    assert "WHERE (t1.\"position\" <@ scircle '<(10.0d,20.0d),0.5d>')" in sql


@pytest.mark.parametrize(
    "condition",
    [
        "DISTANCE(s_ra, s_dec, 10, 20) < 0.5",
        "0.5 > DISTANCE(s_ra, s_dec, 10, 20)",
        "DISTANCE(POINT(10, 20), POINT(s_ra, s_dec)) < 0.5",
    ],
)
def test_a_distance_asks_the_index_and_then_exactly(condition: str) -> None:
    sql = of("SELECT obs_id FROM ivoa.obscore WHERE " + condition).sql  # noqa: S608 - ADQL of this file
    assert "t1.\"position\" <@ scircle(spoint '(10.0d,20.0d)', radians(0.5))" in sql
    assert "< '0.5'::float8" in sql


def test_a_region_asks_for_its_bound_and_itself() -> None:
    sql = of("SELECT obs_id FROM ivoa.obscore WHERE 1 = INTERSECTS(s_region, CIRCLE(1, 2, 3))").sql
    circle = "scircle '<(1.0d,2.0d),3.0d>'"
    assert f't1."bound" && {circle} AND (t1."footprint" && {circle} OR t1."footprint" IS NULL)' in sql


def test_positions_and_regions_are_found_through_common_tables() -> None:
    sql = of(
        "WITH w AS (SELECT s_ra AS r, s_dec AS d, s_region AS g FROM ivoa.obscore) "
        "SELECT r FROM w WHERE DISTANCE(r, d, 10, 20) < 1 AND 1 = CONTAINS(POINT(1, 2), g)"
    ).sql
    assert 't1."position" AS h1' in sql
    assert 't1."bound" AS h' in sql


def test_nothing_but_literals_of_the_text_reaches_the_sql() -> None:
    sql = of("SELECT obs_id AS \"x\"\"; DROP\" FROM ivoa.obscore AS evil WHERE obs_id = 'it''s \\'").sql
    assert "DROP" not in sql
    assert "evil" not in sql
    assert r"E'it''s \\'" in sql


@pytest.mark.parametrize(
    ("adql", "source", "name"),
    [
        ("SELECT obs_publisher_did FROM ivoa.obscore", "obs_publisher_did", "obs_publisher_did"),
        ("SELECT obs_publisher_did AS x FROM ivoa.obscore", "obs_publisher_did", "x"),
        ("WITH w AS (SELECT obs_publisher_did AS a FROM ivoa.obscore) SELECT a AS b FROM w", "obs_publisher_did", "b"),
        (
            "SELECT obs_publisher_did FROM ivoa.obscore UNION SELECT obs_publisher_did FROM ivoa.obscore",
            "obs_publisher_did",
            "obs_publisher_did",
        ),
        (
            "SELECT obs_publisher_did FROM ivoa.obscore UNION ALL SELECT obs_publisher_did FROM lake.replica",
            "obs_publisher_did",
            "obs_publisher_did",
        ),
        (
            "SELECT obs_publisher_did AS d FROM ivoa.obscore FULL JOIN lake.replica USING (obs_publisher_did)",
            "obs_publisher_did",
            "d",
        ),
        ("SELECT obs_publisher_did AS d FROM ivoa.obscore UNION SELECT obs_id FROM ivoa.obscore", None, "d"),
        ("SELECT obs_publisher_did || '' AS x FROM ivoa.obscore", None, "x"),
    ],
)
def test_the_source_of_a_column_travels_with_its_value(adql: str, source: str | None, name: str) -> None:
    (column,) = columns(adql)
    assert (column.source, column.name) == (("ivoa.obscore", source) if source else None, name)


UNCHANGED = [
    "SELECT {} FROM ivoa.obscore",
    "SELECT {} AS renamed FROM ivoa.obscore",
    "SELECT ({}) AS renamed FROM ivoa.obscore AS o",
    "SELECT DISTINCT q.renamed FROM (SELECT {} AS renamed FROM ivoa.obscore) AS q",
    "SELECT * FROM (SELECT {} FROM ivoa.obscore) AS q ORDER BY 1 OFFSET 1",
    "WITH w AS (SELECT {} AS a FROM ivoa.obscore), v AS (SELECT a AS b FROM w) SELECT b AS renamed FROM v",
    "SELECT {0} FROM ivoa.obscore UNION SELECT {0} FROM ivoa.obscore",
    "SELECT {0} FROM ivoa.obscore EXCEPT (SELECT {0} FROM ivoa.obscore INTERSECT SELECT {0} FROM ivoa.obscore)",
    "SELECT {} FROM lake.replica JOIN ivoa.obscore USING (obs_publisher_did)",
    "SELECT {} AS renamed FROM ivoa.obscore NATURAL LEFT JOIN (SELECT obs_id FROM ivoa.obscore) AS q",
]


@pytest.mark.parametrize("adql", UNCHANGED)
@pytest.mark.parametrize("name", ["s_ra", "s_region", "s_polygon", "obs_release_date", "obs_title", "access_estsize"])
def test_all_that_is_said_of_a_column_travels_with_its_value(adql: str, name: str) -> None:
    published = PUBLISHED.get("ivoa", "obscore")
    assert published is not None
    said = next(column for column in published.columns if column.name == name)
    (found,) = columns(adql.format(name))
    for word in ("datatype", "description", "ucd", "unit", "utype", "xtype", "unicode"):
        assert getattr(found, word) == getattr(said, word), word
    assert found.name == ("renamed" if "renamed" in adql else name)


@pytest.mark.parametrize(
    ("adql", "unit", "ucd"),
    [
        ("SELECT s_ra FROM ivoa.obscore UNION SELECT t_exptime FROM ivoa.obscore", "", "pos.eq.ra"),
        ("SELECT s_ra FROM ivoa.obscore UNION SELECT c1min FROM epn.epn_core", "deg", "pos.eq.ra"),
    ],
)
def test_a_union_is_described_by_its_first_side_but_for_units_that_differ(adql: str, unit: str, ucd: str) -> None:
    (found,) = columns(adql)
    assert (found.unit, found.ucd) == (unit, ucd)


@pytest.mark.parametrize(
    ("expression", "datatype", "unit", "ucd"),
    [
        ("s_ra", Datatype.DOUBLE, "deg", "pos.eq.ra"),
        ("MAX(t_exptime)", Datatype.DOUBLE, "s", "time.duration;obs.exposure;stat.max"),
        ("COUNT(*)", Datatype.BIGINT, "", "meta.number"),
        ("SUM(calib_level)", Datatype.BIGINT, "", ""),
        ("AVG(calib_level)", Datatype.DOUBLE, "", "meta.code;obs.calib;stat.mean"),
        ("IN_UNIT(s_ra, 'rad')", Datatype.DOUBLE, "rad", "pos.eq.ra"),
        ("s_ra + 1", Datatype.DOUBLE, "deg", ""),
        ("calib_level / 2", Datatype.INTEGER, "", ""),
        ("s_ra * s_dec", Datatype.DOUBLE, "", ""),
    ],
)
def test_expressions_have_type_unit_and_ucd(expression: str, datatype: Datatype, unit: str, ucd: str) -> None:
    (column,) = columns("SELECT " + expression + " AS x FROM ivoa.obscore")  # noqa: S608 - ADQL of this file
    assert (column.datatype, column.unit, column.ucd) == (datatype, unit, ucd)


def test_every_column_has_a_name_of_its_own() -> None:
    names = [one.name for one in columns("SELECT a.obs_id, b.obs_id, 1, COUNT(*) FROM ivoa.obscore a, ivoa.obscore b "
                                         "GROUP BY a.obs_id, b.obs_id")]  # fmt: skip
    assert names == ["obs_id", "obs_id_2", "col3", "count"]


@pytest.mark.parametrize(
    ("adql", "column", "words"),
    [
        ("SELECT s_raa FROM ivoa.obscore", 8, "no column s_raa; expected s_ra"),
        ("SELECT s_ra FROM ivoa.obscor", 18, "no table ivoa.obscor; expected ivoa.obscore"),
        ('SELECT "S_RA" FROM ivoa.obscore', 8, "no column S_RA"),
        ("SELECT obs_id FROM ivoa.obscore a, ivoa.obscore b", 8, "ambiguous"),
        ("SELECT obscore.obs_id FROM ivoa.obscore AS a", 8, "no table obscore"),
        ("SELECT s_ra FROM ivoa.obscore WHERE s_ra = 'a'", 44, "cannot compare a number with a string"),
        ("SELECT s_ra FROM ivoa.obscore WHERE obs_release_date > 'soon'", 56, "no timestamp"),
        ("SELECT s_ra + obs_id FROM ivoa.obscore", 15, "takes a number, not a string"),
        ("SELECT s_ra FROM ivoa.obscore WHERE MAX(s_ra) > 1", 37, "may not stand in WHERE"),
        ("SELECT MAX(AVG(s_ra)) FROM ivoa.obscore", 12, "inside of another set function"),
        ("SELECT s_ra, COUNT(*) FROM ivoa.obscore", 8, "neither grouped by"),
        ("SELECT s_ra FROM ivoa.obscore UNION SELECT s_ra, s_dec FROM ivoa.obscore", 37, "one side has 1 columns"),
        ("SELECT s_ra FROM ivoa.obscore UNION SELECT obs_id FROM ivoa.obscore", 44, "mixes a number with a string"),
        ("SELECT s_ra FROM ivoa.obscore WHERE s_ra IN (SELECT s_ra, s_dec FROM ivoa.obscore)", 46, "2 columns"),
        ("SELECT pg_sleep(1) FROM ivoa.obscore", 8, "no function pg_sleep"),
        ("SELECT POINT(10, 95) FROM ivoa.obscore", 8, "latitude 95"),
        ("SELECT POLYGON(0, 0, 10, 10, 10, 0, 0, 10) FROM ivoa.obscore", 8, "crosses itself"),
        ("SELECT IN_UNIT(s_ra, 'kg') FROM ivoa.obscore", 22, "cannot be converted"),
        ("SELECT IN_UNIT(em_min, 'Hz') FROM ivoa.obscore", 24, "gavo_specconv converts"),
        ("SELECT IN_UNIT(42, 'kg') FROM ivoa.obscore", 20, "no unit"),
        ("SELECT DISTINCT obs_id FROM ivoa.obscore ORDER BY s_ra", 51, "select list only"),
        ("SELECT s_ra FROM ivoa.obscore ORDER BY 2", 40, "there are 1 output columns"),
        ("SELECT s_ra FROM ivoa.obscore JOIN lake.replica", 31, "a JOIN needs ON, USING or NATURAL"),
        ("SELECT 1e999 FROM ivoa.obscore", 8, "too large"),
        ("SELECT ivo_healpix_index(30, 1, 1) FROM ivoa.obscore", 26, "0 to 29"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(adql: str, column: int, words: str) -> None:
    with pytest.raises(AdqlError) as caught:
        of(adql)
    assert (caught.value.line, caught.value.column) == (1, column), str(caught.value)
    assert words in str(caught.value)


TABLES = [f"ivoa.obscore AS a{number}" for number in range(1_001)]


@pytest.mark.parametrize(
    ("query", "parts", "words"),
    [
        ("SELECT COUNT(*) FROM @", TABLES, "at most 1000 tables"),
        ("SELECT obs_id FROM ivoa.obscore WHERE EXISTS (SELECT 1 FROM @)", TABLES[1:], "at most 1000 tables"),
        ("SELECT * FROM @", TABLES[:60], "at most 1664 columns"),
        ("SELECT @ FROM ivoa.obscore", ["s_ra"] * 1_665, "at most 1664 columns"),
    ],
)
def test_what_would_take_minutes_to_understand_is_refused(query: str, parts: list[str], words: str) -> None:
    with pytest.raises(AdqlError, match=words):
        of(query.replace("@", ", ".join(parts)))


def test_features_are_spelled_as_clients_compare_them() -> None:
    others = [kind for kind in FEATURES if not kind.endswith("-conditional")]
    assert all(kind.startswith("ivo://ivoa.net/std/TAPRegExt#features-") for kind in others)
    forms = [form for form, _ in FEATURES["ivo://ivoa.net/std/TAPRegExt#features-udf"]]
    assert "ivo_healpix_index(hpxOrder INTEGER, point POINT) -> BIGINT" in forms
