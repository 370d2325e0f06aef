"""What the lake holds after a run of the job, asked for by other roads than the job's own.

Rows come from the published views by plain SQL, replicas and metadata from Rucio by its own client.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.audit import PLUGINS
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions

ItemKey = tuple[str, str]


def lines_of(file: Path, wanted: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the JSON on some lines of an NDJSON file, counted from 1."""
    numbers = set(wanted)
    with gzip.open(file, "rt") as lines:
        return {number: json.loads(line) for number, line in enumerate(lines, 1) if number in numbers}


def write_lines(path: Path, items: Iterable[Mapping[str, Any]]) -> Path:
    """Write items as NDJSON."""
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def run_job(location: str | Path, name: str, settings: Settings, **options: Any) -> tuple[Report, int]:
    """Sync one source; return the report and how many requests went to Rucio."""
    tables = PostgresStore.open(settings.database_url())
    lake = RucioStore(settings)
    try:
        source = open_source(str(location), name=name, options=ReadOptions())
        return SyncJob(source, settings, tables, lake, SyncOptions(**options)).run(), lake.requests
    finally:
        lake.close()
        tables.close()


@dataclass(frozen=True)
class RucioFile:
    """A file as Rucio's own client tells it."""

    bytes: int
    md5: str | None
    adler32: str | None
    rses: Mapping[str, str]
    """PFN -> RSE."""


@dataclass(frozen=True)
class RucioView:
    """What Rucio says of one scope."""

    files: Mapping[str, RucioFile]
    """By DID name."""
    content: Mapping[str, frozenset[str]]
    """Dataset -> names of its files."""
    metadata: Mapping[str, Mapping[str, Any]]
    """Dataset -> metadata, as the plugin keeps them."""
    columns: Mapping[str, Mapping[str, Any]]
    """Dataset -> Rucio's own columns."""
    origins: Mapping[str, str | None]
    """RSE -> its attribute ``origin``."""


def ask_rucio(settings: Settings, scope: str, datasets: Iterable[str]) -> RucioView:
    """Ask Rucio's own client, in a process of its own, for everything in some datasets."""
    asked = subprocess.run(
        [sys.executable, "-m", "tests.e2e.chosen.rucio_says"],
        input=json.dumps({"scope": scope, "datasets": list(datasets), "plugin": PLUGINS[settings.rucio.metadata]}),
        capture_output=True,
        text=True,
        timeout=200,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "RUCIO_CONFIG": str(settings.rucio.config)},
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    said = json.loads(asked.stdout)
    files = {
        one["name"]: RucioFile(
            one["bytes"], one["md5"], one["adler32"], {pfn: place["rse"] for pfn, place in one["pfns"].items()}
        )
        for one in said["files"]
    }
    content = {name: frozenset(names) for name, names in said["content"].items()}
    return RucioView(files, content, said["metadata"], said["columns"], said["origins"])


@dataclass(frozen=True)
class Tables:
    """What the tables hold for the items of one scope, by (collection, id)."""

    items: Mapping[ItemKey, Mapping[str, Any]]
    obscore: Mapping[ItemKey, Mapping[str, Any]]
    epn: Mapping[ItemKey, Mapping[str, Any]]
    files: Mapping[ItemKey, Mapping[str, Mapping[str, Any]]]
    """By asset."""
    links: Mapping[ItemKey, Mapping[str, Mapping[str, Any]]]
    """By asset; the item's own links are left out."""
    logins: Mapping[tuple[str, str], bool]
    """(file DID name, PFN) -> needs a login."""
    quarantine: Mapping[ItemKey | str, str]
    """Key, or position of what has none -> reason."""


def ask_tables(settings: Settings, scope: str, source: str) -> Tables:
    """Ask the published views and the lake's tables for what one source left in one scope."""
    with psycopg.connect(settings.database_url(), row_factory=dict_row) as connection:

        def rows(sql: LiteralString, *arguments: Any) -> list[dict[str, Any]]:
            return connection.execute(sql, arguments).fetchall()

        items = {(row["collection"], row["id"]): row for row in rows("SELECT * FROM lake.item WHERE scope = %s", scope)}
        by_did = {row["obs_publisher_did"]: key for key, row in items.items()}
        obscore = {
            by_did[row["obs_publisher_did"]]: row
            for row in rows("SELECT * FROM ivoa.obscore WHERE obs_publisher_did = ANY(%s)", list(by_did))
        }
        epn = {
            by_did[row["obs_publisher_did"]]: row
            for row in rows("SELECT * FROM epn.epn_core WHERE obs_publisher_did = ANY(%s)", list(by_did))
        }
        files: dict[ItemKey, dict[str, Mapping[str, Any]]] = {key: {} for key in items}
        for row in rows("SELECT * FROM lake.file"):
            if (row["collection"], row["id"]) in items:
                files[row["collection"], row["id"]][row["asset"]] = row
        links: dict[ItemKey, dict[str, Mapping[str, Any]]] = {key: {} for key in items}
        for row in rows("SELECT * FROM lake.link WHERE rel IS NULL"):
            if (row["collection"], row["id"]) in items:
                links[row["collection"], row["id"]][row["name"]] = row
        logins = {
            (row["name"], row["pfn"]): row["needs_login"]
            for row in rows("SELECT name, pfn, needs_login FROM lake.replica WHERE scope = %s", scope)
        }
        quarantine: dict[ItemKey | str, str] = {}
        for row in rows("SELECT collection, id, position, reason FROM lake.quarantine WHERE source = %s", source):
            key = row["position"] if row["id"] is None else (row["collection"], row["id"])
            quarantine[key] = row["reason"]
    return Tables(items, obscore, epn, files, links, logins, quarantine)
