"""Opt-in: these tests need a Data Butler in an environment of its own, which `make test-butler` brings."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from stac_rucio_sync.lake.environment import find_python
from stac_rucio_sync.lake.home import cache_folder, server_user

OPT_IN = "STAC_RUCIO_SYNC_BUTLER"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_INSTRUMENT = """
import sys
from lsst.daf.butler import Butler
butler = Butler.from_config(Butler.makeRepo(sys.argv[1]), writeable=True)
limits = {"visit_max": 9999, "exposure_max": 9999, "detector_max": 9, "class_name": "lsst.obs.base.Instrument"}
butler.registry.insertDimensionData("instrument", {"name": "HSC", **limits})
for number in range(5):
    butler.registry.insertDimensionData("detector", {"instrument": "HSC", "id": number, "full_name": str(number)})
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies in this folder, with the reason, unless it is asked for."""
    if os.environ.get(OPT_IN) == "1":
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="opt-in: make test-butler"))


@dataclass(frozen=True)
class ButlerRepository:
    """A repository with an instrument of five detectors."""

    place: Path
    programs: Path

    def butler(self, *arguments: str) -> str:
        """Run the Butler's own command; return what it printed."""
        return _run(str(self.programs / "butler"), *arguments)

    def python(self, program: str, *arguments: str) -> str:
        """Run a program where the Butler is installed."""
        return _run(str(self.programs / "python"), "-c", program, *arguments)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The programs of the Butler's Python environment, which is made once and kept in the cache."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    folder = cache_folder() / f"butler-{digest}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(str(find_python(server_user())), "-m", "venv", str(folder))
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*pip, "--requirement", str(REQUIREMENTS))
        complete.touch()
    return folder / "bin"


@pytest.fixture
def repository(programs: Path, tmp_path: Path) -> ButlerRepository:
    """An empty repository with a dataset type of small documents."""
    made = ButlerRepository(tmp_path / "repository", programs)
    made.python(_INSTRUMENT, str(made.place))
    made.butler("register-dataset-type", str(made.place), "notes", "StructuredDataDict", "instrument", "detector")
    return made


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022, timeout=600)
    assert done.returncode == 0, f"{' '.join(command[:4])}:\n{done.stdout}{done.stderr}"
    return done.stdout
