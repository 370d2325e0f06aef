"""A serving process that is killed: what it was doing ends, and the next one clears away what it left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import requests

from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.ports import free_port
from tests.postgres.conftest import Database
from tests.postgres.test_uws_queries import LONG, RUNNING, VOTABLE, count

Serving = Callable[[], AbstractContextManager[tuple[subprocess.Popen[bytes], str]]]
TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'tap_upload'::regnamespace AND relkind = 'r'"


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes_below(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in processes_below(child)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_available(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return b">true<" in requests.get(f"{url}/tap/availability", timeout=60).content
    return False


@pytest.fixture
def serve(database: Database, tmp_path: Path) -> Serving:
    apply_schema(database.admin_url)
    port = free_port()
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'[database]\nquery_url = "{database.query_url}"\njobs_url = "{database.jobs_url}"\n'
        f'reader_url = "{database.reader_url}"\n'
        f'[services]\nport = {port}\nworkers = 2\n[tap]\njobs = 1\nresults_folder = "{tmp_path / "results"}"\n'
    )
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(tmp_path), "--settings", str(settings)]

    @contextmanager
    def serving() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        url = f"http://127.0.0.1:{port}"
        with (tmp_path / "log").open("ab") as log:
            server = subprocess.Popen([*command, "serve"], stdout=log, stderr=log)
        try:
            until(lambda: server.poll() is not None or is_available(url))
            assert server.poll() is None, (tmp_path / "log").read_text()
            yield server, url
        finally:
            server.terminate()
            server.wait(60)

    return serving


def test_nothing_is_left_of_a_killed_server(serve: Serving, admin: psycopg.Connection, tmp_path: Path) -> None:
    upload = {"UPLOAD": "mine,param:p"}
    with serve() as (server, url):

        def begun(adql: str, **files: bytes) -> str:
            form = {"LANG": "ADQL", "QUERY": adql, "PHASE": "RUN", **(upload if files else {})}
            made = requests.post(f"{url}/tap/async", form, files=files or None, timeout=60, allow_redirects=False)
            assert made.status_code == 303, made.text
            return made.headers["Location"]

        running = [begun(f"{LONG}, TAP_UPLOAD.mine", p=VOTABLE) for _ in range(2)]
        until(lambda: count(admin, RUNNING) == 2)
        waiting = begun("SELECT TOP 1 schema_name FROM tap_schema.schemas")
        workers = processes_below(server.pid)
        assert len(workers) >= 2
        assert (count(admin, TABLES), [requests.get(f"{job}/phase", timeout=60).text for job in running]) == (
            2,
            ["EXECUTING"] * 2,
        )
        (partial, *_) = tmp_path.glob("results/*/*")
        (partial.parent / "half.part").write_bytes(b"half a result")
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        until(lambda: not any(map(is_alive, workers)))
    with serve() as (_, url):  # on the same port, at once

        def phases() -> list[str]:
            return [requests.get(f"{job}/phase", timeout=60).text for job in (*running, waiting)]

        until(lambda: phases() == ["ERROR", "ERROR", "COMPLETED"])
        assert "run the query again" in requests.get(f"{running[0]}/error", timeout=60).text
        until(lambda: count(admin, RUNNING) == 0 and count(admin, TABLES) == 0)
        assert not list(tmp_path.glob("results/*/*.part"))
        assert count(admin, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
