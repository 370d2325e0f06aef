"""Files read by Dask workers in the jobs of a real SLURM."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cluster.streamed import FILES, begun, ended, measured, origin, streamed
from tests.conftest import RunningLake

JOB = {"CORES": "1", "MEMORY": "500MB", "WALLTIME": "00:05:00", "JOBS": "2", "WAIT": "60"}


def jobs(slurm: dict[str, str]) -> list[str]:
    """Return the numbers of the jobs that there are."""
    command = ["squeue", "--noheader", "--format=%i"]
    done = subprocess.run(command, env=os.environ | slurm, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()


@pytest.fixture
def environment(slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)  # SLURM leaves the jobs' output where they were submitted
    return (
        slurm
        | {f"STAC_RUCIO_SYNC_DASK__{name}": value for name, value in JOB.items()}
        | {"STAC_RUCIO_SYNC_DASK__SHARED_FOLDER": str(tmp_path)}
    )


def test_a_cancelled_job_costs_time_and_no_file(
    lake: RunningLake, scope: str, tmp_path: Path, slurm: dict[str, str], environment: dict[str, str]
) -> None:
    with origin(0.2) as server:
        trial = streamed(lake, tmp_path, scope, server.url, "--dask", "slurm", **environment)
        process = begun(trial, server, FILES // 3)
        first, _ = sorted(jobs(slurm))
        subprocess.run(["scancel", "--signal=KILL", first], env=os.environ | slurm, check=True, timeout=30)
        code, report = ended(process)
    assert (code, report["added"], report["failed"]) == (0, FILES, 0)
    assert len(measured(lake, scope)) == FILES
    assert jobs(slurm) == []
    assert not list(tmp_path.glob(".dask-jobqueue*")), "the run's keys are still there"


def test_what_slurm_refuses_is_said_at_once(
    lake: RunningLake, scope: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    trial = streamed(
        lake, tmp_path, scope, "http://127.0.0.1:1", "--dask", "slurm", **environment, STAC_RUCIO_SYNC_DASK__QUEUE="no"
    )
    with (tmp_path / "talk").open("wb") as talk:
        assert trial.run(stderr=talk) == (2, {})
    assert "SLURM refuses the job" in (tmp_path / "talk").read_text()
    assert "partition" in (tmp_path / "talk").read_text()
