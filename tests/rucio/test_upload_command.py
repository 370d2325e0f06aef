"""The command ``upload`` as operators and scripts use it: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.conftest import RunningLake
from tests.rucio.uploading import RSE


def run(
    lake: RunningLake, folder: Path, *arguments: str, account: str = "alice", timeout: float = 100
) -> tuple[int, dict[str, Any] | None, str]:
    """Run the command; return its exit code, its report, and what it said on stderr."""
    environment = os.environ | {
        "STAC_RUCIO_SYNC_LAKE_HOME": str(lake.home),
        "STAC_RUCIO_SYNC_RUCIO__CONFIG": lake.facts["accounts"][account],
        "STAC_RUCIO_SYNC_RUCIO__ACCOUNT": account,
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = [str(Path(sys.executable).with_name("stac-rucio-sync")), "upload", *arguments]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else None, ended.stderr


def test_the_command_uploads_to_the_accounts_own_scope_and_says_so(lake: RunningLake, tmp_path: Path) -> None:
    night = tmp_path / f"night-{uuid.uuid4().hex}"
    night.mkdir()
    (night / "a b.fits").write_bytes(b"1")
    (night / "notes.txt").write_bytes(b"2")
    code, report, said = run(lake, tmp_path, night.name, "--rse", RSE, "--include", "*.fits", "--json")
    assert (code, said) == (0, "")
    assert report is not None
    assert (report["scope"], report["files"], report["uploaded"], report["failed"]) == ("user.alice", 1, 1, 0)

    code, report, said = run(lake, tmp_path, night.name, "--rse", RSE)
    assert (code, report) == (0, None)
    assert "2 files, 2 bytes (1 uploaded, 1 present)" in said

    (night / "a b.fits").write_bytes(b"other bytes")
    code, report, said = run(lake, tmp_path, night.name, "--rse", RSE)
    assert (code, report) == (1, None)
    assert "a b.fits: conflict: " in said


def test_a_scope_that_was_made_is_told_for_it_may_be_a_typing_error(lake: RunningLake, tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"1")
    scope = f"s{uuid.uuid4().hex[:12]}"
    for remarks in ({f"there was no scope {scope} in Rucio: it was made": 1}, {}):
        code, report, _ = run(lake, tmp_path, "a.fits", "--rse", RSE, "--scope", scope, "--json", account="ingest")
        assert code == 0
        assert report is not None
        assert report["remarks"] == remarks


def test_mistakes_end_with_2_and_name_the_way_out(lake: RunningLake, tmp_path: Path) -> None:
    code, _, said = run(lake, tmp_path, "nothing-here", "--rse", RSE)
    assert (code, said.splitlines()[-1]) == (2, "error: nothing-here does not exist")
    code, _, said = run(lake, tmp_path, ".", "--rse", RSE, "--name-template", "{number}")
    assert code == 2
    assert "path, folder, name, stem, suffix" in said
