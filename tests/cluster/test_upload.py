"""An upload that two Dask workers read and send, one of which is killed while it sends."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.model import Hashed
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.stores.storage.protocols import StorageElement
from tests.cluster.workers import dask_cluster
from tests.conftest import RunningLake

RSE = "VIENNA-LOCALGROUPDISK"
_SECONDS = 200.0
_LARGE, _SMALL = 8, 40


def files_of(folder: Path) -> dict[str, str]:
    """Make files of 12 MB and of 50 kB; return the md5 of each by its name in Rucio."""
    made = random.Random(7)  # noqa: S311 - bytes, not secrets
    folder.mkdir()
    sums = {}
    for number in range(_LARGE + _SMALL):
        body = made.randbytes(12_000_000 if number < _LARGE else 50_000)
        name = f"{number:03}.dat"
        (folder / name).write_bytes(body)
        sums[f"{folder.name}..{name}"] = hashlib.md5(body).hexdigest()  # noqa: S324 - as Rucio has them
    return sums


def replicas(lake: RunningLake, scope: str) -> list[tuple[str, str, str]]:
    """Return name, state and md5 of each replica of a scope."""
    assert lake.settings.database.admin_url is not None
    with psycopg.connect(lake.settings.database.admin_url.get_secret_value()) as connection:
        found = connection.execute("SELECT name, state, md5 FROM dev.replicas WHERE scope = %s", [scope]).fetchall()
    return [(name, state, md5) for name, state, md5 in found]


def stored(below: Path) -> dict[str, str]:
    """Return the md5 of every file that lies there, finished or not."""
    return {
        path.name: hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324 - as above
        for path in below.rglob("*")
        if path.is_file()
    }


def start(lake: RunningLake, folder: Path, scope: str, cluster: str) -> subprocess.Popen[bytes]:
    program = str(Path(sys.executable).with_name("stac-rucio-sync"))
    command = [program, "--home", str(lake.home), "upload", str(folder), "--rse", RSE]
    command += ["--scope", scope, "--batch-size", "16", "--dask", cluster, "--json"]
    command += ["--journal", str(folder.with_suffix(".journal"))]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    with process:
        printed, _ = process.communicate(timeout=_SECONDS)
    return process.returncode, json.loads(printed)


def _until_something_is_on_its_way(process: subprocess.Popen[bytes], below: Path) -> None:
    until = time.monotonic() + _SECONDS
    while not list(below.rglob("*.rucio.upload")):
        assert time.monotonic() < until
        if process.poll() is not None:
            return
        time.sleep(0.005)


def test_a_killed_worker_costs_time_and_no_file(lake: RunningLake, scope: str, tmp_path: Path) -> None:
    sums = files_of(tmp_path / "night")
    below = Path(lake.facts["rses"][RSE]["folder"]) / scope
    with dask_cluster(tmp_path) as cluster:
        process = start(lake, tmp_path / "night", scope, cluster.address)
        _until_something_is_on_its_way(process, below)
        cluster.workers[0].kill()
        code, report = ended(process)
        assert (code, report["files"], report["uploaded"]) == (0, len(sums), len(sums)), report

        assert sorted(replicas(lake, scope)) == sorted((name, "A", md5) for name, md5 in sums.items())
        assert stored(below) == sums

        code, report = ended(start(lake, tmp_path / "night", scope, cluster.address))
        assert (code, report["present"], report["uploaded"], report["sent_bytes"]) == (0, len(sums), 0, 0)


@pytest.mark.slow
def test_workers_that_die_one_after_the_other_cost_no_file(lake: RunningLake, scope: str, tmp_path: Path) -> None:
    sums = files_of(tmp_path / "night")
    below = Path(lake.facts["rses"][RSE]["folder"]) / scope
    moments = random.Random(11)  # noqa: S311 - to be repeated
    with dask_cluster(tmp_path, allowed_failures=20) as cluster:
        process = start(lake, tmp_path / "night", scope, cluster.address)
        _until_something_is_on_its_way(process, below)
        kills = 0
        while process.poll() is None and kills < 8:
            cluster.workers[kills].kill()
            cluster.start_worker()
            kills += 1
            time.sleep(moments.uniform(0.2, 1.5))
        code, report = ended(process)
    assert kills > 2
    assert (code, report["uploaded"]) == (0, len(sums)), report
    assert sorted(replicas(lake, scope)) == sorted((name, "A", md5) for name, md5 in sums.items())
    assert stored(below) == sums


@pytest.mark.slow
def test_what_workers_still_send_for_a_killed_client_spoils_nothing(
    lake: RunningLake, scope: str, tmp_path: Path
) -> None:
    """The workers of a cluster outlive the client, and go on with what they were at beside the next run."""
    sums = files_of(tmp_path / "night")
    below = Path(lake.facts["rses"][RSE]["folder"]) / scope
    with dask_cluster(tmp_path) as cluster:
        for _ in range(4):
            with start(lake, tmp_path / "night", scope, cluster.address) as process:
                _until_something_is_on_its_way(process, below)
                process.kill()
        codes = [ended(start(lake, tmp_path / "night", scope, cluster.address))[0] for _ in range(2)]
    assert codes[1] == 0, codes  # the run beside them may count a file as failed
    assert sorted(replicas(lake, scope)) == sorted((name, "A", md5) for name, md5 in sums.items())
    assert stored(below) == sums


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize("left", ["part.rucio.upload", "part"])
def test_what_a_killed_attempt_left_is_replaced(
    lake: RunningLake, scope: str, tmp_path: Path, scheme: str, left: str
) -> None:
    """Dask does a call again whose worker died: the storage may hold part of the file, or the whole of it."""
    with closing(RucioUploads(lake.settings)) as uploads:
        settings = uploads.storage(RSE)
    settings["protocols"] = [one for one in settings["protocols"] if one["scheme"] == scheme]
    file, body = tmp_path / "file", b"whole" * 1000
    file.write_bytes(body)
    hashed = Hashed(len(body), f"{zlib.adler32(body):08x}", hashlib.md5(body).hexdigest())  # noqa: S324 - as above
    below = Path(lake.facts["rses"][RSE]["folder"])
    folder = below / scope
    folder.mkdir()
    (folder / left).write_bytes(b"part")
    for path in (folder, folder / left):
        shutil.chown(path, below.owner(), below.group())
    with closing(StorageElement(settings)) as storage:
        assert storage.put(file, f"{scope}/part", lambda: hashed).pfn.startswith(scheme)
    assert stored(folder) == {"part": hashed.md5}
