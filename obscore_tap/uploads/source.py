"""The bytes of an uploaded table, wherever they come from: limited, and decompressed where need be."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, Final

import requests

from obscore_tap.refusals import Refusal, TooLarge
from obscore_tap.uploads.requests import Upload, UploadLimits
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.http import Http, Patience, PrivateAddress, RefusedAnswer

_CHUNK: Final = 2**16
_IN_MEMORY: Final = 2**20
"""A fetched table that is larger waits in a temporary file."""
_GZIP: Final = b"\x1f\x8b"


class Budget:
    """The bytes that the tables of one request have left."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._left = limits.bytes

    def spend(self, size: int) -> None:
        """Count bytes.

        Raises
        ------
        TooLarge
            They are more than the request has left.
        """
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"the uploaded tables have more than {self._limits.bytes} bytes")

    def check(self, size: int) -> None:
        """Refuse bytes that would be too many, without counting them."""
        if size > self._left:
            self.spend(size)


@contextmanager
def opened(upload: Upload, limits: UploadLimits, budget: Budget) -> Iterator[Iterator[bytes]]:
    """Open a table that is uploaded.

    Yields
    ------
    iterator of bytes
        Its text in pieces, decompressed where it is gzip.

    Raises
    ------
    Refusal
        It cannot be fetched.
    TooLarge
        It has more bytes than the request has left; this comes up while it is read, too.
    """
    if isinstance(upload.source, str):
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            _fetch(upload, limits, budget, file)
            file.seek(0)
            yield _pieces(file, budget)
    else:
        upload.source.seek(0)
        yield _pieces(upload.source, budget)


def _pieces(file: IO[bytes], budget: Budget) -> Iterator[bytes]:
    first = file.read(_CHUNK)
    pieces = _inflated(first, file) if first.startswith(_GZIP) else _plain(first, file)
    for piece in pieces:
        budget.spend(len(piece))
        yield piece


def _plain(first: bytes, file: IO[bytes]) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = file.read(_CHUNK)


def _inflated(first: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """Decompress gzip by pieces of a limited size, however much a few bytes stand for."""
    inflate = zlib.decompressobj(wbits=31)
    piece = first
    try:
        while piece and not inflate.eof:
            yield inflate.decompress(piece, _CHUNK)
            piece = inflate.unconsumed_tail or file.read(_CHUNK)
    except zlib.error as error:
        raise Refusal("an uploaded table looks like gzip and is broken") from error
    if not inflate.eof:
        raise Refusal("an uploaded table is gzip and ends before its end")


def _fetch(upload: Upload, limits: UploadLimits, budget: Budget, file: IO[bytes]) -> None:
    url = str(upload.source)
    until = time.monotonic() + limits.seconds

    def take(response: requests.Response) -> None:
        file.seek(0)
        file.truncate()
        size = 0
        for piece in response.iter_content(_CHUNK):
            size += len(piece)
            budget.check(size)
            if time.monotonic() > until:
                raise Refusal(f"the table {upload.name} did not arrive within {limits.seconds:g} s")
            file.write(piece)

    patience = Patience(attempts=1, connect=min(10.0, limits.seconds), read=min(30.0, limits.seconds))
    # Made anew each time: it remembers origins that failed, and one request must not close them to the next.
    with closing(Http(allow_private=limits.allow_private, patience=patience, connections=1)) as http:
        try:
            http.ask("GET", url, take)
        except PrivateAddress as error:
            raise Refusal(
                f"the table {upload.name} lies at a private or loopback address, from which this service fetches none"
            ) from error
        except RefusedAnswer as error:
            raise Refusal(f"the table {upload.name} cannot be fetched: {error}") from error
        except SyncError as error:
            raise Refusal(f"the table {upload.name} cannot be fetched now: {error}") from error
