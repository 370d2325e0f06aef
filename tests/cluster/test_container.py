"""The definition of the container for HPC sites: what can be said of it without building it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "deploy" / "apptainer" / "stac-rucio-sync.def"
KNOWN = {"arguments", "setup", "files", "environment", "post", "runscript", "startscript", "test", "labels", "help"}
"""Sections of a definition file, by Apptainer's manual (those of SCIF apps left out)."""


def sections() -> dict[str, str]:
    """Return the text of each section by its name."""
    parts = re.split(r"^%(\w+)[^\S\n]*\n", DEFINITION.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def copied() -> dict[str, str]:
    """Return what is copied into the image, by its path in the checkout."""
    return dict(line.split() for line in sections()["files"].splitlines() if line.strip())


def test_the_header_says_what_it_starts_from() -> None:
    header = DEFINITION.read_text().split("%", maxsplit=1)[0]
    keys = dict(line.split(": ", 1) for line in header.splitlines() if line and not line.startswith("#"))
    assert keys["Bootstrap"] == "docker"
    version = re.fullmatch(r"python:3\.(\d+)-slim-bookworm", keys["From"])
    assert version is not None
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert int(version[1]) >= int(wanted.removeprefix(">=3."))


def test_its_sections_are_known_and_its_scripts_are_shell() -> None:
    assert set(sections()) <= KNOWN
    for name in ("post", "environment", "runscript", "test"):
        done = subprocess.run(["sh", "-n"], input=sections()[name], text=True, capture_output=True, check=False)
        assert done.returncode == 0, (name, done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the package that is built of nothing but what the definition copies."""
    folder = tmp_path_factory.mktemp("copied")
    for path in copied():
        source, target = ROOT / path, folder / path
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=200)
    (built,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_what_it_copies_makes_the_package(wheel: set[str]) -> None:
    assert {str(Path(target).relative_to("/opt/stac-rucio-sync")) for target in copied().values()} == set(copied())
    packages = ("stac_rucio_sync", "obscore_tap", "datalink", "rucio_policy")
    tracked = subprocess.run(
        ["git", "ls-files", *packages], cwd=ROOT, capture_output=True, text=True, check=True, timeout=200
    ).stdout.split()
    assert set(tracked) <= wheel
    assert any(name.startswith("stac_rucio_sync/sql/") for name in wheel)


def test_what_it_installs_and_runs_is_there(wheel: set[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"'/opt/stac-rucio-sync\[([\w,]+)\]'", sections()["post"])
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
    assert shlex.split(sections()["runscript"]) == ["exec", "stac-rucio-sync", "$@"]
    assert "stac-rucio-sync" in project["scripts"]
    assert any(name.endswith("entry_points.txt") for name in wheel)
    # What the image tries of itself works here, too.
    scripts = Path(sys.executable).parent
    subprocess.run(
        ["sh", "-c", sections()["test"]],
        env={"PATH": f"{scripts}:/usr/bin:/bin"}, capture_output=True, check=True, timeout=200,
    )  # fmt: skip
