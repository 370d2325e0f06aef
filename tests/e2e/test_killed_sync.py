"""A sync that is killed leaves work to redo, never to repair; `make test-faults` shows it on a larger scale."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from tests.conftest import RunningLake
from tests.faults.harness import Trial, assert_same

COUNT = 120


def test_a_sync_killed_three_times_ends_as_an_undisturbed_one(lake: RunningLake, tmp_path: Path) -> None:
    reference = Trial(lake, tmp_path, "t" + uuid.uuid4().hex[:12], COUNT, batch_items=20)
    started = time.monotonic()
    code, report = reference.run()
    whole = time.monotonic() - started
    assert (code, report["quarantined"], report["complete"]) == (1, 2, True)

    trial = Trial(lake, tmp_path, "t" + uuid.uuid4().hex[:12], COUNT, workers=2, batch_items=20)
    assert trial.killed_thrice(seed=1, whole=whole) == 3
    assert_same(trial.snapshot(), reference.snapshot())
