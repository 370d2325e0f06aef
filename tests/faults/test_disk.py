"""A disk that is full ends a run with a clear sentence, or is done without; nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningLake
from tests.faults.conftest import Reference
from tests.faults.harness import Trial, assert_same, broken

COUNT = 200
SMALL_CACHE = "import stac_rucio_sync.seen as seen; seen._CACHE_KIB = 1"
"""SQLite spills its table after a few items instead of after a few hundred thousand."""


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of its own that has no room left."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here (root is needed): {mounted.stderr.strip()}")
    try:
        with pytest.raises(OSError, match="No space left"):
            (folder / "filling").write_bytes(bytes(2**20))
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.faults
def test_no_room_for_what_the_run_has_met(
    make_trial: Callable[..., Trial], reference: Reference, full_disk: Path, tmp_path: Path
) -> None:
    trial = make_trial(preface=SMALL_CACHE, environment={"SQLITE_TMPDIR": str(full_disk)})
    with (tmp_path / "talk").open("w+b") as talk:
        code, report = trial.run(stderr=talk)
        talk.seek(0)
        told = talk.read().decode()
    assert code == 3
    assert "cannot be kept on disk: database or disk is full" in report["error"]
    assert "SQLITE_TMPDIR" in told
    assert 0 < report["added"] <= len(trial.snapshot()["lake.item"]) < trial.count

    trial.environment, trial.preface = {}, ""
    code, report = trial.run()
    assert (code, report["quarantined"]) == (1, broken(trial.count))
    assert report["unchanged"] > 0
    assert_same(trial.snapshot(), reference.state)


def test_no_room_for_the_token_and_the_talk(
    lake: RunningLake, make_trial: Callable[..., Trial], full_disk: Path, tmp_path: Path
) -> None:
    config = tmp_path / "rucio.cfg"
    lines = Path(lake.facts["accounts"]["ingest"]).read_text().splitlines()
    config.write_text("\n".join(line for line in lines if not line.startswith("auth_token_file_path")) + "\n")
    trial = make_trial(COUNT, batch_items=20)
    trial.environment = {"STAC_RUCIO_SYNC_RUCIO__CONFIG": str(config), "XDG_CACHE_HOME": str(full_disk)}
    with Path("/dev/full").open("wb") as full:
        code, report = trial.run(stderr=full)
    assert (code, report["read"], report["quarantined"]) == (1, COUNT + COUNT // 40, broken(COUNT))
    assert report["complete"]


def test_no_room_for_the_report(make_trial: Callable[..., Trial], tmp_path: Path) -> None:
    trial = make_trial(COUNT, batch_items=20)
    with Path("/dev/full").open("wb") as full, (tmp_path / "talk").open("w+b") as talk:
        with trial.start(stdout=full, stderr=talk) as process:
            process.wait(120)
        talk.seek(0)
        told = talk.read().decode()
    assert process.returncode == 3
    assert "No space left on device" in told
    assert "Traceback" not in told
    code, report = trial.run()
    assert (code, report["added"]) == (1, 0)
