"""Calls in threads and on real Dask processes: each is answered once, whatever dies meanwhile."""

from __future__ import annotations

import os
import platform
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import dask
import pytest
import trustme

from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.executors import ClusterLostError, WorkerLostError, open_executor, opening, perform
from stac_rucio_sync.http import RefusedAnswer
from stac_rucio_sync.settings import Dask
from tests.cluster import calls
from tests.cluster.workers import dask_cluster


def test_without_a_cluster_calls_are_done_in_threads_of_this_process(tmp_path: Path) -> None:
    with open_executor(2) as executor:
        assert set(executor.map(calls.process_after, [0.0] * 3)) == {os.getpid()}
        with pytest.raises(RefusedAnswer, match="no such file"):
            executor.submit(calls.refuse).result()
        busy = [executor.submit(calls.note_and_linger, tmp_path / "lines", 0.1) for _ in range(20)]
        assert busy[0].result() == os.getpid()
    # Leaving the block ends what was begun, and begins nothing more.
    assert sum(not call.cancelled() for call in busy) == len((tmp_path / "lines").read_text().splitlines()) < 20


def test_a_cluster_does_calls_and_outlives_a_killed_worker(tmp_path: Path) -> None:
    with dask_cluster(tmp_path) as cluster, open_executor(1, cluster.address) as executor:
        cluster_processes = {worker.pid for worker in cluster.workers}
        assert set(executor.map(calls.process_after, [0.2] * 8)) <= cluster_processes

        # Two equal calls are two calls: a file that is sent again is not taken as sent.
        equal = [executor.submit(calls.note, tmp_path / "lines") for _ in range(2)]
        assert all(call.result() in cluster_processes for call in equal)
        assert (tmp_path / "lines").read_text().count("called") == 2

        with pytest.raises(RefusedAnswer, match="no such file") as refused:
            executor.submit(calls.refuse).result()
        assert refused.value.status == 404
        with pytest.raises(TransientError, match="the server is down"):
            executor.submit(calls.fail).result()
        with pytest.raises(FileNotFoundError) as missing:
            executor.submit(calls.read, tmp_path / "nothing").result()
        assert missing.value.__notes__ == [f"on the worker {platform.node()}"]

        # The first worker that takes this call dies with it, and with whatever else it was doing.
        beside = [executor.submit(calls.process_after, 0.3) for _ in range(6)]
        survivor = executor.submit(calls.die_once, tmp_path / "marker").result(timeout=60)
        assert [worker.pid for worker in cluster.workers if worker.poll() is None] == [survivor]
        assert len([call.result(timeout=60) for call in beside]) == 6


def test_leaving_the_block_withdraws_what_has_no_answer(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=1) as cluster:
        started = time.monotonic()
        with open_executor(1, str(cluster.file)) as executor:
            answered = executor.submit(calls.process_after, 0.0)
            answered.result(timeout=60)
            unanswered = [executor.submit(calls.process_after, 100.0) for _ in range(4)]
        assert time.monotonic() - started < 90
        assert answered.result() == cluster.workers[0].pid
        assert wait(unanswered, timeout=1).not_done == set()
        assert all(call.cancelled() for call in unanswered)
        with pytest.raises(RuntimeError):
            executor.submit(calls.process_after, 0.0)


def test_a_call_that_kills_its_workers_fails_alone(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, allowed_failures=0) as cluster, open_executor(1, cluster.address) as executor:
        deadly = executor.submit(calls.die)
        with pytest.raises(WorkerLostError, match="1 Dask workers died"):
            deadly.result(timeout=60)
        assert executor.submit(calls.process_after, 0.0).result(timeout=60) in {w.pid for w in cluster.workers}


def test_a_cluster_without_workers_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=0) as cluster:
        with pytest.raises(FatalError, match=r"no worker came .* in 0.5 seconds"):  # noqa: SIM117
            with open_executor(1, cluster.address, Dask(wait=0.5)):
                pass
        worker = cluster.start_worker()
        with open_executor(1, cluster.address):
            pass
        with open_executor(1, cluster.address, Dask(wait=1)) as executor:
            call = executor.submit(calls.process_after, 60.0)
            worker.kill()
            with pytest.raises(ClusterLostError, match="no worker for 1 seconds"):
                call.result(timeout=60)
            with pytest.raises(ClusterLostError):
                executor.submit(calls.process_after, 0.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_calls_end_with_the_scheduler(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=1) as cluster, open_executor(1, cluster.address) as executor:
        call = executor.submit(calls.process_after, 60.0)
        cluster.scheduler.kill()
        with pytest.raises(ClusterLostError, match="scheduler was lost"):
            call.result(timeout=60)


def test_workers_with_other_versions_are_refused(tmp_path: Path) -> None:
    """A cluster of another release would measure and send by its own rules."""
    release = tmp_path / "release" / "stac_rucio_sync-99.0.dist-info"
    release.mkdir(parents=True)
    (release / "METADATA").write_text("Metadata-Version: 2.1\nName: stac-rucio-sync\nVersion: 99.0\n")
    with dask_cluster(tmp_path, workers=0) as cluster:
        cluster.start_worker(path=release.parent)
        with pytest.raises(FatalError, match=r"has version 99.0 of stac-rucio-sync, the client"):  # noqa: SIM117
            with open_executor(1, cluster.address):
                pass
    with pytest.raises(FatalError, match="the client 98.0"):  # one that comes later is met at its first call
        perform("98.0", calls.process_after, (0.0,), {})


def test_what_is_no_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_CONNECT_SECONDS", 0.2)
    for named, error, words in [
        ("no-such-file.json", UsageError, "no scheduler file"),
        ("gopher://127.0.0.1:1", UsageError, "gopher"),
        ("tcp://127.0.0.1:1", FatalError, "does not answer"),
    ]:
        with pytest.raises(error, match=words), open_executor(1, named):
            pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"stac-rucio-sync\[dask\]"), open_executor(1, "tcp://127.0.0.1:1"):
        pass


@pytest.mark.slow  # with all other tests beside it, Dask's own ten seconds for its loop were once too few
def test_a_cluster_with_tls_answers_who_has_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's keys are named where Dask looks for them: its configuration."""
    authority, files = trustme.CA(), {name: tmp_path / f"{name}.pem" for name in ("ca-file", "cert", "key")}
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(files["ca-file"])
    certificate.cert_chain_pems[0].write_to_path(files["cert"])
    certificate.private_key_pem.write_to_path(files["key"])
    keys = tuple(part for name, path in files.items() for part in (f"--tls-{name}", str(path)))
    with dask_cluster(tmp_path, workers=1, keys=keys) as cluster:
        assert cluster.address.startswith("tls://")
        with pytest.raises(UsageError, match="TLS"), open_executor(1, cluster.address):
            pass
        named = {"ca-file": files["ca-file"], "client.cert": files["cert"], "client.key": files["key"]}
        with (
            dask.config.set({f"distributed.comm.tls.{name}": str(path) for name, path in named.items()}),
            open_executor(1, cluster.address) as executor,
        ):
            assert executor.submit(calls.process_after, 0.0).result(timeout=60) == cluster.workers[0].pid
