"""TAP queries as jobs: what reaches the database goes when the job does."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from obscore_tap.app import create_app
from obscore_tap.tap.jobs import EXTENSION
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database

LONG = (
    "SELECT COUNT(*) AS n FROM tap_schema.columns AS a, tap_schema.columns AS b, tap_schema.columns AS c, "
    "tap_schema.columns AS d, tap_schema.columns AS e"
)
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'lake_query' AND state = 'active'"
VOTABLE = (
    b'<VOTABLE><RESOURCE><TABLE><FIELD name="a" datatype="int" ucd="meta.id"/><FIELD name="size" datatype="char" '
    b'arraysize="*"/><DATA><TABLEDATA><TR><TD>7</TD><TD>seven</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>'
)


@pytest.fixture
def app(database: Database, tmp_path: Path) -> Iterator[Flask]:
    apply_schema(database.admin_url)
    settings = Settings.model_validate(
        {
            "database": {"query_url": database.query_url, "jobs_url": database.jobs_url},
            "tap": {"results_folder": str(tmp_path / "results")},
        }
    )
    app = create_app(settings)
    yield app
    app.extensions[EXTENSION].close()
    app.extensions["stac-rucio-sync"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def begun(client: FlaskClient, adql: str, **more: object) -> str:
    response = client.post("/tap/async", data={"LANG": "ADQL", "QUERY": adql, "PHASE": "RUN", **more})
    assert response.status_code == 303, response.text
    return "/tap/async/" + response.headers["Location"].rpartition("/")[2]


def phase_after(client: FlaskClient, path: str) -> str:
    for _ in range(20):
        client.get(f"{path}?WAIT=2")
        phase = client.get(f"{path}/phase").text
        if phase not in ("QUEUED", "EXECUTING"):
            return phase
    raise AssertionError("the job does not end")


def count(admin: psycopg.Connection, query: str) -> int:
    row = admin.execute(query).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("how", ["abort", "destroy", "time"])
def test_no_query_goes_on_without_its_job(client: FlaskClient, admin: psycopg.Connection, how: str) -> None:
    path = begun(client, LONG, **({"EXECUTIONDURATION": "1"} if how == "time" else {}))
    until = time.monotonic() + 60
    while not count(admin, RUNNING):
        assert time.monotonic() < until
        time.sleep(0.02)
    if how == "abort":
        client.post(f"{path}/phase", data={"PHASE": "ABORT"})
    elif how == "destroy":
        client.delete(path)
    while count(admin, RUNNING):
        assert time.monotonic() < until
        time.sleep(0.02)
    if how != "destroy":
        assert phase_after(client, path) == "ABORTED"


def test_a_job_queries_the_table_that_it_brought(client: FlaskClient, admin: psycopg.Connection) -> None:
    path = begun(
        client,
        'SELECT a, "size" FROM TAP_UPLOAD.mine',
        UPLOAD="mine,param:p",
        RESPONSEFORMAT="csv",
        p=(io.BytesIO(VOTABLE), "p.xml"),
    )
    assert phase_after(client, path) == "COMPLETED"
    result = client.get(f"{path}/results/result", buffered=True)
    assert list(csv.reader(result.text.splitlines())) == [["a", "size"], ["7", "seven"]]
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'tap_upload'::regnamespace AND relkind = 'r'"
    assert count(admin, left) == 0


def test_a_sync_query_takes_its_table_away_after_the_last_byte(client: FlaskClient, admin: psycopg.Connection) -> None:
    form = {"LANG": "ADQL", "UPLOAD": "mine,param:p", "p": (io.BytesIO(VOTABLE), "p.xml"), "FORMAT": "csv"}
    answer = client.post("/tap/sync", data={"QUERY": "SELECT a FROM TAP_UPLOAD.mine", **form}, buffered=True)
    assert (answer.status_code, answer.text.split()) == (200, ["a", "7"])
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'tap_upload'::regnamespace AND relkind = 'r'"
    assert count(admin, left) == 0


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_part_without_a_file_name_is_a_table_too(client: FlaskClient, how: str) -> None:
    """As ``curl --form "Mine=<table.xml"`` sends it."""
    parts = {
        "LANG": "ADQL",
        "QUERY": 'SELECT "size" FROM TAP_UPLOAD.mine',
        "UPLOAD": "mine,param:Mine",
        "FORMAT": "csv",
        "Mine": VOTABLE.decode().replace("seven", "sieben Stück"),
        "PHASE": "RUN",
    }
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{parts[name]}\r\n' for name in parts)
    sent = {"data": f"{body}--x--\r\n".encode(), "content_type": "multipart/form-data; boundary=x"}
    answer = client.post(f"/tap/{how}", buffered=True, **sent)
    if how == "async":
        path = "/tap/async/" + answer.headers["Location"].rpartition("/")[2]
        assert phase_after(client, path) == "COMPLETED"
        answer = client.get(f"{path}/results/result", buffered=True)
    assert list(csv.reader(answer.text.splitlines())) == [["size"], ["sieben Stück"]]


def test_a_wrong_query_is_an_error_document(client: FlaskClient) -> None:
    path = begun(client, "SELECT nothing FROM nowhere")
    assert phase_after(client, path) == "ERROR"
    answer = client.get(f"{path}/error")
    assert answer.status_code == 200
    assert 'name="QUERY_STATUS"' in answer.text
    assert "nowhere" in answer.text
