"""Where a link leads: absolute paths and URLs, and whether a catalogue may lead there."""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from stac_rucio_sync.addresses import is_http, server_of
from stac_rucio_sync.http import RefusedAnswer


@dataclass(frozen=True, slots=True)
class Root:
    """The document that a crawl began at."""

    href: str

    @property
    def folder(self) -> str | None:
        """The folder that local links must stay in; None for a catalogue read by http, which has no local links."""
        return None if is_http(self.href) else os.path.dirname(self.href)  # noqa: PTH120 - a string per link

    @property
    def origin(self) -> str | None:
        """The server that the catalogue is read from; None: it is local."""
        return server_of(self.href) if is_http(self.href) else None


def resolve(href: str, start: str) -> str:
    """Make a link's href absolute, starting at the document that holds it, without fragment.

    Raises
    ------
    ValueError
        It is not a URL or a path.
    """
    if "\0" in href:
        raise ValueError("it holds a NUL")
    if is_http(href) or is_http(start):
        joined = urljoin(start, href)
        urlsplit(joined).port  # noqa: B018 - raises for what is no port
        return joined.partition("#")[0]
    if href[:7].lower() == "file://":
        href = unquote(urlsplit(href).path)
    elif "://" in href:
        return href
    # A string per link: pathlib would halve the speed of a local crawl.
    return os.path.normpath(os.path.join(os.path.dirname(start), href))  # noqa: PTH118, PTH120


def is_inside(root: Root, target: str) -> bool:
    """Tell whether a crawl may go to a target: by http from anywhere, locally only below the root's folder."""
    if is_http(target):
        return True
    folder = root.folder
    return folder is not None and "://" not in target and target.startswith(folder.rstrip("/") + "/")


def read_local(path: str, limit: int) -> bytes:
    """Read a local file; a name that the link gives percent-encoded is tried decoded too.

    Raises
    ------
    RefusedAnswer
        There is no such file, it is no file, or it is longer than ``limit`` bytes.
    """
    decoded = unquote(path)
    names = [path] if decoded == path or ".." in decoded or "\0" in decoded else [path, decoded]
    for name in names:
        try:
            with Path(name).open("rb") as file:
                text = file.read(limit + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RefusedAnswer(f"{name}: {error.strerror}") from error
        if len(text) > limit:
            raise RefusedAnswer(f"{name} holds more than {limit} bytes")
        return text
    raise RefusedAnswer(f"there is no file {path}")
