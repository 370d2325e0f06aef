"""The Python environment of Rucio's server, made once and kept in the cache.

It is apart from the project's own: `rucio` (the server) and `rucio-clients` ship the same import folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.lake.home import ServerUser, cache_folder

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
OLDEST_PYTHON = (3, 11)
_COMPLETE = "complete"


def find_python(user: ServerUser) -> Path:
    """Find a Python that the server user can run.

    Raises
    ------
    FatalError
        There is none.
    """
    seen = []
    here = Path(os.path.realpath(sys.executable))
    named = [shutil.which(f"python3.{minor}", path="/usr/bin:/usr/local/bin:/bin") for minor in (11, 12, 13)]
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3", *named, str(here)):
        if candidate is None or not Path(candidate).exists():
            continue
        real = Path(os.path.realpath(candidate))
        if user.dropped and not all(user.can_traverse(folder) for folder in real.parents):
            seen.append(f"{candidate} (user {user.name!r} cannot reach {real})")
            continue
        probe = [candidate, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"]
        answer = subprocess.run(probe, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            seen.append(f"{candidate} (has no venv: install python3-venv)")
        elif tuple(map(int, answer.stdout.split())) < OLDEST_PYTHON:
            seen.append(f"{candidate} (older than 3.11)")
        else:
            return Path(candidate)
    raise FatalError("No Python can run Rucio's server: " + "; ".join(seen) + ".")


def ensure_environment(user: ServerUser, say: Callable[[str], None]) -> Path:
    """Return the folder of a complete server environment; make it when there is none.

    The name holds the versions, so a new release of the project makes a new environment; one that was left half
    made (no marker) is made again.

    Parameters
    ----------
    user : ServerUser
        Who will run it.
    say : callable
        Told what takes long.

    Raises
    ------
    FatalError
        The packages could not be installed; the message ends with what pip said.
    """
    python = find_python(user)
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    cache = cache_folder()
    folder = cache / f"rucio-server-41.5.1-python-{version}-{digest}"
    marker = folder / _COMPLETE
    if marker.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{folder.name}.lock"):
        if marker.exists():
            return folder
        say(f"making the environment of Rucio's server in {folder} (once, about 40 s)")
        shutil.rmtree(folder, ignore_errors=True)
        _run([str(python), "-m", "venv", str(folder)])
        _run(
            [
                str(folder / "bin" / "python"),
                *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--requirement", str(REQUIREMENTS)),
            ]
        )
        marker.touch()
    return folder


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    # The environment must be readable to the server user, whatever the caller's umask.
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)
    if done.returncode != 0:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise FatalError(f"Making the environment of Rucio's server failed at `{' '.join(command[:4])}`:\n{end}")
