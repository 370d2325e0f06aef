"""Reads on a hot standby: where what goes, and what clients see when either server is killed under load."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from datalink.service import check_links
from obscore_tap.database import Database
from obscore_tap.services import check_services
from stac_rucio_sync.settings import load_settings
from tests.ports import free_port
from tests.postgres.pair import ITEMS, Pair, Side, running_pair
from tests.postgres.test_killed_server import is_available, until
from tests.postgres.test_uws_queries import LONG as ENDLESS
from tests.postgres.test_uws_queries import VOTABLE

SHORT = "SELECT TOP 20 obs_publisher_did, s_ra FROM ivoa.obscore WHERE s_dec > 10"
SUM = "SELECT COUNT(*) AS n FROM ivoa.obscore AS a, ivoa.obscore AS b WHERE a.t_min < b.t_max"
LONG = "SELECT a.* FROM ivoa.obscore AS a, tap_schema.schemas AS b"
LINKS = [f"ivo://example/lake?stac:survey..tile-{number}" for number in range(40)]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running_pair() as made:
        yield made


# ------------------------------------------------------------------------------------------------------------- clients


def tap(url: str, adql: str, **more: Any) -> requests.Response:
    form = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "votable/td"}
    return requests.post(f"{url}/tap/sync", form | more.pop("form", {}), timeout=60, **more)


def links(url: str) -> requests.Response:
    return requests.get(f"{url}/datalink/links", {"ID": LINKS}, timeout=60)


def elements(document: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in document.iter() if element.tag.rpartition("}")[2] == name]


def rows_of(response: requests.Response) -> int:
    return len(elements(ET.fromstring(response.content), "TR"))


def outcome(ask: Callable[[], requests.Response], rows: int) -> str:
    """What came of a request: ``answered``, ``refused`` or ``told`` (errors that say so), or else it was lost."""
    try:
        response = ask()
        document = ET.fromstring(response.content)
    except (requests.RequestException, ET.ParseError) as error:
        return f"lost: {error}"
    statuses = [info.get("value") for info in elements(document, "INFO") if info.get("name") == "QUERY_STATUS"]
    found = len(elements(document, "TR"))
    if response.status_code == 200 and statuses[-1:] == ["OK"] and found == rows:
        return "answered"
    if response.status_code == 200 and statuses[-1:] == ["ERROR"] and 0 < found < rows:
        return "told"
    if response.status_code == 503 and statuses == ["ERROR"] and response.headers.get("Retry-After"):
        return "refused"
    return f"lost: {response.status_code}, {statuses}, {found} of {rows} rows"


@dataclass
class Load:
    """Clients that go on asking."""

    url: str
    outcomes: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        rows = rows_of(links(self.url))
        kinds: dict[str, tuple[Callable[[], requests.Response], int]] = {
            "short": (lambda: tap(self.url, SHORT), 20),
            "sum": (lambda: tap(self.url, SUM), 1),
            "long": (lambda: tap(self.url, LONG), rows_of(tap(self.url, LONG))),
            "links": (lambda: links(self.url), rows),
        }
        assert rows >= 2 * len(LINKS)
        clients = ("short", "sum", "sum", "long", "links")
        self._threads = [threading.Thread(target=self._ask, args=(kind, *kinds[kind])) for kind in clients]

    def _ask(self, kind: str, ask: Callable[[], requests.Response], rows: int) -> None:
        while not self._stopping.is_set():
            came = outcome(ask, rows)
            self.outcomes.setdefault(kind, []).append((time.monotonic(), came))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def counted(self, since: float = 0.0) -> dict[str, Counter[str]]:
        return {kind: Counter(came for when, came in found if when > since) for kind, found in self.outcomes.items()}


Serving = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def settings_file(pair: Pair, tmp_path: Path) -> Path:
    port = free_port()
    path = tmp_path / "settings.toml"
    path.write_text(
        f'[database]\nquery_url = "{pair.url("lake_query")}"\njobs_url = "{pair.url("lake_jobs")}"\n'
        f'reader_url = "{pair.url("lake_reader")}"\n[services]\nport = {port}\nworkers = 2\n'
        f'[tap]\nresults_folder = "{tmp_path / "results"}"\n'
    )
    return path


@pytest.fixture
def serve(settings_file: Path, tmp_path: Path) -> Serving:
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(tmp_path), "--settings", str(settings_file)]

    @contextmanager
    def serving() -> Iterator[str]:
        url = f"http://127.0.0.1:{load_settings(settings_file).services.port}"
        with (tmp_path / "log").open("ab") as log:
            server = subprocess.Popen([*command, "serve"], stdout=log, stderr=log)
        try:
            until(lambda: server.poll() is not None or is_available(url))
            assert server.poll() is None, (tmp_path / "log").read_text()
            yield url
        finally:
            server.terminate()
            server.wait(60)

    return serving


def begun(url: str, adql: str = SHORT) -> requests.Response:
    form = {"LANG": "ADQL", "QUERY": adql, "PHASE": "RUN"}
    return requests.post(f"{url}/tap/async", form, timeout=60, allow_redirects=False)


def phase_of(job: str) -> str:
    return requests.get(f"{job}/phase", timeout=60).text


def uploaded(url: str) -> requests.Response:
    return tap(url, "SELECT * FROM TAP_UPLOAD.mine", form={"UPLOAD": "mine,param:p"}, files={"p": VOTABLE})


def writes(url: str) -> set[str]:
    """What comes of a job and of a query that brings a table."""
    made = begun(url)
    if made.status_code == 303:
        until(lambda: phase_of(made.headers["Location"]) not in ("QUEUED", "EXECUTING"))
        job = phase_of(made.headers["Location"])
    else:
        job = outcome(lambda: made, 1)
    return {job, outcome(lambda: uploaded(url), 1)}


DONE, REFUSED = {"COMPLETED", "answered"}, {"refused"}


def figures(what: str, load: Load, since: float) -> dict[str, Counter[str]]:
    counted = load.counted(since)
    told = {kind: dict(found) for kind, found in sorted(counted.items())}
    print(f"{what}: {told}")  # noqa: T201 - the figures of docs/standby.md
    return counted


# --------------------------------------------------------------------------------------------------------------- tests


def servers_asked(pair: Pair, side: Side) -> set[str]:
    """What of the services is connected to a server."""
    found = pair.ask(side, "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'stac-rucio-%'")
    return {str(name).rpartition(" ")[2] for (name,) in found}


@pytest.mark.slow
def test_a_query_that_a_standby_ends_to_follow_its_primary_is_asked_once_more(pair: Pair) -> None:
    def remove_a_row() -> None:
        pair.ask("postgres", "DELETE FROM lake.obscore WHERE obs_id = 'tile-0'")
        pair.ask("postgres", "VACUUM lake.obscore")

    pair.ask("standby", "ALTER SYSTEM SET max_standby_streaming_delay = '300ms'")
    pair.ask("standby", "SELECT pg_reload_conf()")
    reading, removal = Database(pair.url("lake_reader")), threading.Timer(1, remove_a_row)
    removal.start()
    try:
        rows = reading.query("SELECT count(*)::text FROM lake.obscore, pg_sleep(3)", 30)
        assert [row for batch in rows for row in batch] == [(str(ITEMS - 1).encode(),)]
    finally:
        removal.join()
        reading.close()
    until(lambda: pair.ask("standby", "SELECT sum(confl_snapshot) > 0 FROM pg_stat_database_conflicts") == [(True,)])


@pytest.mark.slow
def test_reads_go_to_the_standby_and_its_end_costs_only_answers_that_had_begun(pair: Pair, serve: Serving) -> None:
    with serve() as url, Load(url) as load:
        until(lambda: servers_asked(pair, "standby") == {"services", "mirror"})
        assert not servers_asked(pair, "postgres") & {"services", "mirror"}
        assert writes(url) == DONE
        assert "services" in servers_asked(pair, "postgres")  # no standby ever sees an uploaded table
        killed = time.monotonic()
        pair.kill("standby")
        time.sleep(3)
        after = time.monotonic()
        assert writes(url) == DONE
    pair.start("standby")
    pair.caught_up()
    counted = figures("standby killed", load, killed)
    assert {came for found in counted.values() for came in found} <= {"answered", "told"}
    assert all(set(counted[kind]) == {"answered"} for kind in ("short", "sum", "links"))
    assert all(set(found) <= {"answered"} for found in load.counted(after).values())


def test_a_primary_that_is_killed_costs_no_read_and_jobs_work_after_the_promotion(
    pair: Pair, serve: Serving, settings_file: Path
) -> None:
    with serve() as url, Load(url) as load:
        assert writes(url) == DONE
        kept = begun(url).headers["Location"]
        until(lambda: phase_of(kept) == "COMPLETED")
        running = begun(url, ENDLESS).headers["Location"]
        until(lambda: phase_of(running) == "EXECUTING")
        pair.caught_up()
        killed = time.monotonic()
        pair.kill("postgres")
        assert writes(url) == REFUSED
        assert is_available(url)
        assert phase_of(kept) not in ("COMPLETED", "ERROR")  # nobody can say now
        settings = load_settings(settings_file)
        check_services(settings)  # what `serve` asks before it starts
        check_links(settings)
        time.sleep(2)
        pair.promote()
        promoted = time.monotonic()
        until(lambda: writes(url) == DONE)
        print(f"jobs and uploads {time.monotonic() - promoted:.1f} s after it")  # noqa: T201 - as above
        assert phase_of(kept) == "COMPLETED"
        assert requests.get(f"{kept}/results/result", timeout=60).ok
        until(lambda: phase_of(running) == "ERROR")
        assert "run the query again" in requests.get(f"{running}/error", timeout=60).text
        time.sleep(1)
    counted = figures("primary killed", load, killed)
    assert {came for found in counted.values() for came in found} == {"answered"}
