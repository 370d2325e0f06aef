"""An upload killed where it hurts most goes on with the same command; `make test-faults` has random kills and more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import RunningLake
from tests.faults.uploads import UploadTrial, assert_whole, make_files

COUNT = 40
_UPLOADS = "stac_rucio_sync.stores.rucio.uploads.RucioUploads"
_WEBDAV = "rucio.rse.protocols.webdav.Default"


@pytest.mark.parametrize(
    ("options", "places"),
    [
        # Registered and nothing sent; sent and not renamed; available and not attached.
        ((), [(f"{_UPLOADS}.register", 2), (f"{_WEBDAV}.put", 7), (f"{_UPLOADS}.make_available", 1)]),
        # Half sent under its own name; sent and not registered; registered and not attached.
        pytest.param(
            ("--register-after",),
            [(f"{_WEBDAV}.put", 9), (f"{_WEBDAV}.rename", 15), (f"{_UPLOADS}.register", 1)],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["copying", "register-after"],
)
def test_an_upload_killed_three_times_ends_as_if_it_had_not_been(
    lake: RunningLake, tmp_path: Path, options: tuple[str, ...], places: list[tuple[str, int]]
) -> None:
    source = make_files(tmp_path / "raw", COUNT)
    trial = UploadTrial(lake, source, tmp_path, ("--batch-size", "20", *options))
    for place, call in places:
        assert trial.killed_at(place, call), f"{place} was not called {call} times: {trial.printed.read_text()}"
    arrived = at_their_places(trial)
    code, report = trial.run()
    assert (code, report["files"], report["uploaded"] + report["present"]) == (0, COUNT, COUNT), report
    assert_whole(trial, trial.state())
    assert arrived.items() <= at_their_places(trial).items(), "what had arrived was sent again"


def at_their_places(trial: UploadTrial) -> dict[Path, tuple[int, int]]:
    """Return the files that have come to their places, each with what tells it from a later one."""
    found = ((file, file.stat()) for file in trial.storage.rglob("*.fits"))
    return {file: (status.st_ino, status.st_mtime_ns) for file, status in found}
