"""``audit``: the lake against its storage, and its repair."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.parameters import DURATION, PERCENT
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.consistency.examining import Examiner
from stac_rucio_sync.consistency.findings import Finding
from stac_rucio_sync.consistency.job import AuditOptions, StorageAudit
from stac_rucio_sync.consistency.opening import Looking, open_subjects
from stac_rucio_sync.consistency.report import RseReport
from stac_rucio_sync.errors import SyncError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.plan import Action
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.consistency import RucioConsistency

EXIT_DIFFERS = 1


@click.command()
@click.argument("rses", metavar="RSE...", nargs=-1, required=True)
@click.option("--scope", "scopes", multiple=True, help="Only files of this scope; may be repeated.")
@click.option("--dataset", "datasets", metavar="DID", multiple=True, help="Only files below this DID, one by one.")
@click.option(
    "--checksums", type=PERCENT, default="none", show_default=True,
    help="Read files and compare their checksums: none, all, or a part chosen by chance (5%).",
)  # fmt: skip
@click.option(
    "--older-than", type=DURATION, default="1d", show_default=True,
    help="Pass over what changed later: it may be on its way (s, m, h, d, w).",
)  # fmt: skip
@click.option(
    "--dump", "dumps", metavar="[RSE=]FILE", multiple=True,
    help="The site's own list of its files, one path a line, plain or gzip, instead of listing them.",
)  # fmt: skip
@click.option(
    "--protocol", "scheme", metavar="SCHEME", help="Look by this protocol of the RSE only (file, https, ...)."
)
@click.option("--ignore", metavar="GLOB", multiple=True, help="Paths that are no dark files, e.g. 'lost+found/*'.")
@click.option("--workers", type=click.IntRange(1, 256), default=8, show_default=True, help="Files looked at together.")
@click.option("--repair", is_flag=True, help="Mend what can be mended from here.")
@click.option("--delete-dark", is_flag=True, help="With --repair: delete dark files, too.")
@click.option(
    "--declare-lost", is_flag=True,
    help="With --repair: declare last copies bad, too; Rucio then calls their files lost.",
)  # fmt: skip
@click.option(
    "--threshold", type=PERCENT, default="10%", show_default=True,
    help="With --repair: do nothing about differences of which there are more.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="With --repair: show what would be mended, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a line for each difference, then one for each RSE.")
@click.pass_obj
def audit(invocation: Invocation, /, rses: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Compare what Rucio says lies at RSEs with what lies there.

    RSE is a name or an expression. Differences are lines: + is missing at the storage, - is too many, * has another
    size or checksum, ! cannot be repaired from here; each says what --repair does about it. Leaves with 0 where nothing
    differs (or, after a repair, nothing remains), else with 1.

    \b
    Examples:
      stac-rucio-sync audit VIENNA-DISK
      stac-rucio-sync audit "site=vienna" --checksums 5% --repair --dry-run
      stac-rucio-sync audit TAPE --dump files.txt.gz --scope survey --json
    """
    if options["dry_run"] and not options["repair"]:
        raise UsageError("--dry-run goes with --repair: audit alone writes nothing")
    for more in ("delete_dark", "declare_lost"):
        if options[more] and not options["repair"]:
            raise UsageError(f"--{more.replace('_', '-')} goes with --repair")
    if options["scopes"] and options["datasets"]:
        raise UsageError("name scopes or datasets: a file below a dataset may be of any scope")
    with stoppable():
        reports = _run(invocation.settings(), rses, options)
    if not all(report.clean for report in reports):
        sys.exit(EXIT_DIFFERS)


def _run(settings: Settings, expressions: Iterable[str], options: dict[str, Any]) -> list[RseReport]:
    """Run the audit with its progress on the screen, and print its reports also when it ends early."""
    talk = Console(stderr=True)
    as_json, repair = options["as_json"], options["repair"] and not options["dry_run"]
    audited: list[RseReport] = []
    error: BaseException | None = None
    with ExitStack() as opened:
        edge = RucioConsistency(settings)
        opened.callback(edge.close)
        rses = sorted(edge.rses(*expressions))
        looking = Looking(
            scopes=options["scopes"],
            by_name=bool(options["datasets"]),
            dumps=_dumps(options["dumps"], rses),
            scheme=options["scheme"],
            needs_storage=repair or options["checksums"] > 0,
        )
        subjects = open_subjects(edge, rses, looking, repair, opened)
        audited = [subject.report for subject in subjects]
        pool = opened.enter_context(ThreadPoolExecutor(options["workers"]))
        draw = opened.enter_context(_progress(talk))
        before = datetime.now(UTC) - options["older_than"]
        examiner = Examiner(edge, pool, before, options["ignore"], options["declare_lost"])
        wishes = AuditOptions(
            scopes=options["scopes"],
            datasets=tuple(map(_did, options["datasets"])),
            checksums=options["checksums"],
            repair=repair,
            delete_dark=options["delete_dark"],
            threshold=options["threshold"],
            on_finding=_print_json if as_json else _print_finding,
            on_action=None if as_json else _print_action,
            on_progress=draw,
        )
        try:
            StorageAudit(edge, subjects, examiner, wishes).run()
        except (SyncError, KeyboardInterrupt) as raised:
            error = raised
    for report in audited:
        _tell(report, talk, error, as_json=as_json)
    if error is not None:
        raise error
    return audited


def _tell(report: RseReport, talk: Console, error: BaseException | None, *, as_json: bool) -> None:
    """Print a report; how the audit ended early belongs to it."""
    if as_json:
        ended = {"error": str(error) or "stopped"} if error else {}
        click.echo(orjson.dumps(report.as_json() | ended))
    else:
        talk.print(report.summary(), markup=False, highlight=False, soft_wrap=True)


def _dumps(named: Iterable[str], rses: list[str]) -> dict[str, Path]:
    dumps = {}
    for one in named:
        rse, equals, file = one.partition("=")
        if equals and rse in rses:
            dumps[rse] = Path(file)
        elif len(rses) == 1:
            dumps[rses[0]] = Path(one)
        else:
            raise UsageError(f"--dump {one}: say of which RSE it is, as RSE=FILE with one of {', '.join(rses)}")
    return dumps


def _did(text: str) -> Did:
    scope, colon, name = text.partition(":")
    if not (scope and colon and name):
        raise UsageError(f"--dataset {text}: a DID is written scope:name")
    return Did(scope, name)


def _print_finding(finding: Finding) -> None:
    click.echo(str(finding.action))


def _print_action(action: Action) -> None:
    click.echo(str(action))


def _print_json(finding: Finding) -> None:
    click.echo(orjson.dumps(finding.as_json()))


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """Draw what is being read and how much of it; draw nothing where there is no terminal."""
    if not console.is_terminal:
        yield lambda _what, _done, _everything: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("audit", total=None)

        def draw(what: str, done: int, everything: int | None) -> None:
            of = "" if everything is None else f" of {everything}"
            progress.update(task, description=f"{done}{of} {what}")

        yield draw
