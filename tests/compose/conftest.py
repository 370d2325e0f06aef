"""Opt-in: these tests build the images and run them, where a Docker daemon answers (`make test-compose`)."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own

OPT_IN = "STAC_RUCIO_SYNC_COMPOSE"
BUILT = "STAC_RUCIO_SYNC_COMPOSE_BUILT"
"""Set to 1: the images are there already."""
ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_BUILD_SECONDS = 1800.0
_UP_SECONDS = 600.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies in this folder, with the reason, unless it is asked for and can be done."""
    reason = "opt-in: make test-compose"
    if os.environ.get(OPT_IN) == "1":
        if answers():
            return
        reason = "no Docker daemon answers"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def answers() -> bool:
    """Tell whether there is a Docker daemon that we may talk to."""
    if shutil.which(docker()) is None:
        return False
    return subprocess.run([docker(), "version"], capture_output=True, check=False, timeout=30).returncode == 0


def docker() -> str:
    """Return Docker's client."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def compose() -> list[str]:
    """Return Compose: version 2, or docker-compose 1.29."""
    asked = subprocess.run([docker(), "compose", "version"], capture_output=True, check=False, timeout=30)
    return [docker(), "compose"] if asked.returncode == 0 else ["docker-compose"]


def wait(what: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(1.0)


@dataclass(frozen=True)
class Node:
    """A running archive node with the demo in it."""

    folder: Path
    project: str
    passwords: dict[str, str]
    profiles: tuple[str, ...] = ()
    """Those beside the demo's."""

    def compose(self, *arguments: str, timeout: float = _UP_SECONDS, check: bool = True) -> str:
        """Run Compose for it; return what it printed."""
        profiles = [f"--profile={profile}" for profile in (*self.profiles, "demo")]
        command = [*compose(), "--project-name", self.project, *profiles, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=timeout)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what Docker says of the container of a service."""
        told = subprocess.run([docker(), "inspect", self._id(service)], capture_output=True, check=True, timeout=30)
        found: dict[str, Any] = orjson.loads(told.stdout)[0]
        return found

    def said(self, service: str) -> list[str]:
        """Return the lines that a service wrote to stderr."""
        told = subprocess.run([docker(), "logs", self._id(service)], capture_output=True, check=True, timeout=30)
        return told.stderr.decode().splitlines()

    def _id(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).strip()

    def wait_for_end(self, service: str) -> None:
        """Wait until the container of a service has ended, and well."""
        wait(lambda: bool(self.inspect(service)["State"]["Status"] == "exited"))
        assert self.inspect(service)["State"]["ExitCode"] == 0, self.compose("logs", service)

    def wait_for_health(self, service: str) -> None:
        """Wait until a container is healthy."""
        wait(lambda: bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy"))

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *command, timeout=120, check=check)

    def as_ingest(self, *arguments: str, check: bool = True) -> dict[str, Any]:
        """Run one of our commands with the account of the sync; return its JSON."""
        command = ("env", "RUCIO_CONFIG=/tmp/rucio.cfg", "stac-rucio-sync", *arguments, "--json")
        told: dict[str, Any] = orjson.loads(self.inside("watch", *command, check=check).splitlines()[-1])
        return told


@pytest.fixture(scope="session")
def images() -> None:
    """The images of docker-compose.yml, built from this checkout."""
    if os.environ.get(BUILT) == "1":
        return
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    built = {about["image"].replace("${VERSION:-0.1.0}", "0.1.0"): about["build"] for about in services.values()
             if "build" in about}  # fmt: skip
    for image, build in built.items():
        command = [docker(), "build", "--tag", image, "--file", build["dockerfile"]]
        command += ["--target", build["target"]] if "target" in build else []
        # Behind a proxy with a certificate of its own, pip must be told; elsewhere these are the usual ones.
        command += ["--secret", f"id=ca,src={_AUTHORITIES}"] if _AUTHORITIES.exists() else []
        command += os.environ.get("STAC_RUCIO_SYNC_COMPOSE_BUILD_OPTIONS", "").split()
        done = subprocess.run(
            [*command, "."], cwd=ROOT, env={**os.environ, "DOCKER_BUILDKIT": "1"},
            capture_output=True, text=True, check=False, timeout=_BUILD_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"{image}:\n{done.stderr[-4000:]}"


@pytest.fixture(scope="session")
def node(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node of the demo, up; it goes with its volumes at the end."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(COMPOSE_FILE, folder)
    shutil.copytree(ROOT / "deploy" / "compose", folder / "deploy" / "compose")
    for path in [folder, *folder.rglob("*")]:  # containers read it as users of their own
        path.chmod(0o755 if path.is_dir() else 0o644)
    subprocess.run([ROOT / "scripts" / "make-env.sh", folder / ".env"], check=True, capture_output=True, timeout=20)
    lines = (folder / ".env").read_text().splitlines()
    passwords = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    made = Node(folder, f"node-{secrets.token_hex(4)}", passwords)
    try:
        made.compose("up", "--detach", "--no-build")
        yield made
    finally:
        replace(made, profiles=("dachs",)).compose("down", "--volumes", check=False)
