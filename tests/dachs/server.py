"""A DaCHS of Debian's packages, made afresh in a database that holds the tables of the archive, on loopback."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from stac_rucio_sync.lake.home import server_user

PROGRAM = "/usr/bin/dachs"
_COMMAND_SECONDS = 300.0
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Dachs:
    """One installation: its folder and its port."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def make(self, dsn: str) -> None:
        """Write its settings and make its folders, roles and tables.

        Parameters
        ----------
        dsn
            How a superuser connects to the database that it is to live in: host, port, dbname, user, password.
        """
        user = server_user()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o755, parents=True)
        (self.folder / "gavo.rc").write_text(
            f"[general]\nrootDir: {self.root}\ngroup: {grp.getgrgid(user.gid).gr_name}\n"
            f"[web]\nserverURL: {self.url}\nserverPort: {self.port}\nbindAddress: 127.0.0.1\nuser:\n"
            "sitename: DaCHS of the tests\n[ivoa]\nauthority: archive.example.org\n"
        )
        user.own(self.folder)
        self("init", "-d", dsn)

    def __call__(self, *arguments: str) -> str:
        """Run one of its commands; return what it says."""
        command = [PROGRAM, *arguments]
        done = subprocess.run(
            command, **self._place(), capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
        )
        said: str = done.stdout + done.stderr
        assert done.returncode == 0, f"dachs {arguments[0]}:\n{said}"
        return said

    def descriptor(self, text: bytes, schema: str) -> Path:
        """Put a resource descriptor into its inputs; return the folder."""
        folder = self.root / "inputs" / schema
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "q.rd").write_bytes(text)
        server_user().own(folder, folder / "q.rd")
        return folder

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run its server until the end of the block."""
        log = self.folder / "serve.log"
        with log.open("wb") as said:
            server = subprocess.Popen([PROGRAM, "serve", "start", "-f"], **self._place(), stdout=said, stderr=said)
        until = time.monotonic() + _START_SECONDS
        try:
            while True:
                assert server.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < until, log.read_text(errors="replace")
                try:
                    if requests.get(f"{self.url}/tap/availability", timeout=30).ok:
                        break
                except requests.ConnectionError:
                    time.sleep(0.2)
            yield
        finally:
            server.terminate()
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                raise

    def _place(self) -> dict[str, Any]:
        """Return the arguments with which its programs run: as whom, where, and with which settings."""
        user = server_user()
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "GAVOSETTINGS": str(self.folder / "gavo.rc"),
            "GAVOCUSTOM": "/nonexistent",
        }
        identity = {"user": user.uid, "group": user.gid, "extra_groups": []} if user.dropped else {}
        return {"cwd": self.folder, "env": environment, **identity}
