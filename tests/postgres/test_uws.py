"""Jobs over HTTP, on a real PostgreSQL: what UWS 1.1 promises, and what happens when something dies."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from obscore_tap.refusals import Refusal
from obscore_tap.uws import JobKind, JobLimits, JobRun, Jobs, job_list
from obscore_tap.uws.store import JOB_LOCKS
from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database, Server, make_database
from tests.xsd import schema_faults

URL = "http://archive.example.org/tap/async"
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
LIMITS = JobLimits(
    execution=60,
    max_execution=120,
    retention=3600,
    max_retention=7200,
    results_bytes=600_000,  # of which one client has half
    upload_bytes=1000,
    wait=50,
)


def work(run: JobRun) -> None:
    """Do what WORK says: the deeds of all jobs here."""
    deed = run.parameters["WORK"][-1]
    if deed == "sleep":
        woken = threading.Event()
        with run.cancelling(woken.set):
            woken.wait(30)
        raise Refusal("woken")
    if deed == "refuse":
        raise Refusal("there is no such table")
    if deed == "break":
        raise ZeroDivisionError("internal host db.internal")
    if deed == "inline":
        run.write([run.files["part"].read_bytes()], mime="application/octet-stream", file_name="part.bin")
        return
    size = int(run.parameters["SIZE"][0])
    run.write((b"x" * 1000 for _ in range(size // 1000)), mime="text/csv; charset=utf-8", file_name="result.csv")


KIND = JobKind("test", work, repeatable=frozenset({"UPLOAD"}))


def make_jobs(database: Database, folder: Path, limits: JobLimits = LIMITS, workers: int = 2) -> Jobs:
    return Jobs(database.jobs_url, folder, [KIND], limits, workers)


def make_client(jobs: Jobs, *, show_jobs: bool = False) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(job_list(jobs, "test", URL, show_jobs=show_jobs), url_prefix="/tap/async")

    @app.errorhandler(Refusal)
    def refused(error: Refusal) -> Response:
        return Response(str(error), status=error.status)

    return app.test_client()


def from_address(jobs: Jobs, address: str) -> FlaskClient:
    client = make_client(jobs)
    client.environ_base["REMOTE_ADDR"] = address
    return client


@pytest.fixture(scope="module")
def database(server: Server, template: str) -> Iterator[Database]:
    """One for all tests here: each begins without jobs."""
    yield from make_database(server, template)


@pytest.fixture(autouse=True)
def no_jobs(database: Database) -> None:
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("DELETE FROM uws.job")


@pytest.fixture
def jobs(database: Database, tmp_path: Path) -> Iterator[Jobs]:
    with closing(make_jobs(database, tmp_path / "results")) as jobs:
        yield jobs


@pytest.fixture
def client(jobs: Jobs) -> FlaskClient:
    return make_client(jobs)


def path_of(response: TestResponse) -> str:
    """Return the path of the job that a 303 leads to."""
    assert response.status_code == 303, response.text
    location = response.headers["Location"]
    assert location.startswith(URL + "/")
    return location.removeprefix("http://archive.example.org")


def create(client: FlaskClient, **parameters: str) -> str:
    return path_of(client.post("/tap/async", data=parameters))


def parsed(response: TestResponse) -> ElementTree.Element:
    return ElementTree.fromstring(response.data)


def fetched(client: FlaskClient, path: str) -> TestResponse:
    """Read a file to its end, as a server does, so that it is closed."""
    return client.get(path, buffered=True)


def document(client: FlaskClient, path: str) -> ElementTree.Element:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.mimetype in ("application/xml", "text/xml")
    return parsed(response)


def told(job: ElementTree.Element, name: str) -> str | None:
    return job.findtext(UWS + name)


def ended(client: FlaskClient, path: str, seconds: float = 60) -> ElementTree.Element:
    """Wait as a client does, by WAIT, until a job has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job = document(client, f"{path}?WAIT=2")
        if told(job, "phase") not in ("PENDING", "QUEUED", "EXECUTING"):
            return job
    raise AssertionError(f"the job is still {told(job, 'phase')}")


def until_executing(client: FlaskClient, path: str) -> None:
    until = time.monotonic() + 60
    while client.get(f"{path}/phase").text != "EXECUTING":
        assert time.monotonic() < until, "the job does not start"
        time.sleep(0.02)


# ----------------------------------------------------------------------------------------------------- the usual road


def test_a_job_goes_from_pending_to_its_result(client: FlaskClient) -> None:
    path = create(client, WORK="write", SIZE="3000", RUNID="run-7")
    job = document(client, path)
    assert job.tag == f"{UWS}job"
    assert job.get("version") == "1.1"
    assert (told(job, "phase"), told(job, "runId")) == ("PENDING", "run-7")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", told(job, "creationTime") or "")
    assert client.get(f"{path}/phase").text == "PENDING"
    assert path_of(client.post(f"{path}/phase", data={"PHASE": "RUN"})) == path
    job = ended(client, path)
    assert told(job, "phase") == "COMPLETED"
    result = job.find(f"{UWS}results/{UWS}result")
    assert result is not None
    assert result.get("{http://www.w3.org/1999/xlink}href") == f"{URL}/{path.rpartition('/')[2]}/results/result"
    assert (result.get("id"), result.get("size"), result.get("mime-type")) == (
        "result", "3000", "text/csv; charset=utf-8",
    )  # fmt: skip
    answer = fetched(client, f"{path}/results/result")
    assert (answer.data, answer.content_type) == (b"x" * 3000, "text/csv; charset=utf-8")


def test_phase_run_in_the_creating_request_runs_the_job(client: FlaskClient) -> None:
    path = create(client, WORK="write", SIZE="1000", PHASE="RUN")
    assert told(ended(client, path), "phase") == "COMPLETED"


def test_phase_run_may_stand_in_the_address(client: FlaskClient) -> None:
    path = path_of(client.post("/tap/async?phase=RUN", data={"work": "write", "size": "1000"}))
    assert told(ended(client, path), "phase") == "COMPLETED"


def test_a_short_job_waits_for_no_look(client: FlaskClient) -> None:
    ended(client, create(client, WORK="write", SIZE="1000", PHASE="RUN"))  # threads and connections are there now
    taken = []
    for _ in range(9):
        begun = time.monotonic()
        path = create(client, WORK="write", SIZE="1000", PHASE="RUN")
        ended(client, path)
        fetched(client, f"{path}/results/result")
        taken.append(time.monotonic() - begun)
    assert sorted(taken)[4] < 2.5  # threads look by themselves every five seconds


def test_what_a_job_says_of_itself_stands_in_its_resources_too(client: FlaskClient) -> None:
    path = create(client, WORK="sleep", EXECUTIONDURATION="7", DESTRUCTION="2200-01-01T00:00:00Z")
    job = document(client, path)
    assert told(job, "executionDuration") == client.get(f"{path}/executionduration").text == "7"
    assert told(job, "destruction") == client.get(f"{path}/destruction").text
    assert client.get(f"{path}/quote").text == client.get(f"{path}/owner").text == ""
    assert client.get(f"{path}/error").status_code == 200
    assert document(client, f"{path}/results").tag == f"{UWS}results"
    listed = document(client, f"{path}/parameters")
    assert [(entry.get("id"), entry.text) for entry in listed] == [("WORK", "sleep")]


# -------------------------------------------------------------------------------------------------------- parameters


def test_parameters_are_given_while_a_job_is_pending(client: FlaskClient) -> None:
    path = create(client, WORK="refuse", UPLOAD="a,http://example.org/a")
    again = {"work": "write", "SIZE": "1000", "UPLOAD": "b,http://example.org/b", "RUNID": "second"}
    assert path_of(client.post(f"{path}/parameters", data=again)) == path
    listed = [(entry.get("id"), entry.text) for entry in document(client, f"{path}/parameters")]
    assert sorted(listed) == [
        ("RUNID", "second"), ("SIZE", "1000"), ("UPLOAD", "a,http://example.org/a"),
        ("UPLOAD", "b,http://example.org/b"), ("WORK", "write"),
    ]  # fmt: skip
    assert told(document(client, path), "runId") == "second"
    client.post(f"{path}/phase", data={"PHASE": "RUN"})
    ended(client, path)
    assert client.post(f"{path}/parameters", data={"SIZE": "5"}).status_code == 403


def test_an_inline_parameter_reaches_the_job_and_can_be_read_back(client: FlaskClient) -> None:
    form = {
        "WORK": "inline",
        "PHASE": "RUN",
        "part": (io.BytesIO(b"\x00\xffbytes"), "t.xml", "application/x-votable+xml"),
    }
    path = path_of(client.post("/tap/async", data=form))
    job = ended(client, path)
    assert told(job, "phase") == "COMPLETED"
    assert fetched(client, f"{path}/results/result").data == b"\x00\xffbytes"
    entries = {entry.get("id"): entry for entry in document(client, f"{path}/parameters")}
    assert entries["part"].get("byReference") == "true"
    href = entries["part"].text or ""
    assert fetched(client, href.removeprefix("http://archive.example.org")).data == b"\x00\xffbytes"


def test_inline_parameters_have_a_limit(client: FlaskClient, tmp_path: Path) -> None:
    form = {"WORK": "inline", "part": (io.BytesIO(b"x" * 1001), "t.xml")}
    assert client.post("/tap/async", data=form).status_code == 413
    assert not list((tmp_path / "results").iterdir())


@pytest.mark.parametrize(
    "form",
    [
        {"PHASE": "ABORT"}, {"PHASE": "run"}, {"EXECUTIONDURATION": "-5"}, {"EXECUTIONDURATION": "1e3"},
        {"DESTRUCTION": "tomorrow"}, {"WORK": "a\x01b"}, {"RUNID": "x" * 65}, {"WORK": "\x00"},
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_is_not_made(client: FlaskClient, form: dict[str, str], admin: psycopg.Connection) -> None:
    assert client.post("/tap/async", data=form).status_code == 400
    assert admin.execute("SELECT count(*) FROM uws.job").fetchone() == (0,)


def test_parameters_have_a_limit(database: Database, tmp_path: Path) -> None:
    with closing(make_jobs(database, tmp_path, JobLimits(parameter_bytes=100))) as jobs:
        assert make_client(jobs).post("/tap/async", data={"QUERY": "x" * 100}).status_code == 413


# ------------------------------------------------------------------------------------------------------------ limits


def test_wishes_get_at_most_the_maximum(client: FlaskClient) -> None:
    path = create(client, WORK="sleep")
    assert client.get(f"{path}/executionduration").text == "60"
    for wish, given in (("100", "100"), ("5000", "120"), ("0", "120")):
        assert path_of(client.post(f"{path}/executionduration", data={"EXECUTIONDURATION": wish})) == path
        assert client.get(f"{path}/executionduration").text == given
    client.post(f"{path}/destruction", data={"DESTRUCTION": "2999-01-01T00:00:00"})
    told_time = datetime.fromisoformat(client.get(f"{path}/destruction").text)
    assert timedelta(seconds=7100) < told_time - datetime.now(UTC) <= timedelta(seconds=7200)


def test_a_job_that_takes_too_long_is_aborted(client: FlaskClient) -> None:
    path = create(client, WORK="sleep", EXECUTIONDURATION="1", PHASE="RUN")
    job = ended(client, path)
    assert told(job, "phase") == "ABORTED"
    assert "1 s" in (job.findtext(f"{UWS}errorSummary/{UWS}message") or "")


def test_a_result_beyond_the_space_for_results_is_an_error(client: FlaskClient, tmp_path: Path) -> None:
    path = create(client, WORK="write", SIZE="400000", PHASE="RUN")
    job = ended(client, path)
    assert told(job, "phase") == "ERROR"
    assert "space" in (job.findtext(f"{UWS}errorSummary/{UWS}message") or "")
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_all_results_together_keep_to_the_space(client: FlaskClient) -> None:
    paths, phases = [], []
    for _ in range(3):
        paths.append(create(client, WORK="write", SIZE="200000", PHASE="RUN"))
        phases.append(told(ended(client, paths[-1]), "phase"))
    assert phases == ["COMPLETED", "ERROR", "ERROR"]
    for path in paths:
        client.delete(path)
    path = create(client, WORK="write", SIZE="200000", PHASE="RUN")
    assert told(ended(client, path), "phase") == "COMPLETED"


def test_a_job_is_destroyed_when_its_time_comes(client: FlaskClient, jobs: Jobs, tmp_path: Path) -> None:
    path = create(client, WORK="write", SIZE="1000", PHASE="RUN")
    ended(client, path)
    client.post(f"{path}/destruction", data={"DESTRUCTION": "2020-01-01T00:00:00Z"})
    assert client.get(path).status_code == 404
    jobs.close()
    jobs.start()  # sweeps at its start, and every few seconds
    until = time.monotonic() + 60
    while list((tmp_path / "results").iterdir()):
        assert time.monotonic() < until, "the files of an expired job stay"
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------- errors, abort, destroy


def test_a_job_that_is_refused_ends_in_error_and_says_why(client: FlaskClient) -> None:
    path = create(client, WORK="refuse", PHASE="RUN")
    job = ended(client, path)
    assert told(job, "phase") == "ERROR"
    assert job.findtext(f"{UWS}errorSummary/{UWS}message") == "there is no such table"
    answer = client.get(f"{path}/error")
    assert (answer.status_code, answer.text) == (200, "there is no such table")
    answer = fetched(client, f"{path}/results/result")
    assert answer.status_code == 404
    assert "ERROR: there is no such table" in answer.text


def test_a_fault_of_the_service_shows_nothing_of_its_inside(client: FlaskClient) -> None:
    path = create(client, WORK="break", PHASE="RUN")
    assert told(ended(client, path), "phase") == "ERROR"
    assert "internal" not in client.get(f"{path}/error").text
    assert "internal" not in client.get(path).text


def test_aborting_ends_a_running_job(client: FlaskClient) -> None:
    path = create(client, WORK="sleep", PHASE="RUN")
    until_executing(client, path)
    assert path_of(client.post(f"{path}/phase", data={"PHASE": "ABORT"})) == path
    assert told(document(client, path), "phase") == "ABORTED"
    for deed in ("RUN", "ABORT"):
        assert client.post(f"{path}/phase", data={"PHASE": deed}).status_code == 403


def test_workers_are_free_again_after_aborts(client: FlaskClient, jobs: Jobs) -> None:
    paths = [create(one, WORK="sleep", PHASE="RUN") for one in (client, from_address(jobs, "192.0.2.1"))]
    for path in paths:
        until_executing(client, path)
    waiting = create(client, WORK="write", SIZE="1000", PHASE="RUN")
    client.post(f"{paths[0]}/phase", data={"PHASE": "ABORT"})
    client.delete(paths[1])
    assert told(ended(client, waiting), "phase") == "COMPLETED"


@pytest.mark.parametrize("by", ["DELETE", "POST"])
def test_a_job_can_be_destroyed(client: FlaskClient, by: str, tmp_path: Path) -> None:
    path = create(client, WORK="write", SIZE="1000", PHASE="RUN")
    ended(client, path)
    response = client.delete(path) if by == "DELETE" else client.post(path, data={"ACTION": "DELETE"})
    assert (response.status_code, response.headers["Location"]) == (303, URL)
    for below in ("", "/phase", "/results/result", "/error", "/parameters"):
        assert client.get(path + below).status_code == 404
    assert not list((tmp_path / "results").iterdir())


def test_unknown_jobs_are_not_found(client: FlaskClient) -> None:
    for name in ("none", "..", "a" * 24, "%00", "é"):
        assert client.get(f"/tap/async/{name}").status_code == 404
        assert client.post(f"/tap/async/{name}/phase", data={"PHASE": "RUN"}).status_code == 404


def test_parameters_are_not_taken_at_the_job_itself(client: FlaskClient) -> None:
    path = create(client, WORK="sleep")
    assert client.post(path, data={"WORK": "write"}).status_code == 400
    assert client.post(f"{path}/phase", data={"PHASE": "SUSPEND"}).status_code == 400


# ---------------------------------------------------------------------------------------------------------- waiting


def test_wait_returns_when_the_phase_changes(client: FlaskClient, jobs: Jobs) -> None:
    path = create(client, WORK="write", SIZE="1000")
    with ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        waiting = pool.submit(make_client(jobs).get, f"{path}?WAIT=-1&PHASE=PENDING")
        time.sleep(0.3)
        assert not waiting.done()
        client.post(f"{path}/phase", data={"PHASE": "RUN"})
        answer = waiting.result(60)
    assert told(parsed(answer), "phase") != "PENDING"
    assert 0.3 <= time.monotonic() - begun < LIMITS.wait


def test_wait_ends_after_its_time(client: FlaskClient) -> None:
    path = create(client, WORK="sleep")
    begun = time.monotonic()
    assert told(document(client, f"{path}?WAIT=1"), "phase") == "PENDING"
    assert 1 <= time.monotonic() - begun < LIMITS.wait


def test_wait_does_not_block_on_another_phase_or_an_ended_job(client: FlaskClient) -> None:
    path = create(client, WORK="refuse")
    begun = time.monotonic()
    document(client, f"{path}?WAIT=50&PHASE=QUEUED")
    client.post(f"{path}/phase", data={"PHASE": "ABORT"})
    document(client, f"{path}?WAIT=50")
    document(client, f"{path}?WAIT=50&PHASE=ABORTED")
    assert time.monotonic() - begun < LIMITS.wait
    assert client.get(f"{path}?WAIT=soon").status_code == 400


# ---------------------------------------------------------------------------------------------------------- job list


def test_the_list_shows_no_strangers_job(client: FlaskClient) -> None:
    create(client, WORK="sleep")
    shown = document(client, "/tap/async")
    assert shown.tag == f"{UWS}jobs"
    assert shown.get("version") == "1.1"
    assert len(shown) == 0


def test_ids_cannot_be_guessed(client: FlaskClient) -> None:
    ids = {create(client, WORK="sleep").rpartition("/")[2] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(name) * 6 >= 128 for name in ids)  # six bits a character


def test_an_open_list_heeds_its_filters(jobs: Jobs) -> None:
    client = make_client(jobs, show_jobs=True)
    first = create(client, WORK="sleep")
    ran = create(client, WORK="refuse", PHASE="RUN", RUNID="mine")
    ended(client, ran)
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    last = create(client, WORK="sleep")

    def listed(query: str) -> list[str]:
        return ["/tap/async/" + (job.get("id") or "") for job in document(client, f"/tap/async{query}")]

    assert listed("") == [last, ran, first]
    assert listed("?PHASE=ERROR") == [ran]
    assert listed("?PHASE=ERROR&PHASE=PENDING") == [last, ran, first]
    assert listed("?PHASE=ARCHIVED") == []
    assert listed("?LAST=1") == [last]
    assert listed(f"?AFTER={between}") == [last]
    assert listed("?LAST=2&phase=PENDING") == [last, first]
    for wrong in ("?PHASE=LOST", "?LAST=0", "?LAST=x", "?AFTER=now"):
        assert client.get(f"/tap/async{wrong}").status_code == 400


# ------------------------------------------------------------------------------------- restarts, deaths, two processes


def test_jobs_and_results_outlive_the_service(database: Database, tmp_path: Path) -> None:
    with closing(make_jobs(database, tmp_path)) as jobs:
        client = make_client(jobs)
        done = create(client, WORK="write", SIZE="2000", PHASE="RUN")
        ended(client, done)
        pending = create(client, WORK="write", SIZE="1000")
    with closing(make_jobs(database, tmp_path)) as jobs:
        client = make_client(jobs)
        assert len(fetched(client, f"{done}/results/result").data) == 2000
        client.post(f"{pending}/phase", data={"PHASE": "RUN"})
        assert told(ended(client, pending), "phase") == "COMPLETED"


def test_a_queued_job_is_run_by_the_next_process(database: Database, tmp_path: Path) -> None:
    with closing(make_jobs(database, tmp_path, workers=0)) as jobs:
        path = create(make_client(jobs), WORK="write", SIZE="1000", PHASE="RUN")
    with closing(make_jobs(database, tmp_path)) as jobs:
        jobs.start()
        assert told(ended(make_client(jobs), path), "phase") == "COMPLETED"


def test_a_job_whose_process_died_ends_in_error(
    database: Database, tmp_path: Path, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obscore_tap.uws.runner.SWEEP", 0.2)
    with closing(make_jobs(database, tmp_path)) as jobs:
        client = make_client(jobs)
        path = create(client, WORK="sleep")
        # What a killed process leaves: the phase EXECUTING, and a lock that went with its connection.
        admin.execute("UPDATE uws.job SET phase = 'EXECUTING', started = now()")
        job = ended(client, path)
        assert told(job, "phase") == "ERROR"
        assert (job.find(f"{UWS}errorSummary") or ElementTree.Element("none")).get("type") == "transient"


def test_a_job_that_another_process_runs_is_left_alone(
    database: Database, tmp_path: Path, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obscore_tap.uws.runner.SWEEP", 0.1)
    with closing(make_jobs(database, tmp_path)) as jobs, psycopg.connect(database.jobs_url, autocommit=True) as other:
        client = make_client(jobs)
        path = create(client, WORK="sleep")
        other.execute("SELECT pg_advisory_lock(%s, slot) FROM uws.job", [JOB_LOCKS])
        admin.execute("UPDATE uws.job SET phase = 'EXECUTING', started = now()")
        time.sleep(1)
        assert client.get(f"{path}/phase").text == "EXECUTING"
        other.close()
        assert told(ended(client, path), "phase") == "ERROR"


def test_an_order_reaches_the_process_that_runs_the_job(database: Database, tmp_path: Path) -> None:
    with (
        closing(make_jobs(database, tmp_path, workers=1)) as busy,
        closing(make_jobs(database, tmp_path, workers=0)) as other,
    ):
        busy.start()
        client = make_client(other)
        path = create(client, WORK="sleep", PHASE="RUN")
        until_executing(client, path)
        client.post(f"{path}/phase", data={"PHASE": "ABORT"})
        after = create(client, WORK="write", SIZE="1000", PHASE="RUN")
        assert told(ended(client, after), "phase") == "COMPLETED"  # the one worker heard of the abort


def test_each_job_is_run_once(database: Database, tmp_path: Path) -> None:
    limits = JobLimits(results_bytes=10_000_000)
    with (
        closing(make_jobs(database, tmp_path, limits, workers=3)) as one,
        closing(make_jobs(database, tmp_path, limits, workers=3)) as two,
    ):
        two.start()
        client = make_client(one)
        paths = [create(client, WORK="write", SIZE="1000", PHASE="RUN") for _ in range(30)]
        assert {told(ended(client, path), "phase") for path in paths} == {"COMPLETED"}
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 30


def test_jobs_go_on_when_the_database_dropped_the_connections(
    database: Database, tmp_path: Path, admin: psycopg.Connection
) -> None:
    with closing(make_jobs(database, tmp_path)) as jobs:
        client = make_client(jobs)
        ended(client, create(client, WORK="write", SIZE="1000", PHASE="RUN"))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = 'lake_jobs'"
        )
        time.sleep(0.2)
        path = create(client, WORK="write", SIZE="1000", PHASE="RUN")
        assert told(ended(client, path, 15), "phase") == "COMPLETED"


# -------------------------------------------------------------------------------------------------------- privileges


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM lake.obscore", "SELECT 1 FROM lake.item", "CREATE TABLE uws.own (x int)",
        "CREATE TABLE public.own (x int)", "CREATE SCHEMA own",
        "TRUNCATE uws.job", "DROP TABLE uws.job", "CREATE ROLE own",
    ],
)  # fmt: skip
def test_the_role_of_jobs_can_do_nothing_else(database: Database, statement: str) -> None:
    with psycopg.connect(database.jobs_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_queries_see_no_jobs(database: Database) -> None:
    with psycopg.connect(database.query_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM uws.job")


def test_the_role_of_jobs_makes_no_temporary_tables(database: Database) -> None:
    apply_schema(database.admin_url)  # privileges of a database are not copied from its template
    with psycopg.connect(database.jobs_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TEMP TABLE own (x int)")


# --------------------------------------------------------------------------------------------------------- documents


def test_documents_are_valid(client: FlaskClient, jobs: Jobs) -> None:
    form = {"WORK": "inline", "RUNID": "<&>", "PHASE": "RUN", "part": (io.BytesIO(b"x"), "t.xml")}
    done = path_of(client.post("/tap/async", data=form))
    ended(client, done)
    failed = create(client, WORK="refuse", PHASE="RUN", QUERY="SELECT 'é \U0001f30c' < 1\n")
    ended(client, failed)
    opened = make_client(jobs, show_jobs=True)
    for path in (done, failed, create(client, WORK="sleep"), f"{done}/parameters", f"{done}/results", "/tap/async"):
        assert schema_faults(opened.get(path).data) == []
