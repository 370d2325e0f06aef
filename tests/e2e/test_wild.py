"""Real items through the command line: every one accounted for, and nothing sent when nothing changed.

All of them take Rucio a minute: in ``make test`` it is some of each collection, and all that have files.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import Settings
from tests.conftest import RunningLake
from tests.e2e.chosen.found import lines_of, run_job

FATES = ("unchanged", "added", "changed", "superseded", "quarantined", "failed")
ITEMS, DUPLICATES, DUPLICATED = 6329, 180, 122
# Counted by hand of the items: 3,089 assets state a size; 26 of them, of eight items, have no address (S3 buckets of
# which nobody says where they are, relative hrefs without a self link). The rest has 5,464 addresses without a query,
# of the assets and their alternates, one for each S3 address whatever the number of its storages.
FILES, REPLICAS, ITEMS_WITH_FILES = 3063, 5464, 173
# 6,097 items have no processing:level, two have one that is no level ("ORTHO/BASIC").
SILENT_ON_CALIBRATION = 6099
MOST_OF_A_COLLECTION, MOST_ASSETS = 8, 40
# Items with files and more than 40 assets, of the Sentinels but for one: counted as above.
LARGE_ITEMS, LARGE_FILES, LARGE_REPLICAS = 18, 1581, 3087


@dataclass(frozen=True)
class Wild:
    """The first run over the items, by the command line."""

    file: Path
    items: int
    silent_on_calibration: int
    items_with_files: int
    files: int
    replicas: int
    name: str
    settings: Settings
    exit_code: int
    report: dict[str, Any]
    talk: str


def some_of_each_collection(real_items: Path, folder: Path) -> Path:
    """Copy the first items of every collection, all that come again, and all with files but the largest few."""
    file, copy = real_items / "items.ndjson.gz", folder / "items.ndjson.gz"
    again, _ = last_contents(real_items / "items_dups.ndjson.gz")
    met: Counter[str] = Counter()
    with gzip.open(file, "rt") as lines, gzip.open(copy, "wt", compresslevel=1) as chosen:
        for line in lines:
            item = json.loads(line)
            collection = item.get("collection") or "items"
            assets = list((item.get("assets") or {}).values())
            sized = any("file:size" in asset for asset in assets)
            some = met[collection] < MOST_OF_A_COLLECTION
            if (collection, item["id"]) in again or (len(assets) <= MOST_ASSETS and (sized or some)):
                met[collection] += 1
                chosen.write(line)
    return copy


def counted(file: Path) -> tuple[int, int]:
    """Return how many items a file has, and how many of them do not say how they are calibrated."""
    with gzip.open(file, "rt") as lines:
        levels = [json.loads(line)["properties"].get("processing:level") for line in lines]
    return len(levels), sum(level in {None, "ORTHO/BASIC"} for level in levels)


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.slow)])
def wild(
    lake: RunningLake, real_items: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Wild:
    file = real_items / "items.ndjson.gz"
    expected = (ITEMS, SILENT_ON_CALIBRATION, ITEMS_WITH_FILES, FILES, REPLICAS)
    if request.param == "some":
        file = some_of_each_collection(real_items, tmp_path_factory.mktemp("wild"))
        held = (ITEMS_WITH_FILES - LARGE_ITEMS, FILES - LARGE_FILES, REPLICAS - LARGE_REPLICAS)
        expected = (*counted(file), *held)
    name = scope = "wild" + uuid4().hex[:8]
    command = Path(sys.executable).with_name("stac-rucio-sync")
    done = subprocess.run(
        [command, "--home", lake.home, "sync", file, "--name", name, "--json"],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "STAC_RUCIO_SYNC_IDENTITY__SCOPE": scope},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    settings = lake.settings_with(identity={"scope": scope})
    return Wild(file, *expected, name, settings, done.returncode, json.loads(done.stdout), done.stderr)


def assert_adds_up(report: Report, read: int) -> None:
    assert report.read == read == sum(getattr(report, fate) for fate in FATES)
    assert report.failed == 0
    assert report.complete


# The tests below follow each other: each run finds what the one before left.


def test_all_real_items_are_accounted_for(wild: Wild) -> None:
    report = wild.report
    assert report["read"] == wild.items == sum(report[fate] for fate in FATES)
    assert (report["failed"], report["superseded"], report["unchanged"], report["removed"]) == (0, 0, 0, 0)
    assert report["complete"]
    assert report["quarantined"] == 0  # all of them can be mapped, whatever is wrong with them
    assert (report["files"], report["replicas"]) == (wild.files, wild.replicas)
    assert report["links_only"] == wild.items - wild.items_with_files
    assert report["defaulted"] == wild.silent_on_calibration
    assert wild.exit_code == (1 if report["quarantined"] else 0)
    assert "Traceback" not in wild.talk
    with psycopg.connect(wild.settings.database_url()) as connection:
        (items,) = connection.execute("SELECT count(*) FROM lake.item WHERE source = %s", [wild.name]).fetchone() or (
            0,
        )
        (rows,) = connection.execute(
            "SELECT count(*) FROM ivoa.obscore JOIN lake.item USING (obs_publisher_did) WHERE source = %s", [wild.name]
        ).fetchone() or (0,)
    assert items == rows == wild.items - report["quarantined"]


def damaged(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield lines that are no items any more, each with a word that the reason must have."""
    yield json.dumps(item)[:700], "JSON"
    yield json.dumps([item]), "object"
    yield json.dumps({**item, "id": "no item", "type": "Collection"}), "Collection"
    yield json.dumps({key: value for key, value in item.items() if key != "id"}), "id"
    yield json.dumps({**item, "id": 7}), "id"
    yield json.dumps({**item, "id": ""}), "id"
    yield json.dumps({**item, "id": "no assets object", "assets": [1, 2]}), "assets"
    yield json.dumps({**item, "id": "no asset", "assets": {"image": "image.tif"}}), "image"
    yield json.dumps({**item, "id": "no href", "assets": {"image": {"href": 5}}}), "image"
    yield json.dumps({**item, "id": "no properties", "properties": None}), "properties"
    yield json.dumps({**item, "id": "no links", "links": "none"}), "links"
    yield json.dumps({**item, "id": "no collection", "collection": {"id": "a"}}), "collection"
    yield json.dumps({**item, "id": "no version", "stac_version": "new"}), "stac_version"


def test_a_person_understands_why_an_item_was_set_aside(wild: Wild, real_items: Path, tmp_path: Path) -> None:
    item = lines_of(real_items / "items.ndjson.gz", [1164])[1164] | {"collection": "damaged"}
    lines = dict(damaged(item))
    file = tmp_path / "damaged.ndjson"
    file.write_text("".join(f"{line}\n" for line in [*lines, json.dumps(item)]))
    report, _ = run_job(file, f"{wild.name}-damaged", wild.settings)
    assert (report.read, report.quarantined, report.added + report.changed) == (len(lines) + 1, len(lines), 1)
    with psycopg.connect(wild.settings.database_url()) as connection:
        reasons = connection.execute(
            "SELECT reason FROM lake.quarantine WHERE source = %s ORDER BY substring(position FROM '[0-9]+$')::integer",
            [f"{wild.name}-damaged"],
        ).fetchall()
    for (reason,), word in zip(reasons, lines.values(), strict=True):
        assert word in reason, (word, reason)
        assert len(reason) >= 15
        assert " " in reason
        assert "\n" not in reason
        assert not re.search(r"Traceback|\b[A-Z]\w+(?:Error|Exception)\b|<class|0x[0-9a-f]{6}", reason), reason


def test_every_item_with_a_sized_asset_at_a_known_place_has_files(wild: Wild) -> None:
    """Of the assets with a size, those at an https address without a query can be registered, whatever else."""
    expected: set[tuple[str, str]] = set()
    with gzip.open(wild.file, "rt") as lines:
        for line in lines:
            item = json.loads(line)
            for asset in (item.get("assets") or {}).values():
                if "file:size" in asset and re.fullmatch(r"https://[^?#]+", asset.get("href", "")):
                    expected.add((item.get("collection") or "items", item["id"]))
    with psycopg.connect(wild.settings.database_url()) as connection:
        rows = connection.execute(
            "SELECT DISTINCT collection, id FROM lake.file JOIN lake.item USING (collection, id) WHERE source = %s",
            [wild.name],
        ).fetchall()
    assert len(expected) > 100
    assert expected <= set(rows)


def test_the_second_run_does_nothing_and_asks_rucio_nothing(wild: Wild, lake: RunningLake, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as instead_of_rucio:
        config = pointed_at(instead_of_rucio.getsockname()[1], wild.settings.rucio.config, tmp_path)
        settings = lake.settings_with(
            identity={"scope": wild.settings.identity.scope}, rucio={"config": config, "timeout": 2, "attempts": 1}
        )
        report, requests = run_job(wild.file, wild.name, settings)
        knocked, _, _ = select.select([instead_of_rucio], [], [], 0)
    assert_adds_up(report, wild.items)
    assert report.unchanged + report.quarantined == wild.items
    assert report.quarantined == wild.report["quarantined"]
    assert (report.rows, requests) == (0, 0)
    assert knocked == [], "somebody wanted to speak with Rucio, if only to log in"


def pointed_at(port: int, config: Path | None, folder: Path) -> Path:
    """Write a copy of a Rucio client's configuration for another server."""
    assert config is not None
    text, changed = re.subn(
        r"(?m)^((?:rucio|auth)_host\s*=).*$", rf"\1 http://127.0.0.1:{port}", config.read_text(encoding="utf-8")
    )
    assert changed == 2
    copy = folder / "rucio.cfg"
    copy.write_text(text, encoding="utf-8")
    return copy


def test_later_lines_of_an_item_supersede_and_change_it(wild: Wild, real_items: Path) -> None:
    expected = expected_fates(wild.file, real_items / "items_dups.ndjson.gz")
    assert sum(expected.values()) == DUPLICATES
    assert expected["superseded"] == DUPLICATES - DUPLICATED
    report, _ = run_job(real_items / "items_dups.ndjson.gz", wild.name, wild.settings)
    assert_adds_up(report, DUPLICATES)
    assert {fate: getattr(report, fate) for fate in FATES if getattr(report, fate)} == dict(expected)


def test_the_same_lines_again_change_nothing(wild: Wild, real_items: Path) -> None:
    report, requests = run_job(real_items / "items_dups.ndjson.gz", wild.name, wild.settings)
    assert_adds_up(report, DUPLICATES)
    assert (report.unchanged, report.superseded, requests) == (DUPLICATED, DUPLICATES - DUPLICATED, 0)


# ----------------------------------------------------------------------------- equality, by a definition of its own


def content_of(item: dict[str, Any]) -> str:
    """Return an item's content as canonical JSON: without the links that only say where it was served from."""
    structural = {"self", "root", "parent", "collection"}
    links = [link for link in item.get("links", []) if link.get("rel") not in structural]
    return json.dumps({**item, "links": links}, sort_keys=True)


def last_contents(file: Path) -> tuple[dict[tuple[str, str], str], int]:
    """Return the content that stands last for each item of a file, and how many lines it has."""
    contents: dict[tuple[str, str], str] = {}
    count = 0
    with gzip.open(file, "rt") as lines:
        for line in lines:
            item = json.loads(line)
            contents[item.get("collection") or "items", item["id"]] = content_of(item)
            count += 1
    return contents, count


def expected_fates(before: Path, after: Path) -> Counter[str]:
    """Say what becomes of the lines of ``after`` when ``before`` was synced: the last line of an item counts."""
    known, _ = last_contents(before)
    wanted, count = last_contents(after)
    fates = Counter(
        "added" if key not in known else "unchanged" if known[key] == content else "changed"
        for key, content in wanted.items()
    )
    fates["superseded"] = count - len(wanted)
    return fates
