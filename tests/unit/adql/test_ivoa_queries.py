"""The IVOA's own collection of queries, each marked as valid or not, against the grammar alone."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.parser import parse

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "adql"

BEYOND_THE_GRAMMAR = {
    "select x from y where TAN2(x)<3": (
        "marked as not valid, but TAN2 is derived from <user_defined_function_name>: "
        "that there is no such function is found when names are looked up"
    ),
}
"""Queries whose mark contradicts the grammar of ADQL 2.1, with the rule."""

needs_queries = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not here")


def ivoa_queries() -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for path in sorted(FOLDER.glob("*.xml")):
        for entry in ElementTree.parse(path).getroot().iter("adql"):
            found.append((entry.text or "", entry.attrib["valid"] == "true"))
    return found


def is_read(text: str) -> bool:
    try:
        parse(text)
    except AdqlError:
        return False
    return True


@needs_queries
def test_every_query_is_judged_as_it_is_marked() -> None:
    queries = ivoa_queries()
    assert len(queries) > 200
    wrong = {text.strip() for text, valid in queries if is_read(text) is not valid}
    assert wrong == set(BEYOND_THE_GRAMMAR)
