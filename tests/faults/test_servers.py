"""Servers that restart, refuse, hang or drop calls cost time and nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunningLake
from tests.faults.conftest import Reference
from tests.faults.harness import Trial, assert_same, broken, ended, restart_postgres, wait_until_committed
from tests.stumbling import HANG_SECONDS, stumbling

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_postgresql_restarted_in_the_middle(
    lake: RunningLake, make_trial: Callable[..., Trial], reference: Reference
) -> None:
    trial = make_trial()
    with trial.start() as process:
        for part in (0.25, 0.6):
            wait_until_committed(trial, round(part * trial.count))
            assert process.poll() is None, "the run ended before the restart"
            restart_postgres(lake)
        code, report = ended(process)
    assert (code, report["quarantined"], report["failed"]) == (1, broken(trial.count), 0), report
    assert_same(trial.snapshot(), reference.state)


@pytest.mark.parametrize("stumble", ["503", "hang", "drop"])
def test_one_call_in_ten_to_rucio_goes_wrong(
    lake: RunningLake, make_trial: Callable[..., Trial], reference: Reference, tmp_path: Path, stumble: str
) -> None:
    chance = random.Random(stumble)  # noqa: S311 - to be repeated, not to be secret
    with stumbling(lake, tmp_path, lambda _: stumble if chance.random() < 0.1 else None) as (config, proxy):
        trial = make_trial(
            environment={
                "STAC_RUCIO_SYNC_RUCIO__CONFIG": str(config),
                "STAC_RUCIO_SYNC_RUCIO__TIMEOUT": str(HANG_SECONDS / 2),
                "XDG_CACHE_HOME": str(tmp_path),
            }
        )
        started = time.monotonic()
        code, report = trial.run()
        print(f"{stumble}: {proxy.stumbled} of {proxy.stumbled + proxy.passed} calls, "
              f"{time.monotonic() - started:.1f} s against {reference.seconds:.1f} s")  # fmt: skip
    assert proxy.stumbled >= 10
    assert (code, report["quarantined"], report["failed"]) == (1, broken(trial.count), 0), report
    assert_same(trial.snapshot(), reference.state)
