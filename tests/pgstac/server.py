"""A real STAC API server: stac-fastapi.pgstac over a PostgreSQL cluster with PostGIS, made afresh, on loopback."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests

from stac_rucio_sync.lake.cluster import Cluster, database_url
from stac_rucio_sync.lake.environment import find_python
from stac_rucio_sync.lake.home import DATABASE_ROLES, ServerUser, cache_folder, server_user
from stac_rucio_sync.lake.processes import Processes
from tests.ports import free_port

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
DATABASE = "pgstac"
_SERVER = "stac-api"


@dataclass
class PgstacServer:
    """A running server; ``kill`` and ``start`` are for tests of what a reader does without it."""

    folder: Path
    programs: Path
    """Folder of the programs of the server's Python environment."""
    processes: Processes
    passwords: dict[str, str]
    ports: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def dsn(self) -> str:
        return database_url("postgres", self.passwords, self.ports["postgres"], DATABASE)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement as the owner of the catalogue; return its rows."""
        with psycopg.connect(self.dsn, options="-c search_path=pgstac,public", autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def pypgstac(self, *arguments: str) -> None:
        """Run pgstac's own command."""
        command = [str(self.programs / "pypgstac"), *arguments, "--dsn", self.dsn]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, timeout=100)
        assert done.returncode == 0, f"pypgstac {' '.join(arguments)}:\n{done.stdout}{done.stderr}"

    def load(self, table: str, documents: Iterable[dict[str, Any]]) -> None:
        """Insert collections or items, or put them in the place of those with their ids."""
        with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as lines:
            lines.writelines(json.dumps(document) + "\n" for document in documents)
            lines.flush()
            self.pypgstac("load", table, lines.name, "--method", "upsert")

    def declare(self, name: str, schema: dict[str, Any]) -> None:
        """Declare a property as queryable, as the operator of a server does."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"type": "object", "properties": {name: schema}}, file)
            file.flush()
            self.pypgstac("load_queryables", file.name)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [str(self.programs / "uvicorn"), "--factory", "stac_fastapi.pgstac.app:create_app"]
        command += ["--host", "127.0.0.1", "--port", str(self.ports["api"]), "--no-access-log"]
        database = {
            "PGUSER": "postgres",
            "PGPASSWORD": self.passwords["role:postgres"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.ports["postgres"]),
            "PGDATABASE": DATABASE,
        }
        self.processes.start(_SERVER, command, {"LC_ALL": "C.UTF-8", **database}, self.folder)
        self.processes.wait_until(_SERVER, self._answers, seconds=60)

    def stop(self, first_signal: signal.Signals = signal.SIGTERM) -> None:
        self.processes.stop([_SERVER], first_signal)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/conformance", timeout=60).ok
        except requests.RequestException:
            return False


@contextmanager
def running(folder: Path) -> Iterator[PgstacServer]:
    """Run an empty server, whose cluster lies in a folder that is removed before and after."""
    user = server_user()
    programs = _environment(user)
    shutil.rmtree(folder, ignore_errors=True)
    parts = {name: folder / name for name in ("run", "log", "postgres", "server")}
    for part in parts.values():
        part.mkdir(parents=True)
        user.own(part)
    processes = Processes(parts["run"], parts["log"], user)
    cluster = Cluster(parts["postgres"], user, processes)
    passwords = {f"role:{role}": secrets.token_urlsafe(16) for role in DATABASE_ROLES}
    ports = {"postgres": free_port(), "api": free_port()}
    server = PgstacServer(parts["server"], programs, processes, passwords, ports)
    try:
        cluster.start(ports["postgres"], passwords)
        with psycopg.connect(database_url("postgres", passwords, ports["postgres"]), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        server.pypgstac("migrate")
        server.start()
        yield server
    finally:
        server.stop()
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(user: ServerUser) -> Path:
    """Return the programs of the server's Python environment, which is made once and kept in the cache."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    folder = cache_folder() / f"pgstac-server-{digest}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(str(find_python(user)), "-m", "venv", str(folder))
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*pip, "--requirement", str(REQUIREMENTS))
        complete.touch()
    return folder / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022, timeout=600)
    assert done.returncode == 0, f"{' '.join(command[:4])}:\n{done.stderr}"
