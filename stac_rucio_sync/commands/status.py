"""``status``: what the tables hold of every source, and how its last run ended."""

from __future__ import annotations

from datetime import datetime

import click
import orjson
from rich.console import Console

from stac_rucio_sync.commands.context import Invocation, open_tables
from stac_rucio_sync.commands.screen import table_of
from stac_rucio_sync.model import Outcome
from stac_rucio_sync.stores.tables.state import SourceState

_COLUMNS = (
    "source",
    "kind",
    "items",
    "links only",
    "sizes untold",
    "in quarantine",
    "last run",
    "it ended",
    "last complete read",
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(invocation: Invocation, as_json: bool) -> None:
    """Show what the tables hold of every source, and how its last run ended.

    \b
    Example:
      stac-rucio-sync status
    """
    with open_tables(invocation.settings()) as tables:
        states = tables.status()
    if as_json:
        click.echo(orjson.dumps({"sources": [state.as_json() for state in states]}))
        return
    console = Console() if Console().is_terminal else Console(width=_PIPE_WIDTH)
    console.print(table_of("sources", _COLUMNS, [_row(state) for state in states]) if states else _NONE)
    for state in states:
        if why := _why(state):
            console.print(f"{state.name}: {why}", markup=False, highlight=False, soft_wrap=True)


_NONE = "no source was synced yet"
_PIPE_WIDTH = 160
"""Columns where there is no terminal that has some: enough for names of ordinary length."""


def _row(state: SourceState) -> tuple[str, ...]:
    counts = (str(count) for count in (state.items, state.links_only, state.untold, state.quarantined))
    return (
        state.name,
        state.kind or "",
        *counts,
        _instant(state.last_started),
        state.last_outcome,
        _instant(state.last_complete),
    )


def _instant(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M") if value else "never"


def _why(state: SourceState) -> str | None:
    """Return what is to be said of a run that was not clean."""
    report = state.last_report or {}
    at = _instant(state.last_finished)
    match state.last_outcome:
        case Outcome.UNFINISHED:
            return "its last run was killed, or the machine it ran on; the next one goes on from what was committed"
        case Outcome.SOME_FAILED:
            counts = ", ".join(f"{report[fate]} {fate}" for fate in ("failed", "quarantined") if report.get(fate))
            return f"its last run went to the end at {at} with {counts} (`quarantine` gives reasons)"
        case Outcome.FAILED:
            return f"its last run ended at {at} by an error: {state.last_error}"
        case Outcome.STOPPED:
            return f"its last run was stopped at {at}"
    return None
