"""The demonstration notebook, executed cell by cell: search, replicas, rule, annotated search, download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.replication.states import State
from tests.e2e.archive import SCOPE, Archive
from tests.e2e.notebooks import executed

COLLECTION = "vo-scenes"


def test_the_notebook_runs_against_a_lake(
    archive: Archive,
    archive_api: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    variables = {
        "STAC_API": archive_api,
        "STAC_COLLECTION": COLLECTION,
        "ARCHIVE": archive.url,
        "COPIES": str(tmp_path / "copies"),
        "STAC_RUCIO_SYNC_LAKE_HOME": str(archive.lake.home),
        "STAC_RUCIO_SYNC_IDENTITY__SCOPE": SCOPE,
        "STAC_RUCIO_SYNC_RUCIO__CONFIG": archive.lake.facts["accounts"]["alice"],
        "STAC_RUCIO_SYNC_RUCIO__ACCOUNT": "alice",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    names = executed("nearest_copy.ipynb")

    assert len(names["items"]) == 3
    assert names["before"].count(State.COMPLETE) == 0
    assert names["survey"].complete
    assert len(names["request"].rules) == 3
    for item in names["annotated"]:
        data = next(asset for asset in item.assets.values() if "data" in (asset.roles or []))
        assert next(iter(data.extra_fields["alternate"])) == "SYDNEY-DISK"
    assert {line.rse for line in names["fetched"].lines} == {"SYDNEY-DISK"}
    assert [path.read_bytes() for path in names["fetched"].paths] == [
        original(archive, item, line.asset)
        for line in names["fetched"].lines
        for item in archive.items
        if (item["collection"], item["id"]) == line.item
    ]
    assert len(names["spectra"]) == 3
    assert all(got.path is not None for got in names["spectra"])
    assert "SYDNEY-DISK" in capsys.readouterr().out


def original(archive: Archive, item: dict[str, Any], asset: str) -> bytes:
    facts = archive.lake.facts
    href: str = item["assets"][asset]["href"]
    return (Path(facts["origin_dir"]) / href.removeprefix(facts["origin_url"] + "/")).read_bytes()
