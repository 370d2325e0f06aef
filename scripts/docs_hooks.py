"""What the documentation takes from the code and from beside it when it is built (hooks of MkDocs)."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File

from stac_rucio_sync.cli import cli

ROOT = Path(__file__).parents[1]
COMMANDS_PAGE = "commands.md"
COMMANDS_MARK = "<!-- all commands -->"


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - as MkDocs calls it
    """Take the notebooks along."""
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        files.append(File.generated(config, f"examples/{notebook.name}", abs_src_path=str(notebook)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - as MkDocs calls it
    """Write the reference of commands; links to notebooks, which lie beside `docs`, lead to the copies."""
    if page.file.src_uri == COMMANDS_PAGE:
        return markdown.replace(COMMANDS_MARK, "\n".join(command_reference()))
    up = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"({up}../examples/", f"({up}examples/")


def command_reference() -> Iterator[str]:
    """Yield the lines of the reference: every command with its arguments, its options and its examples."""
    for path, command in _commands(cli, ()):
        name = " ".join(("stac-rucio-sync", *path))
        context = click.Context(command, info_name=name)
        yield f"\n{'##' if len(path) < 2 else '###'} `{name}`\n"
        said, _, examples = cleandoc(command.help or "").partition("\b")
        yield escape(said)
        if examples:
            yield "\n```\n" + cleandoc(examples) + "\n```\n"
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"`{name} {usage}`\n"
        options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
        if options:
            yield "| option | |\n|---|---|"
        for option in options:
            record = option.get_help_record(context)
            if record is not None:
                yield "| <code>{}</code> | {} |".format(*(escape(part).replace("|", "&#124;") for part in record))


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _commands(below, (*path, name))
