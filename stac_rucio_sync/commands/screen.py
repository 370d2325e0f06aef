"""What a person sees: a progress bar on a terminal, else one line at the end; tables of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from stac_rucio_sync.model import Fate, Report

_STEPS = 1000
"""The bar counts parts of the source read; most sources cannot say how many items they hold."""
_REMARKS_SHOWN = 20


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[Callable[[Report, float | None], None]]:
    """Draw a bar with rate and time left while a job runs; draw nothing where there is no terminal."""
    if not console.is_terminal:
        yield lambda _report, _fraction: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[items]} items, {task.fields[rate]:.0f}/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, items=0, rate=0.0)

        def draw(report: Report, fraction: float | None) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            bar.update(
                task,
                total=None if fraction is None else _STEPS,
                completed=0 if fraction is None else fraction * _STEPS,
                items=report.read,
                rate=report.read / elapsed if elapsed else 0.0,
            )

        yield draw


@contextmanager
def bar(console: Console, title: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Draw a bar of things done and of all things (None: not known); draw nothing where there is no terminal."""
    if not console.is_terminal:
        yield lambda _done, _all: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, text="")

        def draw(done: int, everything: int | None) -> None:
            text = f"{done} {unit}" if everything is None else f"{done} of {everything} {unit}"
            progress.update(task, total=everything, completed=done if everything else 0, text=text)

        yield draw


@contextmanager
def transfer_bar(console: Console, title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Draw a bar of bytes with their rate and the time left; draw nothing where there is no terminal.

    What is drawn is called with a text, the bytes done, and all bytes.
    """
    if not console.is_terminal:
        yield lambda _text, _done, _all: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, text="")
        yield lambda text, done, everything: progress.update(task, total=everything, completed=done, text=text)


def summary(report: Report) -> str:
    """Return the one line that ends a run."""
    fates = ", ".join(f"{getattr(report, fate.value)} {fate.value}" for fate in Fate if getattr(report, fate.value))
    removed = f"{report.removed} removed, {report.kept} DIDs kept in Rucio; " if report.removed or report.kept else ""
    untold = f"{report.untold} whose origins tell no size, " if report.untold else ""
    rate = report.read / report.seconds if report.seconds else 0.0
    return (
        f"{report.source}: {'would be, ' if report.dry_run else ''}{report.read} read ({fates or 'nothing'}); "
        f"{removed}"
        f"{report.files} files, {report.replicas} replicas, {report.rows} rows, {report.links_only} links only, "
        f"{untold}{report.defaulted} with a default; {report.seconds:.1f} s, {rate:.0f} items/s"
    )


def show_remarks(console: Console, report: Report) -> None:
    """Print the sentences that a run collected, the most frequent first."""
    ordered = sorted(report.remarks.items(), key=lambda remark: (-remark[1], remark[0]))
    for sentence, count in ordered[:_REMARKS_SHOWN]:
        console.print(f"  {count} × {sentence}", markup=False, highlight=False, soft_wrap=True)
    if len(ordered) > _REMARKS_SHOWN:
        console.print(f"  … and {len(ordered) - _REMARKS_SHOWN} further remarks (--json gives all)")


def table_of(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for a terminal."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
