"""Writers queue, and may be killed at any moment: what was reported stays, nothing is half there, all goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stac_rucio_sync.catalog.repository import ROOT, Repository, Version
from stac_rucio_sync.catalog.transaction import transaction
from tests.catalog.examples import item

CHECKOUT = Path(__file__).parents[2]
WRITERS = 4
A_LONG_TIME = 30.0
"""Seconds; a reader who waited for a writer would wait longer, and a busy machine is slow to read."""


class Writers:
    """Processes that write to one repository, what they reported in files beside."""

    def __init__(self, place: Path, folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, groups: int = 10_000) -> None:
        name = f"w{len(list(self._folder.iterdir()))}"
        with (self._folder / name).open("wb") as reported:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.catalog.ingesting", self._place, name, str(groups)],
                stdout=reported,
                cwd=CHECKOUT,
            )

    def kill(self, dice: random.Random) -> None:
        """End one that has reported something, in the middle of what it does."""
        working = [name for name in self._running if (self._folder / name).stat().st_size]
        if working:
            process = self._running.pop(dice.choice(working))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL

    def wait(self) -> None:
        for process in self._running.values():
            assert process.wait(timeout=300) == 0
        self._running.clear()

    def are_all_working(self) -> bool:
        ended = {name: process.returncode for name, process in self._running.items() if process.poll() is not None}
        assert not ended, f"writers ended by themselves: {ended}"
        return all((self._folder / name).stat().st_size for name in self._running)

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()

    def reported(self) -> Iterator[tuple[str, str, int]]:
        """Yield commit, group and number of items of all that was reported."""
        for path in sorted(self._folder.iterdir()):
            for line in path.read_text().splitlines():
                oid, group, size = line.split()
                yield oid, group, int(size)


@contextmanager
def writers_on(place: Path, folder: Path) -> Iterator[Writers]:
    folder.mkdir()
    writers = Writers(place, folder)
    try:
        yield writers
    finally:
        writers.end()


def groups_in(version: Version) -> dict[str, int]:
    """Return how many items of each group a version holds; none of them is a part."""
    found: Counter[str] = Counter()
    for located, stac in version.objects():
        if located.key.kind == "item":
            found[stac["properties"]["group"]] += 1
            sizes = stac["properties"]["size"]
            beside = located.path.rpartition("/")[0] + "/notes.txt"
            assert version.tree.read(beside).decode().startswith(stac["properties"]["group"].replace("-", " "))
            assert found[stac["properties"]["group"]] <= sizes
    return dict(found)


def assert_whole(repository: Repository, writers: Writers) -> None:
    """All that was reported is there, and each group is there as a whole."""
    found = groups_in(repository.head())
    for _, group, size in writers.reported():
        assert found[group] == size, group
    assert all(size in {1, 2, 3, 70} for size in found.values())
    committed = [commit for commit in repository.objects.commits(repository.head().commit.oid) if commit.parent]
    assert sorted(commit.message for commit in committed if commit.author.startswith("w")) == sorted(found)
    assert {oid for oid, _, _ in writers.reported()} <= {commit.oid for commit in committed}
    linked = repository.head().stac("fields/collection.json")
    assert linked["extent"]["spatial"]["bbox"][0][0] == 0


def look(place: Path) -> None:
    """Read as a stranger does: at once, whoever writes, and exactly one commit."""
    began = time.monotonic()
    with Repository(place) as repository:
        head = repository.head()
        assert head.stac(ROOT)["id"] == "archive"
        for change in repository.index.changes_of(head.number):
            if change.key.kind == "item":
                group = head.stac(change.path)["properties"]
                assert all(head.find(f"{group['group']}-{one}") for one in range(group["size"]))
    took = time.monotonic() - began
    assert took < A_LONG_TIME, f"a reader was kept waiting for {took:.1f} s"


@pytest.mark.parametrize("backend", ["filesystem", "git"])
@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_writers_are_killed(tmp_path: Path, backend: str, kills: int) -> None:
    dice = random.Random(f"{backend} {kills}")  # noqa: S311 - moments, not secrets
    place = tmp_path / "repository"
    Repository.create(place, backend=backend, identifier="archive").close()
    with writers_on(place, tmp_path / "reported") as writers:
        for _ in range(WRITERS):
            writers.start()
        while not writers.are_all_working():
            look(place)
        for _ in range(kills):
            until = time.monotonic() + dice.uniform(0, 0.5)
            while time.monotonic() < until:
                look(place)
                time.sleep(0.05)
            writers.kill(dice)
            writers.start()
        writers.end()
        with Repository(place) as repository:
            assert_whole(repository, writers)
            with transaction(repository, wait=0.5) as changes:
                changes.put_item(item("the next one", group="the next one", size=1))
                assert changes.commit("the next one") is not None
        assert not list(place.rglob("tmp_*")) + list(place.glob("incoming/*"))
    if backend == "git":
        said = subprocess.run(
            ["git", "-C", place, "fsck", "--full", "--strict"], capture_output=True, text=True, check=True
        )
        assert "error" not in said.stderr
        assert "missing" not in said.stdout
        subprocess.run(["git", "clone", "-q", place, tmp_path / "clone"], check=True, timeout=200, env=dict(os.environ))


@pytest.mark.parametrize("backend", ["filesystem", "git"])
def test_writers_lose_nothing_to_each_other(tmp_path: Path, backend: str) -> None:
    place = tmp_path / "repository"
    Repository.create(place, backend=backend, identifier="archive").close()
    with writers_on(place, tmp_path / "reported") as writers:
        for _ in range(WRITERS):
            writers.start(groups=5)
        writers.wait()
        with Repository(place) as repository:
            assert_whole(repository, writers)
            assert len(list(writers.reported())) == len(groups_in(repository.head()))


@pytest.mark.parametrize("backend", ["filesystem", "git"])
def test_readers_do_not_wait_for_a_writer(tmp_path: Path, backend: str) -> None:
    place = tmp_path / "repository"
    with Repository.create(place, backend=backend, identifier="archive") as repository:
        with transaction(repository) as changes:
            changes.put_item(item("a"))
            changes.commit("a")
            changes.put_item(item("b"))
            with Repository(place) as reader:  # the writer, who is this process, does not go on meanwhile
                assert reader.head().find("a")
                assert not reader.head().find("b")
            changes.commit("b")
        assert repository.head().find("b")
