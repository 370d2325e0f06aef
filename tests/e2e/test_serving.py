"""The commands ``serve`` and ``query``, as a person starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet
import pytest
import requests
from astropy.io.votable import parse_single_table

from tests.conftest import RunningLake
from tests.e2e.archive import Archive
from tests.ports import free_port

pytestmark = pytest.mark.slow  # each command starts a process of its own, and some a server

LONG = "SELECT a.obs_id, b.obs_title FROM ivoa.obscore AS a, ivoa.obscore AS b, ivoa.obscore AS c"
"""Eight million rows of 200."""


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STAC_RUCIO_SYNC_")}
    return subprocess.run(
        [sys.executable, "-m", "stac_rucio_sync.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment | variables,
    )


# --------------------------------------------------------------------------------------------------------------- query


def asked(archive: Archive, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("--home", str(archive.lake.home), "query", "--url", f"{archive.url}/tap", *arguments, COLUMNS="200")


@pytest.mark.parametrize("how", [(), ("--async",)])
def test_an_answer_is_shown_as_a_table(archive: Archive, how: tuple[str, ...]) -> None:
    done = asked(archive, "SELECT TOP 2 obs_id, s_ra FROM ivoa.obscore ORDER BY obs_id", *how)
    assert done.returncode == 0, done.stderr
    first = archive.query('SELECT obs_id FROM lake.obscore ORDER BY obs_id COLLATE "C" LIMIT 1')[0][0]
    assert first in done.stdout
    assert "s_ra [deg]" in done.stdout
    assert done.stderr.strip() == "2 rows"


def test_a_cut_answer_says_so(archive: Archive) -> None:
    done = asked(archive, "SELECT obs_id FROM ivoa.obscore", "--maxrec", "3")
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "3 rows; there are more: the limit was reached (--maxrec)"


@pytest.mark.parametrize("how", [(), ("--async",)])
def test_an_answer_goes_to_a_file(archive: Archive, tmp_path: Path, how: tuple[str, ...]) -> None:
    parquet, votable = tmp_path / "all.parquet", tmp_path / "all.vot"
    for file, form in ((parquet, ("--format", "parquet")), (votable, ())):
        done = asked(archive, "SELECT obs_id FROM ivoa.obscore", "--output", str(file), *form, *how)
        assert done.returncode == 0, done.stderr
    count = archive.query("SELECT count(*) FROM lake.obscore")[0][0]
    assert pyarrow.parquet.read_table(parquet).num_rows == count
    assert len(parse_single_table(votable).array) == count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.parquet", "all.vot"]


@pytest.mark.parametrize("how", [(), ("--async",), ("--output",), ("--async", "--output")])
def test_a_wrong_query_is_told_in_the_services_words(archive: Archive, tmp_path: Path, how: tuple[str, ...]) -> None:
    file = [str(tmp_path / "out.vot")] if "--output" in how else []
    done = asked(archive, "SELECT nothing FROM ivoa.obscore", *how, *file)
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_service_is_told_with_the_way_out() -> None:
    done = command("query", "--url", "http://127.0.0.1:9/tap", "SELECT 1 AS one")
    assert done.returncode == 3
    assert "stac-rucio-sync serve" in done.stderr


# --------------------------------------------------------------------------------------------------------------- serve


@contextmanager
def own_server(lake: RunningLake, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server that a test may stop."""
    port = free_port()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        server = subprocess.Popen(
            [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(lake.home), "serve", "--port", str(port)],
            stdout=out,
            stderr=err,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 100
        while True:
            assert server.poll() is None and time.monotonic() < until, (folder / "err").read_text()  # noqa: PT018 - one reason
            try:
                requests.get(f"{url}/tap/availability", timeout=60)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield server, url
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_answers_under_way_end(archive: Archive, tmp_path: Path, number: signal.Signals) -> None:
    with own_server(archive.lake, tmp_path) as (server, url):
        form = {"LANG": "ADQL", "QUERY": LONG, "MAXREC": "400000", "FORMAT": "votable/td"}
        with requests.post(f"{url}/tap/sync", data=form, stream=True, timeout=60) as answer:
            chunks = answer.iter_content(65536)
            next(chunks)
            server.send_signal(number)
            received = b"".join(chunks)
        assert received.rstrip().endswith(b"</VOTABLE>")
        assert b'value="OVERFLOW"' in received[-2000:]
        assert server.wait(60) == 0
    said = (tmp_path / "out").read_text()
    assert f"TAP         {url}/tap" in said
    assert "Traceback" not in (tmp_path / "err").read_text()


def test_a_client_that_goes_leaves_no_query(archive: Archive) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'lake_query' AND state = 'active'"
    form = {"LANG": "ADQL", "QUERY": LONG, "MAXREC": "8000000"}
    with requests.post(f"{archive.url}/tap/sync", data=form, stream=True, timeout=60) as answer:
        next(answer.iter_content(65536))
    until = time.monotonic() + 60
    while archive.query(running) != [(0,)]:
        assert time.monotonic() < until, "the query still runs a minute after its client has gone"
        time.sleep(0.1)


def test_serve_needs_a_public_name_to_be_public(archive: Archive) -> None:
    done = command("--home", str(archive.lake.home), "serve", "--host", "0.0.0.0")  # noqa: S104 - which is the point
    assert done.returncode == 2
    assert "base_url" in done.stderr


def test_serve_without_a_database_names_the_way_out(tmp_path: Path) -> None:
    done = command("--home", str(tmp_path), "serve", "--port", str(free_port()))
    assert done.returncode == 2
    assert "lake up" in done.stderr


def test_a_port_that_is_taken_is_told(archive: Archive) -> None:
    done = command("--home", str(archive.lake.home), "serve", "--port", archive.url.rsplit(":", 1)[1])
    assert done.returncode == 3
    assert "port" in done.stderr
