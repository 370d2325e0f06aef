"""Uploads that are killed, or whose servers die, end with the same command in the state of an undisturbed one."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from tests.conftest import RunningLake
from tests.faults.uploads import (
    RSE,
    State,
    UploadTrial,
    assert_same,
    assert_whole,
    ended,
    make_files,
    server_down,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

FIRST_SEED = int(os.environ.get("STAC_RUCIO_SYNC_FAULT_SEED", random.SystemRandom().randrange(10**6)))
"""Printed with every trial: to repeat a failure, name it here."""
SMALL, LARGE = 500, 2
KILLS = 30
KILLS_A_TRIAL = 3
ROUTES: dict[str, tuple[str, ...]] = {"copying": (), "register-after": ("--register-after",)}
_START = 1.0
"""Seconds in which a process does nothing yet that could be cut off."""


@dataclass(frozen=True)
class Undisturbed:
    """An undisturbed upload."""

    seconds: float
    state: State


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that all trials upload."""
    return make_files(tmp_path_factory.mktemp("upload") / "raw", SMALL, LARGE)


@pytest.fixture(scope="session")
def undisturbed(lake: RunningLake, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Upload once, and look whether everything arrived."""
    trial = UploadTrial(lake, source, tmp_path_factory.mktemp("undisturbed"))
    started = time.monotonic()
    code, report = trial.run()
    seconds = time.monotonic() - started
    assert (code, report["files"], report["uploaded"]) == (0, SMALL + LARGE, SMALL + LARGE), report
    state = trial.state()
    assert_whole(trial, state)
    print(f"undisturbed: {seconds:.1f} s")
    return Undisturbed(seconds, state)


@pytest.fixture
def make_trial(lake: RunningLake, source: Path, tmp_path: Path) -> Callable[..., UploadTrial]:
    """Return a maker of trials in scopes of their own."""

    def make(*options: str, **more: Any) -> UploadTrial:
        return UploadTrial(lake, source, tmp_path, options, **more)

    return make


def assert_resumed(trial: UploadTrial, undisturbed: Undisturbed) -> None:
    """Give the same command again, and compare what came of it all with an undisturbed upload."""
    code, report = trial.run()
    assert (code, report["uploaded"] + report["present"]) == (0, SMALL + LARGE), report
    state = trial.state()
    assert_whole(trial, state)
    assert_same(state, undisturbed.state)


# ----------------------------------------------------------------------------------------------------------- the client


@pytest.mark.parametrize("number", range(KILLS // KILLS_A_TRIAL))
def test_an_upload_killed_three_times_ends_as_an_undisturbed_one(
    make_trial: Callable[..., UploadTrial], undisturbed: Undisturbed, number: int
) -> None:
    seed = FIRST_SEED + number
    route = list(ROUTES)[number % len(ROUTES)]
    print(f"STAC_RUCIO_SYNC_FAULT_SEED={seed} {route}")
    trial = make_trial(*ROUTES[route], "--workers", str(number % 4 + 1), "--batch-size", "100")
    moments = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    latest = _START + 0.3 * (undisturbed.seconds - _START)
    for _ in range(KILLS_A_TRIAL):
        assert trial.killed_after(moments.uniform(_START, latest)), "it had ended before it was to be killed"
    print(f"{len(list(trial.storage.rglob('*.fits')))} files, "
          f"{len(list(trial.storage.rglob('*.rucio.upload')))} unfinished after the last kill")  # fmt: skip
    assert_resumed(trial, undisturbed)


@pytest.mark.parametrize("route", ROUTES)
def test_an_upload_killed_within_a_large_file_begins_it_anew(
    make_trial: Callable[..., UploadTrial], undisturbed: Undisturbed, route: str
) -> None:
    trial = make_trial(*ROUTES[route])
    with trial.start() as process:
        wait_until(lambda: any(_begun(trial)), "a large file is begun")
        process.kill()
    sizes = [file.stat().st_size for file in _begun(trial)]
    print(f"unfinished: {sizes} bytes")
    assert_resumed(trial, undisturbed)


def _begun(trial: UploadTrial) -> Iterator[Path]:
    """Yield large files of which some bytes are in the storage, under the name of unfinished ones."""
    return (file for file in trial.storage.rglob("*large*.rucio.upload") if _size(file) > 0)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it got its true name
        return 0


# ---------------------------------------------------------------------------------------------------------- the servers


def test_a_dead_storage_server_is_gone_round_by_the_next_protocol(
    lake: RunningLake, make_trial: Callable[..., UploadTrial], undisturbed: Undisturbed
) -> None:
    trial = make_trial("--batch-size", "100")
    with trial.start() as process:
        wait_until(lambda: stored(trial) > SMALL // 5, "some files are there")
        with server_down(lake, "webdav"):
            code, report = ended(process)
    assert (code, report["uploaded"]) == (0, SMALL + LARGE), report
    assert sum(report["remarks"].values()) > SMALL // 3, "whoever reads the report learns that a protocol is down"
    state = trial.state()
    assert_whole(trial, state)
    assert_same(state, undisturbed.state)


def test_the_only_storage_server_is_started_again_and_costs_no_file(
    lake: RunningLake, make_trial: Callable[..., UploadTrial], webdav_only: str
) -> None:
    trial = make_trial("--batch-size", "100", rse=webdav_only)
    with trial.start() as process:
        wait_until(lambda: stored(trial) > SMALL // 5, "some files are there")
        with server_down(lake, "webdav"):
            time.sleep(5)  # more than one request is sent again for by itself
        code, report = ended(process)
    assert (code, report["uploaded"], report["failed"]) == (0, SMALL + LARGE, 0), report
    assert report["sent_again"] > 0
    assert_whole(trial, trial.state())


@pytest.mark.parametrize("route", ROUTES)
def test_the_only_storage_server_dies_and_comes_back(
    lake: RunningLake, make_trial: Callable[..., UploadTrial], webdav_only: str, route: str
) -> None:
    trial = make_trial("--batch-size", "100", *ROUTES[route], rse=webdav_only)
    with trial.start() as process:
        wait_until(lambda: stored(trial) > SMALL // 5, "some files are there")
        with server_down(lake, "webdav"):
            code, report = ended(process)
    assert code in (1, 3), report
    assert report["failed"] > 0
    assert report["uploaded"] < SMALL
    print(f"while it was down: exit code {code}, {report['uploaded']} uploaded, {report['failed']} failed")
    code, report = trial.run()
    assert (code, report["uploaded"] + report["present"]) == (0, SMALL + LARGE), report
    assert_whole(trial, trial.state())


@pytest.fixture
def webdav_only(lake: RunningLake) -> str:
    """An RSE on the lake's folder for uploads that is written by WebDAV and by nothing else."""
    with closing(RucioCalls(Rucio(config=Path(lake.facts["accounts"]["root"]), account="root"))) as root:
        name = f"T{time.time_ns()}-LOCALGROUPDISK"
        root.send("add_rse", name, deterministic=True)
        for key, value in root.send("list_rse_attributes", RSE).items():
            if key not in (RSE, "site"):
                root.send("add_rse_attribute", name, key, value)
        (http,) = (one for one in root.send("get_rse", RSE)["protocols"] if one["scheme"] == "http")
        root.send("add_protocol", name, http)
        root.send("set_local_account_limit", "ingest", name, 10**12)
    return name


@pytest.mark.parametrize("route", ROUTES)
def test_rucio_dies_and_comes_back_while_it_is_asked_again(
    lake: RunningLake, make_trial: Callable[..., UploadTrial], undisturbed: Undisturbed, route: str
) -> None:
    trial = make_trial("--batch-size", "100", *ROUTES[route])
    with trial.start() as process:
        wait_until(lambda: stored(trial) > SMALL // 5, "some files are there")
        with server_down(lake, "rucio"):
            time.sleep(2)
        code, report = ended(process)
    assert (code, report["uploaded"] + report["present"]) == (0, SMALL + LARGE), report
    state = trial.state()
    assert_whole(trial, state)
    assert_same(state, undisturbed.state)


@pytest.mark.parametrize("route", ROUTES)
def test_rucio_dies_and_stays_away_until_the_same_command_is_given_again(
    lake: RunningLake, make_trial: Callable[..., UploadTrial], undisturbed: Undisturbed, route: str
) -> None:
    trial = make_trial("--batch-size", "100", *ROUTES[route], environment={"STAC_RUCIO_SYNC_RUCIO__ATTEMPTS": "2"})
    with trial.start() as process:
        wait_until(lambda: stored(trial) > SMALL // 5, "some files are there")
        with server_down(lake, "rucio"):
            code, report = ended(process)
    assert (code, "error" in report) == (3, True), report
    assert report["uploaded"] < SMALL
    assert_resumed(trial, undisturbed)


def stored(trial: UploadTrial) -> int:
    """Return how many files of a trial have come to their places."""
    return sum(1 for _ in trial.storage.rglob("*.fits"))


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, f"{what}: not within a minute"
        time.sleep(0.005)
