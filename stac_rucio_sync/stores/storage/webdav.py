"""A storage that speaks WebDAV, asked through the HTTP session of Rucio's protocol class."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import requests

from stac_rucio_sync.errors import RefusedError, TransientError
from stac_rucio_sync.http import TRANSIENT_STATUS
from stac_rucio_sync.model import Hashed
from stac_rucio_sync.model.storage import StoredFile
from stac_rucio_sync.stores.storage.failures import repeating
from stac_rucio_sync.stores.storage.folder import BLOCK_BYTES, Unreadable, confined, hashed
from stac_rucio_sync.stores.storage.multistatus import ASKED, MalformedError, Resource, resources
from stac_rucio_sync.stores.storage.side_by_side import Listed, side_by_side

ATTEMPTS: Final = 4
FOLDERS_TOGETHER: Final = 8


class WebDavStorage:
    """The files below an address.

    Addresses are quoted here (RFC 3986 section 2.1): Rucio's class takes them as they are, and would delete the file
    ``a`` where ``a?b`` is meant.

    Parameters
    ----------
    address
        The prefix, ``https://host:port/path/``.
    connected
        Makes a protocol object that is connected: its ``session``, ``cert`` and ``timeout`` are used, by one thread.
    """

    def __init__(self, address: str, connected: Callable[[], Any]) -> None:
        self._address = address.rstrip("/") + "/"
        self._prefix = unquote(urlsplit(self._address).path, errors="surrogateescape")
        self._connected = connected
        self._here = threading.local()
        self._protocols: list[Any] = []

    @property
    def title(self) -> str:
        """As of `Storage`."""
        return self._address

    def close(self) -> None:
        """As of `Storage`."""
        while self._protocols:
            self._protocols.pop().session.close()
        self._here = threading.local()

    # ---------------------------------------------------------------------------------------------------- looking

    def files(self, folder: str, unreadable: Unreadable) -> Iterator[StoredFile]:
        """As of `Storage`; folders are asked one by one, for many servers refuse to list all at once."""
        start = f"{confined(folder.strip('/'))}/" if folder.strip("/") else ""

        def listed(here: str) -> Iterator[Listed[StoredFile]]:
            try:
                for resource in self._listed(here):
                    path = self._path_of(resource)
                    if resource.folder and path.rstrip("/") != here.rstrip("/"):
                        yield f"{path.rstrip('/')}/", None
                    elif path and not resource.folder:
                        yield None, StoredFile(path, resource.bytes, resource.changed)
            except RefusedError as error:
                if here == start:
                    raise
                unreadable(here.rstrip("/"), str(error))

        return side_by_side(start, listed, FOLDERS_TOGETHER)

    def probe(self) -> None:
        """Make sure that the server lists folders.

        Raises
        ------
        RefusedError, TransientError
            It does not.
        """
        for resource in self._listed("", depth="0"):
            self._path_of(resource)

    def look(self, path: str) -> StoredFile | None:
        """As of `Storage`."""
        for resource in self._listed(confined(path), depth="0"):
            if not resource.folder:
                return StoredFile(path, resource.bytes, resource.changed)
        return None

    def _listed(self, path: str, depth: str = "1") -> Iterator[Resource]:
        """Yield a folder and what is in it; nothing where there is none, and again from the first after a failure."""
        for attempt in repeating(ATTEMPTS):
            with attempt, self._sent("PROPFIND", path, data=ASKED, headers={"Depth": depth}) as answer:
                if answer.status_code in (404, 410) and path:
                    return
                if answer.status_code != 207:
                    raise _refusal(answer, "be listed")
                try:
                    yield from resources(answer.iter_content(BLOCK_BYTES))
                except MalformedError as error:
                    raise TransientError(f"{answer.url}: the answer to PROPFIND is malformed: {error}") from error

    def _path_of(self, resource: Resource) -> str:
        path = unquote(urlsplit(resource.href).path, errors="surrogateescape")
        if not f"{path}/".startswith(self._prefix):
            raise RefusedError(f"{self._address} lists {resource.href}, which is not below it")
        return path[len(self._prefix) :]

    # ----------------------------------------------------------------------------------------------- reading, deleting

    def hash(self, path: str) -> Hashed:
        """As of `Storage`."""
        for attempt in repeating(ATTEMPTS):
            with attempt, self._sent("GET", confined(path), headers={"Accept-Encoding": "identity"}) as answer:
                if answer.status_code != 200:
                    raise _refusal(answer, "be read")
                found = hashed(answer.iter_content(BLOCK_BYTES))
                stated = answer.headers.get("Content-Length", "")
                if stated.isdigit() and int(stated) != found.bytes:
                    raise TransientError(f"{answer.url}: {found.bytes} of {stated} bytes came")
        return found

    def delete(self, path: str) -> bool:
        """As of `Storage`; folders that become empty stay."""
        for attempt in repeating(ATTEMPTS):
            with attempt, self._sent("DELETE", confined(path)) as answer:
                if answer.status_code in (404, 410):
                    return False
                if answer.status_code not in (200, 202, 204):
                    raise _refusal(answer, "be deleted")
        return True

    @contextmanager
    def _sent(self, method: str, path: str, **options: Any) -> Iterator[requests.Response]:  # noqa: ANN401 - as of requests
        protocol = self._protocol()
        address = self._address + quote(path, errors="surrogateescape")
        try:
            with protocol.session.request(
                method, address, stream=True, timeout=protocol.timeout, cert=protocol.cert, **options
            ) as answer:
                if answer.status_code in TRANSIENT_STATUS:
                    raise TransientError(f"{address}: HTTP {answer.status_code}")
                yield answer
        except requests.exceptions.SSLError as error:
            raise RefusedError(f"{address}: {error}") from error
        except requests.RequestException as error:
            raise TransientError(f"{address}: {error}") from error

    def _protocol(self) -> Any:  # noqa: ANN401 - Rucio types its classes in part
        protocol = getattr(self._here, "protocol", None)
        if protocol is None:
            protocol = self._here.protocol = self._connected()
            self._protocols.append(protocol)
        return protocol


def _refusal(answer: requests.Response, what: str) -> RefusedError:
    return RefusedError(f"{answer.url} cannot {what}: HTTP {answer.status_code} {answer.reason}")
