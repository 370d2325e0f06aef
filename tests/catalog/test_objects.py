"""What both backends promise: immutable objects, one head, nothing visible before it is saved, or left of the rest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stac_rucio_sync.catalog import git_writing
from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.lock import owner, writer_lock
from stac_rucio_sync.catalog.objects import HeadMovedError, MissingObjectError, Objects, Writing
from stac_rucio_sync.catalog.plain_objects import PlainObjects
from stac_rucio_sync.catalog.trees import ChangedPath, Tree, TreeEdits, differences
from stac_rucio_sync.errors import FatalError, TransientError, UsageError

WHEN = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC)
BACKENDS: dict[str, Callable[[Path], Objects]] = {"git": GitObjects.create, "filesystem": PlainObjects.create}


@pytest.fixture(params=sorted(BACKENDS))
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Objects]:
    made = BACKENDS[request.param](tmp_path / "repository")
    yield made
    made.close()


def commit(objects: Objects, files: Mapping[str, bytes | None], message: str = "change") -> str:
    """Write (or with None remove) files in one commit."""
    head = objects.head()
    with objects.writing() as writing:
        edits = TreeEdits(writing, objects.commit(head).tree if head else None)
        for path, content in files.items():
            if content is None:
                edits.remove(path)
            else:
                edits.write(path, content)
        return writing.save(edits.save(), message, "An Archive", WHEN).oid


def contents(objects: Objects, oid: str) -> dict[str, bytes]:
    return {path: objects.file(entry.oid) for path, entry in Tree(objects, objects.commit(oid).tree).files()}


def paths(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_a_new_repository_has_no_commit(objects: Objects) -> None:
    assert objects.head() is None


def test_a_commit_holds_what_was_written_and_all_before_it(objects: Objects) -> None:
    first = commit(objects, {"catalog.json": b"{}", "a/b/c.json": b"1", "a/d.json": b"\0\xff"}, "one")
    second = commit(objects, {"a/b/c.json": b"2", "a/d.json": None, "e f/ü.json": b""}, "two\n\nwith a body")
    assert contents(objects, first) == {"catalog.json": b"{}", "a/b/c.json": b"1", "a/d.json": b"\0\xff"}
    assert contents(objects, second) == {"catalog.json": b"{}", "a/b/c.json": b"2", "e f/ü.json": b""}
    assert objects.head() == second
    assert [one.message for one in objects.commits(second)] == ["two\n\nwith a body", "one"]
    assert objects.commit(second).parent == first
    assert objects.commit(first).parent is None
    assert objects.commit(first).when == WHEN
    assert objects.commit(first).author == "An Archive"


def test_a_folder_that_is_emptied_goes(objects: Objects) -> None:
    commit(objects, {"a/b/c": b"1", "d": b"2"})
    head = commit(objects, {"a/b/c": None})
    assert set(Tree(objects, objects.commit(head).tree).folder("")) == {"d"}
    assert contents(objects, commit(objects, {"d": None})) == {}


def test_many_files_in_one_commit(objects: Objects) -> None:
    wanted = {f"f{number % 17}/{number}.json": f"{number}".encode() * 50 for number in range(1200)}
    assert contents(objects, commit(objects, wanted)) == wanted


def test_what_is_in_the_making_can_be_read_there_and_nowhere_else(objects: Objects) -> None:
    with objects.writing() as writing:
        edits = TreeEdits(writing, None)
        for number in range(450):
            edits.write(f"a/{number}", b"%d" % number)
        root = edits.save()
        assert edits.read("a/7") == b"7"
        assert edits.names("a") == frozenset(map(str, range(450)))
        assert len(writing.folder(writing.folder(root)["a"].oid)) == 450
        edits.write("a/7", b"seven")
        edits.remove("a/8")
        assert edits.read("a/7") == b"seven"
        assert edits.read("a/8") is None
        assert objects.head() is None
        writing.save(edits.save(), "all", "me", WHEN)
    head = objects.head()
    assert head is not None
    assert Tree(objects, objects.commit(head).tree).read("a/7") == b"seven"


@pytest.mark.parametrize("files", [3, 900])
def test_what_is_not_saved_leaves_no_trace(objects: Objects, tmp_path: Path, files: int) -> None:
    commit(objects, {"a": b"1"})
    before = paths(objects.place)

    def fail_on_the_way(writing: Writing) -> None:
        edits = TreeEdits(writing, None)
        for number in range(files):
            edits.write(f"x/{number}", b"x%d" % number)
        large = tmp_path / "large"
        large.write_bytes(b"large")
        edits.put("large", writing.put_large(large))
        edits.save()
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError), objects.writing() as writing:
        fail_on_the_way(writing)
    assert paths(objects.place) == before


def test_several_commits_of_one_writer(objects: Objects) -> None:
    with objects.writing() as writing:
        edits = TreeEdits(writing, None)
        for number in range(5):
            edits.write(f"{number}", b"x")
            writing.save(edits.save(), f"commit {number}", "me", WHEN)
    head = objects.head()
    assert head is not None
    assert [one.message for one in objects.commits(head)] == [f"commit {number}" for number in (4, 3, 2, 1, 0)]
    assert len(contents(objects, head)) == 5


def test_who_begins_from_an_older_head_is_refused(objects: Objects) -> None:
    commit(objects, {"a": b"1"})
    with objects.writing() as late:
        head = commit(objects, {"a": b"2"})
        edits = TreeEdits(late, None)
        edits.write("a", b"3")
        with pytest.raises(HeadMovedError):
            late.save(edits.save(), "late", "me", WHEN)
    assert objects.head() == head


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Path]:
    """The lock of a branch that has one commit, as git takes it."""
    with closing(GitObjects.create(tmp_path / "repository")) as made:
        commit(made, {"a": b"1"})
        path = made.place / "refs" / "heads" / "main.lock"
        path.touch(exist_ok=False)
        yield path


def test_a_branch_that_a_killed_process_left_locked_is_freed(
    lock: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(git_writing, "ABANDONED", 0.1)
    with closing(GitObjects(lock.parents[2])) as objects:
        assert commit(objects, {"a": b"2"}) == objects.head()
    assert not lock.exists()
    assert "killed" in caplog.text


def test_whoever_moves_the_branch_just_now_is_waited_for(lock: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(GitObjects(lock.parents[2])) as objects, ThreadPoolExecutor(1) as beside:
        committing = beside.submit(commit, objects, {"a": b"2"})
        assert wait([committing], timeout=0.3).not_done
        lock.unlink()
        assert committing.result(timeout=100) == objects.head()
    assert caplog.text == ""


def test_large_files_keep_their_bytes_and_stay_where_they_came_from(objects: Objects, tmp_path: Path) -> None:
    large = tmp_path / "image.fits"
    large.write_bytes(os.urandom(3_000_000))
    with objects.writing() as writing:
        edits = TreeEdits(writing, None)
        edits.put("assets/image.fits", writing.put_large(large))
        edits.write("small", b"small")
        saved = writing.save(edits.save(), "large", "me", WHEN)
    entry = Tree(objects, saved.tree).entry("assets/image.fits")
    assert entry is not None
    kept = objects.large(entry.oid)
    assert kept is not None
    assert kept.read_bytes() == large.read_bytes()


def test_commits_are_named_by_the_beginning_of_their_names(objects: Objects) -> None:
    head = commit(objects, {"a": b"1"})
    assert objects.named(head[:9]) == head
    for wrong in ("0000000", "zz", "../..", "a", ""):
        with pytest.raises(MissingObjectError):
            objects.named(wrong)
    with pytest.raises(MissingObjectError):
        objects.commit("0" * len(head))


def test_differences_name_each_file_that_differs(objects: Objects) -> None:
    old = commit(objects, {"same/x": b"1", "changed": b"1", "gone/a": b"1", "gone/b": b"2", "turned": b"file"})
    new = commit(
        objects, {"changed": b"2", "gone/a": None, "gone/b": None, "new/c/d": b"3", "turned": None, "turned/e": b"4"}
    )
    found = list(differences(objects, objects.commit(old).tree, objects.commit(new).tree))
    fates = {
        change.path: (change.old is not None, change.new is not None)
        for change in found
        if isinstance(change, ChangedPath)
    }
    assert fates == {
        "changed": (True, True),
        "gone/a": (True, False),
        "gone/b": (True, False),
        "new/c/d": (False, True),
        "turned": (True, False),
        "turned/e": (False, True),
    }


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/etc/passwd", "a//b", "", ".", "a/\0"])
def test_paths_stay_inside(objects: Objects, path: str) -> None:
    with objects.writing() as writing, pytest.raises(ValueError, match="no path"):
        TreeEdits(writing, None).write(path, b"x")


def test_a_repository_needs_a_place_of_its_own(objects: Objects) -> None:
    with pytest.raises(UsageError, match="not empty"):
        BACKENDS["git" if isinstance(objects, GitObjects) else "filesystem"](objects.place)


def test_git_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    objects = GitObjects.create(tmp_path / "r")
    commit(objects, {f"{number % 7}/{number}": b"%d" % number for number in range(700)})
    commit(objects, {"a": b"1", "a.b": b"2", "a0": b"3", "z/a": b"4"})
    named = commit(objects, {"a": None, "a/x": b"folders sort as if they ended in a slash"}, "Ingest the id n\0l")
    assert objects.commit(named).message == "Ingest the id n\\0l"
    said = subprocess.run(
        ["git", "-C", str(tmp_path / "r"), "fsck", "--full", "--strict"], capture_output=True, text=True, check=True
    )
    assert "error" not in said.stderr
    assert "dangling" not in said.stdout
    subprocess.run(["git", "clone", "-q", str(tmp_path / "r"), str(tmp_path / "clone")], check=True)
    assert (tmp_path / "clone" / "a" / "x").is_file()
    assert not (tmp_path / "clone" / "0" / "nothing").exists()


def test_the_filesystem_keeps_plain_files(tmp_path: Path) -> None:
    objects = PlainObjects.create(tmp_path / "r")
    commit(objects, {"catalog.json": b"{}", "a/b.json": b"1"})
    catalog = tmp_path / "r" / "current" / "catalog"
    assert (catalog / "catalog.json").read_bytes() == b"{}"
    assert (catalog / "a" / "b.json").read_bytes() == b"1"
    with (catalog / "a").joinpath("c").open("wb"):
        pass  # root may: a stray file in a folder is none of the catalogue's
    assert "c" not in Tree(objects, objects.commit(objects.head() or "").tree).folder("a")


def test_writers_queue_and_know_each_other(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        assert f"process {os.getpid()} " in (owner(tmp_path) or "")
        with pytest.raises(TransientError, match=f"process {os.getpid()} "), writer_lock(tmp_path, wait=0.1):
            pass
    assert owner(tmp_path) is None
    with writer_lock(tmp_path, wait=0.1):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_names_the_catalogue_and_gives_the_lock_back(tmp_path: Path) -> None:
    with (
        pytest.raises(FatalError, match=f"{tmp_path} cannot be written to: No space left"),
        writer_lock(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"an object")
    with writer_lock(tmp_path, wait=0.1):
        pass


def test_a_killed_writer_leaves_the_lock_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from stac_rucio_sync.catalog.lock import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    with writer_lock(tmp_path, wait=0.1):
        assert f"process {os.getpid()} " in (owner(tmp_path) or "")


def test_all_is_on_the_disk_before_the_head_leads_to_it(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    before = commit(objects, {"a": b"1"})
    written_down: list[tuple[str, str | None]] = []
    with objects.writing() as writing:
        backend = sys.modules[type(writing).__module__]
    for name in ("sync_all_below", "sync"):
        really = getattr(backend, name)

        def noted(path: Path, name: str = name, really: Callable[[Path], None] = really) -> None:
            written_down.append((name, objects.head()))
            really(path)

        monkeypatch.setattr(backend, name, noted)
    after = commit(objects, {"a": b"2"})
    assert written_down[0] == ("sync_all_below", before)
    assert ("sync", after) in written_down
    assert set(written_down[1:]) == {("sync", after)}


def test_what_a_power_cut_emptied_is_written_again(objects: Objects) -> None:
    """The machine stopped before anything led to what a writer wrote: the names are there, the bytes are not."""
    with objects.writing() as writing:
        edits = TreeEdits(writing, None)
        edits.write("a/b", b"content")
        writing.save(edits.save(), "lost", "me", WHEN)
    emptied = [
        path for path in objects.place.rglob("*")
        if path.is_file() and not path.is_symlink() and re.fullmatch("[0-9a-f]{38,}|[.]entries", path.name)
    ]  # fmt: skip
    for path in emptied:
        path.unlink()
        path.touch()
    for path in (objects.place / "current", objects.place / "refs" / "heads" / "main"):
        path.unlink(missing_ok=True)
    assert len(emptied) >= 3
    with type(objects)(objects.place).writing() as writing:  # type: ignore[call-arg]  # both take their place
        edits = TreeEdits(writing, None)
        edits.write("a/b", b"content")
        writing.save(edits.save(), "again", "me", WHEN)
    again = type(objects)(objects.place)  # type: ignore[call-arg]
    assert contents(again, again.head() or "") == {"a/b": b"content"}
