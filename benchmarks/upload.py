"""Files uploaded per second, against Rucio's own client; hashing against a bare loop; the memory of a dry run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.figures import Figure, Way, in_turns, ratio_of, seconds
from stac_rucio_sync.executors import open_executor
from stac_rucio_sync.model import Did, Hashed
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import in_calls
from stac_rucio_sync.stores.rucio.uploads import COPYING, RucioUploads
from stac_rucio_sync.upload.job import UploadJob
from stac_rucio_sync.upload.journal import Journal
from stac_rucio_sync.upload.request import BATCH_FILES, UploadRequest
from stac_rucio_sync.upload.targets import Targets
from stac_rucio_sync.upload.work import BLOCK, ReadTask, read

T = TypeVar("T")

RSE = "VIENNA-LOCALGROUPDISK"
FILES, FILE_BYTES, WORKERS = 1000, 100_000, 4
STOCK_FILES = 50
"""Rucio's client is given so many of the same files before ours, and as many after: its rate does not change."""
FEW, MANY = 1000, 100_000
_ASKED = ("held", "register", "make_available", "attach", "protect")
_ROUNDS = 9


def upload(settings: Settings) -> Iterator[Figure]:
    """Upload, hash and plan."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield from _sending(settings, Path(folder) / "sent")
        yield from _hashing(Path(folder) / "read")
        yield from _planning(settings, Path(folder) / "planned")


# ------------------------------------------------------------------------------------------------------------- sending


def _sending(settings: Settings, folder: Path) -> Iterator[Figure]:
    """Send the same files by Rucio's client, by ours, and by Rucio's client again; then only register them."""
    os.environ["RUCIO_CONFIG"] = str(settings.rucio.config)  # Rucio's client finds its configuration by this alone
    files = _files(folder, FILES, FILE_BYTES)
    run = uuid.uuid4().hex[:8]
    with closing(RucioUploads(settings)) as uploads:
        clock = Clock(uploads)
        _upload(uploads, folder / "0000", f"bench-{run}-warm")
        before = _by_rucio(uploads, files[:STOCK_FILES], f"bench-{run}-first")
        clock.seconds, requests = 0.0, uploads.requests
        ours = seconds(lambda: _upload(uploads, folder, f"bench-{run}-ours"))
        requests, asking = uploads.requests - requests, clock.seconds
        after = _by_rucio(uploads, files[-STOCK_FILES:], f"bench-{run}-last")
        alone = _registered_only(uploads, f"bench-{run}-alone")
    stock = (before + after) / (2 * STOCK_FILES)
    yield Figure(
        f"files of {FILE_BYTES // 1000} kB uploaded, {WORKERS} workers",
        FILES / ours * stock,
        3,
        "× rucio upload",
        f"{FILES / ours:,.0f} files/s, rucio upload {1 / stock:,.1f} files/s",
    )
    yield Figure(
        "the same, against only registering them",
        alone / ours,
        0.5,
        "× as fast",
        f"{asking:.1f} of {ours:.1f} s in {requests} calls to Rucio, which take {alone:.1f} s where nothing is sent",
    )


class Clock:
    """Adds up the time that the calls of an edge to Rucio take."""

    def __init__(self, uploads: RucioUploads) -> None:
        self.seconds = 0.0
        for name in _ASKED:
            setattr(uploads, name, self._timed(getattr(uploads, name)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the call takes and gives
            started = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


def _upload(uploads: RucioUploads, path: Path, scope: str) -> None:
    """Upload as the command does, with a journal on disk."""
    request = UploadRequest((path,), RSE, scope, dataset=Did(scope, "nights"))
    targets = Targets(uploads, RSE, request.dataset, "wan")
    uploads.ensure_scope(scope)  # a job that has to make it remarks on it
    file = path.parent / f"{scope}.sqlite"
    with closing(Journal(file)) as journal, open_executor(WORKERS) as executor:
        report = UploadJob(request, uploads, journal, targets, executor).run()
    assert report.is_clean, report
    assert not report.remarks, report.remarks


def _by_rucio(uploads: RucioUploads, files: Sequence[Path], scope: str) -> float:
    """Upload by Rucio's command; return the seconds, without those of its start and log-in."""
    uploads.ensure_scope(scope)
    program = str(Path(sys.executable).with_name("rucio"))
    starting = seconds(lambda: _run([program, "whoami"]))
    return seconds(lambda: _run([program, "upload", "--rse", RSE, "--scope", scope, *map(str, files)])) - starting


def _registered_only(uploads: RucioUploads, scope: str) -> float:
    """Make the calls to Rucio that no upload can do without, with nothing read or sent; return their seconds."""
    dataset = Did(scope, "nights")
    uploads.ensure_scope(scope)
    uploads.ensure_dataset(dataset)
    uploads.protect([dataset], RSE, None)
    hashed = Hashed(FILE_BYTES, "00000001", "0" * 32)
    started = time.perf_counter()
    for call in in_calls((Did(scope, f"f{number}") for number in range(FILES)), most=BATCH_FILES):
        uploads.held(call)
        refused = uploads.register(RSE, dict.fromkeys(call, (hashed, None)), COPYING)
        refused |= uploads.make_available(RSE, call) | uploads.attach(dataset, call)
        assert not refused, refused
        assert len(uploads.held(call)) == len(call)
    return time.perf_counter() - started


# ------------------------------------------------------------------------------------------------------------- hashing


def _hashing(folder: Path) -> Iterator[Figure]:
    """Read files that are in the machine's memory by ours and by a bare loop, in turns."""
    for count, size in ((1, 100_000_000), (FILES // 2, FILE_BYTES)):
        files = _files(folder / str(size), count, size)
        tasks = [ReadTask(file, size, file.stat().st_mtime_ns) for file in files]
        ours, bare = in_turns(_ROUNDS, _of_all(read, tasks), _of_all(_read_bare, files))
        rate, bare_rate = (count * size / median(times) / 1e6 for times in (ours, bare))
        yield Figure(
            f"files of {size / 1e6:g} MB read and hashed",
            ratio_of(ours, bare),
            0.8,
            "× bare loop",
            f"{rate:,.0f} MB/s, bare {bare_rate:,.0f} MB/s on one core",
        )


def _of_all(work: Callable[[T], object], things: Sequence[T]) -> Way:
    """Return the way that does a work for all things, one after the other."""
    return lambda _: seconds(lambda: [work(thing) for thing in things])


def _read_bare(path: Path) -> tuple[int, bytes]:
    adler, md5 = 1, hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - bare
        while block := file.read(BLOCK):
            adler = zlib.adler32(block, adler)
            md5.update(block)
    return adler, md5.digest()


# ------------------------------------------------------------------------------------------------------------ planning


def _planning(settings: Settings, folder: Path) -> Iterator[Figure]:
    """Plan few files and many in processes of their own, and compare the most memory that each had."""
    _files(folder / "few", FEW, 0)
    _files(folder / "many", MANY, 0)
    few, _ = _planned(settings, folder / "few")
    many, taken = _planned(settings, folder / "many")
    yield Figure(
        f"memory of a dry run over {MANY:,} files",
        many / few,
        1.1,
        f"× that of {FEW:,}",
        f"{few:.0f} and {many:.0f} MB; {MANY / taken:,.0f} files/s",
        at_least=False,
    )


def _planned(settings: Settings, folder: Path) -> tuple[float, float]:
    """Return the most megabytes that a dry run had, and its seconds."""
    environment = os.environ | {"STAC_RUCIO_SYNC_RUCIO__CONFIG": str(settings.rucio.config)}
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "upload", str(folder), "--rse", RSE]
    command += ["--scope", "bench", "--dry-run", "--json"]
    started = time.perf_counter()
    most = 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, _peak_megabytes(process.pid))
            time.sleep(0.02)
    assert process.returncode == 0
    return most, time.perf_counter() - started


def _peak_megabytes(pid: int) -> float:
    """Return the most memory that a process had since it began its program; what `wait4` tells is its parent's, too."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def _files(folder: Path, count: int, size: int) -> list[Path]:
    """Make files that all differ, a thousand a folder."""
    files = []
    for number in range(count):
        file = folder / f"{number // 1000:04}" / f"frame{number % 1000:04}.fits"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size))
        files.append(file)
    return files


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
