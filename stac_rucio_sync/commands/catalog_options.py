"""What the commands of ``catalog`` have in common: how they find the catalogue, and what they say of commits."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import orjson

from stac_rucio_sync.catalog.comparison import Difference
from stac_rucio_sync.catalog.fields import FieldChange
from stac_rucio_sync.catalog.objects import Commit
from stac_rucio_sync.catalog.repository import AUTHOR

Command = TypeVar("Command", bound=Callable[..., Any])

SIGNS = {"added": "+", "modified": "~", "moved": ">", "removed": "-"}
_SHORT = 10
_LONG_VALUE = 100


def catalog_option(command: Command) -> Command:
    """Add the option that names the catalogue."""
    return click.option(
        "-C",
        "--catalog",
        "place",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="STAC_RUCIO_SYNC_CATALOG",
        default=Path(),
        show_default=True,
        help="Folder of the catalogue.",
    )(command)


class Committing(NamedTuple):
    """What the options of a command say of the commit that it makes."""

    message: str | None
    """None: what is done."""
    author: str
    dry_run: bool
    wait: float
    """Seconds, for other writers."""


_COMMIT_OPTIONS = (
    click.option("-m", "--message", help="What the commit says. Default: what is done."),
    click.option("--author", default=AUTHOR, show_default=True, help="Who makes the commit."),
    click.option("--dry-run", is_flag=True, help="Only say what would be done."),
    click.option(
        "--wait", type=click.FloatRange(0), default=600.0, show_default=True, help="Seconds to wait for other writers."
    ),
)


def commit_options(command: Command) -> Command:
    """Add the options of commands that make a commit; the command takes them as ``committing``."""

    @wraps(command)
    def called(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
        committing = Committing(*(options.pop(name) for name in Committing._fields))
        return command(*arguments, committing=committing, **options)

    for option in reversed(_COMMIT_OPTIONS):
        called = option(called)
    return called  # type: ignore[return-value]  # it is called as the command is, by click


def json_option(says: str = "Print one JSON object.") -> Callable[[Command], Command]:
    """Return the option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help=says)


def commit_as_json(number: int, commit: Commit) -> dict[str, Any]:
    """Return a commit for JSON."""
    return {
        "number": number,
        "commit": commit.oid,
        "parent": commit.parent,
        "date": f"{commit.when:%Y-%m-%dT%H:%M:%SZ}",
        "author": commit.author,
        "message": commit.message,
    }


def commit_line(number: int, commit: Commit) -> str:
    """Return number, name and date of a commit."""
    return f"{number:>5}  {commit.oid[:_SHORT]}  {commit.when:%Y-%m-%dT%H:%M:%SZ}"


def difference_as_json(difference: Difference) -> dict[str, Any]:
    """Return a difference for JSON."""
    return {
        "fate": difference.fate,
        "kind": difference.key.kind,
        "collection": difference.key.collection or None,
        "id": difference.key.id,
        "path": difference.path,
        "old_path": difference.old_path,
        "fields": [_field_as_json(field) for field in difference.fields],
        "files": [file._asdict() for file in difference.files],
    }


def difference_lines(difference: Difference, *, brief: bool) -> list[str]:
    """Return a difference for a terminal: the object, then its fields and files."""
    key = difference.key
    name = f"{key.collection}/{key.id}" if key.collection else key.id
    came = f" (from {difference.old_path})" if difference.old_path else ""
    lines = [f"{SIGNS[difference.fate]} {key.kind} {printable(name)}  {difference.path}{came}"]
    if not brief:
        lines += [f"      {_field_line(field)}" for field in difference.fields]
        lines += [f"      {SIGNS[file.fate]} file {printable(file.path)}" for file in difference.files]
    return lines


def counted(counts: dict[str, int]) -> str:
    """Return counts by fate in words."""
    return ", ".join(f"{counts[fate]} {fate}" for fate in SIGNS if counts.get(fate)) or "nothing changed"


def numbered(count: int, thing: str) -> str:
    """Return a number of things in words."""
    return f"{count} {thing if count == 1 else f'{thing}s'}"


def printable(text: str) -> str:
    """Return a text that moves no cursor: an id may hold anything."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _field_as_json(field: FieldChange) -> dict[str, Any]:
    said: dict[str, Any] = {"pointer": field.pointer, "fate": field.fate}
    if field.fate != "added":
        said["old"] = field.old
    if field.fate != "removed":
        said["new"] = field.new
    return said


def _field_line(field: FieldChange) -> str:
    sides = [side for side, fate in ((field.old, "added"), (field.new, "removed")) if field.fate != fate]
    return f"{SIGNS[field.fate]} {printable(field.pointer)}: {' → '.join(map(_value, sides))}"


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = printable(orjson.dumps(value).decode())
    return text if len(text) <= _LONG_VALUE else f"{text[: _LONG_VALUE - 1]}…"
