"""What every trial of a session is compared with."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningLake
from tests.faults.harness import Snapshot, Trial, broken

COUNT = 2000
WORKERS = 2


@dataclass(frozen=True)
class Reference:
    """An undisturbed run."""

    seconds: float
    state: Snapshot


@pytest.fixture(scope="session")
def reference(lake: RunningLake, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Sync as many items as the trials have, undisturbed."""
    trial = Trial(lake, tmp_path_factory.mktemp("reference"), _scope(), COUNT, workers=WORKERS)
    started = time.monotonic()
    code, report = trial.run()
    seconds = time.monotonic() - started
    assert (code, report["quarantined"], report["complete"]) == (1, broken(COUNT), True), report
    assert report["failed"] == 0
    state = trial.snapshot()
    assert len(state["lake.item"]) == len(state["lake.obscore"]) == COUNT - broken(COUNT)
    assert len(state["dev.replicas"]) == len(state["lake.replica"]) >= COUNT - broken(COUNT)
    print(f"undisturbed: {seconds:.1f} s")
    return Reference(seconds, state)


@pytest.fixture
def make_trial(lake: RunningLake, tmp_path: Path) -> Callable[..., Trial]:
    """Return a maker of trials in fresh scopes."""

    def make(count: int = COUNT, **options: Any) -> Trial:
        return Trial(lake, tmp_path, _scope(), count, **{"workers": WORKERS} | options)

    return make


def _scope() -> str:
    return "t" + uuid.uuid4().hex[:12]
