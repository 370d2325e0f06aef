"""The good queries of the corpus are ADQL; what becomes of them is asked of a database in `tests/postgres`."""

from __future__ import annotations

import pytest

from obscore_tap.adql.parser import parse
from tests import adql_corpus
from tests.unit.adql import written


@pytest.mark.parametrize("good", adql_corpus.good(), ids=lambda good: good.name)
def test_a_good_query_is_read_and_written_again(good: adql_corpus.Good) -> None:
    bracketed = written.query(parse(good.adql))
    assert written.query(parse(bracketed)) == bracketed


def test_the_corpus_is_as_large_as_it_claims() -> None:
    assert len(adql_corpus.good()) >= 150
    assert len(adql_corpus.bad()) >= 100
