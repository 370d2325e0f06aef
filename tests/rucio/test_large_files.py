"""Large files of the catalogue that lie in the lake: a clone of it fetches them from there, by Git LFS."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.catalog.clones import clone as make_clone
from stac_rucio_sync.catalog.lake_files import put_lake_file
from stac_rucio_sync.catalog.paths import folder_of
from stac_rucio_sync.catalog.pointers import pointer_in
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.model import Did
from stac_rucio_sync.replication.choice import Choice
from stac_rucio_sync.replication.large_files import LargeFiles
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX
from tests.catalog import examples
from tests.rucio.searched import SYDNEY, VIENNA, Searched

IMAGE = Choice(assets=frozenset({"image"}))
LOST = "0" * 64


@pytest.fixture(scope="module")
def searched(lake: Any, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """An item whose image lies in Vienna and Sydney alone, with other bytes in Sydney."""
    searched = Searched(lake, "t" + uuid.uuid4().hex[:12], tmp_path_factory.mktemp("searched"))
    item = searched.item("m31")
    searched.register(item)
    searched.replicate(item, rse=f"{VIENNA}|{SYDNEY}", choice=IMAGE, wish={"copies": 2})
    for rse in (VIENNA, SYDNEY):
        searched.states(item, rse=rse, wait=60, choice=IMAGE)
    return searched


@pytest.fixture
def repository(searched: Searched, tmp_path: Path) -> Path:
    """A catalogue whose item has that image as a large file, and one that Rucio has never heard of."""
    content = searched.at_origin("m31", "image").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    place = tmp_path / "repository"
    with Repository.create(place, identifier="archive") as made, transaction(made) as changes:
        image = put_lake_file(
            changes, Did(searched.scope, "images..m31..image.bin"), sha256=digest, size=len(content)
        )  # fmt: skip
        lost = put_lake_file(changes, Did(searched.scope, "lost"), sha256=LOST, size=1)
        changes.put_item(examples.item("m31", "images"), assets={"image.bin": image, "lost.bin": lost})
        changes.commit("m31")
    return place


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="Git LFS is not installed (Debian: git-lfs)")
def test_a_clone_fetches_from_the_lake(searched: Searched, repository: Path, tmp_path: Path) -> None:
    config = searched.lake.facts["accounts"]["alice"]
    surroundings = {**os.environ, "HOME": str(tmp_path)}
    surroundings |= {f"{ENVIRONMENT_PREFIX}RUCIO__CONFIG": config, f"{ENVIRONMENT_PREFIX}RUCIO__ACCOUNT": "alice"}
    subprocess.run(["git", "lfs", "install", "--skip-repo"], env=surroundings, check=True, capture_output=True)
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(searched.lake.home), "catalog", "clone"]
    done = subprocess.run(
        [*command, str(repository), str(tmp_path / "clone"), "--site", "vienna"],
        env=surroundings, check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    with Repository(repository) as opened:
        (located,) = opened.head().find("m31")
    folder = tmp_path / "clone" / folder_of(located.path)
    assert (folder / "image.bin").read_bytes() == searched.at_origin("m31", "image").read_bytes(), done.stderr
    assert pointer_in((folder / "lost.bin").read_bytes()) == (LOST, 1)
    assert f"Rucio knows no file {searched.scope}:lost" in done.stderr


def test_the_nearest_replica_is_taken_and_all_files_are_looked_up_together(
    searched: Searched, repository: Path, tmp_path: Path
) -> None:
    content = searched.at_origin("m31", "image").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    [far] = searched.at(SYDNEY, "images..m31..image.bin")
    far.write_bytes(b"other bytes")  # whoever asks there is refused them
    clone = make_clone(str(repository), tmp_path / "clone")
    files = LargeFiles(clone, searched.settings, {"site": "vienna"})
    came: list[int] = []
    try:
        path = files.get("origin", digest, came.append)
        assert path.read_bytes() == content
        assert came[-1] == len(content)
        asked = files.requests
        with pytest.raises(RefusedError, match="Rucio knows no file"):
            files.get("origin", LOST, came.append)
        assert files.requests == asked
    finally:
        files.close()
        far.write_bytes(content)
