"""Processes that outlive the command which started them.

Each is started in a session of its own and recorded with its start time, so that a process id which the
system has given to somebody else in the meantime is never signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.lake.home import ServerUser

STOP_SECONDS = 15.0
KILL_SECONDS = 5.0
LONGEST_LOG_BYTES = 10_000_000
POLL_SECONDS = 0.05
_LAST_LINES = 12
"""Of a log, in a message."""
_STATE_FIELD, _SESSION_FIELD, _START_FIELD = 0, 3, 19  # of /proc/PID/stat, counted after the name in brackets


@dataclass(frozen=True)
class ProcessRecord:
    """One started process.

    Attributes
    ----------
    pid : int
        Its id, also the id of its session and process group.
    started : str
        Boot id and start time in clock ticks since boot: with the pid, unique.
    """

    pid: int
    started: str


def _stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _started(fields: list[str]) -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}:{fields[_START_FIELD]}"


def is_alive(record: ProcessRecord) -> bool:
    """Tell whether the very process that was recorded still runs."""
    fields = _stat_fields(record.pid)
    return fields is not None and fields[_STATE_FIELD] not in "ZX" and _started(fields) == record.started


def _session_members(record: ProcessRecord) -> list[int]:
    """Return the processes of the recorded session, its leader included.

    The system does not hand out a process id while a session of that id has members, so when the leader's id
    belongs to a process with another start time, the session is gone.
    """
    leader = _stat_fields(record.pid)
    if leader is not None and _started(leader) != record.started:
        return []
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat_fields(int(entry.name))
            if fields and fields[_STATE_FIELD] not in "ZX" and int(fields[_SESSION_FIELD]) == record.pid:
                members.append(int(entry.name))
    return members


class ChildIdentity(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that make a child run as another user."""

    user: int
    group: int
    extra_groups: list[int]
    umask: int


class Processes:
    """The recorded processes of one lake.

    Parameters
    ----------
    run : Path
        Folder of the records.
    log : Path
        Folder of the logs.
    user : ServerUser
        Who the processes run as.
    """

    def __init__(self, run: Path, log: Path, user: ServerUser) -> None:
        self._run = run
        self._log = log
        self._user = user

    def _record_file(self, name: str) -> Path:
        return self._run / f"{name}.pid"

    def record(self, name: str) -> ProcessRecord | None:
        """Return the record of a process, or None when none was started.

        Raises
        ------
        FatalError
            The record is damaged.
        """
        try:
            return ProcessRecord(**json.loads(self._record_file(name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise FatalError(f"{self._record_file(name)} cannot be read: {error}") from error

    def alive(self, name: str) -> bool:
        """Tell whether a recorded process runs."""
        record = self.record(name)
        return record is not None and is_alive(record)

    def start(self, name: str, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start a process in a session of its own, with its output in ``LOG/NAME.log``, and record it.

        Raises
        ------
        FatalError
            It ended at once.
        """
        record_file = self._record_file(name)
        log = self._log / f"{name}.log"
        if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
            log.replace(log.with_suffix(".old.log"))
        with log.open("ab") as output:
            os.fchmod(output.fileno(), 0o640)
            if self._user.dropped:
                os.fchown(output.fileno(), self._user.uid, self._user.gid)
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.identity(),
            )
        fields = _stat_fields(process.pid)
        if fields is None:
            raise FatalError(f"{name} ended at once; see {log}")
        record_file.write_text(json.dumps(asdict(ProcessRecord(process.pid, _started(fields)))), encoding="utf-8")
        # The process is meant to outlive this command: it is found again by its record.
        process.returncode = 0

    def identity(self) -> ChildIdentity:
        """Return the arguments of `subprocess.Popen` that make a child run as the server user."""
        if not self._user.dropped:
            return {}
        return ChildIdentity(user=self._user.uid, group=self._user.gid, extra_groups=[], umask=0o022)

    def wait_until(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until a started process does its work.

        Raises
        ------
        FatalError
            It ended, or it is not ready in time; the message ends with the last lines of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive(name):
                raise FatalError(f"{name} ended while starting. {self.last_lines(name)}")
            if time.monotonic() > deadline:
                raise FatalError(f"{name} was not ready after {seconds:.0f} s. {self.last_lines(name)}")
            time.sleep(POLL_SECONDS)

    def last_lines(self, name: str) -> str:
        """Return the end of a process's log, for a message."""
        log = self._log / f"{name}.log"
        if not log.exists():
            return f"It wrote no log ({log})."
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return f"The end of {log}:\n" + "\n".join(lines)

    def stop(
        self, names: Iterable[str], first_signal: signal.Signals = signal.SIGTERM, patience: float = STOP_SECONDS
    ) -> list[str]:
        """Stop recorded processes together: the signal, patience, then SIGKILL to what is left of their sessions.

        Returns
        -------
        list of str
            The names of those that ran.
        """
        records = {name: record for name in names if (record := self.record(name)) is not None}
        for record in records.values():
            _reap(record)
        running = {name: record for name, record in records.items() if _session_members(record)}
        for record in running.values():
            _signal_group(record, first_signal)
        stubborn = _wait_for_end(running, patience)
        for record in stubborn.values():
            for pid in _session_members(record):
                _signal(pid, signal.SIGKILL)
        _wait_for_end(stubborn, KILL_SECONDS)
        for name in records:
            self._record_file(name).unlink(missing_ok=True)
        return list(running)


def _wait_for_end(records: Mapping[str, ProcessRecord], seconds: float) -> dict[str, ProcessRecord]:
    """Wait until nothing of the recorded sessions runs; return those of which something still does in the end."""
    deadline = time.monotonic() + seconds
    waiting = dict(records)
    while waiting:
        for record in waiting.values():
            _reap(record)
        waiting = {name: record for name, record in waiting.items() if _session_members(record)}
        if not waiting or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    return waiting


def _reap(record: ProcessRecord) -> None:
    """Collect an ended child, when the process that stops the lake is the one that started it."""
    with suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)


def _signal_group(record: ProcessRecord, number: signal.Signals) -> None:
    if is_alive(record):
        _signal(record.pid, number)
        return
    for pid in _session_members(record):
        _signal(pid, number)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
