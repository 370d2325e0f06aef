"""UWS documents (UWS 1.1 section 2.2.2 and appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from pydantic_xml import BaseXmlModel, element
from vo_models.uws.models import (
    NSMAP,
    ErrorSummary,
    Jobs,
    JobSummary,
    Parameter,
    ResultReference,
    Results,
    ShortJobDescription,
)
from vo_models.uws.types import ErrorType, ExecutionPhase

from obscore_tap.uws.model import Job

MIME: Final = "application/xml"


class _Parameters(BaseXmlModel, tag="parameters", ns="uws", nsmap=NSMAP):
    """Parameters of any names, any of them more than once; the library's own model wants a field for each name."""

    parameter: list[Parameter] = element(tag="parameter", ns="uws", default_factory=list)


class _Job(JobSummary[_Parameters], tag="job", ns="uws", nsmap=NSMAP):
    """A job with such parameters."""


def jobs_document(jobs: Sequence[Job], url: str) -> bytes:
    """Return the representation of a job list.

    Parameters
    ----------
    jobs
        What it shows.
    url
        Of the job list, absolute.
    """
    references = [
        ShortJobDescription(
            job_id=job.id,
            phase=ExecutionPhase(job.phase.value),
            run_id=job.run_id,
            creation_time=job.created,
            href=f"{url}/{job.id}",
        )
        for job in jobs
    ]
    return _text(Jobs(jobref=references))


def job_document(job: Job, url: str) -> bytes:
    """Return the representation of a job.

    Parameters
    ----------
    job
        The job.
    url
        Of the job, absolute.
    """
    error = None
    if job.error is not None:
        kind = ErrorType.TRANSIENT if job.error.transient else ErrorType.FATAL
        error = ErrorSummary(message=job.error.message, type=kind, has_detail=True)
    return _text(
        _Job(
            job_id=job.id,
            run_id=job.run_id,
            phase=ExecutionPhase(job.phase.value),
            creation_time=job.created,
            start_time=job.started,
            end_time=job.ended,
            execution_duration=job.execution_duration,
            destruction=job.destruction,
            parameters=_parameters(job, url),
            results=_results(job, url),
            error_summary=error,
        )
    )


def parameters_document(job: Job, url: str) -> bytes:
    """Return the representation of a job's parameters; ``url`` is the job's."""
    return _text(_parameters(job, url))


def results_document(job: Job, url: str) -> bytes:
    """Return the representation of a job's results; ``url`` is the job's."""
    return _text(_results(job, url))


def _parameters(job: Job, url: str) -> _Parameters:
    listed = [Parameter(id=name, value=value) for name, value in job.parameters]
    for file in job.files:
        href = f"{url}/parameters/{quote(file.label, safe='')}"
        listed.append(Parameter(id=file.label, value=href, by_reference=True))
    return _Parameters(parameter=listed)


def _results(job: Job, url: str) -> Results:
    return Results(
        results=[
            ResultReference(id=result.id, href=f"{url}/results/{result.id}", size=result.bytes, mime_type=result.mime)
            for result in job.results
        ]
    )


def _text(document: BaseXmlModel) -> bytes:
    # Elements without content are kept: the schema wants the nil ones.
    text = document.to_xml(skip_empty=False, encoding="UTF-8", xml_declaration=True)
    return text if isinstance(text, bytes) else text.encode()
