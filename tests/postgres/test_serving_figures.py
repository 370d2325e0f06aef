"""``serve`` with metrics and logs in JSON, as an operator starts it: two processes, one sum."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from stac_rucio_sync.model import ReadEnd, Report, run_end
from stac_rucio_sync.stores.tables.schema import apply_schema
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.ports import free_port
from tests.postgres.conftest import Database
from tests.postgres.test_killed_server import processes_below, until

QUERY = {"LANG": "ADQL", "QUERY": "SELECT table_name FROM tap_schema.tables", "FORMAT": "csv"}
PLAIN = {"Accept-Encoding": "identity"}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(port: int) -> Samples:
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
    assert answer.ok, answer.text
    return {
        (sample.name.removeprefix("stac_rucio_sync_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        value for (one, given), value in samples.items() if one == name and labels.items() <= dict(given).items()
    )


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=60).ok
    except requests.ConnectionError:
        return False


def test_figures_and_logs_of_a_server_with_several_processes(
    database: Database, store: PostgresStore, tmp_path: Path
) -> None:
    apply_schema(database.admin_url)
    with store.lock_source("survey"):
        store.commit("survey", [], [], ReadEnd(None, complete=True, started=datetime.now(UTC)))
        store.runs.end("survey", run_end(Report("survey"), None))
    port, figures = free_port(), free_port()
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'[database]\nquery_url = "{database.query_url}"\njobs_url = "{database.jobs_url}"\n'
        f'reader_url = "{database.reader_url}"\n[services]\nport = {port}\nworkers = 2\n'
        f'[tap]\nresults_folder = "{tmp_path / "results"}"\n[metrics]\nport = {figures}\n'
        '[log]\nformat = "json"\nlevel = "info"\n'
    )
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(tmp_path), "--settings", str(settings)]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "out").open("wb") as out, (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "serve"], stdout=out, stderr=log)
    try:
        until(lambda: answers(f"{url}/tap/capabilities") and answers(f"http://127.0.0.1:{figures}/metrics"), 30)
        before = scraped(figures)
        sent = [requests.post(f"{url}/tap/sync", QUERY, headers=PLAIN, timeout=60) for _ in range(40)]
        rows = len(sent[0].text.splitlines()) - 1
        labels = {"route": "/tap/sync", "method": "POST", "status": "200"}
        until(lambda: total(scraped(figures), "requests_total", **labels) == 40)
        after = scraped(figures)
        assert total(after, "rows_total") - total(before, "rows_total") == 40 * rows
        assert total(after, "response_bytes_total", route="/tap/sync") == sum(len(one.content) for one in sent)
        assert (total(after, "queries_running"), total(after, "requests_under_way")) == (0, 0)
        assert 0 < total(after, "sync_age_seconds", source="survey") < 600
        assert [total(after, name) for name in ("database_up", "schema_current", "sync_outcome")] == [1, 1, 1]
        assert not any(name in {"rucio_up", "watch_age_seconds"} for name, _ in after)  # nobody ever watched

        job = requests.post(f"{url}/tap/async", {**QUERY, "PHASE": "RUN"}, timeout=60)
        assert job.ok
        until(lambda: total(scraped(figures), "jobs", kind="tap", phase="COMPLETED") == 1)

        victims = [pid for pid in processes_below(server.pid) if cmdline(pid) == cmdline(server.pid)]
        assert len(victims) >= 2
        os.kill(victims[0], signal.SIGKILL)
        until(lambda: victims[0] not in processes_below(server.pid))
        assert total(scraped(figures), "requests_total", **labels) == 40  # what a dead process did was done

        assert requests.get(f"{url}/metrics", timeout=60).status_code == 404
        assert requests.get(f"http://127.0.0.1:{figures}/", timeout=60).status_code == 404
        answer = requests.get(f"{url}/tap/tables/no.table", headers={"X-Request-Id": "mine-1"}, timeout=60)
        assert (answer.status_code, answer.headers["X-Request-Id"]) == (404, "mine-1")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(29)  # a process that has only begun does not hold it up for the 30 seconds that requests may take
    until(lambda: not answers_at_all(figures))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (mine,) = [line for line in lines if line.get("request") == "mine-1"]
    assert (mine["message"], mine["status"]) == ("GET /tap/tables/no.table", 404)
    posted = [line for line in lines if line["message"] == "POST /tap/sync"]
    assert {line["request"] for line in posted} == {one.headers["X-Request-Id"] for one in sent}
    assert all(line["run"].startswith("serve-") for line in lines)
    assert (lines[-1]["message"], lines[-1]["exit_code"]) == ("ended", 0)


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def answers_at_all(port: int) -> bool:
    with socket.socket() as probe:
        time.sleep(0.05)
        return probe.connect_ex(("127.0.0.1", port)) == 0
