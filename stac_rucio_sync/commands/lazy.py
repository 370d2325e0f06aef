"""Groups of commands that are imported when they are called: together they take a second."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Place(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    name: str
    says: str


class LazyGroup(click.Group):
    """A group that knows its commands by their places and imports none before it is needed.

    Parameters
    ----------
    places
        By name of the command.
    """

    def __init__(self, *arguments: Any, places: Mapping[str, Place], **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, **attributes)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._places:
            return None
        place = self._places[cmd_name]
        command: click.Command = imported(place.module, place.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._places[name].says) for name in self.list_commands(ctx)])


def imported(module: str, name: str) -> Any:  # noqa: ANN401 - whatever is there
    """Return what a module calls by a name."""
    return getattr(import_module(module), name)
