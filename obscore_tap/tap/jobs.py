"""/tap/async: TAP queries as jobs (TAP 1.1 section 2.2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from flask import Blueprint

from obscore_tap.parameters import Parameters
from obscore_tap.query import Asked
from obscore_tap.refusals import Refusal, TooLarge
from obscore_tap.responses import VOTABLE_TYPE
from obscore_tap.results import error_votable
from obscore_tap.services import Services
from obscore_tap.tap.request import inline_parts, tap_query
from obscore_tap.uws import JobKind, JobLimits, JobRun, Jobs, job_list
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import Settings

KIND = "tap"
EXTENSION = "stac-rucio-sync.jobs"
_SLACK = 5.0
"""Seconds that the database's own limit comes after the job's, so that a job whose time is over ends as one."""


def blueprint(services: Services) -> Blueprint:
    """Return the job list and all below it.

    The first request to the application starts the workers of its process; a server that starts them itself, so that
    jobs of before a restart go on at once, finds them in the application's extension `EXTENSION`.
    """
    jobs = tap_jobs(services)
    url, shown = f"{services.base_url}/tap/async", services.settings.tap.show_jobs
    made = job_list(jobs, KIND, url, show_jobs=shown, proxies=services.proxies, name="tap_async")
    made.url_prefix = "/tap/async"
    made.before_app_request(jobs.start)
    made.record_once(lambda state: state.app.extensions.update({EXTENSION: jobs}))
    return made


def tap_jobs(services: Services) -> Jobs:
    """Return what keeps and runs the jobs, by the query path of the services.

    Raises
    ------
    UsageError
        The settings name no database for jobs.
    """
    settings, url = services.settings.tap, services.settings.database.jobs_url
    if url is None:
        raise UsageError("asynchronous queries need [database] jobs_url (docs/settings.md)")
    limits = JobLimits(
        execution=settings.duration,
        max_execution=settings.max_duration,
        retention=settings.retention,
        max_retention=settings.max_retention,
        results_bytes=settings.results_bytes,
        max_jobs=settings.max_jobs,
        upload_bytes=settings.upload_bytes,
        parameter_bytes=2 * settings.query_bytes,
        waiting=max(1, services.settings.services.threads // 2),
    )
    kind = JobKind(
        KIND,
        run=lambda job: _run(services, job),
        error_document=lambda message: (VOTABLE_TYPE, error_votable(message)),
        check=lambda parameters: _check(services.settings, parameters),
        repeatable=frozenset({"UPLOAD"}),
        sweep=services.uploads.sweep,
    )
    return Jobs(url.get_secret_value(), results_folder(services.settings), [kind], limits, settings.jobs)


def results_folder(settings: Settings) -> Path:
    """Return where files of jobs lie: as the settings say, else below the user's folder of state."""
    if settings.tap.results_folder is not None:
        return settings.tap.results_folder
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "stac-rucio-sync" / "tap-jobs"


def _check(settings: Settings, parameters: Mapping[str, list[str]]) -> None:
    longest = settings.tap.query_bytes
    if any(len(query.encode()) > longest for query in parameters.get("QUERY", ())):
        raise TooLarge(f"a query may have {longest} bytes")


def _run(services: Services, job: JobRun) -> None:
    """Run the query of a job and write its result."""
    try:
        parameters = Parameters(job.job.parameters)
        asked = tap_query(parameters, services.settings)
        with ExitStack() as stack:
            uploaded = None
            if asked.uploads:
                files = {label: stack.enter_context(path.open("rb")) for label, path in job.files.items()}
                parts = inline_parts(asked, files, parameters)
                uploaded = services.uploads.loaded(services.uploads.requested(asked.uploads, parts))
            how = Asked(
                max_rows=asked.max_rows,
                form=asked.form,
                infos=asked.infos,
                timeout=job.seconds + _SLACK,
                late_errors=False,
                started=lambda cancel: stack.enter_context(job.cancelling(cancel)),
            )
            answer = services.queries.answer(asked.adql, how, uploaded)
            chunks = stack.enter_context(closing(answer.chunks))
            job.write(chunks, mime=answer.mime, file_name=answer.file_name)
    except UsageError as error:
        raise Refusal(str(error)) from error
