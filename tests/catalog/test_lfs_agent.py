"""The transfer agent of Git LFS: what it answers, and where it finds the bytes of a clone."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.catalog.clones import Clone
from stac_rucio_sync.catalog.clones import clone as make_clone
from stac_rucio_sync.catalog.lake_files import did_of, put_lake_file
from stac_rucio_sync.catalog.paths import folder_of
from stac_rucio_sync.catalog.pointers import pointer_in
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import FatalError, RefusedError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.replication.large_files import LargeFiles
from stac_rucio_sync.replication.lfs_agent import talk
from tests.catalog.examples import item

LARGE = b"a large file" * 1000
SHA256 = hashlib.sha256(LARGE).hexdigest()
DID = Did("survey", "images..a..image.fits")
ELSEWHERE = hashlib.sha256(b"in the lake").hexdigest()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """A catalogue with an item that has a large file in the repository, and one in the lake."""
    (tmp_path / "large").write_bytes(LARGE)
    with Repository.create(tmp_path / "repository", identifier="archive") as made:
        with transaction(made) as changes:
            files = {
                "large.fits": changes.writing.put_large(tmp_path / "large"),
                "lake.fits": put_lake_file(changes, DID, sha256=ELSEWHERE, size=11),
            }
            changes.put_item(item("a"), assets=files)
            changes.commit("a")
        yield made


@pytest.fixture
def clone(repository: Repository, tmp_path: Path) -> Clone:
    return make_clone(str(repository.place), tmp_path / "clone")


def conversation(said: list[dict[str, Any]], get: Callable[..., Path]) -> list[dict[str, Any]]:
    answers = io.BytesIO()
    talk([json.dumps(event).encode() + b"\n" for event in said], answers, get)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


INIT = {"event": "init", "operation": "download", "remote": "origin", "concurrent": True, "concurrenttransfers": 3}


def test_a_download_is_told_from_beginning_to_end(tmp_path: Path) -> None:
    def get(remote: str, sha256: str, on_bytes: Callable[[int], None]) -> Path:
        assert (remote, sha256) == ("origin", "abc")
        on_bytes(4)
        on_bytes(4)
        on_bytes(9)
        return tmp_path / "x"

    asked = {"event": "download", "oid": "abc", "size": 9, "action": None}
    assert conversation([INIT, asked, {"event": "terminate"}, asked], get) == [
        {},
        {"event": "progress", "oid": "abc", "bytesSoFar": 4, "bytesSinceLast": 4},
        {"event": "progress", "oid": "abc", "bytesSoFar": 9, "bytesSinceLast": 5},
        {"event": "complete", "oid": "abc", "path": str(tmp_path / "x")},
    ]


@pytest.mark.parametrize("error", [RefusedError("no replica"), OSError(28, "no space left")])
def test_one_that_fails_is_told_and_the_next_one_comes(tmp_path: Path, error: Exception) -> None:
    def get(_remote: str, sha256: str, _on_bytes: Callable[[int], None]) -> Path:
        if sha256 == "bad":
            raise error
        return tmp_path / "x"

    said = conversation([INIT, {"event": "download", "oid": "bad"}, {"event": "download", "oid": "good"}], get)
    assert said[1] == {"event": "complete", "oid": "bad", "error": {"code": 2, "message": str(error)}}
    assert said[2] == {"event": "complete", "oid": "good", "path": str(tmp_path / "x")}


def test_uploads_are_refused() -> None:
    (said,) = conversation([{"event": "init", "operation": "upload", "remote": "origin"}], lambda *_: Path())
    assert "catalog ingest" in said["error"]["message"]
    (said,) = conversation([{"event": "upload", "oid": "abc", "path": "x"}], lambda *_: Path())
    assert said["oid"] == "abc"
    assert "catalog ingest" in said["error"]["message"]


def test_bytes_of_the_repository_need_no_lake(clone: Clone) -> None:
    def no_settings() -> Any:
        raise AssertionError

    files = LargeFiles(clone, no_settings, {})
    so_far: list[int] = []
    path = files.get("origin", SHA256, so_far.append)
    assert path.read_bytes() == LARGE
    assert path.is_relative_to(clone.incoming)
    assert so_far == [len(LARGE)]
    with pytest.raises(RefusedError, match="no DID of the lake is known"):
        files.get("origin", "0" * 64, so_far.append)
    files.close()


def test_a_clone_knows_the_dids_of_its_pointers(repository: Repository, clone: Clone) -> None:
    assert clone.did(ELSEWHERE) == DID
    assert clone.did(SHA256) is None
    assert list(clone.dids()) == [DID]
    assert did_of(repository.head(), ELSEWHERE) == DID
    assert did_of(repository.head(), SHA256) is None
    with pytest.raises(UsageError, match="no SHA-256"):
        clone.did("../../x")


def test_what_is_no_clone_is_refused(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the repository itself"):
        Clone(repository.place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no git repository"):
        Clone(tmp_path / "empty")
    with pytest.raises(FatalError, match="git clone failed"):
        make_clone(str(tmp_path / "nothing"), tmp_path / "other")


def test_the_lake_refuses_what_is_no_digest(repository: Repository) -> None:
    with transaction(repository) as changes, pytest.raises(UsageError, match="no SHA-256"):
        put_lake_file(changes, DID, sha256="a/../../b", size=1)


def test_git_lfs_asks_our_agent(repository: Repository, tmp_path: Path) -> None:
    """The large file of the repository comes by the agent; the lake's, without a lake, is an error with a reason."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("STAC_RUCIO_SYNC")}
    surroundings |= {"HOME": str(tmp_path), "STAC_RUCIO_SYNC_RUCIO__CONFIG": str(tmp_path / "no.cfg")}
    subprocess.run(["git", "lfs", "install", "--skip-repo"], env=surroundings, check=True, capture_output=True)
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(tmp_path / "no-lake"), "catalog", "clone"]
    done = subprocess.run(
        [*command, str(repository.place), str(tmp_path / "cloned")],
        env=surroundings, check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    (located,) = repository.head().find("a")
    folder = tmp_path / "cloned" / folder_of(located.path)
    assert (folder / "large.fits").read_bytes() == LARGE, done.stderr
    assert pointer_in((folder / "lake.fits").read_bytes()) == (ELSEWHERE, 11)
    assert "no.cfg" in done.stderr
    assert done.stdout == ""
    status = subprocess.run(
        ["git", "status", "--short"],
        cwd=tmp_path / "cloned", env=surroundings, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert status.stdout == ""


def test_a_plain_clone_has_pointers_in_the_place_of_what_lies_in_the_lake(
    repository: Repository, tmp_path: Path
) -> None:
    surroundings = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["git", "lfs", "install", "--skip-repo"], env=surroundings, check=True, capture_output=True)
    subprocess.run(
        ["git", "clone", "-q", repository.place, tmp_path / "cloned"], env=surroundings, check=True, capture_output=True
    )
    (located,) = repository.head().find("a")
    folder = tmp_path / "cloned" / folder_of(located.path)
    assert (folder / "large.fits").read_bytes() == LARGE
    assert pointer_in((folder / "lake.fits").read_bytes()) == (ELSEWHERE, 11)
