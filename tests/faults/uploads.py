"""The upload as a process of its own, which is killed and resumed, and what Rucio and the storage hold afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from stac_rucio_sync.lake import servers
from stac_rucio_sync.lake.environment import ensure_environment
from stac_rucio_sync.lake.home import server_user
from stac_rucio_sync.lake.processes import Processes
from stac_rucio_sync.lake.sites import UPLOAD_RSES
from tests.conftest import RunningLake

RSE = "VIENNA-LOCALGROUPDISK"
_LONGEST = 300.0
"""Seconds that a run may take."""
_PATIENCE = 120.0
"""Seconds that Rucio's daemons may take to lock what was attached."""


def make_files(folder: Path, small: int, large: int = 0, large_bytes: int = 100_000_000) -> Path:
    """Fill a folder with files that all differ; the same ones each time."""
    chance = random.Random(f"{small} {large}")  # noqa: S311 - to be repeated, not to be secret
    for number in range(small):
        file = folder / f"night{number % 7}" / f"frame {number:04}.fits"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(chance.randrange(1, 40_000)))
    for number in range(large):
        # Between the others in the order of names, so that a kill meets them as often.
        with (folder / f"night{number % 7}" / f"frame {number:04} large.fits").open("wb") as file_:
            for _ in range(0, large_bytes, 1_000_000):
                file_.write(chance.randbytes(1_000_000))
    return folder


@dataclass(frozen=True)
class State:
    """What Rucio and the storage hold of one upload; moments and the scope's name left out."""

    files: dict[str, tuple[Any, ...]]
    """By name: bytes, adler32, md5, and of its replica: RSE, state, bytes, adler32, locks."""
    datasets: dict[str, list[str]]
    """By name: the names of the files in it."""
    rules: list[tuple[Any, ...]]
    storage: dict[str, str]
    """MD5 of the bytes of every file in the storage, by its path."""


@dataclass
class UploadTrial:
    """One folder that is brought to one scope of the lake by processes of the command line."""

    lake: RunningLake
    source: Path
    journals: Path
    options: tuple[str, ...] = ()
    """Further options of the command."""
    rse: str = RSE
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scope = "t" + uuid.uuid4().hex[:12]
        self.environment = {"RUCIO_CONFIG": self.lake.facts["accounts"]["ingest"], **self.environment}
        self.printed = self.journals / f"{self.scope}.log"

    def start(self, preface: str = "") -> subprocess.Popen[bytes]:
        """Start the upload, always the same command; ``preface`` is Python that the process runs before it."""
        program = f"{preface}\nfrom stac_rucio_sync.cli import main; main()"
        command = [sys.executable, "-c", program, "--home", str(self.lake.home), "upload", str(self.source)]
        command += ["--rse", self.rse, "--scope", self.scope, "--dataset", f"{self.scope}:nights", "--json"]
        command += ["--journal", str(self.journals / f"{self.scope}.sqlite"), *self.options]
        with self.printed.open("ab") as talk:
            return subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=talk, env={**os.environ, **self.environment}
            )

    def run(self) -> tuple[int, dict[str, Any]]:
        """Upload to the end; return the exit code and the report."""
        with self.start() as process:
            return ended(process)

    def killed_after(self, seconds: float) -> bool:
        """Upload and kill after some time; tell whether it was still running."""
        with self.start() as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return True
            return False

    def killed_at(self, place: str, call: int, *, before: bool = False) -> bool:
        """Upload, and kill as it comes out of (or into) so many calls of a method; tell whether it came there."""
        with self.start(_killing(place, call, before=before)) as process:
            return process.wait(_LONGEST) == -signal.SIGKILL

    # -------------------------------------------------------------------------------------------------- what there is

    @property
    def storage(self) -> Path:
        """The folder of this trial's files in the storage."""
        return Path(self.lake.facts["rses"][RSE]["folder"]) / self.scope

    def wanted_files(self) -> dict[str, str]:
        """Return the MD5 of the bytes by the place that the name gives in a deterministic RSE."""
        wanted = {}
        for file in self.source.rglob("*"):
            if file.is_file():
                # A space is no character of a name in Rucio: it is written as its code.
                name = "..".join(file.relative_to(self.source.parent).parts).replace(" ", "_x20_")
                wanted[self._place(name)] = hashlib.md5(file.read_bytes()).hexdigest()  # noqa: S324 - a checksum
        return wanted

    def _place(self, name: str) -> str:
        digest = hashlib.md5(f"{self.scope}:{name}".encode()).hexdigest()  # noqa: S324 - how Rucio names places
        return f"{digest[:2]}/{digest[2:4]}/{name}"

    def state(self) -> State:
        """Return what Rucio and the storage hold of this scope, when Rucio has locked what is attached."""
        admin = self.lake.settings.database.admin_url
        assert admin is not None
        deadline = time.monotonic() + _PATIENCE
        with psycopg.connect(admin.get_secret_value(), autocommit=True) as connection:
            while True:
                state = self._state(connection)
                open_locks = [row for row in state.files.values() if not row[-1]]
                if not open_locks or time.monotonic() > deadline:
                    return state
                time.sleep(0.3)

    def _state(self, connection: psycopg.Connection[Any]) -> State:
        files = connection.execute(
            "SELECT d.name, d.bytes, d.adler32, d.md5, e.rse, r.state::text, r.bytes, r.adler32, r.tombstone, "
            " (SELECT count(*) FROM dev.locks l WHERE (l.scope, l.name, l.rse_id) = (r.scope, r.name, r.rse_id)) "
            "FROM dev.dids d LEFT JOIN dev.replicas r USING (scope, name) LEFT JOIN dev.rses e ON e.id = r.rse_id "
            "WHERE d.scope = %s AND d.did_type = 'F'",
            [self.scope],
        ).fetchall()
        contents = connection.execute(
            "SELECT d.name, array_agg(c.child_name ORDER BY c.child_name) FROM dev.dids d "
            "LEFT JOIN dev.contents c USING (scope, name) WHERE d.scope = %s AND d.did_type <> 'F' GROUP BY d.name",
            [self.scope],
        ).fetchall()
        rules = connection.execute(
            "SELECT name, did_type::text, account, state::text, rse_expression, copies, expires_at IS NULL, "
            " locks_ok_cnt, locks_replicating_cnt, locks_stuck_cnt FROM dev.rules WHERE scope = %s ORDER BY name",
            [self.scope],
        ).fetchall()
        assert len({row[0] for row in files}) == len(files), "a file has two replicas"
        return State({row[0]: row[1:] for row in files}, dict(contents), rules, dict(self._stored()))

    def _stored(self) -> Iterator[tuple[str, str]]:
        for file in self.storage.rglob("*"):
            if file.is_file():
                yield str(file.relative_to(self.storage)), hashlib.md5(file.read_bytes()).hexdigest()  # noqa: S324 - a checksum


def assert_same(found: State, wanted: State) -> None:
    """Compare two states but for the places, which differ from scope to scope, and say how they differ."""
    assert (found.rules, found.datasets) == (wanted.rules, wanted.datasets)
    assert not differences(found.files, wanted.files)
    here, there = (
        {path.rpartition("/")[2]: digest for path, digest in state.storage.items()} for state in (found, wanted)
    )
    assert not differences(here, there)


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say in few words in what two of a `State` differ; nothing where they do not."""
    more, fewer = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    other = [(name, found[name], wanted[name]) for name in sorted(set(found) & set(wanted))]
    other = [entry for entry in other if entry[1] != entry[2]]
    said = f"{len(more)} too many {more[:2]}, {len(fewer)} missing {fewer[:2]}, {len(other)} differ {other[:2]}"
    return said if more or fewer or other else ""


def assert_whole(trial: UploadTrial, state: State) -> None:
    """Look whether all files of a trial are in the lake, their bytes in the storage, and nothing else."""
    assert not differences(state.storage, trial.wanted_files())
    assert set(state.files) == {path.rpartition("/")[2] for path in state.storage}
    for name, (size, adler32, md5, rse, replica, bytes_, adler32_, tombstone, locks) in state.files.items():
        assert (rse, replica, bytes_, adler32_) == (trial.rse, "A", size, adler32), name
        assert md5 == state.storage[trial._place(name)], name
        assert (tombstone, locks) == (None, 1), name
    assert state.datasets == {"nights": sorted(state.files)}
    count = len(state.files)
    assert state.rules == [("nights", "D", "ingest", "O", trial.rse, 1, True, count, 0, 0)]


def ended(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """Wait for an upload; return its exit code and its report (empty where it printed none)."""
    printed, _ = process.communicate(timeout=_LONGEST)
    return process.returncode, json.loads(printed) if printed else {}


def _killing(place: str, call: int, *, before: bool) -> str:
    module, kind, method = place.rsplit(".", 2)
    return f"""
import functools, importlib, os, signal, threading
kind = getattr(importlib.import_module({module!r}), {kind!r})
whole, lock, calls = getattr(kind, {method!r}), threading.Lock(), 0

def killed():
    global calls
    with lock:
        calls += 1
        if calls == {call}:
            os.kill(os.getpid(), signal.SIGKILL)

@functools.wraps(whole)
def killing(*arguments, **options):
    if {before!r}:
        killed()
    answer = whole(*arguments, **options)
    if not {before!r}:
        killed()
    return answer

setattr(kind, {method!r}, killing)
"""


@contextmanager
def server_down(lake: RunningLake, name: str) -> Iterator[None]:
    """Kill the lake's ``webdav`` or ``rucio`` server, and start it again at the end of the block."""
    home, user = lake.lake.home, server_user()
    processes = Processes(home.run, home.log, user)
    state = home.load_state()
    launcher = servers.Launcher(home, ensure_environment(user, lambda _: None), processes)
    assert processes.stop([name], signal.SIGKILL, patience=0.2)
    try:
        yield
    finally:
        if name == "rucio":
            launcher.start_rucio(state)
        else:
            shares: dict[str, dict[str, str | bool]] = {
                upload.share: {"root": str(home.rse / upload.share), "readonly": not upload.deterministic}
                for upload in UPLOAD_RSES
            }
            launcher.start_webdav(state.ports["webdav"], shares)
        launcher.wait(state)
