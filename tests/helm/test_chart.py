"""The chart for Kubernetes: Helm itself lints and renders it, and each object is checked by Kubernetes' own schemas.

Opt-in (`make test-helm`): Helm comes as a library of 250 MB, into an environment of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own

from stac_rucio_sync import __version__
from stac_rucio_sync.lake.environment import find_python
from stac_rucio_sync.lake.home import cache_folder, server_user

pytestmark = [
    pytest.mark.skipif(os.environ.get("STAC_RUCIO_SYNC_HELM") != "1", reason="opt-in: make test-helm"),
    pytest.mark.timeout(600),
]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "stac-rucio-sync"
HERE = Path(__file__).parent
GOOD: dict[str, Any] = {"baseUrl": "https://archive.example.org", "existingSecret": "archive"}
ALL: dict[str, Any] = {
    **GOOD,
    "services": {"replicas": 3, "ingress": {"enabled": True, "host": "archive.example.org", "tlsSecret": "tls"}},
    "results": {"accessMode": "ReadWriteMany", "storageClass": "shared"},
    "syncs": [
        {
            "name": "images",
            "source": "https://stac.example.org/v1",
            "schedule": "*/15 * * * *",
            "arguments": ["--collection", 'a "name" of two'],
        }
    ],
    "settings": '[identity]\nauthority = "archive.example.org"\n',
    "imagePullSecrets": [{"name": "registry"}],
}
OWN: dict[str, Any] = {**GOOD, "database": {"enabled": False, "host": "db.example.org", "port": 5433}}


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python with Helm, made once and kept in the cache."""
    requirements = HERE / "requirements.txt"
    folder = cache_folder() / f"helm-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([find_python(server_user()), "-m", "venv", folder], check=True, timeout=120)
        pip: list[str | Path] = [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, "--requirement", requirements], check=True, timeout=500)
        (folder / "complete").touch()
    return folder / "bin" / "python"


def render(python: Path, *values: dict[str, Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [python, HERE / "render.py", CHART],
        input=json.dumps(values), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for one in objects:
        spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one.get("spec", {})
        if one["kind"] in ("CronJob", "Deployment", "Job", "StatefulSet"):
            found[f"{one['kind']}/{one['metadata']['name']}"] = spec["template"]["spec"]
    return found


def test_it_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"] == __version__


def test_helm_finds_no_fault_and_every_object_is_one_of_kubernetes(python: Path) -> None:
    plain, everything, own = render(python, GOOD, ALL, OWN)
    for told in (plain, everything, own):
        assert told["lint"] == []
        assert "error" not in told
    kinds = [[one["kind"] for one in told["objects"]] for told in (plain, everything, own)]
    assert "StatefulSet" in kinds[0]
    assert {"CronJob", "Ingress"} <= set(kinds[1]) - set(kinds[0])
    assert "StatefulSet" not in kinds[2]


def test_pods_are_contained_and_have_no_password_of_their_own(python: Path) -> None:
    (told,) = render(python, ALL)
    found = pods(told["objects"])
    assert len(found) == 5
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            limits = container["securityContext"]
            assert limits["readOnlyRootFilesystem"] is True, name
            assert limits["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= volumes | {"data"}, name
            known: set[str] = set()
            for variable in container["env"]:
                if variable["name"].endswith(("PASSWORD", "TOKEN")):
                    assert variable["valueFrom"]["secretKeyRef"]["name"] == "archive", name
                for used in (part.split(")")[0] for part in variable.get("value", "").split("$(")[1:]):
                    assert used in known, f"{name}: {variable['name']} comes before {used}"
                known.add(variable["name"])


def test_selectors_choose_the_pods_that_they_are_for(python: Path) -> None:
    (told,) = render(python, ALL)
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in told["objects"]
        if one["kind"] in ("Deployment", "StatefulSet")
    }
    for one in told["objects"]:
        if one["kind"] == "Service":
            chosen = [name for name, those in labels.items() if one["spec"]["selector"].items() <= those.items()]
            assert chosen == [one["metadata"]["name"]]


def test_the_command_of_a_sync_is_what_was_asked(python: Path) -> None:
    (told,) = render(python, ALL)
    (sync,) = (one for one in told["objects"] if one["kind"] == "CronJob")
    (container,) = sync["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    wanted = ["stac-rucio-sync", "sync", "https://stac.example.org/v1", "--name", "images", "--json"]
    assert container["command"] == [*wanted, "--collection", 'a "name" of two']


def test_settings_arrive_as_they_are(python: Path) -> None:
    (told,) = render(python, ALL)
    (settings,) = (one for one in told["objects"] if one["kind"] == "ConfigMap")
    assert settings["data"]["settings.toml"] == ALL["settings"]


def services(told: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any], list[dict[str, Any]]]:
    """Of the pods of the services: annotations, the container, and what policies let in."""
    (deployment,) = (
        one for one in told["objects"] if one["kind"] == "Deployment" and "watch" not in str(one["metadata"])
    )
    policies = [
        one for one in told["objects"] if one["kind"] == "NetworkPolicy" and "services" in one["metadata"]["name"]
    ]
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    return template["metadata"]["annotations"], container, [rule for one in policies for rule in one["spec"]["ingress"]]


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def test_prometheus_finds_the_figures_and_no_service_publishes_them(python: Path) -> None:
    scraper = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    plain, other = render(python, GOOD, {**GOOD, "metrics": {"port": 9999, "annotations": False, "from": [scraper]}})
    for told, port, asking in ((plain, 9464, {"namespaceSelector": {}}), (other, 9999, scraper)):
        annotations, container, rules = services(told)
        assert {"name": "metrics", "containerPort": port} in container["ports"]
        assert environment(container)["STAC_RUCIO_SYNC_METRICS__PORT"] == str(port)
        wanted = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": "/metrics"}
        assert (annotations.items() >= wanted.items()) == (port == 9464)
        assert rules == [{"ports": [{"port": "http"}]}, {"from": [asking], "ports": [{"port": "metrics"}]}]
        offered = [port for one in told["objects"] if one["kind"] == "Service" for port in one["spec"]["ports"]]
        assert {one["targetPort"] for one in offered} == {"http", "events", "postgres"}


def test_without_metrics_there_is_nothing_of_them(python: Path) -> None:
    (told,) = render(python, {**GOOD, "metrics": {"enabled": False}})
    annotations, container, rules = services(told)
    assert "prometheus" not in str(annotations)
    assert not [name for name in environment(container) if "METRICS" in name]
    assert [port["name"] for port in container["ports"]] == ["http"]
    assert rules == []


def test_logs_are_json_unless_values_say_otherwise(python: Path) -> None:
    plain, other = render(python, GOOD, {**GOOD, "log": {"format": "text", "level": "warning"}})
    for told, wanted in ((plain, ("json", "info")), (other, ("text", "warning"))):
        for name, pod in pods(told["objects"]).items():
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                if container["name"] != "postgres":
                    said = environment(container)
                    assert (said["STAC_RUCIO_SYNC_LOG__FORMAT"], said["STAC_RUCIO_SYNC_LOG__LEVEL"]) == wanted, name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "baseUrl"),
        ({"baseUrl": "https://archive.example.org"}, "existingSecret"),
        ({**GOOD, "baseUrl": "archive.example.org"}, "baseUrl"),
        ({**GOOD, "database": {"enabled": False}}, "host"),
        ({**GOOD, "services": {"replicas": 2}}, "ReadWriteMany"),
        ({**GOOD, "syncs": [{"name": "Not a label", "source": "x", "schedule": "@daily..."}]}, "name"),
        ({**GOOD, "metrics": {"port": 8080}}, "port"),
        ({**GOOD, "log": {"format": "xml"}}, "format"),
    ],
    ids=[
        "nothing",
        "no secret",
        "no URL",
        "no database",
        "one folder for two",
        "name of a sync",
        "figures at the port of the services",
        "form of logs",
    ],
)
def test_values_that_cannot_work_are_refused(python: Path, wrong: dict[str, Any], said: str) -> None:
    (told,) = render(python, wrong)
    assert said in told["error"]
