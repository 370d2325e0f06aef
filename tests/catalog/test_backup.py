"""Backups hold the whole history, take only what is new, and are refused where they are another catalogue's."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stac_rucio_sync.catalog.backup import Copied, backup, commits_to_copy, restore
from stac_rucio_sync.catalog.history import log, rollback
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from stac_rucio_sync.errors import FatalError, UsageError
from tests.catalog.examples import item
from tests.ports import free_port

LARGE = os.urandom(1_200_000)


@pytest.fixture(params=["filesystem", "git"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", backend=request.param, identifier="archive") as made:
        put(made, "a", tmp_path)
        yield made


def put(repository: Repository, identifier: str, folder: Path) -> None:
    """Commit an item with a large file of its own beside it."""
    (folder / "large").write_bytes(identifier.encode() + LARGE)
    with transaction(repository) as changes:
        large = changes.writing.put_large(folder / "large")
        changes.put_item(item(identifier), assets={"a.fits": large, "b.txt": changes.writing.put_file(b"b")})
        changes.commit(identifier)


def assert_the_same(one: Repository, other: Repository) -> None:
    """Both have the same commits, files, large files, and answers."""
    assert list(log(one)) == list(log(other))
    files = list(one.head().tree.files())
    assert files == list(other.head().tree.files())
    for path, entry in files:
        assert one.objects.file(entry.oid) == other.objects.file(entry.oid)
        large, copied = one.objects.large(entry.oid), other.objects.large(entry.oid)
        assert (large is None) == (copied is None), path
        if large is not None and copied is not None:
            assert large.read_bytes() == copied.read_bytes()


def test_a_backup_holds_the_history_and_comes_back(repository: Repository, tmp_path: Path) -> None:
    is_git = repository.backend == "git"
    target = tmp_path / "far" / "backup"
    head = repository.head().commit.oid
    assert commits_to_copy(repository, str(target)) == 2
    assert not target.exists()
    assert backup(repository, str(target)) == Copied(2, int(is_git), head)
    with Repository(target) as there:
        assert_the_same(repository, there)
    assert restore(str(target), tmp_path / "back").head == head
    with Repository(tmp_path / "back") as back:
        assert back.backend == repository.backend
        assert_the_same(repository, back)
        put(back, "b", tmp_path)
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o755


def test_only_what_is_new_goes_over(repository: Repository, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/backup"
    backup(repository, uri)
    kept = {path: path.stat().st_ino for path in (tmp_path / "backup").rglob("*") if path.stat().st_size > len(LARGE)}
    assert backup(repository, uri)[:2] == (0, 0)
    put(repository, "b", tmp_path)
    put(repository, "c", tmp_path)
    assert commits_to_copy(repository, uri) == 2
    assert backup(repository, uri).commits == 2
    assert {path: path.stat().st_ino for path in kept} == kept
    with Repository(tmp_path / "backup") as there:
        assert_the_same(repository, there)


def test_progress_is_told(repository: Repository, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    backup(repository, str(tmp_path / "backup"), lambda done, total: told.append((done, total)))
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)


@pytest.mark.parametrize("backend", ["filesystem", "git"])
def test_another_catalogues_backup_is_refused(repository: Repository, tmp_path: Path, backend: str) -> None:
    with Repository.create(tmp_path / "other", backend=backend, identifier="other") as other:
        put(other, "x", tmp_path)
        before = other.head().commit
        with pytest.raises(UsageError, match="which .* has not|kept by the backend"):
            backup(repository, str(tmp_path / "other"))
        assert other.head().commit == before
    with pytest.raises(UsageError, match="the catalogue itself"):
        backup(repository, str(repository.place))


def test_a_backup_that_went_on_by_itself_is_refused(repository: Repository, tmp_path: Path) -> None:
    backup(repository, str(tmp_path / "backup"))
    with Repository(tmp_path / "backup") as there:
        put(there, "there", tmp_path)
    put(repository, "here", tmp_path)
    with pytest.raises(UsageError, match="has not"):
        backup(repository, str(tmp_path / "backup"))


def test_restoring_needs_an_empty_place_and_leaves_nothing_where_it_fails(
    repository: Repository, tmp_path: Path
) -> None:
    backup(repository, str(tmp_path / "backup"))
    with pytest.raises(UsageError, match="not empty"):
        restore(str(tmp_path / "backup"), repository.place)
    before = set(tmp_path.iterdir())
    for wrong in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UsageError, match="no catalogue repository"):
            restore(str(wrong), tmp_path / "back")
    assert set(tmp_path.iterdir()) == before


def test_a_damaged_file_is_not_backed_up(repository: Repository, tmp_path: Path) -> None:
    entry = next(entry for path, entry in repository.head().tree.files() if path.endswith("a.fits"))
    large = repository.objects.large(entry.oid)
    assert large is not None
    large.chmod(0o644)
    large.write_bytes(b"not" + large.read_bytes()[3:])
    with pytest.raises(FatalError, match="damaged"):
        backup(repository, str(tmp_path / "backup"))
    with Repository(tmp_path / "backup") as there:
        assert there.objects.head() != repository.objects.head()


def test_a_backup_broken_off_goes_on(repository: Repository, tmp_path: Path) -> None:
    put(repository, "b", tmp_path)

    def stop(done: int, total: int | None) -> None:
        if done in (total, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(repository, str(tmp_path / "backup"), stop)
    assert backup(repository, str(tmp_path / "backup")).head == repository.head().commit.oid
    with Repository(tmp_path / "backup") as there:
        assert_the_same(repository, there)


def test_a_git_backup_is_a_sound_git_repository(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "r") as repository:
        for number in range(3):
            put(repository, f"i{number}", tmp_path)
        backup(repository, str(tmp_path / "backup"))
    done = subprocess.run(
        ["git", "-C", str(tmp_path / "backup"), "fsck", "--strict"], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    digests = {path.name for path in (tmp_path / "backup" / "lfs" / "objects").rglob("*") if path.is_file()}
    assert digests == {hashlib.sha256(f"i{number}".encode() + LARGE).hexdigest() for number in range(3)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A git server on this machine with an empty repository, survey.git."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "served" / "survey.git")], check=True)
    port, place = free_port(), str(tmp_path / "served")
    program = ["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
    program += ["--export-all", "--enable=receive-pack"]
    # In a session of its own: the daemon proper is a child of the program that git starts.
    running = subprocess.Popen(
        [*program, f"--base-path={place}", place], stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield f"git://127.0.0.1:{port}/survey.git"
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)


def test_a_git_repository_goes_to_a_server_and_back(server: str, tmp_path: Path) -> None:
    with Repository.create(tmp_path / "r") as repository:
        with transaction(repository) as changes:
            changes.put_item(item("a"))
            changes.commit("a")
        assert commits_to_copy(repository, server) == 2
        assert backup(repository, server) == Copied(2, 0, repository.head().commit.oid)
        assert backup(repository, server).commits == 0
        rollback(repository, repository.version(1))
        assert backup(repository, server).commits == 1
        restore(server, tmp_path / "back")
        with Repository(tmp_path / "back") as back:
            assert_the_same(repository, back)
            put(back, "b", tmp_path)
            with pytest.raises(FatalError):  # it knows nothing of Git LFS: the commit does not go without the bytes
                backup(back, server)
            assert commits_to_copy(back, server) == 1
    refused = pytest.raises(UsageError, match="which .* has not")
    with Repository.create(tmp_path / "other", identifier="other") as other, refused:
        backup(other, server)
    with pytest.raises(FatalError, match="git fetch failed"):
        restore(server.replace("survey", "nowhere"), tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_plain_files_go_to_folders_only(tmp_path: Path) -> None:
    with (
        Repository.create(tmp_path / "r", backend="filesystem") as repository,
        pytest.raises(UsageError, match="to a folder"),
    ):
        backup(repository, "ssh://user:secret@example.org/r")


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "r") as repository, pytest.raises(FatalError) as caught:
        backup(repository, "http://user:secret@127.0.0.1:9/r.git")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
