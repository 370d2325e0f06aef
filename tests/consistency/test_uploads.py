"""An upload that was killed, the audit that finds what it left, and the same upload going on after a repair."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stac_rucio_sync.stores.rucio.calls import RucioCalls
from tests.conftest import RunningLake
from tests.consistency.planted import NOW, Planted
from tests.faults.uploads import RSE, UploadTrial, assert_whole, make_files

COUNT = 30
_UPLOADS = "stac_rucio_sync.stores.rucio.uploads.RucioUploads"
_WEBDAV = "rucio.rse.protocols.webdav.Default"


@pytest.mark.parametrize(
    ("place", "call", "left"),
    [
        (f"{_WEBDAV}.put", 7, {"withdraw it", "delete the file"}),
        (f"{_UPLOADS}.make_available", 1, {"make it available"}),
    ],
    ids=["in the middle", "when all is sent"],
)
def test_an_upload_goes_on_after_an_audit_mended_what_it_left(
    lake: RunningLake, root: RucioCalls, tmp_path: Path, place: str, call: int, left: set[str]
) -> None:
    trial = UploadTrial(lake, make_files(tmp_path / "raw", COUNT), tmp_path, ("--batch-size", "20"))
    planted = Planted(lake, root, RSE, trial.scope)
    assert trial.killed_at(place, call)
    time.sleep(1.1)

    result = planted.audit("--scope", trial.scope, *NOW)
    assert {wanted for wanted in left if f"repair: {wanted}" in result.stdout} == left, result.stdout
    told, report = planted.found(*NOW, "--repair")
    assert told
    assert report["remaining"] == 0
    assert planted.found(*NOW, "--checksums", "all")[0] == {}

    code, summary = trial.run()
    assert (code, summary["uploaded"] + summary["present"]) == (0, COUNT), summary
    assert_whole(trial, trial.state())
    told, report = planted.found(*NOW, "--checksums", "all")
    assert told == {}
    assert report["counts"] == {"same": COUNT, "known": COUNT}
