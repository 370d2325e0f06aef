"""The sync as a process of its own, which is killed and resumed, and what the servers hold when it is through."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from stac_rucio_sync.lake.cluster import Cluster
from stac_rucio_sync.lake.home import server_user
from stac_rucio_sync.lake.processes import Processes
from tests.conftest import RunningLake

ORIGIN = "https://archive.example.org"
_LONGEST = 300.0
"""Seconds that a run may take."""
LONGEST_WAIT = 120.0
"""Seconds until a run must have committed what a trial waits for."""
_INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A process whose parents were started in the background ignores SIGINT; the trial is about one that does not."""
_LEFT_OUT = frozenset(
    {
        *("first_synced", "last_synced", "updated", "last_started", "last_ended", "last_complete", "last_finished"),
        "last_report",  # of a run that goes on where another was cut short, other counts
        *("first_seen", "last_seen", "attempts", "created_at", "updated_at", "accessed_at"),
        *("entry", "location", "rse_id"),
        *("is_new", "rule_evaluation"),  # flags that Rucio's daemons take from new DIDs in their own time
    }
)
"""Columns of moments and of numbers that every run makes anew."""
_RUCIO_TABLES = ("dids", "contents", "replicas", "did_meta", "rules", "locks")

_FINGERPRINT = re.compile(r"(?<=\")[0-9a-f]{32}(?=\")")

Snapshot = Mapping[str, list[str]]
"""By table: its rows as sorted text, the scope's name replaced."""


def items(count: int, scope: str) -> Iterator[dict[str, Any]]:
    """Yield items of one small file each; some have two, some a link, some are broken, the last come twice."""
    for number in range(count):
        yield _item(number, scope)
    for number in range(0, count, 40):
        yield _item(number, scope, title="the later line")


def broken(count: int) -> int:
    """Return how many of `items` go to quarantine."""
    return len(range(17, count, 100))


def _item(number: int, scope: str, **properties: str) -> dict[str, Any]:
    west = number % 300 - 150
    ring = [[west, 20], [west + 1, 20], [west + 1, 21], [west, 21], [west, 20]]
    assets: Any = {"image": _asset(number, scope, "image")}
    if number % 10 == 3:
        assets["mask"] = _asset(number, scope, "mask")
    if number % 10 == 6:
        assets["page"] = {"href": f"{ORIGIN}/{number}.html", "type": "text/html"}  # no size: stays a link
    if number % 100 == 17:
        assets = "none"
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": f"tile-{number:05}",
        "collection": f"c-{scope}",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, 20, west + 1, 21],
        "properties": {"datetime": "2020-01-01T00:00:00Z", **properties},
        "links": [],
        "assets": assets,
    }


def _asset(number: int, scope: str, name: str) -> dict[str, Any]:
    digest = hashlib.md5(f"{name} {number}".encode()).hexdigest()  # noqa: S324 - the checksum that STAC items carry
    return {
        "href": f"{ORIGIN}/{scope}/{number:05}/{name}.fits",
        "type": "application/fits",
        "roles": ["data"],
        "file:size": 1000 + number,
        "file:checksum": "d50110" + digest,
    }


@dataclass
class Trial:
    """One scope of the lake and one file of items, synced by processes of the command line."""

    lake: RunningLake
    folder: Path
    scope: str
    count: int
    workers: int = 1
    batch_items: int = 100
    environment: dict[str, str] = field(default_factory=dict)
    preface: str = ""
    """Python that a process runs before the command."""
    options: tuple[str, ...] = ()
    """Further options of the sync."""

    def __post_init__(self) -> None:
        self.file = self.folder / f"{self.scope}.ndjson"
        self.file.write_text("".join(json.dumps(item) + "\n" for item in items(self.count, self.scope)))

    def start(self, *, stderr: Any = subprocess.DEVNULL, stdout: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start a sync; its JSON report comes on stdout."""
        program = f"{_INTERRUPTIBLE}\n{self.preface}\nfrom stac_rucio_sync.cli import main; main()"
        command = [sys.executable, "-c", program, "--home", str(self.lake.home), "sync", str(self.file)]
        command += ["--name", self.scope, "--json", "--workers", str(self.workers), *self.options]
        environment = {
            **os.environ,
            "STAC_RUCIO_SYNC_IDENTITY__SCOPE": self.scope,
            "STAC_RUCIO_SYNC_SYNC__BATCH_ITEMS": str(self.batch_items),
            **self.environment,
        }
        return subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)

    def run(self, **options: Any) -> tuple[int, dict[str, Any]]:
        """Sync to the end; return the exit code and the report."""
        with self.start(**options) as process:
            return ended(process)

    def killed_after(self, seconds: float) -> bool:
        """Sync and kill after some time; tell whether it was still running."""
        with self.start() as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return True
            return False

    def killed_thrice(self, seed: int, whole: float) -> int:
        """Kill three runs at random moments, resume each, and run to the end; return how many kills hit.

        Parameters
        ----------
        seed
            Of the moments.
        whole
            Seconds that an undisturbed run takes.
        """
        moments = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        hit = sum(self.killed_after(moments.uniform(0.3, 0.3 * whole)) for _ in range(3))
        code, report = self.run()
        assert (code, report["quarantined"]) == (1, broken(self.count)), report
        return hit

    def snapshot(self) -> Snapshot:
        """Return what the tables and Rucio hold of this scope."""
        admin = self.lake.settings.database.admin_url
        assert admin is not None
        with psycopg.connect(admin.get_secret_value()) as connection:
            ours = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'lake'").fetchall()
            tables = [("lake", name) for (name,) in ours] + [("dev", name) for name in _RUCIO_TABLES]
            # A fingerprint holds the scope's name, too.
            named = connection.execute(
                "SELECT fingerprint, id FROM lake.item WHERE collection = %(c)s "
                "UNION SELECT fingerprint, id FROM lake.quarantine WHERE collection = %(c)s",
                {"c": f"c-{self.scope}"},
            )
            names = {fingerprint: f"fingerprint of {id_}" for fingerprint, id_ in named}
            return {f"{schema}.{name}": self._rows(connection, schema, name, names) for schema, name in sorted(tables)}

    def _rows(
        self, connection: psycopg.Connection[Any], schema: str, table: str, names: Mapping[str, str]
    ) -> list[str]:
        statement = sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE t::text LIKE %s").format(sql.Identifier(schema, table))
        kept = (
            {name: value for name, value in row.items() if name not in _LEFT_OUT}
            for (row,) in connection.execute(statement, [f"%{self.scope}%"])
        )
        texts = (
            json.dumps(row, sort_keys=True).replace(str(self.folder), "FOLDER").replace(self.scope, "SCOPE")
            for row in kept
        )
        return sorted(_FINGERPRINT.sub(lambda found: names.get(found[0], found[0]), text) for text in texts)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """Wait for a sync; return its exit code and its report (empty where it printed none)."""
    printed, _ = process.communicate(timeout=_LONGEST)
    return process.returncode, json.loads(printed) if printed else {}


def committed(trial: Trial) -> int:
    """Return how many items of a trial the tables hold."""
    with psycopg.connect(trial.lake.settings.database_url()) as connection:
        row = connection.execute("SELECT count(*) FROM lake.item WHERE scope = %s", [trial.scope]).fetchone()
    assert row is not None
    return int(row[0])


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not happened():
        assert time.monotonic() < deadline, f"{what}: not within {LONGEST_WAIT:.0f} seconds"
        time.sleep(0.05)


def wait_until_committed(trial: Trial, count: int) -> None:
    """Wait until the tables hold that many items of a trial."""
    wait_until(lambda: committed(trial) >= count, f"{count} items are committed")


def assert_same(found: Snapshot, wanted: Snapshot) -> None:
    """Compare two states, and say how they differ in few words."""
    differences = []
    for table, rows in wanted.items():
        more, fewer = sorted(set(found[table]) - set(rows)), sorted(set(rows) - set(found[table]))
        if more or fewer or len(rows) != len(found[table]):
            differences.append(f"{table}: {len(more)} too many {more[:2]}, {len(fewer)} missing {fewer[:2]}")
    assert not differences, "\n".join(differences)


def restart_postgres(lake: RunningLake, *, down_seconds: float = 1.0) -> None:
    """Stop the lake's database under everybody's feet and start it again."""
    home, user = lake.lake.home, server_user()
    cluster = Cluster(home.postgres, user, Processes(home.run, home.log, user))
    state = home.load_state()
    assert cluster.stop()
    time.sleep(down_seconds)
    cluster.start(state.ports["postgres"], state.passwords)
