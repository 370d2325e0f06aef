"""What the workers of a test's cluster are asked to do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.http import RefusedAnswer


def process_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def note(file: Path) -> int:
    """Append a line to a file."""
    with file.open("a") as lines:
        lines.write("called\n")
    return os.getpid()


def note_and_linger(file: Path, seconds: float) -> int:
    process = note(file)
    time.sleep(seconds)
    return process


def die_once(marker: Path) -> int:
    """Kill the first process that calls this."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise RefusedAnswer("no such file", 404)


def fail() -> None:
    raise TransientError("the server is down")


def read(file: Path) -> int:
    return len(file.read_bytes())
