"""A site's own list of its files: one path a line, as storage systems write it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model.storage import StoredFile
from stac_rucio_sync.stores.rucio.consistency import path_below

_GZIP = b"\x1f\x8b"
_LONGEST = 64 * 1024


class Dump:
    """A list of the files of one RSE.

    Parameters
    ----------
    file
        Plain text or gzip. A line is a path below the RSE's prefix, a path with the prefix, or a whole address; spaces
        belong to it.
    prefixes
        Schemes and prefixes of the RSE's protocols, the longest first.

    Raises
    ------
    UsageError
        The file cannot be read.
    """

    def __init__(self, file: Path, prefixes: Iterable[tuple[str, str]]) -> None:
        self._file = file
        self._prefixes = list(prefixes)
        self._folders = sorted({prefix for _, prefix in self._prefixes if prefix != "/"}, key=len, reverse=True)
        try:
            self.written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            """When the list was made: the time of the file."""
        except OSError as error:
            raise UsageError(f"the dump {file} cannot be read: {error.strerror}") from error

    def files(self) -> Iterator[StoredFile]:
        """Yield the files, in the order of the list.

        Raises
        ------
        FatalError
            The list cannot be read to its end, or has a line that is no path.
        """
        try:
            with closing(self._opened()) as lines:
                number = 0
                while line := lines.readline(_LONGEST):
                    number += 1
                    if len(line) == _LONGEST:
                        raise FatalError(
                            f"{self._file}, line {number}: longer than 64 KiB, so this is no list of paths"
                        )
                    text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
                    if text:
                        yield StoredFile(self._path(text, number))
        except (OSError, EOFError) as error:
            raise FatalError(f"the dump {self._file} cannot be read to its end: {error}") from error

    def _opened(self) -> BinaryIO:
        with self._file.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
        return cast("BinaryIO", gzip.open(self._file)) if packed else self._file.open("rb")

    def _path(self, text: str, number: int) -> str:
        if "://" in text:
            path = path_below(text, self._prefixes)
            if path is None:
                raise FatalError(f"{self._file}, line {number}: {text} is not below a prefix of the RSE's protocols")
            return path
        for folder in self._folders:
            if text.startswith(folder):
                return text[len(folder) :]
        return text.removeprefix("./").lstrip("/")
