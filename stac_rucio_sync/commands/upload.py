"""``upload``: files of this machine into the lake."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.parameters import did_of
from stac_rucio_sync.commands.screen import transfer_bar
from stac_rucio_sync.commands.stopping import stoppable
from stac_rucio_sync.commands.upload_outputs import UploadOutputs, output_options, outputs_of
from stac_rucio_sync.executors import open_executor
from stac_rucio_sync.model import Uploaded, UploadFate
from stac_rucio_sync.model.uploads import readable
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.upload.discovery import Choice
from stac_rucio_sync.upload.job import UploadJob
from stac_rucio_sync.upload.journal import Journal, journal_file
from stac_rucio_sync.upload.naming import check_template
from stac_rucio_sync.upload.report import UploadReport
from stac_rucio_sync.upload.request import BATCH_FILES, UploadRequest
from stac_rucio_sync.upload.targets import DOMAINS, Targets

EXIT_SOME_FAILED = 1
_NAMED = 20


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--rse", required=True, help="Where the files go.")
@click.option("--scope", help="Scope of their DIDs. Default: user.ACCOUNT.")
@click.option("--dataset", metavar="DID", help="Attach them to this dataset (scope:name), made if it is not there.")
@click.option("--name-template", "template", help="Their names by {path}, {folder}, {name}, {stem}, {suffix}.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files like this (may be repeated).")
@click.option("--exclude", multiple=True, metavar="GLOB", help="No files like this (may be repeated).")
@click.option("--follow-links", is_flag=True, help="Take symbolic links as what they lead to.")
@click.option("--lifetime", type=click.IntRange(1), help="Seconds that its rules live. Default: for good.")
@click.option("--no-rule", is_flag=True, help="Make no rule that holds the files at the RSE.")
@click.option("--register-after", is_flag=True, help="Register files when they have arrived, not before.")
@click.option("--domain", type=click.Choice(DOMAINS), default="wan", show_default=True, help="Which protocols to use.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Files under way at a time.")
@click.option("--dask", metavar="ADDRESS", help="Read and send on a Dask cluster: its address, or slurm.")
@click.option("--batch-size", type=click.IntRange(1, 500), default=BATCH_FILES, show_default=True, help="Files a call.")
@click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="Where the journal lies.")
@output_options
@click.option("--dry-run", is_flag=True, help="Send nothing: say what would be uploaded.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def upload(invocation: Invocation, /, paths: tuple[Path, ...], **options: Any) -> None:  # noqa: ANN401 - click types each by its declaration
    """Bring the files at PATH into the lake: registered, sent, verified, each with one fate.

    Folders are taken with all that is below them, and sub-folders show in the names: night1/a.fits becomes
    night1..a.fits. Files are registered as COPYING, sent by the first protocol of the RSE that takes them, and made
    AVAILABLE when the storage shows what was sent. A journal remembers every step: stopped by whatever, the same
    command goes on where it was, and sends no file twice. Exit 1: a file is not in the lake.

    \b
    Examples:
      stac-rucio-sync upload night1 --rse VIENNA-LOCALGROUPDISK --dry-run
      stac-rucio-sync upload night1 night2 --rse VIENNA-LOCALGROUPDISK --dataset user.alice:nights --workers 8
      stac-rucio-sync upload /data/raw --rse VIENNA-LOCALGROUPDISK --include "*.fits" --exclude "test_*"
      stac-rucio-sync upload raw --rse VIENNA-LOCALGROUPDISK --table raw.ecsv --table-template "{visit:d}.fits"
      stac-rucio-sync upload night1 --rse VIENNA-LOCALGROUPDISK --catalog survey --collection images --processor fits
    """
    settings = invocation.settings()
    talk = Console(stderr=True)
    with (
        stoppable(),
        closing(RucioUploads(settings)) as uploads,
        outputs_of(settings, paths, options) as outputs,
    ):
        request = _request(paths, uploads, options)
        targets = Targets(uploads, request.rse, request.dataset, options["domain"])
        identity = request.identity(uploads.server)
        file = None if request.dry_run else options["journal"] or journal_file(identity)
        with (
            closing(Journal(file, identity)) as journal,
            open_executor(options["workers"], options["dask"], settings.dask) as executor,
        ):
            failures = _Failures(outputs)
            job = UploadJob(
                request, uploads, journal, targets, executor, skip=outputs.skip, metadata=outputs.metadata,
                on_fate=failures.take,
                on_progress=lambda now: draw(f"{now.done} of {now.files} files", now.done_bytes, now.bytes),
            )  # fmt: skip
            with _told(job.report, failures, outputs, talk, as_json=options["as_json"]):
                try:
                    with transfer_bar(talk, f"upload to {request.rse}") as draw:
                        job.run()
                finally:
                    outputs.write_table()
                outputs.make_findable(talk)
    if not job.report.is_clean or not outputs.is_clean:
        sys.exit(EXIT_SOME_FAILED)


def _request(paths: tuple[Path, ...], uploads: RucioUploads, options: dict[str, Any]) -> UploadRequest:
    return UploadRequest(
        paths=paths,
        rse=options["rse"],
        scope=options["scope"] or f"user.{uploads.account}",
        dataset=did_of(options["dataset"]) if options["dataset"] else None,
        template=check_template(options["template"]),
        choice=Choice(options["include"], options["exclude"], options["follow_links"]),
        lifetime=options["lifetime"],
        rule=not options["no_rule"],
        register_after=options["register_after"],
        batch_files=options["batch_size"],
        dry_run=options["dry_run"],
    )


class _Failures:
    """The first files that did not get into the lake, to be named; all fates go to the outputs."""

    def __init__(self, outputs: UploadOutputs) -> None:
        self.first: list[Uploaded] = []
        self._outputs = outputs

    def take(self, file: Uploaded) -> None:
        """Note a file's fate."""
        self._outputs.take(file)
        if not file.fate.in_lake and file.fate is not UploadFate.PLANNED and len(self.first) < _NAMED:
            self.first.append(file)


@contextmanager
def _told(
    report: UploadReport, failures: _Failures, outputs: UploadOutputs, talk: Console, *, as_json: bool
) -> Iterator[None]:
    """Print the report at the end; how the upload ended early belongs to it."""
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:  # noqa: BLE001 - whatever it is, it is raised again below the report
        error = raised
    if as_json:
        ended = {"error": str(error) or "stopped"} if error else {}
        click.echo(orjson.dumps(report.as_json() | outputs.as_json() | ended))
    else:
        for line in (*_lines(report, failures), *outputs.lines()):
            talk.print(line, markup=False, highlight=False, soft_wrap=True)
        if isinstance(error, KeyboardInterrupt):
            talk.print("stopped: the same command goes on from here", markup=False)
    if error is not None:
        raise error


def _lines(report: UploadReport, failures: _Failures) -> Iterator[str]:
    fates = ", ".join(f"{report.fates[fate]} {fate.value}" for fate in UploadFate if report.fates[fate])
    rate = report.sent_bytes / report.seconds / 1e6 if report.seconds else 0.0
    yield (
        f"{report.rse}, scope {report.scope}: {report.files} files, {report.bytes} bytes ({fates or 'nothing done'}); "
        f"{report.seconds:.1f} s, {rate:.1f} MB/s sent"
    )
    if report.left_out:
        yield f"  {report.left_out} links, pipes or devices left out"
    if report.sent_again:
        yield f"  sent again {report.sent_again} times, after failures of the storage that passed"
    for sentence, count in report.remarks.items():
        yield f"  {count} × {sentence}"
    for file in failures.first:
        yield f"  {readable(file.path)}: {file.fate.value}: {file.reason}"
