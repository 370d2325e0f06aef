"""What RSEs say of themselves, all at once or one by one: the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.topology import RucioTopology
from tests.conftest import RunningLake
from tests.stumbling import stumbling

WAY = ("VIENNA-DISK", "SYDNEY-DISK")


@pytest.mark.parametrize("stumble", ["503", "500", "lost"])
def test_an_export_that_does_not_come_is_done_without(
    lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stumble: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = [stumble] * 2  # Rucio's client sends again what 503 was answered to

    def stumbles(request: bytes) -> str | None:
        return left.pop() if left and request.startswith(b"GET /export") else None

    with stumbling(lake, tmp_path, stumbles) as (config, _):
        calls = RucioCalls(Rucio(config=config))
        topology = RucioTopology(calls)
        assert topology.exported() is None
        listed = topology.listed()
        one_by_one = topology.described([listed["VIENNA-DISK"]]), topology.distances([WAY])
        left.clear()
        exported = topology.exported()
        calls.close()
    assert exported is not None, "it was not denied"
    assert one_by_one == (
        {"VIENNA-DISK": exported.rses["VIENNA-DISK"]},
        {WAY: exported.distances[WAY]},
    )
