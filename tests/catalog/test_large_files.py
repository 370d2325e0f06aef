"""Large files are pointers in git: Git LFS finds their bytes beside the repository, with no configuration."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stac_rucio_sync.catalog.paths import folder_of
from stac_rucio_sync.catalog.pointers import ATTRIBUTES, pointer_in
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from tests.catalog.examples import collection, item

LARGE = random.Random(1).randbytes(300_000)  # noqa: S311 - any bytes do
NAMES = ["image.fits", "data/a [1]*?.fits", "data/with space.fits", 'data/quo"te.fits', "data/ü\\.fits", "!x/#y"]

Git = Callable[..., str]
needs_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="Git LFS is not installed (Debian: git-lfs)")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", identifier="archive") as made:
        yield made


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return path


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git as somebody does who installed Git LFS, and configured nothing."""
    home = tmp_path / "home"
    home.mkdir()
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(folder: Path, *command: str, **more: str) -> str:
        return subprocess.run(
            ["git", *command], cwd=folder, env=surroundings | more, check=True, capture_output=True, text=True
        ).stdout

    run(tmp_path, "lfs", "install", "--skip-repo")  # as the package does for all users of the machine
    return run


def with_large(repository: Repository, large: Path, names: list[str]) -> str:
    """Put an item with large files, and a small one; return its folder."""
    with transaction(repository) as changes:
        files = {name: changes.writing.put_large(large) for name in names}
        changes.put_item(item("a"), assets={**files, "notes.txt": changes.writing.put_file(b"small")})
        changes.commit("a")
    (located,) = repository.head().find("a")
    return folder_of(located.path)


@needs_lfs
def test_a_clone_pulls_the_bytes(repository: Repository, large: Path, tmp_path: Path, git: Git) -> None:
    folder = with_large(repository, large, NAMES)
    assert len(list((repository.place / "lfs" / "objects").rglob("*/*/*"))) == 1
    git(tmp_path, "clone", "-q", str(repository.place), "clone", GIT_LFS_SKIP_SMUDGE="1")
    clone = tmp_path / "clone"
    for name in NAMES:
        assert pointer_in((clone / folder / name).read_bytes()) == (hashlib.sha256(LARGE).hexdigest(), len(LARGE))
    git(clone, "lfs", "pull")
    for name in NAMES:
        assert (clone / folder / name).read_bytes() == LARGE
    assert (clone / folder / "notes.txt").read_bytes() == b"small"
    assert git(clone, "status", "--short") == ""
    assert len(git(clone, "lfs", "ls-files").splitlines()) == len(NAMES)


@needs_lfs
def test_a_clone_has_the_bytes_at_once(repository: Repository, large: Path, tmp_path: Path, git: Git) -> None:
    folder = with_large(repository, large, NAMES)
    git(tmp_path, "clone", "-q", str(repository.place), "clone")
    assert (tmp_path / "clone" / folder / NAMES[0]).read_bytes() == LARGE


def test_what_git_is_told_of_large_files_follows_them(repository: Repository, large: Path) -> None:
    folder = with_large(repository, large, ["data/x.fits", "data/y.fits"])
    with transaction(repository) as changes:
        entry = repository.head().tree.entry(f"{folder}/data/x.fits")
        assert entry is not None
        changes.put_item(item("a"), assets={"data/x.fits": entry, "data/y.fits": changes.writing.put_file(b"small")})
        changes.put_collection(collection("b"))
        changes.commit("y is small now")
        said = repository.head().tree.read(f"{folder}/data/{ATTRIBUTES}")
        assert said == b'"/x.fits" filter=lfs diff=lfs merge=lfs -text\n'
        (located,) = repository.head().find("a")
        changes.move(located, "b/collection.json")
        changes.commit("moved")
        (located,) = repository.head().find("a")
        folder = folder_of(located.path)
        assert repository.head().tree.read(f"{folder}/data/{ATTRIBUTES}") == said
        changes.put_item(item("a"), assets={"data/z": changes.writing.put_file(b"small")})
        changes.commit("no large file")
    assert repository.head().tree.entry(f"{folder}/data/{ATTRIBUTES}") is None
    assert repository.head().tree.read(f"{folder}/data/z") == b"small"


def test_bytes_that_were_not_committed_do_not_stay(repository: Repository, large: Path) -> None:
    with transaction(repository) as changes:
        changes.put_item(item("a"), assets={"x": changes.writing.put_large(large)})
    assert not [path for path in (repository.place / "lfs").rglob("*") if path.is_file()]
    with_large(repository, large, ["x"])
    with transaction(repository) as changes:
        changes.put_item(item("b"), assets={"x": changes.writing.put_large(large)})
    (kept,) = [path for path in (repository.place / "lfs").rglob("*") if path.is_file()]
    assert kept.read_bytes() == LARGE
