"""Opt-in: these tests need SLURM, which `make test-slurm` brings; they run one of their own, of one node."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.homes import session_home

OPT_IN = "STAC_RUCIO_SYNC_SLURM"
_SECONDS = 30.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies in this folder, with the reason, unless it is asked for."""
    if os.environ.get(OPT_IN) == "1":
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="opt-in: make test-slurm"))


def _configured(folder: Path, ports: tuple[int, int]) -> str:
    """Return a configuration of one node, with authentication of its own and without control groups."""
    return f"""
ClusterName=test
SlurmctldHost={socket.gethostname()}(127.0.0.1)
SlurmUser={getpass.getuser()}
SlurmdUser={getpass.getuser()}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={socket.gethostname()} NodeAddr=127.0.0.1 CPUs={max(2, os.cpu_count() or 2)} RealMemory=2000 State=UNKNOWN
PartitionName=short Nodes=ALL Default=YES MaxTime=01:00:00 State=UP
"""


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """A SLURM of one node: the environment in which its commands find it."""
    folder = session_home().with_name(f"{session_home().name}-slurm")
    shutil.rmtree(folder, ignore_errors=True)
    for part in (folder, folder / "state", folder / "spool"):
        part.mkdir(mode=0o755, parents=True)
    (folder / "slurm.conf").write_text(_configured(folder, _free_ports()))
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(256))
    files = {"key": key, "socket": folder / "munge.socket", "pid": folder / "munge.pid", "seed": folder / "munge.seed"}
    options = [f"--{name}-file={path}" if name != "socket" else f"--socket={path}" for name, path in files.items()]
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    running: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{command[0]}.out").open("wb") as log:
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    try:
        start("munged", "--foreground", "--force", f"--log-file={folder}/munge.log", *options)
        _wait_for(files["socket"].exists, "munged")
        start("slurmctld", "-D")
        start("slurmd", "-D")
        _wait_for(lambda: "idle" in _asked(environment, "sinfo", "--noheader"), "slurmd")
        yield {"SLURM_CONF": environment["SLURM_CONF"]}
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(_SECONDS)


def _wait_for(ready: Any, name: str) -> None:
    until = time.monotonic() + _SECONDS
    while not ready():
        assert time.monotonic() < until, f"{name} does not start"
        time.sleep(0.1)


def _asked(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS)
    return done.stdout
