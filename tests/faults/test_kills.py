"""Killed with ``kill -9`` at random moments and resumed, a sync ends in the state of an undisturbed one."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Reference
from tests.faults.harness import Trial, assert_same

FIRST_SEED = int(os.environ.get("STAC_RUCIO_SYNC_FAULT_SEED", random.SystemRandom().randrange(10**6)))
"""Printed with every trial: to repeat a failure, name it here."""
TRIALS = 10


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(TRIALS))
def test_a_sync_killed_three_times_ends_as_an_undisturbed_one(
    make_trial: Callable[..., Trial], reference: Reference, number: int
) -> None:
    seed = FIRST_SEED + number
    print(f"STAC_RUCIO_SYNC_FAULT_SEED={seed}")
    trial = make_trial(workers=number % 3 + 1)
    started = time.monotonic()
    hit = trial.killed_thrice(seed, reference.seconds)
    print(f"{time.monotonic() - started:.1f} s")
    assert hit == 3
    assert_same(trial.snapshot(), reference.state)
