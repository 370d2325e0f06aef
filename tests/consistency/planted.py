"""An RSE of a test's own in the lake: files that lie there, replicas of them in Rucio, and audits of both."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner, Result

from stac_rucio_sync.cli import cli
from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json
from tests.conftest import RunningLake

SHARED_BY = "VIENNA-LOCALGROUPDISK"
"""The RSE on whose folder and WebDAV server the own ones have a folder each."""
DOMAINS = {domain: {"read": 1, "write": 1, "delete": 1} for domain in ("lan", "wan")}
NOW = ("--older-than", "0s")
"""What was planted counts as old."""


@dataclass(frozen=True)
class Planted:
    """One RSE, and the files of one scope there."""

    lake: RunningLake
    root: RucioCalls
    rse: str
    scope: str

    @property
    def folder(self) -> Path:
        rses = self.lake.facts["rses"]
        return Path(rses[self.rse]["folder"]) if self.rse in rses else Path(rses[SHARED_BY]["folder"]) / self.rse

    def did(self, name: str) -> Did:
        return Did(self.scope, name)

    def path(self, name: str) -> Path:
        """Return the place of a file by Rucio's own algorithm."""
        digest = hashlib.md5(f"{self.scope}:{name}".encode(), usedforsecurity=False).hexdigest()
        return self.folder / self.scope / digest[:2] / digest[2:4] / name

    def write(self, path: Path, content: bytes) -> Path:
        """Put a file at the storage, as its server does."""
        missing = [one for one in (path.parent, *path.parent.parents) if not one.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        owner = Path(self.lake.facts["rses"][SHARED_BY]["folder"]).stat()
        for one in (path, *missing):
            os.chown(one, owner.st_uid, owner.st_gid)
        return path

    def register(self, name: str, content: bytes, state: str = "A", rse: str | None = None, **more: Any) -> Did:
        """Register a replica, and put no file there."""
        self.root.send("add_replicas", rse or self.rse, [self._entry(name, content, state) | more])
        return self.did(name)

    def _entry(self, name: str, content: bytes, state: str) -> dict[str, Any]:
        return {
            **did_json(self.did(name)),
            "bytes": len(content),
            "adler32": f"{zlib.adler32(content):08x}",
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "state": state,
        }

    def register_elsewhere(self, *names: str) -> None:
        """Register a replica of files whose bytes are their names at another RSE, too: Rucio could copy from there."""
        self.root.send("add_replicas", SHARED_BY, [self._entry(name, name.encode(), "A") for name in names])

    def plant(self, name: str, content: bytes | None = None, state: str = "A") -> Path:
        """Register a replica, and put its file there."""
        content = name.encode() if content is None else content
        self.register(name, content, state)
        return self.write(self.path(name), content)

    def plant_all(self, names: Sequence[str]) -> None:
        """Plant files whose bytes are their names."""
        entries = [self._entry(name, name.encode(), "A") for name in names]
        self.root.send("add_replicas", self.rse, entries)
        for name in names:
            self.write(self.path(name), name.encode())

    def state(self, name: str) -> str | None:
        """Return the state of the replica at the RSE; None: there is none."""
        rows = self.root.send("list_replicas", [did_json(self.did(name))], all_states=True)
        return next((row["states"].get(self.rse) for row in rows), None)

    def dark(self, name: str, content: bytes = b"dark") -> Path:
        """Put a file among those of the scope that no replica accounts for."""
        return self.write(self.folder / self.scope / "dark" / name, content)

    def audit(self, *arguments: str, account: str = "root", rse: str | None = None) -> Result:
        """Run the command over the RSE, or over others, as an account."""
        environment = {
            "STAC_RUCIO_SYNC_RUCIO__CONFIG": self.lake.facts["accounts"][account],
            "STAC_RUCIO_SYNC_RUCIO__ACCOUNT": account,
        }
        line = ["--home", str(self.lake.home), "audit", rse or self.rse, *arguments]
        return CliRunner().invoke(cli, line, env=environment)

    def found(self, *arguments: str, whole: bool = False) -> tuple[dict[str, tuple[str, str]], dict[str, Any]]:
        """Return what an audit of the scope tells, sign and fate by the name of the file, and its report.

        ``whole``: of all that lies at the RSE; it asks for the names of all files of all tests.
        """
        scope = () if whole else ("--scope", self.scope)
        result = self.audit("--json", *scope, *arguments)
        assert result.exit_code in (0, 1), result.output + repr(result.exception)
        *lines, report = [orjson.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == (1 if report["remaining"] else 0)
        assert sum(report["counts"].values()) == report["replicas"] + report["files"], json.dumps(report)
        return {line["path"].rpartition("/")[2]: (line["sign"], line["fate"]) for line in lines}, report
