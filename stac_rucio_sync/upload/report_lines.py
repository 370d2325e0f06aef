"""The report of an upload on disk: JSON lines, one a file, valid at every moment.

A line is one write, so that a reader sees whole lines only. Of a line that a crash cut short nothing stays: it is cut
off before the next is written. Runs follow each other in one file; the last line of a path is the one that counts.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import orjson

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import Uploaded

_BLOCK: Final = 64 * 1024
_BEGINNING: Final = b'{"path":'
"""Of every line: what begins otherwise is no report, and is not touched."""


def line_of(uploaded: Uploaded) -> bytes:
    """Return the line of a file; where a sentence quotes a name that is no UTF-8, its bytes are written out."""
    said = {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in uploaded.as_json().items()
    }
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


class ReportLines:
    """The file of a report, open for more lines; for one thread.

    Parameters
    ----------
    file
        Where it is, or is to be.

    Raises
    ------
    UsageError
        It cannot be written, another upload writes it, or it holds something else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._open = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(f"the report {file} cannot be written: {error.strerror}") from error
        try:
            self._end = self._whole_lines()
        except BaseException:
            os.close(self._open)
            raise

    def write(self, uploaded: Uploaded) -> None:
        """Add the line of a file.

        Raises
        ------
        FatalError
            The disk takes no more; the report has whole lines only all the same.
        """
        line = line_of(uploaded)
        try:
            written = os.pwrite(self._open, line, self._end)
            if written < len(line):
                os.ftruncate(self._open, self._end)
                raise FatalError(f"the report {self._file} cannot be written: the disk is full")
        except OSError as error:
            raise FatalError(f"the report {self._file} cannot be written: {error.strerror}") from error
        self._end += len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._open)

    def _whole_lines(self) -> int:
        """Return where the next line goes, and cut off what a crash left of one."""
        try:
            fcntl.flock(self._open, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(self._open).st_size
            beginning = os.pread(self._open, len(_BEGINNING), 0)
        except BlockingIOError as error:
            raise UsageError(f"another upload writes the report {self._file}") from error
        except OSError as error:
            raise UsageError(f"the report {self._file} cannot be written: {error.strerror}") from error
        if not _BEGINNING.startswith(beginning):
            raise UsageError(f"{self._file} is there already and is no report of an upload: name another file")
        end = self._after_last_line(size)
        if end < size:
            os.ftruncate(self._open, end)
        return end

    def _after_last_line(self, size: int) -> int:
        end = size
        while end > 0:
            start = max(0, end - _BLOCK)
            newline = os.pread(self._open, end - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return 0
