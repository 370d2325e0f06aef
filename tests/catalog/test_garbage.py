"""The clean-up takes away what no version holds, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stac_rucio_sync.catalog import garbage, packs
from stac_rucio_sync.catalog.garbage import collect
from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.plain_format import file_path
from stac_rucio_sync.catalog.plain_objects import PlainObjects
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import TransientError
from tests.catalog.examples import item


@pytest.fixture(params=["filesystem", "git"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """A catalogue of three versions: an item with a large file, then without it, then another one."""
    large = tmp_path / "large"
    large.write_bytes(b"large" * 1000)
    with Repository.create(tmp_path / "repository", backend=request.param, identifier="archive") as made:
        for identifier, has_large in (("a", True), ("a", False), ("b", False)):
            with transaction(made) as changes:
                files = {"x": changes.writing.put_large(large)} if has_large else {}
                changes.put_item(item(identifier), assets=files)
                changes.commit(identifier)
        yield made


def everything(repository: Repository) -> dict[tuple[int, str], bytes | None]:
    """Return all files of all versions, large ones with their bytes."""
    found: dict[tuple[int, str], bytes | None] = {}
    for number in range(1, repository.head().number + 1):
        for path, entry in repository.version(number).tree.files():
            large = repository.objects.large(entry.oid)
            found[number, path] = large.read_bytes() if large is not None else repository.objects.file(entry.oid)
    return found


def left_by_a_killed_writer(repository: Repository) -> Path:
    """Put a large file that no version holds; return where its bytes lie."""
    source = repository.place.parent / "lost"
    source.write_bytes(b"lost" * 1000)
    objects = repository.objects
    with objects.writing() as writing:
        entry = writing.put_large(source)
        if isinstance(objects, PlainObjects):
            lost = file_path(objects.place, entry.oid)
        else:
            assert isinstance(objects, GitObjects)
            (lost,) = (path for path in (objects.place / "lfs").rglob("*/*/*") if path.stat().st_size == 4000)
        content = lost.read_bytes()
    assert not lost.exists()
    lost.write_bytes(content)  # as if nobody had been left to take it away
    return lost


def test_every_version_stays(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_GRACE", "now")
    before = everything(repository)
    lost = left_by_a_killed_writer(repository)
    collected = collect(repository)
    assert collected.removed == 1
    assert not lost.exists()
    assert everything(repository) == before
    assert collect(repository).removed == 0
    with Repository(repository.place) as opened:
        assert everything(opened) == before
    with transaction(repository) as changes:
        changes.put_item(item("c"))
        assert changes.commit("c") is not None


def test_git_packs_what_is_loose(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "r") as repository:
        for number in range(5):
            with transaction(repository) as changes:
                changes.put_item(item(f"i{number}"))
                changes.commit(f"i{number}")
        before = everything(repository)
        assert list((tmp_path / "r" / "objects").glob("??/*"))
        collected = collect(repository)
        assert not list((tmp_path / "r" / "objects").glob("??/*"))
        assert collected.bytes_after < collected.bytes_before
        assert everything(repository) == before


def test_very_many_loose_objects_are_packed_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "_MANY_LOOSE", 256)
    place = tmp_path / "r"
    with Repository.create(place) as repository, Repository(place) as reader:
        loose = []
        for number in range(60):
            with transaction(repository) as changes:
                changes.put_item(item(f"i{number}"))
                changes.commit(f"i{number}")
            loose.append(len(list((place / "objects").glob("??/*"))))
            assert reader.head().stac("catalog.json")["id"] == "catalog"
        assert min(loose[20:]) < max(loose)
        assert len(everything(reader)) == len(everything(repository))
    fsck(place)


def test_very_many_packs_are_joined_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "_MANY_PACKS", 4)
    monkeypatch.setattr(packs, "LOOSE_OBJECTS", 3)  # nearly every commit is a pack
    place = tmp_path / "r"
    with Repository.create(place) as repository, Repository(place) as reader:
        for number in range(20):
            with transaction(repository) as changes:
                changes.put_item(item(f"i{number}"))
                changes.commit(f"i{number}")
            assert len(list((place / "objects/pack").glob("*.pack"))) <= 5
            assert reader.head().find(f"i{number}")
        assert len(everything(reader)) == len(everything(repository))
    fsck(place)


def test_what_cannot_be_packed_is_committed_and_the_next_who_opens_it_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error after the commit must not be taken for one of the commit."""
    place = tmp_path / "r"
    monkeypatch.setattr(packs, "_MANY_LOOSE", -1)
    with Repository.create(place) as repository, monkeypatch.context() as without_git:
        without_git.setenv("PATH", str(tmp_path))
        for number in range(2):
            with transaction(repository) as changes:
                changes.put_item(item(f"i{number}"))
                assert changes.commit(f"i{number}") is not None
        assert repository.head().find("i1")
    (said,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "the commits stand" in said.getMessage()
    with Repository(place) as repository:
        with transaction(repository) as changes:
            changes.put_item(item("i2"))
            changes.commit("i2")
        assert not list((place / "objects").glob("??/*"))
        assert all(repository.head().find(f"i{number}") for number in range(3))
    fsck(place)


def fsck(place: Path) -> None:
    said = subprocess.run(
        ["git", "-C", place, "fsck", "--full", "--strict"], capture_output=True, text=True, check=True
    )
    assert said.stdout == ""


def test_a_clean_up_queues_behind_writers(repository: Repository) -> None:
    with writer_lock(repository.place), pytest.raises(TransientError, match="being written to"):
        collect(repository, wait=0.05)
