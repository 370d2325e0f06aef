"""What workers do with single files: read them, send them. Pure of journals and Rucio servers, so any process can."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from stac_rucio_sync.errors import ItemError, SyncError
from stac_rucio_sync.http.servers import Servers
from stac_rucio_sync.model import Hashed
from stac_rucio_sync.model.storage import UNFINISHED

if TYPE_CHECKING:
    from stac_rucio_sync.stores.storage.protocols import Put, StorageElement

BLOCK: Final = 1 << 20
"""Bytes that are read at a time."""


class ChangedError(ItemError):
    """A file changed while it was read."""


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A file to be read."""

    path: Path
    bytes: int
    mtime_ns: int
    """Size and time as they were when the file was found."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How the storage of an RSE is reached: all that a worker must know of it."""

    settings: Mapping[str, Any]
    """What Rucio says of the RSE."""
    token: str | None = None
    certificates: str | None = None
    domain: str = "wan"

    def key(self) -> bytes:
        """Return what tells it from others."""
        return orjson.dumps((dict(self.settings), self.token, self.certificates, self.domain), default=str)


@dataclass(frozen=True, slots=True)
class SendTask:
    """A file to be sent."""

    file: ReadTask
    storage: Storage
    target: str
    """Its place below the RSE's prefix."""
    hashed: Hashed | None
    """What reading it told; None: it is read while it is sent."""
    may_be_there: bool = False
    """An earlier attempt may have come to its end."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that lies in the storage."""

    pfn: str
    """The address that it was written to."""
    hashed: Hashed
    passed_over: tuple[str, ...] = ()
    """Why protocols that come before in the RSE's order did not take it."""
    again: int = 0
    """How often it was sent again after a failure that passes."""


def read(task: ReadTask) -> Hashed:
    """Read a file once, for its size and both checksums.

    Raises
    ------
    ChangedError
        It is not the file that was found.
    OSError
        It cannot be read.
    """
    count, adler, md5 = 0, 1, hashlib.md5(usedforsecurity=False)
    buffer = memoryview(bytearray(min(BLOCK, max(1, task.bytes + 1))))
    with task.path.open("rb", buffering=0) as file:
        while got := file.readinto(buffer):
            block = buffer[:got]
            adler = zlib.adler32(block, adler)
            md5.update(block)
            count += got
    check_unchanged(task)
    if count != task.bytes:
        raise ChangedError(f"it had {task.bytes} bytes when it was found, and {count} when it was read")
    return Hashed(count, f"{adler:08x}", md5.hexdigest())


def check_unchanged(task: ReadTask) -> None:
    """Raise `ChangedError` unless size and time are those of before."""
    status = task.path.stat()
    if (status.st_size, status.st_mtime_ns) != (task.bytes, task.mtime_ns):
        raise ChangedError("it changed while it was read")


def send(task: SendTask) -> Sent:
    """Send a file to the storage, and make sure that it arrived.

    Raises
    ------
    ChangedError
        It is not the file that was found: nothing of it stays there.
    RefusedError
        No protocol took it.
    OSError
        It cannot be read.
    """
    check_unchanged(task.file)
    element = _element(task.storage)
    hashed = task.hashed
    if hashed is not None:
        known = hashed
        put = element.put(task.file.path, task.target, lambda: known, may_be_there=task.may_be_there)
    else:
        put, hashed = _read_and_send(task, element)
    try:
        check_unchanged(task.file)
    except (ChangedError, OSError) as error:
        element.delete(task.target)
        raise ChangedError("it changed while it was sent") from error
    return Sent(put.pfn, hashed, put.passed_over, put.again)


def _read_and_send(task: SendTask, element: StorageElement) -> tuple[Put, Hashed]:
    """Read for the checksums while a protocol class reads for itself: the disk gives each block once."""
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(read, task.file)
        put = element.put(task.file.path, task.target, reading.result, may_be_there=task.may_be_there)
        return put, reading.result()


def discard(storage: Storage, target: str) -> str | None:
    """Take away what lies at a place, finished or not; return why that cannot be done, if it cannot."""
    element = _element(storage)
    for path in (target, target + UNFINISHED):
        try:
            element.delete(path)
        except SyncError as error:
            return str(error)
    return None


_HERE = threading.local()
_SERVERS = Servers()
"""What the threads of this process know of storages together: one that answers another thread is not away."""


def _element(storage: Storage) -> StorageElement:
    """Return this thread's connections to a storage."""
    from stac_rucio_sync.stores.storage.protocols import StorageElement  # noqa: PLC0415 - Rucio is imported when used

    known: dict[bytes, StorageElement] = _HERE.__dict__.setdefault("elements", {})
    key = storage.key()
    if key not in known:
        for element in known.values():
            element.close()
        known.clear()
        known[key] = StorageElement(storage.settings, storage.token, storage.certificates, storage.domain, _SERVERS)
    return known[key]
