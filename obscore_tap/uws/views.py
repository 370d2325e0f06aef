"""The REST binding of UWS 1.1 (section 2.2) as a blueprint for one job list."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from flask import Blueprint, Request, Response, redirect, request, send_file
from werkzeug.wrappers import Response as BaseResponse

from obscore_tap.refusals import NotFound, Refusal
from obscore_tap.uws import documents
from obscore_tap.uws.jobs import Jobs, Part
from obscore_tap.uws.model import PHASE_NAMES, Job
from stac_rucio_sync.locality import Network, client_address, client_network

_CONTROLS: Final = frozenset({"PHASE", "EXECUTIONDURATION", "DESTRUCTION"})
"""Parameters of the creating request that are about the job itself and not for what it runs."""
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document can hold, so that no parameter can (XML 1.0 section 2.2)."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_LONGEST_RUN_ID: Final = 64
"""DALI 1.1 section 3.4.6."""


def job_list(
    jobs: Jobs,
    kind: str,
    url: str,
    *,
    show_jobs: bool = False,
    proxies: tuple[Network, ...] = (),
    name: str = "uws",
) -> Blueprint:
    """Return the blueprint of a job list and of all that lies below it.

    Who knows the address of a job may read, run, abort and destroy it; addresses cannot be guessed, and the list shows
    none, unless ``show_jobs`` opens all jobs to everybody.

    Parameters
    ----------
    jobs
        Keeps and runs the jobs.
    kind
        Name of their `JobKind`.
    url
        Absolute address of the job list, as clients see it.
    show_jobs
        Whether the list shows jobs.
    proxies
        Networks of our own proxies (`networks_of`), behind which clients are told apart.
    name
        Of the blueprint.
    """
    views = _Views(jobs, kind, url.rstrip("/"), show_jobs, proxies)
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(jobs.start)
    for rule, view, methods in (
        ("", views.list_jobs, ["GET"]),
        ("", views.create, ["POST"]),
        ("/<job_id>", views.job, ["GET"]),
        ("/<job_id>", views.act, ["POST"]),
        ("/<job_id>", views.destroy, ["DELETE"]),
        ("/<job_id>/phase", views.phase, ["GET"]),
        ("/<job_id>/phase", views.set_phase, ["POST"]),
        ("/<job_id>/executionduration", views.execution_duration, ["GET"]),
        ("/<job_id>/executionduration", views.set_execution_duration, ["POST"]),
        ("/<job_id>/destruction", views.destruction, ["GET"]),
        ("/<job_id>/destruction", views.set_destruction, ["POST"]),
        ("/<job_id>/quote", views.nothing, ["GET"]),
        ("/<job_id>/owner", views.nothing, ["GET"]),
        ("/<job_id>/error", views.error, ["GET"]),
        ("/<job_id>/parameters", views.parameters, ["GET"]),
        ("/<job_id>/parameters", views.add_parameters, ["POST"]),
        ("/<job_id>/parameters/<path:label>", views.inline_file, ["GET"]),
        ("/<job_id>/results", views.results, ["GET"]),
        ("/<job_id>/results/<result_id>", views.result, ["GET"]),
    ):
        blueprint.add_url_rule(rule, view.__name__, view, methods=methods, strict_slashes=False)
    return blueprint


class _Views:
    """What each resource of a job list answers."""

    def __init__(self, jobs: Jobs, kind: str, url: str, show_jobs: bool, proxies: tuple[Network, ...]) -> None:
        self._jobs = jobs
        self._kind = kind
        self._url = url
        self._show_jobs = show_jobs
        self._proxies = proxies

    # ----------------------------------------------------------------------------------------------------- job list

    def list_jobs(self) -> Response:
        phases = [value.strip().upper() for value in _values(request, "PHASE")]
        for value in phases:
            if value not in PHASE_NAMES:
                raise Refusal(f"PHASE is {value[:40]!r}, which is no phase of a job")
        after, last = _value(request, "AFTER"), _value(request, "LAST")
        if last is not None and (not _SECONDS.fullmatch(last) or int(last) == 0):
            raise Refusal(f"LAST is {last[:40]!r}: a whole number above zero is needed")
        since = None if after is None else _instant("AFTER", after)
        shown = self._jobs.listed(self._kind, phases, since, int(last) if last else None) if self._show_jobs else []
        return _xml(documents.jobs_document(shown, self._url))

    def create(self) -> BaseResponse:
        wishes = {name: _value(request, name) for name in _CONTROLS}
        if wishes["PHASE"] not in (None, "RUN"):
            raise Refusal("PHASE of a new job can only be RUN")
        duration, destruction = wishes["EXECUTIONDURATION"], wishes["DESTRUCTION"]
        job = self._jobs.create(
            self._kind,
            *_parameters(request),
            client=self._client(),
            execution_duration=None if duration is None else _seconds(duration),
            destruction=None if destruction is None else _instant("DESTRUCTION", destruction),
        )
        if wishes["PHASE"] == "RUN":
            self._jobs.run(job)
        return self._see(job)

    def _client(self) -> str:
        address = client_address(request.remote_addr, request.headers.get("X-Forwarded-For"), self._proxies)
        return client_network(address)

    # ---------------------------------------------------------------------------------------------------------- job

    def job(self, job_id: str) -> Response:
        wait, phase = _value(request, "WAIT"), _value(request, "PHASE")
        if wait is None:
            job = self._jobs.get(self._kind, job_id)
        elif re.fullmatch(r"-1|[0-9]{1,9}", wait):
            job = self._jobs.changed(self._kind, job_id, float(wait), phase)
        else:
            raise Refusal(f"WAIT is {wait[:40]!r}: whole seconds are needed, or -1")
        return _xml(documents.job_document(job, self._address(job)))

    def act(self, job_id: str) -> BaseResponse:
        job = self._jobs.get(self._kind, job_id)
        if _value(request, "ACTION") != "DELETE":
            raise Refusal("only ACTION=DELETE can be posted to a job; parameters go to its resource parameters")
        return self._destroy(job)

    def destroy(self, job_id: str) -> BaseResponse:
        return self._destroy(self._jobs.get(self._kind, job_id))

    def _destroy(self, job: Job) -> BaseResponse:
        self._jobs.destroy(job)
        return redirect(self._url, 303)

    def phase(self, job_id: str) -> Response:
        return _text(self._jobs.get(self._kind, job_id).phase.value)

    def set_phase(self, job_id: str) -> BaseResponse:
        job = self._jobs.get(self._kind, job_id)
        wish = _value(request, "PHASE")
        if wish == "RUN":
            self._jobs.run(job)
        elif wish == "ABORT":
            self._jobs.abort(job)
        else:
            raise Refusal("PHASE can be set to RUN and to ABORT")
        return self._see(job)

    def execution_duration(self, job_id: str) -> Response:
        return _text(str(self._jobs.get(self._kind, job_id).execution_duration))

    def set_execution_duration(self, job_id: str) -> BaseResponse:
        job = self._jobs.get(self._kind, job_id)
        self._jobs.set_execution_duration(job, _seconds(_needed(request, "EXECUTIONDURATION")))
        return self._see(job)

    def destruction(self, job_id: str) -> Response:
        when = self._jobs.get(self._kind, job_id).destruction.astimezone(UTC)
        return _text(when.isoformat(timespec="milliseconds").replace("+00:00", "Z"))

    def set_destruction(self, job_id: str) -> BaseResponse:
        job = self._jobs.get(self._kind, job_id)
        self._jobs.set_destruction(job, _instant("DESTRUCTION", _needed(request, "DESTRUCTION")))
        return self._see(job)

    def nothing(self, job_id: str) -> Response:
        """Answer for quote and owner: the service makes no forecast, and knows nobody by name."""
        self._jobs.get(self._kind, job_id)
        return _text("")

    def error(self, job_id: str) -> Response:
        job = self._jobs.get(self._kind, job_id)
        if job.error is None:
            return _text("")
        mime, document = self._jobs.kinds[self._kind].error_document(job.error.message)
        return Response(document, content_type=mime)

    # ------------------------------------------------------------------------------------------ parameters, results

    def parameters(self, job_id: str) -> Response:
        job = self._jobs.get(self._kind, job_id)
        return _xml(documents.parameters_document(job, self._address(job)))

    def add_parameters(self, job_id: str) -> BaseResponse:
        job = self._jobs.get(self._kind, job_id)
        self._jobs.add_parameters(job, *_parameters(request))
        return self._see(job)

    def inline_file(self, job_id: str, label: str) -> Response:
        job = self._jobs.get(self._kind, job_id)
        for file in job.files:
            if file.label == label:
                # What a stranger sent is given back as bytes to save, never as a page to show.
                return send_file(
                    self._jobs.file(job, file),
                    "application/octet-stream",
                    as_attachment=True,
                    download_name="parameter",
                )
        raise NotFound("the job has no inline parameter of this name")

    def results(self, job_id: str) -> Response:
        job = self._jobs.get(self._kind, job_id)
        return _xml(documents.results_document(job, self._address(job)))

    def result(self, job_id: str, result_id: str) -> Response:
        job = self._jobs.get(self._kind, job_id)
        for result in job.results:
            if result.id == result_id:
                path = self._jobs.file(job, result)
                response = send_file(path, download_name=result.file_name, max_age=0)
                response.content_type = result.mime
                return response
        why = f": {job.error.message}" if job.error is not None else ""
        raise NotFound(f"the job has no result of this name; its phase is {job.phase.value}{why}")

    # ------------------------------------------------------------------------------------------------------ answers

    def _address(self, job: Job) -> str:
        return f"{self._url}/{job.id}"

    def _see(self, job: Job) -> BaseResponse:
        return redirect(self._address(job), 303)


def _xml(document: bytes) -> Response:
    return _fresh(Response(document, content_type=documents.MIME))


def _text(text: str) -> Response:
    return _fresh(Response(text, content_type="text/plain; charset=utf-8"))


def _fresh(response: Response) -> Response:
    response.cache_control.no_store = True
    return response


# ------------------------------------------------------------------------------------------------------------- requests


def _pairs(asked: Request) -> list[tuple[str, str]]:
    pairs = list(asked.args.items(multi=True))
    if asked.method == "POST":
        pairs += asked.form.items(multi=True)
    return pairs


def _values(asked: Request, name: str) -> list[str]:
    return [value for given, value in _pairs(asked) if given.upper() == name and value.strip()]


def _value(asked: Request, name: str) -> str | None:
    values = _values(asked, name)
    if len(values) > 1:
        raise Refusal(f"{name} is given {len(values)} times: it takes one value")
    return values[0].strip() if values else None


def _needed(asked: Request, name: str) -> str:
    value = _value(asked, name)
    if value is None:
        raise Refusal(f"{name} is missing")
    return value


def _parameters(asked: Request) -> tuple[list[tuple[str, str]], list[Part]]:
    """Return the parameters that a job keeps, names in capitals, and the inline ones."""
    pairs = [(name.upper(), value) for name, value in _pairs(asked) if value.strip() and name.upper() not in _CONTROLS]
    for name, value in pairs:
        if unfit := _NO_XML.search(name + value):
            raise Refusal(f"{name[:40]!r} holds the character {unfit[0]!r}, which no parameter can")
        if name == "RUNID" and len(value) > _LONGEST_RUN_ID:
            raise Refusal(f"RUNID has {len(value)} characters: {_LONGEST_RUN_ID} are allowed")
    parts = [
        Part(label, file.content_type or "application/octet-stream", file.stream)
        for label, file in asked.files.items(multi=True)
    ]
    for part in parts:
        if not part.label or len(part.label) > 200 or _NO_XML.search(part.label):
            raise Refusal(f"{part.label[:40]!r} is no name for an inline parameter")
    return pairs, parts


def _seconds(text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise Refusal(f"EXECUTIONDURATION is {text[:40]!r}: whole seconds of zero or more are needed")
    return int(text)


def _instant(name: str, text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal(f"{name} is {text[:40]!r}: a time like 2030-01-31T12:00:00Z is needed") from None
