"""A sync whose files two Dask workers read, one of which is killed: everything is done exactly once in effect."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stac_rucio_sync.executors import open_executor
from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Measured
from stac_rucio_sync.sizes import Sizer
from tests.cluster.streamed import AT_A_TIME, FILES, begun, content, ended, measured, origin, streamed
from tests.cluster.workers import dask_cluster
from tests.conftest import RunningLake
from tests.faults.harness import Trial, assert_same

_HASTY = Patience(attempts=2, backoff=0.01, connect=2.0, read=5.0)


def test_a_killed_worker_costs_time_and_no_file(lake: RunningLake, scope: str, tmp_path: Path) -> None:
    with origin(0.0) as server:
        reference = streamed(lake, tmp_path, scope + "r", server.url)
        assert reference.run()[0] == 0
        # Of an address only: another number may hold these digits by chance.
        port = re.compile(rf"(?<=127.0.0.1[:-]){urlsplit(server.url).port}(?!\d)")

    with origin(0.15) as server, dask_cluster(tmp_path) as cluster:
        trial = streamed(lake, tmp_path, scope + "k", server.url, "--dask", cluster.address)
        process = begun(trial, server, FILES // 3)
        cluster.workers[0].kill()
        code, report = ended(process)
        assert (code, report["added"], report["failed"], report["quarantined"]) == (0, FILES, 0, 0), report
        assert report["files"] == FILES
        # Only what had no answer when the worker was killed is read again.
        asked = Counter(server.paths())
        assert len(asked) == FILES
        assert asked.total() <= FILES + AT_A_TIME
        again, repeated = trial.run()
        assert (again, repeated["unchanged"], repeated["added"]) == (0, FILES, 0)
        assert Counter(server.paths()) == asked
        other = str(urlsplit(server.url).port)

    here = measured(lake, scope + "k")
    assert here == measured(lake, scope + "r")
    assert here[7] == (len(content("/7.fits")), here[7][1], hashlib.md5(content("/7.fits")).hexdigest())  # noqa: S324
    undisturbed = {table: [port.sub(other, row) for row in rows] for table, rows in reference.snapshot().items()}
    assert_same({table: sorted(rows) for table, rows in trial.snapshot().items()}, undisturbed)


@pytest.mark.slow
def test_a_sync_whose_cluster_is_lost_ends_and_goes_on_where_it_was(
    lake: RunningLake, scope: str, tmp_path: Path
) -> None:
    with origin(0.15) as server, dask_cluster(tmp_path) as cluster:
        trial = streamed(lake, tmp_path, scope, server.url, "--dask", str(cluster.file))
        with (tmp_path / "talk").open("wb") as talk:
            process = begun(trial, server, FILES // 2, stderr=talk)
            cluster.scheduler.kill()
            code, report = ended(process)
        assert code == 3
        assert "Traceback" not in (tmp_path / "talk").read_text()
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
