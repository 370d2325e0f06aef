"""Queries with what must become of them.

A file of ``good/`` holds entries of the form ::

    ## name of the entry
    the query, in ADQL
    ===>
    hand-written SQL that gives the same rows, with the same types

and a file of ``bad/`` entries of the form ::

    ## name of the entry
    the query
    !!! line:column words that the error must have
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROWS = FOLDER / "rows.sql"


@dataclass(frozen=True, slots=True)
class Good:
    """A query and its expected rows."""

    name: str
    adql: str
    sql: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A query and its expected error."""

    name: str
    adql: str
    line: int
    column: int
    words: str


def good() -> list[Good]:
    found = []
    for name, body in _entries("good"):
        adql, sql = body.split("===>\n")
        found.append(Good(name, adql.strip(), sql.strip()))
    return found


def bad() -> list[Bad]:
    found = []
    for name, body in _entries("bad"):
        adql, said = body.split("!!!")
        where, _, words = said.strip().partition(" ")
        line, _, column = where.partition(":")
        found.append(Bad(name, adql.strip("\n"), int(line), int(column), words.strip()))
    return found


def _entries(folder: str) -> list[tuple[str, str]]:
    found = []
    for path in sorted((FOLDER / folder).glob("*.txt")):
        _, *entries = path.read_text(encoding="utf-8").split("\n## ")
        for entry in entries:
            name, _, body = entry.partition("\n")
            found.append((f"{path.stem}: {name.strip()}", body))
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), "two entries have one name"
    return found
