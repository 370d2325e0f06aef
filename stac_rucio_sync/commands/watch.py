"""``watch`` and ``replicas rebuild``: the mirror of Rucio's replicas."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.logs import are_json
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.watch import RucioWatch
from stac_rucio_sync.stores.tables.mirror_writes import MirrorWrites
from stac_rucio_sync.watch import DidLinks, Look, Rebuild, RebuildReport, Receiver, Watcher

EXIT_FAILED = 1
_LONGEST_PAUSE = 30.0
"""Seconds between tries to begin, where the database is away."""
_LOG = logging.getLogger(__name__)


@contextmanager
def _open(settings: Settings, patient: Retrying | None = None) -> Iterator[tuple[RucioWatch, MirrorWrites]]:
    url = settings.database_url()
    mirror = patient(MirrorWrites.open, url) if patient else MirrorWrites.open(url)
    rucio = RucioWatch(settings)
    try:
        yield rucio, mirror
    finally:
        rucio.close()
        mirror.close()


def _patient(say: Callable[[str], None]) -> Retrying:
    """Return what tries again, with growing pauses and for ever, where the database does not answer."""

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        say(f"{error}; trying again in {pause:.0f} s")

    return Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_exponential(max=_LONGEST_PAUSE),
        before_sleep=tell,
        reraise=True,
    )


@click.command()
@click.option("--once", is_flag=True, help="Look once, take no events, and leave (exit 1: it was cut short).")
@click.option("--json", "as_json", is_flag=True, help="Print each look that found something as one JSON object.")
@click.pass_obj
def watch(invocation: Invocation, once: bool, as_json: bool) -> None:
    """Keep the mirror of Rucio's replicas up to date, until stopped by Ctrl-C.

    It looks at Rucio every few seconds, and takes the events of Hermes where [watch] port is set. A running lake has
    set it, and sends its events.

    \b
    Examples:
      stac-rucio-sync watch
      stac-rucio-sync watch --once --json
    """
    settings = invocation.settings()
    talk = Console(stderr=True, highlight=False)
    teller = _Teller(always=once, as_json=as_json)
    if once:
        _look_once(settings, teller, talk)
        return
    patient = _patient(teller.say)
    with stoppable(), _open(settings, patient) as (rucio, mirror), _progress(talk, "first look") as draw:
        watcher = Watcher(settings, rucio, mirror, on_look=teller.tell, on_progress=draw)
        with ExitStack() as stack:
            lock = patient(lambda: stack.enter_context(mirror.state.alone()))
            if settings.watch.port is not None:
                receiver = Receiver(settings.watch, watcher.hear)
                receiver.start()
                stack.callback(receiver.stop)
                teller.say(f"events are taken at {receiver.url}")
            else:
                teller.say("no events are taken: [watch] port is not set")
            watcher.run(lock)


def _look_once(settings: Settings, teller: _Teller, talk: Console) -> None:
    """Look once; leave with 1 where it was cut short, or could not begin, for the database was away."""
    try:
        with stoppable(), _open(settings) as (rucio, mirror), _progress(talk, "first look") as draw:
            look = Watcher(settings, rucio, mirror, on_look=teller.tell, on_progress=draw).once()
    except TransientError as error:
        look = Look(failed=str(error))
        teller.tell(look)
    if look.failed:
        sys.exit(EXIT_FAILED)


class _Teller:
    """Tells people, on stderr, what looks found, and programs, on stdout, by JSON.

    A reader that went away, and a disk that is full, cost the words and nothing else: the mirror is kept.
    """

    def __init__(self, *, always: bool, as_json: bool) -> None:
        self._always = always
        self._as_json = as_json
        self._failing = False

    def say(self, sentence: str) -> None:
        """Say something to people."""
        if are_json():
            _LOG.info(sentence)
        else:
            _write(f"{datetime.now().astimezone():%H:%M:%S} {sentence}", err=True)

    def tell(self, look: Look) -> None:
        """Tell what one look found; of one that found nothing, nothing."""
        news = look.changes.any or look.rses or look.described or look.links or look.failed or look.why == "rebuild"
        if self._as_json and (self._always or news):
            _write(orjson.dumps(look.as_json()))
        if look.failed:
            self.say(f"{look.why}: {look.failed}")
        elif self._failing and look.why != "events":
            self.say("Rucio and the database answer again")
        if (self._always or news) and not look.failed:
            self.say(_summary(look))
        if look.why != "events":
            self._failing = bool(look.failed)


def _write(line: str | bytes, *, err: bool = False) -> None:
    """Write a line; where there is no room now, there may be for the next one."""
    with suppress(OSError):
        click.echo(line, err=err)


def _summary(look: Look) -> str:
    changes = look.changes
    counts = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"
    rses = f"; {look.rses} RSEs or distances changed" if look.rses else ""
    rses += f"; {look.described} described DIDs have other files" if look.described else ""
    rses += f"; {look.links} DIDs name other links" if look.links else ""
    heard = f"{look.heard} files heard of, " if look.why != "rebuild" else ""
    return f"{look.why}: replicas {found}{rses} ({heard}{look.compared} compared, {look.seconds:.2f} s)"


@click.group()
def replicas() -> None:
    """Care for the mirror of Rucio's replicas that the services read.

    \b
    Example:
      stac-rucio-sync replicas rebuild --dry-run
    """


@replicas.command()
@click.option("--dry-run", is_flag=True, help="Count what differs and write nothing (exit 1: something does).")
@click.option("--links", is_flag=True, help="Read the links that the metadata of DIDs name (datalinks), too.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def rebuild(invocation: Invocation, dry_run: bool, links: bool, as_json: bool) -> None:
    """Compare the whole mirror with Rucio and make it agree; it may run beside syncs and the watcher.

    \b
    Examples:
      stac-rucio-sync replicas rebuild
      stac-rucio-sync replicas rebuild --dry-run --json
    """
    settings = invocation.settings()
    talk = Console(stderr=True, highlight=False)
    with stoppable(), _open(settings) as (rucio, mirror), _progress(talk, "rebuild") as draw:
        did_links = DidLinks(settings, rucio, mirror) if links else None
        job = Rebuild(rucio, mirror, dry_run=dry_run, links=did_links, on_progress=draw)
        try:
            job.run()
        finally:
            if as_json:
                click.echo(orjson.dumps(job.report.as_json()))
            else:
                talk.print(_rebuilt(job.report), markup=False, soft_wrap=True)
    if dry_run and (job.report.changes.any or job.report.leftovers or job.report.described):
        sys.exit(EXIT_FAILED)


def _rebuilt(report: RebuildReport) -> str:
    told = report.as_json()
    rate = report.files / report.seconds if report.seconds else 0.0
    return (
        f"{'would be, ' if report.dry_run else ''}of {report.files} files: replicas {told['added']} added, "
        f"{told['changed']} changed, {told['removed']} removed; {report.rses} RSEs or distances changed; "
        f"{report.described} described DIDs have other files; {report.seconds:.1f} s, {rate:.0f} files/s"
    )


@contextmanager
def _progress(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar of files while everything is compared; draw nothing where there is no terminal."""
    if not console.is_terminal:
        yield lambda _files, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files, left"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, visible=False)
        yield lambda files, total: bar.update(task, completed=files, total=total, visible=files < total)
