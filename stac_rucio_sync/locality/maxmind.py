"""Coordinates of addresses from a file in MaxMind's format."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from maxminddb import InvalidDatabaseError, Reader, open_database

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality.clients import Address
from stac_rucio_sync.locality.distance import Point, point_of

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class MaxMindFile:
    """A file with locations of addresses, opened again when another is put in its place.

    The file is mapped into memory, not read whole. It has to be replaced by renaming, as MaxMind's own updater does:
    a file that is overwritten while it is mapped can end the process.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    UsageError
        It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._stamp = self._stamp_now()
            self._reader = open_database(path)
        except (OSError, InvalidDatabaseError, ValueError) as error:
            raise UsageError(f"setting locality.maxmind: {path} cannot be read: {error}") from error

    def find(self, address: Address) -> Point | None:
        """Return where an address is, as far as the file tells."""
        try:
            record = self._current().get(address)
        except (InvalidDatabaseError, ValueError) as error:  # ValueError: IPv6 in a file that knows IPv4 only
            _log.warning("%s says nothing of %s: %s", self._path, address, error)
            return None
        location = record.get("location") if isinstance(record, Mapping) else None
        if not isinstance(location, Mapping):
            return None
        latitude, longitude = location.get("latitude"), location.get("longitude")
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            return None
        return point_of(latitude, longitude)

    def _current(self) -> Reader:
        """Return the reader of the file that lies there now; of the last good one where that is missing or broken."""
        try:
            stamp = self._stamp_now()
        except OSError:
            return self._reader
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._reopen()
        return self._reader

    def _reopen(self) -> None:
        try:
            # The old one is not closed: another thread may be reading it, and the last to drop it closes it.
            self._reader = open_database(self._path)
        except (OSError, InvalidDatabaseError, ValueError) as error:
            _log.warning("%s was replaced by what cannot be read, the old one stays in use: %s", self._path, error)

    def _stamp_now(self) -> _Stamp:
        stat = os.stat(self._path)  # noqa: PTH116 - asked at every request, and three times as fast as Path.stat
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


_open_files: dict[Path, MaxMindFile] = {}
_opening = threading.Lock()


def maxmind_file(path: Path) -> MaxMindFile:
    """Return the file at a path, opened once for the process.

    Raises
    ------
    UsageError
        It cannot be read.
    """
    with _opening:
        if path not in _open_files:
            _open_files[path] = MaxMindFile(path)
        return _open_files[path]
