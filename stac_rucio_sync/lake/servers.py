"""How the lake's servers are started, and how one knows that they are ready."""

from __future__ import annotations

import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from stac_rucio_sync.lake.home import LakeHome, LakeState
from stac_rucio_sync.lake.processes import Processes

READY_SECONDS = 90.0
_MEMCACHED_PLACES = "/usr/bin:/usr/local/bin:/bin:/opt/homebrew/bin"


def answers(port: int) -> bool:
    """Tell whether Rucio's server answers a ping."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def listens(port: int) -> bool:
    """Tell whether anything listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def start_memcached(processes: Processes, port: int, folder: Path, say: Callable[[str], None]) -> bool:
    """Start a memcached where there is one; say whether there is."""
    program = shutil.which("memcached", path=_MEMCACHED_PLACES)
    if program is None:
        say("no memcached here: Rucio works without it, more slowly")
        return False
    command = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "128", "-c", "512"]
    processes.start("memcached", command, {"PATH": os.defpath}, folder)
    return True


class Launcher:
    """Starts what runs in the server environment.

    Parameters
    ----------
    home : LakeHome
        The lake's folders.
    environment_folder : Path
        The complete server environment.
    processes : Processes
        The lake's processes.
    """

    def __init__(self, home: LakeHome, environment_folder: Path, processes: Processes) -> None:
        self._home = home
        self._programs = environment_folder / "bin"
        self._processes = processes
        self.environment = {
            "PATH": f"{self._programs}:{os.defpath}",
            "HOME": str(home.server),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(home.server),
            "PYTHONUNBUFFERED": "1",
            "RUCIO_CONFIG": str(home.server / "rucio.cfg"),
        }

    def python(self, script: str) -> list[str]:
        """Return the command that runs one of the guest scripts."""
        return [str(self._programs / "python"), str(self._home.server / "guest" / script)]

    def start_files(self, folders: Mapping[int, Path]) -> None:
        """Start the HTTP server of origin files and of the RSEs' files: one port a folder."""
        environment = {
            **self.environment,
            "LAKE_FOLDERS": json.dumps({str(port): str(folder) for port, folder in folders.items()}),
        }
        command = self._gunicorn("files:application", list(folders), workers=1, threads=16)
        self._processes.start("files", command, environment, self._home.server)

    def start_webdav(self, port: int, shares: Mapping[str, Mapping[str, str | bool]]) -> None:
        """Start the WebDAV server of the RSEs that files are uploaded to, one share each."""
        environment = {**self.environment, "LAKE_SHARES": json.dumps(shares)}
        command = self._gunicorn("webdav:application", [port], workers=1, threads=16)
        self._processes.start("webdav", command, environment, self._home.server)

    def start_rucio(self, state: LakeState) -> None:
        """Start Rucio's REST server.

        Its external metadata plugin keeps one database connection a process, on which the transactions of several
        threads would mix: with it, there are more processes and one thread in each.
        """
        workers, threads = (2, 1) if state.metadata == "postgres" else (1, 8)
        command = self._gunicorn(
            "rucio.web.rest.flaskapi.v1.main:application", [state.ports["rucio"]], workers=workers, threads=threads
        )
        self._processes.start("rucio", command, self.environment, self._home.server)

    def start_daemons(self) -> None:
        """Start the process that runs Rucio's daemons and the transfer agent."""
        status = self._home.server / "daemons.json"
        status.unlink(missing_ok=True)
        environment = {
            **self.environment,
            "LAKE_RSE_FOLDER": str(self._home.rse),
            "LAKE_DAEMONS_STATUS": str(status),
        }
        self._processes.start("daemons", self.python("daemons.py"), environment, self._home.server)

    def wait(self, state: LakeState) -> None:
        """Wait until all of it does its work.

        Raises
        ------
        FatalError
            Something ended, or was not ready in time.
        """
        waits: dict[str, Callable[[], bool]] = {
            "files": lambda: listens(state.ports["origin"]),
            "webdav": lambda: listens(state.ports["webdav"]),
            "rucio": lambda: answers(state.ports["rucio"]),
            "daemons": (self._home.server / "daemons.json").exists,
        }
        for name, ready in waits.items():
            self._processes.wait_until(name, ready, READY_SECONDS)

    def _gunicorn(self, application: str, ports: list[int], workers: int, threads: int) -> list[str]:
        command = [str(self._programs / "gunicorn"), "--workers", str(workers), "--graceful-timeout", "5"]
        command += ["--timeout", "600", "--worker-tmp-dir", "/dev/shm", "--log-level", "warning"]  # noqa: S108 - heartbeat files
        if threads > 1:
            command += ["--worker-class", "gthread", "--threads", str(threads), "--keep-alive", "30"]
        for port in ports:
            command += ["--bind", f"127.0.0.1:{port}"]
        if application.startswith(("files:", "webdav:")):
            command += ["--chdir", str(self._home.server / "guest")]
        return [*command, application]
