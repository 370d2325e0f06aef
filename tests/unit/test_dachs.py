"""The resource descriptor for DaCHS, as far as its text goes; `make test-dachs` gives it to a real one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from obscore_tap.dachs import Descriptor, descriptor_document
from obscore_tap.published import make_published
from stac_rucio_sync.cli import cli

TABLES = ["obscore", "epn_core", "file", "replica", "rse"]
LINKS = "https://archive.example.org/datalink/links"


def descriptor(*, copy: bool, title: str = "An archive") -> ElementTree.Element:
    said = Descriptor(title, "What it is", LINKS, "mine", copy)
    return ElementTree.fromstring(descriptor_document(said, make_published(), made=datetime(2026, 1, 2, tzinfo=UTC)))


def table(root: ElementTree.Element, name: str) -> ElementTree.Element:
    (found,) = (one for one in root.iterfind("table") if one.get("id") == name)
    return found


@pytest.mark.parametrize("copy", [False, True])
def test_every_published_column_is_there_in_its_order(copy: bool) -> None:
    root = descriptor(copy=copy)
    assert [one.get("id") for one in root.iterfind("table")] == [*TABLES, "cone"]
    for published in make_published():
        if published.schema == "tap_schema":
            continue
        columns = table(root, published.name).findall("column")
        assert [(column.get("name") or "").removeprefix("quoted/") for column in columns] == [
            column.name for column in published.columns
        ]
        for ours, theirs in zip(published.columns, columns, strict=True):
            assert (theirs.get("unit", ""), theirs.get("ucd", "")) == (ours.unit, ours.ucd)
            assert theirs.get("description") == ours.description


def test_views_show_polygons_where_regions_are_words() -> None:
    root = descriptor(copy=False)
    for name, relation in (("obscore", "lake.obscore"), ("epn_core", "lake.epn")):
        statement = table(root, name).findtext("viewStatement") or ""
        assert "footprint AS s_region" in statement
        assert statement.endswith(f"FROM {relation})")
        (region,) = (one for one in table(root, name).iterfind("column") if one.get("name") == "s_region")
        assert region.get("type") == "spoly"


def test_a_copy_is_filled_from_files_and_indexed() -> None:
    root = descriptor(copy=True)
    assert [one.get("pattern") for one in root.iterfind("data/sources")] == [f"data/{name}.vot" for name in TABLES]
    assert all(table(root, name).find("viewStatement") is None for name in TABLES)
    indexes = table(root, "obscore").findall("index")
    assert all(index.get("metaOnly") is None for index in indexes)
    spherical = [index for index in indexes if index.get("columns") in {"s_ra,s_dec", "s_region"}]
    assert [index.get("method") for index in spherical] == ["GIST", "GIST"]


def test_whole_numbers_say_what_stands_for_null() -> None:
    """A VOTable's binary whole numbers have no other way to be null."""
    root = descriptor(copy=False)
    for column in root.iterfind("table/column"):
        assert (column.find("values") is not None) == (column.get("type") in {"integer", "bigint"})


def test_words_of_the_archive_cannot_become_macros() -> None:
    root = descriptor(copy=False, title=r"A & B <C> \getConfig{db}{password}")
    (title,) = (one.text for one in root.iterfind("meta") if one.get("name") == "title")
    assert title == r"A & B <C> \\getConfig{db}{password}"


def test_the_command_writes_where_it_is_told(tmp_path: Path) -> None:
    place = tmp_path / "inputs" / "mine" / "q.rd"
    variables = {"STAC_RUCIO_SYNC_SERVICES__BASE_URL": "https://archive.example.org"}
    command = ["--home", str(tmp_path), "dachs-rd", "--schema", "mine", "--output", str(place)]
    done = CliRunner().invoke(cli, command, env=variables)
    assert (done.exit_code, done.stdout) == (0, "")
    root = ElementTree.parse(place).getroot()
    assert root.get("schema") == "mine"
    assert LINKS in (root.findtext("service/datalinkCore/descriptorGenerator/code") or "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--schema", "ivoa"], "no other schema has"),
        (["--schema", "a b"], "no other schema has"),
        (["--copy", "--owner-sql"], "needs no rights here"),
        (["--output", "/dev/null/q.rd"], "--output /dev/null/q.rd"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, options: list[str], words: str) -> None:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "dachs-rd", *options])
    assert done.exit_code != 0
    assert words in str(done.exception)


def test_the_owner_gives_what_is_published_and_nothing_else(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "dachs-rd", "--owner-sql"])
    grants = [line for line in done.stdout.splitlines() if "GRANT" in line]
    assert len(grants) == 2
    assert grants[0] == "GRANT lake_query TO gavoadmin;"
    assert "GRANT TEMPORARY ON DATABASE" in grants[1]
