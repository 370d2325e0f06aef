"""Cut-outs as jobs (SODA 1.0 section 6): one result for each combination of values."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from datalink.cutouts.errors import CutError, LimitError, LoginError, NoOverlapError, UnavailableError
from datalink.cuttable import Kind
from datalink.soda.cutting import Cutter
from datalink.soda.request import REPEATABLE, CutRequest, checked, read
from obscore_tap.parameters import Parameters
from obscore_tap.refusals import Failed, Refusal, Unavailable
from obscore_tap.services import Services
from obscore_tap.tap.jobs import results_folder
from obscore_tap.uws import JobKind, JobLimits, JobRun, Jobs
from stac_rucio_sync.errors import SyncError, TransientError, UsageError

_LOG = logging.getLogger(__name__)
TEXT = "text/plain; charset=utf-8"


def cutout_jobs(services: Services, cutter: Cutter) -> Jobs:
    """Return what keeps and runs the jobs of both services, in the table that TAP's jobs are in, too.

    Raises
    ------
    UsageError
        The settings name no database for jobs.
    """
    settings, url = services.settings, services.settings.database.jobs_url
    if url is None:
        raise UsageError("asynchronous cut-outs need [database] jobs_url (docs/settings.md)")
    limits = JobLimits(
        execution=settings.tap.duration,
        max_execution=settings.tap.max_duration,
        retention=settings.tap.retention,
        max_retention=settings.tap.max_retention,
        results_bytes=settings.tap.results_bytes,
        max_jobs=settings.tap.max_jobs,
        upload_bytes=0,
        waiting=max(1, settings.services.threads // 4),
    )
    most = settings.soda.max_cutouts
    kinds = [_job_kind(kind, cutter, most) for kind in Kind]
    return Jobs(url.get_secret_value(), results_folder(settings), kinds, limits, settings.soda.jobs)


def _job_kind(kind: Kind, cutter: Cutter, most: int) -> JobKind:
    return JobKind(
        kind.value,
        run=lambda job: run_job(job, kind, cutter, most),
        check=lambda parameters: _check(parameters, kind, most),
        repeatable=REPEATABLE,
    )


def _check(given: Mapping[str, list[str]], kind: Kind, most: int) -> None:
    _limit(checked(Parameters((name, value) for name, values in given.items() for value in values), kind), most)


def _limit(request: CutRequest, most: int) -> None:
    if request.count > most:
        raise LimitError(
            f"the job asks for {request.count} cut-outs, one for each combination: {most} may be asked for"
        )


def run_job(job: JobRun, kind: Kind, cutter: Cutter, most: int) -> None:
    """Make the cut-outs of a job.

    What cannot be cut is a result, too: a text that begins with an error label. Only where nothing else is left, and
    something else than the lack of an overlap is to blame, the job is an error.

    Parameters
    ----------
    job
        As it runs.
    kind
        What the service cuts.
    cutter
        Makes them.
    most
        So many may be asked for.

    Raises
    ------
    Refusal
        There is no cut-out.
    """
    try:
        request = read(Parameters(job.job.parameters), kind)
        _limit(request, most)
        errors = _results(job, request, kind, cutter)
    except CutError as error:
        raise _refusal(error) from error
    if len(errors) == request.count:
        to_blame = next((error for error in errors if not isinstance(error, NoOverlapError)), None)
        if to_blame is not None:
            raise _refusal(to_blame)


def _results(job: JobRun, request: CutRequest, kind: Kind, cutter: Cutter) -> list[CutError]:
    errors: list[CutError] = []
    for number, (asked, wanted) in enumerate(request.cuttings(), 1):
        result = f"cutout-{number}"
        try:
            with cutter.cut(asked, wanted, kind, request.form, seconds=job.seconds) as cut:
                name = cut.file_name if request.count == 1 else _numbered(cut.file_name, number)
                job.write(cut.cutout.pieces, mime=cut.cutout.media_type, file_name=name, result_id=result)
            continue
        except LoginError:
            errors.append(
                LoginError(
                    "the copies that could be read want a log-in, and a job takes no token along: whoever knows its "
                    f"address may read what it gives; {kind.path}/sync takes a bearer token"
                )
            )
        except CutError as error:
            errors.append(error)
        except TransientError as error:
            _LOG.warning("job %s…: %s", job.job.id[:6], error)
            errors.append(UnavailableError("the archive's tables cannot be asked now"))
        except SyncError as error:
            _LOG.error("job %s…: %s", job.job.id[:6], error)
            errors.append(CutError("the service failed to answer; its log says why"))
        told = f"{errors[-1]} (ID={asked})\n".encode()
        job.write([told], mime=TEXT, file_name=f"{result}.txt", result_id=result)
    return errors


def _numbered(name: str, number: int) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}-{number}.{suffix}"


def _refusal(error: CutError) -> Refusal:
    if isinstance(error, UnavailableError):
        return Unavailable(str(error))
    return Refusal(str(error)) if error.status < 500 else Failed(str(error))
