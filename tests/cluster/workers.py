"""A Dask cluster of real processes on this machine, whose workers a test kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SECONDS = 100.0


@dataclass
class DaskCluster:
    """A scheduler and its workers."""

    folder: Path
    allowed_failures: int
    """How often a call is tried again whose worker died."""
    keys: tuple[str, ...] = ()
    """Options that name the keys of TLS."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The scheduler file."""
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    @property
    def scheduler(self) -> subprocess.Popen[bytes]:
        return self.processes[0]

    @property
    def workers(self) -> list[subprocess.Popen[bytes]]:
        return self.processes[1:]

    def start_scheduler(self) -> None:
        protocol = ("--protocol", "tls", *self.keys) if self.keys else ()
        options = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(self.file), "--no-show")
        self._start("scheduler", *options, *protocol)
        until = time.monotonic() + _SECONDS
        while not (self.file.exists() and self.file.read_text().endswith("}")):
            assert time.monotonic() < until, "the Dask scheduler does not start"
            assert self.scheduler.poll() is None, "the Dask scheduler has ended"
            time.sleep(0.05)

    def start_worker(self, *, path: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start a worker of two threads, which sees ``path`` before what is installed."""
        options = ("--host", "127.0.0.1", "--nthreads", "2", "--no-nanny", "--local-directory", str(self.folder))
        found = ("--scheduler-file", str(self.file), "--no-dashboard", *self.keys)
        return self._start("worker", *found, *options, path=path)

    def _start(self, *arguments: str, path: Path = ROOT) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{path}{os.pathsep}{ROOT}",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(self.allowed_failures),
        }
        with (self.folder / "cluster.log").open("ab") as log:
            command = [sys.executable, "-m", "dask", *arguments]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def dask_cluster(
    folder: Path, workers: int = 2, allowed_failures: int = 3, keys: tuple[str, ...] = ()
) -> Iterator[DaskCluster]:
    """Run a scheduler and workers of two threads each; none is started again when it dies."""
    cluster = DaskCluster(folder, allowed_failures, keys)
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.stop()
