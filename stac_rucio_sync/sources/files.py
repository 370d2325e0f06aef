"""A file of items: lines of JSON, one JSON document, or GeoParquet; local, by http, or standard input; gzip or not.

What a file is called decides only between lines and a document; everything else is told by its first bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from io import BufferedReader, RawIOBase
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, cast

from stac_rucio_sync.addresses import is_http, public_url
from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.http import Http
from stac_rucio_sync.model import Change, Cursor
from stac_rucio_sync.sources.lines import DAMAGED, read_document, read_lines
from stac_rucio_sync.sources.protocol import Reading, ReadOptions, watched

STDIN = "-"
_LINES = (".ndjson", ".jsonl", ".geojsonl", ".ndjson.gz", ".jsonl.gz", ".geojsonl.gz")
_OTHERS = (".json.gz", ".geojson.gz", ".parquet", ".geoparquet", ".parquet.gz", ".geoparquet.gz", ".gz")
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BUFFER = 2**20


def is_file_name(location: str) -> bool:
    """Tell whether a name alone says that a location is a file of items."""
    name = location.partition("?")[0].lower() if is_http(location) else location.lower()
    return name == STDIN or name.endswith(_LINES + _OTHERS)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file that holds items."""

    name: str
    location: str
    options: ReadOptions
    http: Http | None = None
    """For a file at an http URL."""
    kind: str = "file"

    def read(self, cursor: Cursor | None) -> Reading:
        """Read the whole file: it has no cursor."""
        del cursor
        reading = Reading(filtered=bool(self.options.collections))
        if self.options.since is not None:
            reading.remarks.append("a file cannot be asked by --since: it was read whole")
        reading.changes = watched(self._changes(reading), reading, self.options)
        return reading

    def _changes(self, reading: Reading) -> Iterator[Change]:
        with self._opened() as file:
            if self.location != STDIN:
                reading.part = _Fraction(file)
            if not file.peek(2).startswith(_GZIP):
                yield from self._formats(file, reading)
                return
            with BufferedReader(cast(Any, _Unpacked(file)), _BUFFER) as stream:
                yield from self._formats(stream, reading)

    def _formats(self, stream: BufferedReader, reading: Reading) -> Iterator[Change]:
        shown = "standard input" if self.location == STDIN else self._shown()
        try:
            magic = stream.peek(4)[:4]
        except (OSError, *DAMAGED) as error:
            raise FatalError(f"{shown} cannot be read: {error}") from error
        if magic == _PARQUET:
            yield from self._parquet(stream, shown, reading)
        elif self.location == STDIN or self.location.partition("?")[0].lower().endswith(_LINES):
            yield from read_lines(stream, shown)
        else:
            yield from read_document(stream, shown, shown, reading)

    def _shown(self) -> str:
        return public_url(self.location) if self.http is not None else self.location

    def _parquet(self, stream: BufferedReader, shown: str, reading: Reading) -> Iterator[Change]:
        from stac_rucio_sync.sources.geoparquet import read_geoparquet  # noqa: PLC0415 - Arrow takes 50 MB

        rows = (0, 0)

        def on_rows(read: int, expected: int) -> None:
            nonlocal rows
            rows = (read, expected)
            reading.expected = expected

        reading.part = lambda: rows[0] / rows[1] if rows[1] else None
        if isinstance(stream.raw, _Unpacked) or not stream.seekable():
            with TemporaryFile() as unpacked:  # Parquet is read from its end
                try:
                    copyfileobj(stream, unpacked, _BUFFER)
                except (OSError, *DAMAGED) as error:
                    raise FatalError(f"{shown} is damaged or cut off: {error}") from error
                yield from read_geoparquet(unpacked, shown, on_rows)
        else:
            yield from read_geoparquet(stream, shown, on_rows)

    @contextmanager
    def _opened(self) -> Iterator[BufferedReader]:
        if self.location == STDIN:
            stream = BufferedReader(cast(Any, sys.stdin.buffer), _BUFFER)
            try:
                yield stream
            finally:
                stream.detach()  # else it would close standard input
        elif self.http is not None:
            with TemporaryFile(buffering=0) as file:
                try:
                    self.http.download(self.location, cast(IO[bytes], file))
                except OSError as error:
                    raise FatalError(f"{self._shown()} cannot be kept in a temporary file: {error.strerror}") from error
                finally:
                    self.http.close()
                with BufferedReader(cast(Any, file), _BUFFER) as stream:
                    yield stream
        else:
            try:
                local = Path(self.location).open("rb", buffering=0)  # noqa: SIM115 - closed below
            except OSError as error:
                raise FatalError(f"{self.location}: {error.strerror}") from error
            with BufferedReader(cast(Any, local), _BUFFER) as stream:
                yield stream


class _Unpacked(RawIOBase):
    """A gzip file, unpacked piece by piece.

    ``GzipFile.readinto`` fills its buffer or fails: where a file is cut off, the last buffer would be lost.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._unpacked = GzipFile(fileobj=file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - RawIOBase's own signature
        piece = self._unpacked.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._unpacked.close()
        super().close()


class _Fraction:
    """How far a file has been read, compressed bytes counted."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._size = file.seek(0, 2) if file.seekable() else 0
        if self._size:
            file.seek(0)

    def __call__(self) -> float | None:
        if self._file.closed:
            return 1.0
        return self._file.tell() / self._size if self._size else None
