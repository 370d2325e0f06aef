"""The program git, for what no library does in the process: packs, clones, pushes, cleaning up."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from stac_rucio_sync.errors import FatalError

_STDERR = 2


def run_git(
    *arguments: str,
    given: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    talks: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run git; whether it could do its work is the caller's to see.

    Parameters
    ----------
    given
        Its standard input.
    environment
        Instead of ours.
    folder
        Where it runs.
    talks
        What it says goes to our stderr, for people, and is not kept.

    Raises
    ------
    FatalError
        It is not installed.
    """
    to = _STDERR if talks else subprocess.PIPE
    try:
        return subprocess.run(
            ["git", *arguments], stdin=given, env=environment, cwd=folder, check=False, stdout=to, stderr=to
        )
    except FileNotFoundError as error:
        raise FatalError(
            "the program git is not there: install it (Debian: git), or keep the catalogue with --backend filesystem"
        ) from error
