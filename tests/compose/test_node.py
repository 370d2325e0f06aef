"""A node of containers, from nothing to a copy that is nearer."""

from __future__ import annotations

import base64
import hashlib
import json
from io import BytesIO
from typing import Any

import psycopg
import pytest
import requests
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from astropy.io import fits
from astropy.io.votable import parse_single_table
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.compose.conftest import COMPOSE_FILE, Node, wait

pytestmark = pytest.mark.timeout(1200)

SERVICES: dict[str, dict[str, Any]] = {
    name: about
    for name, about in yaml.safe_load(COMPOSE_FILE.read_text())["services"].items()
    if "demo" in about.get("profiles", ["demo"])
}
LASTING = sorted(name for name, about in SERVICES.items() if "healthcheck" in about)
ENDING = sorted(name for name, about in SERVICES.items() if "healthcheck" not in about)
URL = "http://127.0.0.1:8080"
ITEMS, FILES = 200, 362


def rows(adql: str) -> list[list[str]]:
    wish = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "tsv"}
    answer = requests.get(f"{URL}/tap/sync", params=wish, timeout=60)
    assert answer.status_code == requests.codes.ok, answer.text
    return [line.split("\t") for line in answer.text.splitlines()[1:]]


@pytest.mark.parametrize("name", ENDING)
def test_what_is_done_once_was_done(node: Node, name: str) -> None:
    node.wait_for_end(name)


@pytest.mark.parametrize("name", LASTING)
def test_every_container_is_healthy_and_nobodys_root(node: Node, name: str) -> None:
    node.wait_for_health(name)
    assert node.inspect(name)["HostConfig"]["ReadonlyRootfs"]
    if name != "cache":  # the official image has no user of the name in its shell
        assert node.inside(name, "id", "-u").strip() != "0"
    assert node.inside(name, "sh", "-c", "touch /usr/mine 2>/dev/null && echo written || true").strip() == ""


def test_no_password_but_the_generated_one_opens_anything(node: Node) -> None:
    for password in ("", "postgres", "secret", "rucio"):
        command = ("env", f"PGPASSWORD={password}", "psql", "-h", "127.0.0.1", "-U", "postgres", "-w", "-c", "SELECT 1")
        assert "1 row" not in node.inside("database", *command, check=False)
    command = ("env", f"PGPASSWORD={node.passwords['POSTGRES_PASSWORD']}", *command[2:])
    assert "1 row" in node.inside("database", *command)
    for user, password in (("ddmlab", "secret"), ("root", "secret"), ("root", "")):
        headers = {"X-Rucio-Account": "root", "X-Rucio-Username": user, "X-Rucio-Password": password}
        answer = requests.get("http://127.0.0.1:8081/auth/userpass", headers=headers, timeout=30)
        assert answer.status_code == requests.codes.unauthorized, (user, answer.status_code)


def test_the_demo_is_in_the_tables(node: Node) -> None:
    assert rows("SELECT COUNT(*) AS n FROM lake.file") == [[str(FILES)]]
    assert rows("SELECT COUNT(*) AS n FROM lake.replica WHERE state = 'AVAILABLE'") >= [[str(FILES)]]


def test_a_second_up_and_a_second_sync_find_nothing_to_do(node: Node) -> None:
    node.compose("up", "--detach", "--no-build")
    report = node.as_ingest("sync", "http://demo-api:8000", "--name", "demo")
    assert (report["read"], report["unchanged"], report["complete"]) == (ITEMS, ITEMS, True)


def test_a_rule_brings_a_copy_that_is_nearer_and_its_bytes_are_the_original_ones(node: Node) -> None:
    asked = node.as_ingest("replicate", "http://demo-api:8000", "--collection", "demo-cubes", "--rse", "VIENNA-DISK")
    assert asked["made"] + asked["there"] == 10
    copies = "SELECT COUNT(*) AS n FROM lake.replica WHERE rse = 'VIENNA-DISK' AND state = 'AVAILABLE'"
    wait(lambda: rows(copies) == [[str(asked["files"])]])
    ((did, md5),) = rows(
        "SELECT TOP 1 f.obs_publisher_did, f.md5 FROM lake.file AS f JOIN ivoa.obscore AS o "
        "ON o.obs_publisher_did = f.obs_publisher_did WHERE o.obs_collection = 'demo-cubes' AND f.science = 1"
    )
    answer = requests.get(f"{URL}/datalink/links", params={"ID": did, "SITE": "vienna"}, timeout=60)
    links = parse_single_table(BytesIO(answer.content)).to_table()
    nearest = next(row["access_url"] for row in links if row["semantics"] == "#this")
    assert nearest.startswith("http://127.0.0.1:8086/")  # Rucio's own address of it is storage:8086
    assert hashlib.md5(requests.get(nearest, timeout=60).content, usedforsecurity=False).hexdigest() == md5


def test_a_part_of_an_image_is_cut_out_of_the_storage(node: Node) -> None:
    ((did, ra, dec),) = rows(
        "SELECT TOP 1 obs_publisher_did, s_ra, s_dec FROM ivoa.obscore WHERE obs_collection = 'demo-images'"
    )
    wish = {"ID": did, "CIRCLE": f"{ra} {dec} 0.005"}
    answer = requests.get(f"{URL}/soda/sync", params=wish, timeout=60)
    assert answer.status_code == requests.codes.ok, answer.text
    with fits.open(BytesIO(answer.content)) as cut:
        assert 0 < max(cut[0].data.shape) < 64


def test_figures_are_shown_inside_and_not_outside(node: Node) -> None:
    rows("SELECT COUNT(*) AS n FROM ivoa.obscore")

    def figures() -> dict[str, float]:
        ask = "import urllib.request as u; print(u.urlopen('http://services:9464/metrics', timeout=20).read().decode())"
        lines = node.inside("watch", "python", "-c", ask).splitlines()
        found = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name.removeprefix("stac_rucio_sync_"): float(value) for name, value in found}

    wait(lambda: figures().get("rucio_up") == 1)
    found = figures()
    assert (found["database_up"], found["schema_current"]) == (1, 1)
    assert found['requests_total{method="GET",route="/tap/sync",status="200"}'] >= 1
    assert found["rows_total"] >= 1
    published = node.inspect("services")["NetworkSettings"]["Ports"]
    assert [port for port, places in published.items() if places] == ["8080/tcp"]


def test_logs_are_json_and_name_the_request(node: Node) -> None:
    answer = requests.get(f"{URL}/tap/sync", params={"LANG": "ADQL", "QUERY": "SELECT nothing"}, timeout=60)
    for service in ("services", "watch", "demo-sync"):
        said = [json.loads(line) for line in node.said(service)]
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in said), service
    (line,) = (
        line for line in map(json.loads, node.said("services")) if line.get("request") == answer.headers["X-Request-Id"]
    )
    assert (line["logger"], line["status"]) == ("stac_rucio_sync.access", answer.status_code)


def test_events_without_the_token_are_refused(node: Node) -> None:
    post = (
        "import sys, urllib.request as u\n"
        "r = u.Request('http://watch:8090/events', data=b'{}', method='POST', headers={'Authorization': sys.argv[1]})\n"
        "try: print(u.urlopen(r, timeout=20).status)\n"
        "except u.HTTPError as error: print(error.code)\n"
    )
    wrong = "Basic " + base64.b64encode(b"hermes:hermes").decode()
    assert node.inside("services", "python", "-c", post, wrong).strip() == "401"


def test_the_node_goes_on_after_its_database_was_killed(node: Node) -> None:
    before = rows("SELECT COUNT(*) AS n FROM ivoa.obscore")
    node.compose("kill", "database")
    node.compose("up", "--detach", "--no-build")

    def answers() -> bool:
        try:
            return rows("SELECT COUNT(*) AS n FROM ivoa.obscore") == before
        except (AssertionError, requests.RequestException):
            return False

    wait(answers)


def test_the_image_of_the_database_alone_has_pgsphere(images: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody has to clean up after us: the container ends with the block. The image that would do it is one to pull.
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    image = DockerContainer("stac-rucio-sync/postgres:0.1.0").with_exposed_ports(5432)
    with image.with_env("POSTGRES_PASSWORD", "of this test") as container:
        place: dict[str, Any] = {"host": container.get_container_host_ip(), "port": container.get_exposed_port(5432)}

        def answers() -> bool:
            try:
                psycopg.connect(**place, user="postgres", password="of this test", connect_timeout=5).close()
            except psycopg.OperationalError:
                return False
            return True

        wait(answers)
        with psycopg.connect(**place, user="postgres", password="of this test") as connection:
            connection.execute("CREATE EXTENSION pg_sphere")
            (version,) = connection.execute("SELECT pg_sphere_version()").fetchone() or ("",)
            assert tuple(map(int, version.split(".")[:2])) >= (1, 4)
