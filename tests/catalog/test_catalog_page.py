"""The page on the catalogue: what it names is there, and its examples do what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import orjson
import pytest
from click.testing import CliRunner

from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.cli import cli
from stac_rucio_sync.commands.catalog import CATALOG_COMMANDS, catalog
from tests.catalog.examples import item

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_and_options_that_the_page_names_exist() -> None:
    lines = [line.split("#")[0] for line in PAGE.splitlines() if line.startswith("stac-rucio-sync catalog")]
    assert len(lines) > 9
    for line in lines:
        name = line.split()[2]
        command = catalog.get_command(click.Context(catalog), name)
        assert command is not None, line
        options = {one for option in command.params for one in option.opts}
        assert set(re.findall(r"(?<= )--?[a-zA-Z][a-z-]*", line)) <= options, line
    named = set(re.findall(r"`([a-z-]+)(?: URI| DIR| SOURCE…| ID…)?`", PAGE))
    assert {"show", "diff", "rollback", "gc", "allow", "show-processors", "prune"} <= named & set(CATALOG_COMMANDS)


def test_the_page_shows_what_python_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Repository.create(Path("survey")) as repository, transaction(repository) as changes:
        changes.put_item(item("a"))
        changes.commit("a")
        changes.put_item(item("a", gsd=1))
        changes.commit("a again")
    example = BLOCKS[0].replace("datetime(2024, 5, 1, tzinfo=UTC)", "2")
    exec(compile(example, "docs/catalog.md", "exec"), {})  # noqa: S102 - the page's own words
    with Repository(Path("survey")) as repository:
        assert repository.head().number in {4, 5}
        assert repository.head().commit.tree == repository.version(2).commit.tree


def test_the_page_shows_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "stac_processor_notes.py").write_text(BLOCKS[1])
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "one.txt").write_text("a note")
    Repository.create(tmp_path / "survey").close()
    arguments = ["catalog", "ingest", "-C", str(tmp_path / "survey"), str(tmp_path / "notes"), "--processor", "notes"]
    first = CliRunner().invoke(cli, [*arguments, "--assets", "copy", "--json"], catch_exceptions=False)
    assert orjson.loads(first.stdout.splitlines()[0])["fate"] == "added"
    again = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert again.stdout.split()[1] == "unchanged"
    with Repository(tmp_path / "survey") as repository:
        files = {path.rpartition("/")[2]: entry for path, entry in repository.head().tree.files()}
        assert repository.objects.file(files["one.txt"].oid) == b"a note"
    del sys.modules["stac_processor_notes"]
