"""Documentation in step with the code: every setting is described, every command has help with an example."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from stac_rucio_sync.cli import COMMANDS, cli
from stac_rucio_sync.settings import Collection, Settings

DOCS = Path(__file__).parents[2] / "docs"


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        if name == "collections":
            yield '[collections."ID"]', Collection
        else:
            assert isinstance(field.annotation, type)
            yield f"[{name}]", field.annotation


@pytest.mark.parametrize(("title", "section"), list(sections()), ids=lambda part: part if isinstance(part, str) else "")
def test_every_setting_is_described_and_nothing_else(title: str, section: type[BaseModel]) -> None:
    text = (DOCS / "settings.md").read_text().split(f"## `{title}`")[1].split("\n## ")[0]
    described = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(described) == sorted(field.alias or name for name, field in section.model_fields.items())


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path) or "(root)", command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            assert sub is not None, name
            yield from commands(sub, (*path, name))


@pytest.mark.parametrize(
    ("name", "command"), list(commands(cli)), ids=lambda part: part if isinstance(part, str) else ""
)
def test_every_command_has_help_with_an_example(name: str, command: click.Command) -> None:
    help_text = command.help or ""
    assert "Example" in help_text, name
    assert "stac-rucio-sync" in help_text, name
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_their_help_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == COMMANDS[name].says


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_no_command(option: str) -> None:
    """All commands together take a second to import."""
    program = f"""
import sys
from stac_rucio_sync.cli import cli
cli.main(["{option}"], standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout
    imported = set(done.stderr.split())
    assert "stac_rucio_sync.cli" in imported
    assert not imported & ({place.module for place in COMMANDS.values()} | {"pydantic", "sqlalchemy", "rucio", "rich"})


PAGES = sorted([*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")])
_SHOWN = re.compile(r"^ *(?:\$ )?stac-rucio-sync ([^\n|&>#;`]+)", re.MULTILINE)


def fault_of(words: list[str]) -> str | None:
    """Say what is wrong with the words of a command line; None: nothing."""
    command: click.Command = cli
    rest = iter(words)
    for word in rest:
        if word == "--":
            return None
        if word.startswith("-"):
            flag, equals, _ = word.partition("=")
            options = (one for one in command.get_params(click.Context(command)) if isinstance(one, click.Option))
            option = next((one for one in options if flag in (*one.opts, *one.secondary_opts)), None)
            if option is None:
                return f"{command.name} has no option {flag}"
            if not equals and not option.is_flag and not option.count:
                next(rest, None)
        elif isinstance(command, click.Group):
            sub = command.get_command(click.Context(command), word)
            if sub is None:
                return f"there is no command {word}"
            command = sub
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS.parent)))
def test_the_commands_that_a_page_shows_exist(page: Path) -> None:
    blocks = "".join(page.read_text().replace("\\\n", " ").split("```")[1::2])
    for line in _SHOWN.findall(blocks):
        assert fault_of(shlex.split(line)) is None, f"stac-rucio-sync {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS.parent)))
def test_the_targets_that_a_page_shows_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (DOCS.parent / "Makefile").read_text(), re.MULTILINE))
    for shown in re.findall(r"`make ([a-z-]+)`|^ *(?:\$ )?make ([a-z-]+) *(?:#.*)?$", page.read_text(), re.MULTILINE):
        assert "".join(shown) in targets


def test_the_options_that_the_page_on_sources_names_exist() -> None:
    named = set(re.findall(r"--[a-z][a-z-]*", (DOCS / "sources.md").read_text()))
    assert named
    sync = cli.get_command(click.Context(cli), "sync")
    assert sync is not None
    assert named <= {name for option in sync.params for name in option.opts}


@pytest.mark.parametrize("path", sorted((DOCS.parent / "examples").glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_stored_clean(path: Path) -> None:
    """nbformat 4.5: every cell has an id of its own; what a run left is nobody's business."""
    notebook = json.loads(path.read_bytes())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]
