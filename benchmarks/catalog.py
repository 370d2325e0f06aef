"""The versioned catalogue: items and commits a second, what a commit costs as it grows, how fast history answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, in_turns, seconds
from benchmarks.items import items
from stac_rucio_sync.catalog.history import Event, history_of
from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import processor
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction

ONE_TRANSACTION, SMALL, LARGE, LONG = 5_000, 1_000, 100_000, 10_000
ROUNDS, COMMITS_A_ROUND = 9, 10
THIRDS, COMMITS = 3, 100
STAC_REPOSITORY = "stac-repository==0.0.6"
THEIRS = Path(__file__).with_name("stac_repository_ingest.py")
JsonObject = dict[str, Any]


def catalog() -> Iterator[Figure]:
    """Make catalogues in git of the sizes that are wanted, and measure each."""
    with tempfile.TemporaryDirectory(prefix="bench-catalog-") as folder:
        place = Path(folder)
        yield _one_transaction(place / "one")
        yield _one_commit_each(place / "each")
        yield _growth(place / "small", place / "large")
        yield from _long_history(place / "long")


def _one_transaction(place: Path) -> Figure:
    made = list(items(ONE_TRANSACTION, collection="bench"))
    with Repository.create(place) as repository:
        taken = seconds(lambda: _put(repository, made))
    return Figure(
        "items into git, one transaction", len(made) / taken, 1000, "items/s", f"{len(made):,} in {taken:.2f} s"
    )


def _one_commit_each(place: Path) -> Figure:
    made = items(SMALL + THIRDS * COMMITS, collection="bench")
    with _filled(place, made, SMALL) as repository:
        taken = median(
            seconds(partial(_commit_each, repository, part))
            for part in [[next(made) for _ in range(COMMITS)] for _ in range(THIRDS)]
        )
    detail = f"{COMMITS} in {taken:.2f} s, the median of {THIRDS} rounds"
    return Figure(f"commits of one product, at {SMALL:,} items", COMMITS / taken, 100, "commits/s", detail)


def _growth(small_place: Path, large_place: Path) -> Figure:
    made_small, made_large = items(LARGE * 2, collection="bench"), items(LARGE * 2, collection="bench")
    with _filled(small_place, made_small, SMALL) as small, _filled(large_place, made_large, LARGE) as large:
        at_large, at_small = in_turns(
            ROUNDS,
            lambda _: _round(large, made_large),
            lambda _: _round(small, made_small),
        )
    one, other = (median(times) * 1000 / COMMITS_A_ROUND for times in (at_large, at_small))
    return Figure(
        f"a commit at {LARGE:,} items",
        median(big / little for big, little in zip(at_large, at_small, strict=True)),
        2,
        f"× one at {SMALL:,}",
        f"{one:.1f} ms against {other:.1f} ms, one item a commit",
        at_least=False,
    )


def _long_history(place: Path) -> Iterator[Figure]:
    """Commit to 500 items in turn, so that each has a history of twenty commits."""
    made = list(items(500, collection="bench"))
    with Repository.create(place) as repository, transaction(repository) as changes:
        for number in range(LONG - 1):
            one = made[number % len(made)]
            one["properties"]["processing:level"] = f"L{number}"
            changes.put_item(one)
            changes.commit(f"commit {number}")
    opened = median(seconds(lambda: _opened(place)) for _ in range(ROUNDS))
    with Repository(place) as repository:
        assert repository.head().number == LONG
        asked = [seconds(partial(_history, repository, one["id"])) for one in made[:50]]
        events = len(list(history_of(repository, made[0]["id"])))
    detail = f"at {LONG:,} commits"
    yield Figure("history ID", median(asked) * 1000, 50, "ms", f"{detail}, {events} of the item", at_least=False)
    yield Figure(
        "opening the catalogue", opened * 1000, 100, "ms", f"{detail}, to the root of the latest", at_least=False
    )


def stac_repository() -> Iterator[Figure]:
    """Ingest the same files with stac-repository's file backend, on a Python of its own, and here."""
    with tempfile.TemporaryDirectory(prefix="bench-catalog-") as folder:
        place = Path(folder)
        python = _python_of_theirs(place / "env")
        if python is None:
            return
        _write_sources(place / "sources")
        theirs = _theirs(python, place)
        ours = seconds(lambda: _ours(place / "ours", place / "sources" / "items"))
    yield Figure(
        f"ingest of {SMALL:,} items, against stac-repository",
        theirs / ours,
        300,
        "× as fast",
        f"{ours:.2f} s in one commit, stac-repository 0.0.6 (files) {theirs:.0f} s",
    )


def _put(repository: Repository, made: list[JsonObject]) -> None:
    with transaction(repository) as changes:
        for one in made:
            changes.put_item(one)
        changes.commit("all")


def _commit_each(repository: Repository, made: list[JsonObject]) -> None:
    for one in made:
        with transaction(repository) as changes:
            changes.put_item(one)
            changes.commit(one["id"])


def _round(repository: Repository, made: Iterator[JsonObject]) -> float:
    return seconds(lambda: _commit_each(repository, [next(made) for _ in range(COMMITS_A_ROUND)]))


@contextmanager
def _filled(place: Path, made: Iterator[JsonObject], number: int) -> Iterator[Repository]:
    with Repository.create(place) as repository:
        _put(repository, [next(made) for _ in range(number)])
        yield repository


def _history(repository: Repository, identifier: str) -> list[Event]:
    return list(history_of(repository, identifier))


def _opened(place: Path) -> None:
    with Repository(place) as repository:
        head = repository.head()
        assert head.number
        assert head.stac("catalog.json")["id"] == "catalog"


def _write_sources(sources: Path) -> None:
    (sources / "items").mkdir(parents=True)
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": "archive", "description": "Made.", "links": []}
    (sources / "catalog.json").write_text(json.dumps(root))
    for one in items(SMALL, collection="bench"):
        del one["collection"]
        one["stac_version"] = "1.0.0"  # the version that it knows
        (sources / "items" / f"{one['id']}.json").write_text(json.dumps(one))


def _theirs(python: Path, place: Path) -> float:
    """Return the seconds that it takes, without its start."""
    done = subprocess.run(
        [python, THEIRS, place / "sources", place / "theirs"], check=True, capture_output=True, text=True
    )
    taken, held = done.stdout.split()
    assert int(held) == SMALL, f"it holds {held} items"
    return float(taken)


def _ours(place: Path, source: Path) -> None:
    with Repository.create(place, identifier="archive") as repository:
        report = Ingest(repository, processor("stac"), one_commit=True).run([str(source)])
    assert report.counts == {"added": SMALL}


def _python_of_theirs(env: Path) -> Path | None:
    """Make an environment with stac-repository in it; where that cannot be had, say so."""
    python = _python_3_12()
    if python is None:
        print("against stac-repository: left out, there is no Python 3.12 here", flush=True)
        return None
    subprocess.run([python, "-m", "venv", env], check=True)
    install = ["-m", "pip", "install", "--quiet", STAC_REPOSITORY]
    done = subprocess.run([env / "bin" / "python", *install], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"against stac-repository: left out, it cannot be installed: {done.stderr[-500:]}", flush=True)
        return None
    return env / "bin" / "python"


def _python_3_12() -> Path | None:
    """Return the Python that stac-repository is measured on."""
    named = os.environ.get("PYTHON_3_12") or shutil.which("python3.12")
    installed = sorted((Path.home() / ".pyenv" / "versions").glob("3.12*/bin/python3.12"))
    for path in [*([Path(named)] if named else []), *installed]:
        if subprocess.run([path, "--version"], check=False, capture_output=True).returncode == 0:
            return path
    return None
