"""The commands of the catalogue: what they print, in words and as JSON, and how they leave."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from stac_rucio_sync.catalog.backup import backup
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.cli import cli, main
from stac_rucio_sync.commands.catalog import CATALOG_COMMANDS, catalog
from stac_rucio_sync.errors import FatalError, UsageError
from tests.catalog.examples import collection, item

Run = Callable[..., Result]


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Three versions: empty; a and b; a changed."""
    with (
        Repository.create(tmp_path / "survey", identifier="survey") as made,
        transaction(made, author="Ada") as changes,
    ):
        changes.put_collection(collection("old"))
        changes.put_item(item("a"))
        changes.put_item(item("b\x1b[31m"))
        changes.commit("Two items\n\nAnd more words.")
        changes.put_item(item("a", gsd=3.0))
        changes.commit("a again")
    return tmp_path / "survey"


@pytest.fixture
def run(survey: Path) -> Run:
    def call(*arguments: str) -> Result:
        environment = {"STAC_RUCIO_SYNC_CATALOG": str(survey)}
        return CliRunner().invoke(cli, ["catalog", *arguments], env=environment, catch_exceptions=False)

    return call


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0
    return [orjson.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("name", CATALOG_COMMANDS)
def test_the_list_of_commands_says_what_their_help_says(name: str) -> None:
    command = catalog.get_command(click.Context(catalog), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == CATALOG_COMMANDS[name].says


@pytest.mark.parametrize("backend", ["filesystem", "git"])
def test_init_makes_an_empty_catalogue(tmp_path: Path, run: Run, backend: str) -> None:
    place = tmp_path / "new"
    (made,) = lines(run("init", str(place), "--backend", backend, "--id", "n", "--title", "N", "--json"))
    assert (made["backend"], made["id"], made["commit"]["number"]) == (backend, "n", 1)
    with Repository(place) as repository:
        assert repository.backend == backend
        assert repository.head().stac("catalog.json")["title"] == "N"
    with pytest.raises(UsageError, match="not empty"):
        run("init", str(place))


def test_history_lists_the_commits(run: Run) -> None:
    text = run("history").stdout.splitlines()
    assert [line.split()[0] for line in text] == ["3", "2", "1"]
    assert text[1].endswith("4 added  Two items")
    listed = lines(run("history", "--json", "-n", "2"))
    assert [one["number"] for one in listed] == [3, 2]
    assert listed[0]["changes"] == {"modified": 2}
    assert listed[0]["parent"] == listed[1]["commit"]
    assert listed[1]["author"] == "Ada"
    assert listed[1]["message"] == "Two items\n\nAnd more words."


def test_history_of_an_object(run: Run) -> None:
    text = run("history", "a").stdout.splitlines()
    assert [line.split()[3] for line in text] == ["modified", "added"]
    last, first = lines(run("history", "fields/a", "--json"))
    assert (last["fate"], last["kind"], last["collection"], last["id"], last["old_path"]) == (
        "modified", "item", "fields", "a", None,
    )  # fmt: skip
    assert first["number"] == 2
    with pytest.raises(UsageError, match="never was"):
        run("history", "nothing")


def test_show_says_what_a_commit_changed(run: Run) -> None:
    text = run("show").stdout
    assert "commit 3 (" in text
    assert "~ item fields/a  fields/items/" in text
    assert "      + /properties/gsd: 3.0\n" in text
    assert "/properties/gsd" not in run("show", "--brief").stdout
    (said,) = lines(run("show", "2", "--json"))
    assert said["number"] == 2
    assert {one["id"] for one in said["changes"]} == {"a", "b\x1b[31m", "fields", "old"}
    field = next(one for one in lines(run("show", "--json"))[0]["changes"] if one["id"] == "a")["fields"][0]
    assert field == {"pointer": "/properties/gsd", "fate": "added", "new": 3.0}


def test_an_id_moves_no_cursor(run: Run) -> None:
    text = run("show", "2").stdout
    assert "\x1b" not in text
    assert "b\\x1b[31m" in text


def test_show_prints_an_object_as_it_was(run: Run) -> None:
    assert "gsd" not in orjson.loads(run("show", "2", "--object", "a").stdout)["properties"]
    assert orjson.loads(run("show", "--object", "fields/a").stdout)["properties"]["gsd"] == 3.0


def test_diff_lists_what_differs(run: Run) -> None:
    result = run("diff", "1")
    assert "+ item fields/a" in result.stdout
    assert result.stderr == "4 added\n"
    back = lines(run("diff", "3", "1", "--json"))
    assert {one["fate"] for one in back if one["kind"] == "item"} == {"removed"}
    changed = lines(run("diff", "--json", "--", "-2", "-1"))
    assert {one["id"] for one in changed} == {"a", "fields"}
    same = run("diff", "3", "3")
    assert (same.stdout, same.stderr) == ("", "nothing changed\n")


def test_rollback_is_a_commit_and_a_dry_run_is_none(run: Run, survey: Path) -> None:
    (dry,) = lines(run("rollback", "2", "--dry-run", "--json"))
    assert {one["id"] for one in dry["changes"]} == {"a", "fields"}
    assert "nothing was done" in run("rollback", "2", "--dry-run").stderr
    with Repository(survey) as repository:
        assert repository.head().number == 3
    (done,) = lines(run("rollback", "2", "-m", "Undo it", "--author", "Eve", "--json"))
    assert (done["commit"]["number"], done["commit"]["message"], done["commit"]["author"]) == (4, "Undo it", "Eve")
    assert done["changes"] == {"modified": 2}
    assert "nothing to do" in run("rollback", "2").stdout
    assert lines(run("rollback", "2", "--json"))[0]["commit"] is None


def test_items_are_moved_all_or_none(run: Run, survey: Path) -> None:
    with pytest.raises(UsageError, match="there is no nothing"):
        run("move", "a", "nothing", "--parent", "old")
    (dry,) = lines(run("move", "a", "--parent", "old", "--dry-run", "--json"))
    assert (len(dry["moved"]), dry["commit"]) == (1, None)
    with Repository(survey) as repository:
        assert repository.head().number == 3
    (done,) = lines(run("move", "a", "a", "--parent", "old/collection.json", "--json"))
    assert [one["id"] for one in done["moved"]] == ["a"]
    assert done["commit"]["message"] == "Move 1 item to old"
    with Repository(survey) as repository:
        assert repository.head().find_one("a").path == done["moved"][0]["path"]
        assert done["moved"][0]["path"].startswith("old/items/")
    nothing = {"dry_run": False, "moved": [], "commit": None, "warnings": []}
    assert lines(run("move", "a", "--parent", "old", "--json")) == [nothing]


def test_backup_and_restore(run: Run, tmp_path: Path) -> None:
    target = str(tmp_path / "backup")
    assert lines(run("backup", target, "--dry-run", "--json")) == [{"dry_run": True, "commits": 3}]
    (first,) = lines(run("backup", target, "--json"))
    assert (first["commits"], first["large_files"]) == (3, 0)
    assert run("backup", target).stdout.startswith("0 commits copied")
    assert lines(run("restore", target, str(tmp_path / "back"), "--json"))[0]["head"] == first["head"]
    assert lines(run("history", "-C", str(tmp_path / "back"), "--json")) == lines(run("history", "--json"))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Three items, one of them none."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("c", "d"):
        (folder / f"{name}.json").write_bytes(orjson.dumps(item(name)))
    (folder / "broken.json").write_bytes(orjson.dumps(item("e") | {"geometry": "nowhere"})[:-1])
    return folder


def test_ingest_tells_the_fate_of_each_product(run: Run, sources: Path, survey: Path) -> None:
    paths = [str(path) for path in sorted(sources.iterdir())]
    result = run("ingest", *paths, "--json")
    assert result.exit_code == 1
    *fates, end = (orjson.loads(line) for line in result.stdout.splitlines())
    assert {one["id"]: one["fate"] for one in fates if one["id"]} == {
        "fields/c": "added",
        "fields/d": "added",
    }
    (failed,) = (one for one in fates if one["fate"] == "failed")
    assert failed["source"] == paths[0]
    assert failed["reason"]
    assert end == {"report": {"dry_run": False, "counts": {"added": 2, "failed": 1}, "commits": 2, "warnings": []}}
    with Repository(survey) as repository:
        assert repository.head().number == 5
    again = run("ingest", *paths[1:], "-m", "Nothing new")
    assert again.exit_code == 0
    assert [line.split()[1:3] for line in again.stdout.splitlines()] == [
        ["unchanged", "fields/c"],
        ["unchanged", "fields/d"],
    ]
    assert again.stderr == "2 unchanged; 0 commits\n"


def test_one_commit_takes_all_or_none(run: Run, sources: Path, survey: Path) -> None:
    paths = [str(path) for path in sorted(sources.iterdir())]
    result = run("ingest", *paths, "--one-commit")
    assert result.exit_code == 1
    assert "2 withdrawn, 1 failed; 0 commits" in result.stderr
    dry = run("ingest", *paths[1:], "--one-commit", "--dry-run", "--parent", "old")
    assert (dry.exit_code, dry.stderr) == (0, "would be, 2 added; 0 commits\n")
    with Repository(survey) as repository:
        assert repository.head().number == 3
    assert (
        run("ingest", *paths[1:], "--one-commit", "--parent", "old", "-m", "c and d", "--author", "Eve").exit_code == 0
    )
    with Repository(survey) as repository:
        commit = repository.head().commit
        assert (repository.head().number, commit.message, commit.author) == (4, "c and d", "Eve")
        assert repository.head().find_one("c").path.startswith("old/items/")


def test_prune_takes_objects_out(run: Run, survey: Path, tmp_path: Path) -> None:
    wrong = run("prune", "a", "nothing")
    assert wrong.exit_code == 1
    assert "1 withdrawn, 1 failed" in wrong.stderr
    dry = run("prune", "a", "--dry-run")
    assert (dry.exit_code, dry.stderr) == (0, "would be, 1 removed; 0 commits\n")
    with Repository(survey) as repository:
        assert repository.head().find("a")
    *fates, end = lines(run("prune", "a", "--extract", str(tmp_path / "out"), "--json"))
    assert [(one["id"], one["fate"]) for one in fates] == [("a", "removed")]
    assert end["report"]["commits"] == 1
    assert [path.name for path in (tmp_path / "out").rglob("a.json")] == ["a.json"]
    assert run("history", "a").stdout.splitlines()[0].split()[3] == "removed"


def test_show_processors(run: Run) -> None:
    assert {"fits", "stac"} <= {one["name"] for one in lines(run("show-processors", "--json"))}
    assert "stac " in run("show-processors").stdout
    with pytest.raises(UsageError, match="stac"):
        run("ingest", "x", "--processor", "nobody")


def test_operations_are_allowed_and_refused(run: Run, sources: Path) -> None:
    assert lines(run("allow", "--json")) == [{"repository": ["ingest", "update", "prune", "move"], "processors": {}}]
    assert run("allow", "ingest", "move").stdout == "this catalogue allows: ingest, move\n"
    refused = run("prune", "a")
    assert refused.exit_code == 1
    assert "does not allow to prune, but ingest, move" in refused.stdout
    run("allow", "update", "--processor", "stac")
    assert "of that, products of the processor stac: update" in run("allow").stdout
    assert run("ingest", str(sources / "c.json")).exit_code == 1
    run("allow", "all", "--processor", "stac")
    assert run("ingest", str(sources / "c.json")).exit_code == 0
    run("allow", "all")
    assert run("prune", "a").exit_code == 0


def test_export_writes_any_version(run: Run, tmp_path: Path) -> None:
    (said,) = lines(run("export", str(tmp_path / "old"), "--ref", "2", "--json"))
    files = [path for path in (tmp_path / "old").rglob("*") if path.is_file()]
    assert (said["files"], said["absent"]) == (len(files), 0)
    (path,) = (tmp_path / "old").rglob("a.json")
    assert "gsd" not in orjson.loads(path.read_bytes())["properties"]
    assert run("export", str(tmp_path / "new"), "--base-url", "https://example.org/stac").exit_code == 0
    (path,) = (tmp_path / "new").rglob("a.json")
    new = orjson.loads(path.read_bytes())
    assert new["properties"]["gsd"] == 3.0
    assert {link["href"] for link in new["links"] if link["rel"] == "root"} == {"https://example.org/stac/catalog.json"}
    with pytest.raises(UsageError, match="is there already"):
        run("export", str(tmp_path / "new"))


def test_show_backends(run: Run) -> None:
    assert [one["name"] for one in lines(run("show-backends", "--json"))] == ["filesystem", "git"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["history", "-C", "/nowhere"], "is no catalogue repository: stac-rucio-sync catalog init makes one"),
        (["show", "99"], "there is no commit 99: the latest is 3"),
        (["diff", "1800-01-01"], "there was no commit yet"),
        (["move", "a"], "Missing option '--parent'"),
    ],
)
def test_a_mistake_is_exit_2_and_says_the_way_out(
    survey: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAC_RUCIO_SYNC_CATALOG", str(survey))
    with pytest.raises(SystemExit) as left:
        main(["catalog", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_the_list_of_commands_imports_none() -> None:
    program = """
import sys
from stac_rucio_sync.cli import cli
cli.main(["catalog", "--help"], standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    assert "rollback" in done.stdout
    assert not {"pygit2", "rich", "stac_rucio_sync.commands.catalog_history"} & set(done.stderr.split())


def test_without_git_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Repository.create(tmp_path / "r") as repository:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(FatalError, match="--backend filesystem"):
            backup(repository, str(tmp_path / "copy"))
