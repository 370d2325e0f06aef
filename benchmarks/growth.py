"""What must not grow with the number of items: the memory of a run, and the time that an item takes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson

from benchmarks.figures import Figure
from benchmarks.items import items
from stac_rucio_sync.model import Report
from stac_rucio_sync.settings import Settings, load_settings
from stac_rucio_sync.sources import ReadOptions, open_source
from stac_rucio_sync.stores.rucio.store import RucioStore
from stac_rucio_sync.stores.tables.store import PostgresStore
from stac_rucio_sync.sync import SyncJob, SyncOptions

MANY, THROUGH = 1_000_000, 30_000
ASSETS = 5
"""Make an item 1.5 kB."""
MOST_MEGABYTES = 300
MOST_APART = 0.2
"""By how much of the greater of them the rates of the first and the last third may differ, whichever it is."""
_PIECE = 1000
_PAUSE = 0.5


def memory(settings: Settings, count: int = MANY) -> list[Figure]:
    """Read, map and plan ``count`` items from standard input in a process of its own, and watch its memory."""
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "sync", "-", "--name", "growth", "--dry-run"]
    environment = os.environ | {"STAC_RUCIO_SYNC_DATABASE__URL": settings.database_url()}
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        samples: list[tuple[int, float]] = []
        sent = [0]
        watch = threading.Thread(target=_watch, args=(process, sent, samples), daemon=True)
        watch.start()
        octets = _send(process.stdin, count, sent)
        told = process.stderr.read().decode()
    watch.join()
    assert process.returncode == 0, told
    assert f"{count} read ({count} added)" in told, told
    most = max(megabytes for _, megabytes in samples)
    half = _most_of(samples, 0.25 * count, 0.5 * count)
    end = _most_of(samples, 0.75 * count, count)
    detail = f"{octets / count:,.0f} bytes an item, {count / (time.perf_counter() - started):,.0f} items/s"
    return [
        Figure(f"memory at {count:,} items", most, MOST_MEGABYTES, "MB", detail, at_least=False),
        Figure("its growth from the second quarter to the last", end / half, 1.1, "×", f"{half:.0f} to {end:.0f} MB",
               at_least=False),
    ]  # fmt: skip


def _send(stream: IO[bytes], count: int, sent: list[int]) -> int:
    octets = 0
    with stream:
        for start in range(0, count, _PIECE):
            number = min(_PIECE, count - start)
            piece = (
                b"\n".join(map(orjson.dumps, items(number, collection="growth", assets=ASSETS, start=start))) + b"\n"
            )
            octets += stream.write(piece)
            sent[0] = start + number
    return octets


def _watch(process: subprocess.Popen[bytes], sent: list[int], samples: list[tuple[int, float]]) -> None:
    """Note the resident memory against the items sent until the process ends."""
    status = Path(f"/proc/{process.pid}/status")
    told = 0
    while process.poll() is None:
        lines = status.read_text().splitlines()
        resident = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
        samples.append((sent[0], resident / 1000))
        if sent[0] >= told + 100_000:
            told = sent[0]
            print(f"  {told:,} items sent: {resident / 1000:.0f} MB", file=sys.stderr)
        time.sleep(_PAUSE)


def _most_of(samples: list[tuple[int, float]], first: float, last: float) -> float:
    return max(megabytes for number, megabytes in samples if first < number <= last)


def through(settings: Settings, count: int = THROUGH) -> list[Figure]:
    """Sync ``count`` new items of one file each, and compare the rates of the first and the last third."""
    name = f"growth-{uuid.uuid4().hex[:8]}"
    file = Path(settings.rucio.config or ".").with_name(f"{name}.ndjson")
    with file.open("wb") as stream:
        stream.writelines(_lines(count, name))
    settings = load_settings(flags=settings.model_dump(by_alias=True) | {"identity": {"scope": name}})
    met: list[tuple[int, float]] = []
    started = time.perf_counter()

    def progress(report: Report, _fraction: float | None) -> None:
        met.append((report.read, time.perf_counter() - started))
        if len(met) % 10 == 0:
            (before, then), (now, at) = met[-10], met[-1]
            print(f"  {now:,} items: {(now - before) / (at - then):.0f}/s", file=sys.stderr)

    tables, lake = PostgresStore.open(settings.database_url()), RucioStore(settings)
    try:
        source = open_source(str(file), name=name, options=ReadOptions())
        report = SyncJob(source, settings, tables, lake, SyncOptions(on_progress=progress)).run()
    finally:
        lake.close()
        tables.close()
        file.unlink()
    assert report.added == count, report
    first = _rate([point for point in met if point[0] <= count / 3][1:])  # the first batch logs in and makes the RSE
    last = _rate([point for point in met if point[0] >= count * 2 / 3])
    apart = abs(last - first) / max(first, last)
    detail = f"{first:.0f} items/s, at the end {last:.0f}, whole {count / report.seconds:.0f}"
    return [Figure(f"first and last third of {count:,} items", apart, MOST_APART, "apart", detail, at_least=False)]


def _lines(count: int, collection: str) -> Iterator[bytes]:
    for item in items(count, collection=collection, assets=1):
        yield orjson.dumps(item) + b"\n"


def _rate(points: list[tuple[int, float]]) -> float:
    (first, then), (last, at) = points[0], points[-1]
    return (last - first) / (at - then)
