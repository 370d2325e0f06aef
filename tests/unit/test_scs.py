"""Simple Cone Search 1.03: which query a request stands for, and what is refused (sections 2.1 to 2.3)."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from obscore_tap.parameters import Parameters
from obscore_tap.published import make_published
from obscore_tap.refusals import Refusal
from obscore_tap.schema import Datatype, OutputColumn, Translation
from obscore_tap.scs import cone_query, error_document, with_old_ucds

PUBLISHED = make_published("epn")


def query(**values: str) -> str:
    return cone_query(Parameters(values.items()), PUBLISHED)


def columns_of(adql: str) -> list[str]:
    match = re.match(r"SELECT (.*) FROM ivoa\.obscore WHERE ", adql)
    assert match
    return match[1].split(", ")


def condition_of(adql: str) -> str:
    return adql.partition(" WHERE ")[2]


def test_a_cone_becomes_a_condition_on_the_position() -> None:
    adql = query(RA="180.567", DEC="-30.45", SR="0.0125")
    assert condition_of(adql) == "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(180.567, -30.45, 0.0125))"


def test_names_of_parameters_have_no_case() -> None:
    assert query(ra="1", Dec="2", sR="3") == query(RA="1", DEC="2", SR="3")


@pytest.mark.parametrize("text", ["1e-7", "+1E-07", " 1e-07 ", ".1e-6"])
def test_numbers_are_read_as_votable_writes_them(text: str) -> None:
    assert condition_of(query(RA="0", DEC="0", SR=text)).endswith("CIRCLE(0.0, 0.0, 1E-07))")


def test_a_radius_of_zero_asks_for_the_columns_only() -> None:
    assert condition_of(query(RA="0", DEC="90", SR="0")) == "1 = 0"


def test_a_cone_wider_than_a_hemisphere_is_all_but_the_opposite_one() -> None:
    assert condition_of(query(RA="200", DEC="10", SR="170")) == (
        "0 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(20.0, -10.0, 10.0))"
    )
    assert condition_of(query(RA="200", DEC="10", SR="180")) == "s_ra IS NOT NULL AND s_dec IS NOT NULL"


def test_verbosity_is_a_choice_of_columns_each_within_the_next() -> None:
    few, some, every = (columns_of(query(RA="0", DEC="0", SR="1", VERB=level)) for level in "123")
    assert {"obs_publisher_did", "s_ra", "s_dec"} <= set(few) < set(some) < set(every)
    obscore = PUBLISHED.get("ivoa", "obscore")
    assert obscore
    assert every == [column.name for column in obscore.columns]
    assert columns_of(query(RA="0", DEC="0", SR="1")) == some


@pytest.mark.parametrize("missing", ["RA", "DEC", "SR"])
def test_each_of_the_three_is_needed(missing: str) -> None:
    given = {"RA": "1", "DEC": "2", "SR": "3"}
    del given[missing]
    with pytest.raises(Refusal, match=f"{missing} is missing"):
        query(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RA", "as3f"), ("RA", "12:30:00"), ("RA", "-0.1"), ("RA", "360.1"), ("RA", "nan"), ("RA", "Inf"),
        ("RA", "1e999"), ("DEC", "91.0"), ("DEC", "-90.5"), ("DEC", "0x10"), ("SR", "-1"), ("SR", "180.5"),
        ("SR", "1 2"), ("RA", "1_0"), ("VERB", "0"), ("VERB", "4"), ("VERB", "two"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_named(name: str, value: str) -> None:
    with pytest.raises(Refusal, match=f"^{name}"):
        query(**({"RA": "1", "DEC": "2", "SR": "3"} | {name: value}))


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(Refusal, match="RA is given 2 times"):
        cone_query(Parameters([("RA", "1"), ("ra", "2"), ("DEC", "0"), ("SR", "1")]), PUBLISHED)


def test_parameters_of_others_are_ignored() -> None:
    assert query(RA="1", DEC="2", SR="3", catalogue="II/246") == query(RA="1", DEC="2", SR="3")


def test_one_column_each_has_the_words_of_the_standard() -> None:
    names = columns_of(query(RA="0", DEC="0", SR="1", VERB="3"))
    plain = tuple(OutputColumn(name, Datatype.TEXT, ucd=f"meta.{name}") for name in names)
    found = with_old_ucds(Translation("SELECT", plain, frozenset())).columns
    for ucd, name in (("ID_MAIN", "obs_publisher_did"), ("POS_EQ_RA_MAIN", "s_ra"), ("POS_EQ_DEC_MAIN", "s_dec")):
        assert [column.name for column in found if column.ucd == ucd] == [name]
    assert [replace(column, ucd="") for column in found] == [replace(column, ucd="") for column in plain]


def test_an_error_is_an_info_below_the_root() -> None:
    root = ET.fromstring(error_document("RA: '<\"&' is not a number"))
    space = {"v": "http://www.ivoa.net/xml/VOTable/v1.3"}
    infos = root.findall("v:INFO", space)
    assert [info.get("name") for info in infos] == ["Error"]
    assert infos[0].get("value") == "RA: '<\"&' is not a number"
    assert not root.findall(".//v:TABLE", space)
