"""Items that state no sizes, an origin that takes its time to send their files, and what Rucio holds of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg

from tests.conftest import RunningLake
from tests.faults.harness import Trial
from tests.unit.loopback import Answer, Asked, Loopback, serving

FILES = 60
AT_A_TIME = 8
"""Files that the origin is asked for at a time."""
SECONDS = 100.0


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


def _item(number: int, scope: str, url: str) -> dict[str, Any]:
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


def streamed(lake: RunningLake, folder: Path, scope: str, url: str, *options: str, **environment: str) -> Trial:
    """Return a sync of those items, whose files are read for their sizes."""
    settings = {"SIZES": "stream", "ALLOW_PRIVATE_ADDRESSES": "true", "CONNECTIONS_PER_HOST": str(AT_A_TIME)}
    environment |= {f"STAC_RUCIO_SYNC_SYNC__{name}": value for name, value in settings.items()}
    trial = Trial(lake, folder, scope, 0, batch_items=20, environment=environment, options=options, workers=2)
    trial.file.write_text("".join(json.dumps(_item(number, scope, url)) + "\n" for number in range(FILES)))
    return trial


def begun(trial: Trial, server: Loopback, files: int, *, stderr: Any = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a sync, and return when so many files have been asked for."""
    process = trial.start(stderr=stderr)
    until = time.monotonic() + SECONDS
    while len(server.asked) < files:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    return process


def ended(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """Wait for a sync; return its exit code and its report."""
    with process:
        printed, _ = process.communicate(timeout=SECONDS)
    return process.returncode, json.loads(printed)


def measured(lake: RunningLake, scope: str) -> dict[int, tuple[int, str, str]]:
    """Return size and checksums of the scope's files in Rucio by their number."""
    assert lake.settings.database.admin_url is not None
    with psycopg.connect(lake.settings.database.admin_url.get_secret_value()) as connection:
        rows = connection.execute(
            "SELECT path, bytes, adler32, md5 FROM dev.replicas WHERE scope = %s AND state = 'A'", [scope]
        ).fetchall()
    assert len({path for path, *_ in rows}) == len(rows)
    return {number_of(path): (size, adler32, md5) for path, size, adler32, md5 in rows}
