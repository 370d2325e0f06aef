"""Queries that were damaged at random: each ends in a translation or in a clean error, and stays one SELECT."""

from __future__ import annotations

import os
import random
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.parser import parse
from obscore_tap.adql.tokens import Limits, tokenize
from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published
from tests import adql_corpus
from tests.unit.adql import written

SEED = int(os.environ.get("STAC_RUCIO_SYNC_FUZZ_SEED", "20260101"))
GOOD = [entry.adql for entry in adql_corpus.good()]
SEEDLINGS = GOOD * 2 + [entry.adql for entry in adql_corpus.bad()]
SNIPPETS = [
    *(
        "; DROP TABLE x",
        "--",
        "'",
        '"',
        "''",
        "\\",
        "\0",
        "$$",
        "/*",
        "*/",
        "((",
        "))",
        "NULL",
        "é",
        "\u2019",
        "\r",
        "::",
    ),
    *(
        "1e999",
        "9" * 40,
        "pg_sleep(1)",
        "SELECT",
        "FROM",
        "UNION",
        "CASE",
        "END",
        "NOT",
        "-",
        "||",
        ".",
        ",",
        "*",
        "ivoa.",
    ),
    *("POINT(1,2)", "'x'", '"x"', "s_ra", "obs_id", "COUNT(*)", "IN", "(SELECT 1 FROM lake.rse)", "TOP 3", "AS", "ON"),
]
PUBLISHED = make_published()
STRING_OF_SQL = re.compile(r"E'(?:[^'\\]|''|\\\\)*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


def damaged(chance: random.Random) -> str:
    text = chance.choice(SEEDLINGS)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        text = damaged_once(text, chance)
    return text


def damaged_once(text: str, chance: random.Random) -> str:
    """Change a character, or a token: drop, double, swap, put another one in its place."""
    if chance.random() < 0.3:
        place = chance.randrange(len(text) + 1)
        return text[:place] + chance.choice(SNIPPETS) + text[place + chance.randint(0, 2) :]
    tokens = re.findall(r"\s+|\w+|'[^']*'|.", text, re.DOTALL) or [text]
    place = chance.randrange(len(tokens))
    others = re.findall(r"\w+|'[^']*'|[^\s\w]", chance.choice(SEEDLINGS)) or ["x"]
    kind = chance.randrange(5)
    if kind == 0:
        del tokens[place]
    elif kind == 1:
        tokens.insert(place, f" {chance.choice(others)} ")
    elif kind == 2:
        tokens[place] = chance.choice(others)
    elif kind == 3:
        tokens[place] = chance.choice(
            [other for other in others if other[0].isalnum() == tokens[place][0].isalnum()] or ["1"]
        )
    else:
        other = chance.randrange(len(tokens))
        tokens[place], tokens[other] = tokens[other], tokens[place]
    return "".join(tokens)


def is_one_select(sql: str) -> bool:
    """Whether nothing but one SELECT or WITH is left when strings and quoted names are taken out."""
    bare = STRING_OF_SQL.sub("x", sql)
    return (
        re.match(r"\(*\s*(?:SELECT|WITH)\b", bare) is not None
        and not re.search(r"[;'\"\\\0$]|--|/\*", bare)
        and bare.count("(") == bare.count(")")
    )


DAMAGED = st.builds(damaged, st.randoms(use_true_random=False))
"""hypothesis draws every choice of the damage, and so finds the smallest one that still goes wrong."""


def bounded(examples: int) -> hypothesis_settings:
    """Run as many examples, the same ones each time."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]  # a query may be long, and is damaged as a whole
    return hypothesis_settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=slow
    )


def ends_in_a_translation_or_an_error(text: str) -> bool:
    """Return whether a query was translated; what is neither that nor an error of ours is raised."""
    try:
        sql = translate(text, PUBLISHED).sql
    except AdqlError:
        return False
    assert is_one_select(sql), sql
    return True


@bounded(500)
@given(DAMAGED)
def test_a_damaged_query_ends_in_a_translation_or_an_error(text: str) -> None:
    ends_in_a_translation_or_an_error(text)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_damaged_queries_end_in_a_translation_or_an_error() -> None:
    met: set[str] = set()

    @bounded(16_000)  # hypothesis comes back to what it has met
    @given(DAMAGED)
    def damage(text: str) -> None:
        met.add(text)
        ends_in_a_translation_or_an_error(text)

    damage()
    assert len(met) >= 10_000


def test_the_damage_leaves_some_queries_right_and_makes_others_wrong() -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    translated = sum(ends_in_a_translation_or_an_error(damaged(chance)) for _ in range(1000))
    assert 20 < translated < 980


@bounded(300)
@given(DAMAGED)
def test_what_a_damaged_query_is_read_as_can_be_written_again(text: str) -> None:
    try:
        bracketed = written.query(parse(text))
    except AdqlError:
        return
    assert written.query(parse(bracketed, Limits(depth=200))) == bracketed


@bounded(1000)
@given(st.text(st.one_of(st.characters(max_codepoint=127), st.characters(max_codepoint=0x3000)), max_size=20))
def test_any_text_falls_into_tokens_or_an_error(text: str) -> None:
    try:
        tokens = tokenize(text, Limits())
    except AdqlError:
        return
    assert all(text.startswith(word, start) for word, start in zip(tokens.texts, tokens.starts, strict=True))
