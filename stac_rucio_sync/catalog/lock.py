"""The one writer of a repository: a lock that the kernel gives back when its owner ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stac_rucio_sync.errors import FatalError, TransientError

LOCK = "writer.lock"
_NEXT = "writer.next"
"""Held by the one who is next: whoever was the writer just now comes after those who wait already."""
_LOOK_AS_NEXT = 0.002
_LOOK = 0.01
_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


@contextmanager
def writer_lock(place: Path, wait: float = 600.0) -> Iterator[None]:
    """Be the one writer of the repository at ``place``; writers queue.

    Parameters
    ----------
    wait
        Seconds to wait for those before us.

    Raises
    ------
    TransientError
        Another writer still has it; the text says who.
    FatalError
        The disk takes no more of what is written.
    """
    until = time.monotonic() + wait
    with ExitStack() as held:
        with ExitStack() as queued:
            queued.enter_context(_locked(place, _NEXT, _LOOK, until))
            descriptor = held.enter_context(_locked(place, LOCK, _LOOK_AS_NEXT, until))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _ourselves(), 0)
        try:
            yield
        except OSError as error:
            if error.errno not in _OF_THE_DISK:
                raise
            raise FatalError(
                f"{place} cannot be written to: {error.strerror}; nothing of this commit is kept"
            ) from error
        finally:
            os.ftruncate(descriptor, 0)


def owner(place: Path) -> str | None:
    """Return who writes in a repository, in words; None: nobody says so."""
    try:
        said = json.loads((place / LOCK).read_bytes())
    except (OSError, ValueError):
        return None
    return f"process {said['pid']} on {said['host']} ({said['command']}), since {said['since']}"


@contextmanager
def _locked(place: Path, name: str, look: float, until: float) -> Iterator[int]:
    descriptor = os.open(place / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, place, look, until)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, place: Path, look: float, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TransientError(
                    f"{place} is being written to by {owner(place) or 'another process'}; try again when it is done"
                ) from None
            time.sleep(look)
        else:
            return


def _ourselves() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    said = {"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)[:200], "since": since}
    return json.dumps(said).encode()
