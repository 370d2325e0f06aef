"""STILTS, the table tools of many VO users, as a client of the services."""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = shutil.which("stilts")
needs_stilts = pytest.mark.skipif(PROGRAM is None, reason="STILTS is not installed (Debian package stilts)")
TIME_LIMIT = 300


@dataclass(frozen=True)
class Said:
    """What a run of STILTS ended with."""

    code: int
    output: str
    errors: str


def stilts(task: str, **parameters: str | int | float | Path) -> Said:
    """Run a task; a parameter's name may end in an underscore where Python knows the word itself."""
    assert PROGRAM is not None
    arguments = [f"{name.rstrip('_')}={value}" for name, value in parameters.items()]
    # One heap for all tasks, and no threads for a garbage collection that they never need: JVMs start on busy cores.
    options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    done = subprocess.run(
        [PROGRAM, *options, task, *arguments], capture_output=True, text=True, check=False, timeout=TIME_LIMIT
    )
    return Said(done.returncode, done.stdout, done.stderr)


def table_of(task: str, folder: Path, **parameters: str | int | float | Path) -> list[dict[str, str]]:
    """Run a task that makes a table; return its rows as texts."""
    out = folder / f"{task}.csv"
    said = stilts(task, **parameters, out=out, ofmt="csv")
    assert said.code == 0, said.errors
    with out.open(newline="") as lines:
        return list(csv.DictReader(lines))
