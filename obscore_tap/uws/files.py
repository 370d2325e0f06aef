"""Files of jobs: one folder a job, below the results folder of the service."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{24}")
_ORPHAN_SECONDS: Final = 3600.0
"""A folder younger than this may be of a job that is just being made."""
PART: Final = ".part"
"""End of the name of a file that is being written."""


class JobFiles:
    """The results folder. All processes that share a table of jobs share it, and nothing else does.

    Parameters
    ----------
    folder
        Made when it is first needed, open to its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, job_id: str, name: str) -> Path:
        """Return where a file of a job lies. Both names are made by this service, never by a client."""
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"{job_id!r} is no id of a job")
        return self._folder / job_id / name

    def fresh(self, job_id: str) -> Path:
        """Return a path for a new file of a job, in a folder that exists."""
        path = self.path(job_id, secrets.token_hex(8))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return path

    def write(self, path: Path, chunks: Iterable[bytes]) -> int:
        """Write a file that appears only when it is whole; return its bytes. What was written goes if it fails."""
        partial = path.with_name(path.name + PART)
        try:
            with partial.open("xb", buffering=2**18) as stream:
                size = sum(stream.write(chunk) for chunk in chunks)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def remove(self, job_id: str) -> None:
        """Remove all files of a job, if there are any."""
        shutil.rmtree(self.path(job_id, "").parent / job_id, ignore_errors=True)

    def keep_only(self, job_id: str, names: Iterable[str]) -> None:
        """Remove what a job that was cut off left half done."""
        kept = set(names)
        folder = self._folder / job_id
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def old_folders(self) -> Iterator[str]:
        """Yield the ids in the names of folders that are old enough to have a job."""
        limit = time.time() - _ORPHAN_SECONDS
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if _JOB_ID.fullmatch(path.name) and path.stat().st_mtime < limit:
                yield path.name
