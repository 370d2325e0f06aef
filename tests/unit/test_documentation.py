"""Documentation in step with the code: every setting is described, every command has help with an example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from stac_rucio_sync.cli import cli
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
        for name, sub in command.commands.items():
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


def test_the_options_that_the_page_on_sources_names_exist() -> None:
    named = set(re.findall(r"--[a-z][a-z-]*", (DOCS / "sources.md").read_text()))
    assert named
    assert named <= {name for option in cli.commands["sync"].params for name in option.opts}
