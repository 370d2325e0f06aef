"""Ctrl-C ends a run within seconds, with its report so far; a second one ends it at once."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunningLake
from tests.faults.harness import LONGEST_WAIT, Trial, committed, ended, wait_until_committed
from tests.stumbling import stumbling

pytestmark = pytest.mark.faults

COUNT = 1000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_tells_its_report_and_leaves_the_source_free(
    make_trial: Callable[..., Trial], number: signal.Signals
) -> None:
    trial = make_trial(COUNT, batch_items=50)
    with trial.start() as process:
        wait_until_committed(trial, 1)
        process.send_signal(number)
        began = time.monotonic()
        code, report = ended(process)
    assert time.monotonic() - began < 8
    assert (code, report["error"]) == (130, "stopped")
    assert 0 < report["added"] < COUNT
    assert len(trial.snapshot()["lake.item"]) >= report["added"]
    before = committed(trial)
    with trial.start() as process:  # the lock is free
        wait_until_committed(trial, before + 1)
        process.send_signal(number)
        _, again = ended(process)
    assert again["unchanged"] >= report["added"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_that_waits_for_a_server_stops_too(
    lake: RunningLake, make_trial: Callable[..., Trial], tmp_path: Path, times: int
) -> None:
    hang, hung = threading.Event(), threading.Event()

    def hangs(_: bytes) -> str | None:
        if hang.is_set():
            hung.set()
            return "hang"
        return None

    with stumbling(lake, tmp_path, hangs) as (config, _):
        trial = make_trial(COUNT, batch_items=50)
        trial.environment = {"STAC_RUCIO_SYNC_RUCIO__CONFIG": str(config), "XDG_CACHE_HOME": str(tmp_path)}
        with trial.start(stderr=subprocess.DEVNULL) as process:
            wait_until_committed(trial, 1)
            hang.set()
            assert hung.wait(LONGEST_WAIT)
            stopped = time.monotonic()
            process.send_signal(signal.SIGINT)
            if times == 2:
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
            code, report = ended(process)
    assert code == 130
    if times == 1:
        assert time.monotonic() - stopped < 8
        assert report["error"] == "stopped"
        assert any("not counted" in remark for remark in report["remarks"])
    else:
        assert time.monotonic() - stopped < 2
        assert report == {}
