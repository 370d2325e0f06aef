"""A real Data Butler takes what an upload leaves: the table of addresses, and the references in Rucio's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.cli import main
from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from tests.butler.conftest import ButlerRepository
from tests.conftest import RunningLake

pytestmark = pytest.mark.timeout(700)
RSE = "VIENNA-LOCALGROUPDISK"
_REFERENCE = """
import sys
from lsst.daf.butler import Butler, DataCoordinate, DatasetRef
butler = Butler.from_config(sys.argv[1], writeable=True, run="u/lake")
data_id = DataCoordinate.standardize(instrument="HSC", detector=int(sys.argv[2]), universe=butler.dimensions)
print(DatasetRef(butler.get_dataset_type("notes"), data_id, run="u/lake").to_json())
"""
_READ = """
import json, sys
from lsst.daf.butler import Butler
butler = Butler.from_config(sys.argv[1], collections=sys.argv[2])
print(json.dumps([butler.get("notes", instrument="HSC", detector=int(one)) for one in sys.argv[3:]]))
"""
_TAKE_IN = """
import sys
from lsst.daf.butler import Butler, DatasetRef, FileDataset
butler = Butler.from_config(sys.argv[1], writeable=True, run="u/lake")
reference = DatasetRef.from_json(sys.argv[2], registry=butler.registry)
butler.ingest(FileDataset(sys.argv[3], reference), transfer="direct")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents of three detectors."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = tmp_path / "raw"
    made.mkdir()
    for detector in (1, 2, 3):
        (made / f"HSC_{detector}.json").write_text(json.dumps({"seeing": detector / 10}))
    return made


def upload(lake: RunningLake, capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as left:
        main(["--home", str(lake.home), "upload", str(folder), "--rse", RSE, "--json", *options])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert not left.value.code, report
    return report


def test_ingest_files_takes_the_table(
    lake: RunningLake, scope: str, folder: Path, repository: ButlerRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(folder.parent / "raw.ecsv")
    options = ["--scope", scope, "--table", table, "--table-template", "{instrument}_{detector:d}.json"]
    report = upload(lake, capsys, folder, *options)
    assert report["table"]["rows"] == 3

    repository.butler("ingest-files", "--transfer", "direct", str(repository.place), "notes", "u/night", table)

    read = repository.python(_READ, str(repository.place), "u/night", "1", "3")
    assert json.loads(read) == [{"seeing": 0.1}, {"seeing": 0.3}]


def test_a_dataset_reference_comes_back_from_rucio_as_the_daemon_reads_it(
    lake: RunningLake, scope: str, folder: Path, repository: ButlerRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = repository.python(_REFERENCE, str(repository.place), "2")
    (folder / "HSC_2.json.json").write_text(reference)
    table = folder.parent / "raw.ecsv"
    upload(lake, capsys, folder, "--scope", scope, "--metadata", "sidecars", "--table", str(table))
    address, instrument, detector = table.read_text().splitlines()[-1].split()
    assert (instrument, detector) == ("HSC", "2")

    rucio = RucioCalls(Rucio(config=Path(lake.facts["accounts"]["ingest"]), account="ingest"))
    said = rucio.send("get_metadata", scope, "raw..HSC_2.json", plugin="JSON")
    rucio.close()

    assert said["rubin_butler"] == "data_product"
    repository.python(_TAKE_IN, str(repository.place), said["rubin_sidecar"], address)
    assert json.loads(repository.python(_READ, str(repository.place), "u/lake", "2")) == [{"seeing": 0.2}]
