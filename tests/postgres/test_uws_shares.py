"""What one client may have of the jobs, their space and their queue, so that others have some of it, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from obscore_tap.app import create_app
from obscore_tap.refusals import TooMany, Unavailable
from obscore_tap.tap.jobs import EXTENSION
from obscore_tap.uws import Job, JobLimits, Phase
from obscore_tap.uws.claims import claim, finish
from obscore_tap.uws.store import JobStore
from stac_rucio_sync.settings import Settings
from tests.postgres.conftest import Database, Server, make_database
from tests.postgres.test_uws import create, ended, from_address, make_jobs, told, until_executing


@pytest.fixture(scope="module")
def database(server: Server, template: str) -> Iterator[Database]:
    """One for all tests here: each begins without jobs."""
    yield from make_database(server, template)


@pytest.fixture(autouse=True)
def no_jobs(database: Database) -> None:
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("DELETE FROM uws.job")


@pytest.fixture
def store(database: Database) -> Iterator[JobStore]:
    with closing(JobStore(database.jobs_url, JobLimits(max_jobs=20, results_bytes=1000))) as store:
        yield store


def queued(store: JobStore, client: str, number: int) -> list[Job]:
    jobs = [store.create("test", 60, None, client) for _ in range(number)]
    for job in jobs:
        store.queue(job)
    return jobs


def taken(store: JobStore, number: int) -> list[Job]:
    """Take jobs from the queue, and end them."""
    jobs = []
    with store.connect() as connection:
        for _ in range(number):
            claimed = claim(connection, ["test"], [], lambda _: None)
            assert claimed is not None
            jobs.append(claimed[0])
            assert finish(connection, claimed[0].id, Phase.COMPLETED)
    return jobs


def clients_of(jobs: list[Job]) -> str:
    return "".join(job.client for job in jobs)


# ---------------------------------------------------------------------------------------------------------- the queue


def test_jobs_of_one_client_run_in_their_order(store: JobStore) -> None:
    jobs = queued(store, "a", 5)
    assert [job.id for job in taken(store, 5)] == [job.id for job in jobs]


def test_clients_take_turns_however_many_jobs_each_has_in_the_queue(store: JobStore) -> None:
    queued(store, "a", 6)
    queued(store, "b", 3)
    queued(store, "c", 1)
    assert clients_of(taken(store, 10)) == "abcababaaa"


def test_who_comes_to_a_long_queue_is_the_next_but_for_those_who_came_with_one_job_before(store: JobStore) -> None:
    queued(store, "a", 9)
    with store.connect() as connection:
        for _ in range(3):
            assert claim(connection, ["test"], [], lambda _: None)  # they go on running
        queued(store, "b", 2)
        queued(store, "c", 1)
        claimed = [claim(connection, ["test"], [], lambda _: None) for _ in range(5)]
    assert clients_of([one[0] for one in claimed if one]) == "bcaba"


def test_who_deletes_what_has_ended_and_queues_again_is_not_before_others(store: JobStore) -> None:
    queued(store, "a", 4)
    queued(store, "b", 2)
    found = ""
    for _ in range(6):
        (job,) = taken(store, 1)
        found += job.client
        if job.client == "a":
            store.destroy(job.id)
            queued(store, "a", 1)
    assert found == "ababaa"


def test_clients_whose_jobs_are_left_alone_wait(store: JobStore) -> None:
    queued(store, "a", 2)
    queued(store, "b", 1)
    with store.connect() as connection:
        claimed = claim(connection, ["test"], ["a"], lambda _: None)
        assert claimed is not None
        assert claimed[0].client == "b"
        assert claim(connection, ["test"], ["a"], lambda _: None) is None


def test_jobs_of_one_client_leave_a_worker_to_others(database: Database, tmp_path: Path) -> None:
    with closing(make_jobs(database, tmp_path, workers=2)) as jobs:
        one, other = from_address(jobs, "192.0.2.1"), from_address(jobs, "192.0.2.2")
        long, waiting = (create(one, WORK="sleep", PHASE="RUN") for _ in range(2))
        until_executing(one, long)
        done = create(other, WORK="write", SIZE="1000", PHASE="RUN")
        assert told(ended(other, done), "phase") == "COMPLETED"
        assert one.get(f"{waiting}/phase").text == "QUEUED"
        one.delete(long)
        until_executing(one, waiting)


def test_the_only_worker_takes_all_jobs(database: Database, tmp_path: Path) -> None:
    with closing(make_jobs(database, tmp_path, workers=1)) as jobs:
        client = from_address(jobs, "192.0.2.1")
        paths = [create(client, WORK="write", SIZE="1000", PHASE="RUN") for _ in range(2)]
        assert [told(ended(client, path), "phase") for path in paths] == ["COMPLETED"] * 2


# ------------------------------------------------------------------------------------------------------ list and space


def test_no_client_has_more_jobs_than_are_left_for_others(store: JobStore) -> None:
    kept = []
    for client, number in zip("abcde", (10, 5, 3, 1, 1), strict=True):
        kept += [store.create("test", 60, None, client) for _ in range(number)]
        with pytest.raises(TooMany if len(kept) < 20 else Unavailable):
            store.create("test", 60, None, client)
    assert len(kept) == 20


def test_a_client_that_deletes_a_job_may_make_another(store: JobStore) -> None:
    jobs = [store.create("test", 60, None, "a") for _ in range(10)]
    with pytest.raises(TooMany, match="10 jobs of this client"):
        store.create("test", 60, None, "a")
    store.destroy(jobs[0].id)
    store.create("test", 60, None, "a")


def test_no_client_has_more_space_than_is_left_for_others(store: JobStore) -> None:
    first, second = (store.create("test", 60, None, "a") for _ in range(2))
    other = store.create("test", 60, None, "b")
    assert store.reserve(first.id, 501, 501) == 0
    assert store.reserve(first.id, 400, 400) == 400
    assert store.reserve(second.id, 101, 101) == 0
    assert store.reserve(second.id, 100, 100) == 100
    assert store.reserve(other.id, 251, 251) == 0
    assert store.reserve(other.id, 250, 250) == 250


# -------------------------------------------------------------------------------------------------- who is which client


@pytest.fixture
def app(database: Database, tmp_path: Path) -> Iterator[Flask]:
    settings = Settings.model_validate(
        {
            "database": {"query_url": database.query_url, "jobs_url": database.jobs_url},
            "tap": {"results_folder": str(tmp_path / "results"), "max_jobs": 3},
            "locality": {"trusted_proxies": ["127.0.0.1/32"]},
        }
    )
    app = create_app(settings)
    yield app
    app.extensions[EXTENSION].close()
    app.extensions["stac-rucio-sync"].close()


def test_clients_behind_our_proxy_are_told_apart_and_told_what_to_do(app: Flask) -> None:
    client = app.test_client()

    def create_from(address: str) -> int:
        answers.append(client.post("/tap/async", headers={"X-Forwarded-For": address}))
        return answers[-1].status_code

    answers: list[TestResponse] = []
    assert [create_from("2001:db8::1"), create_from("2001:db8::2:1")] == [303, 303]
    assert create_from("2001:db8::3") == 429  # the same network of 64 bits: one client
    refused = answers[-1]
    assert refused.headers["Retry-After"] == "60"
    assert refused.mimetype == "application/x-votable+xml"
    assert "delete some" in refused.text
    assert create_from("192.0.2.1") == 303
    assert create_from("192.0.2.2") == 503
    assert answers[-1].headers["Retry-After"] == "5"
