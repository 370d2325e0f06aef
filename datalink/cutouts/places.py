"""Where a file lies that is read in ranges: on a web server, or on this machine's disk."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import requests
from requests.auth import AuthBase

from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import FileError, ForbiddenError, LoginError, UnavailableError
from stac_rucio_sync.addresses import public_url, server_of
from stac_rucio_sync.errors import SyncError
from stac_rucio_sync.http import Http, Patience, PrivateAddress, RefusedAnswer

_CHUNK: Final = 256 * 2**10
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Place(Protocol):
    """Gives ranges of one file."""

    name: str
    """As it may be shown."""
    size: int
    """Bytes; known once it is open."""
    is_far: bool
    """Whether it pays to have several ranges under way."""

    def open(self, length: int, until: float) -> bytes:
        """Return the first bytes, as many as that or all; until that time (monotonic seconds)."""

    def fetch(self, start: int, stop: int, until: float) -> bytes:
        """Return a range that lies within the file; may be called by several threads."""

    def close(self) -> None:
        """Let go of it."""


class LocalPlace:
    """A file on this machine.

    Raises
    ------
    UnavailableError
        It is not there, is no plain file, or may not be read.
    """

    is_far = False

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.size = 0
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            told = os.fstat(self._descriptor)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"{self.name} cannot be opened: {_reason(error)}") from error
        if not stat.S_ISREG(told.st_mode):
            self.close()
            raise UnavailableError(f"{self.name} is no file")
        self.size = told.st_size

    def open(self, length: int, until: float) -> bytes:
        """Return the first bytes."""
        return self.fetch(0, min(length, self.size), until)

    def fetch(self, start: int, stop: int, _: float) -> bytes:
        """Return a range."""
        pieces: list[bytes] = []
        try:
            while start < stop:
                piece = os.pread(self._descriptor, stop - start, start)
                if not piece:
                    raise UnavailableError(f"{self.name} became shorter while it was read")
                pieces.append(piece)
                start += len(piece)
        except OSError as error:
            raise UnavailableError(f"{self.name} cannot be read: {_reason(error)}") from error
        return b"".join(pieces)

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class WebPlace:
    """A file on a web server.

    Parameters
    ----------
    url
        http or https.
    limits
        Whether it may have a private address, and how long a file is read whole.
    token
        A bearer token, sent to that server only.
    """

    is_far = True

    def __init__(self, url: str, limits: Limits, token: str | None) -> None:
        self.name = public_url(url)
        self.size = 0
        self._url = url
        self._limits = limits
        self._version: str | None = None
        self._whole: LocalPlace | None = None
        patience = Patience(attempts=3, backoff=0.2, connect=10.0, read=limits.answer_seconds)
        # Made anew for each file: it remembers servers that failed, and one request must not close them to the next.
        self._http = Http(
            allow_private=limits.allow_private,
            patience=patience,
            logins={} if token is None else {server_of(url): _Bearer(token)},
        )

    def open(self, length: int, until: float) -> bytes:
        """Ask for the first bytes, and so for the size and whether the server knows ranges."""

        def take(response: requests.Response) -> bytes:
            self._refuse_encoded(response)
            self._version = _version(response)
            if response.status_code != 206:
                self._whole = self._read_whole(response, until)
                self.size = self._whole.size
                return self._whole.fetch(0, min(length, self.size), until)
            first, last, self.size = self._range_of(response)
            if first != 0 or last != min(length, self.size) - 1:
                raise UnavailableError(f"{self.name} answers with another range than was asked for")
            return self._body(response, last + 1, until)

        return self._ask(0, length, take)

    def fetch(self, start: int, stop: int, until: float) -> bytes:
        """Return a range."""

        def take(response: requests.Response) -> bytes:
            self._refuse_encoded(response)
            if response.status_code != 206:
                raise UnavailableError(f"{self.name} answered ranges first, and then no more")
            if self._range_of(response) != (start, stop - 1, self.size) or _version(response) != self._version:
                raise UnavailableError(f"{self.name} changed while it was read")
            return self._body(response, stop - start, until)

        if self._whole is not None:
            return self._whole.fetch(start, stop, until)
        return self._ask(start, stop, take) if start < stop else b""

    def close(self) -> None:
        """Close its connections."""
        self._http.close()
        if self._whole is not None:
            self._whole.close()

    # ---------------------------------------------------------------------------------------------------- answers

    def _ask(self, start: int, stop: int, take: Callable[[requests.Response], bytes]) -> bytes:
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        with self._translated():
            return self._http.ask("GET", self._url, take, headers=headers)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PrivateAddress as error:
            raise ForbiddenError(
                f"{self.name} lies at a private or loopback address, from which this service reads nothing"
            ) from error
        except RefusedAnswer as error:
            if error.status == 401:
                raise LoginError(str(error)) from error
            if error.status == 403:
                raise ForbiddenError(str(error)) from error
            if error.status == 416 and self.size == 0:
                raise FileError(f"{self.name} is empty") from error
            raise UnavailableError(str(error)) from error
        except SyncError as error:
            raise UnavailableError(str(error)) from error

    def _refuse_encoded(self, response: requests.Response) -> None:
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise UnavailableError(f"{self.name} is sent compressed, although that was not asked for")
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise UnavailableError(f"{self.name}: an HTML page (a log-in form?) comes in place of the file")

    def _range_of(self, response: requests.Response) -> tuple[int, int, int]:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if match is None:
            raise UnavailableError(f"{self.name} answers with a range and does not say which")
        return int(match[1]), int(match[2]), int(match[3])

    def _body(self, response: requests.Response, length: int, until: float) -> bytes:
        pieces: list[bytes] = []
        for piece in self._pieces(response, until):
            pieces.append(piece)
            length -= len(piece)
            if length < 0:
                raise UnavailableError(f"{self.name} sends more than it says")
        if length:
            raise ConnectionError("the body is shorter than its range")  # which is tried again
        return b"".join(pieces)

    def _pieces(self, response: requests.Response, until: float) -> Iterator[bytes]:
        for piece in response.iter_content(_CHUNK):
            if time.monotonic() > until:
                raise UnavailableError(f"{self.name} could not be read in time")
            yield piece

    def _read_whole(self, response: requests.Response, until: float) -> LocalPlace:
        """Read a file whole, onto the disk: its server knows no ranges."""
        stated, length = response.headers.get("Content-Length", ""), 0
        if stated.isdigit():
            self._check_length(int(stated))
        with tempfile.NamedTemporaryFile(prefix="cutout-") as file:
            for piece in self._pieces(response, until):
                length += len(piece)
                self._check_length(length)
                file.write(piece)
            file.flush()
            if length == 0:
                raise FileError(f"{self.name} is empty")
            return LocalPlace(Path(file.name))  # which stays open when the name goes

    def _check_length(self, length: int) -> None:
        most = self._limits.unranged_bytes
        if length > most:
            raise UnavailableError(
                f"the server of {self.name} gives no ranges, and only files up to {most} bytes are read whole"
            )


class _Bearer(AuthBase):
    """Sends a token. As ``auth`` it goes before what a .netrc says, and a redirect to another server drops it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _version(response: requests.Response) -> str | None:
    """Return what changes with the file; weak validators may change without it, and those differ between mirrors."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else None


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
