"""A sync whose files two Dask workers read, one of which is killed: everything is done exactly once in effect."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.executors import open_executor
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Measured
from stac_rucio_sync.sizes import Sizer
from tests.cluster.workers import DaskCluster, dask_cluster
from tests.conftest import RunningLake
from tests.faults.harness import Trial, assert_same
from tests.unit.loopback import Answer, Asked, Loopback, serving

FILES = 60
_SECONDS = 60.0
_HASTY = Patience(attempts=2, backoff=0.01, connect=2.0, read=5.0)


def content(path: str) -> bytes:
    """Return the bytes of the file of that number: 100 to 160 kB."""
    number = number_of(path)
    return hashlib.sha256(str(number).encode()).digest() * (3200 + number * 30)


def number_of(path: str) -> int:
    return int(PurePosixPath(path).stem)


@contextmanager
def origin(seconds: float) -> Iterator[Loopback]:
    """Serve files, each after some time."""

    def answer(asked: Asked) -> Answer:
        time.sleep(seconds)
        return Answer(body=content(asked.path))

    with serving(answer) as server:
        yield server


def item(number: int, scope: str, url: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"tile-{number:03}",
        "collection": f"c-{scope}",
        "geometry": {"type": "Point", "coordinates": [number, 20]},
        "bbox": [number, 20, number, 20],
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "links": [],
        "assets": {"image": {"href": f"{url}/{scope}/{number}.fits", "type": "application/fits", "roles": ["data"]}},
    }


@dataclass(frozen=True)
class Streamed:
    """Syncs of the same items into scopes of their own."""

    lake: RunningLake
    folder: Path
    url: str

    def trial(self, scope: str, *options: str) -> Trial:
        settings = {"SIZES": "stream", "ALLOW_PRIVATE_ADDRESSES": "true", "CONNECTIONS_PER_HOST": "8"}
        environment = {f"STAC_RUCIO_SYNC_SYNC__{name}": value for name, value in settings.items()}
        trial = Trial(
            self.lake, self.folder, scope, 0, batch_items=20, environment=environment, options=options, workers=2
        )
        items = [item(number, scope, self.url) for number in range(FILES)]
        trial.file.write_text("".join(json.dumps(one) + "\n" for one in items))
        return trial


def measured(lake: RunningLake, scope: str) -> dict[int, tuple[int, str, str]]:
    """Return size and checksums of the scope's files in Rucio by their number."""
    assert lake.settings.database.admin_url is not None
    with psycopg.connect(lake.settings.database.admin_url.get_secret_value()) as connection:
        rows = connection.execute(
            "SELECT path, bytes, adler32, md5 FROM dev.replicas WHERE scope = %s AND state = 'A'", [scope]
        ).fetchall()
    assert len({path for path, *_ in rows}) == len(rows)
    return {number_of(path): (size, adler32, md5) for path, size, adler32, md5 in rows}


def killed_in_the_middle(trial: Trial, server: Loopback, cluster: DaskCluster) -> tuple[int, dict[str, Any]]:
    """Sync, and kill a worker when a third of the files has been asked for."""
    with trial.start() as process:
        until = time.monotonic() + _SECONDS
        while len(server.asked) < FILES // 3:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.01)
        cluster.workers[0].kill()
        printed, _ = process.communicate(timeout=_SECONDS)
    return process.returncode, json.loads(printed)


def test_a_killed_worker_costs_time_and_no_file(lake: RunningLake, scope: str, tmp_path: Path) -> None:
    with origin(0.0) as server:
        reference = Streamed(lake, tmp_path, server.url).trial(scope + "r")
        assert reference.run()[0] == 0
        port = server.url.rsplit(":", 1)[1]

    with origin(0.15) as server, dask_cluster(tmp_path) as cluster:
        trial = Streamed(lake, tmp_path, server.url).trial(scope + "k", "--dask", cluster.address)
        code, report = killed_in_the_middle(trial, server, cluster)
        assert (code, report["added"], report["failed"], report["quarantined"]) == (0, FILES, 0, 0), report
        assert report["files"] == FILES
        # Only what the killed worker was at, two threads of it, is read again.
        asked = Counter(server.paths())
        assert len(asked) == FILES
        assert asked.total() <= FILES + 2
        again, repeated = trial.run()
        assert (again, repeated["unchanged"], repeated["added"]) == (0, FILES, 0)
        assert Counter(server.paths()) == asked
        other = server.url.rsplit(":", 1)[1]

    here = measured(lake, scope + "k")
    assert here == measured(lake, scope + "r")
    assert here[7] == (len(content("/7.fits")), here[7][1], hashlib.md5(content("/7.fits")).hexdigest())  # noqa: S324
    undisturbed = {table: [row.replace(port, other) for row in rows] for table, rows in reference.snapshot().items()}
    assert_same({table: sorted(rows) for table, rows in trial.snapshot().items()}, undisturbed)


def test_a_sync_whose_cluster_is_lost_ends_and_goes_on_where_it_was(
    lake: RunningLake, scope: str, tmp_path: Path
) -> None:
    with origin(0.15) as server, dask_cluster(tmp_path) as cluster:
        trial = Streamed(lake, tmp_path, server.url).trial(scope, "--dask", str(cluster.file))
        with trial.start() as process:
            while len(server.asked) < FILES // 2:
                assert process.poll() is None
                time.sleep(0.01)
            cluster.scheduler.kill()
            printed, _ = process.communicate(timeout=_SECONDS)
        report = json.loads(printed)
        assert process.returncode == 3
        assert "connection to the Dask scheduler was lost" in report["error"]
        assert 0 < report["added"] < FILES
        cluster.file.unlink()
    with origin(0.0) as same, dask_cluster(tmp_path) as cluster:
        trial.file.write_text(trial.file.read_text().replace(server.url, same.url))
        code, report = trial.run()
        assert (code, report["failed"]) == (0, 0)
    assert len(measured(lake, scope)) == FILES


def test_workers_ask_no_private_addresses_unless_allowed(tmp_path: Path) -> None:
    with (
        origin(0.0) as server,
        dask_cluster(tmp_path, workers=1) as cluster,
        open_executor(1, cluster.address) as executor,
    ):
        href = server.url + "/1.fits"
        _, reasons, _ = Sizer("stream", patience=_HASTY, executor=executor).measure([href])
        assert "private" in reasons[href]
        assert server.asked == []
        known, _, _ = Sizer("stream", allow_private=True, patience=_HASTY, executor=executor).measure([href])
        assert known[href] == Measured(len(content(href)), known[href].adler32, known[href].md5)


@pytest.mark.parametrize("sizes", ["item", "head"])
def test_a_cluster_is_for_reading(lake: RunningLake, scope: str, tmp_path: Path, sizes: str) -> None:
    trial = Trial(lake, tmp_path, scope, 1, options=("--dask", "tcp://127.0.0.1:1", "--sizes", sizes))
    assert trial.run() == (2, {})
